//! What cannot be seen from outside: that a fault of ours is an answer, and what the log says of a request.

use std::cell::RefCell;
use std::fmt::Debug;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::routing::get;
use futures_util::StreamExt as _;
use tokio::sync::watch;
use tower::ServiceExt as _;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::*;
use crate::clock::Clock;
use crate::config::{self, Config};

fn openings() -> Arc<Openings> {
    Arc::new(Openings::new(Arc::new(crate::openings::witness::TellLog), Clock::System))
}

async fn broken() -> &'static str {
    panic!("on purpose")
}

fn shared() -> Arc<Shared> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "x").unwrap();
    let yaml =
        "sites:\n  - {id: a, url: \"http://127.0.0.1:1/pandora_console/\", credentials: {token: \"file:token\"}}\n";
    std::fs::write(folder.path().join("sites.yaml"), yaml).unwrap();
    let config = config::load(&folder.path().join("sites.yaml"), &|_| None).unwrap();
    let (_drain, draining) = watch::channel(false);
    let app = Arc::new(ArcSwap::from_pointee(App::new(config, Clock::System)));
    let gateway = Arc::new(Gateway {
        app,
        draining,
        reload_error: Arc::new(ArcSwapOption::empty()),
        people: None,
        journal: None,
        openings: openings(),
    });
    Arc::new(Shared { gateway, tally: Tally::default() })
}

thread_local! {
    /// What the log was told by this test, which has its thread to itself.
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Keeps what the log is told. One for all tests: whether an event is wanted is remembered for all threads together, so
/// a log of one thread may never hear of it.
struct Log;

impl Log {
    fn keep() {
        // Another test may have been first.
        let _ = tracing::subscriber::set_global_default(Self);
        LINES.take();
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!(" {field}={value:?}"));
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("metaconsole")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().target().to_owned());
        event.record(&mut line);
        LINES.with_borrow_mut(|lines| lines.push(line.0));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

async fn ask(router: Router, target: &str) -> (StatusCode, String) {
    let request = Request::get(target).header("host", "localhost").header("x-request-id", "id-1");
    let request = request.header("authorization", "Bearer hidden").body(Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    assert_eq!(response.headers()["x-request-id"], "id-1");
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_fault_of_ours_is_a_problem_and_only_the_log_says_more() {
    Log::keep();
    let router = dressed(Router::new().route("/broken", get(broken)), &shared());
    let (status, body) = ask(router, "/broken").await;
    let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &problem["code"]), (StatusCode::INTERNAL_SERVER_ERROR, &"internal".into()));
    assert!(!body.contains("on purpose"), "{body}");
    let lines = LINES.take();
    assert!(lines[0].contains("on purpose") && lines[1].contains("status=500"), "{lines:?}");
}

#[tokio::test]
async fn the_log_has_a_line_for_each_request_without_what_was_looked_for() {
    Log::keep();
    let (status, _) = ask(dressed(routes(), &shared()), "/api/v1/suggest?q=private").await;
    assert_eq!(status, StatusCode::OK);
    let lines = LINES.take();
    assert_eq!(lines.len(), 1, "{lines:?}");
    for word in
        ["metaconsole::access", "method=GET", "path=\"/api/v1/suggest\"", "status=200", " ms=", "id=id-1", "whole=true"]
    {
        assert!(lines[0].contains(word), "{word}: {lines:?}");
    }
    assert!(!lines[0].contains("private") && !lines[0].contains("hidden"), "{lines:?}");
}

/// A gateway before a site that takes connections and never answers; whoever brings the token may look for 60 s.
fn never_answering(folder: &std::path::Path, console: std::net::SocketAddr, roles: &str) -> Config {
    std::fs::write(folder.join("token"), "x").unwrap();
    let hash = crate::access::secrets::digest("mct_wall");
    let yaml = format!(
        "gateway: {{state_dir: state}}\nsites: [{{id: a, url: \"http://{console}/\", public_url: \"http://a.localhost/\", \
         credentials: {{token: \"file:token\"}}}}]\naccess:\n  roles: {{all: {{search: ['*']}}, none: {{}}}}\n  \
         api_tokens: [{{name: wall, hash: 'sha256:{hash}', roles: [{roles}]}}]\n"
    );
    std::fs::write(folder.join("sites.yaml"), yaml).unwrap();
    config::load(&folder.join("sites.yaml"), &|_| None).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_soon_after_its_viewers_rights() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (roles_later, last) in [("all", "summary"), ("none", "ended")] {
        let config = never_answering(folder.path(), listener.local_addr().unwrap(), "all");
        let (_drain, draining) = watch::channel(false);
        let app = Arc::new(ArcSwap::from_pointee(App::new(config, Clock::System)));
        let gateway = Gateway {
            app,
            draining,
            reload_error: Arc::new(ArcSwapOption::empty()),
            people: None,
            journal: None,
            openings: openings(),
        };
        let gateway = Arc::new(gateway);
        let request = Request::get("/api/v1/search?deadline=50s").header("host", "localhost");
        let request = request.header("accept", stream::CONTENT_TYPE).header("authorization", "Bearer mct_wall");
        let begun = crate::clock::Stopwatch::start();
        let response = router(Arc::clone(&gateway)).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let config = never_answering(folder.path(), listener.local_addr().unwrap(), roles_later);
        let (next, _) = gateway.app.load().with(config);
        gateway.app.store(Arc::new(next));
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let lines: Vec<serde_json::Value> = body
            .split(|b| *b == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        assert!(lines.last().unwrap().get(last).is_some(), "{lines:?}");
        let seconds = begun.elapsed().as_secs();
        assert!(if last == "ended" { (14..=16).contains(&seconds) } else { seconds >= 49 }, "{last} after {seconds} s");
    }
}

#[tokio::test(start_paused = true)]
async fn an_export_that_is_taken_slowly_is_cut_soon_after_its_viewers_rights() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (roles_later, whole) in [("all", true), ("none", false)] {
        let config = never_answering(folder.path(), listener.local_addr().unwrap(), "all");
        let (_drain, draining) = watch::channel(false);
        let app = Arc::new(ArcSwap::from_pointee(App::new(config, Clock::System)));
        let gateway = Gateway {
            app,
            draining,
            reload_error: Arc::new(ArcSwapOption::empty()),
            people: None,
            journal: None,
            openings: openings(),
        };
        let gateway = Arc::new(gateway);
        let request = Request::get("/api/v1/search?deadline=1s&format=csv").header("host", "localhost");
        let request = request.header("authorization", "Bearer mct_wall").body(Body::empty()).unwrap();
        let response = router(Arc::clone(&gateway)).oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let mut pieces = response.into_body().into_data_stream();
        assert!(pieces.next().await.unwrap().is_ok(), "the head of the table");
        let config = never_answering(folder.path(), listener.local_addr().unwrap(), roles_later);
        let (next, _) = gateway.app.load().with(config);
        gateway.app.store(Arc::new(next));
        tokio::time::advance(stream::LOOK_AGAIN).await;
        assert_eq!(pieces.next().await.unwrap().is_ok(), whole, "{roles_later}");
    }
}
