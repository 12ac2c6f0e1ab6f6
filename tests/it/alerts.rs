//! Fired alerts end to end: demo consoles answer them as real ones do, and every form says whose are not known.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use metaconsole::clock::Clock;
use metaconsole::demo::{Agent, Console, Fault, Fleet, Module, ModuleState, Profile, Requests, Settings};
use serde_json::{Value, json};

use crate::support::gateway::{Gate, Served, until};
use crate::support::program::Config;
use crate::support::replay::{self, Replay};

/// A console with these agents; those with a `!` have a critical module whose alert has fired.
fn console(agents: &[&str]) -> Console {
    let fleet = Fleet::empty(Clock::System.now().as_secs()).group(2, "Servers", 0);
    let agent = |name: &str| {
        let (alias, fired) = (name.trim_end_matches('!'), name.ends_with('!'));
        let state = if fired { ModuleState::Critical } else { ModuleState::Normal };
        Agent::new(alias, 2).module(Module { alert_fired: fired, ..Module::new("CPU", state, "1") })
    };
    let fleet = agents.iter().fold(fleet, |fleet, name| fleet.agent(agent(name)));
    Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), fleet, Settings::default()).unwrap()
}

/// How often it was asked which alerts have fired.
fn asked(requests: &Requests) -> usize {
    requests.all().iter().filter(|seen| seen.parameters.get("other").contains("alert_times_fired")).count()
}

async fn search(served: &Served, query: &str) -> Value {
    served.get(&format!("/api/v1/search?q={query}&deadline=20s&sort=alias")).await.json()
}

/// Aliases and flags.
fn rows(answer: &Value) -> Vec<(&str, &Value)> {
    let agents = answer["agents"].as_array().unwrap().iter();
    agents.map(|agent| (agent["alias"].as_str().unwrap(), &agent["alert_fired"])).collect()
}

