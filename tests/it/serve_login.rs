//! The gateway as a process with a login: what a kill, a restart and a changed file leave of sessions.

use std::net::SocketAddr;

use crate::support::browser::{Browser, SESSION, between, hashed};
use crate::support::gateway::until;
use crate::support::program::{Config, program};
use crate::support::running::Running;

fn yaml(users: &[&str]) -> String {
    let user = |login: &&str| format!("    - {{login: {login}, password: '{}', roles: [all]}}\n", hashed(login));
    format!(
        "gateway: {{listen: \"127.0.0.1:0\", state_dir: state}}\n\
         sites: [{{id: a, url: \"http://10.0.0.1/\", credentials: {{token: \"file:token\"}}}}]\n\
         access:\n  roles: {{all: {{search: ['*'], view: ['*']}}}}\n  users:\n{}",
        users.iter().map(user).collect::<String>()
    )
}

async fn started(config: &Config) -> (Running, String) {
    let mut running = Running::start(config.command("serve"));
    let address: SocketAddr = running.address().await;
    (running, format!("http://{address}"))
}

async fn killed(running: Running) {
    running.signal("KILL");
    running.ended().await;
}

async fn status(base: &str, session: &str) -> u16 {
    let mut browser = Browser::new(base);
    browser.cookies.insert(SESSION.to_owned(), session.to_owned());
    browser.get("/api/v1/me").await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_loses_no_session_and_no_end_of_one() {
    let config = Config::new(&yaml(&["ana", "ben"]));
    let (running, base) = started(&config).await;
    assert!(
        running.said.iter().any(|line| line.contains("2 users and 0 API tokens may come in")),
        "{:#?}",
        running.said
    );
    let kept = Browser::logged_in(&base, "ana").await.cookies[SESSION].clone();
    let mut leaving = Browser::logged_in(&base, "ben").await;
    let left = leaving.cookies[SESSION].clone();
    let page = leaving.get("/logout").await.text;
    let form = between(&page, "name=\"form\" value=\"", "\"").to_owned();
    assert_eq!(leaving.post("/logout", &[("form", &form)]).await.status, 303);
    killed(running).await;
    let (running, base) = started(&config).await;
    assert_eq!((status(&base, &kept).await, status(&base, &left).await), (200, 401));
    let said = running.end().await;
    assert!(!said.contains(&kept) && !said.contains("correct horse"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_leaves_the_file_is_out_soon() {
    let config = Config::new(&yaml(&["ana", "ben"]));
    let (mut running, base) = started(&config).await;
    let ana = Browser::logged_in(&base, "ana").await.cookies[SESSION].clone();
    assert_eq!(status(&base, &ana).await, 200);
    config.write("sites.yaml", yaml(&["ben"]).as_bytes());
    until("ana is out", || async { status(&base, &ana).await == 401 }).await;
    let line = running.says("new configuration in force").await;
    assert!(line.contains("access=\"changed\""), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_store_and_a_second_gateway_are_refused_with_a_remedy() {
    let config = Config::new(&yaml(&["ana"]));
    let (running, _) = started(&config).await;
    let (code, said) = Running::start(config.command("serve")).ended().await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("another metaconsole writes the audit log; give each gateway a state_dir"), "{said}");
    killed(running).await;
    config.write("state/sessions.redb", &[b'x'; 9000]);
    let (code, said) = Running::start(config.command("serve")).ended().await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("; move the file away for a new one (everybody logs in again)"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_login_takes_a_restart_and_the_last_one_does_not_go_unasked() {
    let (without, _) = yaml(&["ana"]).split_once("access:").map(|(text, rest)| (text.to_owned(), rest.len())).unwrap();
    let config = Config::new(&without);
    let (mut running, base) = started(&config).await;
    config.write("sites.yaml", yaml(&["ana"]).as_bytes());
    running.says("the configuration has its first login now; restart").await;
    assert_eq!(Browser::new(&base).get("/login").await.status, 404);
    running.end().await;
    let (mut running, base) = started(&config).await;
    config.write("sites.yaml", without.as_bytes());
    running.says("the configuration has no login any more; restart").await;
    assert_eq!(Browser::new(&base).get("/api/v1/sites").await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_asks_for_the_login_that_it_prints() {
    let folder = tempfile::tempdir().unwrap();
    for port in (27_000..29_700).step_by(10) {
        let mut command = program(folder.path());
        command.args(["demo", "--port", &port.to_string()]).env("TMPDIR", folder.path());
        let mut running = Running::start_telling(command);
        let Some(greeting) = running.greeting("site:madrid").await else { continue };
        let base = format!("http://127.0.0.1:{port}");
        let password = between(&greeting, "as demo with the password ", "\n").to_owned();
        let token = between(&greeting, "curl -H 'Authorization: Bearer ", "'").to_owned();
        let mut browser = Browser::new(&base);
        assert_eq!(browser.get("/api/v1/sites").await.status, 401);
        let by_token =
            browser.client.get(format!("{base}/api/v1/sites")).header("authorization", format!("Bearer {token}"));
        assert_eq!(browser.send(by_token).await.status, 200);
        assert_eq!(browser.log_in("demo", &password, "").await.status, 303);
        assert_eq!(browser.get("/api/v1/me").await.json()["login"], "local:demo");
        running.signal("HUP");
        assert_eq!(running.ended().await.0, Some(0));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        return;
    }
    panic!("no ports are free");
}

#[tokio::test]
async fn the_demo_offers_no_login_where_no_browser_could_keep_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(folder.path());
    command.args(["demo", "--listen", "192.0.2.1"]);
    let output = command.output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("listen on 127.0.0.1, or add --anonymous"), "{said}");
}

/// A certificate of its own for loopback, beside the configuration.
fn certify(config: &Config) -> Vec<u8> {
    use std::os::unix::fs::PermissionsExt as _;
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    // The key first: while the two do not fit together, what was in force stays.
    config.write("meta.key", made.signing_key.serialize_pem().as_bytes());
    let key = config.path().with_file_name("meta.key");
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).unwrap();
    config.write("meta.pem", made.cert.pem().as_bytes());
    made.cert.der().to_vec()
}

/// The certificate that a new connection is shown, and the answer's status.
async fn shown(address: &str) -> (Vec<u8>, u16) {
    let client = reqwest::Client::builder().no_proxy().tls_danger_accept_invalid_certs(true).tls_info(true);
    let answer = client.build().unwrap().get(format!("https://{address}/healthz")).send().await.unwrap();
    let info = answer.extensions().get::<reqwest::tls::TlsInfo>().unwrap();
    (info.peer_certificate().unwrap().to_vec(), answer.status().as_u16())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_own_port_is_encrypted_and_a_changed_certificate_is_used() {
    let config =
        Config::new(&yaml(&["ana"]).replace("state_dir", "tls: {cert_file: meta.pem, key_file: meta.key}, state_dir"));
    let first = certify(&config);
    let mut running = Running::start(config.command("serve"));
    let line = running.says("listens on https://").await;
    let address = line.split("https://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    assert_eq!(shown(&address).await, (first, 200));
    let plain = reqwest::Client::builder().no_proxy().build().unwrap();
    assert!(plain.get(format!("http://{address}/healthz")).send().await.is_err());
    let second = certify(&config);
    running.says("new connections use the changed certificate").await;
    assert_eq!(shown(&address).await, (second, 200));
    running.end().await;
}
