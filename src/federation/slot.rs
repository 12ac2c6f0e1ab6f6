//! What is held of one site: its inventory, the read in flight, its failures. The slot decides when the site is read.
//!
//! - **Single-flight.** A read belongs to the slot, not to who asked for it. Whoever comes while it runs waits for the
//!   same read, each with their own patience; an impatient one leaving, or all of them, ends nothing.
//! - **Answer at once.** What is known is handed out; where a read is due it runs behind.
//! - **Nobody looking, nothing asked.** Only [`Slot::look`] starts a read, and only when the [`Policy`] lets it.
//! - A slot that is dropped (its site left the configuration) takes its read along.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::policy::{Ended, Failing, History, Policy, Urgency};
use super::tally::{ReadTally, tell_change};
use crate::clock::{Clock, Deadline, Stopwatch, Timestamp};
use crate::domain::{ErrorCode, Failure, SiteError, SiteId};
use crate::inventory::Inventory;
use crate::sites::{Reading, Site};

/// So many costs of reads are remembered, for percentiles.
const COSTS: usize = 64;

/// A read that runs so long, without current rows meanwhile, is told as trouble before it ends.
const OVERDUE: Duration = Duration::from_secs(5);

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
    clock: Clock,
    state: Mutex<State>,
    /// How many reads have ended.
    ended: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    history: History,
    flight: Option<Flight>,
    costs: VecDeque<Duration>,
    tally: ReadTally,
    /// When reads began to go well, or to fail.
    since: Option<Timestamp>,
    skew_ms: Option<i64>,
}

struct Flight {
    number: u64,
    task: AbortHandle,
    asked: Timestamp,
    watch: Stopwatch,
}

/// What is known of a site.
#[derive(Clone, Debug)]
pub struct Held {
    /// Its agents.
    pub inventory: Arc<Inventory>,
    /// When it was asked for them.
    pub as_of: Timestamp,
    /// Which read brought them.
    pub read: u64,
    /// What a person should know although it answered.
    pub warnings: Arc<[String]>,
}

/// How new the rows are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// As the site's configuration says.
    Current,
    /// Not older than this.
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
}

/// Waits for a read, without owning it.
#[derive(Clone, Debug)]
pub struct Waiter {
    ended: watch::Receiver<u64>,
    number: u64,
}

/// A site's state, for those who run the gateway. Reading it asks nobody.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Agents known.
    pub agents: Option<usize>,
    /// When they were asked for.
    pub as_of: Option<Timestamp>,
    /// Whether a read runs.
    pub reading: bool,
    /// Why the last read failed, if it did.
    pub failure: Option<Failure>,
    /// Since when it works, or fails.
    pub since: Option<Timestamp>,
    /// Not read again before; `None`: a read may start.
    pub not_before: Option<Duration>,
    /// The distance of ordinary reads.
    pub interval: Duration,
    /// Up to this age its rows are current.
    pub max_age: Duration,
    /// Whether its rows are current and it works.
    pub current: bool,
    /// Costs of the last reads: median and 95th percentile.
    pub costs: Option<(Duration, Duration)>,
    /// All its reads since the slot began.
    pub tally: ReadTally,
    /// How far its clock is ahead of ours, in milliseconds.
    pub skew_ms: Option<i64>,
    /// What a person should know although it answers.
    pub warnings: Vec<String>,
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("id", &self.plan.id).finish_non_exhaustive()
    }
}

impl Slot {
    /// Of a site that has not been read.
    pub fn new(plan: Plan, clock: Clock) -> Arc<Self> {
        // A site that cannot be read at all has failed since now.
        let state = State { since: plan.site.is_err().then(|| clock.now()), ..State::default() };
        Arc::new(Self { plan, clock, state: Mutex::new(state), ended: watch::Sender::new(0) })
    }

