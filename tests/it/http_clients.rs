//! Clients that come in masses, and clients that leave: one read for all, and nothing left behind.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use futures_util::stream::{self, StreamExt};
use metaconsole::http::router;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::ServiceExt as _;

use crate::support::gateway::{Gate, Served, console, until};
use crate::support::program::Config;

fn alive() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// Reads the beginning of an answer, as far as this text, then leaves without a word.
async fn leave_after(served: &Served, head: &str, text: &str) {
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(format!("{head}\r\nHost: localhost\r\n\r\n").as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    let mut piece = [0; 4096];
    while !String::from_utf8_lossy(&seen).contains(text) {
        let read = stream.read(&mut piece).await.unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&piece[..read]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_leave_and_nothing_of_them_stays() {
    let (a, b) = (console(&["web-01"]), console(&["web-02"]));
    let gate = Gate::before(&b);
    let served = Served::start(&Config::sites([("a", a.url()), ("b", gate.url())])).await;
    served.get("/api/v1/search?deadline=1s&q=site:a").await;
    // Somebody who stays, and waits for the read that all the others wait for too.
    let mut stays = served.stream("/api/v1/search?deadline=60s").await;
    assert_eq!(stays.next().await.unwrap()["site"], "a");
    let waiting = || served.metric("metaconsole_requests_in_flight");
    // The one that stays, and the one that asks.
    assert_eq!(waiting().await, 2.0);
    let before = alive();
    let streams = "GET /api/v1/search?deadline=60s HTTP/1.1\r\nAccept: application/x-ndjson";
    stream::iter(0..900).for_each_concurrent(30, |_| leave_after(&served, streams, "\"site\":\"a\"")).await;
    // And those who leave before their answer has begun.
    let reports = "GET /api/v1/search?deadline=60s HTTP/1.1\r\nAccept: application/json";
    stream::iter(0..100).for_each_concurrent(30, |_| leave_after(&served, reports, "")).await;
    until("all who left are forgotten", async || waiting().await == 2.0).await;
    until("no task of theirs is left", async || alive() <= before).await;
    assert!(served.metric("metaconsole_requests_cut_total").await >= 900.0);
    let load = gate.server.requests().load();
    assert_eq!((load.total, load.in_flight, load.connections), (1, 1, 1));
    gate.set_open(true);
    let rest = stays.all().await;
    assert_eq!((&rest[0]["site"], &rest[0]["outcome"]), (&"b".into(), &"fresh".into()));
    assert_eq!(rest[1]["summary"]["complete"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_searches_at_once_on_cold_sites_are_one_read_each() {
    let (a, b) = (console(&["web-01"]), console(&["web-02"]));
    let gate = Gate::before(&b);
    let served = Served::start(&Config::sites([("a", a.url()), ("b", gate.url())])).await;
    // Without sockets: not every machine lets one program have two thousand.
    let router = router(Arc::clone(&served.gateway));
    let ask = |number: usize| {
        let accept = if number.is_multiple_of(2) { "application/json" } else { "application/x-ndjson" };
        let request = Request::get("/api/v1/search?deadline=30s").header("host", "localhost").header("accept", accept);
        let answer = router.clone().oneshot(request.body(Body::empty()).unwrap());
        async move { axum::body::to_bytes(answer.await.unwrap().into_body(), usize::MAX).await.unwrap() }
    };
    let open = async {
        until("a read stands at the gate", async || gate.server.requests().load().in_flight == 1).await;
        gate.set_open(true);
    };
    let (answers, ()) = tokio::join!(futures_util::future::join_all((0..1000).map(ask)), open);
    let complete =
        |answer: &&[u8]| String::from_utf8_lossy(answer).contains("\"total\":2,\"stale_rows\":0,\"complete\":true");
    assert_eq!(answers.iter().map(|answer| answer.as_ref()).filter(complete).count(), 1000);
    assert_eq!((a.requests().count("tree_agents"), b.requests().count("tree_agents")), (1, 1));
}
