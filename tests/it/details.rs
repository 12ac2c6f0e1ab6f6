//! One agent over HTTP: modules, events and series of recorded consoles, and what becomes of them when a console fails.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::http::StatusCode;
use metaconsole::access::secrets::digest;
use metaconsole::clock::Clock;
use metaconsole::demo::{Agent, Console, Event, EventKind, Fault, Fleet, Module, ModuleKind, ModuleState, Settings};
use serde_json::{Value, json};

use crate::support::gateway::{Answer, Served, console, until};
use crate::support::program::Config;
use crate::support::replay::{self, Replay};

/// Each recorded console with an agent that was asked for, its modules "CPU Load" and "Log & <errors>".
const RECORDED: [(&str, &str, &str, &str); 3] =
    [("s1", "20", "87", "95"), ("s2", "180", "840", "898"), ("s3", "180", "839", "898")];

fn modules(answer: &Value) -> &Vec<Value> {
    answer["modules"].as_array().unwrap()
}

fn ids(answer: &Answer) -> Vec<u64> {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["events"].as_array().unwrap().iter().map(|event| event["id"].as_u64().unwrap()).collect()
}

/// The agent that has a module, by the recorded tree.
fn owner(site: &str, module: &str) -> String {
    let tree: Value = serde_json::from_slice(&replay::body(&format!("{site}-tree-agents-snapshot"))).unwrap();
    let rows = tree["data"].as_array().unwrap();
    let row = rows.iter().find(|row| row["module_id_agent_modulo"] == module).unwrap();
    row["module_id_agent"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn series_of_three_time_zones_are_in_universal_time() {
    // Where each recorded range begins, so that it is asked for once.
    for ((site, _, number, text), from) in RECORDED.into_iter().zip([1_795_383_360, 1_795_383_480, 1_795_383_540_i64]) {
        let range = format!("{site}-module-data-range");
        let tree = format!("{site}-tree-agents-snapshot");
        let replay = Replay::start(site, &[("tree_agents", &tree), ("module_data", &range)]);
        let served = Served::start(&Config::sites([("a", replay.url())])).await;
        let agent = owner(site, number);
        let path = format!("/api/v1/sites/a/agents/{agent}/modules/{number}/data?from={from}&to=1795390467");
        let answer = served.get(&path).await.json();
        assert_eq!(replay.requests().count("module_data"), 1, "{site}");
        let points = answer["points"].as_array().unwrap();
        let stored: Vec<_> = points.iter().filter(|point| point["repeat"].is_null()).collect();
        assert_eq!(stored.len(), 24, "{site}");
        assert_eq!(*stored[0], json!({"at": "2026-11-22T21:39:27Z", "value": 27.69}), "{site}");
        assert_eq!(stored[23]["value"], 23.85);

        let string = format!("{site}-module-data-string-module");
        let replay = Replay::start(site, &[("tree_agents", &tree), ("module_data", &string)]);
        let served = Served::start(&Config::sites([("a", replay.url())])).await;
        let agent = owner(site, text);
        let path = format!("/api/v1/sites/a/agents/{agent}/modules/{text}/data?from=1795397800&to=1795404900");
        let answer = served.get(&path).await.json();
        let points = answer["points"].as_array().unwrap();
        assert!(points.len() > 20);
        assert!(points.iter().all(|point| point["value"] == "OK; all \"fine\" <b>ñ</b> & ?"));
        let csv = served.get(&format!("{path}&format=csv")).await;
        assert!(csv.header("content-type").starts_with("text/csv"));
        let lines: Vec<_> = csv.text.lines().collect();
        assert_eq!((lines[0], lines.len()), ("at,value,repeat", points.len() + 1));
        assert!(lines[1].ends_with("\"OK; all \"\"fine\"\" <b>ñ</b> & ?\",true"), "{}", lines[1]);
        let accepted = served.get_with(&path, &[("accept", "text/csv")]).await;
        assert_eq!(accepted.text, csv.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_agents_are_told_with_their_modules_and_events() {
    for (site, _, _, text) in RECORDED {
        let cases = ["tree-agents-snapshot", "module-properties-all-json", "events-limit5"]
            .map(|case| format!("{site}-{case}"));
        let replay =
            Replay::start(site, &[("tree_agents", &cases[0]), ("module_properties", &cases[1]), ("events", &cases[2])]);
        let served = Served::start(&Config::sites([("a", replay.url())])).await;
        let agent = owner(site, text);
        let answer = served.get(&format!("/api/v1/sites/a/agents/{agent}?deadline=30s")).await.json();
        assert_eq!(
            (&answer["complete"], &answer["stale"], &answer["id"]),
            (&json!(true), &json!(false), &json!(agent))
        );
        assert_eq!(answer["sites"][0]["outcome"], "fresh");
        // The replay answers each of its modules with the same recorded one.
        assert!(modules(&answer).len() > 3);
        for module in modules(&answer) {
            let shown = (&module["name"], &module["value"], &module["status"], &module["interval_s"]);
            let expected =
                (&json!("Log & <errors>"), &json!("OK; all \"fine\" <b>ñ</b> & ?"), &json!("normal"), &json!(300));
            assert_eq!(shown, expected, "{site}");
            assert!(module["reported"].as_str().unwrap().starts_with("2026-11-23T03:3"), "{site} {module}");
        }
        let recorded: Value = serde_json::from_slice(&replay::body(&cases[2])).unwrap();
        let events = served.get("/api/v1/sites/a/events?deadline=30s").await;
        let mut expected: Vec<(i64, u64)> = recorded["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                let number = |key: &str| row[key].as_str().unwrap().parse::<i64>().unwrap();
                (number("utimestamp"), u64::try_from(number("id_evento")).unwrap())
            })
            .collect();
        expected.sort_unstable();
        expected.reverse();
        assert_eq!(ids(&events), expected.iter().map(|(_, id)| *id).collect::<Vec<_>>(), "{site}");
        let newest = &events.json()["events"][0];
        let at = metaconsole::clock::Timestamp::from_secs(expected[0].0).to_string();
        assert_eq!(newest["at"], json!(at), "{site}: in universal time, whatever the console writes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_a_recorded_agent_have_decoded_texts_and_all_zones_agree() {
    let replay = Replay::start("s1", &[("tree_agents", "s1-tree-agents-snapshot"), ("events", "s1-events-no-params")]);
    let served = Served::start(&Config::sites([("a", replay.url())])).await;
    let answer = served.get("/api/v1/sites/a/agents/3/events?deadline=30s").await;
    assert_eq!(ids(&answer), [61, 60, 59, 58, 57, 56, 8]);
    let texts: Vec<_> = answer.json()["events"].as_array().unwrap().iter().map(|event| event["text"].clone()).collect();
    assert_eq!(texts[1], "Module 'Log & <errors>' is going to UNKNOWN");
    assert_eq!(texts[2], "Module 'Temp ambiente °C' is going to UNKNOWN");
    assert_eq!(texts[6], "Agent [日本サーバ-01] created by lab-s1");
    let event = &answer.json()["events"][1];
    let expected = json!({"id": 60, "at": "2026-11-23T03:34:02Z", "kind": "going_unknown", "severity": "minor",
        "state": "new", "text": texts[1], "agent": "3", "alias": "日本サーバ-01", "module": "14"});
    assert_eq!(*event, expected);
}

fn start(fleet: Fleet) -> Console {
    Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), fleet, Settings::default()).unwrap()
}

fn many(modules: usize) -> Console {
    let agent = (0..modules).fold(Agent::new("web-01", 2), |agent, number| {
        let state = if number % 50 == 7 { ModuleState::Critical } else { ModuleState::Normal };
        agent.module(Module::new(&format!("Disk <{number}> & co"), state, &format!("{number}.50000")))
    });
    start(Fleet::empty(Clock::System.now().as_secs()).group(2, "Servers", 0).agent(agent))
}

const DETAIL: &str = "/api/v1/sites/a/agents/1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_is_told_worst_first_read_once_for_all_and_kept() {
    let console = many(203);
    let served = Served::start(&Config::sites([("a", console.url())])).await;
    let path = format!("{DETAIL}?deadline=30s");
    let looks = futures_util::future::join_all((0..8).map(|_| served.get(&path))).await;
    assert_eq!(console.requests().count("module_properties"), 200);
    assert_eq!(console.requests().count("events"), 1);
    for look in &looks {
        let answer = look.json();
        assert_eq!(
            (modules(&answer).len(), &answer["modules_cut"], &answer["complete"]),
            (200, &json!(3), &json!(false))
        );
        assert_eq!((&answer["events"], &answer["events_error"]), (&json!([]), &json!(null)));
        assert_eq!((&answer["alias"], &answer["counts"]["critical"]), (&json!("web-01"), &json!(4)));
        let first = &modules(&answer)[0];
        assert_eq!((&first["name"], &first["value"]), (&json!("Disk <7> & co"), &json!(7.5)));
        assert!(first["age_ms"].as_u64().unwrap() < 60_000 && first["warning"].is_null());
        let statuses: Vec<_> = modules(&answer).iter().take(5).map(|module| module["status"].clone()).collect();
        assert_eq!(statuses, ["critical", "critical", "critical", "critical", "normal"]);
        for (link, part) in [
            ("modules", "tab=module"),
            ("alerts", "tab=alert"),
            ("events", "operation/events"),
            ("graphs", "tab=graphs"),
        ] {
            assert!(answer["links"][link].as_str().unwrap().contains(part), "{link}");
        }
        assert!(answer["links"]["self"].as_str().unwrap().ends_with(DETAIL));
    }
    served.get(&path).await;
    assert_eq!(console.requests().count("module_properties"), 200, "kept for a while");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_slow_module_costs_only_itself() {
    let console = many(9);
    let served = Served::start(&Config::sites([("a", console.url())])).await;
    assert_eq!(served.get("/api/v1/search?deadline=30s").await.json()["total"], 1);
    console.faults().add(Fault::Hang.on("module_properties").times(1));
    let answer = served.get(&format!("{DETAIL}?deadline=3s")).await;
    let (took, answer) = (answer.json()["took_ms"].as_u64().unwrap(), answer.json());
    assert!((2500..20_000).contains(&took), "{took}");
    let (read, unread): (Vec<_>, Vec<_>) = modules(&answer).iter().partition(|module| module["error"].is_null());
    assert_eq!((read.len(), unread.len(), &answer["complete"]), (8, 1, &json!(false)));
    assert_eq!((&unread[0]["error"]["code"], &unread[0]["value"]), (&json!("timeout"), &json!(null)));
    assert!(unread[0]["error"]["remedy"].is_string() && unread[0]["error"]["since"].is_string());
    assert_eq!(answer["sites"][0]["outcome"], "cached", "its inventory is well");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_is_named_and_not_asked_over_and_over() {
    for (fault, says) in [
        (Fault::Crash, "an empty error (500)"),
        (Fault::ProxyPage(StatusCode::OK), "a web page (200)"),
        (Fault::LoginPage, "a login page"),
    ] {
        let console = many(30);
        let served = Served::start(&Config::sites([("a", console.url())])).await;
        console.faults().add(fault.clone().on("module_properties"));
        console.faults().add(fault.on("events"));
        let answer = served.get(&format!("{DETAIL}?deadline=30s")).await.json();
        assert_eq!(
            (&answer["alias"], &answer["complete"], &answer["events"]),
            (&json!("web-01"), &json!(false), &json!(null))
        );
        assert!(answer["events_error"]["message"].is_string(), "{answer}");
        assert_eq!(modules(&answer).len(), 30);
        for module in modules(&answer) {
            assert_eq!(module["error"]["code"], "bad_answer");
            if !says.contains("500") {
                assert!(module["error"]["message"].as_str().unwrap().contains(says), "{module}");
            }
        }
        assert!(
            console.requests().count("module_properties") <= 8,
            "{}",
            console.requests().count("module_properties")
        );
        // A failure is kept for a moment only.
        console.faults().clear().unwrap();
        until("it is read again", || async {
            served.get(&format!("{DETAIL}?deadline=30s")).await.json()["complete"] == json!(true)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_that_fails_is_not_asked_for_details() {
    let console = many(3);
    let served = Served::start(&Config::sites([("a", console.url())])).await;
    console.faults().add(Fault::Crash.on("tree_agents"));
    let answer = served.get(&format!("{DETAIL}?deadline=10s")).await;
    assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("site_unknown")));
    assert_eq!(answer.json()["sites"][0]["error"]["code"], "bad_answer");
    let events = served.get("/api/v1/sites/a/events").await.json();
    assert_eq!((&events["complete"], &events["events"]), (&json!(false), &json!([])));
    assert_eq!(console.requests().count("module_properties") + console.requests().count("events"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_not_there() {
    let console = many(2);
    let served = Served::start(&Config::sites([("a", console.url())])).await;
    for (path, status, code) in [
        ("/api/v1/sites/b/agents/1", 404, "unknown_site"),
        ("/api/v1/sites/a/agents/2", 404, "unknown_agent"),
        ("/api/v1/sites/a/agents/2/events", 404, "unknown_agent"),
        ("/api/v1/sites/a/agents/1/modules/3/data", 404, "unknown_module"),
        ("/api/v1/sites/a/agents/1/modules/01/data", 404, "unknown_module"),
        ("/api/v1/sites/a/agents/1/modules/1/data?from=never", 400, "bad_parameter"),
        ("/api/v1/sites/a/agents/1/modules/1/data?from=-500d", 400, "bad_parameter"),
        ("/api/v1/sites/a/agents/1/modules/1/data?format=ndjson", 406, "not_acceptable"),
        ("/api/v1/sites/a/events?cursor=x", 400, "bad_cursor"),
        ("/api/v1/sites/a/agents/1?x=y", 400, "bad_parameter"),
    ] {
        let answer = served.get(path).await;
        assert_eq!((answer.status, &answer.json()["code"]), (status, &json!(code)), "{path}");
    }
    // All who ask the same are one question of the site.
    let same = format!("{DETAIL}/modules/1/data?from=1795383500&to=1795390467&deadline=30s");
    let before = console.requests().count("module_data");
    let first = served.get(&same).await;
    let (again, as_csv) = (served.get(&same).await, served.get(&format!("{same}&format=csv")).await);
    assert_eq!(
        (first.status, again.json()["points"].clone(), as_csv.status),
        (200, first.json()["points"].clone(), 200)
    );
    assert_eq!(console.requests().count("module_data"), before + 1);
    let answer = served.get(&format!("{DETAIL}/modules/1/data?from=-2h&deadline=30s")).await.json();
    let points = answer["points"].as_array().unwrap();
    assert!(points.len() > 10 && points.iter().any(|point| point["repeat"] == json!(true)), "{answer}");
    assert!(points.windows(2).all(|two| two[0]["at"].as_str() <= two[1]["at"].as_str()));
    console.faults().add(Fault::LoginPage.on("module_data"));
    let answer = served.get(&format!("{DETAIL}/modules/1/data?deadline=30s")).await;
    assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("not_read")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_looks_like_a_number_stays_text() {
    let text = Module { kind: ModuleKind::Text, ..Module::new("build", ModuleState::Normal, "12") };
    let number = Module::new("CPU", ModuleState::Normal, "12");
    let agent = Agent::new("web-01", 2).module(text).module(number);
    let console = start(Fleet::empty(Clock::System.now().as_secs()).group(2, "Servers", 0).agent(agent));
    let served = Served::start(&Config::sites([("a", console.url())])).await;
    let shown = served.get(&format!("{DETAIL}?deadline=30s")).await.json();
    let values: Vec<_> = modules(&shown).iter().map(|module| (&module["name"], &module["value"])).collect();
    assert_eq!(values, [(&json!("build"), &json!("12")), (&json!("CPU"), &json!(12))]);
    for (module, is_text) in [(1, true), (2, false)] {
        let path = format!("{DETAIL}/modules/{module}/data?from=-2h&to=-1h&deadline=30s");
        let series = served.get(&path).await.json();
        let points = series["points"].as_array().unwrap();
        assert!(points.len() > 10 && points.iter().all(|point| point["value"].is_string() == is_text), "{series}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_series_behind_others_is_told_at_its_own_deadline() {
    let console = many(3);
    let served = Served::start(&Config::sites([("a", console.url())])).await;
    assert_eq!(served.get("/api/v1/search?deadline=30s").await.json()["total"], 1);
    console.faults().add(Fault::Hang.on("module_data"));
    let path = |module: u32, deadline: &str| format!("{DETAIL}/modules/{module}/data?deadline={deadline}");
    let (one, two, three) = (path(1, "4s"), path(2, "4s"), path(3, "500ms"));
    let requests = console.requests().clone();
    let third = async {
        requests.until(|load| load.in_flight == 2).await;
        served.get(&three).await
    };
    let (_, _, third) = tokio::join!(served.get(&one), served.get(&two), third);
    let answer = third.json();
    assert_eq!((third.status, &answer["code"]), (503, &json!("not_read")));
    assert!(answer["detail"].as_str().unwrap().starts_with("timeout: "), "{answer}");
    assert!(answer["remedy"].is_string());
}

fn happened(fleet: &mut Fleet, count: u32, agent: u32, second: i64) {
    for _ in 0..count {
        let id = u32::try_from(fleet.events.len()).unwrap() + 1;
        let (kind, text, data) = (EventKind::Critical, format!("event {id}"), String::new());
        fleet.events.push(Event { id, agent, group: 2, module: 0, utimestamp: second, kind, text, data });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paging_loses_and_doubles_no_event_while_new_ones_come() {
    let now = Clock::System.now().as_secs();
    let mut fleet = Fleet::empty(now).group(2, "Servers", 0).agent(Agent::new("one", 2)).agent(Agent::new("two", 2));
    for minute in 0..60 {
        happened(&mut fleet, 7, 1, now - 5000 + minute);
        happened(&mut fleet, 3, 2, now - 5000 + minute);
    }
    let console = start(fleet);
    let served = Served::start(&Config::sites([("a", console.url())])).await;
    for (path, expected) in [("/api/v1/sites/a/events", 600), ("/api/v1/sites/a/agents/2/events", 180)] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        let newest = u64::try_from(console.fleet().events.len()).unwrap();
        loop {
            let answer = served.get(&format!("{path}?limit=47&deadline=30s{cursor}")).await;
            seen.extend(ids(&answer));
            happened(&mut console.fleet(), 13, 2, now - 10);
            match answer.json()["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let before = seen.iter().filter(|id| **id <= newest.min(600)).count();
        assert_eq!(before, expected, "{path}");
        let all = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), all, "{path}: each once");
    }
    let detail = served.get("/api/v1/sites/a/agents/1?deadline=30s").await.json();
    let events = detail["events"].as_array().unwrap();
    assert_eq!(events.len(), 20);
    assert!(events.iter().all(|event| event["agent"] == "1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_may_see_one_group_sees_its_agents_and_their_events_only() {
    let now = Clock::System.now().as_secs();
    let module = || Module::new("CPU", ModuleState::Normal, "1");
    let mut fleet = Fleet::empty(now)
        .group(2, "Servers", 0)
        .group(3, "Secret", 0)
        .agent(Agent::new("open", 2).module(module()))
        .agent(Agent::new("hidden", 3).module(module()));
    for agent in [1, 2, 0, 77] {
        happened(&mut fleet, 2, agent, now - 60);
    }
    let console = start(fleet);
    let token = |name: &str, role: &str| {
        format!("    - {{name: {name}, hash: 'sha256:{}', roles: [{role}]}}\n", digest(&format!("mct_{name}")))
    };
    let yaml = format!(
        "gateway: {{state_dir: state}}\nsites:\n  - {{id: a, url: \"{}\", public_url: \"http://a.localhost/\", credentials: \
         {{token: \"file:token\"}}}}\naccess:\n  roles:\n    all: {{search: ['*'], view: ['*']}}\n    few:\n      search: \
         [{{sites: [a], groups: [Servers]}}]\n      view: [{{sites: [a], groups: [Servers]}}]\n    finder: {{search: [a]}}\n  \
         api_tokens:\n{}{}{}",
        console.url(),
        token("root", "all"),
        token("few", "few"),
        token("finder", "finder"),
    );
    let served = Served::start(&Config::new(&yaml)).await;
    let get =
        async |name: &str, path: &str| served.get_with(path, &[("authorization", &format!("Bearer mct_{name}"))]).await;
    let events = "/api/v1/sites/a/events?deadline=30s";
    assert_eq!(ids(&get("root", events).await), [8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(ids(&get("few", events).await), [2, 1]);
    // Whoever may see all has the hidden one's detail in what is kept, and nobody else gets it from there.
    assert_eq!(get("root", "/api/v1/sites/a/agents/2?deadline=30s").await.status, 200);
    for path in ["/agents/2", "/agents/2/events", "/agents/2/modules/2/data"] {
        let hidden = get("few", &format!("/api/v1/sites/a{path}")).await;
        let none = get("few", &format!("/api/v1/sites/a{}", path.replace("s/2", "s/9"))).await;
        assert_eq!((hidden.status, hidden.text.replace("`2`", "`9`")), (404, none.text), "{path}");
    }
    let answer = get("few", "/api/v1/sites/a/agents/1?deadline=30s").await;
    assert_eq!((answer.status, answer.text.contains("hidden")), (200, false));
    for path in [events, "/api/v1/sites/a/agents/1", "/api/v1/sites/a/agents/1/modules/1/data"] {
        assert_eq!(get("finder", path).await.json()["code"], "forbidden", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_impatient_has_what_there_is_and_whoever_waits_has_all_of_the_same_reading() {
    let console = console(&["web"]);
    let served = Served::start(&Config::sites([("a", console.url())])).await;
    assert_eq!(served.get("/api/v1/search?deadline=30s").await.json()["total"], 1);
    console.faults().add(Fault::Delay(Duration::from_secs(2)).on("module_properties"));
    let (soon, late) = tokio::join!(
        served.get("/api/v1/sites/a/agents/1?deadline=500ms"),
        served.get("/api/v1/sites/a/agents/1?deadline=30s")
    );
    let (soon, late) = (soon.json(), late.json());
    assert_eq!((&modules(&soon)[0]["error"]["code"], &soon["complete"]), (&json!("timeout"), &json!(false)));
    assert_eq!((&modules(&late)[0]["value"], &late["complete"]), (&json!(1), &json!(true)));
    assert_eq!(console.requests().count("module_properties"), 1);
}
