//! Which of a site's alerts have fired: a place of its own beside the rows, read seldom, and only for who asks.
//!
//! - **Single-flight and nobody looking, nothing asked,** as for rows. Only [`Slot::look_alerts`] starts a read.
//! - **Gentle in its own right.** The [`Policy`] of the site holds for these reads by themselves, with their own cost,
//!   pauses and age, and never more often than every [`LEAST`]. Nobody can force one: it may cost ten inventories.
//! - **One at a time.** It begins when the read of the rows has ended, and not at all where that failed. While it runs,
//!   rows that are current are not read again; rows that somebody must wait for are, whatever the alerts do.
//! - It belongs to the site's memory, and so outlives a configuration that does not change what is read.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::memory::{Flight, Memory, State, Waiter, jitter};
use super::policy::{Ended, History, Policy, Urgency};
use super::slot::Slot;
use super::tally::ReadTally;
use crate::clock::{Deadline, Stopwatch, Timestamp};
use crate::domain::{ErrorCode, Failure, SiteError};
use crate::inventory::Fired;
use crate::sites::{FiredReading, Site};

/// Not read again sooner.
const LEAST: Duration = Duration::from_secs(60);

/// What is remembered of one site's alerts.
#[derive(Default)]
pub(super) struct Alerts {
    held: Option<HeldAlerts>,
    history: History,
    /// Runs, or waits for the read of the rows.
    pub(super) flight: Option<Flight>,
    /// The site is working on it.
    pub(super) reading: bool,
    pub(super) tally: ReadTally,
}

/// What is known of a site's alerts.
#[derive(Clone, Debug)]
pub struct HeldAlerts {
    /// The agents with a fired one.
    pub fired: Arc<Fired>,
    /// When the site was asked.
    pub as_of: Timestamp,
}

/// What a look at a site's alerts gives.
#[derive(Clone, Debug)]
pub struct AlertsLook {
    /// What is known, if anything.
    pub held: Option<HeldAlerts>,
    /// Whether it is not older than it may be.
    pub recent: bool,
    /// Whether it is recent, and the last read succeeded.
    pub current: bool,
    /// Why the last read failed, if it did.
    pub failure: Option<Failure>,
    /// The read that runs, to be waited for.
    pub flight: Option<Waiter>,
    /// Up to this age it is recent.
    pub max_age: Duration,
    /// Nothing could be known before.
    pub begun: Timestamp,
}

impl AlertsLook {
    /// What may be shown of an agent: nothing that is too old.
    pub fn shown(&self) -> Option<&HeldAlerts> {
        self.held.as_ref().filter(|_| self.recent)
    }
}

/// When alerts are read, where rows are read by this policy.
fn policy(rows: &Policy) -> Policy {
    Policy { refresh_after: rows.refresh_after.max(LEAST), ..rows.clone() }
}

impl Slot {
    /// What is known of the alerts now. `wanted`: starts a read where one is due and allowed.
    pub fn look_alerts(&self, wanted: bool) -> AlertsLook {
        self.look_alerts_at(&mut self.memory.state(), wanted)
    }

    pub(super) fn look_alerts_at(&self, state: &mut State, wanted: bool) -> AlertsLook {
        let (memory, policy) = (&self.memory, policy(&self.plan().policy));
        let now = memory.clock.now();
        let age = |held: &HeldAlerts| held.as_of.until(now);
        let fails = state.alerts.history.failing.is_some();
        if fails && state.alerts.held.as_ref().is_some_and(|held| age(held) > policy.forget_after) {
            state.alerts.held = None;
        }
        let at = policy.not_before(&state.alerts.history, Urgency::Ordinary);
        let due = at.is_none_or(|at| at <= Stopwatch::start().instant());
        // A site whose rows cannot be read is not troubled further.
        let answers = state.history.failing.is_none() || state.flight.is_some();
        if let (true, None, Ok(site)) = (wanted && due && answers, &state.alerts.flight, &self.plan().site) {
            let life = policy.life(&state.alerts.history);
            start(memory, state, site, life);
        }
        let alerts = &state.alerts;
        let max_age = policy.effective_max_age(&alerts.history);
        let recent = alerts.held.as_ref().is_some_and(|held| age(held) <= max_age);
        let failing = alerts.history.failing.as_ref();
        AlertsLook {
            held: alerts.held.clone(),
            recent,
            current: recent && !fails && self.plan().site.is_ok(),
            failure: failing.map(|failing| Failure { error: failing.error.clone(), since: failing.since }),
            flight: alerts.flight.as_ref().map(|flight| flight.waiter(&memory.alerts_ended)),
            max_age,
            begun: memory.begun,
        }
    }
}

