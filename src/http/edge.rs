//! What holds for every request: an id, a place in the log and the metrics, headers that keep browsers careful.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use super::Shared;
use super::gate;
use super::problem::Problem;
use crate::clock::Stopwatch;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Headers of every answer. Nothing here needs a script, a style or a frame.
const CAREFUL: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    // No page of somebody else's may embed an answer, or keep a handle to a window that shows one.
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
];

/// The status of a request whose client left before its answer began, as nginx has it.
pub(super) const LEFT: u16 = 499;

/// Takes a request through.
pub(super) async fn pass(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let mut entry = Entry::begin(Arc::clone(&shared), &request, route, id.clone());
    let config = Arc::clone(&shared.gateway.app.load().config);
    let refusal = gate::refusal(request.method(), request.uri(), request.headers(), &config.gateway);
    let mut response = match refusal {
        Some(problem) => problem.into_response(),
        None => told_as_ours(next.run(request).await),
    };
    let headers = response.headers_mut();
    for (name, value) in CAREFUL {
        // A page that needs more says so itself.
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    entry.status = Some(response.status());
    response.map(|body| Body::new(Watched { body, entry, ended: false }))
}

/// What axum itself refuses, such as a path that is no UTF-8, it does in words of its own; ours are problems.
fn told_as_ours(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    if !status.is_client_error() || !kind.starts_with(b"text/plain") {
        return response;
    }
    Problem::new(status, "bad_request", "the address or the body of this request cannot be understood")
        .remedy("write it as UTF-8, with `%` and two hexadecimal digits for other bytes")
        .into_response()
}

/// The client's own id where it is harmless, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let harmless = |id: &&str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        (1..=64).contains(&id.len()) && id.bytes().all(allowed)
    };
    let told = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(harmless);
    // The standard library's seeds are random; the id need only be different, not secret.
    let half = || RandomState::new().hash_one(0);
    told.map_or_else(|| format!("{:016x}{:016x}", half(), half()), str::to_owned)
}

/// A request that goes on. Told when it is dropped, however it ended.
struct Entry {
    shared: Arc<Shared>,
    method: Method,
    path: String,
    route: String,
    id: String,
    watch: Stopwatch,
    /// `None` until the answer begins.
    status: Option<StatusCode>,
    whole: bool,
}

impl Entry {
    fn begin(shared: Arc<Shared>, request: &Request, route: String, id: String) -> Self {
        shared.tally.begun();
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        Self { shared, method, path, route, id, watch: Stopwatch::start(), status: None, whole: false }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("id", &self.id).field("route", &self.route).finish_non_exhaustive()
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let (status, took) = (self.status.map_or(LEFT, |status| status.as_u16()), self.watch.elapsed());
        self.shared.tally.ended(&self.route, status, took, self.whole);
        tracing::info!(
            target: "metaconsole::access",
            method = %self.method,
            // Without the query: what people look for is theirs.
            path = ?self.path,
            status,
            ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            id = %self.id,
            whole = self.whole,
            "request"
        );
    }
}

/// A body that tells its entry whether it was sent whole.
struct Watched {
    body: Body,
    entry: Entry,
    ended: bool,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        self.ended = self.ended || matches!(frame, Poll::Ready(None));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // To HEAD nothing is sent.
        self.entry.whole = self.ended || self.body.is_end_stream() || self.entry.method == Method::HEAD;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_taken_over_only_when_it_is_harmless() {
        let id = |told: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, told.parse().unwrap());
            request_id(&headers)
        };
        assert_eq!(id("trace-1.a_B"), "trace-1.a_B");
        for bad in ["", "a b", "a\"b", "a;b", &"x".repeat(65)] {
            assert_eq!(id(bad).len(), 32, "{bad}");
        }
        assert_ne!(id(""), id(""));
    }
}
