//! Asking many sites one question: all at once, each with its own end, every one accounted for.
//!
//! Each site has a [`Slot`] that holds what is known of it and decides when it is read. A question goes to a [`View`],
//! which already holds the sites and groups its viewer may see; what is outside does not exist from here on.
//! [`View::ask`] gives what is known at once where that is wanted, then one answer per site: from what is held, or when
//! the read it waits for has ended, or at the deadline. No answer is an error: a site that is slow, broken or gone is an
//! outcome with its reason. Dropping the answers drops only the waiting. `merge.rs` folds them, in whatever order they
//! come, into one [`Report`].

mod alerts;
mod answers;
mod call;
mod cursor;
mod details;
mod explain;
mod export;
mod found;
mod happenings;
mod known;
mod memory;
mod merge;
mod past;
mod planned;
mod policy;
mod reasons;
mod slot;
mod snapshot;
mod tally;
mod values;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub use alerts::{AlertsLook, HeldAlerts};
pub use answers::Answers;
pub use call::SiteAnswer;
pub use cursor::{CursorError, Place};
pub use details::{AgentDetail, Missing, SiteEvents};
pub use explain::{Explanation, SiteExplained};
pub use export::Export;
pub use happenings::{EventPage, EventPlace};
pub use memory::{Held, Recalled, Waiter};
pub use merge::{Merge, Report, Row};
pub use past::PastRead;
pub use planned::{HeldPlanned, PlannedLook, Window};
pub use policy::{FIRST_LIFE, History, Policy, Urgency};
pub use slot::{Look, Plan, Slot, Wanted};
pub use snapshot::{Snapshot, failure_told_to, told_to};
pub use tally::ReadTally;

use self::call::{Asked, Call};
use self::details::DetailCache;
use self::found::FoundCache;
use self::values::ValuesCache;
use crate::clock::{Clock, Deadline, Stopwatch};
use crate::domain::{Query, SiteId};
use crate::inventory::{Order, Visible};

/// All sites.
#[derive(Clone, Debug)]
pub struct Federation {
    slots: Vec<Arc<Slot>>,
    places: Arc<HashMap<SiteId, usize>>,
    found: FoundCache,
    details: DetailCache,
    values: ValuesCache,
    clock: Clock,
}

/// What is asked of every site.
#[derive(Clone, Debug)]
pub struct Question {
    /// The conditions.
    pub query: Query,
    /// Which rows are best.
    pub order: Order,
    /// At most so many rows of a site.
    pub limit: usize,
    /// The asker's patience: with sites, and with the searches of others before theirs.
    pub patience: Duration,
    /// How new the rows are wanted.
    pub wanted: Wanted,
}

/// The federation as one viewer may see it.
#[derive(Clone, Debug)]
pub struct View {
    seats: Vec<(Arc<Slot>, Arc<Visible>)>,
    found: FoundCache,
    details: DetailCache,
    values: ValuesCache,
    clock: Clock,
}

impl Federation {
    /// Of these sites.
    pub fn new(slots: Vec<Arc<Slot>>, clock: Clock) -> Self {
        Self {
            slots: Vec::new(),
            places: Arc::default(),
            found: FoundCache::default(),
            details: DetailCache::default(),
            values: ValuesCache::default(),
            clock,
        }
        .with(slots)
    }

    /// Of other sites, perhaps some of the same. What has been found stays, and how many searches may run at once.
    pub fn with(&self, slots: Vec<Arc<Slot>>) -> Self {
        let places = slots.iter().enumerate().map(|(place, slot)| (slot.plan().id.clone(), place)).collect();
        Self {
            slots,
            places: Arc::new(places),
            found: self.found.clone(),
            details: self.details.clone(),
            values: self.values.clone(),
            clock: self.clock,
        }
    }

    /// Its sites, in the order of the configuration.
    pub fn slots(&self) -> &[Arc<Slot>] {
        &self.slots
    }

    /// A site by its id.
    pub fn slot(&self, id: &SiteId) -> Option<&Arc<Slot>> {
        self.slots.get(*self.places.get(id)?)
    }

    /// As somebody sees it who may see everything.
    pub fn everything(&self) -> View {
        let all = Arc::new(Visible::All);
        self.view(|_| Some(Arc::clone(&all)))
    }

    /// As somebody sees it who may see, of each site, what `rights` says; `None`: the site does not exist for them.
    pub fn view(&self, rights: impl Fn(&Plan) -> Option<Arc<Visible>>) -> View {
        let seats = self.slots.iter().filter_map(|slot| Some((Arc::clone(slot), rights(slot.plan())?)));
        View {
            seats: seats.collect(),
            found: self.found.clone(),
            details: self.details.clone(),
            values: self.values.clone(),
            clock: self.clock,
        }
    }
}

impl View {
    /// The sites it shows.
    pub fn slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.seats.iter().map(|(slot, _)| slot)
    }

    /// What it shows of one site.
    pub fn seat(&self, id: &str) -> Option<(&Arc<Slot>, &Arc<Visible>)> {
        self.seats.iter().find(|(slot, _)| slot.plan().id.as_str() == id).map(|(slot, visible)| (slot, visible))
    }

    /// Whether every agent of a site is in it, and among those that are `viewable`.
    pub fn is_whole(&self, site: &str, viewable: &Visible) -> bool {
        let shown = self.seat(site).is_some_and(|(_, visible)| **visible == Visible::All);
        shown && *viewable == Visible::All
    }

    /// Asks all sites at once: one answer for each.
    pub fn ask(&self, question: &Question) -> Answers {
        Answers::of(self.calls(question, None), false)
    }

    /// Asks all sites at once: what is known of each first, then one answer for each that was waited for.
    pub fn stream(&self, question: &Question) -> Answers {
        Answers::of(self.calls(question, None), true)
    }

    /// The question on its way to each site.
    fn calls(&self, question: &Question, after: Option<Place>) -> impl Iterator<Item = Call> {
        let (query, now) = (Arc::new(question.query.clone()), self.clock.now());
        let asked = Arc::new(Asked { query, question: question.clone(), after, now });
        let deadline = Deadline::after(question.patience);
        self.seats.iter().map(move |(slot, visible)| Call {
            slot: Arc::clone(slot),
            visible: Arc::clone(visible),
            asked: Arc::clone(&asked),
            deadline,
            clock: self.clock,
            found: self.found.clone(),
            watch: Stopwatch::start(),
        })
    }

    /// What is known of all sites, merged. Waits for no site and causes no read, whatever is wanted.
    pub async fn known(&self, question: &Question) -> Report {
        self.report(&Question { wanted: Wanted::Known, ..question.clone() }).await
    }

    /// Asks all sites for the rows behind a place, and waits for the merged answer. `total` is of all rows.
    pub async fn page(&self, question: &Question, after: Place) -> Report {
        // One row more tells whether there is another page.
        let more = Question { limit: question.limit.saturating_add(1), ..question.clone() };
        let mut answers = Answers::of(self.calls(&more, Some(after)), false);
        let mut merge = Merge::new(&more);
        while let Some(answer) = answers.next().await {
            merge.fold(answer);
        }
        merge.finish_page(question.limit)
    }

    /// Asks all sites and waits for the merged answer.
    pub async fn report(&self, question: &Question) -> Report {
        let mut answers = self.ask(question);
        let mut merge = Merge::new(question);
        while let Some(answer) = answers.next().await {
            merge.fold(answer);
        }
        merge.finish()
    }
}

#[cfg(test)]
mod tests;
