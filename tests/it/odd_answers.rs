//! Answers that a console should not give and some proxy, plugin or enemy does: each is used as far as it can be, or
//! named; none costs more memory or time than an honest one.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use futures_util::stream;
use metaconsole::demo::{Handler, Server};
use serde_json::Value;

use crate::support::program::{Config, Output};

/// What a console answers to one operation.
#[derive(Clone)]
struct Answers {
    status: u16,
    tree: Vec<u8>,
    /// Sent behind `tree`, so many times.
    more: Option<(Vec<u8>, usize)>,
    /// Whether any other operation is answered at all.
    others_hang: bool,
}

impl Answers {
    fn of(tree: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, tree: tree.into(), more: None, others_hang: false }
    }

    fn rows(rows: &[&str]) -> Self {
        Self::of(format!(r#"{{"type":"array","data":[{}],"list_index":["x"]}}"#, rows.join(",")))
    }
}

fn server(answers: Answers) -> Server {
    let answers = Arc::new(answers);
    let handler: Handler = Arc::new(move |incoming| {
        let answers = Arc::clone(&answers);
        Box::pin(async move {
            if incoming.op2() != "tree_agents" {
                if answers.others_hang {
                    std::future::pending::<()>().await;
                }
                return Response::new(Body::from("This operation does not exist."));
            }
            let begin = stream::iter([Ok::<_, std::io::Error>(answers.tree.clone())]);
            let (more, times) = answers.more.clone().unwrap_or_default();
            let body = Body::from_stream(futures_util::StreamExt::chain(
                begin,
                stream::iter((0..times).map(move |_| Ok(more.clone()))),
            ));
            let status = StatusCode::from_u16(answers.status).unwrap();
            Response::builder().status(status).header(header::CONTENT_TYPE, "application/json").body(body).unwrap()
        })
    });
    Server::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), handler).unwrap()
}

fn config(server: &Server) -> Config {
    Config::sites([("a", format!("http://{}/pandora_console/", server.address()))])
}

async fn search(answers: Answers) -> Output {
    let server = server(answers);
    config(&server).run(&["search", "--format", "json", "--deadline", "20s"]).await
}

async fn error(answers: Answers) -> Value {
    let output = search(answers).await;
    assert_eq!(output.code, 1, "{}", output.stdout);
    output.json()["sites"][0]["error"].clone()
}

const GROUP: &str = r#"{"type_row":"group","group_id":"2","group_name":"Servers"}"#;
const WEB: &str =
    r#"{"type_row":"agent","agent_id":"1","alias":"web","agent_name":"w","agent_id_group":"2","agent_id_os":"1"}"#;
