//! Planned work (`all_planned_downtimes`), read at most every ten minutes: it is made by hand and changes seldom.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::answer::Sentence;
use super::api::{Api, Op, Reply};
use super::text::{Rows, Text};
use crate::clock::{Deadline, Stopwatch, Timestamp};
use crate::domain::{ErrorCode, SiteError};
use crate::sites::{PlannedWork, When};

/// Not read again sooner.
const INTERVAL: Duration = Duration::from_secs(600);

/// What was read last, well or not. Held while reading, so that two who ask cause one read.
#[derive(Debug, Default)]
pub(super) struct Planned {
    last: Mutex<Option<Last>>,
}

#[derive(Debug)]
struct Last {
    age: Stopwatch,
    result: Result<Arc<[PlannedWork]>, SiteError>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Row<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    description: Text<'a>,
    #[serde(borrow)]
    date_from: Text<'a>,
    #[serde(borrow)]
    date_to: Text<'a>,
    #[serde(borrow)]
    id_group: Text<'a>,
    #[serde(borrow)]
    type_execution: Text<'a>,
}

impl Planned {
    pub(super) async fn get(&self, api: &Api, deadline: Deadline) -> Result<Arc<[PlannedWork]>, SiteError> {
        let late = |_| SiteError::new(ErrorCode::Timeout, "planned work is being read and did not come in time");
        let mut last = tokio::time::timeout_at(deadline.instant(), self.last.lock()).await.map_err(late)?;
        if let Some(last) = last.as_ref().filter(|last| last.age.elapsed() < INTERVAL) {
            return last.result.clone();
        }
        let ask = |root, deadline| read(api, root, deadline).boxed();
        let result = api.http.in_turn(deadline, ask).await.map(Arc::from);
        *last = Some(Last { age: Stopwatch::start(), result: result.clone() });
        result
    }
}

async fn read(api: &Api, root: usize, deadline: Deadline) -> Result<Vec<PlannedWork>, SiteError> {
    // An empty name in list form means all of them.
    let op = Op::new("all_planned_downtimes").json().other("|");
    match api.small(root, &op, deadline, decode).await? {
        Reply::Sentence(Sentence::Nothing) => Ok(Vec::new()),
        other => other.value(api.login(), "the console"),
    }
}

fn decode(body: &[u8]) -> Option<Vec<PlannedWork>> {
    let rows: Rows<Row<'_>> = serde_json::from_slice(body).ok()?;
    Some(rows.data.into_iter().map(work).collect())
}

fn work(row: Row<'_>) -> PlannedWork {
    let instant = |text: &Cow<'_, str>| text.parse().ok().map(Timestamp::from_secs);
    let once = row.type_execution.0 == "once";
    let when = match (instant(&row.date_from.0), instant(&row.date_to.0)) {
        (Some(from), Some(to)) if once => When::Once { from, to },
        _ => When::Recurring,
    };
    PlannedWork {
        id: row.id.0.into_owned(),
        name: row.name.0.into_owned(),
        description: row.description.0.into_owned(),
        group: row.id_group.0.into_owned(),
        when,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_list_is_understood() {
        let body = include_bytes!("../../../tests/fixtures/pandora/s1-planned-downtimes-json.json");
        let work = decode(body).unwrap();
        assert_eq!(work.len(), 2);
        assert_eq!((work[0].name.as_str(), work[0].description.as_str()), ("Ventana cañón", "mensual; &"));
        let (from, to) = (Timestamp::from_secs(1_795_404_079), Timestamp::from_secs(1_795_411_879));
        assert_eq!(work[0].when, When::Once { from, to });
        assert_eq!((work[1].group.as_str(), &work[1].when), ("20", &When::Recurring));
    }
}
