//! Whoever is limited to groups observes nothing of the rest: each answer is the one of a site that never had the rest.
//!
//! Two gateways, each with a site: on one the agents that the viewer may see, on the other the same and more, with more
//! groups, events and alerts. The viewer asks both the same, whatever others have asked before; what differs but for
//! times, ports and signatures is a leak.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use metaconsole::clock::Clock;
use metaconsole::demo::{
    Agent, Console, Event, EventKind, Fault, Fleet, Handler, Module, ModuleState, Server, Settings,
};
use regex::Regex;

use crate::support::browser::{Browser, hashed};
use crate::support::gateway::Served;
use crate::support::program::Config;

const NEUTRAL: &str = "not everything this site sent could be used; whoever runs the gateway sees what";

fn agent(alias: &str, group: u32, os: u32, state: ModuleState) -> Agent {
    let module = |name: &str| Module { alert_fired: true, ..Module::new(name, state, "1") };
    Agent { os, address: "10.0.0.1".to_owned(), ..Agent::new(alias, group) }
        .module(module("CPU"))
        .module(module("Disk"))
}

fn event(id: u32, agent: u32, group: u32, utimestamp: i64) -> Event {
    let (text, data) = (format!("event {id}"), "1".to_owned());
    Event { id, agent, group, module: 0, utimestamp, kind: EventKind::Critical, text, data }
}

/// Agents 1 and 2 are to be seen, and 3 to 9 are not, where there are any.
fn console(whole: bool) -> Console {
    let now = Clock::System.now().as_secs();
    let mut both = agent("both-02", 2, 1, ModuleState::Warning);
    if whole {
        both.secondary = vec![3];
    }
    let fleet = Fleet::empty(now).group(2, "Web", 0);
    let mut fleet = fleet.agent(agent("web-01", 2, 1, ModuleState::Normal)).agent(both);
    fleet.events.extend((0..6).map(|n| event(100 + 10 * n, 1 + n % 2, 2, now - 3600 + i64::from(n) * 60)));
    if whole {
        fleet = fleet.group(3, "Secret", 0);
        for number in 3..10 {
            fleet = fleet.agent(agent(&format!("hidden-{number:02}"), 3, 9, ModuleState::Critical));
        }
        let hidden = (0..60).map(|n| event(1000 + n, 3 + n % 7, 3, now - 3590 + i64::from(n) * 7));
        fleet.events.extend(hidden);
        fleet.events.sort_by_key(|event| event.utimestamp);
    }
    Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), fleet, Settings::default()).unwrap()
}

fn yaml(url: &str) -> String {
    let user =
        |login: &str, role: &str| format!("    - {{login: {login}, password: '{}', roles: [{role}]}}\n", hashed(login));
    format!(
        "gateway: {{state_dir: state, trusted_proxies: [127.0.0.1]}}\n\
         sites: [{{id: a, url: \"{url}\", public_url: \"http://a.localhost/\", credentials: {{token: \"file:token\"}}}}]\n\
         access:\n  roles:\n    all: {{search: ['*'], view: ['*'], open: ['*'], audit: ['*'], admin: ['*']}}\n    \
         web: {{search: [{{sites: [a], groups: [Web]}}], view: [{{sites: [a], groups: [Web]}}], \
         open: [{{sites: [a], groups: [Web]}}], audit: [{{sites: [a], groups: [Web]}}]}}\n    \
         half: {{search: ['*'], view: [{{sites: [a], groups: [Web]}}]}}\n    \
         rows: {{search: ['*']}}\n  users:\n{}{}{}{}",
        user("root", "all"),
        user("eva", "web"),
        user("lea", "half"),
        user("noa", "rows")
    )
}

