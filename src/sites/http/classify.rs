//! Every way a connection or an answer can fail, as a [`SiteError`] in words a person can act on.

use std::error::Error;
use std::io;

use url::Url;

use super::client::Root;
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

/// No head of an answer by the deadline.
pub(super) fn silent(host: &str) -> SiteError {
    SiteError::new(ErrorCode::Timeout, format!("{host} accepted the request and did not answer in time"))
}

/// The head came, the body did not end by the deadline.
pub(super) fn unfinished(host: &str, bytes: u64) -> SiteError {
    SiteError::new(ErrorCode::Timeout, format!("the answer of {host} did not end in time ({bytes} bytes came)"))
}

/// The body broke off.
pub(super) fn broken_off(error: &reqwest::Error, host: &str, bytes: u64) -> SiteError {
    let message = format!("the answer of {host} broke off after {bytes} bytes: {}", cause(error));
    SiteError::new(ErrorCode::BadAnswer, message)
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
pub(super) fn failure(error: &reqwest::Error, host: &str, scheme: &str) -> SiteError {
    if let Some(tls) = find::<rustls::Error>(error) {
        return of_tls(tls, host);
    }
    if error.is_timeout() {
        let what = if error.is_connect() { "no connection to" } else { "no answer from" };
        return SiteError::new(ErrorCode::Timeout, format!("{what} {host} in time"))
            .remedy("look for a firewall that drops packets, and whether the host is up");
    }
    let text = cause(error);
    if let Some(io) = find::<io::Error>(error) {
        return of_io(io, host, &text);
    }
    let error = SiteError::new(ErrorCode::Unreachable, format!("the connection to {host} failed: {text}"));
    if scheme == "https" {
        error.remedy("look whether this port really speaks https")
    } else {
        error.remedy("look whether this port really speaks http (without encryption)")
    }
}

/// An error of the operating system.
pub(super) fn of_io(error: &io::Error, host: &str, text: &str) -> SiteError {
    let unreachable = |message: String| SiteError::new(ErrorCode::Unreachable, message);
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
        io::ErrorKind::TimedOut => SiteError::new(ErrorCode::Timeout, format!("no connection to {host} in time")),
        // Name look-ups carry no kind of their own.
        _ if text.contains("lookup") => unreachable(format!("the name in {host} is not known: {text}"))
            .remedy("look at the spelling and at this machine's name service"),
        _ => unreachable(format!("the connection to {host} failed: {text}")),
    }
}

fn of_tls(error: &rustls::Error, host: &str) -> SiteError {
    use rustls::CertificateError as Certificate;
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
            _ => made(format!("the certificate of {host} is not good: {error}"), "mend it at the site"),
        },
        rustls::Error::InvalidMessage(_) => made(
            format!("{host} does not speak TLS on this port"),
            "write http:// in the URL if it has no encryption, or the right port",
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
    let target = response.headers().get(reqwest::header::LOCATION).and_then(|v| v.to_str().ok());
    let Some(target) = target.and_then(|to| root.url.join(path).ok()?.join(to).ok()) else {
        return SiteError::new(ErrorCode::BadAnswer, format!("{} answers with a redirect to nowhere", root.url));
    };
    let message = format!("{} redirects ({status}) to {}", root.url, shown(&target));
    let error = SiteError::new(ErrorCode::BadAnswer, message);
    match configurable(&target, path) {
        Some(url) => error.remedy(format!("write `url: {url}`")),
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
    (url.username().is_empty() && url.password().is_none()).then_some(url)
}

/// A URL without what may be secret or long.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.as_str().chars().take(200).collect()
}
