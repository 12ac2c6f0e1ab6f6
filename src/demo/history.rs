//! Past values of a module, computed from its last one: the same question always gets the same answer.

use super::fleet::{Module, ModuleKind};

/// How far back there is data.
const KEPT: i64 = 30 * 86_400;

/// The past of one module.
#[derive(Debug)]
pub(super) struct History<'a> {
    module: &'a Module,
    interval: i64,
    last: i64,
    /// The last value, where it is a number that moves.
    level: Option<f64>,
}

impl<'a> History<'a> {
    /// Of a module that reports every `interval` seconds and did so last at `last`.
    pub(super) fn of(module: &'a Module, interval: u32, last: i64) -> Self {
        let level = if module.kind == ModuleKind::Data { module.value.parse().ok() } else { None };
        Self { module, interval: i64::from(interval.max(1)), last, level }
    }

    /// What a console answers for `from..to`: a row at every interval from `from` with the value that held then, and a
    /// row for every stored sample. A value that did not change was not stored again.
    pub(super) fn filled(&self, from: i64, to: i64) -> Vec<(i64, String)> {
        let start = self.last.saturating_sub(KEPT);
        let skipped = start.saturating_sub(from).max(0).div_euclid(self.interval);
        let first = from.saturating_add(skipped.saturating_mul(self.interval));
        let mut rows = Vec::new();
        let mut at = first;
        while at < to {
            if at >= start {
                rows.push((at, self.value(self.sample_before(at))));
            }
            let next = at.saturating_add(self.interval);
            let sample = self.sample_before(next.saturating_sub(1));
            let stored = sample > at && sample < to.min(self.last.saturating_add(1)) && sample >= start;
            if stored && self.level.is_some() {
                rows.push((sample, self.value(sample)));
            }
            at = next;
        }
        rows
    }

    /// The time of the last sample at or before an instant.
    fn sample_before(&self, at: i64) -> i64 {
        let back = self.last.saturating_sub(at).max(0);
        let steps = back.saturating_add(self.interval.saturating_sub(1)).div_euclid(self.interval);
        self.last.saturating_sub(steps.saturating_mul(self.interval))
    }

    /// The value of the sample taken at `at`: a slow wave that ends in the last value.
    fn value(&self, at: i64) -> String {
        let Some(level) = self.level else { return self.module.value.clone() };
        let hours = |at: i64| precise(at.rem_euclid(86_400)) / 3600.0;
        let wave = |at: i64| (hours(at) / 24.0 * std::f64::consts::TAU).sin() + (hours(at) * 2.7).sin() / 3.0;
        let value = level * (1.0 + 0.12 * (wave(at) - wave(self.last)));
        // Two decimals, without zeros at the end.
        format!("{}", (value * 100.0).round() / 100.0)
    }
}

/// A second of a day as a floating number, which holds it exactly.
fn precise(second: i64) -> f64 {
    u32::try_from(second).map_or(0.0, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::fleet::ModuleState;

    #[test]
    fn gaps_are_filled_and_samples_are_between() {
        let module = Module::new("CPU Load", ModuleState::Normal, "17.85000");
        let history = History::of(&module, 300, 10_000_200);
        let rows = history.filled(10_000_000 - 600, 10_000_000 + 600);
        let times: Vec<i64> = rows.iter().map(|row| row.0 - 10_000_000).collect();
        assert_eq!(times, [-600, -400, -300, -100, 0, 200, 300]);
        assert_eq!(rows[5].1, "17.85");
        assert_eq!(rows[6].1, "17.85", "nothing came after the last sample");
        assert_eq!(rows[2].1, rows[1].1, "the gap holds the value of the sample before");
        assert_ne!(rows[1].1, rows[3].1);
        assert!(history.filled(0, 1000).is_empty());
    }

    #[test]
    fn what_does_not_change_has_no_samples() {
        let text = Module { kind: ModuleKind::Text, ..Module::new("Log", ModuleState::Normal, "OK; fine") };
        let rows = History::of(&text, 300, 5_000_000).filled(4_999_000, 5_000_000);
        assert_eq!(rows.len(), 4);
        assert!(rows.iter().all(|row| row.1 == "OK; fine"));
    }
}
