//! What a site has announced as planned work: a place of its own beside the rows, read seldom, and only for who looks.
//!
//! - **Single-flight and nobody looking, nothing asked.** Only [`Slot::look_planned`] starts a read, and it never waits.
//! - **Gentle.** One small call, never more often than every [`LEAST`], well or not; rarer where the site's `max_load`
//!   wants it. Only of a site whose rows were read, and while nothing else is read there.
//! - **A window stays true.** Where the site's rows fail, which planned work may well be the cause of, what was known
//!   before is told as long as the rows would be. Else it is told while it is recent.
//! - It belongs to the site's memory, and so outlives a configuration that does not change what is read.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::AbortHandle;

use super::memory::{Memory, State, jitter};
use super::policy::{Ended, History, Policy, Urgency};
use super::slot::Slot;
use crate::clock::{Deadline, Stopwatch, Timestamp};
use crate::domain::{ErrorCode, Failure, SiteError};
use crate::sites::{PlannedWork, Site, When};

/// Not read again sooner, whether the last read went well or not.
const LEAST: Duration = Duration::from_secs(600);

/// What is remembered of one site's planned work.
#[derive(Default)]
pub(super) struct Planned {
    held: Option<HeldPlanned>,
    history: History,
    /// The read that runs.
    pub(super) flight: Option<AbortHandle>,
}

/// What is known of a site's planned work.
#[derive(Clone, Debug)]
pub struct HeldPlanned {
    /// As the site lists it.
    pub work: Arc<[PlannedWork]>,
    /// When the site was asked.
    pub as_of: Timestamp,
}

/// What a look at a site's planned work gives.
#[derive(Clone, Debug)]
pub struct PlannedLook {
    /// What is known, where it may still be told.
    pub held: Option<HeldPlanned>,
    /// Why the last read failed, if it did.
    pub failure: Option<Failure>,
    /// Whether a read runs.
    pub reading: bool,
}

/// A piece of planned work with a beginning and an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window<'a> {
    /// Its name, as the site sent it.
    pub name: &'a str,
    /// From here.
    pub from: Timestamp,
    /// Up to here, which is outside.
    pub to: Timestamp,
}

impl Window<'_> {
    /// Whether it runs.
    pub fn contains(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.to
    }
}

impl HeldPlanned {
    /// What runs now or begins within this time, by its beginning. Recurring work is never among it.
    pub fn windows(&self, now: Timestamp, ahead: Duration) -> Vec<Window<'_>> {
        let window = |work: &'_ PlannedWork| match work.when {
            When::Once { from, to } => Some((from, to)),
            When::Recurring => None,
        };
        let windows = self.work.iter().filter_map(|work| {
            let (from, to) = window(work)?;
            Some(Window { name: &work.name, from, to })
        });
        let end = now.after(ahead);
        let mut near: Vec<_> =
            windows.filter(|it| it.contains(now) || (now < it.from && it.from < it.to && it.from <= end)).collect();
        near.sort_by_key(|window| (window.from, window.to));
        near
    }

    /// What runs now; of several, what ends last.
    pub fn running(&self, now: Timestamp) -> Option<Window<'_>> {
        self.windows(now, Duration::ZERO)
            .into_iter()
            .filter(|window| window.contains(now))
            .max_by_key(|window| window.to)
    }

    /// Work that comes again and again, by rules that the site alone knows well enough.
    pub fn recurring(&self) -> impl Iterator<Item = &PlannedWork> {
        self.work.iter().filter(|work| work.when == When::Recurring)
    }
}

/// When planned work is read, where rows are read by this policy.
fn policy(rows: &Policy) -> Policy {
    Policy { refresh_after: rows.refresh_after.max(LEAST), ..rows.clone() }
}

