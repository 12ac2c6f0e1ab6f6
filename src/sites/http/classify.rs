//! Every way a connection or an answer can fail, as a [`SiteError`] in words a person can act on.

use std::error::Error;
use std::io;

use url::Url;

use super::client::{Root, UnknownName};
use crate::domain::{ErrorCode, SiteError};

/// The innermost cause, which names the trouble; the outer layers only say that there is one.
pub(super) fn cause(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// Whether any layer of the error is of this type; wrapped I/O errors are looked into.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

/// Where a site that is silent can be helped.
const SILENT: &str = "look at the site's load and its PHP error log, and for a firewall that drops packets";

/// No head of an answer by the deadline.
pub(super) fn silent(host: &str) -> SiteError {
    SiteError::new(ErrorCode::Timeout, format!("no answer from {host} in time")).remedy(SILENT).silent()
}

/// The head came, the body did not end by the deadline.
pub(super) fn unfinished(host: &str, bytes: u64) -> SiteError {
    let came = size(bytes);
    SiteError::new(ErrorCode::Timeout, format!("the answer of {host} did not end in time ({came} came)")).remedy(SILENT)
}

/// The body broke off.
pub(super) fn broken_off(error: &reqwest::Error, host: &str, bytes: u64) -> SiteError {
    let message = format!("the answer of {host} broke off after {}: {}", size(bytes), cause(error));
    SiteError::new(ErrorCode::BadAnswer, message)
        .remedy("look into its web server's and PHP's error log, and for a proxy that cuts answers")
}

/// Longer than an answer to this question can be.
pub(super) fn too_long(host: &str) -> SiteError {
    SiteError::new(ErrorCode::BadAnswer, format!("the answer of {host} is far longer than it can be"))
        .remedy("the URL may lead to a proxy or another site; write the console's root as `url`")
}

/// More bytes than allowed.
pub(super) fn too_large(host: &str, limit: u64) -> SiteError {
    SiteError::new(ErrorCode::TooLarge, format!("the answer of {host} is larger than {}", size(limit)))
        .remedy("raise `max_body` if the site is really that large")
}

/// Bytes as a person reads them.
fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{} kB", bytes / 1000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

/// No answer at all.
pub(super) fn failure(error: &reqwest::Error, root: &Root) -> SiteError {
    let (host, scheme) = (root.host(), root.url.scheme());
    let silent = error.is_connect() || error.is_timeout();
    let found = match &root.through {
        // Which of the two is to blame is not told; both are named.
        Some(proxy) if error.is_connect() && find::<rustls::Error>(error).is_none() => {
            let code = if error.is_timeout() { ErrorCode::Timeout } else { ErrorCode::Unreachable };
            SiteError::new(code, format!("no way through the proxy {proxy} to {host}: {}", cause(error)))
                .remedy("look whether the proxy runs, lets us through to this host, and has its user and password")
        }
        _ => without_proxy(error, &host, scheme),
    };
    if silent { found.silent() } else { found }
}

fn without_proxy(error: &reqwest::Error, host: &str, scheme: &str) -> SiteError {
    if let Some(tls) = find::<rustls::Error>(error) {
        return of_tls(tls, host);
    }
    if error.is_timeout() {
        let what = if error.is_connect() { "no connection to" } else { "no answer from" };
        return SiteError::new(ErrorCode::Timeout, format!("{what} {host} in time"))
            .remedy("look for a firewall that drops packets, and whether the host is up");
    }
    let unreachable = |message: String| SiteError::new(ErrorCode::Unreachable, message);
    if let Some(name) = find::<UnknownName>(error) {
        return unreachable(format!("{host}: {name}"))
            .remedy("look at the spelling in `url`, and at this machine's name service");
    }
    let text = cause(error);
    if let Some(io) = find::<io::Error>(error) {
        // A handshake that is cut is no error of its own kind.
        if scheme == "https" && error.is_connect() && io.kind() == io::ErrorKind::UnexpectedEof {
            return SiteError::new(ErrorCode::Tls, format!("{host} ended the encrypted connection before it stood"))
                .remedy("look whether this port speaks https, and into its web server's error log");
        }
        return of_io(io, host, &text);
    }
    if find::<hyper::Error>(error).is_some_and(hyper::Error::is_parse) {
        return SiteError::new(ErrorCode::BadAnswer, format!("the answer of {host} is no HTTP: {text}"))
            .remedy("look whether this port really speaks http, and what stands in front of the console");
    }
    if find::<hyper::Error>(error).is_some_and(hyper::Error::is_incomplete_message) {
        return unreachable(format!("{host} closed the connection without an answer"))
            .remedy("look into its web server's error log");
    }
    let error = unreachable(format!("the connection to {host} failed: {text}"));
    let speaks = if scheme == "https" { "https" } else { "http (without encryption)" };
    error.remedy(format!("look whether this port really speaks {speaks}"))
}

/// `EMFILE` and `ENFILE`, which have no kind of their own.
const OUT_OF_FILES: &[i32] = &[24, 23];

/// An error of the operating system.
pub(super) fn of_io(error: &io::Error, host: &str, text: &str) -> SiteError {
    let unreachable = |message: String| SiteError::new(ErrorCode::Unreachable, message);
    if error.raw_os_error().is_some_and(|number| OUT_OF_FILES.contains(&number)) {
        return unreachable("this machine's limit of open files is reached, so no connection can be made".to_owned())
            .remedy("raise the limit for this program (`ulimit -n`)");
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => unreachable(format!("{host} refuses connections"))
            .remedy("look whether its web server runs and listens on this port"),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            unreachable(format!("{host} cut the connection")).remedy("look into its web server's error log")
        }
        io::ErrorKind::UnexpectedEof => unreachable(format!("{host} closed the connection without an answer"))
            .remedy("look into its web server's error log"),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            unreachable(format!("there is no route to {host}")).remedy("look at routes, VPN and firewall")
        }
        io::ErrorKind::TimedOut => SiteError::new(ErrorCode::Timeout, format!("no connection to {host} in time"))
            .remedy("look for a firewall that drops packets, and whether the host is up"),
        _ => unreachable(format!("the connection to {host} failed: {text}"))
            .remedy("look at the network between, and into its web server's error log"),
    }
}

