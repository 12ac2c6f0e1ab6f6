//! A site: its immutable id, its kind, and the closed list of what it can do wrong.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Immutable name of a site: 1 to 63 of `[a-z0-9-]`, not `gateway`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct SiteId(String);

impl SiteId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no site id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SiteIdError {
    /// Not 1 to 63 of the allowed characters.
    #[error("a site id is 1 to 63 characters of a-z, 0-9 and -")]
    Form,
    /// `gateway` names ourselves.
    #[error("`gateway` is reserved")]
    Reserved,
}

impl TryFrom<String> for SiteId {
    type Error = SiteIdError;

    fn try_from(text: String) -> Result<Self, SiteIdError> {
        text.parse()
    }
}

impl FromStr for SiteId {
    type Err = SiteIdError;

    fn from_str(text: &str) -> Result<Self, SiteIdError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if text.is_empty() || text.len() > 63 || !text.bytes().all(allowed) {
            return Err(SiteIdError::Form);
        }
        if text == "gateway" {
            return Err(SiteIdError::Reserved);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for SiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The product behind a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SiteKind {
    /// A Pandora FMS console.
    Pandora,
}

impl SiteKind {
    /// Every kind, as written in `sites.yaml`.
    pub const ALL: &'static [(&'static str, SiteKind)] = &[("pandora", SiteKind::Pandora)];
}

/// What went wrong at a site, as a stable word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// No answer within the time.
    Timeout,
    /// No connection: name unknown, refused, reset, no route.
    Unreachable,
    /// The connection's encryption failed: certificate, name, protocol.
    Tls,
    /// The site refused our credentials. Asked again more and more rarely, since each try holds a worker of the site for
    /// 15 s; changed credentials or a probe have it asked sooner.
    Auth,
    /// The account is known but may not do this.
    Forbidden,
    /// An answer that is not what the product says: HTML, truncated, empty, redirected.
    BadAnswer,
    /// More agents or bytes than configured.
    TooLarge,
    /// Not asked, because it failed a moment ago.
    Backoff,
    /// Not asked, because the configuration says so.
    Paused,
}

impl ErrorCode {
    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::Forbidden => "forbidden",
            Self::BadAnswer => "bad_answer",
            Self::TooLarge => "too_large",
            Self::Backoff => "backoff",
            Self::Paused => "paused",
        }
    }

    /// Whether another address of the same site may do better. Credentials, rights and sizes are the same everywhere.
    pub const fn is_of_the_address(self) -> bool {
        matches!(self, Self::Timeout | Self::Unreachable | Self::Tls | Self::BadAnswer)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a site contributed nothing new: a stable code, a sentence for people, and where there is one, a remedy.
/// Holds nothing secret and nothing a site sent unescaped at length, so it may be shown, kept and repeated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct SiteError {
    /// The stable word.
    pub code: ErrorCode,
    /// One sentence, lower-case, without a full stop.
    pub message: String,
    /// What a person can do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Whether nothing came from the site, not even the head of an answer: asking cost it little.
    #[serde(skip)]
    pub silent: bool,
}

impl SiteError {
    /// Without a remedy.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), remedy: None, silent: false }
    }

    /// Of a site from which nothing came.
    #[must_use]
    pub fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    /// With what a person can do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_id_is_short_lower_case_and_not_reserved() {
        assert!("madrid-2".parse::<SiteId>().is_ok());
        for bad in ["", "Madrid", "a.b", "ñ", "a b", &"x".repeat(64)] {
            assert_eq!(bad.parse::<SiteId>(), Err(SiteIdError::Form), "{bad}");
        }
        assert_eq!("gateway".parse::<SiteId>(), Err(SiteIdError::Reserved));
    }
}
