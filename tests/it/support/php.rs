//! A site with the real drop-in: `mc.php` in a folder with the stand-in console of `tests/php`, under PHP's own server.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use reqwest::header::SET_COOKIE;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use super::gateway::Answer;

/// The tables that the stand-in console has, and one account.
const BASE: &str = "$base = new PDO('sqlite:' . $argv[1]);
$base->exec('PRAGMA journal_mode = WAL');
foreach (['tusuario (id_user TEXT COLLATE NOCASE UNIQUE, is_admin INT DEFAULT 0, disabled INT DEFAULT 0, login_blocked INT
    DEFAULT 0, not_login INT DEFAULT 0, force_change_pass INT DEFAULT 0, allowed_ip_active INT DEFAULT 0, allowed_ip_list TEXT)',
    'tusuario_perfil (id_usuario TEXT, id_perfil INT, id_grupo INT)',
    'tuser_double_auth (id INTEGER PRIMARY KEY, id_user TEXT, secret TEXT)',
    'tsessions_php (id_session TEXT PRIMARY KEY, last_active INT, data TEXT)',
    'tsesion (id_sesion INTEGER PRIMARY KEY, id_usuario TEXT, accion TEXT, descripcion TEXT)',
    'tconfig (token TEXT PRIMARY KEY, value TEXT)'] as $table) { $base->exec(\"CREATE TABLE $table\"); }
$base->exec(\"INSERT INTO tconfig VALUES ('loginhash_pwd', '')\");
foreach (['ops.reader', 'ben'] as $name) {
    $base->exec(\"INSERT INTO tusuario (id_user) VALUES ('$name')\");
    $base->exec(\"INSERT INTO tusuario_perfil VALUES ('$name', 1, 0)\");
}";

/// Ends when dropped.
pub(crate) struct PhpSite {
    folder: TempDir,
    pub(crate) address: SocketAddr,
    host: &'static str,
    server: Child,
}

impl PhpSite {
    /// Under a host name of its own (`….localhost`). It refuses everything until [`PhpSite::allow`].
    pub(crate) async fn start(host: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let console = folder.path().join("www/pandora_console");
        std::fs::create_dir_all(console.join("include")).unwrap();
        std::fs::create_dir(folder.path().join("etc")).unwrap();
        std::fs::copy("integrations/pandora/mc.php", console.join("mc.php")).unwrap();
        std::fs::copy("tests/php/console/index.php", console.join("index.php")).unwrap();
        std::fs::copy("tests/php/console/include/config.php", console.join("include/config.php")).unwrap();
        let made = Command::new("php").args(["-r", BASE, "--"]).arg(folder.path().join("base")).status().await;
        let made =
            made.expect("php is missing, and this test needs it: run scripts/test, which installs what the tests need");
        assert!(made.success());
        for _ in 0..5 {
            // Free now; somebody else may be quicker.
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let address = listener.local_addr().unwrap();
            drop(listener);
            let mut server = serve(&folder, address);
            let mut tick = tokio::time::interval(std::time::Duration::from_millis(10));
            while server.try_wait().unwrap().is_none() {
                if TcpStream::connect(address).await.is_ok() {
                    return Self { folder, address, host, server };
                }
                tick.tick().await;
            }
        }
        panic!("PHP's web server does not start");
    }

    /// The console's root, as browsers reach it.
    pub(crate) fn root(&self) -> String {
        format!("http://{}:{}/pandora_console/", self.host, self.address.port())
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// The site's own policy: back to this gateway, these accounts. The keys are in `etc/keys`.
    pub(crate) fn allow(&self, site: &str, gateway: &str, accounts: &[&str]) {
        self.write(site, gateway, accounts, "offline");
    }

    /// The same, and the gateway is asked.
    pub(crate) fn allow_online(&self, site: &str, gateway: &str, accounts: &[&str]) {
        self.write(site, gateway, accounts, "online");
    }

    fn write(&self, site: &str, gateway: &str, accounts: &[&str], verification: &str) {
        let file = |name: &str| self.path(name).display().to_string();
        let mut text = format!(
            "site = {site}\nissuers[] = gateway\ngateway = {gateway}\nkeys = {}\naudit_file = {}\n\
             verification = {verification}\n",
            file("etc/keys"),
            file("audit")
        );
        for account in accounts {
            text.push_str(&format!("allow[] = {account}\n"));
        }
        let policy = self.path("etc/policy.ini");
        std::fs::write(&policy, text).unwrap();
        std::fs::set_permissions(&policy, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Turns the console's own hash login on.
    pub(crate) fn hash_login(&self, secret: &str) {
        std::fs::write(self.path("etc/loginhash"), secret).unwrap();
    }

    /// How many of the console's sessions are logged in.
    pub(crate) async fn sessions(&self) -> usize {
        let count = "$base = new PDO('sqlite:' . $argv[1]); $base->exec('PRAGMA busy_timeout = 5000'); \
                     echo $base->query(\"SELECT COUNT(*) FROM tsessions_php WHERE data LIKE '%id_usuario%'\")->fetchColumn();";
        let output = Command::new("php").args(["-r", count, "--"]).arg(self.path("base")).output().await.unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
    }

    /// What the drop-in decided, one JSON record each.
    pub(crate) fn decisions(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.path("audit")).unwrap_or_default();
        let json = |line: &str| serde_json::from_str(&line[line.find('{').unwrap()..]).unwrap();
        text.lines().map(json).collect()
    }
}

fn serve(folder: &TempDir, address: SocketAddr) -> Child {
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let mut command = Command::new("php");
    command.args(["-d", "display_errors=0", "-S", &address.to_string(), "-t"]).arg(folder.path().join("www"));
    command.env("METACONSOLE_POLICY", folder.path().join("etc/policy.ini"));
    command.env("STANDIN_DATABASE", folder.path().join("base")).env("STANDIN_TOUCHED", folder.path().join("touched"));
    command.env("PHP_CLI_SERVER_WORKERS", "4").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    // It does not pass a signal on to its workers, so all of them get it.
    command.process_group(0).kill_on_drop(true).spawn().unwrap()
}

impl Drop for PhpSite {
    fn drop(&mut self) {
        if let Some(group) = self.server.id() {
            let _ = std::process::Command::new("kill").args(["-INT", "--", &format!("-{group}")]).status();
        }
    }
}

/// A browser at such sites: its cookies by host. It follows nothing by itself.
pub(crate) struct Visitor {
    client: reqwest::Client,
    cookies: BTreeMap<(String, String), String>,
}

impl Visitor {
    pub(crate) fn at(sites: &[&PhpSite]) -> Self {
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let known = |client: reqwest::ClientBuilder, site: &&PhpSite| client.resolve(site.host, site.address);
        Self { client: sites.iter().fold(client, known).build().unwrap(), cookies: BTreeMap::new() }
    }

    pub(crate) async fn get(&mut self, url: &str) -> Answer {
        self.send(url, self.client.get(url)).await
    }

    pub(crate) async fn post(&mut self, url: &str, form: &[(&str, &str)]) -> Answer {
        let request = self.client.post(url).header("sec-fetch-site", "cross-site").form(form);
        self.send(url, request).await
    }

    /// The state that the site gave this browser for its one opening.
    pub(crate) fn state(&self) -> String {
        let states = self.cookies.iter().filter(|((_, name), _)| name.starts_with("__Host-mc_pre_"));
        let states: Vec<&String> = states.map(|(_, state)| state).collect();
        assert_eq!(states.len(), 1);
        states[0].clone()
    }

    /// Any method, and headers; cookies are sent, what is set is forgotten.
    pub(crate) async fn look(&mut self, method: &str, url: &str, headers: &[(&str, &str)]) -> Answer {
        let request = self.client.request(method.parse().unwrap(), url);
        let kept = self.cookies.clone();
        let answer = self.send(url, headers.iter().fold(request, |request, (n, v)| request.header(*n, *v))).await;
        assert!(!self.is_in(), "{method} {url}");
        self.cookies = kept;
        answer
    }

    /// Whether the console gave this browser a session.
    pub(crate) fn is_in(&self) -> bool {
        self.cookies.keys().any(|(_, name)| name == "PHPSESSID")
    }

    async fn send(&mut self, url: &str, request: reqwest::RequestBuilder) -> Answer {
        let host = url::Url::parse(url).unwrap().host_str().unwrap().to_owned();
        let own = self.cookies.iter().filter(|((known, _), _)| *known == host);
        let line: Vec<String> = own.map(|((_, name), value)| format!("{name}={value}")).collect();
        let request = if line.is_empty() { request } else { request.header("cookie", line.join("; ")) };
        let answer = Answer::of(request.send().await.unwrap()).await;
        for set in answer.headers.get_all(SET_COOKIE.as_str()) {
            let set = set.to_str().unwrap();
            let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
            let key = (host.clone(), name.to_owned());
            if set.contains("Max-Age=0") {
                self.cookies.remove(&key);
            } else {
                self.cookies.insert(key, value.to_owned());
            }
        }
        answer
    }
}
