//! The pages of an opening: plain forms and links. Two of them send their form by themselves, with a script of our own.
//!
//! A token, or a console's own hash, stands in one page only ([`handover`]), which may send it to the site's own origin and
//! to nobody else.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use super::problem::Problem;

/// The script, as it is served.
const SCRIPT: &str = include_str!("open.js");

/// For these pages only: forms to ourselves, and their own style.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'sha256-+l1H8Y6yVnsThHlqmg7c/v2Hq5B9t/cWgcjVtxiFpDI='; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'",
);

const STYLE: &str = "body{font:1rem system-ui;max-width:22rem;margin:15vh auto;padding:0 1rem}\
label{display:block;margin:1rem 0}input{display:block;width:100%;font:inherit;padding:.4rem;box-sizing:border-box}\
button{font:inherit;padding:.4rem 1rem;margin:0 .5rem .5rem 0}[role=alert]{color:#b00020}";

/// For the page that sends a form to ourselves by itself.
const SENDING: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
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

/// A link out of here.
pub(super) fn link(to: &str, text: &str) -> String {
    format!("<p><a rel=\"noreferrer\" href=\"{}\">{}</a></p>", escaped(to), escaped(text))
}

/// A page for a person to read. `head` and `body` are markup.
pub(super) fn page(status: StatusCode, title: &str, head: &str, body: &str) -> Response {
    let title = escaped(title);
    let style = format!("<style>{STYLE}</style>{head}");
    let html = document(&title, &style, &format!("<h1>{title}</h1>{body}"));
    (status, [(header::CONTENT_SECURITY_POLICY, POLICY)], Html(html)).into_response()
}

fn document(title: &str, head: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title} · metaconsole</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\">{head}</head>\
         <body>{body}</body></html>\n"
    )
}

/// After the button: on to the verifier's start. A page and not a redirect, because browsers hold a redirect that
/// follows a form against the form's page, which may send to us only.
pub(super) fn leading(site: &str, start: &str) -> Response {
    let head = format!("<meta http-equiv=\"refresh\" content=\"0; url={}\">", escaped(start));
    page(StatusCode::OK, &format!("Going to {site}"), &head, &link(start, &format!("Go on to {site}")))
}

/// Back from the verifier: sends the form that makes the token.
pub(super) fn finishing(base: &str, site: &str, action: &str, fields: &str) -> Response {
    let body = format!(
        "<h1>Opening {}</h1><form method=\"post\" action=\"{}\">{fields}<button>Go on</button></form>",
        escaped(site),
        escaped(action)
    );
    let html = document("Opening", &tag(base), &body);
    ([(header::CONTENT_SECURITY_POLICY, SENDING)], Html(html)).into_response()
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
    let body = format!(
        "<h1>Opening {}</h1><form method=\"post\" action=\"{}\">{fields}<button>Go on</button></form>",
        escaped(site),
        escaped(login)
    );
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
        (ROBOTS, HeaderValue::from_static("noindex")),
    ];
    Ok((headers, Html(document("Opening", &tag(base), &body))).into_response())
}

/// Text for a page.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_is_the_one_that_the_policy_lets_in() {
        use std::fmt::Write as _;
        let digest = crate::access::secrets::sha256(STYLE);
        let mut bits = String::new();
        for byte in digest {
            write!(bits, "{byte:08b}").unwrap();
        }
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let six =
            |bits: &[u8]| usize::from_str_radix(&format!("{:0<6}", std::str::from_utf8(bits).unwrap()), 2).unwrap();
        let text: String = bits.as_bytes().chunks(6).map(|bits| char::from(letters[six(bits)])).collect();
        assert!(POLICY.to_str().unwrap().contains(&format!("'sha256-{text}='")), "sha256-{text}=");
    }
}
