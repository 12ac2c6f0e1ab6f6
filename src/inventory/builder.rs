//! Rows of a site's answer, in any order and repeated, to an [`Inventory`].

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Complaints, END, Inventory, Label, PackedModule};
use crate::domain::{Status, StatusCounts, fold_into};

/// A longer name is cut, so that one hostile row cannot fill the memory or a page.
const MAX_TEXT: usize = 1024;

/// The texts of an agent as the site sends them.
#[derive(Clone, Copy, Debug)]
pub struct AgentText<'a> {
    /// Its id at the site.
    pub id: &'a str,
    /// Shown name; empty means: as the name.
    pub alias: &'a str,
    /// Technical name.
    pub name: &'a str,
    /// Main address.
    pub address: &'a str,
    /// The site's key of its operating system.
    pub system: &'a str,
}

/// The site has more than it may, or than can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// So many agents, disabled ones included.
    Agents(usize),
    /// Groups or operating systems.
    Groups,
    /// Modules, or agents' places in groups.
    Modules,
    /// Text.
    Text,
}

/// More groups, or operating systems, no site has; each costs a name.
const MAX_LABELS: usize = 65_536;

/// For each agent that a site may have, so many modules and places in groups, and at least so many in all.
const PER_AGENT: usize = 50;
const LEAST: usize = 1_000_000;

/// An agent that stands for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example<'a> {
    /// Its id.
    pub agent: &'a str,
    /// Its alias.
    pub alias: &'a str,
}

/// Collects the rows of one read.
#[derive(Debug)]
pub struct Builder {
    max_agents: usize,
    seen: HashMap<Box<str>, u32>,
    shown: String,
    shown_at: Vec<u32>,
    folded: String,
    folded_at: Vec<u32>,
    system: Vec<u32>,
    systems: Table,
    groups: Table,
    /// (agent, group) as met; the primary group is put first when finishing.
    memberships: Vec<(u32, u32)>,
    primary: Vec<Option<u32>>,
    newest: Vec<u32>,
    /// (agent, module) as met; a later row of the same module replaces an earlier one.
    modules: Vec<(u32, PackedModule)>,
    complaints: Complaints,
}

/// Texts by number, each once. The key is the site's, the label is what is shown.
#[derive(Debug, Default)]
struct Table {
    numbers: HashMap<Box<str>, u32>,
    labels: Vec<String>,
}

impl Table {
    fn number(&mut self, key: &str, label: impl FnOnce() -> String) -> Result<u32, Full> {
        if let Some(number) = self.numbers.get(key) {
            return Ok(*number);
        }
        if self.labels.len() >= MAX_LABELS {
            return Err(Full::Groups);
        }
        let number = u32::try_from(self.labels.len()).map_err(|_| Full::Groups)?;
        self.numbers.insert(key.into(), number);
        self.labels.push(label());
        Ok(number)
    }
}

impl Builder {
    /// For a site that may have so many agents.
    pub fn new(max_agents: usize) -> Self {
        Self {
            max_agents: max_agents.min(u32::MAX as usize / 8),
            seen: HashMap::new(),
            shown: String::new(),
            shown_at: Vec::new(),
            folded: String::new(),
            folded_at: Vec::new(),
            system: Vec::new(),
            systems: Table::default(),
            groups: Table::default(),
            memberships: Vec::new(),
            primary: Vec::new(),
            newest: Vec::new(),
            modules: Vec::new(),
            complaints: Complaints::default(),
        }
    }

    /// Takes an agent, or finds it when it came before, and gives its number.
    pub fn agent(&mut self, text: AgentText<'_>) -> Result<u32, Full> {
        if let Some(number) = self.seen.get(text.id) {
            return Ok(*number);
        }
        if self.seen.len() >= self.max_agents {
            return Err(Full::Agents(self.seen.len() + 1));
        }
        let number = u32::try_from(self.seen.len()).map_err(|_| Full::Text)?;
        let system = cut(text.system);
        self.system.push(self.systems.number(system, || system.to_owned())?);
        self.seen.insert(text.id.into(), number);
        let alias = if text.alias.is_empty() { text.name } else { text.alias };
        for shown in [text.id, alias, text.name, text.address] {
            self.shown_at.push(position(&self.shown)?);
            self.shown.push_str(cut(shown));
        }
        for folded in [alias, text.name, text.address] {
            self.folded_at.push(position(&self.folded)?);
            fold_text(folded, &mut self.folded);
            self.folded.push(END);
        }
        self.primary.push(None);
        self.newest.push(0);
        Ok(number)
    }

