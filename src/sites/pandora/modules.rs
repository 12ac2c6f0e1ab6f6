//! One agent's modules with values, and one module's series.
//!
//! No call reads the modules of one agent with their values, so each is asked on its own (`module_properties` with
//! fixed fields: without a list it would answer with a plugin's password), four at a time and at most 200, the worst
//! first. A series is asked by its length up to now, because a range from-to is read in the console's own zone.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde::Deserialize;

use super::api::{Api, Op, Reply};
use super::inventory::status;
use super::text::{Rows, Text};
use crate::clock::{Deadline, Timestamp};
use crate::domain::{ErrorCode, SiteError, Status};
use crate::inventory::Inventory;
use crate::sites::{Detail, MOST_MODULES, Module, Point, Tell, Threshold, Unread};

/// A value or description that is longer is not held: pages show lines.
const MAX_TEXT: usize = 64 * 1024;

/// Reads at a time.
const AT_ONCE: usize = 4;

const FIELDS: &str = ";| |module_id_agent_modulo,module_name,module_description,module_data,module_state,\
    module_utimestamp,module_current_interval,module_min_warning,module_max_warning,module_warning_inverse,\
    module_min_critical,module_max_critical,module_critical_inverse";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Row<'a> {
    #[serde(borrow)]
    module_name: Text<'a>,
    #[serde(borrow)]
    module_description: Text<'a>,
    #[serde(borrow)]
    module_data: Text<'a>,
    #[serde(borrow)]
    module_state: Text<'a>,
    #[serde(borrow)]
    module_utimestamp: Text<'a>,
    #[serde(borrow)]
    module_current_interval: Text<'a>,
    #[serde(borrow)]
    module_min_warning: Text<'a>,
    #[serde(borrow)]
    module_max_warning: Text<'a>,
    #[serde(borrow)]
    module_warning_inverse: Text<'a>,
    #[serde(borrow)]
    module_min_critical: Text<'a>,
    #[serde(borrow)]
    module_max_critical: Text<'a>,
    #[serde(borrow)]
    module_critical_inverse: Text<'a>,
}

/// A stretch of time, and when it was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) now: Timestamp,
}

pub(super) async fn detail(
    api: &Api,
    root: usize,
    agent: &str,
    inventory: &Inventory,
    tell: Tell<'_>,
    deadline: Deadline,
) -> Result<Detail, SiteError> {
    let mut planned = inventory.worst_modules(agent, usize::MAX);
    let cut = planned.len().saturating_sub(MOST_MODULES);
    planned.truncate(MOST_MODULES);
    let mut left: BTreeMap<u64, Status> = planned.iter().copied().collect();
    let read = |(id, _)| async move { (id, module(api, root, id, deadline).await) };
    // In any order, so that one that does not come holds up none but itself.
    let mut reads = stream::iter(planned).map(read).buffer_unordered(AT_ONCE);
    let (mut modules, mut failed, mut gone) = (Vec::new(), Vec::new(), 0);
    while let Some((id, read)) = reads.next().await {
        let status = left.remove(&id).unwrap_or(Status::NotInit);
        match read {
            Ok(None) => gone += 1,
            Ok(Some(module)) => {
                tell(&module);
                modules.push((id, module));
            }
            Err(error) => {
                // A refused login holds a worker of the console for 15 s, and what fails each time is not asked on.
                let stop = error.code == ErrorCode::Auth || modules.is_empty() && failed.len() + 1 >= AT_ONCE;
                failed.push((id, status, error));
                if stop {
                    break;
                }
            }
        }
    }
    if let Some((_, _, error)) = failed.first().cloned() {
        if modules.is_empty() && gone == 0 {
            return Err(error);
        }
        failed.extend(left.into_iter().map(|(id, status)| (id, status, error.clone())));
    }
    // Their states may have changed since the inventory.
    modules.sort_by_key(|(id, module)| (module.status.index(), *id));
    failed.sort_by_key(|(id, status, _)| (status.index(), *id));
    let unread = failed.into_iter().map(|(id, status, error)| Unread { id: id.to_string(), status, error });
    Ok(Detail { modules: modules.into_iter().map(|(_, module)| module).collect(), unread: unread.collect(), cut })
}

/// One module; `None` when it is gone since the inventory.
async fn module(api: &Api, root: usize, id: u64, deadline: Deadline) -> Result<Option<Module>, SiteError> {
    if deadline.remaining().is_zero() {
        return Err(SiteError::new(ErrorCode::Timeout, "there was no time left to read it").remedy("allow more time"));
    }
    let text = id.to_string();
    let op = Op::new("module_properties").json().id(&text).other(FIELDS);
    let understand = |body: &[u8]| {
        let rows: Rows<Row<'_>> = serde_json::from_slice(body).ok()?;
        Some(rows.data.into_iter().next().map(|row| of_row(&text, row)))
    };
    match api.small(root, &op, deadline, understand).await? {
        Reply::Value(Some(module)) if module.value.len().max(module.description.len()) > MAX_TEXT => Err(
            SiteError::new(ErrorCode::TooLarge, format!("its value or description is longer than {MAX_TEXT} bytes"))
                .remedy("look at it in the site's console"),
        ),
        Reply::Value(module) => Ok(module),
        // Gone, or not to be read: it does not take the others along, and the inventory still counts it.
        Reply::Sentence(_) => Ok(None),
        empty @ Reply::Empty500 => empty.value(api.login(), "the console"),
    }
}