fn of_tls(error: &rustls::Error, host: &str) -> SiteError {
    use rustls::{AlertDescription, CertificateError as Certificate};
    let made = |message: String, remedy: &str| SiteError::new(ErrorCode::Tls, message).remedy(remedy);
    match error {
        rustls::Error::InvalidCertificate(why) => match why {
            Certificate::UnknownIssuer => made(
                format!("the certificate of {host} is signed by nobody we believe"),
                "name its authority in `tls.ca_file`",
            ),
            Certificate::Expired | Certificate::ExpiredContext { .. } => {
                made(format!("the certificate of {host} has expired"), "renew it at the site")
            }
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => made(
                format!("the certificate of {host} is for another name: {error}"),
                "write the URL with that name, or name it in `tls.server_name`",
            ),
            Certificate::Other(_) if error.to_string().contains("CaUsedAsEndEntity") => made(
                format!("the certificate of {host} is that of an authority, which no server may use"),
                "make one with `basicConstraints=CA:FALSE` at the site",
            ),
            _ => made(format!("the certificate of {host} is not good: {error}"), "mend it at the site"),
        },
        rustls::Error::InvalidMessage(_) => made(
            format!("{host} does not speak TLS on this port"),
            "write http:// in the URL if it has no encryption, or the right port",
        ),
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure)
        | rustls::Error::PeerIncompatible(_) => made(
            format!("{host} has no way of encryption that is still safe: {error}"),
            "let its web server speak TLS 1.2 or 1.3",
        ),
        rustls::Error::AlertReceived(_) => made(
            format!("{host} refused the encrypted connection: {error}"),
            "it may want a certificate of ours: `tls.client_cert`",
        ),
        _ => made(format!("no encrypted connection to {host}: {error}"), "look at its TLS settings"),
    }
}

/// A redirect is not followed: it is a URL to configure, or a login page.
pub(super) fn redirect(response: &reqwest::Response, root: &Root, path: &str) -> SiteError {
    let status = response.status().as_u16();
    let bad = |message: String| SiteError::new(ErrorCode::BadAnswer, message);
    let target = response.headers().get(reqwest::header::LOCATION).and_then(|v| v.to_str().ok());
    let target = target.and_then(|to| root.url.join(path).ok()?.join(to).ok());
    let Some(target) = target.filter(|target| matches!(target.scheme(), "http" | "https")) else {
        return bad(format!("{} answers with a redirect ({status}) that leads nowhere", root.url))
            .remedy("look at its web server's rewrite rules");
    };
    let error = bad(format!("{} redirects ({status}) to {}", root.url, shown(&target)));
    match configurable(&target, path) {
        Some(url) if url == root.url => error.remedy("it redirects to itself: look at its web server's rewrite rules"),
        Some(url) if url.host() == root.url.host() => error.remedy(format!("write `url: {url}`")),
        // Our credentials would go there.
        Some(url) => error.remedy(format!("if that host is really this site, write `url: {url}`")),
        None => error.remedy("a proxy in front asks for a login of its own; let our requests to the API pass"),
    }
}

/// The root to configure, when the redirect leads to the same path elsewhere.
fn configurable(target: &Url, path: &str) -> Option<Url> {
    let mut url = target.clone();
    url.set_query(None);
    url.set_fragment(None);
    let root = url.path().strip_suffix(path)?.to_owned();
    url.set_path(&root);
    (url.username().is_empty() && url.password().is_none() && !root.contains(';')).then_some(url)
}

/// A URL without what may be secret or long.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let _ = url.set_username("");
    let _ = url.set_password(None);
    // What follows `;` in a path may be the number of a session.
    let end = url.as_str().find(';').unwrap_or(url.as_str().len()).min(200);
    url.as_str().get(..end).unwrap_or("").to_owned()
}
