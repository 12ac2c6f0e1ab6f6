//! What the last reads of a site took, and why the next one is as far away as it is. Looking asks nobody.

use std::time::Duration;

use super::slot::Slot;
use crate::clock::Timestamp;

/// A read that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastRead {
    /// When the site was asked.
    pub at: Timestamp,
    /// How long it took.
    pub cost: Duration,
    /// Whether it went well.
    pub ok: bool,
}

impl Slot {
    /// Its last reads, at most 60, oldest first.
    pub fn past(&self) -> Vec<PastRead> {
        self.memory.state().past.iter().copied().collect()
    }

    /// Why its ordinary reads are as far apart as they are: one sentence.
    pub fn pace(&self) -> String {
        let state = self.memory.state();
        let policy = &self.plan().policy;
        let slowed = policy.interval(&state.history) > policy.refresh_after;
        match state.history.last.filter(|_| slowed) {
            None => "it is configured so (`refresh_after`)".to_owned(),
            Some(last) => {
                let (took, share) = (last.cost.as_secs_f64(), policy.max_load * 100.0);
                format!("its last read took {took:.1} s, and reads may take {share:.1} % of its time (`max_load`)")
            }
        }
    }
}
