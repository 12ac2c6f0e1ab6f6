//! The session that a browser had when it came to `start`.
//!
//! Browsers do not send a product's session along with the gateway's form, which comes from another site: with
//! `SameSite=Lax` never, without the attribute only while the cookie is younger than two minutes. They do send it when a
//! person is led to `start`. So `start` notes it for two minutes in a cookie that is sent with the form, and a login that
//! has no session goes by that: else somebody's session would be replaced unasked, and nobody's would be kept.

use axum::http::{HeaderMap, HeaderValue, header};

use super::asked::cookies;

/// The cookie that tells a login of the session at its start. `__Host-`: no other host can plant it.
const NAME: &str = "__Host-mc_was";

/// Longest session cookie that is noted.
const MOST: usize = 3 << 10;

/// Notes the session, in the cookie of this name, of a browser that begins; or takes an earlier note away.
pub(super) fn note(headers: &HeaderMap, name: &str) -> Option<HeaderValue> {
    let (text, seconds) = match the_one(headers, name) {
        Some(session) if is_plain(session) => (session, 120),
        _ if cookies(headers).all(|(known, _)| known != NAME) => return None,
        _ => ("", 0),
    };
    HeaderValue::from_str(&format!("{NAME}={text}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=None")).ok()
}

/// The headers of a login, with the session of the start where they name none.
pub(super) fn with(headers: &HeaderMap, name: &str) -> HeaderMap {
    let mut all = headers.clone();
    if cookies(headers).all(|(known, _)| known != name)
        && let Some(session) = the_one(headers, NAME).filter(|session| is_plain(session))
        && let Ok(cookie) = HeaderValue::from_str(&format!("{name}={session}"))
    {
        all.append(header::COOKIE, cookie);
    }
    all
}

fn the_one<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut all = cookies(headers).filter(|(known, _)| *known == name).map(|(_, text)| text);
    match (all.next(), all.next()) {
        (Some(text), None) => Some(text),
        _ => None,
    }
}

/// Whether it is a word that can stand in a cookie as it is.
fn is_plain(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b',');
    (16..=MOST).contains(&text.len()) && text.bytes().all(is_word)
}