/// Ids and outcomes, with the code of the error.
fn outcomes(answer: &Value) -> Vec<[&str; 3]> {
    let sites = answer["sites"].as_array().unwrap().iter();
    sites
        .map(|site| [&site["id"], &site["outcome"], &site["error"]["code"]].map(|word| word.as_str().unwrap_or("")))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fired_alerts_are_asked_for_once_and_only_when_wanted() {
    let (a, b) = (console(&["web-1!", "web-2"]), console(&["web-3", "web-4"]));
    let served = Served::start(&Config::sites([("a", a.url()), ("b", b.url())])).await;
    let all = search(&served, "web").await;
    assert!(rows(&all).iter().all(|(_, fired)| fired.is_null()), "{all}");
    assert!(all["sites"].as_array().unwrap().iter().all(|site| site.get("alerts_as_of").is_none()));
    let quiet = served.get("/api/v1/sites/a").await.json();
    assert_eq!((asked(a.requests()), quiet.get("alerts")), (0, None));
    // A site without any is known to have none.
    let fired = search(&served, "alert:fired").await;
    assert_eq!((rows(&fired), &fired["complete"]), (vec![("web-1", &json!(true))], &json!(true)), "{fired}");
    let not_fired = search(&served, "-alert:fired").await;
    assert_eq!(rows(&not_fired).iter().map(|(alias, _)| *alias).collect::<Vec<_>>(), ["web-2", "web-3", "web-4"]);
    // From here on everybody is told, with the time of it.
    let all = search(&served, "web").await;
    let flags: Vec<_> = rows(&all).into_iter().map(|(_, fired)| fired.clone()).collect();
    assert_eq!(flags, [json!(true), json!(false), json!(false), json!(false)]);
    for site in all["sites"].as_array().unwrap() {
        assert!(site["alerts_as_of"].as_str().is_some_and(|at| at.ends_with('Z')), "{site}");
    }
    let explained = served.get("/api/v1/search?q=alert:fired&explain=1").await.json();
    assert_eq!(explained["explain"]["terms"][0]["agents"], 1, "{explained}");
    assert_eq!([&a, &b].map(|console| asked(console.requests())), [1, 1]);
    let state = served.get("/api/v1/sites/a").await.json();
    assert_eq!((&state["alerts"]["max_age_ms"], &state["alerts"]["reading"]), (&json!(120_000), &json!(false)));
    assert!(state["alerts"]["age_ms"].is_u64() && state["alerts"].get("error").is_none(), "{state}");
    assert!((served.metric("metaconsole_site_alert_reads_total{site=\"a\",result=\"ok\"}").await - 1.0).abs() < 0.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sites_whose_alerts_fail_are_named_and_ordinary_answers_stay_whole() {
    for (fault, code) in [
        (Fault::Crash, "bad_answer"),
        (Fault::Truncated, "bad_answer"),
        (Fault::EndlessNoise(200_000), "bad_answer"),
        (Fault::LoginPage, "bad_answer"),
        (Fault::ResetMidAnswer, "bad_answer"),
    ] {
        let (a, b) = (console(&["web-1!", "web-2"]), console(&["web-3!"]));
        b.faults().add(fault.clone().on("tree_agents").asking("alert_times_fired"));
        let config = Config::sites([("a", a.url()), ("b", b.url())]);
        let served = Served::start(&config).await;
        let fired = search(&served, "alert:fired").await;
        assert_eq!(rows(&fired), [("web-1", &json!(true))], "{fault:?}");
        assert_eq!(outcomes(&fired), [["a", "fresh", ""], ["b", "failed", code]], "{fault:?}");
        let message = fired["sites"][1]["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("its alerts are not known: "), "{message}");
        let all = search(&served, "web").await;
        assert_eq!((&all["total"], &all["complete"]), (&json!(3), &json!(true)), "{fault:?}");
        assert_eq!(rows(&all)[2], ("web-3", &Value::Null));
        let state = served.get("/api/v1/sites/b").await.json();
        assert_eq!((&state["state"], &state["alerts"]["error"]["code"]), (&json!("ok"), &json!(code)), "{state}");
        let reads = format!("metaconsole_site_alert_reads_total{{site=\"b\",result=\"{code}\"}}");
        assert!(served.metric(&reads).await > 0.9);
        // The command line, which reads by itself, says the same.
        let asked = config.run(&["search", "--format", "json", "alert:fired"]).await;
        assert_eq!((asked.code, rows(&asked.json())), (3, vec![("web-1", &json!(true))]), "{}", asked.stderr);
        let refused = served.get("/api/v1/search?q=alert:fired&require=all").await;
        assert_eq!(refused.status, 503);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_viewers_wait_for_one_read_and_see_it_when_it_comes() {
    let console = console(&["web-1!", "web-2"]);
    let gate = Gate::before(&console);
    gate.set_open(true);
    let served = Served::start(&Config::sites([("a", gate.url())])).await;
    search(&served, "web").await;
    gate.set_open(false);
    let mut streams = [
        served.stream("/api/v1/search?q=alert:fired&deadline=20s").await,
        served.stream("/api/v1/search?q=-alert:fired&deadline=20s").await,
    ];
    until("the read stands at the gate", async || asked(gate.server.requests()) == 1).await;
    // Meanwhile an impatient one is told, and whoever does not ask for alerts waits for nothing.
    let missed = served.get("/api/v1/search?q=alert:fired&deadline=1ms").await.json();
    assert_eq!(outcomes(&missed), [["a", "failed", "timeout"]]);
    let state = served.get("/api/v1/sites/a").await.json();
    assert_eq!((&state["alerts"]["reading"], &state["reading"]), (&json!(true), &json!(false)));
    assert_eq!(search(&served, "web").await["complete"], true);
    gate.set_open(true);
    for (stream, alias) in streams.iter_mut().zip(["web-1", "web-2"]) {
        let record = stream.next().await.unwrap();
        assert_eq!((&record["outcome"], &record["agents"][0]["alias"]), (&json!("cached"), &json!(alias)), "{record}");
        let summary = stream.next().await.unwrap();
        assert_eq!((&summary["summary"]["complete"], &summary["summary"]["total"]), (&json!(true), &json!(1)));
    }
    assert_eq!(asked(gate.server.requests()), 1);
}

/// The flag in a CSV, by alias.
fn flags_of_csv(text: &str) -> Vec<(String, String)> {
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(text.as_bytes());
    let head = reader.headers().unwrap().clone();
    let at = |name: &str| head.iter().position(|column| column == name).unwrap();
    let (alias, flag) = (at("alias"), at("alert_fired"));
    reader.records().map(|row| row.unwrap()).map(|row| (row[alias].to_owned(), row[flag].to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_forms_tell_the_same_alerts() {
    let (a, b) = (console(&["web-1!", "web-2", "web-5!"]), console(&["web-3!", "web-4"]));
    b.faults().add(Fault::Crash.on("tree_agents").asking("alert_times_fired"));
    let served = Served::start(&Config::sites([("a", a.url()), ("b", b.url())])).await;
    search(&served, "alert:fired").await;
    for query in ["alert:fired", "-alert:fired", "web"] {
        let json = search(&served, query).await;
        let path = |form: &str| format!("/api/v1/search?q={query}&deadline=20s&sort=alias&format={form}");
        let csv = served.get(&path("csv")).await.text;
        let of_json: Vec<_> = rows(&json)
            .into_iter()
            .map(|(alias, flag)| (alias.to_owned(), flag.as_bool().map_or(String::new(), |flag| flag.to_string())))
            .collect();
        assert_eq!(flags_of_csv(&csv), of_json, "{query}");
        assert_eq!(csv.contains("# b failed: bad_answer: its alerts are not known"), query != "web", "{csv}");
        let lines =
            |text: String| -> Vec<Value> { text.lines().map(|line| serde_json::from_str(line).unwrap()).collect() };
        let mut exported = lines(served.get(&path("ndjson")).await.text);
        let summary = exported.pop().unwrap();
        assert_eq!(Value::from(exported), json["agents"]);
        let streamed = lines(served.get(&path("stream")).await.text);
        let mut agents: Vec<_> = streamed.iter().filter_map(|record| record["agents"].as_array()).flatten().collect();
        agents.sort_by_key(|agent| agent["alias"].to_string());
        assert_eq!(json!(agents), json["agents"]);
        for summary in [&summary["summary"], &streamed.last().unwrap()["summary"]] {
            assert_eq!(outcomes(summary), outcomes(&json), "{query}");
            assert_eq!(summary["sites"][0]["alerts_as_of"], json["sites"][0]["alerts_as_of"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_consoles_tell_every_fired_alert_and_no_other() {
    for console in ["odd-776", "odd-open"] {
        let [tree, alerts] = ["tree", "tree-alerts"].map(|case| format!("{console}-{case}"));
        let answers = [("tree_agents", tree.as_str()), ("tree_agents alert_times_fired", alerts.as_str())];
        let replay = Replay::start(console, &answers);
        let served = Served::start(&Config::sites([("a", replay.url())])).await;
        let fired = search(&served, "alert:fired").await;
        let ids: BTreeSet<_> =
            fired["agents"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
        let expected = BTreeSet::from(["34", "35", "36", "37", "38", "39", "40"]);
        assert_eq!((ids, &fired["complete"]), (expected, &json!(true)), "{console}");
        assert_eq!(asked(replay.requests()), 1);
        // The console's own statuses leave out two, which something else decides, and have one that is switched off.
        let list: Value = serde_json::from_slice(&replay::body(&format!("{console}-all-agents"))).unwrap();
        let says = |row: &&Value| matches!(row["status"].as_i64(), Some(4 | 100 | 200 | 300));
        let says: Vec<_> = list["data"].as_array().unwrap().iter().filter(says).map(|row| &row["id_agente"]).collect();
        assert_eq!(json!(says), json!(["34", "35", "36", "37", "39", "41"]), "{console}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generated_fleet_has_fired_alerts_and_they_are_found() {
    let now = Clock::System.now().as_secs();
    let profile = Profile {
        city: "Madrid",
        prefix: "mad",
        network: 1,
        agents: 300,
        zone: ("Europe/Madrid", "CET-1CEST,M3.5.0,M10.5.0/3"),
        specials: &[],
        silent_for: Duration::ZERO,
    };
    let fleet = Fleet::generate(7, &profile, now);
    let console = Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), fleet, Settings::default()).unwrap();
    let expected: BTreeSet<String> = {
        let fleet = console.fleet();
        let fired = |agent: &&Agent| agent.modules.iter().any(|m| m.alert_fired && !m.disabled && !m.delete_pending);
        fleet.agents.iter().filter(fired).filter(|agent| !agent.disabled).map(|agent| agent.id.to_string()).collect()
    };
    assert!(!expected.is_empty());
    let served = Served::start(&Config::sites([("a", console.url())])).await;
    let found = served.get("/api/v1/search?q=alert:fired&limit=1000&deadline=20s").await.json();
    let ids = found["agents"].as_array().unwrap().iter().map(|agent| agent["id"].as_str().unwrap().to_owned());
    assert_eq!((ids.collect::<BTreeSet<_>>(), &found["complete"]), (expected, &json!(true)));
}
