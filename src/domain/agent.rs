//! An agent as it leaves an inventory: its status, its module counts, its names.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// State of an agent or of a module. The order is severity, worst last, so that `max` is the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nothing has reported yet, or there is nothing to report.
    NotInit,
    /// All well.
    Normal,
    /// No news for too long.
    Unknown,
    /// Outside the first limits.
    Warning,
    /// Outside the last limits.
    Critical,
}

impl Status {
    /// Every status, worst first, with its stable word.
    pub const WORST_FIRST: &'static [(&'static str, Status)] = &[
        ("critical", Status::Critical),
        ("warning", Status::Warning),
        ("unknown", Status::Unknown),
        ("normal", Status::Normal),
        ("not_init", Status::NotInit),
    ];

    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Normal => "normal",
            Self::NotInit => "not_init",
        }
    }

    /// Place in a list of states, worst first: 0 critical to 4 not_init.
    pub const fn index(self) -> usize {
        match self {
            Self::Critical => 0,
            Self::Warning => 1,
            Self::Unknown => 2,
            Self::Normal => 3,
            Self::NotInit => 4,
        }
    }
}

/// How many are in each state: an agent's enabled modules, or the agents of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusCounts {
    /// In `critical`.
    pub critical: u32,
    /// In `warning`.
    pub warning: u32,
    /// In `unknown`.
    pub unknown: u32,
    /// In `normal`.
    pub normal: u32,
    /// Never reported.
    pub not_init: u32,
}

impl StatusCounts {
    /// Counts one more.
    pub fn add(&mut self, state: Status) {
        let count = match state {
            Status::Critical => &mut self.critical,
            Status::Warning => &mut self.warning,
            Status::Unknown => &mut self.unknown,
            Status::Normal => &mut self.normal,
            Status::NotInit => &mut self.not_init,
        };
        *count = count.saturating_add(1);
    }

    /// The agent's status: the worst state present; `not_init` only when nothing else is.
    pub fn worst(&self) -> Status {
        [
            (self.critical, Status::Critical),
            (self.warning, Status::Warning),
            (self.unknown, Status::Unknown),
            (self.normal, Status::Normal),
        ]
        .into_iter()
        .find(|(count, _)| *count > 0)
        .map_or(Status::NotInit, |(_, status)| status)
    }

    /// All of them.
    pub fn total(&self) -> u32 {
        self.critical + self.warning + self.unknown + self.normal + self.not_init
    }
}

/// One agent of one site, copied out of an inventory for one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its id at the site, unchanged.
    pub id: String,
    /// Technical name.
    pub name: String,
    /// Shown name.
    pub alias: String,
    /// Main address; empty when the site knows none.
    pub address: String,
    /// Its groups, the primary one first, as far as the viewer may see them.
    pub groups: Vec<String>,
    /// Operating system, or what the site says instead.
    pub os: String,
    /// The worst of its enabled modules.
    pub status: Status,
    /// Its enabled modules by state.
    pub modules: StatusCounts,
    /// When one of its modules last reported.
    pub last_contact: Option<Timestamp>,
    /// Whether an alert has fired; `None` = not known.
    pub alert_fired: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_status_is_its_worst_module() {
        let mut counts = StatusCounts::default();
        assert_eq!(counts.worst(), Status::NotInit);
        let by_severity = [Status::NotInit, Status::Normal, Status::Unknown, Status::Warning, Status::Critical];
        for state in by_severity {
            counts.add(state);
            assert_eq!(counts.worst(), state);
        }
        assert!(by_severity.is_sorted());
        assert_eq!(counts.total(), 5);
    }
}
