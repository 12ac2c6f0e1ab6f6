//! Which requests are let in at all: the host they name, where they come from, their size.
//!
//! Without a log-in everybody who reaches the port may read. A page of somebody else's in a browser here could reach it
//! under a name that it points at us (DNS rebinding); so only names are answered that nobody else can give us.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};

use super::problem::Problem;
use crate::config::Gateway;

/// Longer query strings are refused unread.
const MAX_QUERY: usize = 32 << 10;

/// Longer bodies are refused unread. Nothing here reads a body.
const MAX_BODY: u64 = 64 << 10;

/// For those who ask by address whether we live, such as a container's supervisor. They show nothing of any site.
const ANY_HOST: &[&str] = &["/healthz", "/readyz"];

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Why a request is refused, if it is.
pub(super) fn refusal(method: &Method, uri: &Uri, headers: &HeaderMap, gateway: &Gateway) -> Option<Problem> {
    if uri.query().is_some_and(|query| query.len() > MAX_QUERY) {
        let problem = Problem::new(StatusCode::URI_TOO_LONG, "too_long", "the query string is too long");
        return Some(problem.remedy("send at most 32 KiB"));
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > MAX_BODY) {
        let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the body is too large");
        return Some(problem.remedy("send no body"));
    }
    if !is_for_any_host(uri.path()) && !names_us(uri, headers, gateway) {
        let sentence = "this gateway does not answer under that host name";
        let problem = Problem::new(StatusCode::MISDIRECTED_REQUEST, "foreign_host", sentence);
        return Some(
            problem.remedy("use 127.0.0.1, localhost or the gateway's public_url, or set `gateway.public_url`"),
        );
    }
    let foreign = match method.is_safe() {
        true => uri.path().starts_with("/api/") && embedded_elsewhere(headers),
        false => from_elsewhere(headers, gateway),
    };
    if foreign {
        let sentence = "a page of another site may not ask for this";
        return Some(Problem::new(StatusCode::FORBIDDEN, "foreign_origin", sentence).remedy("ask from our own pages"));
    }
    None
}

/// Probes name the machine. Scripts and styles are public, and the page that says "not under that name" needs them.
fn is_for_any_host(path: &str) -> bool {
    ANY_HOST.contains(&path) || path.starts_with("/assets/")
}

/// Whether the host of a request can only mean us.
fn names_us(uri: &Uri, headers: &HeaderMap, gateway: &Gateway) -> bool {
    let mut said = headers.get_all(header::HOST).iter();
    let host = match (uri.host(), said.next(), said.next()) {
        (Some(host), None | Some(_), None) => Some(host),
        (None, Some(host), None) => host.to_str().ok().and_then(without_port),
        _ => None,
    };
    host.is_some_and(|host| ours(host, gateway))
}

/// `host:port` without its port; an IPv6 address keeps its brackets.
fn without_port(text: &str) -> Option<&str> {
    let is_port = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let end = if text.starts_with('[') { text.find(']')? + 1 } else { text.find(':').unwrap_or(text.len()) };
    let (host, rest) = text.split_at_checked(end)?;
    let fine = rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
    (fine && !host.is_empty()).then_some(host)
}

fn ours(host: &str, gateway: &Gateway) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let address: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    let is_loopback = address.is_some_and(|address| address.is_loopback());
    let is_listen = address == Some(gateway.listen.ip()) && !gateway.listen.ip().is_unspecified();
    let is_public = gateway.public_url.host_str().is_some_and(|public| public.eq_ignore_ascii_case(&host));
    is_loopback || is_listen || is_public || host == "localhost" || host.ends_with(".localhost")
}

/// Whether a browser says that somebody else's page loads this, and not a person who follows a link. Nobody else's page
/// may cause a read of a site, even if it cannot see the answer.
fn embedded_elsewhere(headers: &HeaderMap) -> bool {
    let says = |name: &HeaderName| headers.get(name).map(HeaderValue::as_bytes);
    let elsewhere = matches!(says(&FETCH_SITE), Some(b"cross-site" | b"same-site"));
    let followed = says(&FETCH_MODE) == Some(b"navigate") && says(&FETCH_DEST) == Some(b"document");
    elsewhere && !followed
}

/// Browsers say where a request comes from; others say nothing and are no browsers.
fn from_elsewhere(headers: &HeaderMap, gateway: &Gateway) -> bool {
    match headers.get(FETCH_SITE).map(|value| value.as_bytes()) {
        Some(b"same-origin" | b"none") => false,
        Some(_) => true,
        // On plain http they say at least this: our public address, or, without a proxy, the host that was asked.
        None => headers.get(header::ORIGIN).is_some_and(|origin| {
            let origin = origin.to_str().unwrap_or("");
            let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
            let same_host = host.is_some() && origin.split_once("://").map(|(_, host)| host) == host;
            !same_host && origin != gateway.public_url.origin().ascii_serialization()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_read_with_and_without_its_port() {
        for (text, host) in [
            ("localhost", Some("localhost")),
            ("127.0.0.1:8080", Some("127.0.0.1")),
            ("[::1]:8080", Some("[::1]")),
            ("[::1]", Some("[::1]")),
            ("[::1]evil", None),
            ("[::1", None),
            ("a:b", None),
            ("a:80:80", None),
            (":80", None),
            ("", None),
        ] {
            assert_eq!(without_port(text), host, "{text}");
        }
    }
}
