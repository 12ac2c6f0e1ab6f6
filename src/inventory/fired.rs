//! Which agents of a site have a fired alert. Known apart from the inventory, and with its own age.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

/// The agents with a fired alert, as far as they were asked for: whoever is not in it has none.
#[derive(Debug)]
pub struct Fired {
    number: u64,
    agents: BTreeSet<Box<str>>,
}

impl Fired {
    /// Of the ids of these agents.
    pub fn new<T: Into<Box<str>>>(agents: impl IntoIterator<Item = T>) -> Self {
        // Numbers are given, never taken back, so that what is kept of one is never taken for another's.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { number: NEXT.fetch_add(1, Ordering::Relaxed), agents: agents.into_iter().map(Into::into).collect() }
    }

    /// A number that no other has in this process.
    pub fn id(&self) -> u64 {
        self.number
    }

    /// Whether an agent is in it.
    pub fn contains(&self, agent: &str) -> bool {
        self.agents.contains(agent)
    }

    /// Their ids.
    pub fn agents(&self) -> impl Iterator<Item = &str> {
        self.agents.iter().map(AsRef::as_ref)
    }
}
