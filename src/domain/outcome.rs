//! What each site contributed to one answer, and the merged answer. A partial answer is a value, not an error.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::site::{SiteError, SiteId};
use crate::clock::Timestamp;

/// How a site contributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Contribution {
    /// Its read ended during this request.
    Fresh,
    /// Rows not older than the site's `max_age`, and its last read succeeded; or the query cannot concern it.
    Cached,
    /// Rows kept although older, or the last read failed.
    Stale,
    /// No rows to show.
    Failed,
}

impl Contribution {
    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Cached => "cached",
            Self::Stale => "stale",
            Self::Failed => "failed",
        }
    }
}

/// Why a site is missing or stale, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What happened.
    pub error: SiteError,
    /// When it was first seen, without a good read in between.
    pub since: Timestamp,
}

/// What one site contributed to one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Which site.
    pub site: SiteId,
    /// How.
    pub contribution: Contribution,
    /// Whether the query can concern it at all, by `site:` and `tag:`. If not, it was left alone: no rows, nothing missing.
    pub asked: bool,
    /// How many of its agents match.
    pub rows: usize,
    /// How old its rows are; `None` without rows.
    pub age: Option<Duration>,
    /// When it was asked which alerts have fired; `None`: not known, or nothing is shown of it.
    pub alerts_as_of: Option<Timestamp>,
    /// How long this request waited for it.
    pub took: Duration,
    /// Why it is stale or failed.
    pub failure: Option<Failure>,
    /// What a person should know although it answered, one sentence each.
    pub warnings: Vec<String>,
    /// Rows of its answer that could not be used: what they said is missing.
    pub lost: usize,
}

/// How many sites contributed how: the completeness record of every answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Completeness {
    /// Fresh or cached.
    pub ok: usize,
    /// Stale.
    pub stale: usize,
    /// Failed.
    pub failed: usize,
    /// Answered, but with rows that could not be used. Counted in the others too.
    pub cut: usize,
}

impl Completeness {
    /// Of these outcomes.
    pub fn of<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> Self {
        let mut record = Self::default();
        for outcome in outcomes {
            record.cut += usize::from(outcome.lost > 0);
            match outcome.contribution {
                Contribution::Fresh | Contribution::Cached => record.ok += 1,
                Contribution::Stale => record.stale += 1,
                Contribution::Failed => record.failed += 1,
            }
        }
        record
    }

    /// Whether every site is in the answer with all its rows, and current ones.
    pub fn is_complete(self) -> bool {
        self.stale == 0 && self.failed == 0 && self.cut == 0
    }
}

impl std::fmt::Display for Completeness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ok={} stale={} failed={}", self.ok, self.stale, self.failed)
    }
}
