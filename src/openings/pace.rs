//! How often somebody may do a thing in any minute.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::clock::Timestamp;

const WINDOW: Duration = Duration::from_secs(60);

/// Steps of each within the window.
#[derive(Debug)]
pub(super) struct Pace {
    most: usize,
    steps: HashMap<String, VecDeque<Timestamp>>,
}

impl Pace {
    /// At most so many steps.
    pub(super) fn of(most: usize) -> Self {
        Self { most, steps: HashMap::new() }
    }

    /// Counts a step, or says how long to wait. One that has to wait is not counted.
    pub(super) fn step(&mut self, who: &str, now: Timestamp) -> Result<(), Duration> {
        let old = |at: &Timestamp| at.until(now) >= WINDOW;
        self.steps.retain(|_, steps| steps.back().is_some_and(|last| !old(last)));
        let steps = self.steps.entry(who.to_owned()).or_default();
        while steps.front().is_some_and(old) {
            steps.pop_front();
        }
        match steps.front() {
            Some(first) if steps.len() >= self.most => Err(WINDOW.saturating_sub(first.until(now))),
            _ => {
                steps.push_back(now);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_in_a_minute_and_nobody_waits_for_others() {
        let at = Timestamp::from_secs;
        let mut pace = Pace::of(30);
        for second in 0..30 {
            assert_eq!(pace.step("local:ana", at(second)), Ok(()));
        }
        assert_eq!(pace.step("local:ana", at(40)), Err(Duration::from_secs(20)));
        assert_eq!(pace.step("local:ben", at(40)), Ok(()));
        assert_eq!(pace.step("local:ana", at(60)), Ok(()), "the first has left the window");
        assert_eq!(pace.step("local:ana", at(60)), Err(Duration::from_secs(1)));
        assert_eq!(pace.step("local:ben", at(1000)), Ok(()));
        assert_eq!(pace.steps.len(), 1, "who rests is forgotten");
    }
}
