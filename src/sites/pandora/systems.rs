//! Names of operating systems. The inventory only holds their numbers, and no call lists them.
//!
//! The names a console ships with are known here. A number that is not, and once a day every number (an
//! administrator may have renamed it), is asked by `all_agents` for a single agent that has it: that call costs the
//! console some milliseconds per row it answers, so an agent is chosen whose alias narrows the answer, and where none
//! does nothing is asked. The first read of a process asks for unknown numbers only, so that a single search from the
//! command line stays one request.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde::Deserialize;

use super::api::{Api, Op, Reply};
use super::text::{Rows, Text};
use crate::clock::{Deadline, Stopwatch};
use crate::inventory::Builder;

/// How long an asked name is believed; a question without an answer is not repeated sooner either.
const BELIEVED: Duration = Duration::from_secs(24 * 3600);

/// A site has a handful; more are somebody's mischief.
const MAX_ASKED: usize = 32;

/// Questions at a time, and how long all of them may take.
const AT_ONCE: usize = 4;
const PATIENCE: Duration = Duration::from_secs(3);

/// A part of an alias that is shorter would be in many.
const NARROW: usize = 4;

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
    age: Stopwatch,
    name: Option<String>,
}

/// A row of `all_agents`.
#[derive(Debug, Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    id_agente: Text<'a>,
    /// The operating system's name.
    #[serde(borrow)]
    name: Text<'a>,
}

/// A question to the console.
struct Question {
    key: String,
    agent: String,
    part: String,
}

impl Systems {
    /// The names for what the rows of this read use. Never fails: what is not found out in time keeps its number.
    pub(super) async fn names(
        &self,
        api: &Api,
        root: usize,
        rows: &Builder,
        deadline: Deadline,
    ) -> HashMap<String, String> {
        let deadline = deadline.min(Deadline::after(PATIENCE));
        let mut asks = Vec::new();
        for question in self.to_ask(rows) {
            asks.push(ask(api, root, question, deadline));
        }
        let mut answers = stream::iter(asks).buffer_unordered(AT_ONCE);
        while let Some((key, name)) = answers.next().await {
            self.lock().asked.insert(key, Asked { age: Stopwatch::start(), name });
        }
        let known = self.lock();
        let shipped = SHIPPED.iter().map(|(key, name)| ((*key).to_owned(), (*name).to_owned()));
        let asked = known.asked.iter().filter_map(|(key, asked)| Some((key.clone(), asked.name.clone()?)));
        shipped.chain(asked).collect()
    }

    /// What is due. It is noted as asked before it is, so that a console which does not answer is not asked again and
    /// again.
    fn to_ask(&self, rows: &Builder) -> Vec<Question> {
        let mut known = self.lock();
        known.reads = known.reads.saturating_add(1);
        let all = known.reads > 1;
        known.asked.retain(|_, asked| asked.age.elapsed() < BELIEVED);
        let is_due = |key: &&str| {
            let shipped = SHIPPED.iter().any(|(shipped, _)| shipped == key);
            !key.is_empty() && !known.asked.contains_key(*key) && (all || !shipped)
        };
        let due: Vec<&str> = rows.systems().filter(is_due).take(MAX_ASKED).collect();
        let mut questions = Vec::new();
        for key in due {
            let example = rows.example_of(key, |alias| plain_part(alias).len());
            known.asked.insert(key.to_owned(), Asked { age: Stopwatch::start(), name: None });
            if let Some((agent, part)) = example.map(|example| (example.agent, plain_part(example.alias)))
                && part.len() >= NARROW
            {
                questions.push(Question { key: key.to_owned(), agent: agent.to_owned(), part: part.to_owned() });
            }
        }
        questions
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        // Nothing panics while it is held; a poisoned map would still be whole.
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The name of one operating system, from one agent that has it.
async fn ask(api: &Api, root: usize, question: Question, deadline: Deadline) -> (String, Option<String>) {
    let other = format!("{}|||{}", question.key, question.part);
    let op = Op::new("all_agents").json().other(&other);
    let understand = |body: &[u8]| {
        let rows: Rows<Row<'_>> = serde_json::from_slice(body).ok()?;
        let row = rows.data.into_iter().find(|row| row.id_agente.0 == question.agent.as_str())?;
        Some(row.name.0.into_owned()).filter(|name| !name.is_empty())
    };
    let name = match api.small(root, &op, deadline, understand).await {
        Ok(Reply::Value(name)) => Some(name),
        Ok(Reply::Sentence(_) | Reply::Empty500) | Err(_) => None,
    };
    (question.key, name)
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
