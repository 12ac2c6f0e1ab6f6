//! Who asks: only a proxy of ours may. And for whom: the last address in `X-Forwarded-For` that is no proxy of ours.

use std::net::IpAddr;

use axum::http::HeaderMap;
use ipnet::IpNet;

/// Where the request comes from that a proxy asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Client(pub(super) IpAddr);

/// `None` when the other end is no proxy of ours.
pub(super) fn client(peer: Option<IpAddr>, headers: &HeaderMap, proxies: &[IpNet]) -> Option<Client> {
    let ours = |address: &IpAddr| proxies.iter().any(|proxy| proxy.contains(&address.to_canonical()));
    let mut address = peer.filter(ours)?.to_canonical();
    let lines: Vec<&str> = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
    for told in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        // What stands before an address that is none of ours, anybody may have written.
        let Some(told) = told.trim().parse::<IpAddr>().ok().filter(|_| ours(&address)) else { break };
        address = told.to_canonical();
    }
    Some(Client(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_proxy_of_ours_may_ask_and_it_says_for_whom() {
        let proxies = ["10.0.0.0/8".parse().unwrap()];
        let of = |peer: Option<&str>, told: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", told.parse().unwrap());
            let client = client(peer.map(|peer| peer.parse().unwrap()), &headers, &proxies);
            client.map(|client| client.0.to_string())
        };
        assert_eq!(of(Some("192.0.2.1"), "10.0.0.1"), None);
        assert_eq!(of(None, "10.0.0.1"), None);
        assert_eq!(of(Some("10.0.0.1"), "8.8.8.8, 192.0.2.9").unwrap(), "192.0.2.9");
        assert_eq!(of(Some("::ffff:10.0.0.1"), "192.0.2.9, 10.0.0.2").unwrap(), "192.0.2.9");
        assert_eq!(of(Some("10.0.0.1"), "192.0.2.9, rubbish").unwrap(), "10.0.0.1");
    }
}
