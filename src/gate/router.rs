//! The gate's paths, all below `/mc/`, for its proxy only.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::any;

use super::Gate;
use super::auth::{Denial, page};
use super::peers::{self, Client};
use crate::verifier::routes;

/// `peer` says from what the server laid to a request who is at the other end of its connection.
pub fn router<F>(gate: &Arc<Gate>, peer: F) -> Router
where
    F: Fn(&Extensions) -> Option<IpAddr> + Clone + Send + Sync + 'static,
{
    // The middleware below lets no request through without it.
    let client = |parts: &Parts| parts.extensions.get::<Client>().map_or(IpAddr::from([0, 0, 0, 0]), |client| client.0);
    let guarded = Arc::clone(gate);
    let guard = move |request: Request, next: Next| {
        let peer = peer(request.extensions());
        let client = peers::client(peer, request.headers(), &guarded.proxies);
        async move { pass(client, request, next).await }
    };
    Router::new()
        .route("/mc/auth", any(status))
        .route("/mc/auth/redirect", any(redirect))
        // Envoy puts the path that is asked about behind it.
        .route("/mc/auth/redirect/", any(redirect))
        .route("/mc/auth/redirect/{*path}", any(redirect))
        .route("/mc/logout", any(log_out))
        .with_state(Arc::clone(gate))
        .merge(routes(&gate.entrance, "/mc", client))
        .fallback(|| async { page(StatusCode::NOT_FOUND, "Nothing here", "") })
        .layer(from_fn(guard))
}

async fn pass(client: Option<Client>, mut request: Request, next: Next) -> Response {
    let Some(client) = client else {
        return page(StatusCode::FORBIDDEN, "Not for you", "<p>Only the proxy of this site may ask.</p>");
    };
    request.extensions_mut().insert(client);
    next.run(request).await
}

async fn status(State(gate): State<Arc<Gate>>, request: Request) -> Response {
    gate.auth(request.method(), request.headers(), Denial::Status).await
}

async fn redirect(State(gate): State<Arc<Gate>>, request: Request) -> Response {
    gate.auth(request.method(), request.headers(), Denial::Redirect).await
}

async fn log_out(State(gate): State<Arc<Gate>>, request: Request) -> Response {
    gate.log_out(request.method(), request.headers()).await
}
