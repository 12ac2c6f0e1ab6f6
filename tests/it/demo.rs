//! A demo console answers as the recorded consoles do.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use metaconsole::clock::{Clock, Timestamp};
use metaconsole::demo::{
    Account, Agent, Console, Demo, Event, EventKind, Fleet, Module, ModuleState, Profile, Settings, Zone,
};
use metaconsole::secret::Secret;
use serde_json::Value;

use crate::support::replay;

/// When the recordings of `s1` were made.
const NOW: i64 = 1_795_404_700;
const TOKEN: &str = "token-of-reader";

fn local() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

fn settings() -> Settings {
    let operator = Account { groups: Some(vec![20]), ..Account::read_only("token-of-operator") };
    let admin = Account { may_write: true, user: "admin".to_owned(), ..Account::read_only("token-of-admin") };
    Settings {
        accounts: vec![Account::read_only(TOKEN), operator, admin],
        clock: Clock::following(Timestamp::from_secs(NOW)),
        ..Settings::default()
    }
}

fn fleet() -> Fleet {
    let fleet = Fleet::empty(NOW).group(2, "Servers", 0).group(20, "Señales & Vías", 0).group(21, "Norte", 20);
    let mut strange = Agent::new("R&D <lab> & co; Ñ/1", 2);
    strange.secondary = vec![20];
    fleet
        .agent(Agent::new("web-01", 2).module(Module::new("CPU Load", ModuleState::Normal, "17.85000")))
        .agent(strange.module(Module::new("Log & <errors>", ModuleState::Critical, "ERROR; \"x\"")))
        .agent(Agent { disabled: true, ..Agent::new("off", 20) })
        .agent(Agent::new("empty", 21))
}

fn console() -> Console {
    Console::start(local(), fleet(), settings()).unwrap()
}

async fn ask(console: &Console, query: &str) -> reqwest::Response {
    ask_as(console, TOKEN, query).await
}

async fn ask_as(console: &Console, token: &str, query: &str) -> reqwest::Response {
    let url = format!("{}include/api.php?{query}", console.url());
    reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap()
}

async fn text(console: &Console, query: &str) -> String {
    ask(console, query).await.text().await.unwrap()
}

async fn json(console: &Console, query: &str) -> Value {
    serde_json::from_str(&text(console, query).await).unwrap()
}

fn other(items: &str) -> String {
    let encoded: String = url::form_urlencoded::byte_serialize(items.as_bytes()).collect();
    format!("other={}&other_mode=url_encode_separator_%7C", encoded.replace('+', "%20"))
}

/// Names and types of a list's rows, by their kind.
fn shapes(answer: &[u8]) -> BTreeMap<String, BTreeSet<Vec<String>>> {
    let answer: Value = serde_json::from_slice(answer).unwrap();
    let mut shapes: BTreeMap<String, BTreeSet<Vec<String>>> = BTreeMap::new();
    for row in answer["data"].as_array().unwrap() {
        let kind = |value: &Value| match value {
            Value::String(_) => "text",
            Value::Number(_) => "number",
            Value::Null => "null",
            _ => "other",
        };
        let cells = row.as_object().unwrap().iter().map(|(name, value)| format!("{name}:{}", kind(value)));
        shapes.entry(row["type_row"].as_str().unwrap_or("").to_owned()).or_default().insert(cells.collect());
    }
    shapes
}

