//! The gate from outside: the real recipe in a real nginx, a product that shows what it was sent, the real gateway, and the
//! real program when it is killed.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use metaconsole::app::App;
use metaconsole::clock::Clock;
use metaconsole::config;
use metaconsole::delegation::{
    Amr, MasterKey, NewToken, Purpose, SiteKey, mint, random_number, read_key_file, state_hash,
};
use metaconsole::gate::{Gate, router};
use metaconsole::secret::Secret;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::nginx::Nginx;
use crate::support::browser::{Browser, between, hashed};
use crate::support::gateway::{Answer, Served, until};
use crate::support::program::{Config, program};
use crate::support::running::Running;

const RECIPE: &str = include_str!("../../integrations/nginx/metaconsole-gate.conf");
const STATE: &str = "a-state-of-a-browser";

/// Names under which a product may look for who somebody is.
const NAMES: &[&str] = &[
    "X-Mc-User",
    "x-mc-user",
    "X-MC-USER",
    "X_Mc_User",
    "x_mc_user",
    "X-Mc_User",
    "X_Mc-User",
    "X.Mc.User",
    "Remote-User",
    "REMOTE_USER",
    "X-Forwarded-User",
    "X_Forwarded_User",
    "X-Remote-User",
    "X-Webauth-User",
    "X-Original-Method",
    "X-Mc-Location",
];

