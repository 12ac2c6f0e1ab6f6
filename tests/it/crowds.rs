//! Many clients over real sockets: what they leave behind, and what the sites that answer owe to those that do not.

use std::net::SocketAddr;
use std::time::Duration;

use metaconsole::clock::Stopwatch;
use metaconsole::demo::{Console, Fault};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::gateway::{Gate, Served, console, until};
use crate::support::program::Config;

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// Asks, and leaves in the middle of the answer, or before it begins.
async fn leave(address: SocketAddr, number: usize) {
    let accept = if number.is_multiple_of(2) { "application/json" } else { "application/x-ndjson" };
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("GET /api/v1/search?deadline=60s HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    if number % 4 == 1 {
        // A stream's head comes at once, though no site has answered.
        assert!(stream.read(&mut [0; 64]).await.unwrap() > 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_clients_that_leave_leave_nothing_behind() {
    let a = console(&["web-01"]);
    let gate = Gate::before(&a);
    let served = Served::start(&Config::sites([("a", gate.url())])).await;
    leave(served.address, 1).await;
    until("the read stands at the gate", async || gate.server.requests().load().in_flight == 1).await;
    until("the first has left", async || served.metric("metaconsole_requests_in_flight").await <= 1.0).await;
    let (tasks_before, descriptors_before) = (tasks(), descriptors());
    for round in 0..40 {
        let crowd = (0..50).map(|number| leave(served.address, round * 50 + number));
        futures_util::future::join_all(crowd).await;
    }
    until("all have left", async || served.metric("metaconsole_requests_in_flight").await <= 1.0).await;
    // Other tests of this program open descriptors too, but not thousands.
    until("no descriptor is left", async || descriptors() < descriptors_before + 500).await;
    until("no task is left", async || tasks() <= tasks_before + 5).await;
    // One read served them all, and is still there for whoever stays.
    assert_eq!(gate.server.requests().load().in_flight, 1);
    gate.set_open(true);
    let answer = served.get("/api/v1/search?deadline=20s").await.json();
    assert_eq!((&answer["total"], a.requests().count("tree_agents")), (&1.into(), 1));
}

/// The time until `count` sites have told rows, and the ids of those that have.
async fn until_rows(served: &Served, count: usize) -> (Duration, Vec<String>) {
    let watch = Stopwatch::start();
    let mut lines = served.stream("/api/v1/search?deadline=60s").await;
    let mut told = Vec::new();
    while told.len() < count {
        let record = lines.next().await.expect("a record");
        if record["outcome"] == "fresh" {
            told.push(record["site"].as_str().unwrap().to_owned());
        }
    }
    (watch.elapsed(), told)
}

#[expect(clippy::print_stderr, reason = "the ratio is for people to read; no time is asserted")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sites_that_do_not_answer_cost_the_others_nothing() {
    let consoles: Vec<Console> = (0..50).map(|number| console(&[&format!("web-{number:02}")])).collect();
    let slow = Gate::before(&consoles[47]);
    consoles[48].faults().add(Fault::Hang);
    consoles[49].faults().add(Fault::Refuse);
    let sites = |count: usize| {
        let url = |(n, console): (usize, &Console)| if n == 47 { slow.url() } else { console.url() };
        let ids: Vec<String> = (0..count).map(|n| format!("s{n:02}")).collect();
        let urls: Vec<String> = consoles.iter().enumerate().map(url).collect();
        Config::sites(ids.iter().map(String::as_str).zip(urls))
    };
    let alone = Served::start(&sites(47)).await;
    let (without, _) = until_rows(&alone, 47).await;
    let all = Served::start(&sites(50)).await;
    let (with, told) = until_rows(&all, 47).await;
    assert!(told.iter().all(|id| id.as_str() < "s47"), "{told:?}");
    assert_eq!(slow.server.requests().load().in_flight, 1, "the slow one has not answered");
    eprintln!("47 of 50 sites: {with:?}, alone {without:?}, ratio {:.2}", with.as_secs_f64() / without.as_secs_f64());
}
