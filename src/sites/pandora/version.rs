//! The console's version: asked for once, beside the first read, since it changes with an update only.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::api::Api;
use crate::clock::Deadline;

/// A console tells its version in milliseconds; a read waits no longer for something that only adorns it.
const PATIENCE: Duration = Duration::from_secs(1);

/// A proxy may not let this question through: it is not asked for ever.
const TRIES: u8 = 3;

/// What is known of the version.
#[derive(Debug, Default)]
pub(super) struct Version {
    known: Mutex<Option<String>>,
    tries: AtomicU8,
}

impl Version {
    /// That nobody will want to know.
    pub(super) fn unwanted() -> Self {
        Self { known: Mutex::default(), tries: AtomicU8::new(TRIES) }
    }

    pub(super) fn get(&self) -> Option<String> {
        // Nothing panics while it is held.
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// It was told, to whomever.
    pub(super) fn told(&self, version: &str) {
        let version = version.replace(char::is_control, "\u{fffd}");
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(version);
    }

    /// Asks for it, unless it is known or was asked for too often.
    pub(super) async fn learn(&self, api: &Api, root: usize, deadline: Deadline) {
        if self.get().is_some() || self.tries.load(Ordering::Relaxed) >= TRIES {
            return;
        }
        self.tries.fetch_add(1, Ordering::Relaxed);
        let deadline = deadline.share(4).min(Deadline::after(PATIENCE));
        let asked = tokio::time::timeout_at(deadline.instant(), api.version(root, deadline)).await;
        if let Ok(Ok((version, _))) = asked {
            self.told(&version);
        }
    }
}
