//! All agents of one site with status and module counts, read in one pass, held compactly and searched in place.
//!
//! An inventory is opaque: no list of a site's agents leaves it, only [`Inventory::search`]'s count and best rows,
//! and single agents by id. That is the seam behind which it can grow to a million agents.
//!
//! Held per agent: its text once as shown and once folded, each in one arena; a set of groups and an operating
//! system as numbers of shared tables; a status byte; the time of its newest module. Per module: 8 bytes, its id
//! and state packed, sorted within its agent, so that a change told by (agent, module) finds its place.
//!
//! A search turns each condition into a set of agents by one pass over the arena or a column, intersects the sets,
//! and ranks only what is left.

mod bits;
mod builder;
mod fired;
mod hits;
mod lines;
mod names;
mod order;
mod rank;
mod search;
mod selection;

use std::collections::BTreeSet;

pub use builder::{AgentText, Builder, Example, Full};
pub use fired::Fired;
pub use lines::{Recall, Unusable};
pub use order::{After, Column, Key, MatchClass, Order, Rank, SortKey, UnknownOrder, compare_ids};
pub use search::{Explained, Found, Hit, Request};
pub use selection::Selection;

use crate::clock::Timestamp;
use crate::domain::{Agent, Status, StatusCounts};

/// Which of a site's agents exist for a viewer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Visible {
    /// All of them.
    All,
    /// Those in at least one of these groups, by exact name.
    Groups(BTreeSet<String>),
}

/// All agents of one site. See the module's text.
#[derive(Debug)]
pub struct Inventory {
    /// No other inventory of this process has it.
    number: u64,
    /// As shown: id, alias, name, address of each agent, one behind the other.
    shown: String,
    /// Where in `shown` each of the four begins; one more at the end.
    shown_at: Vec<u32>,
    /// Folded: alias, name, address of each agent, each ended by [`END`].
    folded: String,
    /// Where in `folded` each of the three begins; one more at the end.
    folded_at: Vec<u32>,
    status: Vec<Status>,
    /// Number of its set in `group_sets`.
    group_set: Vec<u32>,
    /// Number of its system in `systems`.
    system: Vec<u32>,
    /// Seconds since 1970 of its newest module; 0 when none has reported.
    newest: Vec<u32>,
    /// Where in `modules` its modules begin; one more at the end.
    modules_at: Vec<u32>,
    modules: Vec<PackedModule>,
    /// Agents by id, for look-up.
    by_id: Vec<u32>,
    groups: Vec<Label>,
    /// Each a list of group numbers, the primary group first.
    group_sets: Vec<Vec<u32>>,
    systems: Vec<Label>,
    complaints: Complaints,
}

/// Ends each folded text. Never inside one: [`builder`] replaces it there, [`search`] in what is looked for.
const END: char = '\0';

const SHOWN: usize = 4;
const FOLDED: usize = 3;

/// A name as shown and folded.
#[derive(Debug, PartialEq, Eq)]
struct Label {
    shown: String,
    folded: String,
}

/// Rows of a site's answer that could not be used. They cost nothing but themselves, and are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Complaints {
    /// How many.
    pub rows: usize,
    /// What was wrong with the first.
    pub first: Option<String>,
}

impl Complaints {
    /// Adds one row that could not be used.
    pub fn add(&mut self, what: impl FnOnce() -> String) {
        self.rows += 1;
        self.first.get_or_insert_with(what);
    }
}

/// Module id and state in one word: three bits of state, the id above.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct PackedModule(u64);

impl PackedModule {
    /// The largest id that can be held.
    const MAX_ID: u64 = u64::MAX >> 3;

    fn new(id: u64, state: Status) -> Self {
        Self(id << 3 | state.index() as u64)
    }

    fn id(self) -> u64 {
        self.0 >> 3
    }

    fn state(self) -> Status {
        let index = (self.0 & 7) as usize;
        Status::WORST_FIRST.get(index).map_or(Status::NotInit, |(_, state)| *state)
    }
}

impl std::fmt::Debug for PackedModule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.id(), self.state().as_str())
    }
}

impl Inventory {
    /// A number that no other inventory of this process has.
    pub fn id(&self) -> u64 {
        self.number
    }

    /// Number of agents, whoever asks. For the gateway's own figures, not for viewers.
    pub fn len(&self) -> usize {
        self.status.len()
    }

    /// Whether the site has no agent at all.
    pub fn is_empty(&self) -> bool {
        self.status.is_empty()
    }

    /// Number of enabled modules.
    pub fn module_count(&self) -> usize {
        self.modules.len()
    }

    /// Number of groups that have agents.
    pub fn group_count(&self) -> usize {
        self.group_sets.iter().flatten().collect::<BTreeSet<_>>().len()
    }

    /// When the site's newest module reported, as far as that was before `now`: a time to come is nobody's. Long ago
    /// means that the site's own data server stands still.
    pub fn newest(&self, now: Timestamp) -> Option<Timestamp> {
        self.newest.iter().filter_map(|newest| timestamp(*newest)).filter(|newest| *newest <= now).max()
    }

