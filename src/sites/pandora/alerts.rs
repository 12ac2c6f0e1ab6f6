//! Which agents have a fired alert: one `all_agents` read with the status word `alert_fired`.
//!
//! No call lists fired alerts. This one costs the console what all its agents cost (it computes each status on its own),
//! and answers only those few: the fields `alert_*` of `tree_agents` cost more and answer everything. So it is a read of
//! its own, asked seldom. The console goes by the status it computes, and so do we: where something else decides that
//! status (an old contact, a worse module without a fired alert), it does not tell of the alert.
//!
//! A row without a usable id ends the read: an alert that is missing without a word is worse than none known.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::answer::{self, Login, Sentence};
use super::inventory::{is_id, no_list, stopped_full};
use super::rows::{Oversize, Rest, Rows};
use super::text::Text;
use crate::domain::SiteError;
use crate::inventory::{Fired, Full};
use crate::sites::FiredReading;

/// `other` of the request: any system, any group, the status word.
pub(super) const FILTER: &str = "||alert_fired";

/// What is read of a row of `all_agents`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Row<'a> {
    #[serde(borrow)]
    id_agente: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
}

/// Decodes the answer while it arrives; only ids are kept.
#[derive(Debug)]
pub(super) struct Decoder {
    rows: Rows,
    listed: Listed,
    host: String,
    login: Login,
    content_type: String,
}

#[derive(Debug)]
struct Listed {
    agents: BTreeSet<Box<str>>,
    max_agents: usize,
}

/// Why a row ends the read.
enum Stop {
    /// It is not what was asked for.
    Nonsense,
    Full(Full),
}

impl From<Oversize> for Stop {
    fn from(_: Oversize) -> Self {
        Self::Nonsense
    }
}

impl Decoder {
    /// For an answer with status 200 of this host.
    pub(super) fn new(max_agents: usize, host: &str, content_type: &str, login: Login) -> Self {
        let listed = Listed { agents: BTreeSet::new(), max_agents };
        let (host, content_type) = (host.to_owned(), content_type.to_owned());
        Self { rows: Rows::new(), listed, host, login, content_type }
    }

    /// Takes a piece.
    pub(super) fn feed(&mut self, piece: &[u8]) -> Result<(), SiteError> {
        let listed = &mut self.listed;
        self.rows.feed(piece, &mut |row| listed.row(row)).map_err(|stop| match stop {
            Stop::Nonsense => no_list(&self.host),
            Stop::Full(full) => stopped_full(full, &self.host),
        })
    }

    /// All bytes have come: the agents, or what the answer was instead.
    pub(super) fn finish(self) -> Result<FiredReading, SiteError> {
        let unexpected = |text: &[u8]| Err(answer::unexpected(200, &self.content_type, text, self.login, &self.host));
        match self.rows.finish() {
            Rest::Truncated => Err(answer::broken_off(&self.host)),
            // The only way in which a console says that there is none.
            Rest::Prose(text) if answer::sentence(&text) == Some(Sentence::Nothing) => Ok(reading(BTreeSet::new())),
            Rest::Prose(text) => unexpected(&text),
            Rest::Envelope { text, .. } => {
                let parsed: Result<serde_json::Value, _> = serde_json::from_slice(&text);
                match parsed.as_ref().map(|envelope| envelope.get("data")) {
                    Ok(Some(serde_json::Value::Array(rest))) if rest.is_empty() => Ok(reading(self.listed.agents)),
                    _ if answer::sentence(&text) == Some(Sentence::Nothing) => Ok(reading(BTreeSet::new())),
                    _ => unexpected(&text),
                }
            }
        }
    }
}

fn reading(agents: BTreeSet<Box<str>>) -> FiredReading {
    FiredReading { fired: Fired::new(agents).into() }
}

impl Listed {
    fn row(&mut self, row: &[u8]) -> Result<(), Stop> {
        let row: Row<'_> = serde_json::from_slice(row).map_err(|_| Stop::Nonsense)?;
        let id = row.id_agente.0.as_ref();
        if !is_id(id) {
            return Err(Stop::Nonsense);
        }
        // A console that does not know the filter answers everybody, with a status that says so.
        if !matches!(row.status.0.as_ref(), "0" | "1" | "2" | "3" | "5") {
            self.agents.insert(id.into());
        }
        if self.agents.len() > self.max_agents {
            return Err(Stop::Full(Full::Agents(self.agents.len())));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ErrorCode;

    fn decode(text: &[u8], at_once: usize) -> Result<Vec<String>, SiteError> {
        let mut decoder = Decoder::new(4, "madrid", "application/json", Login::Token);
        for piece in text.chunks(at_once) {
            decoder.feed(piece)?;
        }
        Ok(decoder.finish()?.fired.agents().map(str::to_owned).collect())
    }

    #[test]
    fn recorded_answers_are_understood_however_they_arrive() {
        let some = include_bytes!("../../../tests/fixtures/pandora/s1-all-agents-status-alert_fired.json");
        // The sentence for no hits is the same for any status word.
        let none = include_bytes!("../../../tests/fixtures/pandora/s1-all-agents-status-bogus.txt");
        for at_once in [1, 7, 1 << 20] {
            assert_eq!(decode(some, at_once).unwrap(), ["6"]);
            assert_eq!(decode(none, at_once).unwrap(), Vec::<String>::new());
        }
    }

    #[test]
    fn a_console_that_does_not_filter_says_it_by_the_status() {
        let row = |id: &str, status: &str| format!(r#"{{"id_agente":{id},"alias":"a","status":{status}}}"#);
        let rows: Vec<_> = ["0", "1", "2", "3", "5"].iter().map(|status| row("\"9\"", status)).collect();
        let fired = ["4", "100", "\"200\"", "300"].iter().zip(1..).map(|(status, id)| row(&id.to_string(), status));
        let rows: Vec<_> = rows.into_iter().chain(fired).collect();
        let text = format!(r#"{{"type":"array","data":[{}]}}"#, rows.join(","));
        assert_eq!(decode(text.as_bytes(), 11).unwrap(), ["1", "2", "3", "4"]);
    }

    #[test]
    fn what_is_no_such_list_is_an_error() {
        let list = |rows: &str| format!(r#"{{"type":"array","data":[{rows}]}}"#);
        let many: Vec<_> = (0..5).map(|id| format!(r#"{{"id_agente":"{id}","status":4}}"#)).collect();
        for (text, code) in [
            (list(r#"{"id_agente":"../6","status":4}"#), ErrorCode::BadAnswer),
            (list(r#"{"alias":"x","status":4}"#), ErrorCode::BadAnswer),
            (list(r#"{"id_agente":{},"status":4}"#), ErrorCode::BadAnswer),
            (r#"{"type":"array","data":[{"id_agente":"6","status":4}"#.to_owned(), ErrorCode::BadAnswer),
            (r#"{"type":"array","data":7}"#.to_owned(), ErrorCode::BadAnswer),
            ("<html><form><input type=\"password\">".to_owned(), ErrorCode::BadAnswer),
            ("auth error".to_owned(), ErrorCode::Auth),
            ("The user has not enough permissions for perform this action.".to_owned(), ErrorCode::Forbidden),
            (String::new(), ErrorCode::BadAnswer),
            (list(&many.join(",")), ErrorCode::TooLarge),
        ] {
            for at_once in [3, 1 << 20] {
                assert_eq!(decode(text.as_bytes(), at_once).unwrap_err().code, code, "{text}");
            }
        }
    }
}
