//! For those who run the gateway: alive, ready, metrics. None of them reads a site.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Shared;
use super::metrics;
use super::problem::Problem;
use super::viewer::Viewer;

/// `GET /healthz`: the program runs.
pub(super) async fn alive() -> &'static str {
    "alive\n"
}

/// `GET /readyz`: requests are welcome. Dead sites do not matter: saying so is our work.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Result<&'static str, Problem> {
    if *shared.gateway.draining.borrow() {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "draining", "this gateway is about to end")
            .remedy("ask another one, or again in a moment"));
    }
    Ok("ready\n")
}

/// `GET /metrics`
pub(super) async fn metrics(State(shared): State<Arc<Shared>>, viewer: Viewer) -> Result<Response, Problem> {
    if !viewer.sees_everything()? {
        // Counts of requests and answers are of everybody.
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", "the metrics are of the whole gateway")
            .remedy("use a login or token with `search: [\"*\"]`"));
    }
    let text = metrics::page(&shared, &viewer);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}
