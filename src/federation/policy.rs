//! When a site is read. Pure: times are passed in, and the slot obeys.
//!
//! 1. An ordinary read starts no sooner than the interval after the last one ended. The interval is the longer of
//!    `refresh_after` and what the last read cost divided by `max_load`, so that our reads take at most that share of
//!    the site's time; failed reads cost too. One exception: a read that failed without a byte from the site (nobody
//!    there, or it hangs) cost it little, and it may be back any moment. Then that rest is at most ten times the cost,
//!    at least 60 s: 10 minutes after a hang of 60 s, where 2 % would make it 50.
//! 2. A forced read ("ask again now") may start earlier, but no sooner than ten times the last cost, at least 2 s.
//! 3. After a failure the next read starts no sooner than 1 s, doubling to 60 s, with jitter: that one is the half-open
//!    probe. A refused login is asked again after 15 minutes, because each refusal holds a worker of the site for 15
//!    seconds; a probe that somebody asks for may start 2 s after the refusal, whatever that cost: they have mended
//!    something and want to see it. Whatever lets an ordinary read start lets the urgent ones start too.
//! 4. Rows are current up to `max_age`, or twice the interval where that is longer: else a site that must be read
//!    slowly would be stale between two reads.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Timestamp;
use crate::domain::{ErrorCode, SiteError};

/// First and longest pause after failures.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Jitter adds up to a quarter of a pause, and never more than this.
const LONGEST_JITTER: Duration = Duration::from_secs(60);

/// Pause after a refused login.
const AUTH_PAUSE: Duration = Duration::from_secs(15 * 60);

/// The distance of a forced read: so many times the last cost, and at least so long.
const FORCED_FACTOR: u32 = 10;
const FORCED_LEAST: Duration = Duration::from_secs(2);

/// The first read lives at least so long: a console takes 15 s to say that it refuses a login.
pub const FIRST_LIFE: Duration = Duration::from_secs(20);

/// What a site's configuration says about reading it.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Life of a read.
    pub timeout: Duration,
    /// Life of the first read; at least [`FIRST_LIFE`], unless nobody would wait for it.
    pub first_life: Duration,
    /// Not read again sooner.
    pub refresh_after: Duration,
    /// Rows up to this age are current.
    pub max_age: Duration,
    /// Rows of a failing site are kept so long.
    pub forget_after: Duration,
    /// Share of the site's time our reads may take, above 0 up to 1.
    pub max_load: f64,
}

/// How urgently a read is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody asked a question.
    Ordinary,
    /// Somebody wants it newer than it is.
    Forced,
    /// Somebody wants to know whether the site works (again).
    Probe,
}

/// Why a site rests, where that is worth a word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rest {
    /// Its last read took so long.
    Cost(Duration),
    /// Its last read took so long, and nothing came.
    Silence(Duration),
    /// It refused the login.
    Refused,
    /// So many reads failed in a row.
    Failures(u32),
}

/// What is remembered of a site's reads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The last read that ended, well or not.
    pub last: Option<Ended>,
    /// Set while reads fail.
    pub failing: Option<Failing>,
}

/// A read that ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ended {
    /// When.
    pub at: Instant,
    /// How long it took the site.
    pub cost: Duration,
}

/// Reads fail.
#[derive(Clone, Debug, PartialEq)]
pub struct Failing {
    /// The last failure.
    pub error: SiteError,
    /// When the first was seen, without a good read in between.
    pub since: Timestamp,
    /// How many in a row.
    pub times: u32,
    /// No ordinary or forced read before.
    pub not_before: Instant,
}

impl Policy {
    /// The distance of ordinary reads.
    pub fn interval(&self, history: &History) -> Duration {
        self.refresh_after.max(self.by_load(history))
    }

    /// Up to this age rows are current.
    pub fn effective_max_age(&self, history: &History) -> Duration {
        self.max_age.max(self.interval(history).saturating_mul(2))
    }

    /// How long the next read may take. After a refused login as long as the first: given up sooner, the next refusal
    /// would look like a slow site, and be tried again far too soon.
    pub fn life(&self, history: &History) -> Duration {
        if history.refused() || history.last.is_none() { self.first_life } else { self.timeout }
    }

