//! What goes wrong between a gateway and a console, on purpose and switchable while the server runs.
//!
//! A [`Rule`] is a fault, optionally for one `op2` only, for some arguments only and for the next N requests only. All rules that match a
//! request apply to it, in the order they were added: first everything that acts before the console answers, then
//! everything that spoils its answer. A refused or reset connection has no request yet: [`Fault::Refuse`] (without
//! `op2` and number) and [`Fault::ResetOnAccept`] (without `op2`) act on connections; otherwise, and on connections that
//! are open already, they cut the request.

use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};

use super::bulk;
use super::login;
use super::port::Port;
use super::requests::Incoming;
use super::server::Cut;
use crate::clock::{Clock, Timestamp};

/// One thing that goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The answer comes this much later.
    Delay(Duration),
    /// The request is taken and never answered.
    Hang,
    /// The answer comes one byte at a time.
    Drip(Duration),
    /// The connection is reset when half of the answer is sent.
    ResetMidAnswer,
    /// The connection is reset as soon as it stands.
    ResetOnAccept,
    /// Nothing listens.
    Refuse,
    /// Status 500 without a body, as PHP dies.
    Crash,
    /// A page of a proxy in front, with this status (502, or even 200).
    ProxyPage(StatusCode),
    /// The login page with status 200.
    LoginPage,
    /// 301 to this address.
    Redirect(String),
    /// Only the first half of the body, correctly framed.
    Truncated,
    /// So many bytes of rows that look right.
    EndlessRows(u64),
    /// So many bytes of noise.
    EndlessNoise(u64),
    /// A gzip body that unpacks to so many bytes.
    GzipBomb(u64),
    /// `Content-Length` is off by so many bytes: the connection ends before them, or the body is cut.
    WrongLength(i64),
    /// A proxy strips `Authorization` on the way in.
    DropsAuthorization,
    /// A proxy asks for exactly this `Authorization` (`Basic …`), else 401.
    BasicAuthentication(String),
    /// A warning of PHP precedes the body.
    PhpWarning,
    /// A byte order mark precedes the body.
    ByteOrderMark,
    /// The `Date` header is off by so many seconds.
    ClockSkew(i64),
}

/// A fault and when it applies.
#[derive(Clone, Debug)]
pub struct Rule {
    fault: Fault,
    op2: Option<String>,
    asking: &'static str,
    left: Option<u32>,
}

impl Fault {
    /// For this `op2` only (`version` for `info=version`, empty for pages).
    pub fn on(self, op2: &str) -> Rule {
        Rule { op2: Some(op2.to_owned()), ..Rule::from(self) }
    }

    /// For the next so many requests only.
    pub fn times(self, times: u32) -> Rule {
        Rule::from(self).times(times)
    }
}

impl Rule {
    /// Only for requests whose `other` has this part.
    #[must_use]
    pub fn asking(mut self, part: &'static str) -> Self {
        self.asking = part;
        self
    }

    /// For the next so many matching requests only.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.left = Some(times);
        self
    }
}

impl From<Fault> for Rule {
    fn from(fault: Fault) -> Self {
        Self { fault, op2: None, asking: "", left: None }
    }
}

/// The faults of one server. Clones share them.
#[derive(Clone, Debug)]
pub struct Faults {
    rules: Arc<Mutex<Vec<Rule>>>,
    port: Arc<Port>,
}

impl Faults {
    pub(super) fn new(port: Arc<Port>) -> Self {
        Self { rules: Arc::default(), port }
    }

    /// Adds a fault to those in force.
    pub fn add(&self, rule: impl Into<Rule>) {
        let rule = rule.into();
        if matches!(rule, Rule { fault: Fault::Refuse, op2: None, asking: "", left: None }) {
            self.port.close();
        }
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).push(rule);
    }

    /// Everything works again. Fails only when the port cannot be listened on any more.
    pub fn clear(&self) -> io::Result<()> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.port.listen()
    }

    /// The faults for a request, counting it.
    pub(super) fn take(&self, incoming: &Incoming) -> Vec<Fault> {
        let (op2, other) = (incoming.op2(), incoming.parameters.get("other"));
        self.matching(|rule| rule.op2.as_deref().is_none_or(|only| only == op2) && other.contains(rule.asking))
    }

    /// Whether a new connection is to be reset, counting it.
    pub(super) fn resets_on_accept(&self) -> bool {
        !self.matching(|rule| rule.op2.is_none() && matches!(rule.fault, Fault::ResetOnAccept)).is_empty()
    }

    fn matching(&self, applies: impl Fn(&Rule) -> bool) -> Vec<Fault> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        for rule in rules.iter_mut().filter(|rule| applies(rule)) {
            if let Some(left) = &mut rule.left {
                *left = left.saturating_sub(1);
            }
            found.push(rule.fault.clone());
        }
        rules.retain(|rule| rule.left != Some(0));
        found
    }
}

