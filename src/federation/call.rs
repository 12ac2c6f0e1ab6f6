//! One site, one question, one answer. There is no error path out of this file.

use std::sync::Arc;
use std::time::Duration;

use super::{Member, Question, Row};
use crate::clock::{Clock, Deadline, Stopwatch, Timestamp};
use crate::domain::{Contribution, ErrorCode, Failure, ModuleCounts, Outcome, SiteError, SiteId};
use crate::inventory::{Found, Request, Visible};
use crate::sites::Reading;

/// What one site answered.
#[derive(Clone, Debug)]
pub struct SiteAnswer {
    /// How it contributed.
    pub outcome: Outcome,
    /// How many of its matching agents are in each status.
    pub counts: ModuleCounts,
    /// Its best rows, in order.
    pub rows: Vec<Row>,
}

impl SiteAnswer {
    /// Of a site that has no rows to show.
    pub(super) fn failed(site: SiteId, error: SiteError, took: Duration, now: Timestamp) -> Self {
        let failure = Some(Failure { error, since: now });
        let contribution = Contribution::Failed;
        let outcome = Outcome { site, contribution, rows: 0, age: None, took, failure, warnings: Vec::new() };
        Self { outcome, counts: ModuleCounts::default(), rows: Vec::new() }
    }
}

/// A question on its way to a site.
pub(super) struct Call {
    pub(super) member: Arc<Member>,
    pub(super) visible: Visible,
    pub(super) question: Arc<Question>,
    pub(super) deadline: Deadline,
    pub(super) clock: Clock,
}

/// A console takes so long to say that it refuses a login; whoever waits less hears nothing.
const REFUSAL: Duration = Duration::from_secs(16);

fn no_answer(patience: Duration) -> SiteError {
    let error = SiteError::new(ErrorCode::Timeout, format!("no answer within {patience:?}"));
    if patience < REFUSAL {
        return error.remedy("allow more time; 16 s and more also show a refused login, which takes a console 15 s");
    }
    error.remedy("look at the site's load and its PHP error log, or allow more time")
}

impl Call {
    pub(super) async fn answer(self) -> SiteAnswer {
        let watch = Stopwatch::start();
        if !self.question.query.concerns(self.member.id.as_str(), &self.member.tags) {
            return self.fresh(Found::default(), watch.elapsed(), self.clock.now(), Vec::new());
        }
        // What a site says is as of when it was asked.
        let asked = self.clock.now();
        match self.read().await {
            Err(error) => SiteAnswer::failed(self.member.id.clone(), error, watch.elapsed(), self.clock.now()),
            Ok(reading) => {
                let request = Request {
                    query: &self.question.query,
                    visible: &self.visible,
                    order: self.question.order,
                    limit: self.question.limit,
                };
                let found = reading.inventory.search(request);
                let warnings = reading.warnings(self.clock.now());
                self.fresh(found, watch.elapsed(), asked, warnings)
            }
        }
    }

    async fn read(&self) -> Result<Reading, SiteError> {
        let site = self.member.site.as_ref().map_err(Clone::clone)?;
        let read = site.inventory(Deadline::after(self.member.timeout));
        match tokio::time::timeout_at(self.deadline.instant(), read).await {
            Ok(result) => result,
            Err(_) => Err(no_answer(self.question.patience)),
        }
    }

    fn fresh(&self, found: Found, took: Duration, as_of: Timestamp, warnings: Vec<String>) -> SiteAnswer {
        let outcome = Outcome {
            site: self.member.id.clone(),
            contribution: Contribution::Fresh,
            rows: found.matched,
            age: Some(Duration::ZERO),
            took,
            failure: None,
            warnings,
        };
        let site = &self.member.id;
        let rows = found.rows.into_iter().map(|hit| Row { site: site.clone(), hit, as_of, stale: false });
        SiteAnswer { outcome, counts: found.counts, rows: rows.collect() }
    }
}
