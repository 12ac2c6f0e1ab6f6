//! The [`Site`] trait: what every product behind us answers. Adapters are folders beside this file.
//!
//! A site only reads. It owns no cache and no schedule beyond what its product makes slow by nature (planned work,
//! names of operating systems); when to read is the caller's decision. Every call ends at its deadline with a
//! [`SiteError`] that names what happened; none panics on what a site sends.

pub mod decoding;
pub mod http;
pub mod pandora;
mod places;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use url::Url;

pub use places::Places;

use crate::clock::{Deadline, Timestamp};
use crate::domain::{ErrorCode, SiteError, Status};
use crate::inventory::{Fired, Inventory};

/// One monitoring installation, read through its own API.
pub trait Site: Send + Sync + fmt::Debug {
    /// All agents in one complete read, by the cheapest way the product has.
    fn inventory(&self, deadline: Deadline) -> BoxFuture<'_, Result<Reading, SiteError>>;

    /// Which agents have a fired alert, in one complete read. It may cost the site more than its inventory.
    fn fired_alerts(&self, deadline: Deadline) -> BoxFuture<'_, Result<FiredReading, SiteError>>;

    /// One agent's modules with values, worst first, live. `inventory` tells which modules it has. Each is told to `tell`
    /// as soon as it is read; one that cannot be read is among the `unread`. An error: none could be read.
    fn detail<'a>(
        &'a self,
        agent: &'a str,
        inventory: &'a Inventory,
        tell: Tell<'a>,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Detail, SiteError>>;

    /// One module's values between two instants, oldest first.
    fn series<'a>(
        &'a self,
        module: &'a str,
        from: Timestamp,
        to: Timestamp,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Series, SiteError>>;

    /// So many events behind the first `offset`, newest first; those of one second in any order.
    fn events(&self, offset: u64, limit: u64, deadline: Deadline) -> BoxFuture<'_, Result<Events, SiteError>> {
        let _ = (offset, limit, deadline);
        let error = SiteError::new(ErrorCode::BadAnswer, "sites of this kind have no events that can be read");
        std::future::ready(Err(error)).boxed()
    }

    /// Planned work the site knows of. Read from the site on an interval of its own, else what was read last.
    fn planned_work(&self, deadline: Deadline) -> BoxFuture<'_, Result<Arc<[PlannedWork]>, SiteError>>;

    /// Every step from the name to a read, told one by one. Ends at the first that makes the next pointless.
    fn probe<'a>(&'a self, tell: &'a mut (dyn FnMut(Step) + Send), deadline: Deadline) -> BoxFuture<'a, ()>;

    /// How much it is asked at a time; a later adapter of the same site takes them over.
    fn places(&self) -> Arc<Places> {
        Arc::default()
    }

    /// What was learnt of the site beside its reads. Asks nobody.
    fn about(&self) -> About {
        About::default()
    }

    /// Where a person sees this view in the site's own console.
    fn link(&self, view: View<'_>) -> Url;

    /// Where a login by the console's own hash is sent to, when this view is wanted; `None`: it has no such login.
    fn hash_login(&self, _view: View<'_>) -> Option<HashLogin> {
        None
    }
}

/// A login by a console's own hash. It lands on a page that does not repeat the form it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashLogin {
    /// Where the form is sent to; the page that it lands on.
    pub action: Url,
    /// Where the view itself is, when the login does not land on it: to be gone to by a plain link afterwards.
    pub onward: Option<Url>,
}

/// What is known of a site itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Version of its product, in its own words; `None`: not known.
    pub version: Option<String>,
    /// When the certificate ends that its last answer came with; `None`: not encrypted, or no answer yet.
    pub certificate_ends: Option<Timestamp>,
}

/// What one complete read of a site gave.
#[derive(Debug)]
pub struct Reading {
    /// All its agents.
    pub inventory: Arc<Inventory>,
    /// Bytes of the answers, after decompression.
    pub bytes: u64,
    /// How far the site's clock is ahead of ours (behind: negative), in milliseconds, where it tells.
    pub skew_ms: Option<i64>,
}

/// What one read of a site's alerts gave.
#[derive(Debug)]
pub struct FiredReading {
    /// The agents with a fired alert, as far as the account sees them: all others have none.
    pub fired: Arc<Fired>,
}

/// A site whose newest value is older stands still: its data server, or its database's clock.
const STANDSTILL: Duration = Duration::from_secs(30 * 60);

impl Reading {
    /// What a person should know although the read succeeded, one sentence each.
    pub fn warnings(&self, now: Timestamp) -> Vec<String> {
        let inventory = &self.inventory;
        let mut warnings = Vec::new();
        if inventory.is_empty() {
            warnings.push("the account sees no agent: give its profile `agent view` on the groups it is to see".into());
        }
        let complaints = inventory.complaints();
        if let Some(first) = &complaints.first {
            warnings.push(format!("{} rows could not be used, the first because {first}", complaints.rows));
        }
        // A clock that is ahead a little must not hide everything.
        let soon = Timestamp::from_millis(now.as_millis().saturating_add(86_400_000));
        if let Some(age) = inventory.newest(soon).map(|newest| newest.until(now)).filter(|age| *age > STANDSTILL) {
            let (hours, minutes) = (age.as_secs() / 3600, age.as_secs() / 60 % 60);
            warnings.push(format!(
                "its newest value is {hours} h {minutes} min old, so every status may be: look whether its data server runs"
            ));
        }
        warnings
    }
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

/// Work announced at a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedWork {
    /// Its id at the site.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// The group it is about, by the site's key.
    pub group: String,
    /// When it happens.
    pub when: When,
}

/// When planned work happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// Once.
    Once {
        /// From here.
        from: Timestamp,
        /// To here.
        to: Timestamp,
    },
    /// Again and again; the site alone knows the rule well enough.
    Recurring,
}

/// A view in a site's own console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View<'a> {
    /// Its first page.
    Home,
    /// An agent.
    Agent(&'a str),
    /// An agent's modules.
    Modules(&'a str),
    /// An agent's alerts.
    Alerts(&'a str),
    /// An agent's events.
    Events(&'a str),
    /// An agent's graphs.
    Graphs(&'a str),
}

/// One step of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its stable word.
    pub name: &'static str,
    /// What was seen, or what went wrong.
    pub result: StepResult,
    /// How long it took.
    pub took: Duration,
}

/// How a step of a probe ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepResult {
    /// Well, with what was seen.
    Ok(String),
    /// Well, but a person should know this.
    Warning(String),
    /// Not.
    Failed(SiteError),
}
