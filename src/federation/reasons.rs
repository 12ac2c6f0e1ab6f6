//! Why a site is missing in an answer or stale there, in words: what its rows lack, and what its alerts do.

use std::time::Duration;

use super::alerts::AlertsLook;
use super::call::{Call, Moment};
use super::memory::Waiter;
use super::slot::Look;
use crate::domain::{Contribution, ErrorCode, Failure, SiteError};

/// A console takes so long to say that it refuses a login; whoever waits less hears nothing.
const REFUSAL: Duration = Duration::from_secs(16);

impl Call {
    /// Rows that are merely old have no error, unless newer ones were waited for. Those of an earlier process say so.
    pub(super) fn why_stale(&self, look: &Look, moment: Moment) -> Option<Failure> {
        let waited = || look.flight.as_ref().filter(|_| moment == Moment::AfterWaiting);
        let recalled = || {
            let error = SiteError::new(ErrorCode::Timeout, "it has not been read since the gateway was started");
            let error = error.remedy("search, which reads it");
            look.held.as_ref().filter(|held| held.recalled).map(|_| Failure { error, since: look.begun })
        };
        let late = || waited().map(|flight| self.late(flight, moment));
        look.failure.clone().or_else(late).or_else(recalled)
    }

    pub(super) fn without_rows(&self, look: &Look, reads: u64, moment: Moment) -> Failure {
        match (&look.failure, &look.flight) {
            // It was heard, or it is not a matter of time at all: its settings are unusable, or it is paused.
            (Some(failure), _) if look.reads > reads || self.slot.plan().site.is_err() => failure.clone(),
            (Some(failure), Some(flight)) => {
                let Failure { mut error, .. } = self.late(flight, moment);
                error.message = format!("{}; its last read failed: {}", error.message, failure.error);
                error.remedy = failure.error.remedy.clone().or(error.remedy);
                // Since when it fails does not depend on who asks.
                Failure { error, since: failure.since }
            }
            (Some(failure), None) => Failure { error: resting(&failure.error), since: failure.since },
            (None, Some(flight)) => self.late(flight, moment),
            (None, None) => {
                let error = SiteError::new(ErrorCode::Timeout, "it has not been read yet");
                Failure { error: error.remedy("search, which reads it"), since: look.begun }
            }
        }
    }

    /// A read that does not end, for whoever has waited or does not want to.
    fn late(&self, flight: &Waiter, moment: Moment) -> Failure {
        let patience = self.asked.question.patience;
        let error = match moment {
            Moment::AtOnce => SiteError::new(ErrorCode::Timeout, "its read has not ended yet"),
            Moment::AfterWaiting if patience.is_zero() => {
                SiteError::new(ErrorCode::Timeout, "its read has not ended yet, and nothing was waited for")
            }
            Moment::AfterWaiting => SiteError::new(ErrorCode::Timeout, format!("no answer within {patience:?}")),
        };
        let error = if patience < REFUSAL {
            error.remedy("allow more time; 16 s and more also show a refused login, which takes a console 15 s")
        } else {
            error.remedy("look at the site's load and its PHP error log, or allow more time")
        };
        Failure { error, since: flight.began }
    }

    /// How a site contributes whose rows are known and whose alerts, which are asked for, are not, or are old; `rows`
    /// is the trouble with the rows.
    pub(super) fn without_alerts(
        &self,
        alerts: &AlertsLook,
        rows: Option<Failure>,
        moment: Moment,
    ) -> (Contribution, Failure) {
        let (contribution, what) = match &alerts.held {
            Some(_) => (Contribution::Stale, "its alerts are old"),
            None => (Contribution::Failed, "its alerts are not known"),
        };
        let failure = match (&alerts.flight, &alerts.failure, rows) {
            // It is not asked for alerts while its rows fail.
            (None, _, Some(rows)) => rows,
            (Some(flight), _, _) => self.late(flight, moment),
            (None, Some(failure), None) => failure.clone(),
            (None, None, None) => {
                let error = SiteError::new(ErrorCode::Timeout, "they have not been asked for lately");
                Failure { error: error.remedy("search for `alert:fired`, which asks for them"), since: alerts.begun }
            }
        };
        let Failure { mut error, since } = failure;
        error.message = format!("{what}: {}", error.message);
        (contribution, Failure { error, since })
    }
}

fn resting_for(code: ErrorCode) -> String {
    format!("not asked again yet, because of {code}")
}

/// The same for somebody who may not know how large a site is.
pub(super) fn without_size(error: SiteError) -> SiteError {
    let resting = resting_for(ErrorCode::TooLarge);
    let message = match error.code {
        ErrorCode::TooLarge => "its answer is larger than may be read".to_owned(),
        ErrorCode::Backoff if error.message.contains(&resting) => resting,
        _ => return error,
    };
    SiteError::new(error.code, message).remedy("whoever runs the gateway sees more")
}

/// A site that failed a moment ago and is left alone for now: its own reason stays in the sentence.
fn resting(error: &SiteError) -> SiteError {
    let message = format!("{}: {}", resting_for(error.code), error.message);
    SiteError { remedy: error.remedy.clone(), ..SiteError::new(ErrorCode::Backoff, message) }
}
