//! The [`Site`] trait: what every product behind us answers. Adapters are folders beside this file.
//!
//! A site only reads. It owns no cache and no schedule beyond what its product makes slow by nature (planned work,
//! names of operating systems); when to read is the caller's decision. Every call ends at its deadline with a
//! [`SiteError`] that names what happened; none panics on what a site sends.

pub mod decoding;
pub mod http;
pub mod pandora;
mod places;
mod records;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use url::Url;

pub use places::Places;
pub use records::{Detail, Event, Events, FiredReading, MOST_MODULES, Module, Point, Series, Tell, Threshold, Unread};

use crate::clock::{Deadline, Timestamp};
use crate::domain::{ErrorCode, SiteError};
use crate::inventory::Inventory;

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
