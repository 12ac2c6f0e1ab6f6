//! Finding: conditions to sets of agents, the sets intersected, what is left ranked and cut.

use std::cmp::Ordering;

use memchr::memmem::Finder;

use super::bits::Bits;
use super::{END, FOLDED, Inventory, Label, Visible};
use crate::domain::query::{IpPattern, Query, TextField, What};
use crate::domain::{Agent, Status, StatusCounts};

/// What is asked of an inventory.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The conditions. Those on the site itself (`site:`, `tag:`) are taken to hold.
    pub query: &'a Query,
    /// Which agents exist for the viewer.
    pub visible: &'a Visible,
    /// Which rows are best.
    pub order: Order,
    /// At most so many rows; `matched` and `counts` are of all.
    pub limit: usize,
}

/// The answer of one inventory.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// How many agents fulfil the query.
    pub matched: usize,
    /// How many of them are in each status.
    pub counts: StatusCounts,
    /// The best of them, in order.
    pub rows: Vec<Hit>,
}

/// One row and its place in the order, comparable across sites.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The agent.
    pub agent: Agent,
    /// Its place. Ties are broken by site id and agent id.
    pub key: SortKey,
}

/// How well a word matched. The order is best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MatchClass {
    /// The whole field.
    Exact,
    /// Its beginning.
    Prefix,
    /// The beginning of a word in it.
    WordStart,
    /// Anywhere.
    Substring,
}

/// How well an agent matched: the weakest class over the words, then the best field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// Weakest match over the words of the query.
    pub class: MatchClass,
    /// Best field any word matched in.
    pub field: TextField,
}

/// What rows are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// Best match, then worst status, then alias.
    #[default]
    Rank,
    /// Worst status, then alias.
    Status,
    /// Alias.
    Alias,
    /// Technical name.
    Name,
    /// Site, then agent id: exact for walking through all.
    Id,
}

/// A row's place, smaller first. Keys of one [`Order`] are comparable, whatever sites they come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SortKey {
    rank: Option<Rank>,
    severity: u8,
    text: String,
}

/// Which groups of the inventory a viewer may see.
#[derive(Debug)]
pub(super) struct VisibleGroups(Option<Vec<bool>>);

impl VisibleGroups {
    pub(super) fn group(&self, group: u32) -> bool {
        match &self.0 {
            None => true,
            Some(groups) => groups.get(group as usize).copied().unwrap_or(false),
        }
    }

    pub(super) fn sees(&self, inventory: &Inventory, agent: usize) -> bool {
        self.0.is_none() || inventory.groups_of(agent).iter().any(|group| self.group(*group))
    }
}

/// A word of the query, ready to be looked for.
struct Needle<'a> {
    text: String,
    finder: Finder<'a>,
    /// Only in these fields.
    fields: &'static [TextField],
}

const EVERYWHERE: &[TextField] =
    &[TextField::Alias, TextField::Name, TextField::Address, TextField::Group, TextField::Os];

impl Needle<'_> {
    fn new(text: &str, fields: &'static [TextField]) -> Self {
        let text = text.replace(END, "\u{fffd}");
        Self { finder: Finder::new(text.as_bytes()).into_owned(), text, fields }
    }

    fn class(&self, field: &str) -> Option<MatchClass> {
        let at = self.finder.find(field.as_bytes())?;
        Some(match at {
            0 if field.len() == self.text.len() => MatchClass::Exact,
            0 => MatchClass::Prefix,
            _ if self.starts_a_word(field, at) => MatchClass::WordStart,
            _ => MatchClass::Substring,
        })
    }

    /// Whether any occurrence begins a word; the first is at `at`, and two may overlap.
    fn starts_a_word(&self, field: &str, mut at: usize) -> bool {
        let ends_one = |before: &str| before.chars().next_back().is_some_and(char::is_alphanumeric);
        loop {
            if !field.get(..at).is_some_and(ends_one) {
                return true;
            }
            let from = at + 1;
            match field.as_bytes().get(from..).and_then(|rest| self.finder.find(rest)) {
                Some(next) => at = from + next,
                None => return false,
            }
        }
    }
}

/// A word of the query and how well it matches what many agents share.
struct Word<'a> {
    needle: Needle<'a>,
    /// By set of groups, as far as the viewer may see them.
    group_sets: Vec<Option<MatchClass>>,
    systems: Vec<Option<MatchClass>>,
}

