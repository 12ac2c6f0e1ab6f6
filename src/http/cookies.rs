//! Cookies of ours, and where a request really comes from.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use ipnet::IpNet;

/// The session.
pub(super) const SESSION: &str = "__Host-mc_session";

/// A browser in which somebody has logged in before.
pub(super) const DEVICE: &str = "__Host-mc_device";

/// A screen on a wall.
pub(super) const WALL: &str = "__Host-mc_wall";

/// Browsers keep no cookie for longer.
const WALL_SECONDS: u64 = 400 * 86_400;

/// A browser that is about to log in.
pub(super) const BEFORE: &str = "__Host-mc_login";

/// Half a year, as long as a browser stays known.
const DEVICE_SECONDS: u64 = 180 * 86_400;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The other end of a connection. Laid to each request by whoever takes connections.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// The value of a cookie. One that is there twice is none: one of them was planted.
pub(super) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut found = all.flat_map(|line| line.split(';')).filter_map(|pair| {
        let (known, value) = pair.trim().split_once('=')?;
        (known == name).then_some(value)
    });
    match (found.next(), found.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

/// Whether any cookie of ours is there, however often.
pub(super) fn has_ours(headers: &HeaderMap) -> bool {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|line| line.split(';')).any(|pair| pair.trim().starts_with("__Host-mc_"))
}

fn set(text: &str) -> HeaderValue {
    // Ours hold letters, digits and a few signs only.
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

/// Whether an answer says itself who this browser is from now on.
pub(super) fn sets_one(headers: &HeaderMap) -> bool {
    let of = |value: &HeaderValue| [SESSION, WALL].iter().any(|name| value.as_bytes().starts_with(name.as_bytes()));
    headers.get_all(header::SET_COOKIE).iter().any(of)
}

/// Sets the session's cookie. It goes when the browser is closed, or before.
pub(super) fn session(value: &str) -> HeaderValue {
    set(&format!("{SESSION}={value}; Secure; HttpOnly; Path=/; SameSite=Lax"))
}

/// Takes the session's cookie away.
pub(super) fn no_session() -> HeaderValue {
    set(&format!("{SESSION}=; Secure; HttpOnly; Path=/; SameSite=Lax; Max-Age=0"))
}

/// Makes the browser a known one.
pub(super) fn device(value: &str) -> HeaderValue {
    set(&format!("{DEVICE}={value}; Secure; HttpOnly; Path=/; SameSite=Strict; Max-Age={DEVICE_SECONDS}"))
}

/// Makes a screen a wallboard.
pub(super) fn wall(value: &str) -> HeaderValue {
    set(&format!("{WALL}={value}; Secure; HttpOnly; Path=/; SameSite=Lax; Max-Age={WALL_SECONDS}"))
}

/// Binds a login form to this browser.
pub(super) fn before(value: &str) -> HeaderValue {
    set(&format!("{BEFORE}={value}; Secure; HttpOnly; Path=/; SameSite=Strict; Max-Age=3600"))
}

/// Where a request comes from: the other end, or, when that is a proxy of ours, the last address in
/// `X-Forwarded-For` that is none. What stands before that one, anybody may have written.
pub(super) fn client(peer: Option<Peer>, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let ours = |address: &IpAddr| proxies.iter().any(|proxy| proxy.contains(&address.to_canonical()));
    let mut address = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.0.ip().to_canonical());
    let lines: Vec<&str> = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
    for told in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        let Some(told) = address_of(told.trim()).filter(|_| ours(&address)) else { break };
        address = told.to_canonical();
    }
    address
}

/// An address, with or without the port that some proxies add.
fn address_of(text: &str) -> Option<IpAddr> {
    let plain = text.trim_start_matches('[').trim_end_matches(']');
    let with_port = || text.parse::<SocketAddr>().map(|address| address.ip());
    plain.parse().or_else(|_| with_port()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_cookie_that_is_there_twice_is_none() {
        let of = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| (header::COOKIE, *line)).collect();
            cookie(&headers(&lines), SESSION).map(str::to_owned)
        };
        assert_eq!(of(&["a=b; __Host-mc_session=x; c=d"]), Some("x".to_owned()));
        assert_eq!(of(&["a=b", "__Host-mc_session=x"]), Some("x".to_owned()));
        assert_eq!(of(&["__Host-mc_session=x; __Host-mc_session=y"]), None);
        assert_eq!(of(&["__Host-mc_session=x", "__Host-mc_session=x"]), None);
        assert_eq!(of(&["mc_session=x; x__Host-mc_session=y"]), None);
        assert!(!has_ours(&headers(&[(header::COOKIE, "a=__Host-mc_x")])));
    }

    #[test]
    fn forwarded_addresses_count_only_behind_a_proxy_of_ours() {
        let proxies = ["10.0.0.0/8".parse().unwrap()];
        let peer = |text: &str| Some(Peer(SocketAddr::new(text.parse().unwrap(), 1)));
        for (from, told, expected) in [
            ("1.2.3.4", "5.6.7.8", "1.2.3.4"),
            ("10.0.0.1", "5.6.7.8", "5.6.7.8"),
            ("::ffff:10.0.0.1", "5.6.7.8", "5.6.7.8"),
            ("10.0.0.1", "9.9.9.9, 5.6.7.8", "5.6.7.8"),
            ("10.0.0.1", "9.9.9.9, 5.6.7.8, 10.0.0.2", "5.6.7.8"),
            ("10.0.0.1", "5.6.7.8:4711", "5.6.7.8"),
            ("10.0.0.1", "[2001:db8::1]:4711, 10.0.0.2:80", "2001:db8::1"),
            ("10.0.0.1", "[2001:db8::1]", "2001:db8::1"),
            ("10.0.0.1", "rubbish", "10.0.0.1"),
            ("10.0.0.1", "5.6.7.8 9.9.9.9", "10.0.0.1"),
            ("10.0.0.1", "5.6.7.8,", "10.0.0.1"),
            ("10.0.0.1", "5.6.7.8, rubbish", "10.0.0.1"),
        ] {
            let address = client(peer(from), &headers(&[(FORWARDED_FOR, told)]), &proxies);
            assert_eq!(address.to_string(), expected, "{from} {told}");
        }
        let two = headers(&[(FORWARDED_FOR, "9.9.9.9"), (FORWARDED_FOR, "5.6.7.8")]);
        assert_eq!(client(peer("10.0.0.1"), &two, &proxies).to_string(), "5.6.7.8");
    }
}
