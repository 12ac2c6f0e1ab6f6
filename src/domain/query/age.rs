//! `age:>10m`: how long ago the newest module of an agent reported. Whole seconds.

use std::fmt;

use crate::clock::Timestamp;

/// More seconds than a hundred years are a typing mistake.
const MOST: u64 = 100 * 366 * 86_400;

/// Units as written, the longest first.
const UNITS: &[(char, u64)] = &[('w', 7 * 86_400), ('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];

/// One end of a range of ages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AgeBound {
    /// `>`: older than this; else `<`: younger.
    pub older: bool,
    /// In seconds.
    pub secs: u32,
}

impl AgeBound {
    /// Of `>10m` and the like; else the reason why not.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let (older, rest) = match text.split_at_checked(1) {
            Some((">", rest)) => (true, rest),
            Some(("<", rest)) => (false, rest),
            _ => return Err("begins with neither `>` (older) nor `<` (younger)"),
        };
        let unit = |c: char| UNITS.iter().find(|(unit, _)| c.eq_ignore_ascii_case(unit)).map(|(_, secs)| *secs);
        let (digits, unit) = rest
            .char_indices()
            .next_back()
            .and_then(|(at, c)| Some((rest.get(..at)?, unit(c)?)))
            .ok_or("has no unit")?;
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err("is no whole number with a unit");
        }
        let secs = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).filter(|secs| *secs <= MOST);
        let secs = secs.and_then(|secs| u32::try_from(secs).ok()).ok_or("is more than a hundred years")?;
        Ok(Self { older, secs })
    }

    /// Whether it holds `now` of an agent whose newest module reported at `newest`. One that never reported is old;
    /// one that reports from the future has just reported.
    pub fn holds(self, newest: Option<Timestamp>, now: Timestamp) -> bool {
        let age = newest.map(|newest| now.as_secs().saturating_sub(newest.as_secs()).max(0));
        match (age, self.older) {
            (None, older) => older,
            (Some(age), true) => age > i64::from(self.secs),
            (Some(age), false) => age < i64::from(self.secs),
        }
    }
}

impl fmt::Display for AgeBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = u64::from(self.secs);
        let unit = UNITS.iter().find(|(_, unit)| secs > 0 && secs.is_multiple_of(*unit)).unwrap_or(&('s', 1));
        write!(f, "{}{}{}", if self.older { '>' } else { '<' }, secs / unit.1, unit.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read_and_written_in_the_longest_unit() {
        for (text, written) in
            [(">10m", ">10m"), ("<60M", "<1h"), (">36h", ">36h"), (">14d", ">2w"), ("<0s", "<0s"), (">90s", ">90s")]
        {
            assert_eq!(AgeBound::parse(text).unwrap().to_string(), written);
        }
        for wrong in ["", "10m", ">", ">m", ">10", ">1.5h", ">=10m", ">10µ", ">-1s", ">9999999999w", ">101w5d", "> 1s"]
        {
            assert!(AgeBound::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn who_never_reported_is_old_and_the_future_is_now() {
        let (older, younger) = (AgeBound::parse(">1m").unwrap(), AgeBound::parse("<1m").unwrap());
        let now = Timestamp::from_secs(1000);
        let at = |secs| Some(Timestamp::from_secs(secs));
        for (newest, is_older, is_younger) in [
            (None, true, false),
            (at(939), true, false),
            (at(940), false, false),
            (at(941), false, true),
            (at(2000), false, true),
        ] {
            assert_eq!((older.holds(newest, now), younger.holds(newest, now)), (is_older, is_younger), "{newest:?}");
        }
    }
}
