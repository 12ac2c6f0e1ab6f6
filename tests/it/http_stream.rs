//! The stream: known rows at once, each correction when it comes, the summary last; through nginx too.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::nginx::Nginx;
use crate::support::gateway::{Gate, Lines, Served, console, until};
use crate::support::program::Config;

/// What a client has after these records: the last of each site.
fn rows(records: &[Value]) -> Vec<Value> {
    let mut sites = BTreeMap::new();
    for record in records.iter().filter(|record| record.get("site").is_some()) {
        sites.insert(record["site"].as_str().unwrap().to_owned(), record["agents"].as_array().unwrap().clone());
    }
    sites.into_values().flatten().collect()
}

/// What a client shows at the end: those rows, in the order that the summary tells.
fn merged(records: &[Value]) -> Vec<Value> {
    let rows = rows(records);
    let of = |place: &Value| rows.iter().find(|row| row["site"] == place[0] && row["id"] == place[1]).unwrap().clone();
    records.last().unwrap()["summary"]["order"].as_array().unwrap().iter().map(of).collect()
}

fn words(record: &Value) -> (&str, &str) {
    (record["site"].as_str().unwrap(), record["outcome"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn known_rows_come_before_any_site_has_answered_and_corrections_when_they_do() {
    let (a, b) = (console(&["web-01"]), console(&["web-02", "web-03"]));
    let gates = [Gate::before(&a), Gate::before(&b)];
    gates.iter().for_each(|gate| gate.set_open(true));
    let served = Served::start(&Config::sites([("a", gates[0].url()), ("b", gates[1].url())])).await;
    assert_eq!(served.get("/api/v1/search?deadline=20s").await.json()["total"], 3);
    gates.iter().for_each(|gate| gate.set_open(false));
    // A forced read keeps its distance from the last one; when it is allowed, it stands at the gates.
    until("both sites are asked again", async || {
        served.get("/api/v1/search?fresh=1&deadline=1ms").await;
        gates.iter().all(|gate| gate.server.requests().load().in_flight == 1)
    })
    .await;
    let mut lines = served.stream("/api/v1/search?fresh=1&deadline=20s&sort=id").await;
    let headers = lines.response.headers().clone();
    assert_eq!(headers["content-type"], "application/x-ndjson");
    assert_eq!(
        (&headers["x-accel-buffering"], &headers["cache-control"]),
        (&"no".parse().unwrap(), &"no-store, no-transform".parse().unwrap())
    );
    let begin = [lines.next().await.unwrap(), lines.next().await.unwrap()];
    let sites: Vec<_> = begin.iter().map(|record| record["site"].as_str().unwrap()).collect();
    assert_eq!((sites, rows(&begin).len()), (vec!["a", "b"], 3));
    assert!(begin.iter().all(|record| record["pending"] == true), "{begin:?}");
    assert!(gates.iter().all(|gate| gate.server.requests().load().in_flight == 1), "a site has answered");
    gates[1].set_open(true);
    let second = lines.next().await.unwrap();
    assert_eq!((words(&second), &second["pending"]), (("b", "fresh"), &Value::Null));
    assert_eq!(gates[0].server.requests().load().in_flight, 1);
    gates[0].set_open(true);
    let rest = lines.all().await;
    assert_eq!((words(&rest[0]), rest.len()), (("a", "fresh"), 2));
    let summary = &rest[1]["summary"];
    assert_eq!((&summary["complete"], &summary["total"]), (&true.into(), &3.into()));

    let records: Vec<Value> = begin.into_iter().chain([second]).chain(rest.clone()).collect();
    let answer = served.get("/api/v1/search?sort=id").await.json();
    assert_eq!(Value::from(merged(&records)), answer["agents"]);
    for key in ["query", "total", "stale_rows", "complete"] {
        assert_eq!(summary[key], answer[key], "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stream_ends_at_the_deadline_with_every_site_accounted_for() {
    let (a, b) = (console(&["web-01"]), console(&["web-02"]));
    let gate = Gate::before(&b);
    let served = Served::start(&Config::sites([("a", a.url()), ("b", gate.url())])).await;
    served.get("/api/v1/search?deadline=100ms").await;
    let lines = served.stream("/api/v1/search?deadline=200ms").await;
    assert_eq!(lines.response.headers()["metaconsole-sites"], "ok=1 stale=0 failed=1");
    let records = lines.all().await;
    assert_eq!(records.iter().take(2).map(words).collect::<Vec<_>>(), [("a", "cached"), ("b", "failed")]);
    assert_eq!(records[1]["error"]["code"], "timeout");
    let sites = records[2]["summary"]["sites"].as_array().unwrap();
    assert_eq!((sites.len(), records.len(), &records[2]["summary"]["complete"]), (2, 3, &false.into()));
    let answer = served.get("/api/v1/search?deadline=50ms").await.json();
    assert_eq!(Value::from(merged(&records)), answer["agents"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_nginx_a_record_arrives_while_a_site_still_hangs() {
    let (a, b) = (console(&["web-01"]), console(&["web-02"]));
    let gate = Gate::before(&b);
    let served = Served::start(&Config::sites([("a", a.url()), ("b", gate.url())])).await;
    let back = served.address;
    let nginx = Nginx::start(|port| {
        format!("server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://{back}; }} }}\n")
    })
    .await;
    let url = format!("http://{}/api/v1/search?deadline=15s", nginx.address);
    let response = served.client.get(url).header("accept", "application/x-ndjson").send().await.unwrap();
    let mut lines = Lines::from(response);
    assert_eq!(words(&lines.next().await.unwrap()), ("a", "fresh"));
    assert_eq!(gate.server.requests().load().in_flight, 1);
    gate.set_open(true);
    let rest = lines.all().await;
    assert_eq!((words(&rest[0]), &rest[1]["summary"]["complete"]), (("b", "fresh"), &true.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_state_of_a_stream_is_the_json_answer_in_every_order() {
    let a = console(&["zeta web", "web-01", "cobweb", "Ärger-web"]);
    let b = console(&["web", "my web", "aweb", "web-01"]);
    let served = Served::start(&Config::sites([("b", a.url()), ("a", b.url())])).await;
    // Known to both forms from here on.
    assert_eq!(served.get("/api/v1/search?deadline=20s").await.json()["total"], 8);
    for sort in ["rank", "status", "alias", "name", "id"] {
        for limit in [1, 3, 5, 100] {
            let path = format!("/api/v1/search?q=web&sort={sort}&limit={limit}&deadline=20s");
            let mut lines = served.stream(&path).await;
            let mut records = Vec::new();
            while let Some(record) = lines.next().await {
                records.push(record);
            }
            let answer = served.get(&path).await.json();
            assert_eq!(Value::from(merged(&records)), answer["agents"], "{sort} {limit}");
            assert_eq!(records.last().unwrap()["summary"]["total"], answer["total"]);
        }
    }
}