    /// Rows that could not be used.
    pub fn complaints(&self) -> &Complaints {
        &self.complaints
    }

    /// Bytes held, spare capacity included.
    pub fn bytes(&self) -> usize {
        let words = self.shown_at.capacity() + self.folded_at.capacity() + self.group_set.capacity();
        let more = self.system.capacity() + self.newest.capacity() + self.modules_at.capacity();
        let sets: usize = self.group_sets.iter().map(|set| set.capacity() * 4 + 24).sum();
        self.shown.capacity()
            + self.folded.capacity()
            + (words + more + self.by_id.capacity()) * 4
            + self.status.capacity()
            + self.modules.capacity() * 8
            + sets
    }

    /// One agent by its id.
    pub fn agent(&self, id: &str, visible: &Visible) -> Option<Agent> {
        let index = self.position(id)?;
        let shown = self.visible_groups(visible);
        shown.sees(self, index).then(|| self.row(index, &shown))
    }

    /// The shown name of an agent, whoever asks.
    pub fn alias(&self, id: &str) -> Option<&str> {
        self.position(id).map(|index| self.shown(index, 1))
    }

    /// State of one enabled module.
    pub fn module_state(&self, agent: &str, module: u64) -> Option<Status> {
        let modules = self.modules_of(self.position(agent)?);
        let at = modules.binary_search_by_key(&module, |m| m.id()).ok()?;
        modules.get(at).map(|m| m.state())
    }

    /// Ids and states of one agent's enabled modules, worst first, then by id; at most `limit`.
    pub fn worst_modules(&self, agent: &str, limit: usize) -> Vec<(u64, Status)> {
        let Some(index) = self.position(agent) else {
            return Vec::new();
        };
        let mut modules: Vec<_> =
            self.modules_of(index).iter().map(|m| (m.state().index(), m.id(), m.state())).collect();
        modules.sort_unstable_by_key(|(severity, id, _)| (*severity, *id));
        modules.truncate(limit);
        modules.into_iter().map(|(_, id, state)| (id, state)).collect()
    }

    fn position(&self, id: &str) -> Option<usize> {
        let at = self.by_id.binary_search_by(|index| self.shown(*index as usize, 0).cmp(id)).ok()?;
        self.by_id.get(at).map(|index| *index as usize)
    }

    /// Text `field` of agent `index` as shown: 0 id, 1 alias, 2 name, 3 address.
    fn shown(&self, index: usize, field: usize) -> &str {
        slice(&self.shown, &self.shown_at, index * SHOWN + field)
    }

    /// Text `field` of agent `index` folded: 0 alias, 1 name, 2 address.
    fn folded(&self, index: usize, field: usize) -> &str {
        slice(&self.folded, &self.folded_at, index * FOLDED + field).trim_end_matches(END)
    }

    fn modules_of(&self, index: usize) -> &[PackedModule] {
        let from = self.modules_at.get(index).copied().unwrap_or(0) as usize;
        let to = self.modules_at.get(index + 1).copied().unwrap_or(0) as usize;
        self.modules.get(from..to).unwrap_or(&[])
    }

    fn groups_of(&self, index: usize) -> &[u32] {
        let set = self.group_set.get(index).copied().unwrap_or(u32::MAX) as usize;
        self.group_sets.get(set).map_or(&[], Vec::as_slice)
    }

    fn system_of(&self, index: usize) -> Option<&Label> {
        self.systems.get(*self.system.get(index)? as usize)
    }

    fn row(&self, index: usize, shown: &search::VisibleGroups) -> Agent {
        let mut modules = StatusCounts::default();
        for module in self.modules_of(index) {
            modules.add(module.state());
        }
        let groups = self.groups_of(index).iter().filter(|group| shown.group(**group));
        Agent {
            id: self.shown(index, 0).to_owned(),
            alias: self.shown(index, 1).to_owned(),
            name: self.shown(index, 2).to_owned(),
            address: self.shown(index, 3).to_owned(),
            groups: groups.filter_map(|g| self.groups.get(*g as usize)).map(|g| g.shown.clone()).collect(),
            os: self.system_of(index).map(|os| os.shown.clone()).unwrap_or_default(),
            status: self.status.get(index).copied().unwrap_or(Status::NotInit),
            modules,
            last_contact: self.newest.get(index).copied().and_then(timestamp),
            alert_fired: None,
        }
    }
}

fn slice<'a>(arena: &'a str, bounds: &[u32], at: usize) -> &'a str {
    let from = bounds.get(at).copied().unwrap_or(0) as usize;
    let to = bounds.get(at + 1).copied().unwrap_or(0) as usize;
    arena.get(from..to).unwrap_or("")
}

fn timestamp(secs: u32) -> Option<Timestamp> {
    (secs > 0).then(|| Timestamp::from_secs(i64::from(secs)))
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
