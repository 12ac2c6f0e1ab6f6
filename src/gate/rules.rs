//! What a site's own file says about sessions of its gate.

use std::time::Duration;

use crate::config::gate::{GateConfig, Heads, Lengths, OnLoss};
use crate::delegation::SiteKey;

/// The part of the configuration that sessions go by.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) site: String,
    pub(super) keys: Vec<SiteKey>,
    pub(super) allow: Vec<String>,
    pub(super) lengths: Lengths,
    pub(super) on_loss: OnLoss,
    pub(super) heads: Heads,
}

impl Rules {
    pub(super) fn of(config: &GateConfig) -> Self {
        Self {
            site: config.site.to_string(),
            keys: config.keys.clone(),
            allow: config.allow.clone(),
            lengths: config.session,
            on_loss: config.on_gateway_loss,
            heads: config.heads,
        }
    }
}

/// As times are kept here.
pub(super) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Whether so long has passed since. A moment in the future is a clock that was set back: it counts as passed.
pub(super) fn passed(since: i64, now: i64, long: i64) -> bool {
    now < since || now.saturating_sub(since) >= long
}
