//! Screens on walls: paired by a code, one view, until somebody ends them.

use serde_json::json;

use crate::support::browser::{Browser, SESSION, between, hashed};
use crate::support::gateway::console;
use crate::support::program::Config;
use crate::support::running::Running;

const WALL: &str = "__Host-mc_wall";

fn yaml(console: &str, walls: &str) -> String {
    format!(
        "gateway: {{listen: \"127.0.0.1:0\", state_dir: state, trusted_proxies: [127.0.0.1]}}\n\
         sites: [{{id: madrid, url: \"http://{console}/pandora_console/\", credentials: {{token: \"file:token\"}}}}]\n\
         access:\n  roles:\n    all: {{search: ['*'], view: ['*'], audit: ['*'], admin: ['*']}}\n  users:\n    \
         - {{login: root, password: '{}', roles: [all]}}\n  wallboards: [{walls}]\n",
        hashed("root")
    )
}

async fn started(config: &Config) -> (Running, String) {
    let mut running = Running::start(config.command("serve"));
    let base = format!("http://{}", running.address().await);
    (running, base)
}

async fn code(wall: &mut Browser) -> String {
    let page = wall.get("/wall/pair").await;
    assert_eq!((page.status, page.header("refresh")), (200, "5"), "{page:?}");
    between(&page.text, "class=\"code\">", "</strong>").to_owned()
}

async fn pair(root: &mut Browser, code: &str, name: &str) -> u16 {
    let page = root.get("/pair").await;
    let form = between(&page.text, "name=\"form\" value=\"", "\"").to_owned();
    root.post("/pair", &[("form", &form), ("code", code), ("wallboard", name)]).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_screen_is_paired_reads_its_view_survives_a_kill_and_is_ended() {
    let console = console(&["web-madrid", "db-madrid"]);
    let yaml = yaml(&console.address().to_string(), "{name: noc, view: web, roles: [all], addresses: [10.1.0.0/16]}");
    let config = Config::new(&yaml);
    let (running, base) = started(&config).await;
    let mut root = Browser::logged_in(&base, "root").await;
    let (mut wall, mut other) = (Browser::new(&base), Browser::new(&base));
    for screen in [&mut wall, &mut other] {
        screen.address = Some("10.1.2.3");
    }
    let shown = code(&mut wall).await;
    assert_eq!(pair(&mut root, "AAAA AAAA", "noc").await, 422);
    assert_eq!(pair(&mut root, &shown, "nosuch").await, 422);
    assert_eq!(root.post("/pair", &[("form", ""), ("code", &shown), ("wallboard", "noc")]).await.status, 403);
    assert_eq!(pair(&mut root, &shown.to_lowercase(), "noc").await, 200);
    assert_eq!(pair(&mut root, &shown, "noc").await, 422, "a code is good once");
    assert_ne!(code(&mut other).await, shown, "and for the screen that shows it");
    assert_eq!(wall.get("/wall/pair").await.status, 303);
    let kept = wall.cookies[WALL].clone();
    let answer = wall.get("/").await;
    assert_eq!((answer.status, answer.header("location")), (303, "/wall?q=web"));
    let page = wall.get("/wall?q=web").await;
    assert!(page.status == 200 && page.text.contains("All well on 1 site"), "{page:?}");
    assert_eq!(wall.get("/wall?q=db").await.header("location"), "/wall?q=web");
    let answer = wall.get("/api/v1/search?q=web").await;
    assert!(answer.status == 200 && answer.text.contains("web-madrid"), "{answer:?}");
    for path in ["/api/v1/search?q=db", "/api/v1/sites", "/api/v1/audit", "/metrics", "/api/v1/suggest?q=d"] {
        let answer = wall.get(path).await;
        assert_eq!((answer.status, &answer.json()["code"]), (403, &json!("wallboard")), "{path}");
    }
    assert_eq!(wall.post("/api/v1/sites/madrid/probe", &[]).await.status, 403);
    assert_eq!(wall.get("/logout").await.status, 403);
    assert_eq!(wall.get("/api/v1/me").await.json()["login"], "wall:noc");
    // Its cookie is no session, and is worth nothing from elsewhere.
    let mut thief = Browser::new(&base);
    thief.cookies.insert(SESSION.to_owned(), kept.clone());
    assert_eq!(thief.get("/api/v1/me").await.status, 401);
    thief.cookies.clear();
    thief.cookies.insert(WALL.to_owned(), kept.clone());
    thief.address = Some("10.2.0.1");
    assert_eq!(thief.get("/api/v1/search?q=web").await.status, 401);
    running.signal("KILL");
    running.ended().await;
    let (running, base) = started(&config).await;
    let mut wall = Browser::new(&base);
    wall.address = Some("10.1.2.3");
    wall.cookies.insert(WALL.to_owned(), kept);
    assert_eq!(wall.get("/api/v1/search?q=web").await.status, 200, "it survives a kill");
    let mut root = Browser::logged_in(&base, "root").await;
    let list = root.get("/api/v1/wallboards").await.json();
    assert_eq!(list, json!({"wallboards": [{"name": "noc", "view": "web", "screens": 1}]}));
    let token = root.get("/api/v1/me").await.json()["form_token"].as_str().unwrap().to_owned();
    let end = root.client.post(format!("{base}/api/v1/wallboards/noc/end"));
    assert_eq!(root.send(end.header("x-metaconsole-form", token)).await.status, 204);
    assert_eq!(wall.get("/api/v1/search?q=web").await.status, 401);
    let lines = root.get("/api/v1/audit?user=local:root").await.json();
    let told: Vec<_> = lines["lines"].as_array().unwrap().iter().map(|line| line["action"].as_str().unwrap()).collect();
    assert_eq!(told, ["session.revoked", "login.ok", "wall.paired", "login.ok"]);
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wallboard_that_leaves_the_file_is_out_and_codes_cannot_be_guessed_fast() {
    let console = console(&["web-madrid"]);
    let address = console.address().to_string();
    let config = Config::new(&yaml(&address, "{name: noc, view: web, roles: [all]}"));
    let (mut running, base) = started(&config).await;
    let mut root = Browser::logged_in(&base, "root").await;
    let mut wall = Browser::new(&base);
    let shown = code(&mut wall).await;
    assert_eq!(pair(&mut root, &shown, "noc").await, 200);
    assert_eq!(wall.get("/wall/pair").await.status, 303);
    assert_eq!(wall.get("/api/v1/search?q=web").await.status, 200);
    let before = yaml(&address, "{name: lobby, view: web, roles: [all]}");
    config.write("sites.yaml", before.as_bytes());
    running.says("new configuration in force").await;
    assert_eq!(wall.get("/api/v1/search?q=web").await.status, 401);
    // The changed file has another hash of the same password.
    let mut root = Browser::logged_in(&base, "root").await;
    let mut statuses = Vec::new();
    // Wherever the guesses come from; and whoever shares an address with somebody takes none of their tries.
    let mut neighbour = Browser::new(&base);
    for address in ["10.3.0.1", "10.3.0.2", "10.3.0.3", "10.3.0.4", "10.3.0.5", "10.3.0.6", "10.3.0.7", "10.3.0.8"] {
        (root.address, neighbour.address) = (Some(address), Some(address));
        for _ in 0..2 {
            assert_eq!(neighbour.log_in("pair|local:root", "wrong", "").await.status, 401);
        }
        statuses.push(pair(&mut root, "AAAAAAAA", "lobby").await);
    }
    assert!(statuses.starts_with(&[422; 5]) && statuses.ends_with(&[429]), "{statuses:?}");
    running.end().await;
}