const PATHS: &[&str] = &[
    "/api/v1/search?q=&limit=1000",
    "/api/v1/search?q=&limit=1",
    "/api/v1/search?q=hidden",
    "/api/v1/search?q=group:secret",
    "/api/v1/search?q=-group:secret",
    "/api/v1/search?q=status:critical",
    "/api/v1/search?q=-status:critical&sort=status",
    "/api/v1/search?q=os:windows",
    "/api/v1/search?q=alert:fired",
    "/api/v1/search?q=name:/hid/",
    "/api/v1/search?q=&explain=1",
    "/api/v1/search?q=hidden&require=all",
    "/api/v1/search?q=&format=csv",
    "/api/v1/search?q=&format=ndjson",
    "/api/v1/search?q=secret&format=stream",
    "/api/v1/search?q=&format=stream",
    "/api/v1/where?name=hidden-03",
    "/api/v1/where?name=web-01",
    "/api/v1/suggest?q=h",
    "/api/v1/suggest?q=group:",
    "/api/v1/suggest?q=group:s",
    "/api/v1/suggest?q=os:",
    "/api/v1/suggest?q=alias:hid",
    "/api/v1/sites",
    "/api/v1/sites/a",
    "/api/v1/pulse",
    "/api/v1/me",
    "/api/v1/sites/a/agents/1",
    "/api/v1/sites/a/agents/2",
    "/api/v1/sites/a/agents/3",
    "/api/v1/sites/a/agents/99",
    "/api/v1/sites/a/events",
    "/api/v1/sites/a/events?limit=1",
    "/api/v1/sites/a/events?limit=6",
    "/api/v1/sites/a/events?cursor=9999999999-0-50",
    "/api/v1/sites/a/agents/1/events",
    "/api/v1/sites/a/agents/1/events?limit=3",
    "/api/v1/sites/a/agents/3/events",
    "/api/v1/sites/a/agents/1/modules/1/data",
    "/api/v1/sites/a/agents/1/modules/6/data",
    "/api/v1/sites/a/agents/3/modules/6/data",
    "/",
    "/?q=hidden&wait=1",
    "/?q=&wait=1",
    "/sites",
    "/sites/a",
    "/agents/a/1",
    "/agents/a/2",
    "/agents/a/3",
    "/wall",
    "/open/a",
    "/open/a?view=agent:1",
    "/open/a?view=agent:3",
    "/api/v1/audit?action=login.ok",
    "/metrics",
    "/pair",
];

/// Without what differs at any two times and places.
fn plain(text: &str, patterns: &[(Regex, &str)]) -> String {
    patterns.iter().fold(text.to_owned(), |text, (pattern, word)| pattern.replace_all(&text, *word).into_owned())
}

