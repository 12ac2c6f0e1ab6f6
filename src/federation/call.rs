//! One site, one question, one answer. There is no error path out of this file.

use std::sync::Arc;
use std::time::Duration;

use super::{Member, Question, Row};
use crate::clock::{Clock, Deadline, Stopwatch, Timestamp};
use crate::domain::{Contribution, ErrorCode, Failure, Outcome, SiteError, SiteId, StatusCounts};
use crate::inventory::{Found, Request, Visible};
use crate::sites::Reading;

/// What one site answered.
#[derive(Clone, Debug)]
pub struct SiteAnswer {
    /// How it contributed.
    pub outcome: Outcome,
    /// How many of its matching agents are in each status.
    pub counts: StatusCounts,
    /// Its best rows, in order.
    pub rows: Vec<Row>,
}

impl SiteAnswer {
    /// Of a site that has no rows to show.
    pub(super) fn failed(site: SiteId, error: SiteError, took: Duration, now: Timestamp) -> Self {
        let failure = Some(Failure { error, since: now });
        let contribution = Contribution::Failed;
        let outcome = Outcome { site, contribution, rows: 0, age: None, took, failure, warnings: Vec::new(), lost: 0 };
        Self { outcome, counts: StatusCounts::default(), rows: Vec::new() }
    }
}

/// What is to be said of a read beside its rows.
#[derive(Default)]
struct Read {
    warnings: Vec<String>,
    lost: usize,
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
            return self.not_asked();
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
                let read =
                    Read { warnings: reading.warnings(self.clock.now()), lost: reading.inventory.complaints().rows };
                self.fresh(found, watch.elapsed(), asked, &read)
            }
        }
    }

    async fn read(&self) -> Result<Reading, SiteError> {
        let site = self.member.site.as_ref().map_err(Clone::clone)?;
        // Nobody else waits for this read, so it need not live longer than the asker's patience.
        let read = site.inventory(self.deadline.min(Deadline::after(self.member.timeout)));
        match tokio::time::timeout_at(self.deadline.instant(), read).await {
            Ok(result) => result,
            Err(_) => Err(no_answer(self.question.patience)),
        }
    }

    /// The query cannot concern this site: that it has no rows is known without asking.
    fn not_asked(&self) -> SiteAnswer {
        let mut answer = self.fresh(Found::default(), Duration::ZERO, self.clock.now(), &Read::default());
        answer.outcome.age = None;
        answer
    }

    fn fresh(&self, found: Found, took: Duration, as_of: Timestamp, read: &Read) -> SiteAnswer {
        let outcome = Outcome {
            site: self.member.id.clone(),
            contribution: Contribution::Fresh,
            rows: found.matched,
            age: Some(Duration::ZERO),
            took,
            failure: None,
            warnings: read.warnings.clone(),
            lost: read.lost,
        };
        let site = &self.member.id;
        let rows = found.rows.into_iter().map(|hit| Row { site: site.clone(), hit, as_of, stale: false });
        SiteAnswer { outcome, counts: found.counts, rows: rows.collect() }
    }
}
