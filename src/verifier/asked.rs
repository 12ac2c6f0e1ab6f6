//! A request to a verifier, as it came, and what is read from it: strictly, nothing twice, nothing that is not known.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue, Method, header};
use bytes::Bytes;
use url::form_urlencoded;

use crate::delegation::{Refusal, mc_token};

/// Longest body, in bytes.
pub(super) const BODY: usize = 8192;

/// Begins the name of a cookie that holds the state of one opening.
pub(super) const BEFORE: &str = "__Host-mc_pre_";

/// More states of one browser are not looked at.
const STATES: usize = 64;

/// What is asked of a verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A browser begins.
    Start,
    /// A browser brings a token.
    Login,
    /// The gateway asks about us.
    Probe,
    /// The gateway ends sessions.
    Revoke,
}

impl Action {
    /// Its word, in addresses and in the journal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Login => "login",
            Self::Probe => "probe",
            Self::Revoke => "revoke",
        }
    }

    /// By its word.
    pub fn of(word: &str) -> Option<Self> {
        [Self::Start, Self::Login, Self::Probe, Self::Revoke].into_iter().find(|action| action.as_str() == word)
    }

    /// The one method it is asked by.
    pub(super) const fn method(self) -> Method {
        match self {
            Self::Start | Self::Probe => Method::GET,
            Self::Login | Self::Revoke => Method::POST,
        }
    }
}

/// A request.
#[derive(Clone, Debug)]
pub struct Asked {
    method: Method,
    query: String,
    headers: HeaderMap,
    body: Bytes,
    pub(super) client: IpAddr,
}

impl Asked {
    /// From its parts. `query` without the parameter that named the action, if there was one. A body above 8 KiB may be
    /// cut behind that.
    pub fn new(method: Method, query: &str, headers: HeaderMap, body: Bytes, client: IpAddr) -> Self {
        Self { method, query: query.to_owned(), headers, body, client }
    }

    /// The same request with other headers.
    pub(super) fn with(&self, headers: HeaderMap) -> Self {
        Self { headers, ..self.clone() }
    }

    /// Its method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Its headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The one header of this name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.get_all(name).iter();
        match (all.next(), all.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    }

    /// That there is no parameter in the address.
    pub(super) fn without_query(&self) -> Result<(), Refusal> {
        if self.query.is_empty() { Ok(()) } else { Err(Refusal::Malformed) }
    }

    /// The number of a pending opening, the only parameter.
    pub(super) fn number(&self) -> Result<String, Refusal> {
        let mut pairs = form_urlencoded::parse(self.query.as_bytes());
        match (pairs.next(), pairs.next()) {
            (Some((name, value)), None) if name == "p" && is_number(&value) => Ok(value.into_owned()),
            (_, Some(_)) => Err(Refusal::DuplicateParam),
            _ => Err(Refusal::Malformed),
        }
    }

    /// What a login brings: a token, or the answer to "continue as …?".
    pub(super) fn text(&self) -> Result<Text, Refusal> {
        self.without_query()?;
        if self.body.len() > BODY {
            return Err(Refusal::TooLong);
        }
        let kind = self.header(header::CONTENT_TYPE.as_str()).unwrap_or("");
        let kind = kind.split(';').next().unwrap_or("").trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Refusal::Malformed);
        }
        let pairs: Vec<(String, String)> = form_urlencoded::parse(&self.body).into_owned().collect();
        match pairs.as_slice() {
            [(name, text)] if name == "mc_continue" => Ok(Text::Continued(text.clone())),
            pairs => Ok(Text::Token(mc_token(self.method.as_str(), pairs)?.to_owned())),
        }
    }

    /// The states that this browser holds.
    pub(super) fn states(&self) -> Vec<(&str, &str)> {
        let ours = cookies(&self.headers).filter(|(name, value)| {
            name.strip_prefix(BEFORE).is_some_and(|rest| (1..=22).contains(&rest.len()) && rest.bytes().all(is_word))
                && !value.is_empty()
        });
        ours.take(STATES).collect()
    }
}

/// What a login brings.
pub(super) enum Text {
    Token(String),
    Continued(String),
}

fn is_number(text: &str) -> bool {
    text.len() == 22 && text.bytes().all(is_word)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Cookies as they were sent: repeated ones are all there.
pub fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value: &HeaderValue| value.to_str().ok());
    lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='))
}
