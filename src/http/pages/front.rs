//! Before any route: a sub-path that the proxy left in place is taken away, and a problem becomes a page for a person.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::uri::{PathAndQuery, Uri};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;

use super::super::Shared;
use super::super::problem::Fields;
use super::{Frame, page, shown};

/// All routes, behind this.
pub(in crate::http) fn in_front(routes: Router, shared: &Arc<Shared>) -> Router {
    // As a fallback, so that the layer runs before the routes are looked at.
    Router::new().fallback_service(routes).layer(middleware::from_fn_with_state(Arc::clone(shared), pass))
}

async fn pass(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let app = shared.gateway.app.load_full();
    if let Some(uri) = without(app.config.gateway.public_url.path(), request.uri()) {
        *request.uri_mut() = uri;
    }
    let by_a_person = is_navigation(request.method(), request.uri(), request.headers());
    let by_get = request.method() == Method::GET;
    let by_a_script = request.headers().get("sec-fetch-mode").is_some_and(|mode| mode != "navigate");
    let response = next.run(request).await;
    // A script that refreshes a page asks for HTML too; that nobody is signed in, it is told as such and not as a page.
    let to_a_script = by_a_script && response.status() == StatusCode::UNAUTHORIZED;
    match response.extensions().get::<Arc<Fields>>() {
        Some(problem) if by_a_person && !to_a_script => {
            let frame = Frame::bare(&app, "error", problem.title());
            let id = response.headers().get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
            // Under a name that is not ours no link of ours leads anywhere.
            let elsewhere = response.status() == StatusCode::MISDIRECTED_REQUEST;
            let home = if elsewhere { app.config.gateway.public_url.to_string() } else { frame.base.clone() };
            let passes =
                by_get && (response.status().is_server_error() || response.headers().contains_key(header::RETRY_AFTER));
            let mut answer = page(response.status(), &Failed { frame, problem, id, home, passes });
            // Everything else that was said stays said; only what describes the body is the page's.
            let mut headers = response.headers().clone();
            for of_the_body in [header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::TRANSFER_ENCODING] {
                headers.remove(of_the_body);
            }
            for (name, value) in answer.headers() {
                headers.insert(name, value.clone());
            }
            *answer.headers_mut() = headers;
            answer
        }
        _ => response,
    }
}

#[derive(Debug, Template)]
#[template(path = "error.html")]
struct Failed<'a> {
    frame: Frame,
    problem: &'a Fields,
    id: &'a str,
    /// Where our pages begin.
    home: String,
    /// Whether it may go better the next time.
    passes: bool,
}

/// Whether a person goes to this address. The API answers everybody in JSON.
fn is_navigation(method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or("");
    let is_page = !uri.path().starts_with("/api/") && !uri.path().starts_with("/assets/");
    is_page && (method == Method::GET || method == Method::POST) && accept.contains("text/html")
}

/// The address without the sub-path we are reached under, if it has that.
fn without(base: &str, uri: &Uri) -> Option<Uri> {
    let prefix = base.strip_suffix('/').filter(|prefix| !prefix.is_empty())?;
    let rest = uri.path().strip_prefix(prefix)?;
    if !rest.is_empty() && !rest.starts_with('/') {
        return None;
    }
    let path = if rest.is_empty() { "/" } else { rest };
    let target = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_sub_path_is_taken_away() {
        let gone = |base: &str, uri: &str| without(base, &uri.parse().unwrap()).map(|uri| uri.to_string());
        for (base, uri, rest) in [
            ("/", "/sites", None),
            ("/meta/", "/meta/sites?a=b", Some("/sites?a=b")),
            ("/meta/", "/meta/", Some("/")),
            ("/meta/", "/meta", Some("/")),
            ("/meta/", "/meta?q=x", Some("/?q=x")),
            ("/meta/", "/metal/sites", None),
            ("/meta/", "/sites", None),
            ("/a/b/", "/a/b/wall", Some("/wall")),
        ] {
            assert_eq!(gone(base, uri).as_deref(), rest, "{base} {uri}");
        }
    }
}
