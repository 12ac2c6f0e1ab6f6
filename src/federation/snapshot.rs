//! A site's state in figures and words, for those who run the gateway. Reading it asks nobody.

use std::time::Duration;

use super::alerts::AlertsLook;
use super::memory::State;
use super::policy::{Policy, Rest, Urgency};
use super::reasons::without_size;
use super::slot::{Slot, Wanted};
use super::tally::ReadTally;
use crate::clock::{Stopwatch, Timestamp};
use crate::domain::{ErrorCode, Failure, SiteError};
use crate::inventory::Visible;
use crate::sites::About;

/// A read that runs so long, without current rows meanwhile, is told as trouble before it ends.
const OVERDUE: Duration = Duration::from_secs(5);

/// A site's state.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What is known of its alerts.
    pub alerts: AlertsLook,
    /// Reads of its alerts that ended.
    pub alert_reads: ReadTally,
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
    /// Until when it rests and why, one sentence, where that is more than `refresh_after`.
    pub rests: Option<String>,
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
    /// Its version and certificate, as far as known.
    pub about: About,
    /// What a person should know although it answers.
    pub warnings: Vec<String>,
}

impl Slot {
    /// Its state. Asks nobody.
    pub fn snapshot(&self) -> Snapshot {
        let mut state = self.memory.state();
        let look = self.look_at(&mut state, Wanted::Known);
        let alerts = self.look_alerts_at(&mut state, false);
        let policy = &self.plan().policy;
        let now = Stopwatch::start().instant();
        let not_before = policy.not_before(&state.history, Urgency::Ordinary);
        let not_before = not_before.map(|at| at.saturating_duration_since(now)).filter(|wait| !wait.is_zero());
        let why = policy.rest(&state.history).filter(|_| look.flight.is_none());
        let mut costs: Vec<Duration> = state.past.iter().map(|read| read.cost).collect();
        costs.sort_unstable();
        let at = |share: usize| costs.get((costs.len() * share / 100).min(costs.len().saturating_sub(1))).copied();
        Snapshot {
            alerts,
            alert_reads: state.alerts.tally.clone(),
            agents: look.held.as_ref().map(|held| held.inventory.len()),
            as_of: look.held.as_ref().map(|held| held.as_of),
            reading: look.flight.is_some(),
            failure: look.failure.or_else(|| overdue(&state, look.current)),
            since: state.since,
            not_before,
            rests: not_before.zip(why).map(|(wait, why)| rests(self.memory.clock.now().after(wait), why, policy)),
            interval: policy.interval(&state.history),
            max_age: policy.effective_max_age(&state.history),
            current: look.current,
            costs: at(50).zip(at(95)),
            tally: state.tally.clone(),
            skew_ms: state.skew_ms,
            about: self.plan().site.as_ref().map(|site| site.about()).unwrap_or_default(),
            warnings: look.held.map(|held| held.warnings.to_vec()).unwrap_or_default(),
        }
    }
}

/// What somebody is told of a site's warnings. They may name agents and groups, so who is limited to groups hears only
/// that there are some.
pub fn told_to(visible: &Visible, warnings: &[String]) -> Vec<String> {
    match visible {
        Visible::All => warnings.to_vec(),
        Visible::Groups(_) if warnings.is_empty() => Vec::new(),
        Visible::Groups(_) => vec![NEUTRAL.to_owned()],
    }
}

/// What somebody is told of why a site failed. One that is too large says how large, which is not for everybody.
pub fn failure_told_to(visible: &Visible, mut failure: Failure) -> Failure {
    if !matches!(visible, Visible::All) {
        failure.error = without_size(failure.error);
    }
    failure
}

/// Names nothing.
const NEUTRAL: &str = "not everything this site sent could be used; whoever runs the gateway sees what";

/// Why nobody's question has it read before then.
fn rests(until: Timestamp, why: Rest, policy: &Policy) -> String {
    let why = match why {
        Rest::Cost(cost) => {
            let share = policy.max_load * 100.0;
            format!("its last read took {:.1} s, and reads may take {share:.1} % of its time", cost.as_secs_f64())
        }
        Rest::Silence(cost) => format!("its last read waited {:.1} s and nothing came", cost.as_secs_f64()),
        Rest::Refused => "it refused the login, which holds one of its workers for 15 s; \
             changed credentials or a probe have it read sooner"
            .to_owned(),
        Rest::Failures(1) => "its last read failed".to_owned(),
        Rest::Failures(times) => format!("its last {times} reads failed"),
    };
    format!("it rests until {until}, because {why}")
}

/// A site without current rows whose read does not end: it has not failed yet, and is trouble all the same.
fn overdue(state: &State, current: bool) -> Option<Failure> {
    let flight = state.flight.as_ref().filter(|flight| !current && flight.watch.elapsed() >= OVERDUE)?;
    let message = format!("a read has run for {} s and not ended", flight.watch.elapsed().as_secs());
    let error = SiteError::new(ErrorCode::Timeout, message);
    Some(Failure { error: error.remedy("look at the site's load and its PHP error log"), since: flight.asked })
}
