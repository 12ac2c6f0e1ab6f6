//! A module's values over a stretch of time (`module_data`), and which of them say nothing new.
//!
//! The console reads `YYYYMMDDTHH:MM` in its own zone, unless the instant names another: what follows the `T` goes to
//! PHP's `DateTime`, so `…T17:00:00Z` is UTC on every console (the source of 772 and 776 is the same there; 776 and 1.0.0
//! were asked). A stretch that ends now is asked by its length, which has no zone either and no clock of ours in it: rows
//! behind the console's own now are empty.
//!
//! The console fills gaps: from the first instant on it gives a row at every interval of the module with the value that
//! held then, even before the module existed, and the stored values between them. A value that does not change is not
//! stored again. An empty one means that the module was silent. Values come as they are stored, separators included.

use serde::Deserialize;

use super::answer::{self, Sentence};
use super::api::{Api, Op, Reply};
use super::modules::is_text;
use super::text::{Rows, Text};
use crate::clock::{Deadline, Timestamp};
use crate::domain::{ErrorCode, SiteError};
use crate::sites::{Point, Series};

/// Clocks differ by less, in seconds.
const SKEW: i64 = 60;

/// What a console says to an instant that it cannot read.
const WRONG_DATE: &[u8] = b"Wrong date format.";

/// A stretch of time, and when it was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) now: Timestamp,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Row<'a> {
    #[serde(borrow)]
    module_id_module_type: Text<'a>,
}

/// What an answer to a stretch is.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    Points(Vec<Point>),
    /// The console does not read instants as we write them.
    WrongDate,
}

pub(super) async fn series(
    api: &Api,
    root: usize,
    module: &str,
    range: Range,
    deadline: Deadline,
) -> Result<Series, SiteError> {
    let text = kind(api, root, module, deadline).await?;
    let (from, to, now) = (range.from.as_secs(), range.to.as_secs(), range.now.as_secs());
    // A minute more, for clocks that differ.
    let by_length = format!(";|{}", now.saturating_sub(from).max(0).saturating_add(SKEW));
    let mut points = None;
    if to < now.saturating_sub(SKEW) {
        let by_instants = format!(";||{}|{}", utc(from), utc(to));
        points = match read(api, root, module, &by_instants, deadline).await? {
            // It begins with the first instant; another one was understood otherwise.
            Answer::Points(points) if points.first().is_none_or(|first| first.at.as_secs() == from) => Some(points),
            Answer::Points(_) | Answer::WrongDate => None,
        };
    }
    let mut points = match points {
        Some(points) => points,
        None => match read(api, root, module, &by_length, deadline).await? {
            Answer::Points(points) => points,
            Answer::WrongDate => return Err(not_read()),
        },
    };
    mark_repeats(&mut points);
    points.retain(|point| (from..=to).contains(&point.at.as_secs()));
    Ok(Series { points, text })
}

/// Whether its values are text.
async fn kind(api: &Api, root: usize, module: &str, deadline: Deadline) -> Result<bool, SiteError> {
    let op = Op::new("module_properties").json().id(module).other(";| |module_id_module_type");
    let understand = |body: &[u8]| {
        let rows: Rows<Row<'_>> = serde_json::from_slice(body).ok()?;
        Some(is_text(&rows.data.first()?.module_id_module_type))
    };
    api.small(root, &op, deadline, understand).await?.value(api.login(), "the console")
}

/// Oldest first.
async fn read(api: &Api, root: usize, module: &str, stretch: &str, deadline: Deadline) -> Result<Answer, SiteError> {
    let op = Op::new("module_data").id(module).other(stretch);
    match api.small(root, &op, deadline, understand).await? {
        // A module without a stored value answers so.
        Reply::Empty500 => Ok(Answer::Points(Vec::new())),
        Reply::Sentence(sentence @ Sentence::UnknownId) => {
            Err(answer::of_sentence(sentence, api.login(), "the console"))
        }
        other => other.value(api.login(), "the console"),
    }
}

fn not_read() -> SiteError {
    SiteError::new(ErrorCode::BadAnswer, "the console does not read a length in seconds")
        .remedy("consoles from 7.0NG.772 on were seen to work; update an older one")
}

/// `20261123T17:00:00Z`
fn utc(secs: i64) -> String {
    Timestamp::from_secs(secs).to_string().replace('-', "")
}

pub(super) fn understand(body: &[u8]) -> Option<Answer> {
    if body.trim_ascii() == WRONG_DATE {
        return Some(Answer::WrongDate);
    }
    let mut points = points(body)?;
    // Of two at one instant the one that fills a gap comes first, and stays there.
    points.sort_by_key(|point| point.at);
    Some(Answer::Points(points))
}

/// A row that equals the one before, and the first, which is filled in, tell of no new value.
fn mark_repeats(points: &mut [Point]) {
    let mut before: Option<&str> = None;
    for point in points {
        point.repeat = before.is_none_or(|before| before == point.value);
        before = Some(&point.value);
    }
}

