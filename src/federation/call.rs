//! One site, one question, one answer from what its slot holds. There is no error path out of this file.
//!
//! [`Call::begin`] looks at the slot, which may start a read. What is to be said then is a [`Due`]: how the site
//! contributes is certain, its rows have still to be looked through.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};

use super::alerts::{AlertsLook, HeldAlerts};
use super::cursor::Place;
use super::found::{FoundCache, Sought};
use super::memory::{Held, Waiter};
use super::slot::{Look, Slot, Wanted};
use super::snapshot::{failure_told_to, told_to};
use super::{Question, Row};
use crate::clock::{Clock, Deadline, Stopwatch, Timestamp};
use crate::domain::{Contribution, Failure, Outcome, Query, SiteError, SiteId, StatusCounts};
use crate::inventory::{Found, Inventory, Visible};

/// What one site answered.
#[derive(Clone, Debug, PartialEq)]
pub struct SiteAnswer {
    /// How it contributed.
    pub outcome: Outcome,
    /// Whether another answer of it follows, when the read that runs has ended or at the deadline.
    pub pending: bool,
    /// How many of its matching agents are in each status.
    pub counts: StatusCounts,
    /// Its best rows, in order.
    pub rows: Vec<Row>,
}

/// A question, shared by the calls to all sites.
pub(super) struct Asked {
    pub(super) question: Question,
    pub(super) query: Arc<Query>,
    /// Only rows behind this one.
    pub(super) after: Option<Place>,
    /// One question has one time, whenever each site answers.
    pub(super) now: Timestamp,
}

/// What the rows of one site can be made from.
pub(super) struct Source {
    pub(super) site: SiteId,
    pub(super) as_of: Timestamp,
    pub(super) stale: bool,
    pub(super) sought: Sought,
}

/// A question on its way to a site.
pub(super) struct Call {
    pub(super) slot: Arc<Slot>,
    pub(super) visible: Arc<Visible>,
    pub(super) asked: Arc<Asked>,
    pub(super) deadline: Deadline,
    pub(super) clock: Clock,
    pub(super) found: FoundCache,
    pub(super) watch: Stopwatch,
}

/// What is to be said of a site, as soon as its rows have been looked through.
pub(super) struct Due {
    call: Call,
    contribution: Contribution,
    failure: Option<Failure>,
    asked: bool,
    held: Option<(Held, Sought)>,
    /// When the alerts were asked for that the rows are told with.
    alerts_as_of: Option<Timestamp>,
    /// What was found before the wait.
    kept: Option<Kept>,
    then: Then,
}

/// What comes after a [`Due`].
enum Then {
    /// Nothing.
    End,
    /// The end of a read is waited for; this is said before it.
    Said(Wait),
    /// As that, but nothing is said now: the search is made while there is time, for the case that the read brings
    /// nothing before the deadline.
    Unsaid(Wait),
}

/// Reads that are waited for.
struct Wait {
    rows: Option<Waiter>,
    alerts: Option<Waiter>,
    /// Reads that had ended at the request's begin.
    reads: u64,
}

/// Rows that were looked through.
struct Kept {
    held: Held,
    /// The knowledge of alerts they were found with, and its time.
    alerts: Option<u64>,
    alerts_as_of: Option<Timestamp>,
    found: Arc<Found>,
}

/// How a call begins.
pub(super) enum Begun {
    Due(Box<Due>),
    Waits(BoxFuture<'static, Due>),
}

/// A due that was looked through.
pub(super) struct Done {
    /// What is said of the site, if anything.
    pub(super) answer: Option<SiteAnswer>,
    /// What follows.
    pub(super) rest: Option<BoxFuture<'static, Due>>,
}

/// When a slot was looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Nothing was waited for.
    AtOnce,
    /// The read had ended, or the patience.
    AfterWaiting,
}

impl Call {
    /// Asks. `known_first`: what is known is wanted before the end of a read that is worth waiting for.
    pub(super) fn begin(self, known_first: bool) -> Begun {
        let plan = self.slot.plan();
        if !self.asked.query.concerns(plan.id.as_str(), &plan.tags) {
            return Begun::Due(Box::new(self.not_concerned()));
        }
        let mut look = self.slot.look(self.asked.question.wanted);
        let reads = look.reads;
        // After the rows: where both are to be read, the rows come first.
        let needs_alerts = self.asked.query.asks_alerts();
        let alerts = self.slot.look_alerts(needs_alerts && self.asked.question.wanted != Wanted::Known);
        let alerts_read = alerts.flight.clone().filter(|_| needs_alerts && !alerts.current);
        let wait = Wait { rows: look.flight.take_if(|_| !look.satisfied), alerts: alerts_read, reads };
        let waits = wait.rows.is_some() || wait.alerts.is_some() && self.asked.question.wanted != Wanted::Known;
        let mut due = self.due(look, alerts, reads, Moment::AtOnce);
        if !waits {
            return Begun::Due(Box::new(due));
        }
        due.then = match &due.held {
            None => return Begun::Waits(due.call.wait(wait, None).boxed()),
            Some(_) if known_first => Then::Said(wait),
            Some((_, sought)) if sought.is_small() => return Begun::Waits(due.call.wait(wait, None).boxed()),
            Some(_) => Then::Unsaid(wait),
        };
        Begun::Due(Box::new(due))
    }

