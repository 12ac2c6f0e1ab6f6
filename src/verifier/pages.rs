//! The few pages of a verifier, without a script, and the headers of every answer.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;

/// Headers of every answer. A verifier's pages need a style and their own form only.
const CAREFUL: [(HeaderName, HeaderValue); 7] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
    ),
];

/// An answer with the headers of all.
pub(super) fn answer(status: StatusCode, kind: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in CAREFUL {
        headers.insert(name, value);
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// On to another address: 303, so that no browser sends a body again. `None` when it cannot stand in a header.
pub(super) fn go(to: &str, cookies: Vec<HeaderValue>) -> Option<Response> {
    let mut response = answer(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", String::new());
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, HeaderValue::from_str(to).ok()?);
    for cookie in cookies {
        headers.append(header::SET_COOKIE, cookie);
    }
    Some(response)
}

/// JSON of our own.
pub(super) fn json(value: &serde_json::Value) -> Response {
    answer(StatusCode::OK, "application/json", format!("{value}\n"))
}

/// The page of every refusal; two reasons have sentences of their own.
pub(super) fn refused(status: StatusCode, reason: &str, again: &str) -> Response {
    let (title, sentence) = match reason {
        "replayed" => ("Used already", "This opening was used already. Nothing was changed by it."),
        "expired" => ("Too late", "An opening is good for a minute, and this one is older."),
        _ => (
            "This did not open",
            "An opening works once, within a minute, in the browser that asked for it, for accounts that this site lets \
             in. You are not logged in by it.",
        ),
    };
    let link = format!("<p><a rel=\"noreferrer\" href=\"{}\">Open it again</a></p>", text(again));
    answer(status, "text/html; charset=utf-8", page(title, &format!("<p>{sentence}</p>{link}")))
}

/// Somebody else is logged in here: nothing changes before the person says so.
pub(super) fn ask(login: &str, now: &str, new: &str, stay: &str, brought: &str) -> String {
    let (now, new) = (text(now), text(new));
    let body = format!(
        "<p>In this browser <b>{now}</b> is logged in here.</p><form method=\"post\" action=\"{}\"><input type=\"hidden\" \
         name=\"mc_continue\" value=\"{}\"><button>Continue as {new}</button></form><p><a href=\"{}\">Stay as {now}</a></p>",
        text(login),
        text(brought),
        text(stay),
    );
    page(&format!("Continue as {new}?"), &body)
}

/// A page; title and body are markup.
fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"color-scheme\" content=\"light dark\"><style>body{{font:1rem/1.5 sans-serif;max-width:34rem;\
         margin:12vh auto;padding:0 1rem}}button{{font:inherit;padding:.4rem 1rem}}\
         @media(prefers-color-scheme:dark){{body{{background:#15181c;color:#e6e8eb}}a{{color:#8fc3f5}}}}</style></head>\
         <body><h1>{title}</h1>{body}</body></html>\n"
    )
}

/// Text for markup.
pub(super) fn text(value: &str) -> String {
    let mut safe = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}
