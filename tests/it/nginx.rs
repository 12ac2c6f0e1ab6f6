//! The recipe `integrations/pandora/` in a real nginx in front of a demo console: our reads pass, nothing else does.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use metaconsole::app::App;
use metaconsole::clock::{Clock, Deadline, Timestamp};
use metaconsole::config;
use metaconsole::demo::{Agent, Console, Fleet, Module, ModuleState, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PATH: &str = "/pandora_console/include/api.php";
const TOKEN: &str = "demo-token-read-only";
const TREE: &str =
    "op=get&op2=tree_agents&return_type=json&other=%3B%7C+%7Ctype_row%2Cagent_id&other_mode=url_encode_separator_%7C";

fn recipe(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("integrations/pandora").join(file)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// The README's `number`th block of nginx configuration, with other addresses.
fn location(number: usize, changes: &[(&str, &str)]) -> String {
    let readme = read(&recipe("README.md"));
    let block = readme.split("```nginx\n").nth(number + 1).unwrap().split("```").next().unwrap();
    let mut block: String = block.lines().filter(|line| !line.contains("ssl_")).flat_map(|l| [l, "\n"]).collect();
    for (from, to) in changes {
        assert_eq!(block.matches(from).count(), 1, "{from}");
        block = block.replace(from, to);
    }
    block
}

/// A running nginx. Ends when dropped.
pub(crate) struct Nginx {
    child: Child,
    pub(crate) address: SocketAddr,
    prefix: tempfile::TempDir,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Nginx {
    /// Starts one that serves on a free port what `servers` says for it.
    pub(crate) async fn start(servers: impl Fn(u16) -> String) -> Self {
        // Somebody else may take the port before nginx does; then nginx ends, and another one is tried.
        for _ in 0..5 {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
            if let Some(nginx) = Self::try_start(port, &servers(port)).await {
                return nginx;
            }
        }
        panic!("nginx found no free port five times");
    }

    async fn try_start(port: u16, servers: &str) -> Option<Self> {
        let prefix = tempfile::tempdir().unwrap();
        let at = prefix.path().display();
        let mut text = format!("daemon off;\nmaster_process off;\npid {at}/pid;\nerror_log {at}/error.log notice;\n");
        text.push_str("events { worker_connections 256; }\nhttp {\naccess_log off;\n");
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            writeln!(text, "{kind}_temp_path {at}/{kind};").unwrap();
        }
        write!(text, "include {};\n{servers}}}\n", recipe("nginx-read-only.conf").display()).unwrap();
        let config = prefix.path().join("nginx.conf");
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(program());
        command.arg("-p").arg(prefix.path()).arg("-c").arg(&config).arg("-e").arg(prefix.path().join("error.log"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut nginx = Self { child, address, prefix };
        while TcpStream::connect(address).await.is_err() {
            nginx.still_runs()?;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // It binds before it serves, so whoever answers while nginx runs is nginx.
        nginx.still_runs()?;
        Some(nginx)
    }

    /// `None` when it ended because its port was taken.
    fn still_runs(&mut self) -> Option<()> {
        if self.child.try_wait().unwrap().is_none() {
            return Some(());
        }
        let log = read(&self.prefix.path().join("error.log"));
        assert!(log.contains("Address already in use"), "nginx does not start: {log}");
        None
    }

    /// Sends bytes as they are and gives the status of the first answer.
    async fn raw(&self, request: &[u8]) -> u16 {
        let answered = async {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(request).await.unwrap();
            // nginx waits for what is left of a body, also after its answer; here nothing comes.
            let text = String::from_utf8_lossy(request).to_lowercase();
            if text.contains("content-length") || text.contains("transfer-encoding") {
                stream.shutdown().await.unwrap();
            }
            let mut answer = Vec::new();
            // A reset after the answer is as good as an end.
            let _ = stream.read_to_end(&mut answer).await;
            String::from_utf8_lossy(&answer).into_owned()
        };
        let answer = tokio::time::timeout(Duration::from_secs(20), answered).await.unwrap();
        let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
        // HTTP/0.9 has no status: the page alone, which names it.
        let status = status.or_else(|| answer.split_once("<title>").and_then(|(_, rest)| rest.get(..3)));
        status.unwrap_or_else(|| panic!("{answer:?}")).parse().unwrap()
    }

    /// A request with this line and these further headers, each ending with a line end.
    async fn send(&self, line: &str, headers: &str, body: &str) -> u16 {
        let request = format!("{line}\r\nHost: console.example.org\r\nConnection: close\r\n{headers}\r\n{body}");
        self.raw(request.as_bytes()).await
    }

    async fn get(&self, target: &str) -> u16 {
        self.send(&format!("GET {target} HTTP/1.1"), &bearer(), "").await
    }
}

fn bearer() -> String {
    format!("Authorization: Bearer {TOKEN}\r\n")
}

/// Debian's place for nginx, or wherever it is found.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = places.map(|place| place.join("nginx")).find(|program| program.is_file());
    found.expect("nginx is missing, and this test needs it: run scripts/test, which installs what the tests need")
}

fn console() -> Console {
    let fleet = Fleet::empty(Clock::System.now().as_secs()).group(2, "Servers", 0);
    let fleet = fleet.agent(Agent::new("web-01", 2).module(Module::new("CPU Load", ModuleState::Normal, "17.85000")));
    // An operating system that only this site has: its name has to be asked.
    let mut own = fleet.agent(Agent { os: 4242, ..Agent::new("own-01", 2) });
    own.systems.insert(4242, "Own OS".to_owned());
    Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), own, Settings::default()).unwrap()
}

async fn in_front_of(console: &Console) -> Nginx {
    Nginx::start(|port| {
        let (listen, back) = (format!("listen 127.0.0.1:{port};"), console.address().to_string());
        location(0, &[("listen 8443 ssl;", &listen), ("192.0.2.10", "127.0.0.1"), ("127.0.0.1:8080", &back)])
    })
    .await
}

/// A configuration of the one site behind nginx.
fn configuration(nginx: &Nginx) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), TOKEN).unwrap();
    let url = format!("http://{}/pandora_console/", nginx.address);
    let yaml = format!("sites:\n  - id: madrid\n    url: {url}\n    credentials: {{token: \"file:token\"}}\n");
    std::fs::write(folder.path().join("sites.yaml"), yaml).unwrap();
    folder
}

async fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_metaconsole"));
    command.current_dir(folder).args(arguments).env_remove("METACONSOLE_CONFIG");
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[test]
fn the_recipe_lists_what_the_adapter_asks() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sites/pandora");
    let files = std::fs::read_dir(source).unwrap().map(|entry| read(&entry.unwrap().path()));
    let source: String = files.collect();
    let word = |text: &str| text.split(|c: char| !c.is_ascii_lowercase() && c != '_').next().unwrap().to_owned();
    let names = |text: &str, before: &str| text.split(before).skip(1).map(word).collect::<BTreeSet<_>>();
    let rights = source.split_once("const WRITE_RIGHTS").unwrap().1.split_once("];").unwrap().0.to_owned();
    let mut asked = names(&source, "Op::new(\"");
    // `Op::new(name)` is over WRITE_RIGHTS; any other name that is no literal would be missed here.
    assert_eq!(source.matches("Op::new(").count() - source.matches("Op::new(\"").count(), 1);
    asked.extend(names(&rights, "(\""));
    asked.extend(["events", "timezone"].map(str::to_owned));
    let recipe = read(&recipe("nginx-read-only.conf"));
    let lines = recipe.lines().filter(|line| !line.trim_start().starts_with('#'));
    let listed = names(&lines.collect::<String>(), "op2=");
    assert_eq!(listed, asked);
    let readme = read(&self::recipe("README.md"));
    let table: String = readme.lines().filter(|line| line.starts_with('|')).collect();
    for name in &asked {
        assert!(table.contains(&format!("`{name}`")), "README.md does not list {name}");
    }
}

