//! What a verifier writes down: one record for each decision. No token, no cookie, no state is ever part of one.

use std::net::IpAddr;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::clock::Timestamp;
use crate::delegation::Claims;

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// When.
    pub ts: Timestamp,
    /// The site.
    pub site: String,
    /// `start`, `login`, `probe`, `revoke`, and what the owner adds.
    pub action: &'static str,
    /// `opened`, `asked`, `refused`, `revoked`, `ended`.
    pub result: &'static str,
    /// A stable word, or a few of them.
    pub reason: String,
    /// The browser's address.
    pub ip: IpAddr,
    /// Account at the site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The person at the gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// The first 16 hex digits of the SHA-256 of the token's number, as in the gateway's audit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti_sha256: Option<String>,
}

impl Note {
    /// Without a token.
    pub fn new(
        ts: Timestamp,
        site: &str,
        action: &'static str,
        result: &'static str,
        reason: &str,
        ip: IpAddr,
    ) -> Self {
        let (site, reason) = (site.to_owned(), reason.to_owned());
        Self { ts, site, action, result, reason, ip, account: None, actor: None, iss: None, jti_sha256: None }
    }

    /// About a token whose code held.
    #[must_use]
    pub fn about(self, claims: &Claims) -> Self {
        let hash = Sha256::digest(claims.jti.as_bytes());
        let hash = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self {
            account: Some(claims.sub.clone()),
            actor: Some(claims.act.clone()),
            iss: Some(claims.iss.clone()),
            jti_sha256: Some(hash),
            ..self
        }
    }
}

/// A record could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwritten;

/// Where decisions are written to.
pub trait Journal: Send + Sync {
    /// Writes one down.
    ///
    /// # Errors
    /// It is not written, so it must not happen.
    fn write(&self, note: &Note) -> Result<(), Unwritten>;
}

/// Into the process's own log.
#[derive(Clone, Copy, Debug, Default)]
pub struct ToLog;

impl Journal for ToLog {
    fn write(&self, note: &Note) -> Result<(), Unwritten> {
        // As one text: what a token says is somebody else's, and JSON keeps it on its line.
        let record = serde_json::to_string(note).map_err(|_| Unwritten)?;
        tracing::info!(target: "metaconsole::verifier", record, "decided");
        Ok(())
    }
}