/// Starts a read with a life of its own, or queues it behind the read of the rows.
fn start(memory: &Arc<Memory>, state: &mut State, site: &Arc<dyn Site>, life: Duration) {
    let number = *memory.alerts_ended.borrow() + 1;
    let (weak, asked, watch) = (Arc::downgrade(memory), memory.clock.now(), Stopwatch::start());
    let site = Arc::clone(site);
    let task = tokio::spawn(async move {
        // Made in here: a runtime that shuts down drops the task at once, and the state is locked meanwhile.
        let mut read = Read { memory: weak, begun: None, ended: false };
        if !read.turn().await {
            return read.end(None);
        }
        let deadline = Deadline::after(life);
        let late = || {
            SiteError::new(ErrorCode::Timeout, format!("no answer within {life:?}"))
                .remedy("look at the site's load and its PHP error log, or allow more time (`timeout`)")
        };
        let result = tokio::time::timeout_at(deadline.instant(), site.fired_alerts(deadline)).await;
        read.end(Some(result.unwrap_or_else(|_| Err(late()))));
    });
    state.alerts.flight = Some(Flight::new(number, task.abort_handle(), asked, watch));
}

/// A read on its way. However it ends, by a fault of ours too, the site's memory hears of it.
struct Read {
    memory: Weak<Memory>,
    /// When the site was asked, if it was.
    begun: Option<(Timestamp, Stopwatch)>,
    ended: bool,
}

impl Read {
    /// Waits until no read of the rows runs. Whether it makes sense to ask then.
    async fn turn(&mut self) -> bool {
        loop {
            let Some(memory) = self.memory.upgrade() else { return false };
            let waiter = {
                let mut state = memory.state();
                let waiter = memory.waiter(&state);
                // Under one lock with the look at the rows' read: no other can begin between.
                state.alerts.reading = waiter.is_none() && state.history.failing.is_none();
                if state.alerts.reading {
                    self.begun = Some((memory.clock.now(), Stopwatch::start()));
                }
                waiter
            };
            drop(memory);
            match waiter {
                Some(mut rows) => rows.wait().await,
                None => return self.begun.is_some(),
            }
        }
    }

    /// It has ended; `None`: the site was not asked.
    fn end(mut self, result: Option<Result<FiredReading, SiteError>>) {
        self.tell(result);
    }

    fn tell(&mut self, result: Option<Result<FiredReading, SiteError>>) {
        self.ended = true;
        if let Some(memory) = self.memory.upgrade() {
            memory.alerts_end(self.begun.take(), result);
        }
    }
}

impl Drop for Read {
    fn drop(&mut self) {
        if !self.ended {
            let error = SiteError::new(ErrorCode::BadAnswer, "reading its alerts failed by a fault of this program");
            self.tell(Some(Err(error.remedy("please report it"))));
        }
    }
}

impl Memory {
    /// A read of the alerts has ended; `begun`: when the site was asked, if it was.
    fn alerts_end(&self, begun: Option<(Timestamp, Stopwatch)>, result: Option<Result<FiredReading, SiteError>>) {
        let now = self.clock.now();
        let mut state = self.state();
        let alerts = &mut state.alerts;
        (alerts.flight, alerts.reading) = (None, false);
        let number = *self.alerts_ended.borrow() + 1;
        let before = alerts.history.failing.as_ref().map(|failing| failing.error.code);
        if let Some(((as_of, watch), result)) = begun.zip(result) {
            let ended = Ended { at: Stopwatch::start().instant(), cost: watch.elapsed() };
            alerts.tally.ended(ended.cost, result.as_ref().err());
            match result {
                Ok(FiredReading { fired }) => {
                    alerts.history.succeeded(ended);
                    alerts.held = Some(HeldAlerts { fired, as_of });
                }
                Err(error) => alerts.history.failed(ended, error, now, jitter(number)),
            }
        }
        let after = alerts.history.failing.as_ref().map(|failing| failing.error.clone());
        // Under the lock: whoever looks next must see the number and what came with it together.
        self.alerts_ended.send_replace(number);
        drop(state);
        let (site, changed) = (&self.id, before != after.as_ref().map(|error| error.code));
        match after {
            Some(error) if changed => {
                tracing::warn!(%site, code = %error.code, reason = ?error.message, "alerts of a site cannot be read");
            }
            None if changed => tracing::info!(%site, "alerts of a site can be read again"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::FIRST_LIFE;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn they_are_read_as_seldom_as_their_own_cost_wants() {
        let second = Duration::from_secs(1);
        let rows = Policy {
            timeout: second * 10,
            first_life: FIRST_LIFE,
            refresh_after: second * 5,
            max_age: second * 10,
            forget_after: second * 1000,
            max_load: 0.02,
        };
        let (policy, now) = (policy(&rows), Stopwatch::start().instant());
        let mut history = History::default();
        for (cost, interval) in [(Duration::from_millis(10), LEAST), (second * 6, second * 300)] {
            history.succeeded(Ended { at: now, cost });
            assert_eq!(policy.not_before(&history, Urgency::Ordinary), Some(now + interval));
            assert_eq!(policy.effective_max_age(&history), interval * 2);
        }
        let seldom = self::policy(&Policy { refresh_after: second * 600, ..rows });
        assert_eq!(seldom.interval(&history), second * 600);
    }
}
