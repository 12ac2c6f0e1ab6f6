//! Addresses: URLs of consoles, gateways, verifiers and proxies, and `host:port`. None is ever repeated in a
//! message: what stands there by mistake may be a password.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use url::{Host, Url};

use crate::config::HostPort;
use crate::config::mistake::Fault;
use crate::secret::SecretUrl;

/// Pages that people copy together with the console's address.
const CONSOLE_PAGES: &[&str] = &["index.php", "include/api.php"];

/// A console's root. What follows `index.php` or `include/api.php` in a copied address is dropped.
pub(crate) fn console_url(text: &str) -> Result<Url, Fault> {
    let mut url = web_url(text)?;
    let path = url.path().to_owned();
    let page = |page: &&str| path.find(&format!("/{page}"));
    if let Some(start) = CONSOLE_PAGES.iter().filter_map(page).min() {
        url.set_path(path.get(..start).unwrap_or_default());
        url.set_query(None);
        url.set_fragment(None);
    }
    folder(url)
}

/// The address of a gateway: a folder.
pub(crate) fn gateway_url(text: &str) -> Result<Url, Fault> {
    folder(web_url(text)?)
}

/// The address of a verifier: a page or a folder, kept as it is.
pub(crate) fn verifier_url(text: &str) -> Result<Url, Fault> {
    without_query(web_url(text)?)
}

fn web_url(text: &str) -> Result<Url, Fault> {
    let no = || {
        Fault::new("expected an http or https URL")
            .remedy("write it like `https://madrid.example.org/pandora_console/`")
    };
    let blank = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
    let url = parsed(text).filter(|_| !text.contains(blank)).ok_or_else(no)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(no());
    }
    if has_user(&url) {
        return Err(Fault::new("a URL must not hold a user or password")
            .remedy("use `credentials.basic` for a proxy in front of the console"));
    }
    Ok(url)
}

/// Without `://` the library would take `localhost:8080` for a scheme and a path.
fn parsed(text: &str) -> Option<Url> {
    let (_, rest) = text.split_once("://")?;
    let url = Url::parse(text).ok()?;
    (!rest.starts_with('/') && url.has_host()).then_some(url)
}

fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

fn folder(url: Url) -> Result<Url, Fault> {
    let mut url = without_query(url)?;
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

fn without_query(url: Url) -> Result<Url, Fault> {
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Fault::new("a query or fragment does not belong here").remedy("remove everything from `?` or `#`"));
    }
    Ok(url)
}

/// An egress proxy. `from_secret`: the text came from the environment or a file, so it may hold a password.
pub(crate) fn proxy(text: &str, from_secret: bool) -> Result<SecretUrl, Fault> {
    let no = || {
        Fault::new("expected the URL of a proxy: http, https, socks5 or socks5h")
            .remedy("write it like `socks5://proxy.example.org:1080`")
    };
    let url = parsed(text).ok_or_else(no)?;
    let scheme_known = matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h");
    let is_bare = matches!(url.path(), "" | "/") && url.query().is_none();
    if has_user(&url) && !from_secret {
        return Err(Fault::new("a user or password must not be written here")
            .remedy("write the whole URL as one `${NAME}` or `file:PATH`"));
    }
    if !scheme_known || !is_bare || url.fragment().is_some() {
        return Err(no());
    }
    Ok(SecretUrl::new(url))
}

/// `host:port`, an IPv6 address in brackets.
pub(crate) fn host_port(text: &str) -> Result<HostPort, Fault> {
    split_host_port(text).ok_or_else(|| {
        Fault::new("expected a host and a port").remedy("write it like `10.0.0.7:443` or `[2001:db8::7]:443`")
    })
}

fn split_host_port(text: &str) -> Option<HostPort> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(bracketed) => {
            let address = bracketed.strip_suffix(']')?;
            address.parse::<Ipv6Addr>().ok()?;
            address
        }
        None if is_host_name(host) => host,
        None => return None,
    };
    let all_digits = port.bytes().all(|b| b.is_ascii_digit());
    let port = port.parse().ok().filter(|port| *port != 0 && all_digits)?;
    Some(HostPort { host: host.to_owned(), port })
}

/// A name or IPv4 address, as written in a certificate or before a port.
pub(crate) fn server_name(text: &str) -> Result<String, Fault> {
    if is_host_name(text) && text.parse::<IpAddr>().is_err() {
        return Ok(text.to_owned());
    }
    Err(Fault::new("expected a host name").remedy("write it like `madrid.example.org`"))
}

