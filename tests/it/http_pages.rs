//! Cursors, exports, explanations and completions over HTTP.

use metaconsole::federation::{Question, Wanted};
use metaconsole::inventory::Order;
use serde_json::{Value, json};
use std::time::Duration;

use crate::support::gateway::{Served, console};
use crate::support::program::Config;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_of_another_search_or_an_altered_one_is_refused() {
    let a = console(&["web-1", "web-2", "web-3"]);
    let served = Served::start(&Config::sites([("a", a.url())])).await;
    let page = served.get("/api/v1/search?q=web&limit=1&deadline=20s").await.json();
    let cursor = page["next_cursor"].as_str().unwrap().to_owned();
    let next = served.get(&format!("/api/v1/search?q=+WEB&limit=2&cursor={cursor}")).await.json();
    assert_eq!((&next["agents"][0]["alias"], &next["agents"][1]["alias"]), (&"web-2".into(), &"web-3".into()));
    assert_eq!((&next["next_cursor"], &next["total"]), (&Value::Null, &3.into()));
    let altered = format!("{}{}", &cursor[..cursor.len() - 3], if cursor.ends_with("AAA") { "BBB" } else { "AAA" });
    for (target, said) in [
        (format!("q=db&cursor={cursor}"), "belongs to another search"),
        (format!("q=web&sort=alias&cursor={cursor}"), "belongs to another search"),
        (format!("q=web&cursor={altered}"), "not what the last page gave"),
        ("q=web&cursor=".to_owned(), "not what the last page gave"),
        (format!("q=web&cursor={}", "A".repeat(20_000)), "not what the last page gave"),
    ] {
        let answer = served.get(&format!("/api/v1/search?{target}")).await;
        assert_eq!((answer.status, &answer.json()["code"]), (400, &"bad_cursor".into()), "{target}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(said), "{}", answer.text);
    }
    for format in ["csv", "ndjson", "stream"] {
        let answer = served.get(&format!("/api/v1/search?q=web&format={format}&cursor={cursor}")).await;
        assert_eq!((answer.status, &answer.json()["code"]), (400, &"bad_parameter".into()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_explanation_tells_what_was_asked_where_and_what_was_left() {
    let (a, b) = (console(&["web-1", "web-2", "db-1"]), console(&["web-3"]));
    let served = Served::start(&Config::sites([("a", a.url()), ("b", b.url())])).await;
    let answer = served.get("/api/v1/search?q=-alias:2+web+site:a&limit=1&explain=1&deadline=20s").await.json();
    assert_eq!(
        answer["explain"],
        json!({"query": "web site:a -alias:2", "sort": "rank", "contradicts": false,
            "terms": [{"term": "web", "agents": 2, "left": 2}, {"term": "site:a", "agents": 3, "left": 2},
                {"term": "-alias:2", "agents": 2, "left": 1}],
            "sites": [{"id": "a", "asked": "read", "agents": 3, "left": [2, 2, 1], "lost": 0},
                {"id": "b", "asked": "not_concerned", "agents": 0, "left": [], "lost": 0}],
            "not_shown": 0})
    );
    assert_eq!(b.requests().load().total, 0);
    let held = served.get("/api/v1/search?q=site:a&limit=1&explain=1").await.json()["explain"].clone();
    assert_eq!((&held["sites"][0]["asked"], &held["not_shown"]), (&"held".into(), &2.into()));
    let never = served.get("/api/v1/search?q=status:critical+status:normal&explain=1").await.json();
    assert_eq!((&never["explain"]["contradicts"], &never["complete"]), (&true.into(), &true.into()));
    assert_eq!(b.requests().load().total, 0);
    assert_eq!(served.get("/api/v1/search").await.json().get("explain"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_typed_line_is_completed_from_what_is_known() {
    let (a, b) = (console(&["web-1", "two words"]), console(&["db-1"]));
    let config = Config::new(&format!(
        "sites:\n  - {{id: madrid, tags: [production, emea], url: \"{}\", credentials: {{token: \"file:token\"}}}}\n  \
         - {{id: lyon, url: \"{}\", credentials: {{token: \"file:token\"}}}}\n",
        a.url(),
        b.url()
    ));
    let served = Served::start(&config).await;
    served.get("/api/v1/search?deadline=20s").await;
    let before = (a.requests().load().total, b.requests().load().total);
    for (typed, kind, first) in [
        ("sta", "field", "status:"),
        ("web -sta", "field", "web -status:"),
        ("web status:cri", "value", "web status:critical"),
        ("status:critical,war", "value", "status:critical,warning"),
        ("site:mad", "value", "site:madrid"),
        ("-tag:em", "value", "-tag:emea"),
        ("group:serv", "value", "group:Servers"),
        ("group:\"serv", "value", "group:Servers"),
        ("os:", "value", "os:Linux"),
        ("age:>1", "value", "age:\">10m\""),
        ("alert:", "value", "alert:fired"),
        ("two", "agent", "\"two words\""),
        ("\"two w", "agent", "\"two words\""),
    ] {
        let encoded: String = url::form_urlencoded::byte_serialize(typed.as_bytes()).collect();
        let answer = served.get(&format!("/api/v1/suggest?q={encoded}")).await;
        assert_eq!(answer.status, 200, "{typed}: {}", answer.text);
        let answer = answer.json();
        let found = &answer["completions"][0];
        let first = if typed.starts_with("age") { "age:>10m" } else { first };
        assert_eq!((&found["kind"], &found["search"]), (&kind.into(), &first.into()), "{typed}: {answer}");
        assert!(answer["completions"].as_array().unwrap().len() <= 10);
        // What it offers as a whole search is one.
        let whole: Vec<&str> = answer["completions"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|c| c["kind"] != "field")
            .map(|c| c["search"].as_str().unwrap())
            .collect();
        whole.iter().for_each(|line| drop(metaconsole::domain::Query::parse(line).unwrap()));
    }
    assert_eq!((a.requests().load().total, b.requests().load().total), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_makes_its_rows_as_they_are_taken() {
    let names: Vec<String> = (0..5000).map(|number| format!("web-{number}")).collect();
    let (a, b) = (console(&names.iter().map(String::as_str).collect::<Vec<_>>()), console(&["web-x", "web-y"]));
    let served = Served::start(&Config::sites([("a", a.url()), ("b", b.url())])).await;
    let app = served.gateway.app.load_full();
    let query = metaconsole::domain::Query::parse("web").unwrap();
    let patience = Duration::from_secs(20);
    let question = Question { query, order: Order::ALIAS, limit: usize::MAX, patience, wanted: Wanted::Current };
    let mut export = app.federation.everything().export(&question).await;
    assert_eq!((export.report.total, export.report.rows.len()), (5002, 0));
    for taken in 0..5002 {
        assert!(export.made() <= 2, "{} rows wait after {taken}", export.made());
        assert!(export.next().is_some());
    }
    assert_eq!((export.made(), export.next()), (0, None));
    let report = app.federation.everything().report(&question).await;
    let again = app.federation.everything().export(&question).await;
    assert_eq!(again.collect::<Vec<_>>(), report.rows);

    // Over HTTP, whoever stops taking stops the making: what is on the way is a fraction of the whole.
    let mut response = served.client.get(served.url("/api/v1/search?q=web&format=ndjson")).send().await.unwrap();
    let first = response.chunk().await.unwrap().unwrap();
    assert!(!first.is_empty());
    drop(response);
    let whole = served.get("/api/v1/search?q=web&format=ndjson&limit=3000").await;
    assert_eq!((whole.text.lines().count(), whole.header("content-type")), (3001, "application/x-ndjson"));
    assert!(whole.text.lines().last().unwrap().starts_with("{\"summary\":{\"query\":\"web\",\"total\":5002,"));
}