#[tokio::test]
async fn our_reads_pass() {
    let console = console();
    let nginx = in_front_of(&console).await;
    let folder = configuration(&nginx);
    let search = run(folder.path(), &["search", "--format", "json", "--require", "all"]).await;
    let words = String::from_utf8_lossy(&search.stderr).into_owned();
    assert_eq!(search.status.code(), Some(0), "{words}");
    let report: serde_json::Value = serde_json::from_slice(&search.stdout).unwrap();
    assert_eq!((&report["complete"], &report["total"]), (&true.into(), &2.into()));
    assert!(report["agents"].as_array().unwrap().iter().any(|agent| agent["os"] == "Own OS"), "{report}");
    let check = run(folder.path(), &["check"]).await;
    let steps = String::from_utf8_lossy(&check.stdout).into_owned();
    assert_eq!(check.status.code(), Some(0), "{steps}");

    let config = config::load(&folder.path().join("sites.yaml"), &|_| None).unwrap();
    let app = App::new(config, Clock::System);
    let site = app.federation.slots()[0].plan().site.as_ref().unwrap();
    let deadline = Deadline::after(Duration::from_secs(20));
    let inventory = site.inventory(deadline).await.unwrap().inventory;
    assert_eq!(site.fired_alerts(deadline).await.unwrap().fired.agents().count(), 0);
    let detail = site.detail("1", &inventory, &|_| (), deadline).await.unwrap();
    assert_eq!(detail.modules[0].name, "CPU Load");
    let now = Clock::System.now();
    let from = Timestamp::from_secs(now.as_secs() - 3600);
    let before = |hours: i64| Timestamp::from_secs(now.as_secs() - 3600 * hours);
    for (from, to) in [(from, now), (before(8), before(7))] {
        assert!(!site.series(&detail.modules[0].id, from, to, deadline).await.unwrap().points.is_empty());
    }

    for query in [
        "op=get&op2=timezone",
        "op=get&op2=events&return_type=json&other=%3B%7C%7C%7C%7C%7C%7C%7C%7C%7C%7C5%7C0&other_mode=url_encode_separator_%7C",
    ] {
        assert_eq!(nginx.get(&format!("{PATH}?{query}")).await, 200, "{query}");
    }
    // Every line of the recipe was used.
    let recipe = read(&recipe("nginx-read-only.conf"));
    for name in recipe.split("&op2=").skip(1).map(|rest| rest.split(['&', '$', '(']).next().unwrap()) {
        assert!(console.requests().count(name) > 0, "{name} was not asked through nginx");
    }
    assert!(console.requests().count("version") > 0);
    assert_eq!(console.requests().load().sets, 0);
    let seen = console.requests().all();
    assert!(seen.iter().all(|seen| !seen.headers.contains_key("cookie")));
    let answer = reqwest::get(format!("http://{}{PATH}?info=version", nginx.address)).await.unwrap();
    assert!(answer.status() == 200 && !answer.headers().contains_key("set-cookie"));
}