fn patterns() -> Vec<(Regex, &'static str)> {
    let all = [
        (r"127\.0\.0\.1:\d+", "HERE"),
        // Whether a read has just ended, or is not due yet.
        (r#""outcome":"(fresh|cached)""#, "READ"),
        (r#""(state|reading|rests)":("ok"|"idle"|true|false|null|"[^"]*")"#, "STATE"),
        (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
        (r"\d\d:\d\d:\d\d( UTC)?", "CLOCK"),
        (r"\b[0-9a-f]{64,}\b", "SIGNED"),
        (r#""([a-z0-9]+_)*ms":-?\d+"#, "MS"),
        (r"\d+ (ms|s|min|h)\b", "SPAN"),
        (r"just now|less than a second", "SPAN"),
        (r#"width="\d+""#, "WIDTH"),
        (r"request [0-9a-f]{32}", "REQUEST"),
        (r"\d+ [bB]ytes", "BYTES"),
    ];
    all.into_iter().map(|(pattern, word)| (Regex::new(pattern).unwrap(), word)).collect()
}

async fn ask(browser: &mut Browser, url: &str) -> (u16, String, String) {
    let request = browser.client.get(url).header("accept", if url.contains("/api/") { "*/*" } else { "text/html" });
    let answer = browser.send(request).await;
    (answer.status, answer.header("metaconsole-sites").to_owned(), answer.text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_limited_to_groups_finds_the_site_as_if_it_had_no_others() {
    let (many, few) = (console(true), console(false));
    let configs = [&many, &few].map(|console| Config::new(&yaml(&console.url())));
    let (whole, part) = (Served::start(&configs[0]).await, Served::start(&configs[1]).await);
    let patterns = patterns();
    let mut root = Browser::logged_in(&whole.url(""), "root").await;
    let mut there = Browser::logged_in(&whole.url(""), "eva").await;
    let mut alone = Browser::logged_in(&part.url(""), "eva").await;
    let mut others = Browser::logged_in(&part.url(""), "root").await;
    for browser in [&mut root, &mut others] {
        let answer = browser.get("/api/v1/search?q=alert:fired&deadline=20s").await;
        assert_eq!(answer.status, 200);
    }
    let mut rows = 0;
    for round in 0..3 {
        for path in PATHS {
            // What the other has seen must be in no cache for this one.
            ask(&mut root, &whole.url(path)).await;
            ask(&mut others, &part.url(path)).await;
            let got = ask(&mut there, &whole.url(path)).await;
            let expected = ask(&mut alone, &part.url(path)).await;
            rows += got.2.matches("web-01").count();
            assert_eq!((got.0, &got.1), (expected.0, &expected.1), "{round} {path}: {got:?} {expected:?}");
            assert_eq!(plain(&got.2, &patterns), plain(&expected.2, &patterns), "{round} {path}");
        }
    }
    assert!(rows > 100, "{rows}");
    // Page by page: the same pages, until both are at their end.
    let (mut cursors, mut pages) = ([String::new(), String::new()], 0);
    loop {
        let path = |cursor: &str| format!("/api/v1/sites/a/events?limit=2{cursor}");
        let got = there.get(&path(&cursors[0])).await.json();
        let expected = alone.get(&path(&cursors[1])).await.json();
        let shape = |page: &serde_json::Value| (page["events"].clone(), page["next_cursor"].is_null());
        assert_eq!(shape(&got), shape(&expected));
        pages += 1;
        let (Some(one), Some(two)) = (got["next_cursor"].as_str(), expected["next_cursor"].as_str()) else { break };
        assert_eq!(one.len(), two.len());
        cursors = [one, two].map(|cursor| format!("&cursor={cursor}"));
    }
    assert_eq!(pages, 4, "six events, two at a time, and the end");
    // An event's place of those who see all is none for others, or they could try places.
    let plain = root.get("/api/v1/sites/a/events?limit=1").await.json()["next_cursor"].as_str().unwrap().to_owned();
    assert_eq!(root.get(&format!("/api/v1/sites/a/events?cursor={plain}")).await.status, 200);
    assert_eq!(there.get(&format!("/api/v1/sites/a/events?cursor={plain}")).await.status, 400);
}

/// In front of a console: rows of hidden agents come broken.
fn garbled(console: &Console) -> Server {
    let (root, client) =
        (format!("http://{}", console.address()), reqwest::Client::builder().no_proxy().build().unwrap());
    let handler: Handler = Arc::new(move |incoming| {
        let (client, url) = (client.clone(), format!("{root}{}", incoming.uri));
        Box::pin(async move {
            let token = incoming.header(header::AUTHORIZATION).to_owned();
            let answer = client.get(url).header("authorization", token).send().await.unwrap();
            let kind = answer.headers().get("content-type").cloned().unwrap();
            let status = StatusCode::from_u16(answer.status().as_u16()).unwrap();
            let text = answer.text().await.unwrap();
            let text =
                Regex::new(r#""agent_id":"?[4-9]"?,"#).unwrap().replace_all(&text, "\"agent_id\":\"hidden-id\",");
            (status, [(header::CONTENT_TYPE, kind)], text.into_owned()).into_response()
        })
    });
    Server::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), handler).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn warnings_and_failures_say_the_same_to_them_whatever_they_are_about() {
    let console = console(true);
    let server = garbled(&console);
    let config = Config::new(&yaml(&format!("http://{}/pandora_console/", server.address())));
    let served = Served::start(&config).await;
    let mut root = Browser::logged_in(&served.url(""), "root").await;
    let mut eva = Browser::logged_in(&served.url(""), "eva").await;
    let all = root.get("/api/v1/search?q=&deadline=20s").await.json();
    let told = all["sites"][0]["warnings"][0].as_str().unwrap_or_else(|| panic!("{all}")).to_owned();
    assert!(told.contains("rows could not be used"), "{told}");
    let pages = ["/sites", "/sites/a", "/wall", "/agents/a/1", "/?q=&wait=1"];
    let api = [
        "/api/v1/search?q=",
        "/api/v1/search?q=&format=csv",
        "/api/v1/search?q=&format=ndjson",
        "/api/v1/search?q=&format=stream",
        "/api/v1/search?q=&explain=1",
        "/api/v1/sites",
        "/api/v1/sites/a",
        "/api/v1/sites/a/agents/1",
        "/api/v1/sites/a/events",
        "/api/v1/sites/a/agents/1/modules/1/data",
    ];
    let mut neutral = 0;
    for path in pages.iter().chain(&api) {
        let (status, _, text) = ask(&mut eva, &served.url(path)).await;
        assert_eq!(status, 200, "{path}: {text}");
        neutral += usize::from(text.contains(NEUTRAL));
        for word in ["rows could not be used", "no number", "hidden-", "Secret"] {
            assert!(!text.contains(word), "{word} in {path}: {text}");
        }
    }
    assert!(neutral >= 6, "that there is something is said: {neutral}");
    let one = eva.get("/api/v1/sites/a").await.json();
    assert_eq!((&one["warnings"], &one["rows"]), (&serde_json::json!([NEUTRAL]), &serde_json::Value::Null), "{one}");
    // A site that is too large says how large, to those who see all of it.
    console.faults().add(Fault::EndlessRows(1 << 20));
    let yaml = yaml(&console.url()).replacen("id: a,", "id: a, max_body: 100KB,", 1);
    let config = Config::new(&yaml);
    let served = Served::start(&config).await;
    let mut root = Browser::logged_in(&served.url(""), "root").await;
    let mut eva = Browser::logged_in(&served.url(""), "eva").await;
    let of = |answer: serde_json::Value| answer["sites"][0]["error"].clone();
    let all = of(root.get("/api/v1/search?q=&deadline=20s").await.json());
    assert_eq!(all["code"], "too_large", "{all}");
    for path in
        ["/api/v1/search?q=", "/api/v1/sites", "/api/v1/pulse", "/sites", "/sites/a", "/wall", "/api/v1/sites/a/events"]
    {
        let (_, _, text) = ask(&mut eva, &served.url(path)).await;
        let how_large = "100 kB";
        assert!(all["message"].as_str().unwrap().contains(how_large) && !text.contains(how_large), "{path}: {text}");
    }
    let told = of(eva.get("/api/v1/search?q=").await.json());
    assert_eq!(
        (&told["code"], &told["message"]),
        (&"backoff".into(), &"not asked again yet, because of too_large".into())
    );
    let told = eva.get("/api/v1/sites/a").await.json()["error"].clone();
    assert_eq!(
        (&told["code"], &told["message"]),
        (&"too_large".into(), &"its answer is larger than may be read".into())
    );
}

/// Who finds more than they may look into: the rows are there, and details of the others are not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_right_to_find_an_agent_is_none_to_see_its_details() {
    let console = console(true);
    let config = Config::new(&yaml(&console.url()));
    let served = Served::start(&config).await;
    let mut root = Browser::logged_in(&served.url(""), "root").await;
    let mut lea = Browser::logged_in(&served.url(""), "lea").await;
    let mut noa = Browser::logged_in(&served.url(""), "noa").await;
    for browser in [&mut root, &mut lea, &mut noa] {
        assert_eq!(browser.get("/api/v1/search?q=&deadline=20s").await.json()["total"], 9);
    }
    for path in [
        "/api/v1/sites/a/agents/N",
        "/api/v1/sites/a/agents/N/events",
        "/api/v1/sites/a/agents/N/modules/6/data",
        "/agents/a/N",
    ] {
        // What one has seen must be in no cache for the other.
        assert_eq!(ask(&mut root, &served.url(&path.replace('N', "3"))).await.0, 200, "{path}");
        let (status, _, text) = ask(&mut lea, &served.url(&path.replace('N', "3"))).await;
        assert!(status == 404 && !text.contains("hidden-"), "{path}: {status} {text}");
        let other = path.replace('N', "1").replace("/6/", "/1/");
        assert_eq!(ask(&mut lea, &served.url(&other)).await.0, 200, "{other}");
        assert_eq!(ask(&mut noa, &served.url(&other)).await.0, 403, "{other}");
    }
    let all = ask(&mut root, &served.url("/api/v1/sites/a/events?limit=100")).await.2;
    assert!(all.contains("hidden-03"), "{all}");
    let (status, _, text) = ask(&mut lea, &served.url("/api/v1/sites/a/events?limit=100")).await;
    assert!(status == 200 && text.contains("event 110") && !text.contains("hidden-"), "{status} {text}");
    assert_eq!(ask(&mut noa, &served.url("/api/v1/sites/a/events")).await.0, 403);
}
