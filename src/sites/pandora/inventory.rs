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
//!
//! A row that cannot be used is a complaint and costs only itself. What would fill the memory ends the read.

use std::collections::HashSet;

use serde::Deserialize;

use super::answer::{self, Login};
use super::rows::{Oversize, Rest, Rows};
use super::text::{Text, present};
use crate::domain::{ErrorCode, SiteError, Status};
use crate::inventory::{AgentText, Builder, Full};
use crate::sites::http::Answer;

/// `other` of the request: separator, replacement, the fields.
pub(super) const FIELDS: &str = ";| |type_row,group_id,group_name,agent_id,alias,agent_name,agent_direction,\
    agent_disabled,agent_id_os,agent_id_group,module_id_agent,module_id_agent_modulo,module_state,module_utimestamp,\
    module_disabled,module_delete_pending";

/// Ids are numbers; a longer one is none.
const MAX_DIGITS: usize = 20;

/// Modules that came before their agent, at most.
const MAX_EARLY: usize = 100_000;

/// A row of any kind. What was not asked for may be absent.
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
    #[serde(borrow, deserialize_with = "present")]
    module_utimestamp: Option<Text<'a>>,
    #[serde(borrow)]
    module_disabled: Text<'a>,
    #[serde(borrow)]
    module_delete_pending: Text<'a>,
}

/// Decodes the answer piece by piece.
#[derive(Debug)]
pub(super) struct Decoder {
    rows: Rows,
    tree: Tree,
    host: String,
    login: Login,
    content_type: String,
}

/// The walk through groups, agents and modules so far.
#[derive(Debug)]
struct Tree {
    builder: Builder,
    max_agents: usize,
    group: Option<u32>,
    group_key: String,
    /// The agent whose row came last; `None` when it is disabled or could not be used.
    agent: Option<u32>,
    disabled: HashSet<Box<str>>,
    early: Vec<(Box<str>, Module)>,
}

#[derive(Clone, Copy, Debug)]
struct Module {
    id: u64,
    state: Status,
    reported: i64,
}

/// Why a row ends the read.
enum Stop {
    Size(Oversize),
    Full(Full),
}

impl From<Oversize> for Stop {
    fn from(size: Oversize) -> Self {
        Self::Size(size)
    }
}

impl From<Full> for Stop {
    fn from(full: Full) -> Self {
        Self::Full(full)
    }
}

impl Decoder {
    /// For an answer with status 200; any other is none.
    pub(super) fn new(max_agents: usize, answer: &Answer, login: Login) -> Self {
        let tree = Tree {
            builder: Builder::new(max_agents),
            max_agents,
            group: None,
            group_key: String::new(),
            agent: None,
            disabled: HashSet::new(),
            early: Vec::new(),
        };
        let (host, content_type) = (answer.host.clone(), answer.content_type.clone());
        Self { rows: Rows::new(), tree, host, login, content_type }
    }

    pub(super) fn feed(&mut self, piece: &[u8]) -> Result<(), SiteError> {
        let tree = &mut self.tree;
        self.rows.feed(piece, &mut |row| tree.row(row)).map_err(|stop| stopped(&stop, &self.host))
    }

    /// All bytes have come: the rows, or what the answer was instead.
    pub(super) fn finish(mut self) -> Result<Builder, SiteError> {
        let unexpected = |text: &[u8]| Err(answer::unexpected(200, &self.content_type, text, self.login, &self.host));
        match self.rows.finish() {
            Rest::Truncated => Err(answer::broken_off(&self.host)),
            Rest::Prose(text) => unexpected(&text),
            Rest::Envelope { text, trailing } => {
                if trailing > 0 {
                    self.tree.builder.complain(|| "text follows the answer's end".to_owned());
                }
                let parsed: Result<serde_json::Value, _> = serde_json::from_slice(&text);
                match parsed.as_ref().map(|envelope| envelope.get("data")) {
                    Ok(Some(serde_json::Value::Array(rest))) if rest.is_empty() => {
                        self.tree.finish().map_err(|full| stopped_full(full, &self.host))
                    }
                    // An account that sees nothing, or a console without agents.
                    Ok(Some(serde_json::Value::Null)) => Ok(self.tree.builder),
                    Err(_) if self.tree.group.is_some() => Err(no_list(&self.host)),
                    _ => unexpected(&text),
                }
            }
        }
    }
}

/// Something else than the list.
pub(super) fn no_list(host: &str) -> SiteError {
    SiteError::new(ErrorCode::BadAnswer, format!("the answer of {host} is not the list that was asked for"))
        .remedy("look whether a console of a known version answers there")
}

fn stopped(stop: &Stop, host: &str) -> SiteError {
    match stop {
        Stop::Size(Oversize::Prose) => {
            SiteError::new(ErrorCode::BadAnswer, format!("the answer of {host} is a long text instead of data"))
                .remedy("the URL may lead to a proxy or another site; write the console's root as `url`")
        }
        Stop::Size(Oversize::Envelope | Oversize::Row) => no_list(host),
        Stop::Full(full) => stopped_full(*full, host),
    }
}

