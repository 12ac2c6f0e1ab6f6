//! `/mc/auth`, which the proxy asks about every request, and `/mc/logout`.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};

use super::{Gate, cookie};
use crate::config::gate::Mode;

/// Where somebody logs in, for proxies that cannot pass on a redirect.
const LOCATION: HeaderName = HeaderName::from_static("x-mc-location");

/// How the proxy takes "not without a session".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denial {
    /// 401 always, for nginx; where to go stands in `X-Mc-Location`.
    Status,
    /// A redirect, which the proxy passes on to the browser.
    Redirect,
}

fn says<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The method of the request that is asked about.
fn method(headers: &HeaderMap, own: &Method) -> Method {
    let told = says(headers, "x-original-method").or_else(|| says(headers, "x-forwarded-method"));
    told.and_then(|told| told.parse().ok()).unwrap_or_else(|| own.clone())
}

/// Whether a person goes to a page, and no page loads a part of itself.
fn is_navigation(headers: &HeaderMap, method: &Method) -> bool {
    let is_page = match says(headers, "sec-fetch-mode") {
        Some(mode) => mode == "navigate" && says(headers, "sec-fetch-dest") == Some("document"),
        None => says(headers, "accept").is_some_and(|accept| accept.contains("text/html")),
    };
    is_page && *method == Method::GET
}

/// Whether the session's cookie counts: from our own pages, or for a person who follows a link here. Anything else that
/// carries it was begun by another site's page.
fn is_our_own(headers: &HeaderMap, method: &Method) -> bool {
    match says(headers, "sec-fetch-site") {
        None | Some("same-origin" | "none") => true,
        Some(_) => is_navigation(headers, method),
    }
}

impl Gate {
    /// Who a request is of.
    pub(super) async fn auth(&self, own: &Method, headers: &HeaderMap, denial: Denial) -> Response {
        let method = method(headers, own);
        let live = match is_our_own(headers, &method) {
            true => self.sessions.of(headers).await,
            false => None,
        };
        let account = live.map(|live| live.account).unwrap_or_default();
        let denied = account.is_empty() && self.mode == Mode::Required;
        let goes = denied && is_navigation(headers, &method);
        let mut response = match (denied, goes && denial == Denial::Redirect) {
            (false, _) => StatusCode::OK.into_response(),
            (true, true) => StatusCode::FOUND.into_response(),
            (true, false) => StatusCode::UNAUTHORIZED.into_response(),
        };
        let answer = response.headers_mut();
        // Every one of them, always: a name that is not there is one that the client may have written.
        let value = HeaderValue::from_str(&account).unwrap_or(HeaderValue::from_static(""));
        for name in &self.identity {
            answer.insert(name, value.clone());
        }
        if goes && let Ok(there) = HeaderValue::from_str(self.entrance.again().as_str()) {
            let name = if denial == Denial::Redirect { header::LOCATION } else { LOCATION };
            answer.insert(name, there);
        }
        careful(response)
    }

    /// A page with a button, and what the button does.
    pub(super) async fn log_out(&self, method: &Method, headers: &HeaderMap) -> Response {
        if *method == Method::GET {
            return page(
                StatusCode::OK,
                "Log out",
                "<form method=\"post\" action=\"/mc/logout\"><button>Log out here</button></form>",
            );
        }
        let from_us = matches!(says(headers, "sec-fetch-site"), None | Some("same-origin" | "none"));
        if *method != Method::POST || !from_us {
            return page(StatusCode::FORBIDDEN, "Not logged out", "<p><a href=\"/mc/logout\">Log out</a></p>");
        }
        match self.sessions.log_out(headers).await {
            Ok(()) => {
                let mut response = StatusCode::SEE_OTHER.into_response();
                response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/"));
                response.headers_mut().insert(header::SET_COOKIE, cookie::none());
                careful(response)
            }
            Err(_) => {
                let body = "<p>It could not be kept that you log out. Close the browser.</p>";
                page(StatusCode::SERVICE_UNAVAILABLE, "Not logged out", body)
            }
        }
    }
}

/// A page of ours; title and body are markup.
pub(super) fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title></head>\
         <body><h1>{title}</h1>{body}</body></html>\n"
    );
    careful((status, Html(html)).into_response())
}

fn careful(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
