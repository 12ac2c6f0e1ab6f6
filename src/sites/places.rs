//! How much a site is asked at a time beside its inventory. Everybody who looks at one of its agents shares these places,
//! and a later adapter of the same site takes them over, so that a changed name or link never doubles them.
//!
//! Whoever waits is served in turn, and only until its own deadline.

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::clock::Deadline;
use crate::domain::{ErrorCode, SiteError};

/// Modules read at a time. A console has few workers, and people use it meanwhile.
const MODULES: usize = 4;

/// Series read at a time: a long one keeps a worker busy.
const SERIES: usize = 2;

/// Answers with events read at a time.
const EVENTS: usize = 2;

/// The places of one site.
#[derive(Debug)]
pub struct Places {
    modules: Semaphore,
    series: Semaphore,
    events: Semaphore,
}

impl Default for Places {
    fn default() -> Self {
        Self { modules: Semaphore::new(MODULES), series: Semaphore::new(SERIES), events: Semaphore::new(EVENTS) }
    }
}

impl Places {
    /// To read one module.
    ///
    /// # Errors
    /// None was free in time: `timeout`, and the site was not asked.
    pub async fn module(&self, deadline: Deadline) -> Result<SemaphorePermit<'_>, SiteError> {
        take(&self.modules, deadline, "modules", MODULES).await
    }

    /// To read one series.
    ///
    /// # Errors
    /// None was free in time: `timeout`, and the site was not asked.
    pub async fn series(&self, deadline: Deadline) -> Result<SemaphorePermit<'_>, SiteError> {
        take(&self.series, deadline, "series", SERIES).await
    }

    /// To read some events.
    ///
    /// # Errors
    /// None was free in time: `timeout`, and the site was not asked.
    pub async fn events(&self, deadline: Deadline) -> Result<SemaphorePermit<'_>, SiteError> {
        take(&self.events, deadline, "lists of events", EVENTS).await
    }
}

async fn take<'a>(
    places: &'a Semaphore,
    deadline: Deadline,
    what: &str,
    most: usize,
) -> Result<SemaphorePermit<'a>, SiteError> {
    let late = || {
        let message =
            format!("its turn did not come in time: {most} {what} of the site are read at once, and others came first");
        SiteError::new(ErrorCode::Timeout, message).remedy("allow more time, or ask again in a moment")
    };
    if deadline.remaining().is_zero() {
        return Err(late());
    }
    // They are never closed.
    tokio::time::timeout_at(deadline.instant(), places.acquire()).await.ok().and_then(Result::ok).ok_or_else(late)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_waits_has_its_turn_or_its_deadline() {
        let places = Places::default();
        let soon = || Deadline::after(Duration::from_secs(3));
        let (first, second) = (places.series(soon()).await.unwrap(), places.series(soon()).await.unwrap());
        let late = places.series(soon()).await.unwrap_err();
        assert_eq!(late.code, ErrorCode::Timeout);
        assert!(late.message.contains("2 series") && late.remedy.is_some(), "{late:?}");
        // Others have places of their own.
        assert!(places.events(soon()).await.is_ok() && places.module(soon()).await.is_ok());
        drop(first);
        assert!(places.series(soon()).await.is_ok());
        drop(second);
        // Whoever has no time left does not go ahead of those who have.
        assert!(places.series(Deadline::after(Duration::ZERO)).await.is_err());
    }
}
