//! A site's place: decides when the site is read, and hands out what is known.
//!
//! - **Single-flight.** A read belongs to the site's memory, not to who asked for it. Whoever comes while it runs waits
//!   for the same read, each with their own patience; an impatient one leaving, or all of them, ends nothing.
//! - **Answer at once.** What is known is handed out; where a read is due it runs behind.
//! - **Nobody looking, nothing asked.** Only [`Slot::look`] starts a read, and only when the [`Policy`] lets it.
//! - A site that left the configuration takes its read along. One that only goes by another name, is read at other
//!   times or is opened elsewhere keeps its rows, its pauses and its read: [`Slot::with`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::memory::{Held, Memory, Recalled, State, Waiter};
use super::policy::{Failing, History, Policy, Urgency};
use crate::clock::{Clock, Stopwatch, Timestamp};
use crate::domain::{Failure, SiteError, SiteId};
use crate::sites::Site;

/// What a slot is made of.
#[derive(Debug)]
pub struct Plan {
    /// The site's id.
    pub id: SiteId,
    /// As people call it.
    pub name: String,
    /// Its labels.
    pub tags: Vec<String>,
    /// When it is read.
    pub policy: Policy,
    /// What answers for it; or why nothing can (its settings are unusable, or it is paused).
    pub site: Result<Arc<dyn Site>, SiteError>,
}

/// One site's place.
pub struct Slot {
    plan: Plan,
    pub(super) memory: Arc<Memory>,
}

/// How new the rows are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// As the site's configuration says.
    Current,
    /// Not older than this. More than the site's `max_age` is enough too: such rows are `stale`, but not waited for.
    Within(Duration),
    /// To know whether the site works.
    Probe,
    /// Whatever is known. Never causes a read.
    Known,
}

/// What a look at a slot gives.
#[derive(Clone, Debug)]
pub struct Look {
    /// What is known, if anything.
    pub held: Option<Held>,
    /// Why the last read failed, if it did; or why the site cannot be read at all.
    pub failure: Option<Failure>,
    /// Whether there is nothing to wait for: the rows are as new as they were wanted, and the site works.
    pub satisfied: bool,
    /// Whether the rows count as current.
    pub current: bool,
    /// The read that runs, to be waited for.
    pub flight: Option<Waiter>,
    /// Reads that had ended.
    pub reads: u64,
    /// Nothing could be known before.
    pub begun: Timestamp,
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("id", &self.plan.id).finish_non_exhaustive()
    }
}

impl Slot {
    /// Of a site that has not been read.
    pub fn new(plan: Plan, clock: Clock) -> Arc<Self> {
        let memory = Memory::new(plan.id.clone(), plan.site.is_err(), clock);
        Arc::new(Self { plan, memory })
    }

    /// The same site by another plan, with everything that is known of it. Only for one that reads the same rows.
    pub fn with(&self, plan: Plan) -> Arc<Self> {
        Arc::new(Self { plan, memory: Arc::clone(&self.memory) })
    }

    /// What it is made of.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Gives it rows from before, unless it has been read meanwhile.
    pub fn recall(&self, before: Recalled) {
        let Recalled { inventory, as_of, warnings } = before;
        let held = Held { inventory, as_of, read: 0, warnings: warnings.into(), recalled: true };
        self.memory.state().held.get_or_insert(held);
    }

    /// The rows it would show. Asks nobody.
    pub fn known(&self) -> Option<Held> {
        let mut state = self.memory.state();
        self.forget(&mut state, self.memory.clock.now());
        state.held.clone()
    }

    /// What is known now. Starts a read where one is wanted, or due, and allowed.
    pub fn look(&self, wanted: Wanted) -> Look {
        self.look_at(&mut self.memory.state(), wanted)
    }

    pub(super) fn look_at(&self, state: &mut State, wanted: Wanted) -> Look {
        let now = self.memory.clock.now();
        self.forget(state, now);
        let max_age = self.plan.policy.effective_max_age(&state.history);
        let age = state.held.as_ref().map(|held| held.as_of.until(now));
        let recalled = state.held.as_ref().is_some_and(|held| held.recalled);
        let works = state.history.failing.is_none() && self.plan.site.is_ok() && !recalled;
        let current = works && age.is_some_and(|age| age <= max_age);
        let satisfied = match wanted {
            Wanted::Known => true,
            Wanted::Current => current,
            Wanted::Within(limit) => works && age.is_some_and(|age| age <= limit),
            Wanted::Probe => false,
        };
        let urgency = match wanted {
            Wanted::Known => None,
            Wanted::Probe => Some(Urgency::Probe),
            Wanted::Within(limit) if !satisfied && limit < max_age => Some(Urgency::Forced),
            // Whoever is satisfied may still find that it is time to read again, behind them; and who would take
            // older rows than the configuration does is in no hurry.
            Wanted::Within(_) | Wanted::Current => Some(Urgency::Ordinary),
        };
        if let (None, Some(urgency), Ok(site)) = (&state.flight, urgency, &self.plan.site)
            && self.may_read(&state.history, urgency)
            // Nobody waits for newer rows, and the site is busy with its alerts.
            && !(satisfied && state.alerts.reading)
        {
            let life = self.plan.policy.life(&state.history);
            self.memory.start(state, site, life);
        }
        Look {
            held: state.held.clone(),
            failure: self.failure(state, now),
            satisfied,
            current,
            flight: self.memory.waiter(state),
            reads: self.memory.reads(),
            begun: self.memory.begun,
        }
    }

    /// Rows of a site that has failed for too long are no news of it any more, nor are those of an earlier process.
    fn forget(&self, state: &mut State, now: Timestamp) {
        let failing = state.history.failing.is_some();
        let old = |held: &Held| (failing || held.recalled) && held.as_of.until(now) > self.plan.policy.forget_after;
        if state.held.as_ref().is_some_and(old) {
            state.held = None;
        }
    }

    fn may_read(&self, history: &History, urgency: Urgency) -> bool {
        let not_before = self.plan.policy.not_before(history, urgency);
        not_before.is_none_or(|at| at <= Stopwatch::start().instant())
    }

    fn failure(&self, state: &State, now: Timestamp) -> Option<Failure> {
        match (&self.plan.site, &state.history.failing) {
            (Err(error), _) => Some(Failure { error: error.clone(), since: state.since.unwrap_or(now) }),
            (Ok(_), Some(Failing { error, since, .. })) => Some(Failure { error: error.clone(), since: *since }),
            (Ok(_), None) => None,
        }
    }
}
