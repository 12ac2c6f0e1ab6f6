//! Decoding of large answers, off the async workers and few at a time, so that no request stalls another.

use std::fmt;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::clock::Deadline;
use crate::domain::{ErrorCode, SiteError};

/// Up to so many bytes are decoded where they are; that takes about a millisecond.
pub const INLINE: usize = 256 * 1024;

/// The places where large pieces are decoded; shared by all sites.
pub struct Decoding {
    places: Arc<Semaphore>,
}

impl fmt::Debug for Decoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Decoding({} free)", self.places.available_permits())
    }
}

impl Decoding {
    /// With so many places. One fewer than there are processors leaves the async workers their share.
    pub fn new(places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places.max(1))) }
    }

    /// Runs a piece of decoding in a place of its own. Waits for a free one until the deadline.
    pub async fn run<T: Send + 'static>(
        &self,
        deadline: Deadline,
        piece: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, SiteError> {
        let place = Arc::clone(&self.places).acquire_owned();
        let Ok(Ok(place)) = tokio::time::timeout_at(deadline.instant(), place).await else {
            return Err(SiteError::new(ErrorCode::Timeout, "the answer came, but its decoding did not get its turn")
                .remedy("fewer large sites at once, or more time"));
        };
        // The place is held by the work, which goes on when nobody waits for it any more.
        let work = move || {
            let done = piece();
            drop(place);
            done
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| {
            SiteError::new(ErrorCode::BadAnswer, "decoding the answer failed by a fault of this program")
                .remedy("please report it")
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_place_stays_taken_while_abandoned_work_goes_on() {
        let decoding = Decoding::new(1);
        let deadline = Deadline::after(Duration::from_secs(60));
        let (started, begun) = mpsc::channel();
        let (release, wait) = mpsc::channel::<()>();
        let work = decoding.run(deadline, move || {
            started.send(()).unwrap();
            let _ = wait.recv();
        });
        // Given up as soon as it has begun.
        tokio::select! {
            biased;
            _ = work => panic!("it cannot have ended"),
            begun = tokio::task::spawn_blocking(move || begun.recv()) => begun.unwrap().unwrap(),
        }
        assert_eq!(decoding.places.available_permits(), 0);
        drop(release);
        decoding.run(deadline, || ()).await.unwrap();
        assert_eq!(decoding.places.available_permits(), 1);
    }
}
