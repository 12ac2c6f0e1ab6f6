//! Conditions to sets of agents, each by one pass over the texts, a column, or what many agents share.

use memchr::memmem::Finder;

use super::bits::Bits;
use super::order::MatchClass;
use super::search::{Request, VisibleGroups};
use super::{END, FOLDED, Fired, Inventory, Label, Visible, timestamp};
use crate::domain::query::{IpPattern, Part, Pattern, Term, TextField, What};

/// A word of the query, ready to be looked for.
pub(super) struct Needle<'a> {
    text: String,
    finder: Finder<'a>,
    /// Only in these fields.
    fields: &'static [TextField],
}

pub(super) const EVERYWHERE: &[TextField] =
    &[TextField::Alias, TextField::Name, TextField::Address, TextField::Group, TextField::Os];

impl Needle<'_> {
    pub(super) fn new(text: &str, fields: &'static [TextField]) -> Self {
        let text = text.replace(END, "\u{fffd}");
        Self { finder: Finder::new(text.as_bytes()).into_owned(), text, fields }
    }

    pub(super) fn class(&self, field: &str) -> Option<MatchClass> {
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
pub(super) fn column(field: TextField) -> Option<usize> {
    match field {
        TextField::Alias => Some(0),
        TextField::Name => Some(1),
        TextField::Address => Some(2),
        TextField::Group | TextField::Os => None,
    }
}

impl Inventory {
    pub(super) fn visible_groups(&self, visible: &Visible) -> VisibleGroups {
        VisibleGroups(match visible {
            Visible::All => None,
            Visible::Groups(names) => Some(self.groups.iter().map(|g| names.contains(&g.shown)).collect()),
        })
    }

    /// The agents that the viewer may see.
    pub(super) fn seen(&self, shown: &VisibleGroups) -> Bits {
        match &shown.0 {
            None => Bits::all(self.len()),
            Some(_) => self.in_groups(|group| shown.group(group)),
        }
    }

    /// The agents that fulfil a term. Conditions on the site itself are taken to hold. What is not known fulfils
    /// nothing, neither a condition nor its opposite.
    pub(super) fn fulfilling(&self, term: &Term, shown: &VisibleGroups, request: Request<'_>) -> Bits {
        match (self.hits(&term.what, shown, request), &term.what) {
            (None, _) => Bits::none(self.len()),
            (Some(hits), What::Site(_) | What::Tag(_)) => hits,
            (Some(mut hits), _) => {
                if term.negated {
                    hits.invert();
                }
                hits
            }
        }
    }

    /// `None`: not known.
    fn hits(&self, what: &What, shown: &VisibleGroups, request: Request<'_>) -> Option<Bits> {
        Some(match what {
            What::Text(text) => self.containing(&Needle::new(text, EVERYWHERE), shown),
            What::Named(name) => {
                let name = name.replace(END, "\u{fffd}");
                self.by_index(|index| self.folded(index, 0) == name || self.folded(index, 1) == name)
            }
            What::In(field, parts) => self.any_of(*field, parts, shown),
            What::Status(states) => Bits::of(&self.status, |status| states.contains(status)),
            What::Ip(patterns) => self.by_index(|index| ip_matches(self.folded(index, 2), patterns)),
            What::Age(bounds) => {
                Bits::of(&self.newest, |newest| bounds.iter().any(|bound| bound.holds(timestamp(*newest), request.now)))
            }
            What::Alert => self.fired(request.alerts?),
            What::Site(_) | What::Tag(_) => return Some(Bits::all(self.len())),
        })
    }

    fn by_index(&self, holds: impl Fn(usize) -> bool) -> Bits {
        let mut bits = Bits::none(self.len());
        (0..self.len()).filter(|index| holds(*index)).for_each(|index| bits.set(index));
        bits
    }

    fn fired(&self, alerts: &Fired) -> Bits {
        let mut bits = Bits::none(self.len());
        alerts.agents().filter_map(|id| self.position(id)).for_each(|index| bits.set(index));
        bits
    }

    fn any_of(&self, field: TextField, parts: &[Part], shown: &VisibleGroups) -> Bits {
        let mut bits = Bits::none(self.len());
        for part in parts {
            bits.union(&match part {
                Part::Text(text) => self.containing(&Needle::new(text, only(field)), shown),
                Part::Pattern(pattern) => self.matching(field, pattern, shown),
            });
        }
        bits
    }

    /// One look at each text: an agent's own, or those that many share.
    fn matching(&self, field: TextField, pattern: &Pattern, shown: &VisibleGroups) -> Bits {
        let each = |labels: &[Label]| labels.iter().map(|label| pattern.matches(&label.folded)).collect::<Vec<bool>>();
        let hit = |found: &[bool], number: u32| found.get(number as usize).copied().unwrap_or(false);
        match (column(field), field) {
            (Some(column), _) => self.by_index(|index| pattern.matches(self.folded(index, column))),
            (None, TextField::Os) => {
                let found = each(&self.systems);
                Bits::of(&self.system, |system| hit(&found, *system))
            }
            (None, _) => {
                let found = each(&self.groups);
                self.in_groups(|group| shown.group(group) && hit(&found, group))
            }
        }
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
}

fn ip_matches(address: &str, patterns: &[IpPattern]) -> bool {
    let parsed = address.parse::<std::net::IpAddr>().ok();
    patterns.iter().any(|pattern| match pattern {
        IpPattern::Network(network) => parsed.is_some_and(|address| network.contains(&address)),
        IpPattern::Prefix(prefix) => address.starts_with(prefix.as_str()),
    })
}
