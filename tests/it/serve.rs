//! The gateway as a process: its port, its signals, its logs, and the files it follows.

use std::net::Ipv4Addr;
use std::path::Path;

use tokio::net::{TcpListener, TcpStream};

use crate::support::program::{Config, program};
use crate::support::running::{Running, get};

const GATEWAY: &str = "gateway: {listen: \"127.0.0.1:0\"}\n";

fn site(id: &str) -> String {
    format!("  - {{id: {id}, url: \"http://10.0.0.1/{id}/\", credentials: {{token: \"file:token\"}}}}\n")
}

fn yaml(ids: &[&str]) -> String {
    format!("{GATEWAY}sites:\n{}", ids.iter().map(|id| site(id)).collect::<String>())
}

fn serve(config: &Config) -> Running {
    Running::start(config.command("serve"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_starts_answers_and_ends_when_asked() {
    for signal in ["TERM", "INT"] {
        let config = Config::new(&yaml(&["a"]));
        let mut running = serve(&config);
        let address = running.address().await;
        assert!(running.said.iter().any(|line| line.contains("every local user can read")), "{:#?}", running.said);
        let answer = get(address, "/healthz").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        running.signal(signal);
        let (code, said) = running.ended().await;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("asked to end"), "{said}");
        assert!(TcpStream::connect(address).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_is_told_and_ends_with_1() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = taken.local_addr().unwrap();
    let config = Config::new(&format!("gateway: {{listen: \"{address}\"}}\nsites:\n{}", site("a")));
    let (code, said) = serve(&config).ended().await;
    assert_eq!(code, Some(1), "{said}");
    let expected = format!("cannot listen on {address}: another program listens there; end it, or write another port");
    assert!(said.contains(&expected), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_loopback_it_starts_only_when_that_is_meant() {
    let open = yaml(&["a"]).replace("127.0.0.1:0", "0.0.0.0:0");
    let config = Config::new(&open);
    let (code, said) = serve(&config).ended().await;
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("everybody who reaches 0.0.0.0:0 could read; write `gateway.allow_anonymous: true`"),
        "{said}"
    );
    let config = Config::new(&open.replace("0.0.0.0:0\"", "0.0.0.0:0\", allow_anonymous: true"));
    let mut running = serve(&config);
    running.says("everybody who reaches 0.0.0.0:").await;
    running.says("write `gateway.public_url`").await;
    running.address().await;
    // A change that would not be allowed at a start is not allowed later either.
    config.write("sites.yaml", open.as_bytes());
    running.says("write `gateway.allow_anonymous: true` if that is meant").await;
    running.says("the earlier one stays in force").await;
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_configuration_does_not_start_and_every_mistake_is_told() {
    let config = Config::new("sites:\n  - {id: A, url: nowhere, colour: red}\n");
    let (code, said) = serve(&config).ended().await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.lines().count() >= 3 && said.contains("unknown key `colour`"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_under_the_gateways_host_name_is_named() {
    let yaml = yaml(&["a", "b"]).replace("http://10.0.0.1/b/", "http://127.0.0.1:9/");
    let config = Config::new(&yaml);
    let mut running = serve(&config);
    let line = running.says("under the gateway's own host name 127.0.0.1").await;
    assert!(line.contains("sites=\"b\""), "{line}");
    running.address().await;
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hangup_reads_again_and_says_what_differs() {
    let config = Config::new(&yaml(&["a", "b"]));
    let mut running = serve(&config);
    running.address().await;
    running.signal("HUP");
    running.says("nothing differs").await;
    let changed = yaml(&["b", "c"]).replace("id: b,", "id: b, max_age: 61s,");
    config.write("sites.yaml", changed.replace("127.0.0.1:0", "127.0.0.1:1").as_bytes());
    running.signal("HUP");
    // What cannot be obeyed before a restart is said, and stays as it was.
    running.says("`gateway.listen` is 127.0.0.1:1 now; restart to listen there").await;
    let line = running.says("new configuration in force").await;
    for difference in ["added=\"c\"", "changed=\"b\"", "removed=\"a\"", "gateway=\"same\""] {
        assert!(line.contains(difference), "{difference}: {line}");
    }
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_followed_however_it_is_replaced() {
    let config = Config::new(&yaml(&["a"]));
    let path = config.path();
    let folder = path.parent().unwrap().to_path_buf();
    let mut running = serve(&config);
    running.address().await;
    // Written in place.
    std::fs::write(&path, yaml(&["a", "b"])).unwrap();
    running.says("added=\"b\"").await;
    // Written beside it and renamed, as editors do.
    std::fs::write(folder.join(".new"), yaml(&["a", "c"])).unwrap();
    std::fs::rename(folder.join(".new"), &path).unwrap();
    running.says("added=\"c\" changed=\"\" removed=\"b\"").await;
    // Deleted, which is told, and made again.
    std::fs::remove_file(&path).unwrap();
    running.says("no such file").await;
    std::fs::write(&path, yaml(&["a", "d"])).unwrap();
    running.says("added=\"d\"").await;
    // More files beside it, in a folder that was not there, twice.
    for id in ["e", "f"] {
        std::fs::create_dir(folder.join("sites.d")).unwrap();
        let more = format!("sites:\n{}", site(id).replace("file:token", "file:../token"));
        std::fs::write(folder.join("sites.d/more.yaml"), more).unwrap();
        running.says(&format!("added=\"{id}\"")).await;
        std::fs::remove_dir_all(folder.join("sites.d")).unwrap();
        running.says(&format!("removed=\"{id}\"")).await;
    }
    // A secret.
    std::fs::write(folder.join("token"), "another-token").unwrap();
    running.says("changed=\"a, d\"").await;
    let said = running.end().await;
    assert!(!said.contains("demo-token") && !said.contains("another-token"), "{said}");
}

/// As the kubelet writes a version of a volume: a folder of its own, then one link that is turned by a rename.
fn publish(volume: &Path, version: &str, text: &str) {
    std::fs::create_dir(volume.join(version)).unwrap();
    std::fs::write(volume.join(version).join("sites.yaml"), text).unwrap();
    std::fs::write(volume.join(version).join("token"), "demo-token-read-only").unwrap();
    std::os::unix::fs::symlink(version, volume.join("..data_tmp")).unwrap();
    std::fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_of_kubernetes_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let volume = folder.path();
    publish(volume, "..1", &yaml(&["a"]));
    for name in ["sites.yaml", "token"] {
        std::os::unix::fs::symlink(Path::new("..data").join(name), volume.join(name)).unwrap();
    }
    let mut command = program(volume);
    command.args(["serve", "--config", "sites.yaml"]);
    let mut running = Running::start(command);
    running.address().await;
    for (before, version, id) in [("..1", "..2", "b"), ("..2", "..3", "c")] {
        publish(volume, version, &yaml(&["a", id]));
        std::fs::remove_dir_all(volume.join(before)).unwrap();
        running.says(&format!("added=\"{id}\"")).await;
    }
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_file_is_told_once_and_leaves_the_old_in_force() {
    let config = Config::new(&yaml(&["a"]));
    let mut running = serve(&config);
    running.address().await;
    let bad = yaml(&["a", "b"]).replace("id: b,", "id: b, colour: red, token: hunter2,");
    config.write("sites.yaml", bad.as_bytes());
    running.says("unknown key `colour`").await;
    running.says("the earlier one stays in force").await;
    // The same mistakes again, then one more: only the second is news.
    config.write("sites.yaml", bad.as_bytes());
    running.signal("HUP");
    running.says("the earlier one stays in force").await;
    config.write("sites.yaml", yaml(&["a"]).as_bytes());
    running.says("nothing differs").await;
    config.write("sites.yaml", yaml(&["a", "c"]).as_bytes());
    // `b` was never in force, so only `c` is new.
    running.says("added=\"c\" changed=\"\" removed=\"\"").await;
    let said = running.end().await;
    assert!(!said.contains("hunter2") && !said.contains("demo-token"), "{said}");
    assert!((1..=2).contains(&said.matches("unknown key `colour`").count()), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_as_json_are_json_and_nothing_else() {
    for by_option in [true, false] {
        let config = Config::new(&yaml(&["a"]));
        let mut command = config.command("serve");
        match by_option {
            true => command.args(["--log-format", "json", "--log-level", "debug"]),
            false => command.env("METACONSOLE_LOG_FORMAT", "json").env("METACONSOLE_LOG", "debug"),
        };
        let mut running = Running::start(command);
        let address = running.address_in_json().await;
        get(address, "/healthz").await;
        config.write("sites.yaml", b"sites: [{id: a, colour: red}]");
        running.says("stays in force").await;
        let said = running.end().await;
        let lines: Vec<serde_json::Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of = |level: &str| lines.iter().filter(|line| line["level"] == level).count();
        assert!(of("INFO") >= 2 && of("WARN") >= 1 && of("ERROR") >= 2, "{said}");
        assert!(lines.iter().all(|line| line["message"].is_string() && line["timestamp"].is_string()), "{said}");
        assert!(!said.contains("demo-token"), "{said}");
    }
    let config = Config::new("sites: [{id: a, colour: red}]");
    let mut command = config.command("serve");
    command.args(["--log-format", "json"]);
    let (code, said) = Running::start(command).ended().await;
    assert_eq!(code, Some(2));
    assert!(said.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_asked_for_is_logged() {
    let config = Config::new(&yaml(&["a"]));
    let mut command = config.command("serve");
    command.args(["--log-level", "error"]);
    let mut running = Running::start(command);
    running.address().await;
    let said = running.end().await;
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_has_the_gateway_in_front_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let ports = (30_000..32_700).step_by(10);
    for port in ports {
        let mut command = program(folder.path());
        command.args(["demo", "--anonymous", "--port", &port.to_string()]).env("TMPDIR", folder.path());
        let mut running = Running::start_telling(command);
        let Some(greeting) = running.greeting("site:madrid").await else {
            // Somebody else has one of these ports.
            let (code, said) = running.ended().await;
            assert!(code == Some(1) && said.contains("cannot listen on"), "{said}");
            continue;
        };
        let url = format!("http://127.0.0.1:{port}/");
        assert!(greeting.starts_with(&format!("The gateway is {url} with six demo sites")), "{greeting}");
        assert!(greeting.contains(&format!("curl '{url}api/v1/search?q=web+status:critical")), "{greeting}");
        assert!(!greeting.contains("password"), "{greeting}");
        let answer = get((Ipv4Addr::LOCALHOST, port).into(), "/healthz").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let site = get((Ipv4Addr::LOCALHOST, port + 1).into(), "/pandora_console/").await;
        assert!(site.starts_with("HTTP/1.1 200 "), "{site}");
        // Its terminal is closed: nobody would ever end it.
        running.signal("HUP");
        let (code, said) = running.ended().await;
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        return;
    }
    panic!("no ports are free");
}

#[test]
fn the_example_of_the_repository_listens_beside_the_demo() {
    let config = metaconsole::config::load(Path::new("sites.yaml"), &|_| None).unwrap();
    assert_eq!(config.gateway.listen, (Ipv4Addr::LOCALHOST, 8090).into());
    assert_eq!(config.gateway.public_url.as_str(), "http://127.0.0.1:8090/");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_nobody_reads_holds_up_no_request() {
    let config = Config::new(&yaml(&["a"]));
    let mut running = serve(&config);
    let address = running.address().await;
    // From here on nobody reads; a pipe holds 64 KiB, which so many lines exceed.
    let path = format!("/healthz/{}", "x".repeat(1000));
    for _ in 0..200 {
        let answer = get(address, &path).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    }
    assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200 "));
    let said = running.end().await;
    assert_eq!(said.matches("status=404").count(), 200, "what waited is written at the end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipe_in_place_of_a_file_holds_up_nothing() {
    let config = Config::new(&yaml(&["a"]));
    let folder = config.path().parent().unwrap().to_path_buf();
    let pipe = |name: &str| {
        // Made beside and renamed, as an editor would.
        let beside = folder.join("beside");
        assert!(std::process::Command::new("mkfifo").arg(&beside).status().unwrap().success());
        std::fs::rename(&beside, folder.join(name)).unwrap();
    };
    let mut running = serve(&config);
    let address = running.address().await;
    for name in ["sites.yaml", "token"] {
        pipe(name);
        running.signal("HUP");
        running.says(&format!("{name}: it is a pipe (FIFO)")).await;
        running.says("the earlier one stays in force").await;
        assert!(get(address, "/metrics").await.contains("\nmetaconsole_config_reload_failed 1"));
        assert!(get(address, "/api/v1/sites").await.contains("\"id\":\"a\""));
        let before = if name == "token" { "demo-token-read-only".to_owned() } else { yaml(&["a"]) };
        config.write(&format!("{name}.new"), before.as_bytes());
        std::fs::rename(folder.join(format!("{name}.new")), folder.join(name)).unwrap();
        running.signal("HUP");
        running.says("nothing differs").await;
    }
    pipe("sites.yaml");
    running.signal("HUP");
    running.says("it is a pipe").await;
    running.end().await;
    // Nor does it start with one.
    let (code, said) = serve(&config).ended().await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("it is a pipe (FIFO)"), "{said}");
}
