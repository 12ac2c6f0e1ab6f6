//! Values of modules, read once for all who ask the same, and kept for seconds: a page that is loaded again, several
//! people who look at one chart.
//!
//! Rights come before this: nothing here depends on who asks. A reading belongs to itself and ends with the site's
//! `timeout`; whoever leaves ends nothing. A failed one is kept for a second, so that many who ask are one question.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::watch;

use crate::clock::{Deadline, Stopwatch, Timestamp};
use crate::domain::SiteError;
use crate::sites::{Series, Site};

/// How long values are good, and a failure.
const GOOD: Duration = Duration::from_secs(10);
const FAILED: Duration = Duration::from_secs(1);

/// Readings that are held, few because one may be long, and how long at most.
const KEPT: u64 = 64;
const HELD: Duration = Duration::from_secs(60);

/// What a site answered.
pub(super) type Values = Result<Arc<Series>, SiteError>;

/// Readings, by adapter, module and range.
#[derive(Clone)]
pub(super) struct ValuesCache(Cache<Key, Arc<Reading>>);

/// What is asked.
#[derive(Clone)]
pub(super) struct Key {
    /// Of a site whose address or account changed it is another one.
    pub(super) site: Arc<dyn Site>,
    pub(super) module: Box<str>,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

impl Key {
    fn parts(&self) -> (*const (), &str, i64, i64) {
        (Arc::as_ptr(&self.site).cast(), &self.module, self.from.as_millis(), self.to.as_millis())
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl fmt::Debug for ValuesCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ValuesCache({})", self.0.entry_count())
    }
}

impl Default for ValuesCache {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(KEPT).time_to_live(HELD).build())
    }
}

impl ValuesCache {
    /// The values, from a reading that runs, is good, or begins now; `None`: not before the deadline.
    pub(super) async fn ask(&self, key: Key, life: Duration, deadline: Deadline) -> Option<Values> {
        let asked = key.clone();
        let reading = self
            .0
            .entry(key)
            .or_insert_with_if(|| Reading::begin(asked, life), |reading| !reading.is_good())
            .into_value();
        let mut told = reading.0.clone();
        let told = tokio::time::timeout_at(deadline.instant(), told.wait_for(Option::is_some)).await.ok()?.ok()?;
        told.as_ref().map(|told| told.values.clone())
    }
}

/// A reading in progress or ended.
struct Reading(watch::Receiver<Option<Told>>);

struct Told {
    values: Values,
    ended: Stopwatch,
}

impl Reading {
    fn begin(key: Key, life: Duration) -> Arc<Self> {
        let (tell, told) = watch::channel(None);
        tokio::spawn(async move {
            let deadline = Deadline::after(life);
            let read = key.site.series(&key.module, key.from, key.to, deadline);
            let values = tokio::time::timeout_at(deadline.instant(), read).await;
            let values = values.unwrap_or_else(|_| Err(super::details::late()));
            tell.send_replace(Some(Told { values: values.map(Arc::new), ended: Stopwatch::start() }));
        });
        Arc::new(Self(told))
    }

    fn is_good(&self) -> bool {
        match &*self.0.borrow() {
            // Whoever read it is gone, and did not end it.
            None => self.0.has_changed().is_ok(),
            Some(told) => told.ended.elapsed() < if told.values.is_ok() { GOOD } else { FAILED },
        }
    }
}
