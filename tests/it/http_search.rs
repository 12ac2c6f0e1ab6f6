//! `search`, `where` and `suggest` over HTTP: what the library reports, and what holds for every answer.

use metaconsole::clock::Stopwatch;
use metaconsole::domain::Query;
use metaconsole::federation::{Question, Wanted};
use metaconsole::inventory::Order;
use metaconsole::wire;
use serde_json::Value;
use std::time::Duration;

use crate::support::gateway::{Gate, Served, console, until};
use crate::support::program::Config;

fn without_times(mut answer: Value) -> Value {
    answer["took_ms"] = Value::Null;
    for site in answer["sites"].as_array_mut().unwrap() {
        site["took_ms"] = Value::Null;
        site["age_ms"] = Value::Null;
    }
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_is_what_the_library_reports() {
    let (a, b) = (console(&["web-01", "db-01"]), console(&["web-02"]));
    let served = Served::start(&Config::sites([("a", a.url()), ("b", b.url())])).await;
    let answer = served.get("/api/v1/search?q=web&sort=name&limit=5").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    assert_eq!(answer.header("metaconsole-sites"), "ok=2 stale=0 failed=0");
    assert!(answer.json()["sites"].as_array().unwrap().iter().all(|site| site["outcome"] == "fresh"));
    let answer = served.get("/api/v1/search?q=web&sort=name&limit=5").await;
    let app = served.gateway.app.load_full();
    let query = Query::parse("web").unwrap();
    let patience = Duration::from_secs(2);
    let question = Question { query, order: Order::NAME, limit: 5, patience, wanted: Wanted::Current };
    let report = app.federation.everything().report(&question).await;
    let expected = serde_json::to_value(wire::answer(&report, Duration::ZERO, app.as_ref())).unwrap();
    assert_eq!(expected["total"], 2);
    assert_eq!(without_times(answer.json()), without_times(expected));

    let left_out = served.get("/api/v1/search?q=site:a").await.json();
    assert!(left_out["sites"][0].get("asked").is_none());
    let expected =
        serde_json::json!({"id": "b", "outcome": "cached", "asked": false, "rows": 0, "age_ms": null, "took_ms": null});
    assert_eq!(without_times(left_out)["sites"][1], expected);
    let limited = served.get("/api/v1/search?limit=1").await.json();
    assert_eq!((&limited["total"], limited["agents"].as_array().unwrap().len()), (&3.into(), 1));
    let found = served.get("/api/v1/where?name=WEB-01").await.json();
    assert_eq!((&found["total"], &found["agents"][0]["site"]), (&1.into(), &"a".into()));
    assert_eq!(served.get("/api/v1/where?name=web").await.json()["total"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_site_is_counted_and_require_all_gives_no_rows() {
    let (a, b) = (console(&["web-01"]), console(&["web-02"]));
    b.faults().add(metaconsole::demo::Fault::Hang);
    let served = Served::start(&Config::sites([("a", a.url()), ("b", b.url())])).await;
    let answer = served.get("/api/v1/search?deadline=100ms&max_age=1m").await;
    assert_eq!((answer.status, answer.header("metaconsole-sites")), (200, "ok=1 stale=0 failed=1"));
    assert_eq!((&answer.json()["complete"], &answer.json()["total"]), (&false.into(), &1.into()));
    let refused = served.get("/api/v1/search?deadline=100ms&require=all").await;
    assert_eq!((refused.status, refused.header("metaconsole-sites")), (503, "ok=1 stale=0 failed=1"));
    let problem = refused.json();
    assert_eq!(refused.header("content-type"), "application/problem+json");
    assert_eq!((&problem["code"], &problem["agents"]), (&"require_not_met".into(), &Value::Null));
    assert_eq!(problem["sites"][1]["error"]["code"], "timeout");
    assert!(served.metric("metaconsole_degraded_answers_total{reason=\"timeout\"}").await >= 2.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_cannot_be_longer_than_configured() {
    let a = console(&["web-01"]);
    a.faults().add(metaconsole::demo::Fault::Hang);
    let config = Config::sites([("a", a.url())]);
    let yaml = std::fs::read_to_string(config.path()).unwrap();
    config.write("sites.yaml", format!("gateway: {{deadline: 100ms, max_deadline: 300ms}}\n{yaml}").as_bytes());
    let served = Served::start(&config).await;
    let answer = served.get("/api/v1/search?deadline=1h").await.json();
    assert_eq!(answer["sites"][0]["error"]["message"], "no answer within 300ms");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suggestions_come_from_what_is_known() {
    let names: Vec<String> = (10..30).map(|number| format!("web-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (a, b) = (console(&names), console(&names));
    let served = Served::start(&Config::sites([("a", a.url()), ("b", b.url())])).await;
    let nothing = served.get("/api/v1/suggest?q=web").await;
    assert_eq!((&nothing.json()["suggestions"], a.requests().load().total), (&serde_json::json!([]), 0));
    assert_eq!(nothing.header("metaconsole-sites"), "ok=0 stale=0 failed=2");
    served.get("/api/v1/search").await;
    let some = served.get("/api/v1/suggest?q=web").await.json();
    let expected: Vec<_> = names.iter().take(10).collect();
    assert_eq!(some["suggestions"], serde_json::json!(expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_careful_and_json_is_compressed() {
    let names: Vec<String> = (0..200).map(|number| format!("web-{number}")).collect();
    let a = console(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let served = Served::start(&Config::sites([("a", a.url())])).await;
    let plain = served.get_with("/api/v1/search", &[("x-request-id", "mine-1")]).await;
    assert_eq!(plain.header("x-request-id"), "mine-1");
    for target in ["/api/v1/search", "/nowhere", "/", "/healthz", "/metrics", "/api/v1/search?limit=0"] {
        let answer = served.get_with(target, &[("x-request-id", "not allowed")]).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{target}");
        assert_eq!(answer.header("referrer-policy"), "same-origin");
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'"));
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("x-request-id").len(), 32);
    }
    let small = served.client.get(served.url("/api/v1/search")).header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(small.headers()["content-encoding"], "gzip");
    assert!(small.bytes().await.unwrap().len() < plain.text.len() / 4);
    let stream = served.client.get(served.url("/api/v1/search")).header("accept-encoding", "gzip");
    let stream = stream.header("accept", "application/x-ndjson").send().await.unwrap();
    assert!(!stream.headers().contains_key("content-encoding"));
    assert!(stream.text().await.unwrap().starts_with("{\"site\":\"a\""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spreadsheet_has_all_rows_and_says_which_sites_are_missing() {
    let names: Vec<String> = (0..1200).map(|number| format!("web-{number}")).collect();
    let (a, b) = (console(&names.iter().map(String::as_str).collect::<Vec<_>>()), console(&["web-02"]));
    b.faults().add(metaconsole::demo::Fault::Crash);
    let served = Served::start(&Config::sites([("a", a.url()), ("b", b.url())])).await;
    let csv = [("accept", "text/csv")];
    let answer = served.get_with("/api/v1/search?q=web&deadline=20s", &csv).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/csv; charset=utf-8"));
    assert_eq!(answer.header("metaconsole-sites"), "ok=1 stale=0 failed=1");
    let lines: Vec<&str> = answer.text.lines().collect();
    assert!(lines[0].starts_with("site,id,alias,"), "{}", lines[0]);
    assert_eq!(lines.iter().filter(|line| line.starts_with("a,")).count(), 1200);
    assert_eq!(lines[1201], "# Metaconsole-Sites: ok=1 stale=0 failed=1");
    assert!(lines[1202].starts_with("# b failed: "), "{}", lines[1202]);
    let few = served.get_with("/api/v1/search?q=web&limit=3", &csv).await;
    assert_eq!(few.text.lines().filter(|line| line.starts_with("a,")).count(), 3);
    assert_eq!(served.get_with("/api/v1/search?q=web&require=all", &csv).await.status, 503);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_is_capped_and_none_at_all_answers_from_what_is_known() {
    let a = console(&["web-01"]);
    let gate = Gate::before(&a);
    let site = format!("{{id: a, url: \"{}\", credentials: {{token: \"file:token\"}}}}", gate.url());
    let config = Config::new(&format!("gateway: {{deadline: 50ms, max_deadline: 300ms}}\nsites: [{site}]\n"));
    let served = Served::start(&config).await;
    let watch = Stopwatch::start();
    // Much more than may be asked for: the most that may.
    for deadline in ["100h", "400d", "1h"] {
        let answer = served.get(&format!("/api/v1/search?deadline={deadline}")).await;
        assert_eq!((answer.status, &answer.json()["sites"][0]["error"]["code"]), (200, &"timeout".into()));
        assert!(answer.text.contains("no answer within 300ms"), "{answer:?}");
    }
    assert!(watch.elapsed() >= Duration::from_millis(900), "it has waited");
    // Nothing is waited for, and nothing known yet.
    for deadline in ["0", "0s", "0ms"] {
        let answer = served.get(&format!("/api/v1/search?deadline={deadline}")).await.json();
        assert_eq!((&answer["total"], &answer["sites"][0]["outcome"]), (&0.into(), &"failed".into()), "{answer}");
        assert!(answer.to_string().contains("its read has not ended yet, and nothing was waited for"), "{answer}");
    }
    // The read that they started brings rows for the next one.
    gate.set_open(true);
    until("it is known", async || served.get("/api/v1/search?deadline=0").await.json()["total"] == 1).await;
    let csv = served.get("/api/v1/search?deadline=0&format=csv").await;
    assert!(csv.text.contains("web-01"), "{csv:?}");
    assert_eq!(served.get("/api/v1/where?name=web-01&deadline=0").await.json()["total"], 1);
    // The command line passes both on; without a gateway there is nothing to know.
    let url = served.url("/");
    for deadline in ["0", "100h"] {
        let output = config.run(&["search", "--deadline", deadline, "--gateway", &url]).await;
        assert_eq!((output.code, output.stdout.lines().count()), (0, 1), "{output:?}");
    }
    let output = config.run(&["search", "--deadline", "0"]).await;
    assert!(output.code == 2 && output.stderr.contains("--gateway"), "{output:?}");
    assert_eq!(config.run(&["search", "--deadline", "100h"]).await.code, 0);
}