    /// The moment from which a read may start; `None`: at once. Who wants it more urgently never waits longer.
    pub fn not_before(&self, history: &History, urgency: Urgency) -> Option<Instant> {
        let last = history.last?;
        let pause = history.failing.as_ref().map(|failing| failing.not_before);
        // While it fails its own pause counts instead of `refresh_after`, and what the last read cost it.
        let ordinary = match pause {
            None => later(last.at, self.interval(history)),
            Some(pause) => later(last.at, self.by_load(history)).max(pause),
        };
        let near = later(last.at, last.cost.saturating_mul(FORCED_FACTOR).max(FORCED_LEAST));
        let probe = if history.refused() { later(last.at, FORCED_LEAST) } else { near };
        Some(match urgency {
            Urgency::Ordinary => ordinary,
            Urgency::Forced => ordinary.min(pause.map_or(near, |pause| near.max(pause))),
            Urgency::Probe => ordinary.min(probe),
        })
    }

    /// What decides when the next ordinary read may start; `None`: `refresh_after`, as everybody expects.
    pub fn rest(&self, history: &History) -> Option<Rest> {
        let (last, load) = (history.last?, self.by_load(history));
        match &history.failing {
            Some(failing) if later(last.at, load) > failing.not_before => {
                Some(if failing.error.silent { Rest::Silence(last.cost) } else { Rest::Cost(last.cost) })
            }
            Some(_) if history.refused() => Some(Rest::Refused),
            Some(failing) => Some(Rest::Failures(failing.times)),
            None => (load > self.refresh_after).then_some(Rest::Cost(last.cost)),
        }
    }

    /// The distance that keeps reads of the last one's cost within `max_load`.
    fn by_load(&self, history: &History) -> Duration {
        let cost = history.last.map_or(Duration::ZERO, |last| last.cost);
        let fair = Duration::try_from_secs_f64(cost.as_secs_f64() / self.max_load).unwrap_or(Duration::MAX);
        match &history.failing {
            Some(failing) if failing.error.silent => fair.min(cost.saturating_mul(FORCED_FACTOR).max(LONGEST_PAUSE)),
            _ => fair,
        }
    }
}

/// So long after. Beyond any clock means thirty years: never "at once".
fn later(at: Instant, distance: Duration) -> Instant {
    at.checked_add(distance.min(Duration::from_secs(30 * 365 * 86_400))).unwrap_or(at)
}

impl History {
    /// Whether the last read was refused as not logged in.
    fn refused(&self) -> bool {
        self.failing.as_ref().is_some_and(|failing| failing.error.code == ErrorCode::Auth)
    }

    /// A read ended well.
    pub fn succeeded(&mut self, ended: Ended) {
        *self = Self { last: Some(ended), failing: None };
    }

    /// A read failed. `jitter`, from 0 to 1, spreads the next tries of many sites that failed together.
    pub fn failed(&mut self, ended: Ended, error: SiteError, seen: Timestamp, jitter: f64) {
        let (since, times) = match &self.failing {
            Some(failing) => (failing.since, failing.times.saturating_add(1)),
            None => (seen, 1),
        };
        let doubled = FIRST_PAUSE.saturating_mul(1_u32.checked_shl(times - 1).unwrap_or(u32::MAX));
        let pause = if error.code == ErrorCode::Auth { AUTH_PAUSE } else { doubled.min(LONGEST_PAUSE) };
        // Never sooner than the pause: jitter only adds.
        let pause = pause + (pause / 4).min(LONGEST_JITTER).mul_f64(jitter.clamp(0.0, 1.0));
        let not_before = later(ended.at, pause);
        self.last = Some(ended);
        self.failing = Some(Failing { error, since, times, not_before });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy {
            timeout: Duration::from_secs(10),
            first_life: FIRST_LIFE,
            refresh_after: Duration::from_secs(30),
            max_age: Duration::from_secs(60),
            forget_after: Duration::from_secs(86_400),
            max_load: 0.02,
        }
    }

    fn secs(duration: Duration) -> f64 {
        duration.as_secs_f64()
    }