    /// The number of an agent that came before.
    pub fn known(&self, id: &str) -> Option<u32> {
        self.seen.get(id).copied()
    }

    /// Names a group of the site.
    pub fn group(&mut self, key: &str, name: &str) -> Result<u32, Full> {
        self.groups.number(cut(key), || cut(name).to_owned())
    }

    /// Puts an agent into a group.
    pub fn join(&mut self, agent: u32, group: u32, primary: bool) -> Result<(), Full> {
        // Within its own group an agent comes once for each of its other groups.
        if self.memberships.last() != Some(&(agent, group)) {
            self.memberships.push((agent, group));
        }
        if self.memberships.len() > self.most() {
            return Err(Full::Modules);
        }
        if let Some(slot) = self.primary.get_mut(agent as usize).filter(|_| primary) {
            *slot = Some(group);
        }
        Ok(())
    }

    fn most(&self) -> usize {
        self.max_agents.saturating_mul(PER_AGENT).max(LEAST)
    }

    /// Adds an enabled module; `reported` in seconds since 1970, 0 for never.
    pub fn module(&mut self, agent: u32, id: u64, state: Status, reported: i64) -> Result<(), Full> {
        if id > PackedModule::MAX_ID {
            self.complain(|| "the id of a module is too large".to_owned());
            return Ok(());
        }
        if self.modules.len() >= self.most() {
            return Err(Full::Modules);
        }
        self.modules.push((agent, PackedModule::new(id, state)));
        let reported = u32::try_from(reported.max(0)).unwrap_or(u32::MAX);
        if let Some(newest) = self.newest.get_mut(agent as usize) {
            *newest = reported.max(*newest);
        }
        Ok(())
    }

    /// Notes a row that cannot be used.
    pub fn complain(&mut self, what: impl FnOnce() -> String) {
        self.complaints.add(what);
    }

    /// The keys of the operating systems met.
    pub fn systems(&self) -> impl Iterator<Item = &str> {
        self.systems.labels.iter().map(String::as_str)
    }

    /// The agent with this operating system whose alias is best for asking about it.
    pub fn example_of(&self, key: &str, worth: impl Fn(&str) -> usize) -> Option<Example<'_>> {
        let number = self.systems.numbers.get(key)?;
        let text = |index: usize| super::slice(&self.shown, &self.shown_at, index);
        let agents = self.system.iter().enumerate().filter(|(_, system)| *system == number);
        // Of the last agent the end is not in the bounds yet, but its alias is followed by its name.
        let examples =
            agents.map(|(agent, _)| agent * super::SHOWN).map(|at| Example { agent: text(at), alias: text(at + 1) });
        examples.max_by_key(|example| worth(example.alias))
    }

    /// Closes the inventory. `system_name` turns the site's key of an operating system into its name.
    pub fn finish(mut self, system_name: impl Fn(&str) -> Option<String>) -> Result<Inventory, Full> {
        let agents = self.newest.len();
        self.shown_at.push(position(&self.shown)?);
        self.folded_at.push(position(&self.folded)?);
        let (modules, modules_at, status) = pack_modules(std::mem::take(&mut self.modules), agents);
        let (group_set, group_sets) = collect_sets(std::mem::take(&mut self.memberships), &self.primary);
        let mut by_id: Vec<u32> = (0..u32::try_from(agents).unwrap_or(u32::MAX)).collect();
        let id = |index: &u32| super::slice(&self.shown, &self.shown_at, *index as usize * super::SHOWN);
        by_id.sort_unstable_by(|a, b| id(a).cmp(id(b)));
        let systems = self.systems.labels.into_iter().map(|key| system_name(&key).unwrap_or(key));
        // Numbers are given, never taken back, so that what is kept of one is never taken for another's.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut inventory = Inventory {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            shown: self.shown,
            shown_at: self.shown_at,
            folded: self.folded,
            folded_at: self.folded_at,
            status,
            group_set,
            system: self.system,
            newest: self.newest,
            modules_at,
            modules,
            by_id,
            groups: self.groups.labels.into_iter().map(label).collect(),
            group_sets,
            systems: systems.map(label).collect(),
            complaints: self.complaints,
        };
        inventory.shrink();
        Ok(inventory)
    }
}