    /// What it is made of.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What is known now. Starts a read where one is wanted, or due, and allowed.
    pub fn look(self: &Arc<Self>, wanted: Wanted) -> Look {
        let now = self.clock.now();
        let mut state = self.state();
        self.forget(&mut state, now);
        let max_age = self.plan.policy.effective_max_age(&state.history);
        let age = state.held.as_ref().map(|held| held.as_of.until(now));
        let works = state.history.failing.is_none() && self.plan.site.is_ok();
        let current = works && age.is_some_and(|age| age <= max_age);
        let satisfied = match wanted {
            Wanted::Known => true,
            Wanted::Current => current,
            Wanted::Within(limit) => current && age.is_some_and(|age| age <= limit),
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
        if state.flight.is_none() && urgency.is_some_and(|urgency| self.may_read(&state.history, urgency)) {
            self.start(&mut state);
        }
        let flight =
            state.flight.as_ref().map(|flight| Waiter { ended: self.ended.subscribe(), number: flight.number });
        Look {
            held: state.held.clone(),
            failure: self.failure(&state, now),
            satisfied,
            current,
            flight,
            reads: *self.ended.borrow(),
        }
    }

    /// Its state. Asks nobody.
    pub fn snapshot(self: &Arc<Self>) -> Snapshot {
        let look = self.look(Wanted::Known);
        let state = self.state();
        let now = Stopwatch::start().instant();
        let not_before = self.plan.policy.not_before(&state.history, Urgency::Ordinary);
        let mut costs: Vec<Duration> = state.costs.iter().copied().collect();
        costs.sort_unstable();
        let at = |share: usize| costs.get((costs.len() * share / 100).min(costs.len().saturating_sub(1))).copied();
        Snapshot {
            agents: look.held.as_ref().map(|held| held.inventory.len()),
            as_of: look.held.as_ref().map(|held| held.as_of),
            reading: look.flight.is_some(),
            failure: look.failure.or_else(|| overdue(&state, look.current)),
            since: state.since,
            not_before: not_before.map(|at| at.saturating_duration_since(now)).filter(|wait| !wait.is_zero()),
            interval: self.plan.policy.interval(&state.history),
            max_age: self.plan.policy.effective_max_age(&state.history),
            current: look.current,
            costs: at(50).zip(at(95)),
            tally: state.tally.clone(),
            skew_ms: state.skew_ms,
            warnings: look.held.map(|held| held.warnings.to_vec()).unwrap_or_default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held; a poisoned state would still be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rows of a site that has failed for too long are no news of it any more.
    fn forget(&self, state: &mut State, now: Timestamp) {
        let failing = state.history.failing.is_some();
        let old = |held: &Held| held.as_of.until(now) > self.plan.policy.forget_after;
        if failing && state.held.as_ref().is_some_and(old) {
            state.held = None;
        }
    }

    fn may_read(&self, history: &History, urgency: Urgency) -> bool {
        let not_before = self.plan.policy.not_before(history, urgency);
        self.plan.site.is_ok() && not_before.is_none_or(|at| at <= Stopwatch::start().instant())
    }

    fn failure(&self, state: &State, now: Timestamp) -> Option<Failure> {
        match (&self.plan.site, &state.history.failing) {
            (Err(error), _) => Some(Failure { error: error.clone(), since: state.since.unwrap_or(now) }),
            (Ok(_), Some(Failing { error, since, .. })) => Some(Failure { error: error.clone(), since: *since }),
            (Ok(_), None) => None,
        }
    }

    /// Starts a read of its own life.
    fn start(self: &Arc<Self>, state: &mut State) {
        let Ok(site) = &self.plan.site else { return };
        let number = *self.ended.borrow() + 1;
        let (slot, asked, watch) = (Arc::downgrade(self), self.clock.now(), Stopwatch::start());
        let (site, life) = (Arc::clone(site), self.plan.policy.life(&state.history));
        let task = tokio::spawn(async move {
            // Made in here: a runtime that shuts down drops the task at once, and the state is locked meanwhile.
            let read = Read { slot, asked, watch, ended: false };
            let deadline = Deadline::after(life);
            let late = || {
                SiteError::new(ErrorCode::Timeout, format!("no answer within {life:?}"))
                    .remedy("look at the site's load and its PHP error log, or allow more time (`timeout`)")
            };
            let result = tokio::time::timeout_at(deadline.instant(), site.inventory(deadline)).await;
            read.end(result.unwrap_or_else(|_| Err(late())));
        });
        let (asked, watch) = (self.clock.now(), Stopwatch::start());
        state.flight = Some(Flight { number, task: task.abort_handle(), asked, watch });
    }

    /// A read has ended.
    fn finish(&self, asked: Timestamp, cost: Duration, result: Result<Reading, SiteError>) {
        let now = self.clock.now();
        let mut state = self.state();
        let ended = Ended { at: Stopwatch::start().instant(), cost };
        let number = *self.ended.borrow() + 1;
        state.flight = None;
        if state.costs.len() == COSTS {
            state.costs.pop_front();
        }
        state.costs.push_back(cost);
        state.tally.ended(cost, result.as_ref().err());
        let before = state.history.failing.as_ref().map(|failing| failing.error.clone());
        let failed = result.as_ref().err().cloned();
        match result {
            Ok(reading) => {
                if state.history.failing.is_some() || state.since.is_none() {
                    state.since = Some(now);
                }
                state.history.succeeded(ended);
                state.skew_ms = reading.skew_ms.or(state.skew_ms);
                let warnings = reading.warnings(now).into();
                state.held = Some(Held { inventory: reading.inventory, as_of: asked, read: number, warnings });
            }
            Err(error) => {
                if state.history.failing.is_none() {
                    state.since = Some(now);
                }
                state.history.failed(ended, error, now, jitter(number));
            }
        }
        // Under the lock: whoever looks next must see the number and what came with it together.
        self.ended.send_replace(number);
        drop(state);
        // Last, for a log that is slow to take a line keeps nobody waiting but this task.
        tell_change(&self.plan.id, before.as_ref(), failed.as_ref());
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(flight) = self.state().flight.take() {
            flight.task.abort();
        }
    }
}

impl Waiter {
    /// Until the read has ended, well or not.
    pub async fn wait(&mut self) {
        let number = self.number;
        // A closed channel means that the slot is gone, and its read with it.
        let _ = self.ended.wait_for(|ended| *ended >= number).await;
    }
}

/// A site without current rows whose read does not end: it has not failed yet, and is trouble all the same.
fn overdue(state: &State, current: bool) -> Option<Failure> {
    let flight = state.flight.as_ref().filter(|flight| !current && flight.watch.elapsed() >= OVERDUE)?;
    let message = format!("a read has run for {} s and not ended", flight.watch.elapsed().as_secs());
    let error = SiteError::new(ErrorCode::Timeout, message);
    Some(Failure { error: error.remedy("look at the site's load and its PHP error log"), since: flight.asked })
}

/// A read on its way. However it ends, by a fault of ours too, the slot hears of it.
struct Read {
    slot: Weak<Slot>,
    asked: Timestamp,
    watch: Stopwatch,
    ended: bool,
}

impl Read {
    fn end(mut self, result: Result<Reading, SiteError>) {
        self.tell(result);
    }

    fn tell(&mut self, result: Result<Reading, SiteError>) {
        self.ended = true;
        if let Some(slot) = self.slot.upgrade() {
            slot.finish(self.asked, self.watch.elapsed(), result);
        }
    }
}

impl Drop for Read {
    fn drop(&mut self) {
        if !self.ended {
            let error = SiteError::new(ErrorCode::BadAnswer, "reading it failed by a fault of this program");
            self.tell(Err(error.remedy("please report it")));
        }
    }
}

/// From 0 to 1, and another for every slot and read: the standard library's seeds are random.
fn jitter(number: u64) -> f64 {
    let hash = RandomState::new().hash_one(number);
    f64::from(u32::try_from(hash >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}
