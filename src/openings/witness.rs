//! Where openings are recorded. What cannot be recorded does not happen.

use std::fmt;

use crate::access::secrets::digest;
use crate::domain::SiteId;

use super::pending::Wanted;

/// Which opening an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Qualified login of the person.
    pub login: String,
    /// Which site.
    pub site: SiteId,
    /// As which account there; empty where there is none for this person.
    pub account: String,
    /// Which view, as it was asked for: `agent:42`; empty for the console's first page.
    pub view: String,
}

impl Told {
    pub(super) fn of(wanted: &Wanted) -> Self {
        let Wanted { login, site, account, view } = wanted.clone();
        Self { login, site, account, view }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A token is about to be signed.
    Issued {
        /// What for.
        told: Told,
        /// The token's number (`jti`). To be recorded as a hash only.
        number: String,
    },
    /// A verifier asked, and the token was good; it is used up.
    Consumed {
        /// What for; its view is not in the token.
        told: Told,
        /// The token's number (`jti`). To be recorded as a hash only.
        number: String,
    },
    /// An opening was refused.
    Refused {
        /// What was asked for.
        told: Told,
        /// `not_granted`, `no_account`, `closed`, `too_many` or `changed`.
        why: &'static str,
    },
}

/// It could not be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the opening could not be recorded")]
pub struct Unrecorded;

/// Keeps what happens, durably, before it returns.
pub trait Witness: fmt::Debug + Send + Sync {
    /// Records an event.
    ///
    /// # Errors
    /// When it is not kept: then what it tells of must not happen.
    fn record(&self, event: &Event) -> Result<(), Unrecorded>;
}

/// Tells the log.
#[derive(Clone, Copy, Debug)]
pub struct TellLog;

impl Witness for TellLog {
    fn record(&self, event: &Event) -> Result<(), Unrecorded> {
        match event {
            Event::Issued { told: Told { login, site, account, view }, number } => {
                let number: String = digest(number).chars().take(16).collect();
                tracing::info!(login, %site, account, view, jti_sha256 = number, "an opening was signed");
            }
            Event::Consumed { told: Told { login, site, account, .. }, number } => {
                let number: String = digest(number).chars().take(16).collect();
                tracing::info!(login, %site, account, jti_sha256 = number, "an opening was taken");
            }
            Event::Refused { told: Told { login, site, account, view }, why } => {
                tracing::warn!(login, %site, account, view, why, "an opening was refused");
            }
        }
        Ok(())
    }
}