fn is_host_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    !text.is_empty() && text.len() <= 253 && text.bytes().all(allowed) && Host::parse(text).is_ok()
}

/// Where to listen.
pub(crate) fn listen(text: &str) -> Result<SocketAddr, Fault> {
    text.parse().map_err(|_| {
        Fault::new("expected an address and a port").remedy("write it like `127.0.0.1:8080` or `[::1]:8080`")
    })
}

/// An address or a prefix.
pub(crate) fn network(text: &str) -> Result<IpNet, Fault> {
    let address = text.parse::<IpAddr>().map(IpNet::from);
    address.or_else(|_| text.parse()).map_err(|_| {
        Fault::new("expected an address or a network").remedy("write it like `127.0.0.1` or `10.1.0.0/16`")
    })
}

/// Whether browsers would send one's cookies to the other: they look at the host name, not at port or path.
pub(crate) fn same_host(a: &Url, b: &Url) -> bool {
    let name = |url: &Url| url.host_str().map(|host| host.trim_end_matches('.').to_owned());
    name(a) == name(b)
}

/// Whether the host is loopback, by its address or as `localhost`.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn console_addresses_are_normalised() {
        let root = "https://madrid.example.org/pandora_console/";
        for text in [
            "https://madrid.example.org/pandora_console/",
            "https://madrid.example.org/pandora_console",
            "HTTPS://Madrid.Example.ORG:443/pandora_console",
            "https://madrid.example.org/pandora_console/index.php",
            "https://madrid.example.org/pandora_console/index.php?sec=estado&sec2=x#top",
            "https://madrid.example.org/pandora_console/include/api.php?op=get&op2=test",
        ] {
            assert_eq!(console_url(text).unwrap().as_str(), root, "{text}");
        }
        let at_top = console_url("http://127.1:8081/index.php?x").unwrap();
        assert_eq!(at_top.as_str(), "http://127.0.0.1:8081/");
        let page = verifier_url("https://madrid.example.org/pandora_console/mc.php").unwrap();
        assert!(page.path().ends_with("mc.php"));
    }

    #[test]
    fn other_addresses_are_refused_unseen() {
        for text in [
            "",
            "hunter2",
            "localhost:8080/hunter2",
            "ftp://hunter2/",
            "https://",
            "https:///hunter2",
            "https://ana:hunter2@h/",
            "https://hunter2@h/",
            "https://h/?hunter2",
            "https://h/#hunter2",
            "https://h/a b",
            "https://h\\hunter2",
            "https://h:99999/",
        ] {
            let fault = console_url(text).unwrap_err();
            assert!(!format!("{fault:?}").contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn a_proxy_may_have_a_password_only_when_it_is_not_written_down() {
        assert!(proxy("socks5h://proxy:1080", false).is_ok());
        assert!(proxy("http://ana:hunter2@proxy:3128", true).is_ok());
        for text in [
            "http://ana:hunter2@proxy:3128",
            "socks5://hunter2@proxy",
            "ftp://proxy/",
            "proxy:1080",
            "http://proxy/hunter2",
            "http://ana:hunter2@proxy:99999",
        ] {
            let fault = proxy(text, false).unwrap_err();
            assert!(!format!("{fault:?}").contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn host_and_port() {
        let taken = host_port("[2001:db8::7]:443").unwrap();
        assert_eq!((taken.host.as_str(), taken.port), ("2001:db8::7", 443));
        assert!(host_port("madrid.internal:8443").is_ok());
        for bad in [
            "",
            "madrid",
            "madrid:",
            "madrid:0",
            "madrid:+1",
            "madrid:65536",
            ":443",
            "::1:443",
            "[::1]443",
            "[madrid]:443",
            "a b:443",
            "u@h:443",
            "https://h:443",
            "256.1.1.1:443",
        ] {
            assert!(host_port(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn cookies_see_only_the_host() {
        let same = |a: &str, b: &str| same_host(&Url::parse(a).unwrap(), &Url::parse(b).unwrap());
        assert!(same("http://127.0.0.1:8080/", "https://127.0.0.1:8081/x/"));
        assert!(same("http://meta.example.org/", "http://META.example.org./"));
        assert!(!same("http://localhost/", "http://127.0.0.1/"));
        assert!(!same("http://localhost/", "http://madrid.localhost/"));
    }
}