    /// The answer without its rows, and what they can be made from.
    pub(super) async fn source(self) -> Option<(SiteAnswer, Option<Source>)> {
        let mut due = match self.begin(false) {
            Begun::Due(due) => *due,
            Begun::Waits(due) => due.await,
        };
        loop {
            let held = due.held.clone();
            let done = due.elsewhere().await;
            if let Some(rest) = done.rest {
                due = rest.await;
                continue;
            }
            let answer = done.answer?;
            let stale = answer.outcome.contribution == Contribution::Stale;
            let held = held.filter(|_| answer.outcome.contribution != Contribution::Failed);
            let site = answer.outcome.site.clone();
            let source = held.map(|(held, sought)| Source { site, as_of: held.as_of, stale, sought });
            return Some((answer, source));
        }
    }

    /// How the site contributes, and what is held of it. Where that is not `enough`, a read is waited for.
    pub(super) async fn knowing(self, enough: impl Fn(&Inventory) -> bool) -> (Outcome, Look) {
        let look = self.slot.look(self.asked.question.wanted);
        let (reads, known) = (look.reads, look.held.as_ref().is_some_and(|held| enough(&held.inventory)));
        let due = match look.flight.clone().filter(|_| !known && !look.satisfied) {
            None => {
                let alerts = self.slot.look_alerts(false);
                self.due(look.clone(), alerts, reads, Moment::AtOnce)
            }
            rows => self.wait(Wait { rows, alerts: None, reads }, None).await,
        };
        let look = due.call.slot.look(Wanted::Known);
        (due.call.outcome(&due, look.held.as_ref(), 0), look)
    }

    async fn wait(self, mut wait: Wait, kept: Option<Kept>) -> Due {
        // Whether it ended or the patience did is seen in what the slot holds afterwards.
        for waiter in wait.rows.iter_mut().chain(&mut wait.alerts) {
            let _ = tokio::time::timeout_at(self.deadline.instant(), waiter.wait()).await;
        }
        let (look, alerts) = (self.slot.look(Wanted::Known), self.slot.look_alerts(false));
        let mut due = self.due(look, alerts, wait.reads, Moment::AfterWaiting);
        due.kept = kept;
        due
    }

    /// The query cannot concern this site: that it has no rows is known without asking, and however it is, nothing is
    /// missing.
    fn not_concerned(self) -> Due {
        let (contribution, failure, held) = (Contribution::Cached, None, None);
        Due { call: self, contribution, failure, asked: false, held, alerts_as_of: None, kept: None, then: Then::End }
    }

    /// What a look at the slot means, when `reads` had ended at the request's begin.
    fn due(self, look: Look, alerts: AlertsLook, reads: u64, moment: Moment) -> Due {
        let (mut contribution, mut failure) = match &look.held {
            None => (Contribution::Failed, Some(self.without_rows(&look, reads, moment))),
            Some(_) if !look.current => (Contribution::Stale, self.why_stale(&look, moment)),
            Some(held) if held.read > reads => (Contribution::Fresh, None),
            Some(_) => (Contribution::Cached, None),
        };
        let mut held = look.held;
        // An ordinary question shows what is recent. One that asks for alerts has nothing better than what is old.
        let needed = self.asked.query.asks_alerts();
        let known = if needed { alerts.held.as_ref() } else { alerts.shown() }.cloned();
        if needed && held.is_some() && !alerts.current {
            let (worse, why) = self.without_alerts(&alerts, failure, moment);
            (contribution, failure) = (worse, Some(why));
            held = held.filter(|_| known.is_some());
        }
        let alerts_as_of = held.as_ref().and(known.as_ref()).map(|known| known.as_of);
        let held = held.map(|held| self.sought(held, known));
        Due { call: self, contribution, failure, asked: true, held, alerts_as_of, kept: None, then: Then::End }
    }

    fn sought(&self, held: Held, alerts: Option<HeldAlerts>) -> (Held, Sought) {
        let sought = Sought::new(&held.inventory, &self.asked.query, &self.asked.question, &self.visible);
        let sought = sought.of(&self.asked, &self.slot.plan().id).knowing(alerts.map(|alerts| alerts.fired));
        (held, sought)
    }
}

impl Due {
    /// What it costs to look through its rows.
    pub(super) fn effort(&self) -> usize {
        self.held.as_ref().map_or(1, |(_, sought)| sought.effort())
    }

