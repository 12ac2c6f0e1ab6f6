//! Which agents have a fired alert: `tree_agents` with fields of alerts.
//!
//! The console's own list (`all_agents` with the status word `alert_fired`) goes by the status it computes and is wrong:
//! it leaves out agents whose status something else decides (a worse module, an old contact), and has agents whose alert
//! was switched off after it had fired. All three were seen on 776 and 1.0.0. So every alert is read, which asks one more
//! query of the console for each module: a read of its own, made seldom.
//!
//! A fired alert is one that is on, has fired and not ceased, at an enabled module of an enabled agent. In the answer
//! alerts follow their module, and modules name their agent. A row that is not understood ends the read: an alert that is
//! missing without a word is worse than none known.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::answer::{self, Login};
use super::inventory::{is_id, no_list, stopped_full};
use super::rows::{Oversize, Rest, Rows};
use super::text::Text;
use crate::domain::SiteError;
use crate::inventory::{Fired, Full};
use crate::sites::FiredReading;

/// `other` of the request: what is asked of each row.
pub(super) const FIELDS: &str = ";| |agent_disabled,module_id_agent,module_disabled,module_delete_pending,\
    alert_times_fired,alert_disabled";

/// What is read of a row, of whatever kind.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Row<'a> {
    #[serde(borrow)]
    type_row: Text<'a>,
    #[serde(borrow)]
    agent_disabled: Text<'a>,
    #[serde(borrow)]
    module_id_agent: Text<'a>,
    #[serde(borrow)]
    module_disabled: Text<'a>,
    #[serde(borrow)]
    module_delete_pending: Text<'a>,
    #[serde(borrow)]
    alert_times_fired: Text<'a>,
    #[serde(borrow)]
    alert_disabled: Text<'a>,
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

/// The walk through the tree.
#[derive(Debug)]
struct Listed {
    agents: BTreeSet<Box<str>>,
    max_agents: usize,
    agent_disabled: bool,
    module: Module,
}

/// What the next alerts are of.
#[derive(Debug)]
enum Module {
    /// Nothing yet.
    None,
    /// One whose alerts do not count.
    Off,
    /// One of this agent.
    Of(Box<str>),
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
        let listed = Listed { agents: BTreeSet::new(), max_agents, agent_disabled: false, module: Module::None };
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
            Rest::Prose(text) => unexpected(&text),
            Rest::Envelope { text, .. } => {
                let parsed: Result<serde_json::Value, _> = serde_json::from_slice(&text);
                match parsed.as_ref().map(|envelope| envelope.get("data")) {
                    Ok(Some(serde_json::Value::Array(rest))) if rest.is_empty() => {
                        Ok(FiredReading { fired: Fired::new(self.listed.agents).into() })
                    }
                    _ => unexpected(&text),
                }
            }
        }
    }
}

impl Listed {
    fn row(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        match serde_json::from_slice(bytes) {
            Ok(row) => self.take(&row),
            // Bytes that are no UTF-8, or halves of characters, are in no field of ours.
            Err(_) => self.take(&serde_json::from_str(&String::from_utf8_lossy(bytes)).map_err(|_| Stop::Nonsense)?),
        }
    }

    fn take(&mut self, row: &Row<'_>) -> Result<(), Stop> {
        match row.type_row.0.as_ref() {
            "group" => (self.agent_disabled, self.module) = (false, Module::None),
            "agent" => (self.agent_disabled, self.module) = (row.agent_disabled.is_set(), Module::None),
            "module" => {
                let agent = row.module_id_agent.0.as_ref();
                if !is_id(agent) {
                    return Err(Stop::Nonsense);
                }
                let off = self.agent_disabled || row.module_disabled.is_set() || row.module_delete_pending.is_set();
                self.module = if off { Module::Off } else { Module::Of(agent.into()) };
            }
            "alert" => return self.alert(row),
            _ => return Err(Stop::Nonsense),
        }
        Ok(())
    }

