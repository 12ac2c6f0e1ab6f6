//! What is refused, and how it is said: problem+json for every error of ours.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::gateway::{Answer, Served, console};
use crate::support::program::Config;

async fn refused(served: &Served, answer: Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.header("content-type")), (status, "application/problem+json"), "{answer:?}");
    let problem = answer.json();
    assert_eq!((&problem["code"], &problem["status"]), (&code.into(), &status.into()), "{problem}");
    for word in ["title", "detail", "remedy"] {
        assert!(problem[word].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
    }
    assert!(!answer.header("x-request-id").is_empty());
    assert_eq!(served.metric("metaconsole_answers_total").await, 0.0, "{problem}");
}

/// What is asked, and how it is refused.
const REFUSED: &[(&str, u16, &str)] = &[
    ("/nowhere", 404, "not_found"),
    ("/api/v1/", 404, "not_found"),
    ("/api/v1/sites/b", 404, "unknown_site"),
    ("/api/v1/sites/%22%3Cb%3E", 404, "unknown_site"),
    ("/api/v1/search?limit=0", 400, "bad_parameter"),
    ("/api/v1/search?limit=1001", 400, "bad_parameter"),
    ("/api/v1/search?limit=-1", 400, "bad_parameter"),
    ("/api/v1/search?sort=best", 400, "bad_parameter"),
    ("/api/v1/search?deadline=2", 400, "bad_parameter"),
    ("/api/v1/search?deadline=soon", 400, "bad_parameter"),
    ("/api/v1/search?deadline=-1s", 400, "bad_parameter"),
    ("/api/v1/search?max_age=soon", 400, "bad_parameter"),
    ("/api/v1/search?fresh=yes", 400, "bad_parameter"),
    ("/api/v1/search?fresh=1&max_age=1s", 400, "bad_parameter"),
    ("/api/v1/search?require=most", 400, "bad_parameter"),
    ("/api/v1/search?query=web", 400, "bad_parameter"),
    ("/api/v1/search?q=a&q=b", 400, "bad_parameter"),
    ("/api/v1/search?cursor=x", 400, "bad_cursor"),
    ("/api/v1/search?explain=yes", 400, "bad_parameter"),
    ("/api/v1/search?format=xml", 400, "bad_parameter"),
    ("/api/v1/search?format=csv&explain=1", 400, "bad_parameter"),
    ("/api/v1/search?sort=--id", 400, "bad_parameter"),
    ("/api/v1/search?q=alias:/(/", 400, "bad_query"),
    ("/api/v1/search?q=site:b", 400, "unknown_site"),
    ("/api/v1/search?q=tag:b", 400, "unknown_site"),
    ("/api/v1/search?q=stat:up", 400, "bad_query"),
    ("/api/v1/where", 400, "bad_parameter"),
    ("/api/v1/where?name=%20", 400, "bad_parameter"),
    ("/api/v1/sites/%ff", 400, "bad_request"),
    ("/api/v1/sites?q=x", 400, "bad_parameter"),
    ("/api/v1/pulse?q=x", 400, "bad_parameter"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mistake_has_its_code_and_no_site_is_asked() {
    let a = console(&["web-01"]);
    let served = Served::start(&Config::sites([("a", a.url())])).await;
    for (target, status, code) in REFUSED {
        refused(&served, served.get(target).await, *status, code).await;
    }
    let long = served.get(&format!("/api/v1/search?q={}", "x".repeat(10_000))).await;
    refused(&served, long, 400, "bad_query").await;
    let longer = served.get(&format!("/api/v1/search?q={}", "x".repeat(40_000))).await;
    refused(&served, longer, 414, "too_long").await;
    let position = served.get("/api/v1/search?q=web%20stat:up").await.json();
    assert_eq!(position["position"], 5);
    let near = served.get("/api/v1/search?limt=5").await.json();
    assert_eq!(near["remedy"], "did you mean `limit`?");
    refused(&served, served.get_with("/api/v1/search", &[("accept", "text/html")]).await, 406, "not_acceptable").await;
    for target in ["/api/v1/search?cursor=x", "/api/v1/search?require=all"] {
        let answer = served.get_with(target, &[("accept", "application/x-ndjson")]).await;
        refused(&served, answer, 400, "bad_parameter").await;
    }
    let wrong = served.post("/api/v1/search").await;
    assert_eq!(wrong.header("allow"), "GET,HEAD");
    refused(&served, wrong, 405, "method_not_allowed").await;
    let wrong = served.get("/api/v1/sites/a/probe").await;
    assert_eq!(wrong.header("allow"), "POST");
    refused(&served, wrong, 405, "method_not_allowed").await;
    let probe = served.client.post(served.url("/api/v1/sites/a/probe"));
    let foreign = probe.try_clone().unwrap().header("sec-fetch-site", "cross-site").send().await.unwrap();
    refused(&served, Answer::of(foreign).await, 403, "foreign_origin").await;
    let large = probe.body(vec![b'x'; 100_000]).send().await.unwrap();
    refused(&served, Answer::of(large).await, 413, "too_large").await;
    assert_eq!(a.requests().load().total, 0);
}

/// The status of a request with these lines as its head.
async fn raw(address: SocketAddr, head: &str) -> u16 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    answer.split(' ').nth(1).unwrap_or_else(|| panic!("{answer}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_names_that_mean_us_are_answered() {
    let a = console(&["web-01"]);
    let config = Config::sites([("a", a.url())]);
    let yaml = std::fs::read_to_string(config.path()).unwrap();
    config.write("sites.yaml", format!("gateway: {{public_url: \"https://meta.example.org/x/\"}}\n{yaml}").as_bytes());
    let served = Served::start(&config).await;
    for host in [
        "127.0.0.1",
        "127.0.0.1:1234",
        "localhost",
        "LocalHost:80",
        "localhost.",
        "[::1]",
        "[::1]:80",
        "madrid.localhost",
        "meta.example.org",
        "META.example.org:443",
    ] {
        assert_eq!(raw(served.address, &format!("GET /api/v1/pulse HTTP/1.1\r\nHost: {host}")).await, 200, "{host}");
    }
    for host in [
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "192.0.2.1",
        "xlocalhost",
        "meta.example.org.evil.example",
        "[::2]",
        "0.0.0.0",
    ] {
        assert_eq!(raw(served.address, &format!("GET /api/v1/pulse HTTP/1.1\r\nHost: {host}")).await, 421, "{host}");
        assert_eq!(raw(served.address, &format!("GET /healthz HTTP/1.1\r\nHost: {host}")).await, 200, "{host}");
    }
    assert_eq!(raw(served.address, "GET /api/v1/pulse HTTP/1.1\r\nHost: localhost\r\nHost: evil.example").await, 421);
    assert_eq!(raw(served.address, "GET http://evil.example/api/v1/pulse HTTP/1.1\r\nHost: localhost").await, 421);
    assert_eq!(raw(served.address, "GET /api/v1/pulse HTTP/1.0\r\nX-No: host").await, 421);
    refused(&served, served.get_with("/api/v1/search", &[("host", "evil.example")]).await, 421, "foreign_host").await;
    assert_eq!(a.requests().load().total, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_another_site_cannot_probe() {
    let a = console(&["web-01"]);
    let config = Config::sites([("a", a.url())]);
    let yaml = std::fs::read_to_string(config.path()).unwrap();
    config.write("sites.yaml", format!("gateway: {{public_url: \"http://meta.example.org/x/\"}}\n{yaml}").as_bytes());
    let served = Served::start(&config).await;
    let own = format!("http://{}", served.address);
    for (name, value, status) in [
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "same-site", 403),
        ("origin", "null", 403),
        ("origin", "http://evil.example", 403),
        ("origin", "http://localhost:1", 403),
        ("origin", "https://meta.example.org", 403),
    ] {
        let probe = served.client.post(served.url("/api/v1/sites/a/probe")).header(name, value);
        assert_eq!(probe.send().await.unwrap().status(), status, "{name}: {value}");
    }
    assert_eq!(a.requests().load().total, 0);
    for (name, value) in [
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-site", "none"),
        ("origin", own.as_str()),
        ("origin", "http://meta.example.org"),
    ] {
        let probe = served.client.post(served.url("/api/v1/sites/a/probe")).header(name, value);
        assert_eq!(probe.send().await.unwrap().status(), 200, "{name}: {value}");
    }
}