/// The keys of the first row of a kind, in the order they are written.
fn keys(answer: &str, kind: &str) -> Vec<String> {
    let end = answer.find(&format!("\"type_row\":\"{kind}\"")).unwrap();
    let row = &answer[answer[..end].rfind('{').unwrap() + 1..end];
    row.split(",\"").map(|pair| pair.trim_start_matches('"').split('"').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn tree_agents_has_the_shape_of_the_recordings() {
    let console = console();
    for case in ["s1-tree-agents-snapshot", "s1-tree-agents-json", "s1-disabled-modules-tree"] {
        let recorded = String::from_utf8(replay::body(case)).unwrap();
        let index: Value = serde_json::from_str(&recorded).unwrap();
        let fields: Vec<&str> =
            index["list_index"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        let query = format!("op=get&op2=tree_agents&return_type=json&{}", other(&format!(";| |{}", fields.join(","))));
        let answer = text(&console, &query).await;
        assert_eq!(shapes(answer.as_bytes()), shapes(recorded.as_bytes()), "{case}");
        for kind in ["group", "agent", "module"] {
            assert_eq!(keys(&answer, kind), keys(&recorded, kind), "{case}");
        }
        let answered: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answered["list_index"], index["list_index"]);
    }
}

#[tokio::test]
async fn tree_agents_with_alerts_has_the_shape_of_the_recordings() {
    let module = Module { alert_fired: true, ..Module::new("CPU", ModuleState::Critical, "99") };
    let fleet = Fleet::empty(NOW).group(2, "Servers", 0).agent(Agent::new("web-01", 2).module(module));
    let console = Console::start(local(), fleet, settings()).unwrap();
    for case in ["odd-776-tree-alerts", "odd-open-tree-alerts"] {
        let recorded = String::from_utf8(replay::body(case)).unwrap();
        let index: Value = serde_json::from_str(&recorded).unwrap();
        let fields: Vec<&str> =
            index["list_index"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        let query = format!("op=get&op2=tree_agents&return_type=json&{}", other(&format!(";| |{}", fields.join(","))));
        let answer = text(&console, &query).await;
        assert_eq!(shapes(answer.as_bytes()), shapes(recorded.as_bytes()), "{case}");
        for kind in ["group", "agent", "module", "alert"] {
            assert_eq!(keys(&answer, kind), keys(&recorded, kind), "{case}");
        }
    }
}

#[tokio::test]
async fn tree_agents_repeats_agents_and_shows_only_what_the_account_sees() {
    let console = console();
    let query = format!("op=get&op2=tree_agents&return_type=json&{}", other(";| |type_row,agent_id,alias"));
    let rows = |answer: &Value| {
        let kept = |row: &Value| row["alias"].as_str().or(row["group_name"].as_str()).unwrap().to_owned();
        answer["data"].as_array().unwrap().iter().map(kept).collect::<Vec<_>>()
    };
    let strange = "R&D <lab> & co; Ñ/1";
    let all = ["Servers", "web-01", strange, "Señales & Vías", strange, "off", "Norte", "empty"];
    assert_eq!(rows(&json(&console, &query).await), all);
    let answer = ask_as(&console, "token-of-operator", &query).await.bytes().await.unwrap();
    let answer = serde_json::from_slice(&answer).unwrap();
    assert_eq!(rows(&answer), ["Señales & Vías", strange, "off"]);
    assert!(text(&console, &query).await.contains(r#""alias":"R&D <lab> & co; \u00d1\/1""#));
}

#[tokio::test]
async fn other_lists_have_the_shape_of_the_recordings() {
    let console = Console::start(local(), Fleet::generate(1, &profile(), NOW), settings()).unwrap();
    for (query, case) in [
        ("op=get&op2=all_agents&return_type=json".to_owned(), "s1-all-agents-json"),
        ("op=get&op2=module_properties&return_type=json&id=1".to_owned(), "s1-module-properties-all-json"),
        (format!("op=get&op2=events&return_type=json&{}", other(";||||||||||5|0")), "s1-events-limit5"),
        ("op=get&op2=pandora_servers&return_type=json".to_owned(), "s1-pandora-servers-json"),
    ] {
        // The recordings were made as an administrator.
        let answer = ask_as(&console, "token-of-admin", &query).await.text().await.unwrap();
        let recorded = replay::body(case);
        let (mine, theirs) = (shapes(answer.as_bytes()), shapes(&recorded));
        assert_eq!(mine, theirs, "{case}");
    }
    let console = self::console();
    let agents = text(&console, "op=get&op2=all_agents&return_type=json").await;
    assert!(agents.starts_with(r#"{"type":"array","data":[{"id_agente":"1","alias":"web-01","direccion":"","comentarios":"","name":"Linux","url_address":null,"nombre":"web-01","status":0}"#));
}

fn profile() -> Profile {
    Profile {
        city: "Madrid",
        prefix: "mad",
        network: 1,
        agents: 60,
        zone: ("Europe/Madrid", "CET-1CEST,M3.5.0,M10.5.0/3"),
        specials: &[],
        silent_for: Duration::ZERO,
    }
}

/// Rebuilds the recorded site and lets the demo compute what the real console had computed.
#[tokio::test]
async fn the_computed_status_is_that_of_the_recorded_console() {
    let tree: Value = serde_json::from_slice(&replay::body("s1-disabled-modules-tree")).unwrap();
    let recorded: Value = serde_json::from_slice(&replay::body("s1-disabled-modules-all-agents")).unwrap();
    let fired: Vec<&str> = recorded["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["status"] == 100)
        .map(|row| row["alias"].as_str().unwrap())
        .collect();
    let mut agents: BTreeMap<u32, Agent> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for row in tree["data"].as_array().unwrap() {
        let text = |name: &str| row[name].as_str().unwrap();
        match text("type_row") {
            "agent" => {
                let id = text("agent_id").parse().unwrap();
                let disabled = text("agent_disabled") == "1";
                agents.entry(id).or_insert_with(|| Agent { id, disabled, ..Agent::new(text("alias"), 2) });
            }
            "module" if seen.insert(text("module_id_agent_modulo")) => {
                let states = [ModuleState::Normal, ModuleState::Critical, ModuleState::Warning, ModuleState::Unknown];
                let agent = agents.get_mut(&text("module_id_agent").parse().unwrap()).unwrap();
                let state = states[text("module_state").parse::<usize>().unwrap()];
                let alert_fired = fired.contains(&agent.alias.as_str());
                let (disabled, delete_pending) = (text("module_disabled") == "1", text("module_delete_pending") == "1");
                agent.modules.push(Module { disabled, delete_pending, alert_fired, ..Module::new("m", state, "1") });
            }
            _ => {}
        }
    }
    let mut fleet = Fleet::empty(NOW).group(2, "Servers", 0);
    agents.into_values().for_each(|agent| {
        fleet.add(agent);
    });
    let console = Console::start(local(), fleet, settings()).unwrap();
    let answer = json(&console, "op=get&op2=all_agents&return_type=json").await;
    let statuses = |answer: &Value| {
        let status = |row: &Value| (row["id_agente"].clone(), row["status"].clone());
        answer["data"].as_array().unwrap().iter().map(status).collect::<Vec<_>>()
    };
    assert_eq!(statuses(&answer), statuses(&recorded));
}

#[tokio::test]
async fn all_agents_filters_and_dies_without_hits() {
    let console = console();
    let list = |items: &str| format!("op=get&op2=all_agents&return_type=json&{}", other(items));
    let count = |answer: Value| answer["data"].as_array().unwrap().len();
    assert_eq!(count(json(&console, &list("|||WEB")).await), 1);
    assert_eq!(count(json(&console, &list("|||<lab")).await), 1);
    assert_eq!(count(json(&console, &list("||no_modules")).await), 1);
    assert_eq!(count(json(&console, &list("|20||||;|1")).await), 2);
    assert_eq!(count(json(&console, &list("|20")).await), 1);
    for dead in ["|||nosuch", "99", "|||||,"] {
        let answer = ask(&console, &list(dead)).await;
        assert_eq!(answer.status(), 500);
        assert!(answer.headers().contains_key("set-cookie") && answer.text().await.unwrap().is_empty());
    }
    assert_eq!(text(&console, &list("||warning")).await, "No agents retrieved.");
    let csv = text(&console, "op=get&op2=all_agents&return_type=csv").await;
    assert_eq!(csv.lines().nth(1), Some("2;R&D  & co  Ñ/1;;;Linux;;R&D  & co  Ñ/1;1"));
}

#[tokio::test]
async fn known_sentences_are_exact() {
    let console = console();
    let cases = [
        ("op=get&op2=frobnicate", "s1-unknown-op2"),
        ("op=get&op2=frobnicate&return_type=json", "s1-unknown-op2-json"),
        ("op=frob&op2=test", "s1-bad-op"),
        ("op=get&op2=test", "s1-test"),
        ("info=version", "s1-version"),
        ("op=get&op2=agents_id_name_by_alias&id=nosuch&return_type=json", "s1-by-alias-none"),
        ("op=get&op2=module_last_value&id=999999", "s1-module-last-value-unknown"),
        ("op=get&op2=module_properties&id=999999&return_type=json", "s1-module-properties-unknown"),
        (
            "op=get&op2=all_planned_downtimes&return_type=json&other=zzz%7C&other_mode=url_encode_separator_%7C",
            "s1-planned-downtimes-none",
        ),
        (
            "op=get&op2=module_data&id=1&other=%3B%7C%7Cxx%7Cyy&other_mode=url_encode_separator_%7C",
            "s1-module-data-bad-date",
        ),
    ];
    for (query, case) in cases {
        assert_eq!(text(&console, query).await.into_bytes(), replay::body(case), "{case}");
    }
    let refused = "The user has not enough permissions for perform this action.";
    for query in ["op=set&op2=delete_agent&id=1", "op=get&op2=alert_actions", "op=get&op2=all_alert_templates"] {
        assert_eq!(text(&console, query).await, refused);
    }
    assert_eq!(console.requests().load().sets, 1);
    let admin = ask_as(&console, "token-of-admin", "op=get&op2=alert_actions&return_type=json").await;
    assert!(admin.text().await.unwrap().contains("Mail to Admin"));
    // A text instead of a list: the console takes its first character.
    assert_eq!(text(&console, "op=get&op2=agent_modules&other=20").await, "2;2;Log & \n");
}

#[tokio::test]
async fn module_data_reads_dates_in_the_zone_of_the_console() {
    let console = console();
    console.fleet().zone = Zone::new("Europe/Madrid", "CET-1CEST,M3.5.0,M10.5.0/3");
    assert_eq!(text(&console, "op=get&op2=timezone").await, "Europe/Madrid");
    let query = format!("op=get&op2=module_data&id=1&{}", other(";||20261123T03:31|20261123T04:31"));
    let rows = text(&console, &query).await;
    let first = rows.lines().next().unwrap();
    assert!(first.starts_with("1795401060;"), "{first}");
    assert!(rows.lines().count() > 20);
    let early = format!("op=get&op2=module_data&id=1&{}", other(";||20200101T00:00|20200102T00:00"));
    assert_eq!(ask(&console, &early).await.status(), 500);
}

#[tokio::test(start_paused = true)]
async fn wrong_credentials_are_told_after_fifteen_seconds() {
    let console = console();
    let started = metaconsole::clock::Stopwatch::start();
    let answer = ask_as(&console, "wrong", "op=get&op2=test&return_type=json").await;
    assert_eq!(answer.headers()["content-type"], "text/html; charset=UTF-8");
    assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (200, "auth error"));
    assert!(started.elapsed() >= Duration::from_secs(15));
}

#[tokio::test]
async fn a_form_with_passwords_is_accepted_and_not_logged() {
    let settings = Settings { api_password: Secret::new("api-secret"), ..settings() };
    let console = Console::start(local(), fleet(), settings).unwrap();
    let form =
        [("op", "get"), ("op2", "test"), ("apipass", "api-secret"), ("user", "reader"), ("pass", "demo-password")];
    let url = format!("{}include/api.php", console.url());
    let answer = reqwest::Client::new().post(&url).form(&form).send().await.unwrap().text().await.unwrap();
    assert_eq!(answer, "OK,v7.0NG.776,PC240328");
    let seen = console.requests().all().remove(0);
    assert!(seen.secret_in_body && !seen.secret_in_query && seen.op2 == "test");
    assert!(!format!("{seen:?}").contains("api-secret") && !format!("{seen:?}").contains("demo-password"));
}

#[tokio::test]
async fn any_page_is_the_login_page_and_stopping_leaves_nothing_open() {
    let console = console();
    let client = reqwest::Client::new();
    let page = client.get(format!("{}index.php?sec=estado", console.url())).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains("name=\"nick\""));
    let requests = console.requests().clone();
    assert_eq!(requests.load().connections, 1);
    console.stop().await;
    assert_eq!(requests.load().connections, 0);
}

#[tokio::test]
async fn the_demo_starts_its_sites_and_names_a_port_that_is_taken() {
    // Below the ports that systems give away, so that only another demo can be in the way.
    let (port, demo) = (20_000..30_000).step_by(10).find_map(|port| Some((port, Demo::start(port).ok()?))).unwrap();
    let sites: Vec<&str> = demo.sites().iter().map(|site| site.id.as_str()).collect();
    assert_eq!(sites, ["madrid", "lyon", "nairobi", "lima", "oslo", "kyoto"]);
    for site in demo.sites() {
        let answer = reqwest::get(format!("{}include/api.php?info=version", site.url)).await;
        assert_eq!(answer.is_err(), site.id == "oslo", "{}", site.id);
    }
    let gateways = demo.consoles().iter().filter(|console| console.fleet().agent_mut("vpn-gateway").is_some()).count();
    assert_eq!(gateways, 2);
    let yaml = demo.sites_yaml(std::path::Path::new("/run/demo token"));
    assert!(yaml.contains("    credentials: {token: \"file:/run/demo token\"}\n"), "{yaml}");
    let error = Demo::start(port).unwrap_err().to_string();
    assert!(error.contains(&format!("127.0.0.1:{}", port + 1)) && error.contains("--port"), "{error}");
}

#[tokio::test]
async fn a_time_filter_of_events_breaks_after_noon() {
    let console = console();
    let event = Event {
        id: 1,
        agent: 1,
        group: 2,
        module: 1,
        utimestamp: NOW - 60,
        kind: EventKind::Critical,
        text: String::new(),
        data: String::new(),
    };
    console.fleet().events.push(event);
    let last_hour = format!("op=get&op2=events&return_type=json&{}", other(&format!(";||||||{}|{NOW}", NOW - 3600)));
    // 03:31 in London is 22:31 in New York.
    for (zone, found) in [
        (Zone::new("Europe/London", "GMT0BST,M3.5.0/1,M10.5.0"), 1),
        (Zone::new("America/New_York", "EST5EDT,M3.2.0,M11.1.0"), 0),
    ] {
        console.fleet().zone = zone;
        assert_eq!(json(&console, &last_hour).await["data"].as_array().unwrap().len(), found);
    }
}

#[tokio::test]
async fn events_are_paged_newest_first() {
    let console = Console::start(local(), Fleet::generate(1, &profile(), NOW), settings()).unwrap();
    let page =
        |offset: usize| format!("op=get&op2=events&return_type=json&{}", other(&format!(";||||||||||2|{offset}")));
    let times = |answer: Value| {
        let time = |row: &Value| row["utimestamp"].as_str().unwrap().parse::<i64>().unwrap();
        answer["data"].as_array().unwrap().iter().map(time).collect::<Vec<_>>()
    };
    let (first, second) = (times(json(&console, &page(0)).await), times(json(&console, &page(2)).await));
    assert!(first[0] >= first[1] && first[1] >= second[0], "{first:?} {second:?}");
    let total = json(&console, &format!("op=get&op2=events&return_type=json&{}", other(";||||||||||||total"))).await;
    assert!(total["data"][0]["nitems"].as_str().unwrap().parse::<usize>().unwrap() >= 4);
}