    #[tokio::test(start_paused = true)]
    async fn the_interval_follows_the_cost_and_the_age_the_interval() {
        let (policy, now) = (policy(), crate::clock::Stopwatch::start().instant());
        let mut history = History::default();
        assert_eq!((policy.life(&history), policy.not_before(&history, Urgency::Ordinary)), (FIRST_LIFE, None));
        history.succeeded(Ended { at: now, cost: Duration::from_millis(100) });
        assert_eq!(policy.life(&history), policy.timeout);
        assert_eq!((secs(policy.interval(&history)), secs(policy.effective_max_age(&history))), (30.0, 60.0));
        history.succeeded(Ended { at: now, cost: Duration::from_secs(2) });
        assert_eq!((secs(policy.interval(&history)), secs(policy.effective_max_age(&history))), (100.0, 200.0));
        assert_eq!(policy.not_before(&history, Urgency::Ordinary), Some(now + Duration::from_secs(100)));
        assert_eq!(policy.not_before(&history, Urgency::Forced), Some(now + Duration::from_secs(20)));
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_double_and_a_refused_login_rests() {
        let (policy, now) = (policy(), crate::clock::Stopwatch::start().instant());
        let mut history = History::default();
        let ended = Ended { at: now, cost: Duration::ZERO };
        let seen = Timestamp::from_secs(7);
        for expected in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
            history.failed(ended, SiteError::new(ErrorCode::Unreachable, "x"), seen, 0.0);
            let not_before = policy.not_before(&history, Urgency::Ordinary).unwrap();
            assert_eq!(secs(not_before - now), expected);
        }
        assert_eq!(history.failing.as_ref().unwrap().times, 8);
        history.failed(ended, SiteError::new(ErrorCode::Auth, "x"), Timestamp::from_secs(9), 1.0);
        assert_eq!(secs(policy.not_before(&history, Urgency::Forced).unwrap() - now), 15.0 * 60.0 + 60.0);
        assert_eq!(secs(policy.not_before(&history, Urgency::Probe).unwrap() - now), 2.0);
        assert_eq!(policy.rest(&history), Some(Rest::Refused));
        // However long the refusal took.
        let refusal = Ended { at: now, cost: Duration::from_secs(15) };
        history.failed(refusal, SiteError::new(ErrorCode::Auth, "x"), Timestamp::from_secs(9), 0.0);
        assert_eq!(secs(policy.not_before(&history, Urgency::Probe).unwrap() - now), 2.0);
        assert_eq!(history.failing.as_ref().unwrap().since, seen);
        history.succeeded(ended);
        assert_eq!(history.failing, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_site_that_hung_is_not_left_alone_for_an_hour() {
        let (policy, now) = (policy(), crate::clock::Stopwatch::start().instant());
        let late = SiteError::new(ErrorCode::Timeout, "x");
        let rest = |error: SiteError, cost| {
            let mut history = History::default();
            let cost = Duration::from_secs(cost);
            history.failed(Ended { at: now, cost }, error, Timestamp::from_secs(7), 0.0);
            let wait = |urgency| secs(policy.not_before(&history, urgency).unwrap() - now);
            (wait(Urgency::Ordinary), wait(Urgency::Probe), policy.rest(&history))
        };
        let minute = Duration::from_secs(60);
        assert_eq!(rest(late.clone().silent(), 60), (600.0, 600.0, Some(Rest::Silence(minute))));
        // Something came, slowly: that was work, and counts whole.
        assert_eq!(rest(late.clone(), 60), (3000.0, 600.0, Some(Rest::Cost(minute))));
        // A connection that did not stand within 3 s.
        assert_eq!(rest(late.silent(), 3), (60.0, 30.0, Some(Rest::Silence(Duration::from_secs(3)))));
        assert_eq!(rest(SiteError::new(ErrorCode::Unreachable, "x"), 0), (1.0, 1.0, Some(Rest::Failures(1))));
        // A rest that the configuration asks for needs no word.
        let mut history = History::default();
        history.succeeded(Ended { at: now, cost: Duration::from_millis(100) });
        assert_eq!(policy.rest(&history), None);
        history.succeeded(Ended { at: now, cost: Duration::from_secs(2) });
        assert_eq!(policy.rest(&history), Some(Rest::Cost(Duration::from_secs(2))));
    }
}
