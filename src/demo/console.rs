//! One demo console: a fleet behind the API and the pages of a console, with switchable faults and a request log.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::response::Response;

use super::api;
use super::desk::{Desk, Person};
use super::door::{self, Door};
use super::fault::Faults;
use super::fleet::Fleet;
use super::login;
use super::requests::{Incoming, Requests};
use super::server::{Handler, Server};
use crate::clock::Clock;
use crate::secret::Secret;
use crate::verifier::Entrance;

/// Where a console lives on its server.
const ROOT: &str = "pandora_console/";

/// How a console behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The release it claims to be.
    pub version: Version,
    /// Who may use its API.
    pub accounts: Vec<Account>,
    /// Asked besides user and password.
    pub api_password: Secret,
    /// Pause before wrong credentials are told.
    pub auth_delay: Duration,
    /// Time that every agent adds to a list.
    pub cost_per_agent: Duration,
    /// Its time.
    pub clock: Clock,
    /// Who may log in to its pages.
    pub people: Vec<Person>,
    /// How it takes people whom a gateway hands over, if it does.
    pub door: Option<Door>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version: Version::V776,
            accounts: vec![Account::read_only("demo-token-read-only")],
            api_password: Secret::new("demo-api-password"),
            auth_delay: Duration::from_secs(15),
            cost_per_agent: Duration::ZERO,
            clock: Clock::System,
            people: Vec::new(),
            door: None,
        }
    }
}

/// A release of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// As in `v7.0NG.776`.
    pub number: &'static str,
    /// As in `PC240328`.
    pub build: &'static str,
}

impl Version {
    /// The newest public release.
    pub const V776: Self = Self { number: "v7.0NG.776", build: "PC240328" };
    /// An older one, without `api/v2`; its session cookie is on every answer.
    pub const V772: Self = Self { number: "v7.0NG.772", build: "PC230803" };
}

/// A user of the API.
#[derive(Clone, Debug)]
pub struct Account {
    /// User name.
    pub user: String,
    /// Their password.
    pub password: Secret,
    /// Their token for `Authorization: Bearer`.
    pub token: Secret,
    /// The only groups they see; all when absent.
    pub groups: Option<Vec<u32>>,
    /// They may write, which shows in some reads being answered to them.
    pub may_write: bool,
}

impl Account {
    /// The user `reader`, who sees every group and may change nothing.
    pub fn read_only(token: &str) -> Self {
        let (token, password) = (Secret::new(token), Secret::new("demo-password"));
        Self { user: "reader".to_owned(), password, token, groups: None, may_write: false }
    }

    /// Whether they see a group.
    pub fn may_see(&self, group: u32) -> bool {
        self.groups.as_ref().is_none_or(|groups| groups.contains(&group))
    }
}

/// A running console. Stops when dropped.
#[derive(Debug)]
pub struct Console {
    server: Server,
    fleet: Arc<Mutex<Fleet>>,
}

impl Console {
    /// Starts a console on an address (port 0 takes a free one). Needs a tokio runtime.
    pub fn start(listen: SocketAddr, fleet: Fleet, settings: Settings) -> io::Result<Self> {
        let fleet = Arc::new(Mutex::new(fleet));
        let desk = Arc::new(Desk::of(settings.people.clone()));
        let entrance = settings.door.as_ref().map(|door| door.entrance(&desk, ROOT, settings.clock));
        let sessions = AtomicU64::new(1);
        let site = Arc::new(Site { fleet: Arc::clone(&fleet), settings, sessions, desk, entrance });
        let handler: Handler = Arc::new(move |incoming| {
            let site = Arc::clone(&site);
            Box::pin(async move { site.answer(&incoming).await })
        });
        Ok(Self { server: Server::start(listen, handler)?, fleet })
    }

    /// The console's root, `http://127.0.0.1:PORT/pandora_console/`.
    pub fn url(&self) -> String {
        format!("http://{}/{ROOT}", self.server.address())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// What goes wrong on purpose.
    pub fn faults(&self) -> &Faults {
        self.server.faults()
    }

    /// What was asked.
    pub fn requests(&self) -> &Requests {
        self.server.requests()
    }

    /// The site's data, to change between two reads. Answers wait while this is held.
    pub fn fleet(&self) -> MutexGuard<'_, Fleet> {
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops and waits until every connection is closed.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

/// What answers behind the server.
struct Site {
    fleet: Arc<Mutex<Fleet>>,
    settings: Settings,
    sessions: AtomicU64,
    desk: Arc<Desk>,
    entrance: Option<Entrance>,
}

impl Site {
    async fn answer(&self, incoming: &Incoming) -> Response {
        if !incoming.is_api() {
            if incoming.uri.path().ends_with(door::FILE) {
                return door::answer(self.entrance.as_ref(), incoming).await;
            }
            let fleet = self.fleet.lock().unwrap_or_else(PoisonError::into_inner);
            return login::answer(incoming, &self.desk, &fleet);
        }
        let answer = self.api(incoming);
        tokio::time::sleep(answer.cost).await;
        let number = self.sessions.fetch_add(1, Ordering::Relaxed);
        answer.into_response(&format!("demo{number:022}"), self.settings.version == Version::V772)
    }

    fn api(&self, incoming: &Incoming) -> api::Answer {
        if incoming.op2() == "version" {
            return api::version(&self.settings);
        }
        match api::authenticate(incoming, &self.settings) {
            None => api::refused(&self.settings),
            Some(account) => {
                let fleet = self.fleet.lock().unwrap_or_else(PoisonError::into_inner);
                api::answer(incoming, &fleet, &self.settings, account)
            }
        }
    }
}

/// The address of a console's root under a host and port.
pub(super) fn root(host: &str, port: u16) -> String {
    format!("http://{host}:{port}/{ROOT}")
}
