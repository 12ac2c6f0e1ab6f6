//! How well an agent matches the words of a query, and its key in an order.

use std::net::IpAddr;

use super::hits::{EVERYWHERE, Needle, column};
use super::order::{Column, Key, MatchClass, Order, Rank, SortKey};
use super::search::VisibleGroups;
use super::{Inventory, Label};
use crate::domain::query::TextField;

/// A word of the query and how well it matches what many agents share.
pub(super) struct Word {
    needle: Needle<'static>,
    /// By set of groups, as far as the viewer may see them.
    group_sets: Vec<Option<MatchClass>>,
    systems: Vec<Option<MatchClass>>,
}

/// An agent and what of its key is costly to find out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub(super) index: usize,
    pub(super) rank: Option<Rank>,
    pub(super) number: u128,
}

impl Inventory {
    pub(super) fn word(&self, text: &str, shown: &VisibleGroups) -> Word {
        let needle = Needle::new(text, EVERYWHERE);
        let class_of = |label: &Label| needle.class(&label.folded);
        let groups: Vec<_> = self.groups.iter().map(class_of).collect();
        let of_group = |group: &u32| groups.get(*group as usize).copied().flatten();
        let of_set = |set: &Vec<u32>| set.iter().filter(|group| shown.group(**group)).filter_map(of_group).min();
        Word {
            group_sets: self.group_sets.iter().map(of_set).collect(),
            systems: self.systems.iter().map(class_of).collect(),
            needle,
        }
    }

    pub(super) fn rank(&self, index: usize, words: &[Word]) -> Option<Rank> {
        let of_words = words.iter().filter_map(|word| self.word_rank(index, word));
        of_words.reduce(|a, b| Rank { class: a.class.max(b.class), field: a.field.min(b.field) })
    }

    /// The best match of one word in one agent.
    fn word_rank(&self, index: usize, word: &Word) -> Option<Rank> {
        let shared = |numbers: &[u32], classes: &[Option<MatchClass>]| {
            classes.get(*numbers.get(index)? as usize).copied().flatten()
        };
        let texts = EVERYWHERE.iter().filter_map(|field| {
            let class = match (column(*field), field) {
                (Some(column), _) => word.needle.class(self.folded(index, column)),
                (None, TextField::Os) => shared(&self.system, &word.systems),
                (None, _) => shared(&self.group_set, &word.group_sets),
            };
            Some(Rank { class: class?, field: *field })
        });
        texts.min()
    }

    /// An agent's place in an order.
    pub(super) fn place(&self, order: Order, index: usize, words: &[Word]) -> Placed {
        let rank = if order.by == Column::Rank { self.rank(index, words) } else { None };
        Placed { index, rank, number: self.number(order.by, index) }
    }

    fn number(&self, by: Column, index: usize) -> u128 {
        match by {
            Column::Rank | Column::Status => self.status.get(index).map_or(4, |status| status.index() as u128),
            Column::Ip => number_of(self.folded(index, 2)),
            // Newest first: the distance from the last second that can be held; never reported is further than any.
            Column::Age => match self.newest.get(index) {
                Some(newest @ 1..) => u128::from(u32::MAX - newest),
                _ => u128::from(u32::MAX),
            },
            Column::Modules => self.modules_of(index).len() as u128,
            Column::Alias | Column::Name | Column::Os | Column::Site | Column::Id => 0,
        }
    }

    /// The key of a place, without copying a text.
    pub(super) fn key(&self, order: Order, placed: Placed) -> Key<'_> {
        let text = match order.by {
            Column::Name => self.folded(placed.index, 1),
            Column::Ip => self.folded(placed.index, 2),
            Column::Os => self.system_of(placed.index).map_or("", |os| os.folded.as_str()),
            Column::Id => "",
            _ => self.folded(placed.index, 0),
        };
        Key { rank: placed.rank, number: placed.number, text }
    }

    pub(super) fn sort_key(&self, order: Order, placed: Placed) -> SortKey {
        let Key { rank, number, text } = self.key(order, placed);
        SortKey { rank, number, text: text.to_owned() }
    }
}

/// IPv4 before IPv6, each in its own order, what is no address last.
fn number_of(address: &str) -> u128 {
    match address.parse() {
        Ok(IpAddr::V4(address)) => u128::from(address.to_bits()),
        Ok(IpAddr::V6(address)) => address.to_bits().max(1 << 32),
        Err(_) => u128::MAX,
    }
}
