//! The four actions as paths of an axum router.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;

use super::asked::BODY;
use super::{Action, Asked, Entrance};

/// `PREFIX/start`, `/login`, `/probe`, `/revoke`, by whatever method: others than their own are refused as everything is.
/// `client` says which address a request comes from.
pub fn routes<F>(entrance: &Arc<Entrance>, prefix: &str, client: F) -> Router
where
    F: Fn(&Parts) -> IpAddr + Clone + Send + Sync + 'static,
{
    let mut router = Router::new();
    for action in [Action::Start, Action::Login, Action::Probe, Action::Revoke] {
        let (entrance, client) = (Arc::clone(entrance), client.clone());
        let handler = move |request: Request| async move { take(&entrance, action, request, client).await };
        router = router.route(&format!("{prefix}/{}", action.as_str()), any(handler));
    }
    router
}

async fn take<F>(entrance: &Entrance, action: Action, request: Request, client: F) -> Response
where
    F: Fn(&Parts) -> IpAddr,
{
    let (parts, body) = request.into_parts();
    let address = client(&parts);
    // A longer one is refused for its length; so is one that breaks off, since nothing good is that long.
    let body = to_bytes(body, BODY).await.unwrap_or_else(|_| Bytes::from(vec![0; BODY + 1]));
    let asked = Asked::new(parts.method, parts.uri.query().unwrap_or(""), parts.headers, body, address);
    entrance.answer(action, &asked).await
}