/// Query strings that do not pass.
const QUERIES: &[&str] = &[
    // Other operations.
    "op=set&op2=delete_agent&id=1",
    "op=get&op2=users",
    "op=get&op2=users&return_type=json",
    "op=get&op2=user_info&return_type=json",
    "op=get&op2=all_agents",
    "op=help&op2=test",
    "op2=users&op=get",
    "op=get&op2=extension&ext_name=x&ext_function=y",
    "",
    "op=get",
    "op=get&op2=",
    "op=get&op2=test2",
    "op=get&op2=testusers",
    // Letter case: PHP does not care, the recipe does.
    "op=get&op2=TEST",
    "op=get&op2=Users",
    "OP=get&op2=test",
    "op=GET&op2=test",
    "INFO=version",
    "info=Version",
    // A second operation, in all the ways PHP reads one.
    "op=get&op2=test&op2=users",
    "op=get&op2=test&op=set",
    "op=set&op=get&op2=test",
    "op=get&op2=users&op2=test",
    "op=get&op2=test&op2[]=users",
    "op=get&op2=test&op%32=users",
    "op=get&op2=test&o%70=set",
    "op=get&op2=test&%6fp2=users",
    "op=get&op2=test&op2%00=users",
    "op=get&op2=test;op2=users",
    "op=get&op2=test&+op2=users",
    "op=get&op2=test&%20op2=users",
    "op=get&op2=groups&return_type=json&op2=users",
    "op=get&op2=groups&return_type=json&id=1&op%32=users",
    "op[]=get&op2=test",
    "op=get&op2[]=test",
    "op%5b%5d=get&op2=test",
    "o%70=get&op2=test",
    "op=get&op%32=test",
    "op=%67et&op2=test",
    "op=get&op2=t%65st",
    "op=get&op2=test%00",
    "op=get&op2=test%0a",
    "op=get&op2=test#",
    "op=get&op2=test&",
    "&op=get&op2=test",
    "?op=get&op2=test",
    "op=get&&op2=test",
    // Other logins.
    "op=get&op2=test&apipass=x",
    "op=get&op2=test&user=x&pass=y",
    "op=get&op2=test&server_auth=x",
    "op=get&op2=test&raw_decode=0",
    "op=get&op2=test&loginhash=auto",
    // More than the version.
    "info=version&op=get&op2=users",
    "op=get&op2=users&info=version",
    "info=version&info=x",
    "info[]=version",
    "%69nfo=version",
    // Arguments that make a read answer more than we need.
    "op=get&op2=groups&return_type=json&other=%3B%7C1%7C1&other_mode=url_encode_separator_%7C",
    "op=get&op2=tree_agents&return_type=json",
    "op=get&op2=tree_agents&return_type=json&other=%3B%7C+%7C&other_mode=url_encode_separator_%7C",
    "op=get&op2=tree_agents&return_type=json&other=%3B%7C+%7Cmodule_plugin_pass&other_mode=url_encode_separator_%7C",
    "op=get&op2=tree_agents&return_type=json&other=%3B%7C+%7Ctype_row%2Cmodule_snmp_community&other_mode=url_encode_separator_%7C",
    "op=get&op2=tree_agents&return_type=json&other=%3B%7C+%7Cmodule_%70lugin_pass&other_mode=url_encode_separator_%7C",
    "op=get&op2=tree_agents&return_type=json&other=%3B%7C+%7Cmodule_%2570lugin_pass&other_mode=url_encode_separator_%7C",
    "op=get&op2=tree_agents&return_type=json&other=%3B%7C+%7Ctype_row&other_mode=url_encode_separator_%7C&other=",
    "op=get&op2=tree_agents&return_type=json&other=%3B%7C+%7Ctype_row&other_mode=url_encode",
    "op=get&op2=module_properties&return_type=json&id=1",
    "op=get&op2=module_properties&return_type=json&id=1%20or%201&other=%3B%7C+%7Cmodule_name&other_mode=url_encode_separator_%7C",
    "op=get&op2=all_agents&return_type=json&other=%7C%7Calert_fired&other_mode=url_encode_separator_%7C",
    "op=get&op2=module_data&id=1&other=%3B%7C%7C20261123T17%3A00%3A00Z&other_mode=url_encode_separator_%7C",
    "op=get&op2=module_data&id=1&other=%3B%7C%7C20261123T17%3A00%7C20261123T18%3A00&other_mode=url_encode_separator_%7C",
    "op=get&op2=module_data&id=1&other=%3B%7C60%7C20261123T17%3A00%3A00Z%7C20261123T18%3A00%3A00Z&other_mode=url_encode_separator_%7C",
    "op=get&op2=events&return_type=json&other=%00&other_mode=url_encode_separator_%7C",
    "op=get&op2=events&return_type=json&other=%2527&other_mode=url_encode_separator_%7C",
];

