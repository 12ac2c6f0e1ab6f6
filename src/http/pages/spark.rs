//! A small picture of what the last reads of a site took: a stroke for each, the newest at the right.

use std::time::Duration;

use super::shown;
use crate::federation::PastRead;

/// Strokes that fit, and how high the picture is.
const PLACES: usize = 60;
const HEIGHT: u64 = 24;

/// Paths of an SVG picture, `0 0 120 24`, and the same in words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spark {
    /// Reads that went well.
    pub(super) good: String,
    /// Reads that failed.
    pub(super) bad: String,
    /// What it shows.
    pub(super) says: String,
}

impl Spark {
    /// `None` before the first read has ended.
    pub(super) fn of(reads: &[PastRead]) -> Option<Self> {
        let least = reads.iter().map(|read| read.cost).min()?;
        let most = reads.iter().map(|read| read.cost).max()?;
        let (mut good, mut bad) = (String::new(), String::new());
        let first = PLACES.saturating_sub(reads.len());
        for (place, read) in reads.iter().rev().take(PLACES).rev().enumerate() {
            let path = if read.ok { &mut good } else { &mut bad };
            path.push_str(&format!("M{} {HEIGHT}v-{}", (first + place) * 2 + 1, high(read.cost, most)));
        }
        let failed = reads.iter().filter(|read| !read.ok).count();
        let range = match (millis(least), millis(most)) {
            (least, most) if least == most => most,
            (least, most) => format!("{least} to {most}"),
        };
        let counted =
            if reads.len() == 1 { "the last read".to_owned() } else { format!("the last {} reads", reads.len()) };
        let failed = if failed == 0 { String::new() } else { format!(", {failed} failed") };
        Some(Self { good, bad, says: format!("{counted}: {range}{failed}") })
    }
}

fn millis(duration: Duration) -> String {
    shown::millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// In proportion to the longest; never nothing, since it was a read.
fn high(cost: Duration, most: Duration) -> u64 {
    let share = cost.as_micros().saturating_mul(u128::from(HEIGHT)).checked_div(most.as_micros()).unwrap_or(0);
    u64::try_from(share).unwrap_or(HEIGHT).clamp(2, HEIGHT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn read(ms: u64, ok: bool) -> PastRead {
        PastRead { at: Timestamp::from_secs(0), cost: Duration::from_millis(ms), ok }
    }

    #[test]
    fn the_newest_stands_at_the_right_and_failures_apart() {
        assert_eq!(Spark::of(&[]), None);
        let spark = Spark::of(&[read(100, true), read(400, false), read(200, true)]).unwrap();
        assert_eq!(spark.good, "M115 24v-6M119 24v-12");
        assert_eq!(spark.bad, "M117 24v-24");
        assert_eq!(spark.says, "the last 3 reads: 100 ms to 400 ms, 1 failed");
    }

    #[test]
    fn it_stays_small_whatever_came() {
        let spark = Spark::of(&[read(u64::MAX / 2000, true); 90]).unwrap();
        assert_eq!((spark.good.matches('M').count(), spark.good.starts_with("M1 24v-24")), (60, true));
        assert_eq!(Spark::of(&[read(0, true)]).unwrap().good, "M119 24v-2");
        assert_eq!(Spark::of(&[read(0, true)]).unwrap().says, "the last read: 0 ms");
    }
}
