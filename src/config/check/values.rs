//! Single values: durations, sizes, shares, numbers, truth values, names.

use std::time::Duration;

use crate::config::mistake::Fault;

/// The least and the most that a duration may be, in the words of the file.
pub(crate) struct Span {
    pub(crate) least: Duration,
    pub(crate) most: Duration,
    pub(crate) words: &'static str,
}

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Units of durations in milliseconds, largest first: `1m30s` is understood, `30s1m` is not.
const TIME_UNITS: &[(&str, u64)] = &[("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND), ("ms", 1)];

/// Units of sizes in bytes.
const SIZE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

impl Span {
    pub(crate) const fn millis(least: u64, most: u64, words: &'static str) -> Self {
        Self { least: Duration::from_millis(least), most: Duration::from_millis(most), words }
    }
}

/// A whole duration within `span`.
pub(crate) fn duration(text: &str, span: &Span) -> Result<Duration, Fault> {
    if is_number(text) {
        return Err(unit_missing("a duration", text, "s"));
    }
    let millis = milliseconds(text)
        .ok_or_else(|| Fault::new("expected a duration").remedy("write it like `2s`, `500ms`, `5m` or `1m30s`"))?;
    let duration = Duration::from_millis(millis);
    if duration < span.least || duration > span.most {
        return Err(out_of(span.words));
    }
    Ok(duration)
}

fn milliseconds(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut units = TIME_UNITS;
    let mut total = 0_u64;
    while !rest.is_empty() {
        let (number, after) = leading_digits(rest)?;
        let end = after.find(|c: char| c.is_ascii_digit());
        let (unit, after) = after.split_at(end.unwrap_or(after.len()));
        let position = units.iter().position(|(name, _)| *name == unit)?;
        let (_, factor) = units.get(position)?;
        total = total.checked_add(number.checked_mul(*factor)?)?;
        units = units.get(position.checked_add(1)?..)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

/// A size in bytes, `64KiB` to `16GiB`.
pub(crate) fn size(text: &str) -> Result<u64, Fault> {
    if is_number(text) {
        return Err(unit_missing("a size", text, "MB"));
    }
    let bytes = leading_digits(text).and_then(|(number, unit)| {
        let unit = unit.trim_start();
        let known = |(name, _): &&(&str, u64)| name.eq_ignore_ascii_case(unit);
        let (_, factor) = SIZE_UNITS.iter().find(known)?;
        number.checked_mul(*factor)
    });
    let bytes = bytes.ok_or_else(|| Fault::new("expected a size").remedy("write it like `256MB` or `64KiB`"))?;
    if !(64 << 10..=16 << 30).contains(&bytes) {
        return Err(out_of("64KiB to 16GiB"));
    }
    Ok(bytes)
}

/// A share of the time: `2%` or `0.02`.
pub(crate) fn share(text: &str) -> Result<f64, Fault> {
    let (number, scale) = match text.strip_suffix('%') {
        Some(number) => (number.trim_end(), 100.0),
        None => (text, 1.0),
    };
    let plain = |c: char| c.is_ascii_digit() || c == '.';
    let parsed = number.parse::<f64>().ok().filter(|_| number.chars().all(plain));
    let share = parsed
        .ok_or_else(|| Fault::new("expected a share of the time").remedy("write it like `2%` or `0.02`"))?
        / scale;
    if share > 0.0 && share <= 1.0 {
        return Ok(share);
    }
    Err(Fault::new("must be above 0 and at most 100%").remedy("write it like `2%` or `0.02`"))
}

/// A whole number, 1 to `most`; `100_000` is understood.
pub(crate) fn count(text: &str, most: usize) -> Result<usize, Fault> {
    let digits = text.replace('_', "");
    let number = digits.parse().ok().filter(|_| is_number(&digits));
    match number {
        Some(number) if (1..=most).contains(&number) => Ok(number),
        Some(_) => Err(out_of(&format!("1 to {most}"))),
        None => Err(Fault::new("expected a whole number").remedy("write it like `100000`")),
    }
}

/// `true` or `false`.
pub(crate) fn flag(text: &str) -> Result<bool, Fault> {
    let no = Fault::new("expected true or false");
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        "yes" | "on" | "1" => Err(no.remedy("write `true`")),
        "no" | "off" | "0" => Err(no.remedy("write `false`")),
        _ => Err(no),
    }
}

/// A name for people: 1 to 128 characters, no line breaks, no blank at either end.
pub(crate) fn name(text: &str) -> Result<String, Fault> {
    let fits = (1..=128).contains(&text.chars().count());
    if !fits || text.trim() != text || text.contains(char::is_control) {
        let message = "must be 1 to 128 characters without line breaks or blanks at either end";
        return Err(Fault::new(message));
    }
    Ok(text.to_owned())
}

/// A label for search and rights, where `,` and `:` have a meaning.
pub(crate) fn tag(text: &str) -> Result<String, Fault> {
    let fits = (1..=64).contains(&text.chars().count());
    let has_meaning = |c: char| c == ',' || c == ':' || c.is_whitespace() || c.is_control();
    if !fits || text.contains(has_meaning) {
        let message = "a tag is 1 to 64 characters without blank, comma or colon";
        return Err(Fault::new(message));
    }
    Ok(text.to_owned())
}

fn leading_digits(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn unit_missing(what: &str, number: &str, unit: &str) -> Fault {
    // A long number is no duration anybody meant; it need not be repeated.
    let shown = if number.len() <= 6 { number } else { "60" };
    Fault::new(format!("{what} needs a unit")).remedy(format!("write it like `{shown}{unit}`"))
}

fn out_of(range: &str) -> Fault {
    Fault::new(format!("must be {range}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        let span = Span::millis(0, DAY * 400, "0s to 400d");
        for (text, millis) in [
            ("500ms", 500),
            ("2s", 2 * SECOND),
            ("0s", 0),
            ("5m", 5 * MINUTE),
            ("24h", DAY),
            ("1d", DAY),
            ("1m30s", 90 * SECOND),
            ("1d2h3m4s5ms", DAY + 2 * HOUR + 3 * MINUTE + 4 * SECOND + 5),
        ] {
            let expected = Duration::from_millis(millis);
            assert_eq!(duration(text, &span).unwrap(), expected, "{text}");
        }
        for bad in [
            "",
            "s",
            "1",
            "1.5s",
            "-1s",
            "1 s",
            "30s1m",
            "1s1s",
            "1w",
            "1S",
            "99999999999999999999s",
            "18446744073709551615d",
            "401d",
        ] {
            assert!(duration(bad, &span).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_numbers_with_units() {
        assert_eq!(size("256MB").unwrap(), 256_000_000);
        assert_eq!(size("64KiB").unwrap(), 65_536);
        assert_eq!(size("1 gib").unwrap(), 1 << 30);
        for bad in ["", "MB", "256", "1KB", "17GiB", "1.5MB", "99999999999GB", "64K"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_share_is_a_percentage_or_a_fraction() {
        for (text, expected) in [("2%", 0.02), ("0.02", 0.02), ("100%", 1.0), ("2.5 %", 0.025)] {
            assert!((share(text).unwrap() - expected).abs() < 1e-12, "{text}");
        }
        for bad in ["", "%", "0", "0%", "2", "101%", "-1%", "nan", "inf", "1e-3", "."] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn counts_and_flags() {
        assert_eq!(count("100_000", 1_000_000).unwrap(), 100_000);
        for bad in ["", "0", "-1", "+1", "1.0", "1000001", "0x10", "_"] {
            assert!(count(bad, 1_000_000).is_err(), "{bad}");
        }
        assert!(flag("True").unwrap() && !flag("false").unwrap());
        assert_eq!(flag("yes").unwrap_err().remedy.unwrap(), "write `true`");
        assert!(flag("").is_err());
    }

    #[test]
    fn names_and_tags() {
        assert!(name("Madrid (Atocha)").is_ok() && name("2026a").is_ok());
        for bad in ["", " a", "a\nb", &"x".repeat(129)] {
            assert!(name(bad).is_err(), "{bad}");
        }
        assert!(tag("producción").is_ok());
        for bad in ["", "a b", "a,b", "a:b", "a\u{a0}b", &"x".repeat(65)] {
            assert!(tag(bad).is_err(), "{bad}");
        }
    }
}