fn only(field: TextField) -> &'static [TextField] {
    match field {
        TextField::Alias => &[TextField::Alias],
        TextField::Name => &[TextField::Name],
        TextField::Address => &[TextField::Address],
        TextField::Group => &[TextField::Group],
        TextField::Os => &[TextField::Os],
    }
}

/// Where in the arena a field's text is; groups and systems are in their tables.
fn column(field: TextField) -> Option<usize> {
    match field {
        TextField::Alias => Some(0),
        TextField::Name => Some(1),
        TextField::Address => Some(2),
        TextField::Group | TextField::Os => None,
    }
}

impl Inventory {
    /// The number of agents that fulfil a query, and the best of them.
    pub fn search(&self, request: Request<'_>) -> Found {
        let shown = self.visible_groups(request.visible);
        let mut left = match &shown.0 {
            None => Bits::all(self.len()),
            Some(_) => self.in_groups(|group| shown.group(group)),
        };
        let mut words = Vec::new();
        for term in request.query.terms() {
            let Some(mut hits) = self.hits(&term.what, &shown) else {
                continue;
            };
            if term.negated {
                hits.invert();
            } else if let What::Text(text) = &term.what {
                words.push(self.word(text, &shown));
            }
            left.intersect(&hits);
        }
        self.best(&left, &words, &shown, request)
    }

    pub(super) fn visible_groups(&self, visible: &Visible) -> VisibleGroups {
        VisibleGroups(match visible {
            Visible::All => None,
            Visible::Groups(names) => Some(self.groups.iter().map(|g| names.contains(&g.shown)).collect()),
        })
    }

    /// The agents that fulfil one condition; `None` where it is not about agents.
    fn hits(&self, what: &What, shown: &VisibleGroups) -> Option<Bits> {
        Some(match what {
            What::Text(text) => self.containing(&Needle::new(text, EVERYWHERE), shown),
            What::Named(name) => {
                let name = name.replace(END, "\u{fffd}");
                self.by_index(|index| self.folded(index, 0) == name || self.folded(index, 1) == name)
            }
            What::In(field, values) => self.any_of(values, |value| Needle::new(value, only(*field)), shown),
            What::Status(states) => Bits::of(&self.status, |status| states.contains(status)),
            What::Ip(patterns) => self.by_index(|index| ip_matches(self.folded(index, 2), patterns)),
            What::Site(_) | What::Tag(_) => return None,
        })
    }

    fn by_index(&self, holds: impl Fn(usize) -> bool) -> Bits {
        let mut bits = Bits::none(self.len());
        (0..self.len()).filter(|index| holds(*index)).for_each(|index| bits.set(index));
        bits
    }

    fn any_of<'a>(&self, values: &'a [String], needle: impl Fn(&'a str) -> Needle<'a>, shown: &VisibleGroups) -> Bits {
        let mut bits = Bits::none(self.len());
        for value in values {
            bits.union(&self.containing(&needle(value), shown));
        }
        bits
    }

    fn containing(&self, needle: &Needle<'_>, shown: &VisibleGroups) -> Bits {
        let mut bits = Bits::none(self.len());
        let columns: Vec<usize> = needle.fields.iter().filter_map(|field| column(*field)).collect();
        if !columns.is_empty() {
            self.scan_arena(needle, &columns, &mut bits);
        }
        if needle.fields.contains(&TextField::Group) {
            let found: Vec<bool> = self.groups.iter().map(|g| needle.class(&g.folded).is_some()).collect();
            let hit = |group: u32| shown.group(group) && found.get(group as usize).copied().unwrap_or(false);
            if found.contains(&true) {
                bits.union(&self.in_groups(hit));
            }
        }
        if needle.fields.contains(&TextField::Os) {
            let found: Vec<bool> = self.systems.iter().map(|os| needle.class(&os.folded).is_some()).collect();
            if found.contains(&true) {
                bits.union(&Bits::of(&self.system, |os| found.get(*os as usize).copied().unwrap_or(false)));
            }
        }
        bits
    }