impl Fault {
    /// What happens before the console sees the request; an answer here is instead of the console's.
    pub(super) async fn before(&self, incoming: &mut Incoming, cut: &Cut) -> Option<Response> {
        match self {
            Self::Delay(time) => tokio::time::sleep(*time).await,
            Self::Hang => pending().await,
            Self::Refuse | Self::ResetOnAccept => {
                cut.now();
                pending().await
            }
            Self::DropsAuthorization => {
                incoming.headers.remove(header::AUTHORIZATION);
            }
            Self::BasicAuthentication(wanted) if incoming.header(header::AUTHORIZATION) != wanted => {
                let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"monitoring\""), HTML];
                return Some((StatusCode::UNAUTHORIZED, ask, proxy_page(StatusCode::UNAUTHORIZED)).into_response());
            }
            Self::Crash => return Some((StatusCode::INTERNAL_SERVER_ERROR, [HTML]).into_response()),
            Self::ProxyPage(status) => return Some((*status, [HTML], proxy_page(*status)).into_response()),
            Self::LoginPage => return Some(login::page()),
            Self::Redirect(to) => {
                return Some((StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, to.clone())]).into_response());
            }
            Self::EndlessRows(size) => return Some(streamed(&[JSON], bulk::rows(*size))),
            Self::EndlessNoise(size) => return Some(streamed(&[JSON], bulk::noise(*size))),
            Self::GzipBomb(size) => {
                return Some(streamed(&[JSON, (header::CONTENT_ENCODING, "gzip")], bulk::gzip_bomb(*size)));
            }
            _ => {}
        }
        None
    }

    /// What happens to the console's answer.
    pub(super) async fn after(&self, response: Response, cut: &Cut) -> Response {
        match self {
            Self::Drip(every) => {
                let every = *every;
                remake(response, |body| single_bytes(body, every)).await
            }
            Self::ResetMidAnswer => {
                let cut = cut.clone();
                remake(response, |body| Body::from_stream(half_then_cut(body, cut))).await
            }
            Self::Truncated => remake(response, |body| Body::from(half(&body))).await,
            Self::PhpWarning => remake(response, |body| prefixed(PHP_WARNING.as_bytes(), &body)).await,
            Self::ByteOrderMark => remake(response, |body| prefixed("\u{feff}".as_bytes(), &body)).await,
            Self::WrongLength(off) => wrong_length(response, *off).await,
            Self::ClockSkew(seconds) => skewed(response, *seconds),
            _ => response,
        }
    }
}

type Named = (header::HeaderName, &'static str);

const HTML: Named = (header::CONTENT_TYPE, "text/html");
const JSON: Named = (header::CONTENT_TYPE, "application/json");

const PHP_WARNING: &str = "<br />\n<b>Warning</b>:  Undefined array key \"module_state\" in \
    <b>/var/www/html/pandora_console/extras/local.php</b> on line <b>42</b><br />\n";

fn proxy_page(status: StatusCode) -> String {
    format!(
        "<html>\r\n<head><title>{status}</title></head>\r\n<body>\r\n<center><h1>{status}</h1></center>\r\n\
         <hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
}

fn streamed(headers: &[Named], chunks: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let mut response = Response::new(Body::from_stream(chunks.map(Ok::<_, io::Error>)));
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The same head over a body made from the old one.
async fn remake(response: Response, make: impl FnOnce(Bytes) -> Body) -> Response {
    let (head, body) = response.into_parts();
    // The console's own answers are made in memory and cannot fail.
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    Response::from_parts(head, make(body))
}

fn half(body: &Bytes) -> Bytes {
    body.slice(..body.len() / 2)
}

fn prefixed(prefix: &'static [u8], body: &[u8]) -> Body {
    Body::from([prefix, body].concat())
}

fn single_bytes(body: Bytes, every: Duration) -> Body {
    let bytes = stream::unfold(body, move |mut body| async move {
        if body.is_empty() {
            return None;
        }
        tokio::time::sleep(every).await;
        let first = body.split_to(1);
        Some((Ok::<_, io::Error>(first), body))
    });
    Body::from_stream(bytes)
}

fn half_then_cut(body: Bytes, cut: Cut) -> impl Stream<Item = io::Result<Bytes>> {
    let half = half(&body);
    stream::once(async move { Ok(half) }).chain(stream::once(async move {
        cut.now();
        pending().await
    }))
}

/// Lets the server send what it has before it learns that nothing follows.
async fn sent() -> io::Result<Bytes> {
    tokio::task::yield_now().await;
    Ok(Bytes::new())
}

async fn wrong_length(response: Response, off: i64) -> Response {
    let mut told = 0;
    // A stream, because hyper corrects the length of a body it knows.
    let mut response = remake(response, |body| {
        told = u64::try_from(body.len()).unwrap_or(u64::MAX).saturating_add_signed(off);
        Body::from_stream(stream::once(async move { Ok(body) }).chain(stream::once(sent())))
    })
    .await;
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(told));
    response
}

fn skewed(mut response: Response, seconds: i64) -> Response {
    let millis = Clock::System.now().as_millis().saturating_add(seconds.saturating_mul(1000));
    let date = httpdate::fmt_http_date(
        std::time::UNIX_EPOCH + Timestamp::from_millis(0).until(Timestamp::from_millis(millis)),
    );
    if let Ok(date) = HeaderValue::from_str(&date) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}
