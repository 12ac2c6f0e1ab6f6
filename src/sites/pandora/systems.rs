//! Names of operating systems. The inventory only holds their numbers, and no call lists them.
//!
//! The names a console ships with are known here. A number that is not, and once a day every number (an
//! administrator may have renamed it), is asked by `all_agents` for a single agent that has it: that call costs the
//! console some milliseconds per row it answers, so it is never asked for more. The first read of a process asks for
//! unknown numbers only, so that a single search from the command line stays one request.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::api::{Api, Op, Reply};
use super::inventory::Text;
use crate::clock::Deadline;
use crate::inventory::Builder;

/// How long an asked name is believed; a question without an answer is not repeated sooner either.
const BELIEVED: Duration = Duration::from_secs(24 * 3600);

/// A site has a handful; more are somebody's mischief.
const MAX_ASKED: usize = 32;

/// Numbers and names of `tconfig_os` as shipped with 7.0NG.772 to 776.
const SHIPPED: &[(&str, &str)] = &[
    ("1", "Linux"),
    ("2", "Solaris"),
    ("3", "AIX"),
    ("4", "BSD"),
    ("5", "HP-UX"),
    ("7", "Cisco"),
    ("8", "MacOS"),
    ("9", "Windows"),
    ("10", "Other"),
    ("11", "Network"),
    ("12", "Web Server"),
    ("13", "Sensor"),
    ("14", "Embedded"),
    ("15", "Android"),
    ("16", "VMware"),
    ("17", "Router"),
    ("18", "Switch"),
    ("19", "Satellite"),
    ("20", "Mainframe"),
    ("100", "Cluster"),
];

/// The names of one site's operating systems.
#[derive(Debug, Default)]
pub(super) struct Systems {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    reads: u32,
    asked: HashMap<String, Asked>,
}

#[derive(Debug)]
struct Asked {
    at: Instant,
    name: Option<String>,
}

/// A row of `all_agents`.
#[derive(Debug, Deserialize)]
struct AgentRow<'a> {
    #[serde(borrow)]
    id_agente: Text<'a>,
    /// The operating system's name.
    #[serde(borrow)]
    name: Text<'a>,
}

#[derive(Debug, Deserialize)]
struct AgentRows<'a> {
    #[serde(borrow)]
    data: Vec<AgentRow<'a>>,
}

impl Systems {
    /// The names for what the rows of this read use. Never fails: what is not found out keeps its number.
    pub(super) async fn names(
        &self,
        api: &Api,
        root: usize,
        rows: &Builder,
        deadline: Deadline,
    ) -> HashMap<String, String> {
        for (key, agent, alias) in self.to_ask(rows) {
            let name = ask(api, root, &key, &agent, &alias, deadline).await;
            self.lock().asked.insert(key, Asked { at: Instant::now(), name });
        }
        let known = self.lock();
        let shipped = SHIPPED.iter().map(|(key, name)| ((*key).to_owned(), (*name).to_owned()));
        let asked = known.asked.iter().filter_map(|(key, asked)| Some((key.clone(), asked.name.clone()?)));
        shipped.chain(asked).collect()
    }

    fn to_ask(&self, rows: &Builder) -> Vec<(String, String, String)> {
        let mut known = self.lock();
        known.reads = known.reads.saturating_add(1);
        let all = known.reads > 1;
        let due = |key: &str| match known.asked.get(key) {
            Some(asked) => asked.at.elapsed() >= BELIEVED,
            None => all || !SHIPPED.iter().any(|(shipped, _)| *shipped == key),
        };
        let systems = rows.systems().filter(|system| !system.key.is_empty() && due(system.key));
        systems.take(MAX_ASKED).map(|s| (s.key.to_owned(), s.agent.to_owned(), s.alias.to_owned())).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        // Nothing panics while it is held; a poisoned map would still be whole.
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The name of one operating system, from one agent that has it.
async fn ask(api: &Api, root: usize, key: &str, agent: &str, alias: &str, deadline: Deadline) -> Option<String> {
    // A part of its alias narrows the answer to a row or a few.
    let other = format!("{key}|||{}", plain_part(alias));
    let op = Op::new("all_agents").json().other(&other);
    let understand = |body: &[u8]| {
        let rows: AgentRows<'_> = serde_json::from_slice(body).ok()?;
        let row = rows.data.into_iter().find(|row| row.id_agente.0 == agent)?;
        Some(row.name.0.into_owned()).filter(|name| !name.is_empty())
    };
    match api.small(root, &op, deadline, understand).await {
        Ok(Reply::Value(name)) => Some(name),
        Ok(Reply::Sentence(_) | Reply::Empty500) | Err(_) => None,
    }
}

/// The longest stretch of an alias that the console compares as it is written: it searches in what it has stored, where
/// all but plain letters and digits are encoded in one way or another.
fn plain_part(alias: &str) -> &str {
    let parts = alias.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.')));
    parts.max_by_key(|part| part.len()).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_is_looked_for_by_its_plain_part() {
        for (alias, part) in
            [("web-01", "web-01"), ("R&D <lab> & core", "core"), ("日本サーバ-01", "-01"), ("日本", "")]
        {
            assert_eq!(plain_part(alias), part, "{alias}");
        }
    }
}
