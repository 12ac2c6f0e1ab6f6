//! Where logins are recorded. What cannot be recorded does not happen.

use std::fmt;
use std::net::IpAddr;

use futures_util::future::BoxFuture;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody proved who they are and gets a session.
    LoggedIn {
        /// Qualified login.
        login: String,
        /// From where.
        from: IpAddr,
    },
    /// Somebody was not let in.
    Refused {
        /// Qualified login where there is such a user. What else is typed there may be a password.
        login: Option<String>,
        /// From where.
        from: IpAddr,
        /// `wrong` or `too_often`.
        why: &'static str,
    },
    /// A session was ended by its user.
    LoggedOut {
        /// Qualified login.
        login: String,
    },
    /// All sessions of a user were ended.
    LoggedOutEverywhere {
        /// Qualified login.
        login: String,
    },
    /// Somebody let a screen in.
    Paired {
        /// Qualified login.
        login: String,
        /// As this wallboard, such as `wall:noc`.
        wall: String,
        /// From where.
        from: IpAddr,
    },
    /// Somebody ended a wallboard's screens.
    Unpaired {
        /// Qualified login.
        login: String,
        /// Which.
        wall: String,
    },
    /// The configuration ended somebody's sessions.
    Ended {
        /// Qualified login.
        login: String,
        /// Why, in words.
        why: &'static str,
    },
}

impl Event {
    /// Says it in the log.
    pub fn tell(&self) {
        match self {
            Self::LoggedIn { login, from } => tracing::info!(login, %from, "logged in"),
            Self::Refused { login, from, why } => {
                tracing::warn!(login = login.as_deref().unwrap_or("unknown"), %from, why, "a login was refused");
            }
            Self::LoggedOut { login } => tracing::info!(login, "logged out"),
            Self::LoggedOutEverywhere { login } => tracing::info!(login, "logged out everywhere"),
            Self::Paired { login, wall, from } => tracing::info!(login, wall, %from, "paired a wallboard"),
            Self::Unpaired { login, wall } => tracing::info!(login, wall, "ended a wallboard"),
            Self::Ended { login, why } => tracing::info!(login, why, "signed out by a change of the configuration"),
        }
    }
}

/// It could not be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it could not be recorded")]
pub struct Unrecorded;

/// Keeps what happens, durably, before it returns.
pub trait Witness: fmt::Debug + Send + Sync {
    /// Records an event.
    ///
    /// # Errors
    /// When it is not kept: then what it tells of must not happen.
    fn record(&self, event: Event) -> BoxFuture<'_, Result<(), Unrecorded>>;
}
