//! Where logins are recorded. What cannot be recorded does not happen.

use std::fmt;
use std::net::IpAddr;

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
    fn record(&self, event: &Event) -> Result<(), Unrecorded>;
}

/// Tells the log.
#[derive(Clone, Copy, Debug)]
pub struct TellLog;

impl Witness for TellLog {
    fn record(&self, event: &Event) -> Result<(), Unrecorded> {
        match event {
            Event::LoggedIn { login, from } => tracing::info!(login, %from, "logged in"),
            Event::Refused { login, from, why } => {
                tracing::warn!(login = login.as_deref().unwrap_or("unknown"), %from, why, "a login was refused");
            }
            Event::LoggedOut { login } => tracing::info!(login, "logged out"),
            Event::LoggedOutEverywhere { login } => tracing::info!(login, "logged out everywhere"),
        }
        Ok(())
    }
}