/// Targets with a good query that name the file in another way, or another file.
const TARGETS: &[&str] = &[
    "//pandora_console/include/api.php",
    "/pandora_console//include/api.php",
    "/pandora_console/./include/api.php",
    "/pandora_console/include/./api.php",
    "/pandora_console/include/../include/api.php",
    "/pandora_console/include/api.php/",
    "/pandora_console/include/api.php/x",
    "/pandora_console/include/api.php/x.php",
    "/pandora_console/include/api.php;x",
    "/pandora_console/include/api.php%00",
    "/pandora_console/include/api.php%00.html",
    "/pandora_console/include/api.php%20",
    "/pandora_console/include/api.php.",
    "/pandora_console/include/api%2ephp",
    "/pandora_console/include/%61pi.php",
    "/pandora_console/include%2fapi.php",
    "/pandora_console/include/API.php",
    "/pandora_console/include/api.PHP",
    "/pandora_console/include/ajax.php",
    "/pandora_console/index.php",
    "/pandora_console/",
    "/",
    "/include/api.php",
    "/pandora_console/include\\api.php",
    "/pandora_console/include/api.php%3fop=get",
    "http://console.example.org/pandora_console/include/api.php",
    "http://user@console.example.org/pandora_console/include/api.php",
];

/// Request lines and headers that do not pass with a good path and query; headers, then body.
fn requests() -> Vec<(String, String, &'static str)> {
    let good = format!("{PATH}?op=get&op2=test");
    let line = format!("GET {good} HTTP/1.1");
    let mut all = Vec::new();
    for method in ["POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "get", "GETX"] {
        all.push((format!("{method} {good} HTTP/1.1"), bearer(), ""));
    }
    for line in [format!("GET  {good} HTTP/1.1"), format!("GET {good}  HTTP/1.1"), format!("GET {good} x HTTP/1.1")] {
        all.push((line, bearer(), ""));
    }
    for (headers, body) in [
        ("Content-Length: 9\r\n", "op=set&x=1"),
        ("Content-Length: 0\r\n", ""),
        ("Content-Length: 8\r\nContent-Type: application/x-www-form-urlencoded\r\n", "op2=user"),
        ("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"),
        ("Content-Length: -1\r\n", ""),
        ("Transfer-Encoding: chunked\r\n", "6\r\nop=set\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 6\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: identity\r\n", ""),
        ("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding:\tchunked\r\n", "0\r\n\r\n"),
        ("transfer-encoding: CHUNKED\r\n", "0\r\n\r\n"),
    ] {
        all.push((line.clone(), bearer() + headers, body));
    }
    for authorization in [
        "",
        "Authorization:\r\n",
        "Authorization: Bearer\r\n",
        "Authorization: Bearer \r\n",
        "Authorization: bearer x\r\n",
        "Authorization: Basic eDp5\r\n",
        "Authorization: Basic eDp5, Bearer x\r\n",
        "Authorization: Bearer a b\r\n",
        "Authorization: Bearer a\tb\r\n",
        "Authorization: Bearer a' or 'a'='a\r\n",
        "Authorization_: Bearer x\r\n",
        "X-Authorization: Bearer x\r\n",
    ] {
        all.push((line.clone(), authorization.to_owned(), ""));
    }
    all
}

/// Sends everything forbidden; gives how many requests that were.
async fn try_everything(nginx: &Nginx) {
    let refused = |status: u16| matches!(status, 400 | 403 | 405 | 501);
    for query in QUERIES {
        let status = nginx.get(&format!("{PATH}?{query}")).await;
        assert!(refused(status), "{query}: {status}");
    }
    for target in TARGETS {
        for query in ["op=get&op2=test", "info=version", TREE] {
            let status = nginx.get(&format!("{target}?{query}")).await;
            assert!(refused(status), "{target}?{query}: {status}");
        }
    }
    for (line, headers, body) in requests() {
        let status = nginx.send(&line, &headers, body).await;
        assert!(refused(status), "{line} {headers:?}: {status}");
    }
    let old = format!("GET {PATH}?op=get&op2=test\r\n");
    assert!(refused(nginx.raw(old.as_bytes()).await), "HTTP/0.9");
    let no_host = format!("GET {PATH}?op=get&op2=test HTTP/1.1\r\n{}\r\n", bearer());
    assert_eq!(nginx.raw(no_host.as_bytes()).await, 400);
}