/// A product behind the proxy: it answers with its environment, in which headers stand as CGI has them.
async fn product() -> SocketAddr {
    async fn environment(request: Request) -> String {
        let mut all: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in request.headers() {
            let name: String =
                name.as_str().chars().map(|c| if c.is_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            let known = all.entry(format!("HTTP_{name}")).or_default();
            *known = if known.is_empty() { value } else { format!("{known}, {value}") };
        }
        all.insert("REQUEST_URI".to_owned(), request.uri().to_string());
        serde_json::to_string(&all).unwrap()
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().fallback(environment);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

/// nginx with the recipe, at these addresses, with changes to it.
async fn proxied(gate: SocketAddr, product: SocketAddr, changes: &[(&str, &str)]) -> Nginx {
    assert_eq!((RECIPE.matches("127.0.0.1:8090").count(), RECIPE.matches("127.0.0.1:8080").count()), (2, 1));
    let mut recipe =
        RECIPE.replace("127.0.0.1:8090", &gate.to_string()).replace("127.0.0.1:8080", &product.to_string());
    for (from, to) in changes {
        assert_eq!(recipe.matches(from).count(), 1, "{from}");
        recipe = recipe.replace(from, to);
    }
    Nginx::start(|port| format!("server {{ listen 127.0.0.1:{port}; server_name madrid.localhost;\n{recipe}\n}}\n"))
        .await
}

/// A site with its keys and a gate in this process, by tokio's time.
struct Site {
    folder: tempfile::TempDir,
    keys: Vec<SiteKey>,
    listener: TcpListener,
    address: SocketAddr,
}

impl Site {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let master = MasterKey::read("2026a", &Secret::new("6a09e667f3bcc908b2fb1366ea957d3e".repeat(2))).unwrap();
        let key = |(_, purpose)| master.derive("madrid", purpose).unwrap();
        let keys: Vec<SiteKey> = Purpose::ALL.into_iter().map(key).collect();
        let line = |key: &SiteKey| format!("{} 2026a {}\n", key.purpose().as_str(), key.text().expose());
        private(&folder.path().join("keys"), &format!("site madrid\n{}", keys.iter().map(line).collect::<String>()));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { folder, keys, listener, address }
    }

    fn write(&self, gateway: &str, more: &str) -> std::path::PathBuf {
        let path = self.folder.path().join("gate.yaml");
        let allow = if more.contains("allow:") { "" } else { "allow: [ops.reader]\n" };
        let text = format!(
            "site: madrid\ngateway: \"{gateway}\"\nissuers: [gateway]\npublic_url: https://madrid.example/\n\
             keys: file:keys\nstate_dir: state\n{allow}audit_file: log\n{more}\n"
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    fn run(self, gateway: &str, more: &str) -> (SocketAddr, Vec<SiteKey>, tempfile::TempDir) {
        let path = self.write(gateway, more);
        let config = config::load_gate(&path, &|_| None).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let gate = Arc::new(Gate::open(&config, Clock::following(Clock::System.now())).unwrap());
        let router = router(&gate, |_| Some(Ipv4Addr::LOCALHOST.into()));
        tokio::spawn(async move { axum::serve(self.listener, router).await.unwrap() });
        (self.address, self.keys, self.folder)
    }
}

fn private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn token(keys: &[SiteKey], account: &str) -> String {
    let key = keys.iter().find(|key| key.purpose() == Purpose::Token).unwrap();
    let (state, number) = (state_hash(STATE), random_number().unwrap());
    let new = NewToken { gateway: "gateway", account, actor: "local:ana", amr: Amr::Pwd, path: "/view", state: &state };
    mint(key, &new, &number, Clock::System.now()).unwrap().expose().to_owned()
}

/// A request as written; the whole answer.
async fn raw(address: SocketAddr, request: &str) -> String {
    let asked = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A reset after the answer is as good as an end.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    tokio::time::timeout(Duration::from_secs(20), asked).await.unwrap()
}

async fn get(address: SocketAddr, path: &str, headers: &str) -> (u16, String) {
    let head = format!("GET {path} HTTP/1.1\r\nHost: madrid.localhost\r\nConnection: close\r\n{headers}\r\n");
    let answer = raw(address, &head).await;
    let status = answer.split(' ').nth(1).unwrap_or_else(|| panic!("{answer:?}")).parse().unwrap();
    (status, answer)
}

/// What the product was told, when it was asked.
fn environment(answer: &str) -> Option<BTreeMap<String, String>> {
    let start = answer.find("{\"HTTP_")?;
    let end = answer.rfind('}')?;
    serde_json::from_str(&answer[start..=end]).ok()
}

async fn login(address: SocketAddr, token: &str) -> String {
    let body = format!("mc_token={token}");
    let head = format!(
        "POST /mc/login HTTP/1.1\r\nHost: madrid.localhost\r\nConnection: close\r\nCookie: __Host-mc_pre_x={STATE}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    raw(address, &head).await
}

fn session(answer: &str) -> Option<String> {
    let set = answer.lines().find(|line| line.to_lowercase().starts_with("set-cookie: __host-mc_gate="))?;
    Some(set["set-cookie: ".len()..].split(';').next().unwrap().to_owned())
}

/// Every way of writing identities: each name alone, twice, empty, and beside every other.
fn forgeries() -> Vec<String> {
    let mut all = vec![String::new()];
    for name in NAMES {
        all.push(format!("{name}: admin\r\n"));
        all.push(format!("{name}: admin\r\n{name}: admin\r\n"));
        all.push(format!("{name}: \r\n{name}: admin\r\n"));
        all.push(format!("{name}:\tadmin\r\n"));
        all.push(format!("{name} : admin\r\n"));
        for other in NAMES {
            all.push(format!("{name}: admin\r\n{other}: admin\r\n"));
        }
    }
    all
}

#[tokio::test]
async fn through_nginx_nobody_becomes_anybody_by_what_they_write() {
    let product = product().await;
    for mode in ["optional", "required"] {
        let site = Site::new().await;
        let (gate, keys, _folder) = site.run("http://127.0.0.1:9/", &format!("verification: offline\nmode: {mode}"));
        let nginx = proxied(gate, product, &[]).await;
        let opened = login(nginx.address, &token(&keys, "ops.reader")).await;
        let cookie = session(&opened).unwrap_or_else(|| panic!("{opened}"));
        let mut reached = 0;
        for (cookie, who) in [(String::new(), None), (format!("Cookie: {cookie}\r\n"), Some("ops.reader"))] {
            for forged in forgeries() {
                let (status, answer) = get(nginx.address, "/x", &format!("{forged}{cookie}")).await;
                let Some(environment) = environment(&answer) else {
                    assert!(
                        status == 400 || (status == 401 && mode == "required" && who.is_none()),
                        "{forged}: {answer}"
                    );
                    continue;
                };
                reached += 1;
                assert_eq!(environment.get("HTTP_X_MC_USER").map(String::as_str), who, "{mode}: {forged}");
                let leaked: Vec<_> = environment.iter().filter(|(_, value)| value.contains("admin")).collect();
                assert!(
                    leaked.iter().all(|(name, _)| *name == "HTTP_X_MC_LOCATION" || *name == "HTTP_X_ORIGINAL_METHOD"),
                    "{forged}: {leaked:?}"
                );
            }
        }
        assert!(reached > 250, "{reached}");
    }
}

#[tokio::test]
async fn with_a_line_of_the_recipe_forgotten_an_identity_gets_through() {
    // The test above sees what it should: without these lines, a client's own name arrives.
    let product = product().await;
    let (gate, ..) = Site::new().await.run("http://127.0.0.1:9/", "verification: offline");
    let nginx = proxied(gate, product, &[("proxy_set_header X-Mc-User $mc_user;", "")]).await;
    let (_, answer) = get(nginx.address, "/x", "X-Mc-User: admin\r\n").await;
    assert_eq!(environment(&answer).unwrap()["HTTP_X_MC_USER"], "admin");
    let underscores =
        [("underscores_in_headers off;", "underscores_in_headers on;"), ("proxy_set_header X_Mc_User \"\";", "")];
    let nginx = proxied(gate, product, &underscores).await;
    let (_, answer) = get(nginx.address, "/x", "X_Mc_User: admin\r\n").await;
    assert_eq!(environment(&answer).unwrap()["HTTP_X_MC_USER"], "admin");
}

#[tokio::test]
async fn what_else_the_recipe_keeps_out() {
    let product = product().await;
    let (gate, keys, _folder) = Site::new().await.run("http://127.0.0.1:9/", "verification: offline\nmode: required");
    let nginx = proxied(gate, product, &[]).await;
    let opened = login(nginx.address, &token(&keys, "ops.reader")).await;
    let cookie = format!("Cookie: {}\r\n", session(&opened).unwrap());
    assert_eq!(get(nginx.address, "/mc/auth", &cookie).await.0, 404, "the question is nginx's own");
    assert_eq!(get(nginx.address, "/mc/auth/redirect", &cookie).await.0, 404);
    assert_eq!(get(nginx.address, "/x.js", &format!("{cookie}Service-Worker: script\r\n")).await.0, 403);
    let upgrade = format!("{cookie}Upgrade: websocket\r\nConnection: Upgrade\r\n");
    let (status, answer) = get(nginx.address, "/x", &upgrade.replace("Connection: Upgrade\r\n", "")).await;
    assert_eq!((status, environment(&answer).unwrap().get("HTTP_UPGRADE")), (200, None), "no upgrade");
    // Somebody who goes to a page is sent to the gateway; a part of a page is not.
    let person = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
    let (status, answer) = get(nginx.address, "/x", person).await;
    assert!(status == 303 && answer.contains("Location: http://127.0.0.1:9/open/madrid\r\n"), "{answer}");
    assert_eq!(get(nginx.address, "/x", "Sec-Fetch-Mode: cors\r\n").await.0, 401);
    let (status, answer) = get(nginx.address, "/x?a=b", &cookie).await;
    assert_eq!((status, environment(&answer).unwrap()["REQUEST_URI"].as_str()), (200, "/x?a=b"));
    // A POST of another site's page is nobody's, whatever cookie it carries.
    let foreign = format!(
        "POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\nSec-Fetch-Site: cross-site\r\n\
         Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n{cookie}\r\n"
    );
    let answer = raw(nginx.address, &foreign).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

/// A configuration of the gateway, with this site.
fn yaml(nginx: SocketAddr) -> String {
    format!(
        "gateway: {{state_dir: state, keys: [{{kid: 2026a, secret: \"file:master\", signing: true}}]}}\nsites:\n\
         \x20 - {{id: madrid, name: Madrid, url: \"http://{nginx}/\", public_url: \"http://madrid.localhost:{port}/\",\n\
         \x20    credentials: {{token: \"file:token\"}}, delegation: {{verifier: gate, url: \
         \"http://madrid.localhost:{port}/mc\", accounts: [{{user: \"local:ana\", account: ops.reader}}, \
         {{user: \"local:ben\", account: ben}}]}}}}\naccess:\n  roles: {{noc: {{search: ['*'], open: ['*']}}}}\n  users:\n\
         \x20   - {{login: ana, password: '{}', roles: [noc]}}\n    - {{login: ben, password: '{}', roles: [noc]}}\n",
        hashed("ana"),
        hashed("ben"),
        port = nginx.port(),
    )
}

/// A gateway, a gate beside nginx, a product.
pub(crate) struct World {
    config: Config,
    pub(crate) served: Served,
    nginx: Nginx,
    folder: tempfile::TempDir,
}

impl World {
    /// With `more` in the gate's file.
    pub(crate) async fn new(more: &str) -> Self {
        Self::with(more, "").await
    }

    /// And `delegation` in the gateway's.
    async fn with(more: &str, delegation: &str) -> Self {
        let (site, product) = (Site::new().await, product().await);
        let nginx = proxied(site.address, product, &[]).await;
        let text = yaml(nginx.address).replace("{verifier: gate,", &format!("{{verifier: gate, {delegation}"));
        let config = Config::new(&text);
        let master = config.path().with_file_name("master");
        private(&master, &"6a09e667f3bcc908b2fb1366ea957d3e".repeat(2));
        let served = Served::start(&config).await;
        let (_, _, folder) = site.run(&served.url("/"), more);
        Self { config, served, nginx, folder }
    }

    /// An address of the product, as browsers have it.
    pub(crate) fn there(&self, path: &str) -> String {
        format!("http://madrid.localhost:{}{path}", self.nginx.address.port())
    }

    /// From the gateway's page to the site's answer to the token.
    async fn open(&self, login: &str, view: &str) -> Answer {
        let mut browser = Browser::logged_in(&self.served.url(""), login).await;
        self.open_in(&mut browser, view).await
    }

    async fn open_in(&self, browser: &mut Browser, view: &str) -> Answer {
        let page = browser.get(&format!("/open/madrid?view={view}")).await;
        let form = between(&page.text, "name=\"form\" value=\"", "\"").to_owned();
        let page = browser.post("/open/madrid", &[("form", &form), ("view", view)]).await;
        let start = between(&page.text, "content=\"0; url=", "\"").replace("&amp;", "&");
        assert!(start.starts_with(&format!("http://madrid.localhost:{}/mc/start?p=", self.nginx.address.port())));
        let visitor = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .resolve("madrid.localhost", self.nginx.address)
            .build()
            .unwrap();
        let answer = Answer::of(visitor.get(&start).send().await.unwrap()).await;
        let state = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        let back = answer.header("location").strip_prefix(&self.served.url("")).unwrap().to_owned();
        let page = browser.get(&back).await;
        let field = |name: &str| between(&page.text, &format!("name=\"{name}\" value=\""), "\"").to_owned();
        let (form, p, st) = (field("form"), field("p"), field("st"));
        let page = browser.post("/open/madrid/finish", &[("form", &form), ("p", &p), ("st", &st)]).await;
        let (to, token) = (
            between(&page.text, "action=\"", "\"").to_owned(),
            between(&page.text, "name=\"mc_token\" value=\"", "\""),
        );
        let request = visitor.post(&to).header("cookie", &state).header("sec-fetch-site", "cross-site");
        Answer::of(request.form(&[("mc_token", token)]).send().await.unwrap()).await
    }

    /// Who the product takes this browser for.
    async fn who(&self, cookie: &str) -> Option<String> {
        let (status, answer) = get(self.nginx.address, "/x", &format!("Cookie: {cookie}\r\n")).await;
        assert_eq!(status, 200, "{answer}");
        environment(&answer).unwrap().get("HTTP_X_MC_USER").cloned()
    }

    /// What the gate has written down.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

fn cookie(answer: &Answer) -> String {
    let all = answer.headers.get_all("set-cookie").iter().map(|set| set.to_str().unwrap());
    let mut gate = all.into_iter().filter(|set| set.starts_with("__Host-mc_gate="));
    gate.next().unwrap_or_else(|| panic!("{answer:?}")).split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_click_lands_as_the_right_user_and_ends_when_the_user_is_disabled() {
    let world = World::new("verification: online\non_gateway_loss: close").await;
    let landed = world.open("ana", "agent:42").await;
    assert_eq!(landed.status, 303, "{}", world.log());
    let path = landed.header("location").to_owned();
    assert!(path.contains("id_agente=42"), "{path}");
    let cookie = cookie(&landed);
    let (_, answer) = get(world.nginx.address, &path, &format!("Cookie: {cookie}\r\n")).await;
    let environment = environment(&answer).unwrap();
    assert_eq!((environment["HTTP_X_MC_USER"].as_str(), &environment["REQUEST_URI"]), ("ops.reader", &path));
    // The gateway maps ben to an account that the site does not list.
    let refused = world.open("ben", "agent:42").await;
    assert_eq!((refused.status, world.log().lines().last().unwrap().contains("\"not_allowed\"")), (403, true));
    let log = world.log();
    assert!(log.contains("\"account\":\"ops.reader\",\"actor\":\"local:ana\"") && !log.contains("mc1."), "{log}");

    let text = std::fs::read_to_string(world.config.path()).unwrap().replace("{login: ana,", "{login: former,");
    world.config.write("sites.yaml", text.as_bytes());
    let config = config::load(&world.config.path(), &|_| None).unwrap();
    world.served.gateway.app.store(Arc::new(App::new(config, Clock::System)));
    // A gateway that gives no grants is asked once; then a session lasts as long as it said, a quarter of an hour.
    let asked = world.served.post("/api/v1/delegation/status").await.status;
    assert!(asked == 401 || asked == 404, "{asked}");
    let wait = if asked == 401 { 60 } else { 900 };
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(wait)).await;
    tokio::time::resume();
    assert_eq!(world.who(&cookie).await, None);
}

/// Logs out at the gateway.
async fn log_out(browser: &mut Browser) {
    let page = browser.get("/logout").await;
    let form = between(&page.text, "name=\"form\" value=\"", "\"").to_owned();
    assert_eq!(browser.post("/logout", &[("form", &form)]).await.status, 200);
}

#[tokio::test]
async fn a_logout_at_the_gateway_ends_the_session_of_a_gate_that_asks() {
    let world = World::new("verification: online\non_gateway_loss: close").await;
    let mut ana = Browser::logged_in(&world.served.url(""), "ana").await;
    let mut elsewhere = Browser::logged_in(&world.served.url(""), "ana").await;
    let (cookie, other) =
        (cookie(&world.open_in(&mut ana, "").await), cookie(&world.open_in(&mut elsewhere, "").await));
    log_out(&mut ana).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(60)).await;
    tokio::time::resume();
    assert_eq!((world.who(&cookie).await, world.who(&other).await.as_deref()), (None, Some("ops.reader")));
    assert!(world.log().lines().last().unwrap().contains("\"gateway\""), "{}", world.log());
}

#[tokio::test]
async fn a_gate_that_decides_alone_is_told_of_a_logout_also_of_somebody_whom_it_does_not_know_by_name() {
    let world = World::with("verification: offline", "actor: opaque, revoke: true,").await;
    let mut ana = Browser::logged_in(&world.served.url(""), "ana").await;
    let cookie = cookie(&world.open_in(&mut ana, "agent:1").await);
    assert_eq!(world.who(&cookie).await.as_deref(), Some("ops.reader"));
    log_out(&mut ana).await;
    until("the gate has ended it", || async { world.log().contains("ended 1 sessions") }).await;
    assert_eq!(world.who(&cookie).await, None);
    let log = world.log();
    assert!(log.contains("\"actor\":\"u_") && !log.contains("local:ana"), "{log}");
}

#[tokio::test]
async fn check_asks_the_gate() {
    let world = World::new("verification: offline").await;
    let output = world.config.run(&["check", "--deadline", "5s"]).await;
    let line = output.stdout.lines().find(|line| line.contains(" opening ")).unwrap_or_else(|| panic!("{output:?}"));
    assert!(
        ["ok   opening", "offline", "key 2026a, 1 accounts allowed"].iter().all(|part| line.contains(part)),
        "{line}"
    );
}

#[tokio::test]
async fn a_token_that_was_used_before_a_kill_stays_used() {
    let site = Site::new().await;
    let (keys, folder) = (site.keys.clone(), site.folder.path().to_owned());
    let path = site.write("http://127.0.0.1:9/", "verification: offline\nlisten: \"127.0.0.1:0\"");
    let start = async || {
        let mut command = program(&folder);
        command.arg("gate").arg("--config").arg(&path);
        let mut running = Running::start(command);
        let address = running.address().await;
        (running, address)
    };
    let (running, address) = start().await;
    let token = token(&keys, "ops.reader");
    let all = futures_util::future::join_all((0..64).map(|_| login(address, &token))).await;
    running.signal("KILL");
    running.ended().await;
    let opened: Vec<String> = all.iter().filter_map(|answer| session(answer)).collect();
    assert_eq!(opened.len(), 1, "exactly one of 64");
    let (running, address) = start().await;
    let again = login(address, &token).await;
    assert!(again.starts_with("HTTP/1.1 410 ") && session(&again).is_none(), "{again}");
    let (status, answer) = get(address, "/mc/auth", &format!("Cookie: {}\r\n", opened[0])).await;
    assert!(status == 200 && answer.to_lowercase().contains("x-mc-user: ops.reader"), "the session stays: {answer}");
    running.end().await;
}

#[tokio::test]
async fn mistakes_are_told_at_once_with_line_and_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    std::fs::write(&keys, "site lyon\nmc1 a hunter2\n").unwrap();
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o600)).unwrap();
    let text = "site: madrid\ngateway: http://hq.example/\nissuers: []\npublic_url: https://madrid.example/\n\
                keys: file:keys\nstate_dir: state\nallow: [josé]\nverification: offline\nheads: several\nmod: required\n\
                on_gateway_loss: keep\nidentity_headers: [X_Mc_User]\nsession: {longest: 2h}\n";
    std::fs::write(folder.path().join("gate.yaml"), text).unwrap();
    let output = program(folder.path()).arg("gate").output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for part in [
        "gate.yaml:2:10: `gateway`: plain http is for loopback only; write an https address",
        "gate.yaml:5:7: `keys`: keys: line 1: these are the keys of the site `lyon`",
        "gate.yaml:7:9: `allow`: an account in a header is",
        "gate.yaml:9:8: `heads: several` needs `verification: online`",
        "gate.yaml:10:1: unknown key `mod`; write `mode`",
        "gate.yaml:11:18: `on_gateway_loss`: not known; write `keep 15m` or `close`",
        "gate.yaml:12:20: `identity_headers`: a header's name is letters, digits and -",
        "gate.yaml:13:20: `longest`: at most 1h",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
    let example = std::fs::read_to_string("integrations/gate.example.yaml").unwrap();
    let madrid = Site::new().await;
    std::fs::copy(madrid.folder.path().join("keys"), folder.path().join("madrid.keys")).unwrap();
    std::fs::write(folder.path().join("example.yaml"), example).unwrap();
    let config = config::load_gate(&folder.path().join("example.yaml"), &|_| None);
    assert!(config.unwrap().allow.is_empty(), "the example is as it is read");
    let from_file = read_key_file(&std::fs::read_to_string(folder.path().join("madrid.keys")).unwrap(), "madrid");
    assert_eq!(from_file.unwrap().len(), 4);
}

/// `METACONSOLE_TOKENS=100000` tries more.
#[tokio::test]
async fn no_altered_token_is_taken_over_http() {
    let (gate, keys, _folder) = Site::new().await.run("http://127.0.0.1:9/", "verification: offline");
    let told = std::env::var_os("METACONSOLE_TOKENS").and_then(|told| told.to_str()?.parse().ok());
    let tries: usize = told.unwrap_or(3000);
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let post = |token: String| {
        let request =
            client.post(format!("http://{gate}/mc/login")).header("cookie", format!("__Host-mc_pre_x={STATE}"));
        let request = request.form(&[("mc_token", token)]);
        async move { Answer::of(request.send().await.unwrap()).await }
    };
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ %";
    let alter = |good: &str, number: usize| {
        // Every place, every letter, and some cut or longer ones.
        let (at, letter) = (number % good.len(), letters[number / good.len() % letters.len()]);
        let mut bytes = good.to_owned().into_bytes();
        match number % 7 {
            0 => bytes.insert(at, letter),
            1 => drop(bytes.remove(at)),
            2 => bytes.truncate(at),
            3 => bytes[at] ^= 1,
            _ if bytes[at] == letter => bytes.push(letter),
            _ => bytes[at] = letter,
        }
        String::from_utf8(bytes).unwrap()
    };
    let numbers: Vec<usize> = (0..tries).collect();
    for some in numbers.chunks(1000) {
        let good = token(&keys, "ops.reader");
        for batch in some.chunks(40) {
            let batch: Vec<String> = batch.iter().map(|number| alter(&good, *number)).collect();
            let answers = futures_util::future::join_all(batch.iter().map(|token| post(token.clone()))).await;
            for (token, answer) in batch.iter().zip(answers) {
                assert_eq!((answer.status, answer.header("set-cookie")), (403, ""), "{token}");
            }
        }
        let opened = post(good).await;
        assert!(cookie(&opened).starts_with("__Host-mc_gate=mcg1."), "the one that was not altered is still good");
    }
}
