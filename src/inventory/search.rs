//! Finding: conditions to sets of agents, the sets intersected, what is left ranked and cut.

use std::cmp::Ordering;
use std::sync::Arc;

use super::bits::Bits;
use super::order::{After, Order, SortKey, compare_ids};
use super::rank::{Placed, Word};
use super::{Fired, Inventory, Visible};
use crate::clock::Timestamp;
use crate::domain::query::{Query, What};
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
    /// Only rows behind this one; `matched` and `counts` are of all.
    pub after: Option<After<'a>>,
    /// The time, for ages.
    pub now: Timestamp,
    /// Which agents have a fired alert; `None` = not known.
    pub alerts: Option<&'a Arc<Fired>>,
}

impl<'a> Request<'a> {
    /// The best rows by match, of an inventory whose alerts are not known.
    pub fn new(query: &'a Query, visible: &'a Visible, now: Timestamp) -> Self {
        Self { query, visible, order: Order::RANK, limit: usize::MAX, after: None, now, alerts: None }
    }
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

/// What each condition did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explained {
    /// Agents that the viewer may see.
    pub visible: usize,
    /// For each term of the query: how many of them fulfil it, and how many fulfil it and all before it.
    pub terms: Vec<(usize, usize)>,
}

/// The agents that are left, and what their rows are made with.
pub(super) struct Left {
    pub(super) agents: Bits,
    pub(super) words: Vec<Word>,
    pub(super) shown: VisibleGroups,
}

/// One row and its place in the order, comparable across sites.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The agent.
    pub agent: Agent,
    /// Its place. Ties are broken by site id and agent id.
    pub key: SortKey,
}

/// Which groups of the inventory a viewer may see.
#[derive(Debug)]
pub(super) struct VisibleGroups(pub(super) Option<Vec<bool>>);

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

impl Inventory {
    /// The number of agents that fulfil a query, and the best of them.
    pub fn search(&self, request: Request<'_>) -> Found {
        let left = self.left(request);
        let (counts, mut placed) = self.placed(&left, request);
        let matched = counts.total() as usize;
        let compare = |a: &Placed, b: &Placed| self.compare(request.order, *a, *b);
        if request.limit < placed.len() && request.limit > 0 {
            placed.select_nth_unstable_by(request.limit, compare);
        }
        placed.truncate(request.limit);
        placed.sort_unstable_by(compare);
        let hit = |placed: Placed| self.hit(request.order, placed, &left.shown, request.alerts.map(Arc::as_ref));
        Found { matched, counts, rows: placed.into_iter().map(hit).collect() }
    }

    /// How many agents each condition lets through.
    pub fn explain(&self, request: Request<'_>) -> Explained {
        let shown = self.visible_groups(request.visible);
        let seen = self.seen(&shown);
        let mut left = seen.clone();
        let mut explained = Explained { visible: seen.count(), terms: Vec::new() };
        for term in request.query.terms() {
            let mut hits = self.fulfilling(term, &shown, request);
            left.intersect(&hits);
            hits.intersect(&seen);
            explained.terms.push((hits.count(), left.count()));
        }
        explained
    }

    /// The agents that fulfil a query.
    pub(super) fn left(&self, request: Request<'_>) -> Left {
        let shown = self.visible_groups(request.visible);
        let mut agents = self.seen(&shown);
        let mut words = Vec::new();
        for term in request.query.terms() {
            agents.intersect(&self.fulfilling(term, &shown, request));
            if let (What::Text(text), false) = (&term.what, term.negated) {
                words.push(self.word(text, &shown));
            }
        }
        Left { agents, words, shown }
    }

    /// Those in each status, and the places of those behind where the request begins, in no order.
    pub(super) fn placed(&self, left: &Left, request: Request<'_>) -> (StatusCounts, Vec<Placed>) {
        let (mut counts, mut placed) = (StatusCounts::default(), Vec::new());
        for index in left.agents.iter() {
            counts.add(self.status.get(index).copied().unwrap_or(Status::NotInit));
            let place = self.place(request.order, index, &left.words);
            if request.after.is_none_or(|after| self.is_behind(request.order, place, after)) {
                placed.push(place);
            }
        }
        (counts, placed)
    }

    fn is_behind(&self, order: Order, place: Placed, after: After<'_>) -> bool {
        let ids = || compare_ids(self.shown(place.index, 0), after.id);
        order.compare(self.key(order, place), after.key, || after.site, ids) == Ordering::Greater
    }

    /// The order of two agents of this site.
    pub(super) fn compare(&self, order: Order, a: Placed, b: Placed) -> Ordering {
        let ids = || compare_ids(self.shown(a.index, 0), self.shown(b.index, 0));
        order.compare(self.key(order, a), self.key(order, b), || Ordering::Equal, ids)
    }

    pub(super) fn hit(&self, order: Order, placed: Placed, shown: &VisibleGroups, alerts: Option<&Fired>) -> Hit {
        let mut agent = self.row(placed.index, shown);
        agent.alert_fired = alerts.map(|alerts| alerts.contains(&agent.id));
        Hit { agent, key: self.sort_key(order, placed) }
    }
}
