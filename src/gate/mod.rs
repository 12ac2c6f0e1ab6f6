//! The gate: a verifier beside a site's reverse proxy, for any product that trusts a header of its proxy.
//!
//! - **The proxy asks** `/mc/auth` about every request (`auth_request`, ForwardAuth, `forward_auth`, ext_authz) and is told
//!   who it is, in headers that are always there, empty for nobody, so that a client's own never get through. `optional`:
//!   nobody comes through as nobody; `required`: they do not come through.
//! - **Sessions** (`sessions`): a cookie signed with `mc1-gate`, good only together with a row on disk; a row that is not
//!   there is a session that has ended. Online the gateway is asked about each every minute, past any cache, and ends them;
//!   what happens without its answer stands in the site's own file.
//! - **A token** is decided by [`crate::verifier`], here first and then, online, at the gateway. The account must be on the
//!   site's own list whatever the gateway says.
//! - Only the proxy may ask: everybody else is refused before anything is looked at.

mod auth;
mod cookie;
mod journal;
mod link;
mod peers;
mod router;
mod rules;
mod sessions;
mod store;
#[cfg(test)]
mod tests;

use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;

use axum::http::HeaderName;
use ipnet::IpNet;

use crate::clock::Clock;
use crate::config::gate::{GateConfig, Mode, Verification};
use crate::delegation::{self, Embedded, Policy};
use crate::verifier::{Entrance, Gateway, Hands, Journal, Site, ToLog, Told};

use journal::ToFile;
use link::Link;
use rules::Rules;
use sessions::Sessions;
use store::Store;

pub use router::router;

/// Why a gate does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder of its state.
    #[error("{path}: cannot be made: {source}; write a `state_dir` that this program's user can write")]
    Folder {
        /// Which.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Used tokens.
    #[error("{0}")]
    Used(#[from] delegation::StoreError),
    /// Sessions.
    #[error("{0}")]
    Sessions(#[from] store::StoreError),
    /// The record of decisions.
    #[error("{path}: cannot be written: {source}; write another `audit_file`, or leave it out")]
    Journal {
        /// Which.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The way to the gateway.
    #[error("the gateway cannot be asked: {0}")]
    Link(String),
}

/// A gate, ready to be asked.
#[derive(Debug)]
pub struct Gate {
    entrance: Arc<Entrance>,
    sessions: Arc<Sessions>,
    mode: Mode,
    identity: Vec<HeaderName>,
    proxies: Vec<IpNet>,
}

impl Gate {
    /// By its configuration. Takes the stores in `state_dir`, which nobody else may have.
    ///
    /// # Errors
    /// What cannot be had.
    pub fn open(config: &GateConfig, clock: Clock) -> Result<Self, OpenError> {
        private_folder(&config.state_dir)?;
        let journal: Arc<dyn Journal> = match &config.audit_file {
            Some(path) => Arc::new(ToFile::open(path).map_err(|source| {
                let path = path.display().to_string();
                OpenError::Journal { path, source }
            })?),
            None => Arc::new(ToLog),
        };
        let used = Arc::new(Embedded::open(&config.state_dir.join("used.redb"))?);
        let link = match config.verification {
            Verification::Online => Some(Arc::new(Link::new(config).map_err(OpenError::Link)?)),
            Verification::Offline => None,
        };
        let store = Store::open(&config.state_dir.join("gate.redb"))?;
        let rules = Rules::of(config);
        let sessions = Arc::new(Sessions::open(rules, store, link.clone(), Arc::clone(&journal), clock)?);
        let hands = Hands {
            sessions: Arc::clone(&sessions) as _,
            used,
            journal,
            gateway: link.map(|link| link as Arc<dyn Gateway>),
            clock,
        };
        let names = config.identity_headers.iter().filter_map(|name| name.parse().ok());
        Ok(Self {
            entrance: Arc::new(Entrance::new(site(config), hands)),
            sessions,
            mode: config.mode,
            identity: names.collect(),
            proxies: config.trusted_proxies.clone(),
        })
    }
}

fn site(config: &GateConfig) -> Site {
    Site {
        id: config.site.to_string(),
        gateway: config.gateway.clone(),
        issuers: config.issuers.clone(),
        keys: config.keys.clone(),
        policy: Policy { allow: config.allow.clone(), needs_mfa: config.require_mfa, into_header: true },
        login: "/mc/login".to_owned(),
        kind: "gate",
        told: Told::default(),
    }
}

fn private_folder(path: &Path) -> Result<(), OpenError> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| OpenError::Folder { path: path.display().to_string(), source })
}
