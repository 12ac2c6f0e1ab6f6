//! One site, one question, one answer from what its slot holds. There is no error path out of this file.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};

use super::found::FoundCache;
use super::slot::{Held, Look, Slot, Wanted};
use super::{Question, Row};
use crate::clock::{Clock, Deadline, Stopwatch, Timestamp};
use crate::domain::{Contribution, ErrorCode, Failure, Outcome, Query, SiteError, StatusCounts};
use crate::inventory::Visible;

/// A console takes so long to say that it refuses a login; whoever waits less hears nothing.
const REFUSAL: Duration = Duration::from_secs(16);

/// What one site answered.
#[derive(Clone, Debug, PartialEq)]
pub struct SiteAnswer {
    /// How it contributed.
    pub outcome: Outcome,
    /// How many of its matching agents are in each status.
    pub counts: StatusCounts,
    /// Its best rows, in order.
    pub rows: Vec<Row>,
}

/// A question, shared by the calls to all sites.
pub(super) struct Asked {
    pub(super) question: Question,
    pub(super) query: Arc<Query>,
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

/// How a call begins.
pub(super) enum Begun {
    /// All that will be said is known.
    Answered(SiteAnswer),
    /// A read runs that is worth waiting for.
    Waits {
        /// What is known meanwhile, if that was asked for and there is something.
        known: Option<SiteAnswer>,
        /// The answer at its end, or at the deadline.
        rest: BoxFuture<'static, SiteAnswer>,
    },
}

impl Call {
    pub(super) fn at_once(self, known_first: bool) -> Begun {
        let plan = self.slot.plan();
        if !self.asked.query.concerns(plan.id.as_str(), &plan.tags) {
            return Begun::Answered(self.not_asked());
        }
        let look = self.slot.look(self.asked.question.wanted);
        match &look.flight {
            Some(_) if !look.satisfied => {
                let known = (known_first && look.held.is_some()).then(|| self.answer(&look, look.reads));
                Begun::Waits { known, rest: self.wait(look).boxed() }
            }
            _ => Begun::Answered(self.answer(&look, look.reads)),
        }
    }

    /// What is known, without a read.
    pub(super) fn known(self) -> SiteAnswer {
        let plan = self.slot.plan();
        if !self.asked.query.concerns(plan.id.as_str(), &plan.tags) {
            return self.not_asked();
        }
        let look = self.slot.look(Wanted::Known);
        self.answer(&look, look.reads)
    }

    async fn wait(self, before: Look) -> SiteAnswer {
        if let Some(mut flight) = before.flight {
            // Whether it ended or the patience did is seen in what the slot holds afterwards.
            let _ = tokio::time::timeout_at(self.deadline.instant(), flight.wait()).await;
        }
        let after = self.slot.look(Wanted::Known);
        self.answer(&after, before.reads)
    }

    /// The query cannot concern this site: that it has no rows is known without asking.
    fn not_asked(&self) -> SiteAnswer {
        let outcome = Outcome {
            site: self.slot.plan().id.clone(),
            contribution: Contribution::Fresh,
            rows: 0,
            age: None,
            took: Duration::ZERO,
            failure: None,
            warnings: Vec::new(),
            lost: 0,
        };
        SiteAnswer { outcome, counts: StatusCounts::default(), rows: Vec::new() }
    }

    /// What a look at the slot means, when `reads` had ended at the request's begin.
    fn answer(&self, look: &Look, reads: u64) -> SiteAnswer {
        let now = self.clock.now();
        match &look.held {
            None => self.without_rows(look, reads, now),
            Some(held) => {
                let failure = match (&look.failure, look.current) {
                    (Some(_), _) => look.failure.clone(),
                    (None, true) => None,
                    (None, false) => look.flight.as_ref().map(|_| self.late(now)),
                };
                let contribution = match (failure.is_some() || !look.current, held.read > reads) {
                    (true, _) => Contribution::Stale,
                    (false, true) => Contribution::Fresh,
                    (false, false) => Contribution::Cached,
                };
                self.with_rows(held, contribution, failure, now)
            }
        }
    }

    fn with_rows(
        &self,
        held: &Held,
        contribution: Contribution,
        failure: Option<Failure>,
        now: Timestamp,
    ) -> SiteAnswer {
        let Question { order, limit, .. } = self.asked.question;
        let found = self.found.search(&held.inventory, &self.asked.query, order, limit, &self.visible);
        let (site, as_of) = (&self.slot.plan().id, held.as_of);
        let stale = contribution == Contribution::Stale;
        let age = if contribution == Contribution::Fresh { Duration::ZERO } else { as_of.until(now) };
        let outcome = Outcome {
            site: site.clone(),
            contribution,
            rows: found.matched,
            age: Some(age),
            took: self.watch.elapsed(),
            failure,
            warnings: held.warnings.to_vec(),
            lost: held.inventory.complaints().rows,
        };
        let rows = found.rows.iter().map(|hit| Row { site: site.clone(), hit: hit.clone(), as_of, stale });
        SiteAnswer { outcome, counts: found.counts, rows: rows.collect() }
    }

    fn without_rows(&self, look: &Look, reads: u64, now: Timestamp) -> SiteAnswer {
        let asked_now = look.reads > reads;
        let failure = match &look.failure {
            // It was heard, or it is not a matter of time at all: its settings are unusable, or it is paused.
            Some(failure) if asked_now || self.slot.plan().site.is_err() => failure.clone(),
            // Since when it fails does not depend on who asks.
            Some(failure) if look.flight.is_some() => Failure { since: failure.since, ..self.late(now) },
            Some(failure) => Failure { error: resting(&failure.error), since: failure.since },
            None => self.late(now),
        };
        let mut answer = self.not_asked();
        answer.outcome.contribution = Contribution::Failed;
        answer.outcome.took = self.watch.elapsed();
        answer.outcome.failure = Some(failure);
        answer
    }

    fn late(&self, now: Timestamp) -> Failure {
        let patience = self.asked.question.patience;
        let error = SiteError::new(ErrorCode::Timeout, format!("no answer within {patience:?}"));
        let error = if patience < REFUSAL {
            error.remedy("allow more time; 16 s and more also show a refused login, which takes a console 15 s")
        } else {
            error.remedy("look at the site's load and its PHP error log, or allow more time")
        };
        Failure { error, since: now }
    }
}

/// A site that failed a moment ago and is left alone for now: its own reason stays in the sentence.
fn resting(error: &SiteError) -> SiteError {
    let message = format!("not asked again yet, because of {}: {}", error.code, error.message);
    SiteError { code: ErrorCode::Backoff, message, remedy: error.remedy.clone() }
}