    fn alert(&mut self, row: &Row<'_>) -> Result<(), Stop> {
        let times = row.alert_times_fired.0.parse::<i64>().map_err(|_| Stop::Nonsense)?;
        if times <= 0 || row.alert_disabled.is_set() {
            return Ok(());
        }
        match &self.module {
            Module::None => return Err(Stop::Nonsense),
            Module::Off => {}
            Module::Of(agent) if self.agents.contains(agent) => {}
            Module::Of(agent) => {
                self.agents.insert(agent.clone());
            }
        }
        if self.agents.len() > self.max_agents {
            return Err(Stop::Full(Full::Agents(self.agents.len())));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::checks;
    use super::*;
    use crate::domain::ErrorCode;

    fn decode_most(text: &[u8], at_once: usize, max_agents: usize) -> Result<Vec<u64>, SiteError> {
        let mut decoder = Decoder::new(max_agents, "madrid", "application/json", Login::Token);
        for piece in text.chunks(at_once) {
            decoder.feed(piece)?;
        }
        let mut ids: Vec<u64> = decoder.finish()?.fired.agents().map(|id| id.parse().unwrap()).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    fn decode(text: &[u8], at_once: usize) -> Result<Vec<u64>, SiteError> {
        decode_most(text, at_once, 1000)
    }

    fn list(rows: &[&str]) -> String {
        format!(r#"{{"type":"array","data":[{}]}}"#, rows.join(","))
    }

    #[test]
    fn on_consoles_with_odd_agents_exactly_those_with_a_fired_alert_are_found() {
        let trees = [
            &include_bytes!("../../../tests/fixtures/pandora/odd-776-tree-alerts.json")[..],
            &include_bytes!("../../../tests/fixtures/pandora/odd-open-tree-alerts.json")[..],
        ];
        for tree in trees {
            for at_once in [7, 1 << 20] {
                let fired = decode(tree, at_once).unwrap();
                // The status of 38 and 40 is decided by something else; the alert of 41 is switched off.
                assert!(fired.contains(&38) && fired.contains(&40) && !fired.contains(&41), "{fired:?}");
                assert_eq!(fired, [34, 35, 36, 37, 38, 39, 40]);
            }
        }
    }

    #[test]
    fn an_alert_counts_when_it_is_on_and_its_module_and_agent_are() {
        let rows = [
            r#"{"group_id":"2","disabled":"0","type_row":"group"}"#,
            r#"{"agent_id":"1","agent_disabled":"0","type_row":"agent"}"#,
            r#"{"module_id_agent":"1","module_disabled":"0","module_delete_pending":"0","type_row":"module"}"#,
            r#"{"alert_times_fired":"0","alert_disabled":"0","type_row":"alert"}"#,
            r#"{"alert_times_fired":"2","alert_disabled":"1","type_row":"alert"}"#,
            r#"{"agent_id":"2","alias":"\udc00","agent_disabled":"0","type_row":"agent"}"#,
            r#"{"module_id_agent":"2","module_disabled":"1","module_delete_pending":"0","type_row":"module"}"#,
            r#"{"alert_times_fired":"2","alert_disabled":"0","type_row":"alert"}"#,
            r#"{"module_id_agent":"2","module_disabled":"0","module_delete_pending":"1","type_row":"module"}"#,
            r#"{"alert_times_fired":2,"alert_disabled":"0","type_row":"alert"}"#,
            r#"{"module_id_agent":2,"module_disabled":"0","module_delete_pending":"0","type_row":"module"}"#,
            r#"{"alert_times_fired":3,"alert_disabled":0,"type_row":"alert"}"#,
            r#"{"agent_id":"3","agent_disabled":"1","type_row":"agent"}"#,
            r#"{"module_id_agent":"3","module_disabled":"0","module_delete_pending":"0","type_row":"module"}"#,
            r#"{"alert_times_fired":"1","alert_disabled":"0","type_row":"alert"}"#,
        ];
        assert_eq!(decode(list(&rows).as_bytes(), 11).unwrap(), [2]);
        assert_eq!(decode(list(&[]).as_bytes(), 11).unwrap(), Vec::<u64>::new());
    }

    #[test]
    fn what_is_no_such_list_is_an_error() {
        let many = |fired: &str| -> String {
            let modules = (0..5).map(|id| format!(r#"{{"module_id_agent":"{id}","type_row":"module"}},{fired}"#));
            list(&[&modules.collect::<Vec<_>>().join(",")])
        };
        let fired = r#"{"alert_times_fired":"1","alert_disabled":"0","type_row":"alert"}"#;
        for (text, code) in [
            // An alert of nobody, of something that is no agent, one that does not say whether it has fired.
            (list(&[fired]), ErrorCode::BadAnswer),
            (list(&[r#"{"module_id_agent":"../6","type_row":"module"}"#]), ErrorCode::BadAnswer),
            (list(&[r#"{"type_row":"module"}"#]), ErrorCode::BadAnswer),
            (
                list(&[r#"{"module_id_agent":"6","type_row":"module"}"#, r#"{"type_row":"alert"}"#]),
                ErrorCode::BadAnswer,
            ),
            // A row of no known kind.
            (list(&[r#"{"id_agente":"6","status":4}"#]), ErrorCode::BadAnswer),
            (r#"{"type":"array","data":[{"type_row":"group"}"#.to_owned(), ErrorCode::BadAnswer),
            (r#"{"type":"array","data":7}"#.to_owned(), ErrorCode::BadAnswer),
            ("<html><form><input type=\"password\">".to_owned(), ErrorCode::BadAnswer),
            ("auth error".to_owned(), ErrorCode::Auth),
            ("The user has not enough permissions for perform this action.".to_owned(), ErrorCode::Forbidden),
            (String::new(), ErrorCode::BadAnswer),
            (many(fired), ErrorCode::TooLarge),
        ] {
            for at_once in [3, 1 << 20] {
                assert_eq!(decode_most(text.as_bytes(), at_once, 4).unwrap_err().code, code, "{text}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_list_or_refused_however_they_arrive(
            body in crate::sites::pandora::garbage::of(&[
                include_bytes!("../../../tests/fixtures/pandora/odd-776-tree-alerts.json"),
                br#"{"type":"array","data":[{"module_id_agent":"1","type_row":"module"},{"alert_times_fired":"1","alert_disabled":"0","type_row":"alert"}]}"#,
            ]),
            at_once in 1usize..50,
        ) {
            checks::alerts(&body, at_once);
        }
    }
}