    /// One pass over the folded texts of all agents; an END between two fields cannot be part of a word.
    fn scan_arena(&self, needle: &Needle<'_>, columns: &[usize], bits: &mut Bits) {
        let arena = self.folded.as_bytes();
        let mut from = 0;
        while let Some(at) = arena.get(from..).and_then(|rest| needle.finder.find(rest)).map(|at| at + from) {
            // The field the hit begins in is the last that begins at or before it.
            let field = self.folded_at.partition_point(|start| *start as usize <= at) - 1;
            let agent = field / FOLDED;
            let next = if columns.contains(&(field % FOLDED)) {
                bits.set(agent);
                (agent + 1) * FOLDED
            } else {
                field + 1
            };
            from = self.folded_at.get(next).map_or(arena.len(), |start| *start as usize);
        }
    }

    fn in_groups(&self, hit: impl Fn(u32) -> bool) -> Bits {
        let sets: Vec<bool> = self.group_sets.iter().map(|set| set.iter().any(|group| hit(*group))).collect();
        Bits::of(&self.group_set, |set| sets.get(*set as usize).copied().unwrap_or(false))
    }

    fn best(&self, left: &Bits, words: &[Word<'_>], shown: &VisibleGroups, request: Request<'_>) -> Found {
        let mut found = Found::default();
        let mut placed = Vec::new();
        for index in left.iter() {
            let status = self.status.get(index).copied().unwrap_or(Status::NotInit);
            found.counts.add(status);
            let rank = match request.order {
                Order::Rank => self.rank(index, words),
                _ => None,
            };
            placed.push((rank, index));
        }
        found.matched = placed.len();
        let compare = |a: &(Option<Rank>, usize), b: &(Option<Rank>, usize)| self.compare(request.order, *a, *b);
        if request.limit < placed.len() && request.limit > 0 {
            placed.select_nth_unstable_by(request.limit, compare);
        }
        placed.truncate(request.limit);
        placed.sort_unstable_by(compare);
        found.rows = placed
            .into_iter()
            .map(|(rank, index)| Hit { agent: self.row(index, shown), key: self.key(request.order, rank, index) })
            .collect();
        found
    }

    fn word(&self, text: &str, shown: &VisibleGroups) -> Word<'static> {
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

    fn rank(&self, index: usize, words: &[Word<'_>]) -> Option<Rank> {
        let of_words = words.iter().filter_map(|word| self.word_rank(index, word));
        of_words.reduce(|a, b| Rank { class: a.class.max(b.class), field: a.field.min(b.field) })
    }

    /// The best match of one word in one agent.
    fn word_rank(&self, index: usize, word: &Word<'_>) -> Option<Rank> {
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

    /// The order of two agents of this site: as [`SortKey`]'s, without copying a text.
    fn compare(&self, order: Order, a: (Option<Rank>, usize), b: (Option<Rank>, usize)) -> Ordering {
        let of =
            |(rank, index): (Option<Rank>, usize)| (rank, self.severity(order, index), self.sort_text(order, index));
        of(a).cmp(&of(b)).then_with(|| compare_ids(self.shown(a.1, 0), self.shown(b.1, 0)))
    }

    fn key(&self, order: Order, rank: Option<Rank>, index: usize) -> SortKey {
        SortKey { rank, severity: self.severity(order, index), text: self.sort_text(order, index).to_owned() }
    }

    fn severity(&self, order: Order, index: usize) -> u8 {
        match order {
            Order::Rank | Order::Status => self.status.get(index).map_or(4, |status| status.index() as u8),
            Order::Alias | Order::Name | Order::Id => 0,
        }
    }

    fn sort_text(&self, order: Order, index: usize) -> &str {
        match order {
            Order::Rank | Order::Status | Order::Alias => self.folded(index, 0),
            Order::Name => self.folded(index, 1),
            Order::Id => "",
        }
    }
}

/// Ids in the order of numbers where they are numbers.
pub fn compare_ids(a: &str, b: &str) -> Ordering {
    let number = |id: &str| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
    if number(a) && number(b) {
        let bare = |id: &str| id.trim_start_matches('0').len();
        bare(a).cmp(&bare(b)).then_with(|| a.trim_start_matches('0').cmp(b.trim_start_matches('0'))).then(a.cmp(b))
    } else {
        a.cmp(b)
    }
}

fn ip_matches(address: &str, patterns: &[IpPattern]) -> bool {
    let parsed = address.parse::<std::net::IpAddr>().ok();
    patterns.iter().any(|pattern| match pattern {
        IpPattern::Network(network) => parsed.is_some_and(|address| network.contains(&address)),
        IpPattern::Prefix(prefix) => address.starts_with(prefix.as_str()),
    })
}