impl Inventory {
    /// Gives back what the growing vectors reserved.
    fn shrink(&mut self) {
        self.shown.shrink_to_fit();
        self.shown_at.shrink_to_fit();
        self.folded.shrink_to_fit();
        self.folded_at.shrink_to_fit();
        self.system.shrink_to_fit();
        self.newest.shrink_to_fit();
        self.modules.shrink_to_fit();
    }
}

/// Sorts modules under their agents, keeps the last row of each, and derives every agent's status.
fn pack_modules(mut met: Vec<(u32, PackedModule)>, agents: usize) -> (Vec<PackedModule>, Vec<u32>, Vec<Status>) {
    met.sort_by_key(|(agent, module)| (*agent, module.id()));
    let mut modules: Vec<PackedModule> = Vec::with_capacity(met.len());
    let mut modules_at = Vec::with_capacity(agents + 1);
    let mut status = Vec::with_capacity(agents);
    let mut rows = met.into_iter().peekable();
    for agent in 0..agents {
        let start = modules.len();
        modules_at.push(u32::try_from(start).unwrap_or(u32::MAX));
        while let Some((_, module)) = rows.next_if(|(of, _)| *of as usize == agent) {
            let repeated = modules.len() > start;
            match modules.last_mut().filter(|last| repeated && last.id() == module.id()) {
                Some(last) => *last = module,
                None => modules.push(module),
            }
        }
        let mut counts = StatusCounts::default();
        modules.iter().skip(start).for_each(|module| counts.add(module.state()));
        status.push(counts.worst());
    }
    modules_at.push(u32::try_from(modules.len()).unwrap_or(u32::MAX));
    (modules, modules_at, status)
}

/// Gives every agent the number of its set of groups, the primary group first, the others as they came.
fn collect_sets(met: Vec<(u32, u32)>, primary: &[Option<u32>]) -> (Vec<u32>, Vec<Vec<u32>>) {
    let is_primary = |agent: u32, group: u32| primary.get(agent as usize).copied().flatten() == Some(group);
    let mut first: HashMap<(u32, u32), u32> = HashMap::new();
    for (place, (agent, group)) in (1..).zip(met) {
        first.entry((agent, group)).or_insert(if is_primary(agent, group) { 0 } else { place });
    }
    let mut rows: Vec<(u32, u32, u32)> =
        first.into_iter().map(|((agent, group), place)| (agent, place, group)).collect();
    rows.sort_unstable();
    let mut numbers: HashMap<Vec<u32>, u32> = HashMap::new();
    let mut sets: Vec<Vec<u32>> = Vec::new();
    let mut rows = rows.into_iter().peekable();
    let of_agents = (0..primary.len()).map(|agent| {
        let mut set: Vec<u32> = Vec::new();
        while let Some((_, _, group)) = rows.next_if(|(of, ..)| *of as usize == agent) {
            set.push(group);
        }
        *numbers.entry(set).or_insert_with_key(|set| {
            sets.push(set.clone());
            u32::try_from(sets.len() - 1).unwrap_or(u32::MAX)
        })
    });
    let group_set = of_agents.collect();
    (group_set, sets)
}

fn label(shown: String) -> Label {
    let mut folded = String::new();
    fold_text(&shown, &mut folded);
    Label { shown, folded }
}

fn fold_text(text: &str, into: &mut String) {
    let text = cut(text);
    if text.contains(END) {
        fold_into(&text.replace(END, "\u{fffd}"), into);
    } else {
        fold_into(text, into);
    }
}

fn position(arena: &str) -> Result<u32, Full> {
    u32::try_from(arena.len()).map_err(|_| Full::Text)
}

fn cut(text: &str) -> &str {
    let end = text.floor_char_boundary(MAX_TEXT);
    text.get(..end).unwrap_or("")
}
