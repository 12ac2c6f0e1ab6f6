//! What is remembered of one site: its rows, the read in flight, its trouble, and what a read's end changes of them.
//!
//! It belongs to the site, not to one configuration of it: where a changed one says nothing new about how the site is
//! read, the slot that follows shares it, so that a read in flight ends for both. When the last slot is gone, the read
//! goes too.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::alerts::Alerts;
use super::past::PastRead;
use super::planned::Planned;
use super::policy::{Ended, History};
use super::tally::{ReadTally, tell_change};
use crate::clock::{Clock, Deadline, Stopwatch, Timestamp};
use crate::domain::{ErrorCode, SiteError, SiteId};
use crate::inventory::Inventory;
use crate::sites::{Reading, Site};

/// So many reads are remembered, for percentiles and pictures.
const PAST: usize = 60;

/// Of one site.
pub(super) struct Memory {
    pub(super) id: SiteId,
    pub(super) clock: Clock,
    /// Nothing could be known before.
    pub(super) begun: Timestamp,
    state: Mutex<State>,
    /// How many reads have ended.
    ended: watch::Sender<u64>,
    /// How many reads of the alerts have.
    pub(super) alerts_ended: watch::Sender<u64>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) held: Option<Held>,
    pub(super) history: History,
    pub(super) flight: Option<Flight>,
    pub(super) past: VecDeque<PastRead>,
    pub(super) tally: ReadTally,
    /// When reads began to go well, or to fail.
    pub(super) since: Option<Timestamp>,
    pub(super) skew_ms: Option<i64>,
    pub(super) alerts: Alerts,
    pub(super) planned: Planned,
}

/// A read that runs.
pub(super) struct Flight {
    number: u64,
    task: AbortHandle,
    pub(super) asked: Timestamp,
    pub(super) watch: Stopwatch,
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
    /// Whether they are from before this process: then they are old however young they are.
    pub recalled: bool,
}

/// Rows of a site that an earlier process knew.
#[derive(Debug)]
pub struct Recalled {
    /// Its agents.
    pub inventory: Arc<Inventory>,
    /// When it was asked for them.
    pub as_of: Timestamp,
    /// What a person should know of that answer.
    pub warnings: Vec<String>,
}

/// Waits for a read, without owning it.
#[derive(Clone, Debug)]
pub struct Waiter {
    ended: watch::Receiver<u64>,
    number: u64,
    /// When that read began.
    pub began: Timestamp,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Memory {
    /// Of a site that has not been read. `unusable`: nor can it be.
    pub(super) fn new(id: SiteId, unusable: bool, clock: Clock) -> Arc<Self> {
        let begun = clock.now();
        // A site that cannot be read at all has failed since now.
        let state = State { since: unusable.then_some(begun), ..State::default() };
        let (ended, alerts_ended) = (watch::Sender::new(0), watch::Sender::new(0));
        Arc::new(Self { id, clock, begun, state: Mutex::new(state), ended, alerts_ended })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held; a poisoned state would still be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads that have ended.
    pub(super) fn reads(&self) -> u64 {
        *self.ended.borrow()
    }

    /// For the read that runs, if one does.
    pub(super) fn waiter(&self, state: &State) -> Option<Waiter> {
        state.flight.as_ref().map(|flight| flight.waiter(&self.ended))
    }

    /// Starts a read with a life of its own.
    pub(super) fn start(self: &Arc<Self>, state: &mut State, site: &Arc<dyn Site>, life: Duration) {
        let number = self.reads() + 1;
        let (memory, asked, watch) = (Arc::downgrade(self), self.clock.now(), Stopwatch::start());
        let site = Arc::clone(site);
        let task = tokio::spawn(async move {
            // Made in here: a runtime that shuts down drops the task at once, and the state is locked meanwhile.
            let read = Read { memory, asked, watch, ended: false };
            let deadline = Deadline::after(life);
            let late = || {
                // An adapter that has heard something ends at the deadline itself, and says so.
                SiteError::new(ErrorCode::Timeout, format!("no answer within {life:?}"))
                    .remedy("look at the site's load and its PHP error log, or allow more time (`timeout`)")
                    .silent()
            };
            let result = tokio::time::timeout_at(deadline.instant(), site.inventory(deadline)).await;
            read.end(result.unwrap_or_else(|_| Err(late())));
        });
        state.flight = Some(Flight::new(number, task.abort_handle(), asked, watch));
    }

    /// A read has ended.
    fn finish(&self, asked: Timestamp, cost: Duration, result: Result<Reading, SiteError>) {
        let now = self.clock.now();
        let mut state = self.state();
        let ended = Ended { at: Stopwatch::start().instant(), cost };
        let number = self.reads() + 1;
        state.flight = None;
        if state.past.len() == PAST {
            state.past.pop_front();
        }
        state.past.push_back(PastRead { at: asked, cost, ok: result.is_ok() });
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
                state.held =
                    Some(Held { inventory: reading.inventory, as_of: asked, read: number, warnings, recalled: false });
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
        tell_change(&self.id, before.as_ref(), failed.as_ref());
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let (rows, alerts, planned) = {
            let mut state = self.state();
            (state.flight.take(), state.alerts.flight.take(), state.planned.flight.take())
        };
        let flights = rows.into_iter().chain(alerts).map(|flight| flight.task);
        flights.chain(planned).for_each(|task| task.abort());
    }
}

impl Flight {
    pub(super) fn new(number: u64, task: AbortHandle, asked: Timestamp, watch: Stopwatch) -> Self {
        Self { number, task, asked, watch }
    }

    /// For its end, which this channel tells.
    pub(super) fn waiter(&self, ended: &watch::Sender<u64>) -> Waiter {
        Waiter { ended: ended.subscribe(), number: self.number, began: self.asked }
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

/// A read on its way. However it ends, by a fault of ours too, the site's memory hears of it.
struct Read {
    memory: Weak<Memory>,
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
        if let Some(memory) = self.memory.upgrade() {
            memory.finish(self.asked, self.watch.elapsed(), result);
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
pub(super) fn jitter(number: u64) -> f64 {
    let hash = RandomState::new().hash_one(number);
    f64::from(u32::try_from(hash >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}