/// A site larger than it may be.
pub(super) fn stopped_full(full: Full, host: &str) -> SiteError {
    let large = |message: String| SiteError::new(ErrorCode::TooLarge, message);
    match full {
        Full::Agents(agents) => large(format!("{host} has {agents} agents or more"))
            .remedy("raise `max_agents` if the site is really that large"),
        Full::Modules => large(format!("{host} has more modules, or places in groups, than so many agents can have"))
            .remedy("raise `max_agents` if the site is really that large"),
        Full::Groups => large(format!("{host} has more groups than can be held"))
            .remedy("look whether a console of a known version answers there"),
        Full::Text => large(format!("{host} sends more text than can be held"))
            .remedy("look whether a console of a known version answers there"),
    }
}

impl Tree {
    fn row(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        match serde_json::from_slice(bytes) {
            Ok(row) => self.take(row),
            // Bytes that are no UTF-8, or halves of characters: the rest of the row may still be read.
            Err(first) => match serde_json::from_str(&String::from_utf8_lossy(bytes)) {
                Ok(row) => self.take(row),
                Err(_) => {
                    self.builder.complain(|| format!("a row cannot be read: {first}"));
                    Ok(())
                }
            },
        }
    }

    fn take(&mut self, row: Row<'_>) -> Result<(), Stop> {
        match row.type_row.0.as_ref() {
            "group" => self.enter_group(&row)?,
            "agent" => self.enter_agent(&row)?,
            "module" => self.module(&row)?,
            // Alerts and what later versions add.
            _ => {}
        }
        Ok(())
    }

    fn enter_group(&mut self, row: &Row<'_>) -> Result<(), Full> {
        self.agent = None;
        self.group = None;
        if !is_id(&row.group_id.0) {
            self.builder.complain(|| "a group has no number as its id".to_owned());
            return Ok(());
        }
        self.group = Some(self.builder.group(&row.group_id.0, &row.group_name.0)?);
        self.group_key = row.group_id.0.to_string();
        Ok(())
    }

    fn enter_agent(&mut self, row: &Row<'_>) -> Result<(), Full> {
        self.agent = None;
        let id = row.agent_id.0.as_ref();
        if !is_id(id) {
            self.builder.complain(|| "an agent has no number as its id".to_owned());
            return Ok(());
        }
        if row.agent_disabled.is_set() {
            self.disabled.insert(id.into());
            if self.disabled.len() > self.max_agents {
                return Err(Full::Agents(self.disabled.len()));
            }
            return Ok(());
        }
        let system = row.agent_id_os.0.as_ref();
        let text = AgentText {
            id,
            alias: &row.alias.0,
            name: &row.agent_name.0,
            address: &row.agent_direction.0,
            system: if is_id(system) { system } else { "" },
        };
        let agent = self.builder.agent(text)?;
        if let Some(group) = self.group {
            self.builder.join(agent, group, row.agent_id_group.0 == self.group_key.as_str())?;
        }
        self.agent = Some(agent);
        Ok(())
    }

    fn module(&mut self, row: &Row<'_>) -> Result<(), Full> {
        let of = row.module_id_agent.0.as_ref();
        if row.module_disabled.is_set() || row.module_delete_pending.is_set() || self.disabled.contains(of) {
            return Ok(());
        }
        let Ok(id) = row.module_id_agent_modulo.0.parse::<u64>() else {
            self.builder.complain(|| "a module has no number as its id".to_owned());
            return Ok(());
        };
        let (state, reported) = self.state(row);
        let module = Module { id, state, reported };
        match if of.is_empty() { self.agent } else { self.builder.known(of) } {
            Some(agent) => self.builder.module(agent, module.id, module.state, module.reported),
            None if is_id(of) && self.early.len() < MAX_EARLY => {
                self.early.push((of.into(), module));
                Ok(())
            }
            // The module of a disabled agent that was named by its place only.
            None if of.is_empty() => Ok(()),
            None => {
                self.builder.complain(|| "a module belongs to no agent".to_owned());
                Ok(())
            }
        }
    }

    /// A module's state and when it last reported, in seconds since 1970.
    fn state(&mut self, row: &Row<'_>) -> (Status, i64) {
        let state = status(&row.module_state.0);
        // What was not asked for says nothing.
        let Some(text) = &row.module_utimestamp else { return (state, 0) };
        let whole = text.0.split('.').next().unwrap_or("");
        match whole.parse::<i64>() {
            // Exactly 0 (or null) is "never". A site whose zones disagree writes that as minus its offset, but then its
            // state says what the console makes of it.
            Ok(0) => (Status::NotInit, 0),
            Err(_) if whole.is_empty() => (Status::NotInit, 0),
            Ok(reported) => (state, reported),
            Err(_) => {
                self.builder.complain(|| "a module has no time as its time".to_owned());
                (state, 0)
            }
        }
    }

    /// Adds the modules that came before their agents.
    fn finish(mut self) -> Result<Builder, Full> {
        for (of, module) in std::mem::take(&mut self.early) {
            match self.builder.known(&of) {
                Some(agent) => self.builder.module(agent, module.id, module.state, module.reported)?,
                None if self.disabled.contains(&of) => {}
                None => self.builder.complain(|| "a module belongs to no agent".to_owned()),
            }
        }
        Ok(self.builder)
    }
}

/// Whether it is a number, as ids are.
pub(super) fn is_id(text: &str) -> bool {
    (1..=MAX_DIGITS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
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
