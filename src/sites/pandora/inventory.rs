//! The inventory of a console: one `tree_agents` read, decoded while it arrives.
//!
//! `tree_agents` is the cheapest complete read (a tenth of `all_agents`, which computes each status on its own).
//! It walks groups, agents and modules, so agents come back under each of their groups and are merged by id. It
//! also holds what must not count, with no filter for it: disabled agents, disabled modules and modules pending
//! deletion. No `alert_*` field is asked, which would make the read ten times as dear, and no field of a plugin or
//! of SNMP, which would answer with secrets.
//!
//! Status comes from the modules' own state and epoch, not from the console's computed one, which depends on three
//! time zones agreeing. A module that has never reported (`utimestamp` 0) is `not_init`, whatever its state says:
//! the console judges so too.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

use super::answer::{self, Login};
use super::rows::{Oversize, Rest, Rows};
use crate::domain::{ErrorCode, SiteError, Status};
use crate::inventory::{AgentText, Builder, Full};

/// `other` of the request: separator, replacement, the fields.
pub(super) const FIELDS: &str = ";| |type_row,group_id,group_name,agent_id,alias,agent_name,agent_direction,\
    agent_disabled,agent_id_os,agent_id_group,module_id_agent,module_id_agent_modulo,module_state,module_utimestamp,\
    module_disabled,module_delete_pending";

/// A row of any kind. Consoles write numbers as strings; both are taken. What was not asked for may be absent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Row<'a> {
    #[serde(borrow)]
    type_row: Text<'a>,
    #[serde(borrow)]
    group_id: Text<'a>,
    #[serde(borrow)]
    group_name: Text<'a>,
    #[serde(borrow)]
    agent_id: Text<'a>,
    #[serde(borrow)]
    alias: Text<'a>,
    #[serde(borrow)]
    agent_name: Text<'a>,
    #[serde(borrow)]
    agent_direction: Text<'a>,
    #[serde(borrow)]
    agent_disabled: Text<'a>,
    #[serde(borrow)]
    agent_id_os: Text<'a>,
    #[serde(borrow)]
    agent_id_group: Text<'a>,
    #[serde(borrow)]
    module_id_agent: Text<'a>,
    #[serde(borrow)]
    module_id_agent_modulo: Text<'a>,
    #[serde(borrow)]
    module_state: Text<'a>,
    #[serde(borrow)]
    module_utimestamp: Option<Text<'a>>,
    #[serde(borrow)]
    module_disabled: Text<'a>,
    #[serde(borrow)]
    module_delete_pending: Text<'a>,
}

/// A text, a number, a boolean (as 1 or 0) or null (as empty), borrowed where it can be.
#[derive(Debug, Default)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl Text<'_> {
    fn is_set(&self) -> bool {
        !matches!(self.0.as_ref(), "" | "0")
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a number")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(number.to_string())))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(number.to_string())))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(number.to_string())))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(if value { "1" } else { "0" })))
            }
            fn visit_unit<E>(self) -> Result<Text<'de>, E> {
                Ok(Text::default())
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// Decodes the answer piece by piece.
#[derive(Debug)]
pub(super) struct Decoder {
    rows: Rows,
    tree: Tree,
    host: String,
    login: Login,
    status: u16,
    content_type: String,
}

/// The walk through groups, agents and modules so far.
#[derive(Debug)]
struct Tree {
    builder: Builder,
    group: Option<u32>,
    group_key: String,
    /// The agent whose row came last; `None` when it is disabled or could not be used.
    agent: Option<u32>,
    disabled: HashSet<Box<str>>,
}

/// Why a row ends the read.
enum Stop {
    Size(Oversize),
    Full(Full),
    /// A row is no JSON object.
    Json,
}

impl From<Oversize> for Stop {
    fn from(size: Oversize) -> Self {
        Self::Size(size)
    }
}

impl Decoder {
    pub(super) fn new(max_agents: usize, answer: &crate::sites::http::Answer, login: Login) -> Self {
        let tree = Tree {
            builder: Builder::new(max_agents),
            group: None,
            group_key: String::new(),
            agent: None,
            disabled: HashSet::new(),
        };
        Self {
            rows: Rows::new(),
            tree,
            host: answer.host.clone(),
            login,
            status: answer.status,
            content_type: answer.content_type.clone(),
        }
    }

    pub(super) fn feed(&mut self, piece: &[u8]) -> Result<(), SiteError> {
        let tree = &mut self.tree;
        self.rows.feed(piece, &mut |row| tree.row(row)).map_err(|stop| stopped(&stop, &self.host))
    }

