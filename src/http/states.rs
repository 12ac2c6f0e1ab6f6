//! What is known of a site as a JSON record. Making it asks nobody.

use std::sync::Arc;

use serde::Serialize;

use crate::app::App;
use crate::clock::Timestamp;
use crate::domain::{ErrorCode, Failure, SiteError, SiteId};
use crate::federation::{AlertsLook, Slot, Snapshot, failure_told_to, told_to};
use crate::inventory::Visible;
use crate::sites::View;
use crate::wire::{self, Linker as _, millis};

/// How a site is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Word {
    /// It works, and its rows are current.
    Ok,
    /// It worked when it was read last; nobody has asked for a while.
    Idle,
    /// Nobody has asked yet.
    Unread,
    /// Its last read failed; older rows are kept.
    Stale,
    /// Its last read failed, and there are no rows.
    Failed,
    /// Not asked, because the configuration says so.
    Paused,
}

impl Word {
    pub(super) const ALL: [Self; 6] = [Self::Ok, Self::Idle, Self::Unread, Self::Stale, Self::Failed, Self::Paused];

    pub(super) fn of(known: &Snapshot) -> Self {
        match (&known.failure, known.agents) {
            (Some(failure), _) if failure.error.code == ErrorCode::Paused => Self::Paused,
            (Some(_), Some(_)) => Self::Stale,
            (Some(_), None) => Self::Failed,
            (None, None) => Self::Unread,
            (None, Some(_)) if known.current => Self::Ok,
            (None, Some(_)) => Self::Idle,
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Idle => "idle",
            Self::Unread => "unread",
            Self::Stale => "stale",
            Self::Failed => "failed",
            Self::Paused => "paused",
        }
    }

    /// Whether somebody should look.
    pub(super) const fn is_trouble(self) -> bool {
        matches!(self, Self::Stale | Self::Failed | Self::Paused)
    }
}

/// One site.
#[derive(Debug, Serialize)]
pub(super) struct State {
    pub(super) id: SiteId,
    pub(super) name: String,
    pub(super) tags: Vec<String>,
    pub(super) state: Word,
    /// Since when it works, or fails.
    pub(super) since: Option<Timestamp>,
    /// Whether a read runs.
    pub(super) reading: bool,
    pub(super) rows: Option<usize>,
    pub(super) as_of: Option<Timestamp>,
    age_ms: Option<u64>,
    /// Not older than this: current.
    pub(super) max_age_ms: u64,
    /// The distance of ordinary reads.
    pub(super) interval_ms: u64,
    /// Until the next ordinary read may start; 0: now.
    pub(super) next_read_ms: u64,
    /// Until when it rests and why, where that is more than the configured distance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rests: Option<String>,
    pub(super) latency: Option<Latency>,
    /// How far its clock is ahead of ours.
    pub(super) clock_skew_ms: Option<i64>,
    /// Version of its product.
    pub(super) version: Option<String>,
    /// Whole days until its certificate ends; below 0: it has.
    pub(super) certificate_days: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<Trouble>,
    /// What is known of its alerts; not there while nobody has asked for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    alerts: Option<Alerts>,
    pub(super) warnings: Vec<String>,
    links: Links,
}

/// What is known of a site's alerts, apart from its rows.
#[derive(Debug, Serialize)]
struct Alerts {
    as_of: Option<Timestamp>,
    age_ms: Option<u64>,
    /// Not older than this: told.
    max_age_ms: u64,
    /// Whether a read of them runs.
    reading: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Trouble>,
}

impl Alerts {
    fn of(look: AlertsLook, now: Timestamp) -> Option<Self> {
        let asked = look.held.is_some() || look.failure.is_some() || look.flight.is_some();
        let as_of = look.held.map(|held| held.as_of);
        asked.then(|| Self {
            as_of,
            age_ms: as_of.map(|as_of| millis(as_of.until(now))),
            max_age_ms: millis(look.max_age),
            reading: look.flight.is_some(),
            error: look.failure.map(Trouble::of),
        })
    }
}