const CRITICAL: &str = r#"{"type_row":"module","module_id_agent":"1","module_id_agent_modulo":"7","module_state":"1","module_utimestamp":"1795404681"}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_may_come_before_its_agent() {
    let report = search(Answers::rows(&[GROUP, CRITICAL, WEB])).await.json();
    assert_eq!((&report["agents"][0]["status"], &report["complete"]), (&"critical".into(), &true.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_may_be_numbers_or_null() {
    let agent = r#"{"type_row":"agent","agent_id":1,"alias":"web","agent_name":null,"agent_id_group":2,"agent_id_os":9,"agent_disabled":0}"#;
    let module = |time: &str| {
        format!(
            r#"{{"type_row":"module","module_id_agent":1,"module_id_agent_modulo":7,"module_state":1,"module_utimestamp":{time},"module_disabled":false}}"#
        )
    };
    for (time, status) in [
        ("1795404681", "critical"),
        ("1795404681.5", "critical"),
        ("\"1795404681.5\"", "critical"),
        ("null", "not_init"),
        ("\"0\"", "not_init"),
        ("-3600", "critical"),
    ] {
        let report = search(Answers::rows(&[GROUP, agent, &module(time)])).await.json();
        let agent = &report["agents"][0];
        assert_eq!((&agent["status"], &agent["os"]), (&status.into(), &"Windows".into()), "{time}");
        assert_eq!(report["complete"], true, "{time}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_cannot_be_used_cost_themselves_and_the_completeness() {
    let no_id = r#"{"type_row":"agent","agent_id":"x","alias":"lost"}"#;
    let orphan = r#"{"type_row":"module","module_id_agent":"99","module_id_agent_modulo":"8","module_state":"1"}"#;
    let no_json = r#"{"type_row":"agent",oops}"#;
    for odd in [no_id, orphan, no_json] {
        let output = search(Answers::rows(&[GROUP, WEB, odd])).await;
        let report = output.json();
        assert_eq!((&report["total"], &report["complete"], output.code), (&1.into(), &false.into(), 3), "{odd}");
        assert!(
            report["sites"][0]["warnings"][0].as_str().unwrap().starts_with("1 rows could not be used"),
            "{report}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_text_are_shown_as_such() {
    let answer = |alias: &[u8]| {
        let row = [br#"{"type_row":"agent","agent_id":"1","alias":""#, alias, br#"","agent_name":"n"}"#].concat();
        Answers::of([br#"{"type":"array","data":["#.as_slice(), GROUP.as_bytes(), b",", &row, b"]}"].concat())
    };
    let report = search(answer(b"caf\xe9")).await.json();
    assert_eq!((&report["agents"][0]["alias"], &report["complete"]), (&"caf\u{fffd}".into(), &true.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_php_prints_behind_the_answer_is_told_and_passed_over() {
    let mut answers = Answers::rows(&[GROUP, WEB]);
    answers.tree.extend_from_slice(b"<br />\n<b>Warning</b>: failed to write session data");
    let report = search(answers).await.json();
    assert_eq!(report["total"], 1);
    assert!(report["sites"][0]["warnings"][0].as_str().unwrap().contains("text follows the answer's end"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_that_looks_like_an_empty_list_is_no_empty_list() {
    for status in [206, 401, 403, 429, 500, 502, 503] {
        for tree in [r#"{"data":[]}"#, r#"{"error":"x","data":null}"#, r#"{"type":"array","data":[]}"#] {
            let error = error(Answers { status, ..Answers::of(tree) }).await;
            assert!(error["remedy"].is_string(), "{status} {tree}: {error}");
        }
    }
    for (tree, says) in [
        (r#"{"type":"string","data":"No tiene permisos"}"#, "not one that is known here"),
        (r#"{"type":"array","data":[{"a":1},"#, "breaks off in the middle"),
        (r#"{"a":1}"#, "not one that is known here"),
        (r#"{"data":{"0":{}}}"#, "not one that is known here"),
    ] {
        let error = error(Answers::of(tree)).await;
        assert!(error["message"].as_str().unwrap().contains(says), "{tree}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_does_not_come_costs_no_rows() {
    let agent = WEB.replace(r#""agent_id_os":"1""#, r#""agent_id_os":"777""#).replace("\"web\"", "\"web-server\"");
    let output = search(Answers { others_hang: true, ..Answers::rows(&[GROUP, &agent]) }).await;
    let report = output.json();
    assert_eq!(
        (&report["total"], &report["agents"][0]["os"], output.code),
        (&1.into(), &"777".into(), 0),
        "{}",
        output.stderr
    );
}

/// A list that goes on and on; `row` is given a running number.
fn endless(row: impl Fn(usize) -> String, rows: usize) -> Answers {
    let all: Vec<String> = (0..rows).map(row).collect();
    Answers::of(format!(r#"{{"type":"array","data":[{GROUP},{}]}}"#, all.join(",")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_fill_the_memory_is_refused() {
    let group = |n: usize| format!(r#"{{"type_row":"group","group_id":"{}","group_name":"{n}"}}"#, n + 10);
    let error_of_groups = error(endless(group, 70_000)).await;
    assert_eq!(error_of_groups["code"], "too_large");
    let disabled = |n: usize| format!(r#"{{"type_row":"agent","agent_id":"{n}","agent_disabled":"1"}}"#);
    let error_of_disabled = error(endless(disabled, 100_100)).await;
    assert_eq!(error_of_disabled["code"], "too_large");
    let long = "9".repeat(100);
    let key = |_| format!(r#"{{"type_row":"group","group_id":"{long}","group_name":"x"}}"#);
    let report = search(endless(key, 3)).await.json();
    assert_eq!(report["complete"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_in_very_many_groups_takes_no_time() {
    // Pairwise comparison of so many would take minutes.
    let pair = |n: usize| format!(r#"{{"type_row":"group","group_id":"{}","group_name":"g{n}"}},{WEB}"#, n + 10);
    let server = server(endless(pair, 60_000));
    let output = config(&server).run(&["search", "--format", "json", "--deadline", "60s", "g59999"]).await;
    let report = output.json();
    assert_eq!((&report["total"], output.code), (&1.into(), 0), "{}", output.stderr);
    assert_eq!(report["agents"][0]["groups"].as_array().unwrap().len(), 60_000);
}
