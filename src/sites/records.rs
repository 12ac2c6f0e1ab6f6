//! What a site tells of its agents beside their inventory: modules, values over time, events, fired alerts.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::{SiteError, Status};
use crate::inventory::Fired;

/// What one read of a site's alerts gave.
#[derive(Debug)]
pub struct FiredReading {
    /// The agents with a fired alert, as far as the account sees them: all others have none.
    pub fired: Arc<Fired>,
}

/// Modules of an agent that are read; the others are counted.
pub const MOST_MODULES: usize = 200;

/// Hears of each module as it is read. After a failure it may hear of one again.
pub type Tell<'a> = &'a (dyn Fn(&Module) + Send + Sync);

/// One agent, live.
#[derive(Clone, Debug, PartialEq)]
pub struct Detail {
    /// Its modules, worst first.
    pub modules: Vec<Module>,
    /// Those that could not be read, worst first.
    pub unread: Vec<Unread>,
    /// Enabled modules left out because there are too many.
    pub cut: usize,
}

/// A module that could not be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Unread {
    /// Its id at the site.
    pub id: String,
    /// Its state in the inventory.
    pub status: Status,
    /// Why.
    pub error: SiteError,
}

/// A stretch of a site's events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Events {
    /// How many the site sent, by its own count; fewer than asked for at the end.
    pub sent: u64,
    /// Those that could be understood, in the order in which they were sent.
    pub events: Vec<Event>,
}

/// Something that happened at a site.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its number at the site.
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// What, as a word of the site.
    pub kind: String,
    /// How bad, where the site says so.
    pub severity: Option<&'static str>,
    /// What, for people.
    pub text: String,
    /// Id of its agent; `None`: of the site itself.
    pub agent: Option<String>,
    /// Id of its module.
    pub module: Option<String>,
    /// How far people are with it, where the site says so.
    pub state: Option<&'static str>,
}

/// One module with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    /// Its id at the site.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its state.
    pub status: Status,
    /// Its values are text, even where they look like numbers.
    pub text: bool,
    /// Last value, as the site writes it.
    pub value: String,
    /// When it last reported.
    pub reported: Option<Timestamp>,
    /// How often it should.
    pub interval: Option<Duration>,
    /// Free text of the site's administrator.
    pub description: String,
    /// From where to where it is `warning`, as the site writes it, where known.
    pub warning: Option<Threshold>,
    /// From where to where it is `critical`.
    pub critical: Option<Threshold>,
}

/// Limits of a state.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// From here.
    pub min: f64,
    /// To here; `None`: no upper end.
    pub max: Option<f64>,
    /// Outside instead of inside.
    pub inverse: bool,
}

/// A module's values over a stretch of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Oldest first.
    pub points: Vec<Point>,
    /// They are text, even where they look like numbers.
    pub text: bool,
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// When.
    pub at: Timestamp,
    /// What, as the site writes it; empty where it knows none, because the module was silent.
    pub value: String,
    /// Says nothing new: sites fill the time between two stored values with the one before.
    pub repeat: bool,
}