    /// Whether it can be looked through here and now.
    pub(super) fn is_small(&self) -> bool {
        self.held.as_ref().is_none_or(|(_, sought)| sought.is_small())
    }

    /// Looks through its rows, if they are few.
    pub(super) fn here(self) -> Done {
        match self.held.as_ref().map(|(_, sought)| self.call.found.here(sought)) {
            Some(found) => self.with(found),
            None => self.without(),
        }
    }

    /// Looks through its rows, elsewhere.
    pub(super) async fn elsewhere(self) -> Done {
        let Some((held, sought)) = &self.held else { return self.without() };
        // The same rows as before the wait, or other ones.
        if let Some(kept) = self.kept.as_ref().filter(|kept| kept.is_of(held, sought)) {
            let found = Arc::clone(&kept.found);
            return self.with(found);
        }
        match self.call.found.search(sought.clone(), self.call.deadline).await {
            Ok(found) => self.with(found),
            Err(error) => self.not_searched(error),
        }
    }

    /// Nobody looked through its rows in time: what was found before stands, or nothing can be shown.
    fn not_searched(mut self, error: SiteError) -> Done {
        match std::mem::replace(&mut self.then, Then::End) {
            Then::Said(wait) | Then::Unsaid(wait) => {
                Done { answer: None, rest: Some(self.call.wait(wait, None).boxed()) }
            }
            Then::End => {
                self.failure = Some(Failure { error, since: self.call.clock.now() });
                match self.kept.take() {
                    Some(kept) => {
                        (self.contribution, self.alerts_as_of) = (Contribution::Stale, kept.alerts_as_of);
                        let answer = self.call.answer(&self, Some((&kept.held, &kept.found)));
                        Done { answer: Some(answer), rest: None }
                    }
                    None => {
                        self.contribution = Contribution::Failed;
                        self.without()
                    }
                }
            }
        }
    }

    fn with(mut self, found: Arc<Found>) -> Done {
        let Some((held, sought)) = self.held.take() else { return self.without() };
        let then = std::mem::replace(&mut self.then, Then::End);
        let said = !matches!(then, Then::Unsaid(_));
        let mut answer = said.then(|| self.call.answer(&self, Some((&held, &found))));
        let rest = match then {
            Then::End => None,
            Then::Said(wait) | Then::Unsaid(wait) => {
                let kept = Kept { held, alerts: sought.alerts(), alerts_as_of: self.alerts_as_of, found };
                Some(self.call.wait(wait, Some(kept)).boxed())
            }
        };
        if let Some(answer) = &mut answer {
            answer.pending = rest.is_some();
        }
        Done { answer, rest }
    }

    fn without(self) -> Done {
        Done { answer: Some(self.call.answer(&self, None)), rest: None }
    }

    /// How it contributes, as far as that is known before its rows are looked through. `None`: nothing is said yet.
    pub(super) fn contribution(&self) -> Option<Outcome> {
        let said = !matches!(self.then, Then::Unsaid(_));
        said.then(|| self.call.outcome(self, self.held.as_ref().map(|(held, _)| held), 0))
    }
}

impl Kept {
    /// Whether the same would be found again.
    fn is_of(&self, held: &Held, sought: &Sought) -> bool {
        self.held.inventory.id() == held.inventory.id() && self.alerts == sought.alerts()
    }
}

impl Call {
    fn outcome(&self, due: &Due, held: Option<&Held>, rows: usize) -> Outcome {
        // To somebody limited to groups: that some are lost, not how many of others.
        let most = if matches!(*self.visible, Visible::All) { usize::MAX } else { 1 };
        Outcome {
            site: self.slot.plan().id.clone(),
            contribution: due.contribution,
            asked: due.asked,
            rows,
            age: held.map(|held| held.as_of.until(self.clock.now())),
            alerts_as_of: held.and(due.alerts_as_of),
            took: self.watch.elapsed(),
            failure: due.failure.clone().map(|failure| failure_told_to(&self.visible, failure)),
            warnings: held.map(|held| told_to(&self.visible, &held.warnings)).unwrap_or_default(),
            lost: held.map_or(0, |held| held.inventory.complaints().rows).min(most),
        }
    }

    fn answer(&self, due: &Due, found: Option<(&Held, &Found)>) -> SiteAnswer {
        let outcome = self.outcome(due, found.map(|(held, _)| held), found.map_or(0, |(_, found)| found.matched));
        let stale = due.contribution == Contribution::Stale;
        let rows = |(held, found): (&Held, &Found)| -> Vec<Row> {
            let row =
                |as_of: Timestamp, hit: &_| Row { site: outcome.site.clone(), hit: Clone::clone(hit), as_of, stale };
            found.rows.iter().map(|hit| row(held.as_of, hit)).collect()
        };
        let rows = found.map(rows).unwrap_or_default();
        let counts = found.map(|(_, found)| found.counts).unwrap_or_default();
        SiteAnswer { outcome, pending: false, counts, rows }
    }
}
