//! An inventory as lines of JSON, one an agent, and back: for a file that outlives the program.
//!
//! Nothing is believed of what is read: it goes through the [`Builder`], as a site's own answer does, so its bounds hold
//! here too. What cannot be read is an error, never half an inventory.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use super::{AgentText, Builder, Complaints, Full, Inventory, PackedModule};

/// One agent. All short, for there are many.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    alias: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    address: Cow<'a, str>,
    #[serde(borrow)]
    os: Cow<'a, str>,
    /// The primary one first.
    groups: Vec<Cow<'a, str>>,
    /// Seconds since 1970 of the newest module; 0: none has reported.
    newest: u32,
    /// Id and state of each enabled module, packed.
    modules: Vec<u64>,
}

/// Why lines are no inventory.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Not what is written here.
    #[error("a line of it is no agent: {0}")]
    Line(serde_json::Error),
    /// More than there may be.
    #[error("it holds more than the site may have")]
    Full(Full),
}

impl Inventory {
    /// Writes all agents, whoever may see them: only for what [`Recall`] reads.
    ///
    /// # Errors
    /// As writing does.
    pub fn write_lines(&self, to: &mut impl Write) -> io::Result<()> {
        for index in 0..self.len() {
            let groups = self.groups_of(index).iter().filter_map(|group| self.groups.get(*group as usize));
            let line = Line {
                id: self.shown(index, 0).into(),
                alias: self.shown(index, 1).into(),
                name: self.shown(index, 2).into(),
                address: self.shown(index, 3).into(),
                os: self.system_of(index).map_or("", |os| &os.shown).into(),
                groups: groups.map(|group| Cow::Borrowed(group.shown.as_str())).collect(),
                newest: self.newest.get(index).copied().unwrap_or(0),
                modules: self.modules_of(index).iter().map(|module| module.0).collect(),
            };
            serde_json::to_writer(&mut *to, &line)?;
            to.write_all(b"\n")?;
        }
        Ok(())
    }
}

/// Reads what [`Inventory::write_lines`] wrote.
#[derive(Debug)]
pub struct Recall(Builder);

impl Recall {
    /// For a site that may have so many agents.
    pub fn new(max_agents: usize) -> Self {
        Self(Builder::new(max_agents))
    }

    /// One line.
    ///
    /// # Errors
    /// It is no agent, or one too many.
    pub fn line(&mut self, line: &[u8]) -> Result<(), Unusable> {
        let Line { id, alias, name, address, os, groups, newest, modules } =
            serde_json::from_slice(line).map_err(Unusable::Line)?;
        let text = AgentText { id: &id, alias: &alias, name: &name, address: &address, system: &os };
        self.agent(text, &groups, newest, &modules).map_err(Unusable::Full)
    }

    fn agent(
        &mut self,
        text: AgentText<'_>,
        groups: &[Cow<'_, str>],
        newest: u32,
        modules: &[u64],
    ) -> Result<(), Full> {
        let agent = self.0.agent(text)?;
        for (place, group) in groups.iter().enumerate() {
            let number = self.0.group(group, group)?;
            self.0.join(agent, number, place == 0)?;
        }
        for module in modules.iter().copied().map(PackedModule) {
            self.0.module(agent, module.id(), module.state(), i64::from(newest))?;
        }
        Ok(())
    }

    /// The inventory, and what was said of rows that were never in it.
    ///
    /// # Errors
    /// Too much text.
    pub fn finish(self, complaints: Complaints) -> Result<Inventory, Unusable> {
        let inventory = self.0.finish(|_| None).map_err(Unusable::Full)?;
        Ok(Inventory { complaints, ..inventory })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Status;
    use crate::inventory::Visible;

    fn recalled(lines: &[u8], max: usize) -> Result<Inventory, Unusable> {
        let mut recall = Recall::new(max);
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            recall.line(line)?;
        }
        recall.finish(Complaints::default())
    }

    fn written(inventory: &Inventory) -> Vec<u8> {
        let mut lines = Vec::new();
        inventory.write_lines(&mut lines).unwrap();
        lines
    }

    fn two() -> Inventory {
        let mut builder = Builder::new(10);
        for (id, alias, system) in [("7", "Ñandú \"a\"\n\u{0}", "Linux"), ("8", "", "")] {
            let text = AgentText { id, alias, name: "n", address: "10.0.0.1", system };
            let agent = builder.agent(text).unwrap();
            for (place, group) in ["b", "a"].iter().enumerate() {
                let number = builder.group(group, group).unwrap();
                builder.join(agent, number, place == 1).unwrap();
            }
        }
        builder.module(0, 9, Status::Critical, 1_795_404_681).unwrap();
        builder.module(0, 3, Status::Warning, 5).unwrap();
        builder.finish(|_| None).unwrap()
    }

    #[test]
    fn what_is_written_reads_as_the_same_agents() {
        let before = two();
        let after = recalled(&written(&before), 10).unwrap();
        assert_eq!(after.len(), 2);
        for id in ["7", "8"] {
            assert_eq!(after.agent(id, &Visible::All), before.agent(id, &Visible::All));
            assert_eq!(after.worst_modules(id, 9), before.worst_modules(id, 9));
        }
        assert_eq!(after.agent("7", &Visible::All).unwrap().groups, ["a", "b"]);
        assert_eq!(written(&after), written(&before));
    }

    #[test]
    fn what_is_no_agent_or_too_much_is_refused() {
        let lines = written(&two());
        assert!(matches!(recalled(&lines, 1), Err(Unusable::Full(_))));
        for cut in 1..lines.len() {
            // Every cut within a line: only what ends a line is whole.
            let end = lines[cut - 1] == b'\n' || lines[cut - 1] == b'}' && lines[cut] == b'\n';
            assert_eq!(recalled(&lines[..cut], 10).is_ok(), end, "cut at {cut}");
        }
        for line in ["", "{}", "[]", "null", "{\"id\":1}", "\u{0}"] {
            assert!(Recall::new(10).line(line.as_bytes()).is_err(), "{line}");
        }
    }
}
