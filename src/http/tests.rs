//! What cannot be seen from outside: that a fault of ours is an answer, and what the log says of a request.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, ArcSwapOption};
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::sync::watch;
use tower::ServiceExt as _;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::*;
use crate::clock::Clock;
use crate::config;

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
    let gateway = Arc::new(Gateway { app, draining, reload_error: Arc::new(ArcSwapOption::empty()) });
    Arc::new(Shared { gateway, tally: Tally::default() })
}

/// Keeps what the log is told.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

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
        self.0.lock().unwrap().push(line.0);
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
    let log = Log::default();
    let _told = tracing::subscriber::set_default(log.clone());
    let router = dressed(Router::new().route("/broken", get(broken)), &shared());
    let (status, body) = ask(router, "/broken").await;
    let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &problem["code"]), (StatusCode::INTERNAL_SERVER_ERROR, &"internal".into()));
    assert!(!body.contains("on purpose"), "{body}");
    let lines = log.0.lock().unwrap();
    assert!(lines[0].contains("on purpose") && lines[1].contains("status=500"), "{lines:?}");
}

#[tokio::test]
async fn the_log_has_a_line_for_each_request_without_what_was_looked_for() {
    let log = Log::default();
    let _told = tracing::subscriber::set_default(log.clone());
    let (status, _) = ask(dressed(routes(), &shared()), "/api/v1/suggest?q=private").await;
    assert_eq!(status, StatusCode::OK);
    let lines = log.0.lock().unwrap();
    assert_eq!(lines.len(), 1, "{lines:?}");
    for word in
        ["metaconsole::access", "method=GET", "path=\"/api/v1/suggest\"", "status=200", " ms=", "id=id-1", "whole=true"]
    {
        assert!(lines[0].contains(word), "{word}: {lines:?}");
    }
    assert!(!lines[0].contains("private") && !lines[0].contains("hidden"), "{lines:?}");
}
