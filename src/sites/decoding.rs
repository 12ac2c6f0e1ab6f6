//! Decoding of large answers, off the async workers and few at a time, so that no request stalls another.

use std::fmt;

use tokio::sync::Semaphore;

use crate::clock::Deadline;
use crate::domain::{ErrorCode, SiteError};

/// Up to so many bytes are decoded where they are; that takes about a millisecond.
pub const INLINE: usize = 256 * 1024;

/// The places where large pieces are decoded; shared by all sites.
pub struct Decoding {
    places: Semaphore,
}

impl fmt::Debug for Decoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Decoding({} free)", self.places.available_permits())
    }
}

impl Decoding {
    /// With so many places; one per processor leaves the async workers their share.
    pub fn new(places: usize) -> Self {
        Self { places: Semaphore::new(places.max(1)) }
    }

    /// Runs a piece of decoding in a place of its own. Waits for a free one until the deadline.
    pub async fn run<T: Send + 'static>(
        &self,
        deadline: Deadline,
        piece: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, SiteError> {
        let waited = tokio::time::timeout_at(deadline.instant(), self.places.acquire()).await;
        let Ok(Ok(_place)) = waited else {
            return Err(SiteError::new(
                ErrorCode::Timeout,
                "the answer came, but decoding did not get its turn in time",
            ));
        };
        let done = tokio::task::spawn_blocking(piece).await;
        done.map_err(|error| SiteError::new(ErrorCode::BadAnswer, format!("decoding the answer failed: {error}")))
    }
}