#[tokio::test]
async fn nothing_else_reaches_the_console() {
    let console = console();
    let nginx = in_front_of(&console).await;
    try_everything(&nginx).await;
    assert_eq!(console.requests().load().total, 0, "{:?}", console.requests().all());
    // So that all of this was refused for what it is.
    assert_eq!(nginx.get(&format!("{PATH}?op=get&op2=test")).await, 200);
    assert_eq!(nginx.get(&format!("{PATH}?{TREE}")).await, 200);
    assert_eq!(nginx.send(&format!("GET {PATH}?info=version HTTP/1.1"), "", "").await, 200);
    assert_eq!(nginx.send(&format!("GET {PATH}?op=get&op2=test HTTP/1.0"), &bearer(), "").await, 200);
    assert_eq!(console.requests().load().total, 4);
}

#[tokio::test]
async fn a_request_behind_a_refused_one_is_judged_for_itself() {
    let console = console();
    let nginx = in_front_of(&console).await;
    let bad = format!("POST {PATH}?op=get&op2=test HTTP/1.1\r\nHost: x\r\n{}Content-Length: 0\r\n\r\n", bearer());
    let worse = format!("GET {PATH}?op=get&op2=users HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}\r\n", bearer());
    assert_eq!(nginx.raw(format!("{bad}{worse}").as_bytes()).await, 403);
    let good = format!("GET {PATH}?op=get&op2=test HTTP/1.1\r\nHost: x\r\n{}\r\n", bearer());
    assert_eq!(nginx.raw(format!("{good}{worse}").as_bytes()).await, 200);
    assert_eq!(console.requests().load().total, 1);
}

#[tokio::test]
async fn only_the_gateway_is_let_in() {
    let console = console();
    let nginx = Nginx::start(|port| {
        let (listen, back) = (format!("listen 127.0.0.1:{port};"), console.address().to_string());
        location(0, &[("listen 8443 ssl;", &listen), ("127.0.0.1:8080", &back)])
    })
    .await;
    assert_eq!(nginx.get(&format!("{PATH}?op=get&op2=test")).await, 403);
    assert_eq!(console.requests().load().total, 0);
}

#[tokio::test]
async fn the_location_of_a_console_of_nginx_refuses_the_same() {
    // No PHP is there: what passes is a 502, and what is refused is not.
    let nowhere = tempfile::tempdir().unwrap();
    let socket = format!("unix:{}", nowhere.path().join("php.sock").display());
    let parameters = nowhere.path().join("fastcgi_params");
    std::fs::write(&parameters, "fastcgi_param QUERY_STRING $query_string;\n").unwrap();
    let parameters = parameters.display().to_string();
    let nginx = Nginx::start(|port| {
        let changes = [
            ("192.0.2.10", "127.0.0.1"),
            ("/etc/nginx/fastcgi_params", parameters.as_str()),
            ("unix:/run/php/php-fpm.sock", socket.as_str()),
        ];
        let php = "location ~ \\.php { return 502; }\n";
        format!("server {{\nlisten 127.0.0.1:{port};\n{}{php}}}\n", location(1, &changes))
    })
    .await;
    for query in QUERIES {
        assert_eq!(nginx.get(&format!("{PATH}?{query}")).await / 100, 4, "{query}");
    }
    for target in
        TARGETS.iter().filter(|target| target.to_lowercase().ends_with("api.php") || target.contains("api.php/"))
    {
        let status = nginx.get(&format!("{target}?op=get&op2=test")).await;
        // Other files than the one are other locations' matter.
        let other = ["/include/api.php", "/pandora_console/include/API.php", "/pandora_console/include/api.PHP"];
        assert!(status / 100 == 4 || other.contains(target) || target.contains('\\'), "{target}: {status}");
    }
    for (line, headers, body) in requests() {
        let status = nginx.send(&line, &headers, body).await;
        assert!(matches!(status, 400 | 403 | 405 | 501), "{line} {headers:?}: {status}");
    }
    assert_eq!(nginx.get(&format!("{PATH}?op=get&op2=test")).await, 502);
    assert_eq!(nginx.get(&format!("{PATH}?info=version")).await, 502);
}
