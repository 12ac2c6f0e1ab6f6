//! The client towards one site: addresses in turn, encryption, limits, and every failure as a [`SiteError`].
//!
//! What holds for every request:
//!
//! 1. It ends at its deadline, whether the site is silent at the start, in the middle, or drips.
//! 2. No redirect is followed: where it leads is told, with the URL to configure.
//! 3. No cookie is kept, no proxy is used unless configured, no referrer is sent.
//! 4. A body is counted after decompression and ends at `max_body`.
//! 5. Secrets travel in the `Authorization` header or in a body, never in a URL. Errors never quote either.
//!
//! A site with several addresses is asked at the one that answered last; on a failure that is the address's own
//! (not a refusal of our account) the next takes an equal share of the time that is left.

mod beside;
mod certificate;
mod classify;
mod client;
mod reach;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use reqwest::header::{DATE, HeaderMap, HeaderName, HeaderValue};
use url::Url;

pub use beside::beside;
pub use client::Clients;

use crate::clock::{Clock, Deadline, Timestamp};
use crate::config::{self, Basic, HostPort};
use crate::domain::{ErrorCode, SiteError};

/// How a request carries its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// In the URL. For what is not secret.
    Get,
    /// As a form in the body.
    Post,
}

/// One request, below the site's root.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Path below the root, without a leading slash.
    pub path: &'a str,
    /// How the arguments travel.
    pub method: Method,
    /// Arguments, in this order.
    pub arguments: &'a [(&'a str, &'a str)],
    /// More headers, credentials for example.
    pub headers: &'a HeaderMap,
}

/// One site's addresses and the client that reaches them.
#[derive(Debug)]
pub struct Http {
    roots: Vec<client::Root>,
    /// Index of the address that answered last.
    current: AtomicUsize,
    /// What is connected to instead of the URL's host: `connect_to`, or the egress proxy.
    leads_to: Option<HostPort>,
    connect_timeout: Duration,
    basic: Option<Basic>,
    max_body: u64,
    clock: Clock,
    ids: RequestIds,
    certificate: certificate::Ends,
}

