//! A gateway on a port of its own, consoles to put behind it, and a gate that holds a console's answers back.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use metaconsole::access::People;
use metaconsole::access::journal::Journal;
use metaconsole::access::password::Passwords;
use metaconsole::app::App;
use metaconsole::clock::Clock;
use metaconsole::config;
use metaconsole::delegation::{Embedded, UsedTokens};
use metaconsole::demo::{Agent, Console, Fleet, Handler, Module, ModuleState, Server, Settings};
use metaconsole::http::{Gateway, router};
use metaconsole::openings::{self, Ledger, Openings};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::program::Config;

/// A running gateway. Ends when dropped.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) drain: watch::Sender<bool>,
    pub(crate) client: reqwest::Client,
    serving: JoinHandle<()>,
}

/// One answer, read whole.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Served {
    pub(crate) async fn start(config: &Config) -> Self {
        Self::start_before(config, Arc::new(openings::witness::TellLog)).await
    }

    /// With this witness of its openings, which go by tokio's time.
    pub(crate) async fn start_before(config: &Config, openings: Arc<dyn openings::witness::Witness>) -> Self {
        let config = config::load(&config.path(), &|_| None).unwrap();
        let journal = config.access.has_login().then(|| {
            let folder = config.gateway.state_dir.as_ref().unwrap().join("audit");
            Arc::new(Journal::open(&folder, &config.gateway.id, Clock::System).unwrap())
        });
        let people = journal.clone().map(|witness| {
            let (folder, login) = (config.gateway.state_dir.clone().unwrap(), Box::new(Passwords::default()));
            Arc::new(People::open(&folder, &config.gateway.id, &config.access, login, witness, Clock::System).unwrap())
        });
        let opens = config.access.has_login() || !config.gateway.keys.is_empty();
        let kept = config.gateway.state_dir.as_ref().filter(|_| opens).map(|folder| {
            let store: Arc<dyn UsedTokens> = Arc::new(Embedded::open_whenever(&folder.join("used.redb")).unwrap());
            (store, Ledger::at(&folder.join("openings.redb")))
        });
        let app = Arc::new(ArcSwap::from_pointee(App::new(config, Clock::System)));
        let (drain, draining) = watch::channel(false);
        let reload_error = Arc::new(ArcSwapOption::empty());
        let openings = Openings::new(openings, Clock::following(Clock::System.now()));
        let openings = Arc::new(match kept {
            Some((used, ledger)) => openings.with_used(used).with_ledger(ledger),
            None => openings,
        });
        let gateway = Arc::new(Gateway { app, draining, reload_error, people, openings, journal });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = router(Arc::clone(&gateway));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        // A connection for each request, so that none idles where a test counts what is left.
        let client = reqwest::Client::builder().no_proxy().no_gzip().pool_max_idle_per_host(0).build().unwrap();
        Self { address, gateway, drain, client, serving }
    }

    pub(crate) fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.get_with(target, &[]).await
    }

    pub(crate) async fn get_with(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        let request = headers.iter().fold(self.client.get(self.url(target)), |request, (n, v)| request.header(*n, *v));
        Answer::of(request.send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, target: &str) -> Answer {
        Answer::of(self.client.post(self.url(target)).send().await.unwrap()).await
    }

    /// Opens a stream.
    pub(crate) async fn stream(&self, target: &str) -> Lines {
        let request = self.client.get(self.url(target)).header("accept", "application/x-ndjson");
        Lines::from(request.send().await.unwrap())
    }

    /// One number of `/metrics`.
    pub(crate) async fn metric(&self, sample: &str) -> f64 {
        let page = self.get("/metrics").await.text;
        let line = page.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {sample} in {page}")).parse().unwrap()
    }
}

/// The lines of a stream, as they arrive.
pub(crate) struct Lines {
    pub(crate) response: reqwest::Response,
    rest: Vec<u8>,
}

impl From<reqwest::Response> for Lines {
    fn from(response: reqwest::Response) -> Self {
        Self { response, rest: Vec::new() }
    }
}

impl Lines {
    /// The next record; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let next = tokio::time::timeout(Duration::from_secs(20), self.response.chunk()).await;
            match next.expect("no record for 20 s").unwrap() {
                Some(chunk) => self.rest.extend_from_slice(&chunk),
                None => {
                    assert!(self.rest.is_empty(), "the last line has no end");
                    return None;
                }
            }
        }
    }

    pub(crate) async fn all(mut self) -> Vec<Value> {
        let mut records = Vec::new();
        while let Some(record) = self.next().await {
            records.push(record);
        }
        records
    }
}

/// A console with these agents.
pub(crate) fn console(agents: &[&str]) -> Console {
    let fleet = Fleet::empty(Clock::System.now().as_secs()).group(2, "Servers", 0);
    let module = || Module::new("CPU", ModuleState::Normal, "1");
    let fleet = agents.iter().fold(fleet, |fleet, name| fleet.agent(Agent::new(name, 2).module(module())));
    Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), fleet, Settings::default()).unwrap()
}

/// Stands in front of a console; while it is closed, requests wait.
pub(crate) struct Gate {
    pub(crate) server: Server,
    open: watch::Sender<bool>,
}

impl Gate {
    pub(crate) fn before(console: &Console) -> Self {
        let open = watch::Sender::new(false);
        let (root, gate) = (format!("http://{}", console.address()), open.clone());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let handler: Handler = Arc::new(move |incoming| {
            let (client, url, mut gate) = (client.clone(), format!("{root}{}", incoming.uri), gate.subscribe());
            Box::pin(async move {
                gate.wait_for(|open| *open).await.unwrap();
                let token = incoming.header(header::AUTHORIZATION).to_owned();
                let answer = client.get(url).header("authorization", token).send().await.unwrap();
                let kind = answer.headers().get("content-type").cloned().unwrap();
                let status = StatusCode::from_u16(answer.status().as_u16()).unwrap();
                (status, [(header::CONTENT_TYPE, kind)], answer.bytes().await.unwrap()).into_response()
            })
        });
        Self { server: Server::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), handler).unwrap(), open }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/pandora_console/", self.server.address())
    }

    pub(crate) fn set_open(&self, open: bool) {
        self.open.send_replace(open);
    }
}

/// Looks again and again, for at most 20 s.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let looking = async {
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        while !holds().await {
            tick.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looking).await.unwrap_or_else(|_| panic!("never: {what}"));
}