/// What reads took, of the last ones.
#[derive(Debug, Serialize)]
pub(super) struct Latency {
    pub(super) p50_ms: u64,
    pub(super) p95_ms: u64,
}

/// Why its last read failed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Trouble {
    pub(super) code: ErrorCode,
    pub(super) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
    pub(super) since: Timestamp,
}

impl Trouble {
    fn of(Failure { error, since }: Failure) -> Self {
        Self { code: error.code, message: error.message, remedy: error.remedy, since }
    }

    fn told_to(self, visible: &Visible) -> Self {
        let Self { code, message, remedy, since } = self;
        Self::of(failure_told_to(
            visible,
            Failure { error: SiteError { remedy, ..SiteError::new(code, message) }, since },
        ))
    }
}

#[derive(Debug, Serialize)]
struct Links {
    #[serde(rename = "self")]
    own: String,
    page: String,
    console: Option<String>,
    probe: String,
}

impl State {
    /// Without what is of groups that somebody may not see: how many agents there are, and what warnings name.
    pub(super) fn told_to(mut self, visible: &Visible) -> Self {
        if !matches!(visible, Visible::All) {
            self.rows = None;
            self.warnings = told_to(visible, &self.warnings);
            self.error = self.error.map(|error| error.told_to(visible));
            if let Some(alerts) = &mut self.alerts {
                alerts.error = alerts.error.take().map(|error| error.told_to(visible));
            }
        }
        self
    }
}

/// Whole days from one instant to the other; below 0 when that has passed.
fn days(from: Timestamp, to: Timestamp) -> i64 {
    to.as_secs().saturating_sub(from.as_secs()).div_euclid(86_400)
}

/// What is known of a site now.
pub(super) fn state(slot: &Arc<Slot>, app: &App) -> State {
    let (plan, known, base) = (slot.plan(), slot.snapshot(), app.base());
    let id = &plan.id;
    let site = app.config.sites.iter().find(|site| site.id == *id);
    let mut warnings = known.warnings.clone();
    if site.is_some_and(|site| site.tls.insecure) {
        warnings
            .push("any certificate is believed, so anybody on the way can be this site (`tls.insecure`)".to_owned());
    }
    State {
        id: id.clone(),
        name: plan.name.clone(),
        tags: plan.tags.clone(),
        state: Word::of(&known),
        since: known.since,
        reading: known.reading,
        rows: known.agents,
        as_of: known.as_of,
        age_ms: known.as_of.map(|as_of| millis(as_of.until(app.clock().now()))),
        max_age_ms: millis(known.max_age),
        interval_ms: millis(known.interval),
        next_read_ms: known.not_before.map_or(0, millis),
        rests: known.rests,
        latency: known.costs.map(|(p50, p95)| Latency { p50_ms: wire::millis(p50), p95_ms: millis(p95) }),
        clock_skew_ms: known.skew_ms,
        version: known.about.version,
        certificate_days: known.about.certificate_ends.map(|ends| days(app.clock().now(), ends)),
        error: known.failure.map(Trouble::of),
        alerts: Alerts::of(known.alerts, app.clock().now()),
        warnings,
        links: Links {
            own: format!("{base}api/v1/sites/{id}"),
            page: format!("{base}sites/{id}"),
            console: plan.site.as_ref().ok().map(|site| site.link(View::Home).to_string()),
            probe: format!("{base}api/v1/sites/{id}/probe"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_whole_and_negative_once_the_end_has_passed() {
        let days = |seconds: i64| days(Timestamp::from_secs(1000), Timestamp::from_secs(1000 + seconds));
        assert_eq!([days(0), days(86_399), days(86_400), days(-1), days(-86_401)], [0, 0, 1, -1, -2]);
    }
}