/// The head of an answer; the body follows by [`Answer::chunk`].
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`, lower-case, or empty.
    pub content_type: String,
    /// How far the site's clock is ahead of ours, in milliseconds.
    pub skew_ms: Option<i64>,
    /// Bytes of the body so far.
    pub bytes: u64,
    /// Where it came from, for messages.
    pub host: String,
    response: reqwest::Response,
    max_body: u64,
    deadline: Deadline,
}

/// Makes the ids that let a site's log be matched with ours.
#[derive(Debug)]
struct RequestIds {
    process: u32,
    next: AtomicUsize,
}

impl RequestIds {
    fn new() -> Self {
        use std::hash::{BuildHasher, RandomState};
        // The standard library's seed is random per process, which is all an id needs.
        let process = RandomState::new().hash_one("request ids") as u32;
        Self { process, next: AtomicUsize::new(1) }
    }

    fn next(&self) -> String {
        format!("{:08x}-{:x}", self.process, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// What an address needs, besides its connection, to show that it answers.
const FIRST_BYTE: Duration = Duration::from_secs(2);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

impl Http {
    /// A client for one site, or why its settings make none.
    pub fn new(site: &config::Site, clients: &Clients, clock: Clock) -> Result<Self, SiteError> {
        Ok(Self {
            roots: clients.roots(site)?,
            current: AtomicUsize::new(0),
            leads_to: client::leads_to(site),
            connect_timeout: site.connect_timeout,
            basic: site.basic.clone(),
            max_body: site.max_body,
            clock,
            ids: RequestIds::new(),
            certificate: certificate::Ends::unknown(),
        })
    }

    /// The addresses, in the order of the configuration.
    pub fn roots(&self) -> impl Iterator<Item = &Url> {
        self.roots.iter().map(|root| &root.url)
    }

    /// When the certificate ends that the last answer came with.
    pub fn certificate_ends(&self) -> Option<Timestamp> {
        self.certificate.get()
    }

    /// Runs `ask` at one address after the other until one answers, beginning with the one that did last.
    /// `ask` is given the index for [`Http::send`] and the deadline of its try. A slow site keeps nearly all of the
    /// time: the addresses that are left only need enough to show that they answer at all.
    pub async fn in_turn<'a, T>(
        &self,
        deadline: Deadline,
        mut ask: impl FnMut(usize, Deadline) -> BoxFuture<'a, Result<T, SiteError>>,
    ) -> Result<T, SiteError> {
        let count = self.roots.len();
        let first = self.current.load(Ordering::Relaxed);
        let mut failed: Vec<SiteError> = Vec::new();
        for tried in 0..count {
            let root = (first + tried) % count;
            let others = u32::try_from(count - tried - 1).unwrap_or(u32::MAX);
            match ask(root, deadline.keeping((self.connect_timeout + FIRST_BYTE).saturating_mul(others))).await {
                Ok(answer) => {
                    self.current.store(root, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) if error.code.is_of_the_address() && count > 1 => {
                    // Whoever asks next, perhaps because there was no time for the others, begins elsewhere.
                    self.current.store((root + 1) % count, Ordering::Relaxed);
                    failed.push(self.at_address(error, root));
                }
                Err(error) => return Err(error),
            }
        }
        Err(merge(failed))
    }

    fn at_address(&self, mut error: SiteError, root: usize) -> SiteError {
        if let Some(root) = self.roots.get(root) {
            error.message = format!("{}: {}", root.url, error.message);
        }
        error
    }

    /// Sends one request to one address. Any HTTP status is an answer, except a redirect.
    pub async fn send(&self, root: usize, request: Request<'_>, deadline: Deadline) -> Result<Answer, SiteError> {
        let root = self.roots.get(root).ok_or_else(|| SiteError::new(ErrorCode::Unreachable, "no address"))?;
        let builder = self.build(root, &request)?;
        let host = root.host();
        let response = match tokio::time::timeout_at(deadline.instant(), builder.send()).await {
            Err(_) => return Err(classify::silent(&host)),
            Ok(Err(error)) => return Err(classify::failure(&error, root)),
            Ok(Ok(response)) => response,
        };
        self.certificate.see(&response);
        let status = response.status();
        if status.is_redirection() {
            return Err(classify::redirect(&response, root, request.path));
        }
        let content_type = response.headers().get(reqwest::header::CONTENT_TYPE);
        Ok(Answer {
            status: status.as_u16(),
            content_type: content_type.and_then(|v| v.to_str().ok()).unwrap_or("").to_ascii_lowercase(),
            skew_ms: skew(response.headers(), self.clock.now()),
            bytes: 0,
            host,
            response,
            max_body: self.max_body,
            deadline,
        })
    }

    fn build(&self, root: &client::Root, request: &Request<'_>) -> Result<reqwest::RequestBuilder, SiteError> {
        let mut url = root
            .connect
            .join(request.path)
            .map_err(|error| SiteError::new(ErrorCode::Unreachable, format!("no URL: {error}")))?;
        let builder = match request.method {
            Method::Get => {
                url.query_pairs_mut().extend_pairs(request.arguments);
                root.client.get(url)
            }
            Method::Post => root.client.post(url).form(request.arguments),
        };
        let builder = match &self.basic {
            Some(basic) => builder.basic_auth(&basic.user, Some(basic.password.expose())),
            None => builder,
        };
        let mut headers = request.headers.clone();
        if let Some(host) = &root.host_header {
            headers.insert(reqwest::header::HOST, host.clone());
        }
        if let Ok(id) = HeaderValue::from_str(&self.ids.next()) {
            headers.insert(REQUEST_ID, id);
        }
        Ok(builder.headers(headers))
    }
}

impl Answer {
    /// The next piece of the body, decompressed; `None` at its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, SiteError> {
        let chunk = match tokio::time::timeout_at(self.deadline.instant(), self.response.chunk()).await {
            Err(_) => return Err(classify::unfinished(&self.host, self.bytes)),
            Ok(Err(error)) => return Err(classify::broken_off(&error, &self.host, self.bytes)),
            Ok(Ok(chunk)) => chunk,
        };
        self.bytes += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        if self.bytes > self.max_body {
            return Err(classify::too_large(&self.host, self.max_body));
        }
        Ok(chunk)
    }

    /// The whole body of a small answer. Longer than `limit` is no answer to such a question.
    pub async fn small(&mut self, limit: usize) -> Result<Vec<u8>, SiteError> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > limit {
                return Err(classify::too_long(&self.host));
            }
        }
        Ok(body)
    }
}

/// How far the site's clock is ahead: its `Date`, in whole seconds, is made when it begins to answer.
fn skew(headers: &HeaderMap, answered: Timestamp) -> Option<i64> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    let theirs = date.duration_since(std::time::UNIX_EPOCH).ok()?.as_millis();
    // `Date` is cut to the second: half of one is added.
    i64::try_from(theirs).ok()?.checked_add(500)?.checked_sub(answered.as_millis())
}

/// One error for several addresses: the code of the last, every message.
fn merge(failed: Vec<SiteError>) -> SiteError {
    let messages: Vec<_> = failed.iter().map(|error| error.message.clone()).collect();
    let silent = failed.iter().all(|error| error.silent);
    match failed.into_iter().next_back() {
        Some(last) => SiteError { message: messages.join("; "), silent, ..last },
        None => SiteError::new(ErrorCode::Unreachable, "no address is configured"),
    }
}
