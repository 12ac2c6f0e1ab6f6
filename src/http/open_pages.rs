//! The pages of an opening that go on by themselves, outside of the common frame. Two of them send their form with a
//! script of our own; without scripts each has a link or a button. What a person reads is in `pages/opening.rs`.
//!
//! A token, or a console's own hash, stands in one page only ([`handover`]), which may send it to the site's own origin and
//! to nobody else. That page loads nothing but the script, not even a style: its policy is the narrowest of all.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use super::pages::style;
use super::problem::Problem;

/// The script, as it is served.
const SCRIPT: &str = include_str!("open.js");

/// For the page that leads to the verifier.
const LEADING: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// For the page that sends a form to ourselves by itself.
const SENDING: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);

const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");

/// `GET /assets/open.js`
pub(super) async fn script() -> Response {
    let kind = (header::CONTENT_TYPE, "text/javascript; charset=utf-8");
    ([kind, (header::CACHE_CONTROL, "public, max-age=3600")], SCRIPT).into_response()
}

/// A hidden field.
pub(super) fn field(name: &str, value: &str) -> String {
    format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escaped(value))
}

/// A page outside of the common frame: it goes on by itself. `head` and `body` are markup.
fn document(base: &str, head: &str, body: &str) -> String {
    let body = format!("<main><section class=\"paper opening\">{body}</section></main>");
    plain(&format!("{}{head}", style(base)), &body)
}

/// A page without a style, in the colours that the person has chosen for all pages.
fn plain(head: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Opening · Metaconsole</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><meta name=\"robots\" content=\"noindex\">{head}</head>\
         <body>{body}</body></html>\n"
    )
}

/// After the button: on to the verifier's start. A page and not a redirect, because browsers hold a redirect that
/// follows a form against the form's page, which may send to us only.
pub(super) fn leading(base: &str, site: &str, start: &str) -> Response {
    let (site, start) = (escaped(site), escaped(start));
    let head = format!("<meta http-equiv=\"refresh\" content=\"0; url={start}\">");
    let body = format!(
        "<h1>Going to {site}</h1><p><a rel=\"noreferrer\" href=\"{start}\">Go on to {site}</a></p>\
         <p class=\"faint\">Your browser fetches something there and comes back.</p>"
    );
    ([(header::CONTENT_SECURITY_POLICY, LEADING)], Html(document(base, &head, &body))).into_response()
}

/// Back from the verifier: sends the form that makes the token.
pub(super) fn finishing(base: &str, site: &str, action: &str, fields: &str) -> Response {
    let html = document(base, &tag(base), &sending(site, action, fields));
    ([(header::CONTENT_SECURITY_POLICY, SENDING)], Html(html)).into_response()
}

/// A form that the script sends, or else its button.
fn sending(site: &str, action: &str, fields: &str) -> String {
    let (site, action) = (escaped(site), escaped(action));
    format!("<h1>Opening {site}</h1><form method=\"post\" action=\"{action}\">{fields}<button>Go on</button></form>")
}

fn tag(base: &str) -> String {
    format!("<script src=\"{}assets/open.js\" defer></script>", escaped(base))
}

/// The one page that holds a token, or a hash, in its `fields` (markup): it sends it to the site.
///
/// # Errors
/// The origins cannot stand in a header.
pub(super) fn handover(base: &str, site: &str, login: &str, origins: &str, fields: &str) -> Result<Response, Problem> {
    let policy = format!(
        "default-src 'none'; script-src 'self'; form-action {origins}; frame-ancestors 'none'; base-uri 'none'"
    );
    let policy = HeaderValue::from_str(&policy).map_err(|_| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the site's address cannot stand in a header")
            .remedy("write its host name in ASCII")
    })?;
    let body = sending(site, login, fields);
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
        (ROBOTS, HeaderValue::from_static("noindex")),
    ];
    Ok((headers, Html(plain(&tag(base), &body))).into_response())
}

/// Text for a page.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
