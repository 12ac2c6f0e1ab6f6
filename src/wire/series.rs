//! A module's values: numbers as numbers where nothing is lost by it, everything else as text.

use std::io;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Number, Value};

use super::{SiteOutcome, millis, outcome};
use crate::clock::Timestamp;
use crate::domain::{Outcome, SiteId};
use crate::sites::Point;

/// A module's values between two instants.
#[derive(Debug, Serialize)]
pub struct Series<'a> {
    site: &'a SiteId,
    agent: &'a str,
    module: &'a str,
    from: Timestamp,
    to: Timestamp,
    points: Vec<PointRecord>,
    /// Earlier points that were left out.
    cut: usize,
    took_ms: u64,
    sites: [SiteOutcome<'a>; 1],
}

#[derive(Debug, Serialize)]
struct PointRecord {
    at: Timestamp,
    value: Value,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    repeat: bool,
}

/// Values as a record. `points` are the newest, `cut` earlier ones were left out; of a module with `text` they stay text.
pub fn series<'a>(
    (agent, module): (&'a str, &'a str),
    (from, to): (Timestamp, Timestamp),
    (points, cut, text): (&[Point], usize, bool),
    told: &'a Outcome,
    took: Duration,
) -> Series<'a> {
    let record = |point: &Point| PointRecord { at: point.at, value: value(&point.value, text), repeat: point.repeat };
    Series {
        site: &told.site,
        agent,
        module,
        from,
        to,
        points: points.iter().map(record).collect(),
        cut,
        took_ms: millis(took),
        sites: [outcome(told)],
    }
}

/// Values as lines for a spreadsheet.
///
/// # Errors
/// None that a record in memory can cause.
pub fn csv(points: &[Point], cut: usize) -> io::Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(["at", "value", "repeat"]).map_err(io::Error::other)?;
    for point in points {
        let repeat = if point.repeat { "true" } else { "false" };
        csv.write_record([point.at.to_string().as_str(), &point.value, repeat]).map_err(io::Error::other)?;
    }
    let mut body = csv.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
    if cut > 0 {
        body.extend_from_slice(format!("# {cut} earlier values are left out\n").as_bytes());
    }
    Ok(body)
}

/// More digits than this are not sure to come back as they were.
const DIGITS: usize = 15;

/// What a site writes as a number, if it is one written plainly and no value of a module with text; else as it is.
pub(super) fn value(written: &str, text: bool) -> Value {
    let number = if text { None } else { number(written) };
    number.map_or_else(|| Value::String(written.to_owned()), Value::Number)
}

fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, part) = digits.split_once('.').map_or((digits, None), |(whole, part)| (whole, Some(part)));
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = all_digits(whole) && part.is_none_or(all_digits) && (whole == "0" || !whole.starts_with('0'));
    if !plain || digits.len() > DIGITS {
        return None;
    }
    match part {
        None => Some(Number::from(text.parse::<i64>().ok()?)),
        Some(_) => Number::from_f64(text.parse().ok()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_plainly_a_number_becomes_one() {
        for (text, json) in [("17.85000", "17.85"), ("-3", "-3"), ("0", "0"), ("0.5", "0.5"), ("20", "20")] {
            assert_eq!(value(text, false).to_string(), json);
            assert_eq!(value(text, true), Value::String(text.to_owned()));
        }
        for text in ["", "-", "007", "1e5", "+5", "1.", ".5", "NaN", "inf", "1;2", "12345678901234567890", "OK; 5 ñ"] {
            assert_eq!(value(text, false), Value::String(text.to_owned()));
        }
    }

    #[test]
    fn a_spreadsheet_keeps_texts_whole() {
        let point =
            |secs, value: &str| Point { at: Timestamp::from_secs(secs), value: value.to_owned(), repeat: secs == 1 };
        let body = csv(&[point(0, "a;\"b\",\nc"), point(1, "7.50000")], 3).unwrap();
        let expected = "at,value,repeat\n1970-01-01T00:00:00Z,\"a;\"\"b\"\",\nc\",false\n1970-01-01T00:00:01Z,7.50000,true\n# 3 \
                        earlier values are left out\n";
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }
}
