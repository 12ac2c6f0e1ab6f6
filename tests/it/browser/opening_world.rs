//! A gateway as a process with a login, and consoles that take whom it hands over, each under a host name of its own.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::Stdio;

use std::io::Write as _;

use metaconsole::clock::Clock;
use metaconsole::delegation::{MasterKey, Purpose, new_master};
use metaconsole::demo::{Agent, Console, Door, Fleet, Module, ModuleState, Person, Settings};
use metaconsole::secret::Secret;
use thirtyfour::prelude::*;

use super::driver::Browser;
use crate::support::browser::hashed;
use crate::support::gateway::until;
use crate::support::program::Config;

/// The consoles' own password of everybody.
pub(super) const PASSWORD: &str = "a password of the console";

pub(super) struct World {
    pub(super) config: Config,
    pub(super) base: String,
    pub(super) consoles: Vec<(&'static str, Console)>,
    gateway: tokio::process::Child,
}

/// Logs in at a gateway's page.
pub(super) async fn log_in(browser: &Browser, page: &str, login: &str) {
    browser.open(page).await;
    for (name, value) in [("login", login.to_owned()), ("password", format!("correct horse {login}"))] {
        let field = browser.driver.find(By::Css(format!("input[name={name}]"))).await.unwrap();
        field.send_keys(value).await.unwrap();
    }
    browser.driver.find(By::Css("form button")).await.unwrap().click().await.unwrap();
    browser.until("location.pathname === '/'").await;
}

fn free() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn console(door: Door) -> Console {
    let start = Fleet::empty(Clock::System.now().as_secs()).group(2, "Servers", 0);
    let fleet = (1..=12).fold(start, |fleet, number| {
        let module = Module::new("CPU", ModuleState::Normal, "1");
        fleet.agent(Agent::new(&format!("web-{number:02}"), 2).module(module))
    });
    let people = ["ops.reader", "ben", "night.shift"].map(|name| Person::new(name, PASSWORD)).to_vec();
    let settings = Settings { people, door: Some(door), ..Settings::default() };
    Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), fleet, settings).unwrap()
}

impl World {
    /// Ana opens Madrid and Nairobi as `ops.reader` and Lyon as `ben`; Guest may open nothing. Oslo is down.
    pub(super) async fn start() -> Self {
        let master = new_master().unwrap();
        let keys = MasterKey::read("2026a", &master).unwrap();
        let port = free();
        let base = format!("http://127.0.0.1:{port}");
        let door = |site: &str| Door {
            site: site.to_owned(),
            gateway: base.parse().unwrap(),
            issuers: vec!["gateway".to_owned()],
            keys: Purpose::ALL.iter().map(|(_, purpose)| keys.derive(site, *purpose).unwrap()).collect(),
            allow: vec!["ops.reader".to_owned(), "ben".to_owned()],
        };
        let consoles: Vec<_> = ["madrid", "lyon", "nairobi"].map(|site| (site, console(door(site)))).into();
        let site = |(id, port): (&str, u16)| {
            let account = if id == "lyon" { "ben" } else { "ops.reader" };
            format!(
                "  - {{id: {id}, name: The {id}, url: \"http://127.0.0.1:{port}/pandora_console/\", public_url: \
                 \"http://{id}.localhost:{port}/pandora_console/\", credentials: {{token: \"file:token\"}}, delegation: \
                 {{verifier: dropin, url: \"http://{id}.localhost:{port}/pandora_console/mc.php\", accounts: [{{user: \
                 \"local:ana\", account: {account}}}]}}}}\n"
            )
        };
        let mut sites: String = consoles.iter().map(|(id, console)| site((id, console.address().port()))).collect();
        sites.push_str(&site(("oslo", 1)));
        let user =
            |login: &str, role: &str| format!("{{login: {login}, password: '{}', roles: [{role}]}}", hashed(login));
        let yaml = format!(
            "gateway: {{id: gateway, listen: \"127.0.0.1:{port}\", public_url: \"{base}/\", state_dir: state, keys: \
             [{{kid: 2026a, secret: \"file:master\", signing: true}}]}}\nsites:\n{sites}access:\n  roles:\n    \
             noc: {{search: ['*'], view: ['*'], open: ['*']}}\n    look: {{search: ['*'], view: ['*']}}\n  users: [{}, {}]\n",
            user("ana", "noc"),
            user("guest", "look"),
        );
        Self::serve(&yaml, &base, &master, consoles).await
    }

    /// A gateway with this configuration, which listens at `base`.
    pub(super) async fn serve(yaml: &str, base: &str, master: &Secret, consoles: Vec<(&'static str, Console)>) -> Self {
        let config = Config::new(yaml);
        let path = config.path().with_file_name("master");
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
        file.write_all(master.expose().as_bytes()).unwrap();
        let log = std::fs::File::create(config.path().with_file_name("log")).unwrap();
        let mut command = config.command("serve");
        let gateway = command.env("METACONSOLE_LOG", "debug").stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let world = Self { config, base: base.to_owned(), consoles, gateway };
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        until("the gateway answers", || async { client.get(world.url("/healthz")).send().await.is_ok() }).await;
        world
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(super) fn console(&self, site: &str) -> &Console {
        &self.consoles.iter().find(|(id, _)| *id == site).unwrap().1
    }

    /// An address at a console, as browsers have it.
    pub(super) fn there(&self, site: &str, path: &str) -> String {
        format!("http://{site}.localhost:{}/pandora_console/{path}", self.console(site).address().port())
    }

    pub(super) async fn logged_in(&self, login: &str) -> Browser {
        let browser = Browser::start(1200, 800).await;
        self.log_in(&browser, login).await;
        browser
    }

    pub(super) async fn log_in(&self, browser: &Browser, login: &str) {
        log_in(browser, &self.url("/login"), login).await;
    }

    /// Waits until this window is in a site's console, and says as whom and where.
    pub(super) async fn landed(&self, browser: &Browser, site: &str) -> (String, String) {
        browser
            .until(&format!("location.host.startsWith('{site}.localhost:') && !!document.getElementById('user')"))
            .await;
        (browser.text("#user").await, browser.text("#agent").await)
    }

    /// Lines of the audit log with this action, as they are on disk.
    pub(super) fn audited(&self, action: &str) -> usize {
        let folder = self.config.path().with_file_name("state").join("audit");
        let lines = metaconsole::audit::newest(&folder, metaconsole::audit::Filter::default()).unwrap();
        lines.filter(|entry| entry.as_ref().unwrap().line.contains(&format!("\"{action}\""))).count()
    }

    /// Ends the gateway, so that everything is written.
    pub(super) async fn end(mut self) -> Self {
        let kill = format!("kill -TERM {}", self.gateway.id().unwrap());
        assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        assert!(self.gateway.wait().await.unwrap().success());
        self
    }
}
