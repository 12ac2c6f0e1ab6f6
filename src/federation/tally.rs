//! What a site's reads came to since its slot began, and the word to the log when its trouble changes.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::{SiteError, SiteId};

/// Reads that ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadTally {
    /// How many by result: `ok`, or the code of the error.
    pub results: BTreeMap<&'static str, u64>,
    /// What they took together.
    pub cost: Duration,
}

impl ReadTally {
    /// A read ended.
    pub(super) fn ended(&mut self, cost: Duration, error: Option<&SiteError>) {
        *self.results.entry(error.map_or("ok", |error| error.code.as_str())).or_default() += 1;
        self.cost = self.cost.saturating_add(cost);
    }
}

/// What a read changed of a site's trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change<'a> {
    /// It fails, or otherwise than before.
    Fails(&'a SiteError),
    /// It works again; what had been wrong.
    Works(&'a SiteError),
}

fn change<'a>(before: Option<&'a SiteError>, now: Option<&'a SiteError>) -> Option<Change<'a>> {
    match (before, now) {
        (Some(before), Some(now)) if before.code == now.code => None,
        (_, Some(now)) => Some(Change::Fails(now)),
        (Some(before), None) => Some(Change::Works(before)),
        (None, None) => None,
    }
}

/// Tells the log when a site begins to fail, fails otherwise than before, or works again; never at every read.
pub(super) fn tell_change(site: &SiteId, before: Option<&SiteError>, now: Option<&SiteError>) {
    match change(before, now) {
        Some(Change::Fails(error)) => {
            let remedy = error.remedy.as_deref().unwrap_or_default();
            tracing::warn!(%site, code = %error.code, reason = ?error.message, remedy = ?remedy, "site fails");
        }
        Some(Change::Works(was)) => tracing::info!(%site, was = %was.code, "site works again"),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ErrorCode;

    #[test]
    fn only_a_change_is_told() {
        let error = |code, message: &str| SiteError::new(code, message);
        let (refused, again) = (error(ErrorCode::Unreachable, "refused"), error(ErrorCode::Unreachable, "reset"));
        let tls = error(ErrorCode::Tls, "expired");
        assert_eq!(change(None, None), None);
        assert_eq!(change(None, Some(&refused)), Some(Change::Fails(&refused)));
        assert_eq!(change(Some(&refused), Some(&again)), None);
        assert_eq!(change(Some(&refused), Some(&tls)), Some(Change::Fails(&tls)));
        assert_eq!(change(Some(&tls), None), Some(Change::Works(&tls)));
    }

    #[test]
    fn reads_are_counted_by_result() {
        let mut tally = ReadTally::default();
        tally.ended(Duration::from_secs(1), None);
        tally.ended(Duration::from_secs(2), Some(&SiteError::new(ErrorCode::Tls, "expired")));
        tally.ended(Duration::from_secs(3), None);
        assert_eq!((tally.results, tally.cost), (BTreeMap::from([("ok", 2), ("tls", 1)]), Duration::from_secs(6)));
    }
}