fn of_row(id: &str, row: Row<'_>) -> Module {
    let reported = row.module_utimestamp.0.parse().ok().filter(|secs: &i64| *secs > 0).map(Timestamp::from_secs);
    let interval = row.module_current_interval.0.parse().ok().filter(|secs| *secs > 0);
    Module {
        id: id.to_owned(),
        name: row.module_name.0.into_owned(),
        status: if reported.is_some() { status(&row.module_state.0) } else { Status::NotInit },
        value: row.module_data.0.into_owned(),
        reported,
        interval: interval.map(Duration::from_secs),
        description: row.module_description.0.into_owned(),
        warning: threshold(&row.module_min_warning, &row.module_max_warning, &row.module_warning_inverse),
        critical: threshold(&row.module_min_critical, &row.module_max_critical, &row.module_critical_inverse),
    }
}

/// Pandora's limits: both 0 means none, an upper end of 0 (or below the lower) means no upper end.
fn threshold(min: &Text<'_>, max: &Text<'_>, inverse: &Text<'_>) -> Option<Threshold> {
    let (min, max): (f64, f64) = (min.0.parse().ok()?, max.0.parse().ok()?);
    let has = min != 0.0 || max != 0.0;
    has.then(|| Threshold { min, max: (max > min).then_some(max), inverse: inverse.0 == "1" })
}

pub(super) async fn series(
    api: &Api,
    root: usize,
    module: &str,
    range: Range,
    deadline: Deadline,
) -> Result<Vec<Point>, SiteError> {
    // A minute more, for clocks that differ.
    let period = range.from.until(range.now).as_secs() + 60;
    let other = format!(";|{period}");
    let op = Op::new("module_data").id(module).other(&other);
    match api.small(root, &op, deadline, points).await? {
        // A module without a stored value answers so.
        Reply::Empty500 => Ok(Vec::new()),
        other => {
            let mut points = other.value(api.login(), "the console")?;
            points.sort_by_key(|point| point.at);
            mark_repeats(&mut points);
            points.retain(|point| point.at >= range.from && point.at <= range.to);
            Ok(points)
        }
    }
}

/// A console stores no value that equals the one before, and prints a row at each interval with the value that held
/// then; the first is such a row, even before the module existed. So a row that equals the one before, and the first,
/// tell of no measurement.
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
        let epoch = line.split_once(';').and_then(|(epoch, value)| Some((epoch.parse::<i64>().ok()?, value)));
        match (epoch, points.last_mut()) {
            (Some((epoch, value)), _) => {
                points.push(Point { at: Timestamp::from_secs(epoch), value: value.to_owned(), repeat: false });
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_separators_and_line_ends() {
        let body = "1795397817;OK; all \"fine\" <b>ñ</b> & ?\n1795398117;two\nlines; here\n1795398417;\n\n";
        let values: Vec<_> = points(body.as_bytes()).unwrap().into_iter().map(|p| (p.at.as_secs(), p.value)).collect();
        assert_eq!(
            values,
            [
                (1_795_397_817, "OK; all \"fine\" <b>ñ</b> & ?".to_owned()),
                (1_795_398_117, "two\nlines; here".to_owned()),
                (1_795_398_417, String::new()),
            ]
        );
        assert_eq!(points(b""), Some(vec![]));
        assert_eq!(points(b"Wrong date format."), None);
    }

    #[test]
    fn what_fills_the_gaps_of_a_recorded_series_is_told_from_what_was_stored() {
        for site in ["s1", "s2", "s3"] {
            let file = format!("tests/fixtures/pandora/{site}-module-data-range.txt");
            let mut points = points(&std::fs::read(file).unwrap()).unwrap();
            mark_repeats(&mut points);
            let stored = |point: &&Point| !point.repeat;
            // One every five minutes, from 1795383567 on, each of another value; the console's rows lie between.
            let times: Vec<i64> = points.iter().filter(stored).map(|point| point.at.as_secs()).collect();
            assert_eq!(times.first(), Some(&1_795_383_567), "{site}");
            assert!(times.windows(2).all(|two| two[1] - two[0] == 300), "{site}");
            assert_eq!(times.len(), 24, "{site}");
        }
    }

    #[test]
    fn a_recorded_module_is_understood() {
        let body = include_bytes!("../../../tests/fixtures/pandora/s1-module-properties-json.json");
        let rows: Rows<Row<'_>> = serde_json::from_slice(body).unwrap();
        let module = of_row("87", rows.data.into_iter().next().unwrap());
        assert_eq!(
            (module.name.as_str(), module.value.as_str(), module.status),
            ("CPU Load", "17.85000", Status::Normal)
        );
        assert_eq!(module.reported, Some(Timestamp::from_secs(1_795_404_681)));
        assert_eq!((module.interval, module.warning), (Some(Duration::from_secs(300)), None));
    }

    #[test]
    fn thresholds_read_as_the_console_means_them() {
        let text = |t: &'static str| Text(t.into());
        let of = |min, max| threshold(&text(min), &text(max), &text("0"));
        assert_eq!(of("0", "0"), None);
        assert_eq!(of("80.00", "95.00"), Some(Threshold { min: 80.0, max: Some(95.0), inverse: false }));
        assert_eq!(of("95.00", "0.00"), Some(Threshold { min: 95.0, max: None, inverse: false }));
    }
}