/// `epoch;value` a line. A value may hold the separator and line ends: a line that does not begin with an epoch
/// goes on with the value before it.
fn points(body: &[u8]) -> Option<Vec<Point>> {
    let text = std::str::from_utf8(body).ok()?;
    let mut points: Vec<Point> = Vec::new();
    for line in text.lines() {
        match (epoch(line), points.last_mut()) {
            (Some((at, value)), _) => points.push(Point { at, value: value.to_owned(), repeat: false }),
            (None, Some(last)) => {
                last.value.push('\n');
                last.value.push_str(line);
            }
            (None, None) if line.trim().is_empty() => {}
            (None, None) => return None,
        }
    }
    for point in &mut points {
        point.value.truncate(point.value.trim_end_matches('\n').len());
    }
    Some(points)
}

/// A line's instant and what follows it. Ten digits or a few less or more: a shorter number begins a line of a value.
fn epoch(line: &str) -> Option<(Timestamp, &str)> {
    let (epoch, value) = line.split_once(';')?;
    let plain = (9..=11).contains(&epoch.len()) && epoch.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| epoch.parse().ok()).flatten().map(|secs| (Timestamp::from_secs(secs), value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::checks;
    use super::*;

    fn recorded(case: &str) -> Vec<u8> {
        std::fs::read(format!("tests/fixtures/pandora/{case}")).unwrap()
    }

    fn marked(body: &[u8]) -> Vec<Point> {
        let Some(Answer::Points(mut points)) = understand(body) else { panic!("no points") };
        mark_repeats(&mut points);
        points
    }

    #[test]
    fn values_keep_separators_and_line_ends() {
        let body = "1795397817;OK; all \"fine\" <b>ñ</b> & ?\n1795398117;two\nlines; here\n7;three\n1795398417;\n\n";
        let values: Vec<_> = points(body.as_bytes()).unwrap().into_iter().map(|p| (p.at.as_secs(), p.value)).collect();
        assert_eq!(
            values,
            [
                (1_795_397_817, "OK; all \"fine\" <b>ñ</b> & ?".to_owned()),
                (1_795_398_117, "two\nlines; here\n7;three".to_owned()),
                (1_795_398_417, String::new()),
            ]
        );
        assert_eq!(points(b""), Some(vec![]));
        assert_eq!(understand(b"Wrong date format."), Some(Answer::WrongDate));
        assert_eq!(understand(b"<html>1795397817;5"), None);
        assert_eq!(utc(1_795_453_200), "20261123T17:00:00Z");
    }

    #[test]
    fn what_fills_the_gaps_of_a_recorded_series_is_told_from_what_was_stored() {
        for site in ["s1", "s2", "s3"] {
            let points = marked(&recorded(&format!("{site}-module-data-range.txt")));
            // One every five minutes, from 1795383567 on, each of another value; the console's rows lie between.
            let stored = |point: &&Point| !point.repeat;
            let times: Vec<i64> = points.iter().filter(stored).map(|point| point.at.as_secs()).collect();
            assert_eq!(times.first(), Some(&1_795_383_567), "{site}");
            assert!(times.windows(2).all(|two| two[1] - two[0] == 300), "{site}");
            assert_eq!((times.len(), points.len()), (24, 48), "{site}");
            // Of a value that did not change nothing is new.
            let points = marked(&recorded(&format!("{site}-module-data-string-module.txt")));
            assert!(points.len() > 20 && points.iter().all(|point| point.repeat), "{site}");
            assert!(points.iter().all(|point| point.value == "OK; all \"fine\" <b>ñ</b> & ?"), "{site}");
        }
    }

    #[test]
    fn silence_and_its_end_are_new() {
        let body = "1795383300;2\n1795383600;2\n1795383700;\n1795383900;\n1795384000;2\n1795384200;2\n";
        let repeats: Vec<bool> = marked(body.as_bytes()).iter().map(|point| point.repeat).collect();
        assert_eq!(repeats, [true, true, false, true, false, true]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_points_in_order_or_refused(body in crate::sites::pandora::garbage::of(&[
            &b"1795397817;OK; all \"fine\"\n1795398117;two\nlines\n"[..],
            include_bytes!("../../../tests/fixtures/pandora/s2-module-data-range.txt"),
        ])) {
            checks::points(&body);
        }

        #[test]
        fn what_a_console_writes_is_read_back(values in proptest::collection::vec("[ -~ñ;]{0,12}", 0..20)) {
            let lines: String =
                values.iter().zip(0..).map(|(value, n)| format!("{};{value}\n", 1_795_397_817 + n * 60)).collect();
            let read = points(lines.as_bytes()).unwrap();
            prop_assert_eq!(read.into_iter().map(|point| point.value).collect::<Vec<_>>(), values);
        }
    }
}