    /// All bytes have come: the rows, or what the answer was instead.
    pub(super) fn finish(self) -> Result<Builder, SiteError> {
        let unexpected =
            |text: &[u8]| Err(answer::unexpected(self.status, &self.content_type, text, self.login, &self.host));
        match self.rows.finish() {
            Rest::Truncated => Err(broken_off(&self.host)),
            Rest::Prose(text) => unexpected(&text),
            Rest::Envelope(envelope) => {
                let parsed: Result<serde_json::Value, _> = serde_json::from_slice(&envelope);
                match parsed.as_ref().map(|envelope| envelope.get("data")) {
                    Ok(Some(serde_json::Value::Array(rows))) if rows.is_empty() => Ok(self.tree.builder),
                    // An account that sees nothing, or a console without agents.
                    Ok(Some(serde_json::Value::Null)) => Ok(self.tree.builder),
                    Ok(_) => unexpected(&envelope),
                    Err(_) => Err(broken_off(&self.host)),
                }
            }
        }
    }
}

fn broken_off(host: &str) -> SiteError {
    SiteError::new(ErrorCode::BadAnswer, format!("the answer of {host} breaks off in the middle"))
        .remedy("look into its PHP error log (memory_limit, max_execution_time), and for a proxy that cuts answers")
}

fn stopped(stop: &Stop, host: &str) -> SiteError {
    let bad = |what: &str| SiteError::new(ErrorCode::BadAnswer, format!("the answer of {host} {what}"));
    match stop {
        Stop::Size(Oversize::Prose) => bad("is a long text instead of data")
            .remedy("the URL may lead to a proxy or another site; write the console's root as `url`"),
        Stop::Size(Oversize::Envelope | Oversize::Row) | Stop::Json => {
            bad("is not the list that was asked for").remedy("look whether a console of a known version answers there")
        }
        Stop::Full(full) => stopped_full(*full, host),
    }
}

/// A site larger than it may be.
pub(super) fn stopped_full(full: Full, host: &str) -> SiteError {
    match full.agents {
        Some(agents) => SiteError::new(ErrorCode::TooLarge, format!("{host} has {agents} agents or more"))
            .remedy("raise `max_agents` if the site is really that large"),
        None => SiteError::new(ErrorCode::TooLarge, format!("{host} sends more text than can be held")),
    }
}

impl Tree {
    fn row(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let row: Row<'_> = match serde_json::from_slice(bytes) {
            Ok(row) => row,
            Err(error) if error.is_data() => {
                self.builder.complain(|| format!("a row has another shape: {error}"));
                return Ok(());
            }
            Err(_) => return Err(Stop::Json),
        };
        match row.type_row.0.as_ref() {
            "group" => self.enter_group(&row),
            "agent" => self.enter_agent(&row).map_err(Stop::Full)?,
            "module" => self.module(&row),
            // Alerts and what later versions add.
            _ => {}
        }
        Ok(())
    }

    fn enter_group(&mut self, row: &Row<'_>) {
        self.agent = None;
        self.group = Some(self.builder.group(&row.group_id.0, &row.group_name.0));
        self.group_key = row.group_id.0.to_string();
    }

    fn enter_agent(&mut self, row: &Row<'_>) -> Result<(), Full> {
        self.agent = None;
        let id = row.agent_id.0.as_ref();
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_digit()) {
            self.builder.complain(|| "an agent has no number as its id".to_owned());
            return Ok(());
        }
        if row.agent_disabled.is_set() {
            self.disabled.insert(id.into());
            return Ok(());
        }
        let text = AgentText {
            id,
            alias: &row.alias.0,
            name: &row.agent_name.0,
            address: &row.agent_direction.0,
            system: &row.agent_id_os.0,
        };
        let agent = self.builder.agent(text)?;
        if let Some(group) = self.group {
            self.builder.join(agent, group, row.agent_id_group.0 == self.group_key.as_str());
        }
        self.agent = Some(agent);
        Ok(())
    }

    fn module(&mut self, row: &Row<'_>) {
        let of = row.module_id_agent.0.as_ref();
        let agent = if of.is_empty() { self.agent } else { self.builder.known(of) };
        let Some(agent) = agent else {
            if !of.is_empty() && !self.disabled.contains(of) {
                self.builder.complain(|| "a module belongs to no agent".to_owned());
            }
            return;
        };
        if row.module_disabled.is_set() || row.module_delete_pending.is_set() {
            return;
        }
        let Ok(id) = row.module_id_agent_modulo.0.parse::<u64>() else {
            self.builder.complain(|| "a module has no number as its id".to_owned());
            return;
        };
        // Exactly 0 (or null) is "never". A site whose zones disagree writes that as minus its offset, but then its
        // state says what the console makes of it. A time that was not asked for says nothing.
        let reported = row.module_utimestamp.as_ref().map(|text| text.0.parse::<i64>().unwrap_or(0));
        let state = if reported == Some(0) { Status::NotInit } else { status(&row.module_state.0) };
        let reported = reported.unwrap_or(0);
        self.builder.module(agent, id, state, reported);
    }
}

/// Pandora's number of a module's state (`tagente_estado.estado`).
pub(super) fn status(number: &str) -> Status {
    match number {
        "0" | "300" => Status::Normal,
        "1" | "100" => Status::Critical,
        "2" | "200" => Status::Warning,
        "4" | "5" => Status::NotInit,
        // 3, and numbers nobody has seen: never taken for good news.
        _ => Status::Unknown,
    }
}