impl Slot {
    /// What is known of its planned work now. `wanted`: starts a read where one is due and allowed.
    pub fn look_planned(&self, wanted: bool) -> PlannedLook {
        let (memory, policy) = (&self.memory, policy(&self.plan().policy));
        let mut state = memory.state();
        let now = memory.clock.now();
        if let (true, Ok(site)) = (wanted && may_read(&state, &policy), &self.plan().site) {
            let life = policy.life(&state.planned.history);
            start(memory, &mut state, site, life);
        }
        let planned = &state.planned;
        let told = match state.history.failing {
            Some(_) => policy.forget_after,
            None => policy.effective_max_age(&planned.history),
        };
        let told = |held: &&HeldPlanned| self.plan().site.is_ok() && held.as_of.until(now) <= told;
        let failing = planned.history.failing.as_ref();
        PlannedLook {
            held: planned.held.as_ref().filter(told).cloned(),
            failure: failing.map(|failing| Failure { error: failing.error.clone(), since: failing.since }),
            reading: planned.flight.is_some(),
        }
    }
}

fn may_read(state: &State, policy: &Policy) -> bool {
    let history = &state.planned.history;
    let now = Stopwatch::start().instant();
    let rested = history.last.is_none_or(|last| now.saturating_duration_since(last.at) >= policy.interval(history));
    let due = rested && policy.not_before(history, Urgency::Ordinary).is_none_or(|at| at <= now);
    // A site that is not known to answer, or that is busy with another read, is not troubled further.
    let answers = state.history.last.is_some() && state.history.failing.is_none();
    let free = state.flight.is_none() && !state.alerts.reading && state.planned.flight.is_none();
    due && answers && free
}

/// Starts a read with a life of its own.
fn start(memory: &Arc<Memory>, state: &mut State, site: &Arc<dyn Site>, life: Duration) {
    let (weak, asked, watch) = (Arc::downgrade(memory), memory.clock.now(), Stopwatch::start());
    let site = Arc::clone(site);
    let task = tokio::spawn(async move {
        // Made in here: a runtime that shuts down drops the task at once, and the state is locked meanwhile.
        let read = Read { memory: weak, asked, watch, ended: false };
        let deadline = Deadline::after(life);
        let late = || SiteError::new(ErrorCode::Timeout, format!("its planned work did not come within {life:?}"));
        let result = tokio::time::timeout_at(deadline.instant(), site.planned_work(deadline)).await;
        read.end(result.unwrap_or_else(|_| Err(late())));
    });
    state.planned.flight = Some(task.abort_handle());
}

/// A read on its way. However it ends, by a fault of ours too, the site's memory hears of it.
struct Read {
    memory: Weak<Memory>,
    asked: Timestamp,
    watch: Stopwatch,
    ended: bool,
}

impl Read {
    fn end(mut self, result: Result<Arc<[PlannedWork]>, SiteError>) {
        self.tell(result);
    }

    fn tell(&mut self, result: Result<Arc<[PlannedWork]>, SiteError>) {
        self.ended = true;
        if let Some(memory) = self.memory.upgrade() {
            memory.planned_end(self.asked, self.watch.elapsed(), result);
        }
    }
}

impl Drop for Read {
    fn drop(&mut self) {
        if !self.ended {
            let error =
                SiteError::new(ErrorCode::BadAnswer, "reading its planned work failed by a fault of this program");
            self.tell(Err(error.remedy("please report it")));
        }
    }
}

impl Memory {
    /// A read of the planned work has ended.
    fn planned_end(&self, as_of: Timestamp, cost: Duration, result: Result<Arc<[PlannedWork]>, SiteError>) {
        let now = self.clock.now();
        let mut state = self.state();
        let planned = &mut state.planned;
        planned.flight = None;
        let before = planned.history.failing.as_ref().map(|failing| failing.error.code);
        let ended = Ended { at: Stopwatch::start().instant(), cost };
        let failed = match result {
            Ok(work) => {
                planned.history.succeeded(ended);
                planned.held = Some(HeldPlanned { work, as_of });
                None
            }
            Err(error) => {
                planned.history.failed(ended, error.clone(), now, jitter(as_of.as_millis().unsigned_abs()));
                Some(error)
            }
        };
        drop(state);
        if let Some(error) = failed.filter(|error| before != Some(error.code)) {
            tracing::warn!(site = %self.id, code = %error.code, reason = ?error.message, "planned work of a site cannot be read");
        }
    }
}

#[cfg(test)]
mod tests;
