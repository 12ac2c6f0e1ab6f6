//! What happened at a console: `op2=events`, newest first.
//!
//! Only limit and offset are asked for. The console's filter by time formats epochs with a twelve-hour clock, so it loses
//! whole afternoons; its filter by agent takes an alias only, which several agents may share. Rows of one second are in
//! no order. Texts come decoded in JSON, and the date in a row is of the data server's zone: only its epoch is used.

use serde::Deserialize;

use super::api::{Api, Op};
use super::inventory::is_id;
use super::text::{Rows, Text};
use crate::clock::{Deadline, Timestamp};
use crate::domain::SiteError;
use crate::sites::{Event, Events};

/// By the number in `criticity`.
const SEVERITIES: [&str; 7] = ["maintenance", "informational", "normal", "warning", "critical", "minor", "major"];

/// By the number in `estado`.
const STATES: [&str; 3] = ["new", "validated", "in_process"];

/// Texts are cut here; the console's own forms hold fewer.
pub(super) const MAX_TEXT: usize = 8 * 1024;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Row<'a> {
    #[serde(borrow)]
    id_evento: Text<'a>,
    #[serde(borrow)]
    id_agente: Text<'a>,
    #[serde(borrow)]
    id_agentmodule: Text<'a>,
    #[serde(borrow)]
    utimestamp: Text<'a>,
    #[serde(borrow)]
    event_type: Text<'a>,
    #[serde(borrow)]
    evento: Text<'a>,
    #[serde(borrow)]
    criticity: Text<'a>,
    #[serde(borrow)]
    estado: Text<'a>,
}

pub(super) async fn events(
    api: &Api,
    root: usize,
    offset: u64,
    limit: u64,
    deadline: Deadline,
) -> Result<Events, SiteError> {
    let other = format!(";||||||||||{limit}|{offset}");
    let op = Op::new("events").json().other(&other);
    api.small(root, &op, deadline, understand).await?.value(api.login(), "the console")
}

pub(super) fn understand(body: &[u8]) -> Option<Events> {
    let rows: Rows<Row<'_>> = serde_json::from_slice(body).ok()?;
    let sent = u64::try_from(rows.data.len()).ok()?;
    Some(Events { sent, events: rows.data.into_iter().filter_map(of_row).collect() })
}

fn of_row(row: Row<'_>) -> Option<Event> {
    let word = |words: &[&'static str], number: &Text<'_>| words.get(number.0.parse::<usize>().ok()?).copied();
    let id = |text: Text<'_>| (text.is_set() && is_id(&text.0)).then(|| text.0.into_owned());
    let mut text = row.evento.0.into_owned();
    text.truncate(text.floor_char_boundary(MAX_TEXT));
    Some(Event {
        id: row.id_evento.0.parse().ok()?,
        at: row.utimestamp.0.parse().ok().filter(|secs| *secs > 0).map(Timestamp::from_secs)?,
        kind: row.event_type.0.chars().take(63).collect(),
        severity: word(&SEVERITIES, &row.criticity),
        text,
        agent: id(row.id_agente),
        module: id(row.id_agentmodule),
        state: word(&STATES, &row.estado),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::checks;
    use super::*;

    #[test]
    fn recorded_events_are_understood() {
        let body = include_bytes!("../../../tests/fixtures/pandora/s2-events-limit5.json");
        let read = understand(body).unwrap();
        assert_eq!((read.sent, read.events.len()), (5, 5));
        let first = Event {
            id: 398,
            at: Timestamp::from_secs(1_795_405_094),
            kind: "system".to_owned(),
            severity: Some("critical"),
            text: "lab-s2 dataserver going DOWN".to_owned(),
            agent: None,
            module: None,
            state: Some("new"),
        };
        assert_eq!(read.events[0], first);
        let s1 = understand(include_bytes!("../../../tests/fixtures/pandora/s1-events-limit5.json")).unwrap();
        assert_eq!(s1.events[3].text, "Module 'Temp ambiente °C' is going to UNKNOWN");
        assert_eq!(s1.events[4].text, "Module 'Log & <errors>' is going to UNKNOWN");
        assert_eq!((s1.events[4].agent.as_deref(), s1.events[4].module.as_deref()), (Some("3"), Some("14")));
        let none = include_bytes!("../../../tests/fixtures/pandora/s1-events-zero.json");
        assert_eq!(understand(none), Some(Events::default()));
    }

    #[test]
    fn a_row_that_cannot_be_used_costs_only_itself() {
        let read =
            understand(br#"{"data":[{"id_evento":"x"},{"id_evento":7,"utimestamp":9,"criticity":99}]}"#).unwrap();
        assert_eq!((read.sent, read.events.len()), (2, 1));
        assert_eq!((read.events[0].id, read.events[0].severity, read.events[0].state), (7, None, None));
        // What is no id is none, however long.
        let body = format!(
            r#"{{"data":[{{"id_evento":7,"utimestamp":9,"id_agente":"{}","id_agentmodule":"x"}}]}}"#,
            "1".repeat(99)
        );
        let event = &understand(body.as_bytes()).unwrap().events[0];
        assert_eq!((&event.agent, &event.module), (&None, &None));
    }

    proptest! {
        #[test]
        fn any_bytes_are_events_or_refused(body in crate::sites::pandora::garbage::of(&[
            include_bytes!("../../../tests/fixtures/pandora/s1-events-limit5.json"),
            include_bytes!("../../../tests/fixtures/pandora/s2-events-limit5.json"),
        ])) {
            checks::happened(&body);
        }
    }
}
