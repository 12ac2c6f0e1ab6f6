//! All rows of a search in order, made one at a time: what a large export holds is a number for each row.

use std::fmt;
use std::sync::Arc;

use super::order::Order;
use super::rank::Word;
use super::search::{Hit, Request, VisibleGroups};
use super::{Fired, Inventory};

/// The rows of one inventory that fulfil a query, in order. An iterator that makes each row when it is asked for.
///
/// Holds its inventory, and 4 bytes for each row.
pub struct Selection {
    inventory: Arc<Inventory>,
    order: Order,
    alerts: Option<Arc<Fired>>,
    words: Vec<Word>,
    shown: VisibleGroups,
    rows: std::vec::IntoIter<u32>,
}

impl Selection {
    /// Of this inventory.
    pub fn new(inventory: Arc<Inventory>, request: Request<'_>) -> Self {
        let left = inventory.left(request);
        let (_, mut placed) = inventory.placed(&left, request);
        placed.sort_unstable_by(|a, b| inventory.compare(request.order, *a, *b));
        placed.truncate(request.limit);
        // An inventory has fewer agents than that.
        let rows: Vec<u32> = placed.iter().map(|placed| u32::try_from(placed.index).unwrap_or(u32::MAX)).collect();
        drop(placed);
        let alerts = request.alerts.map(Arc::clone);
        Self { order: request.order, alerts, words: left.words, shown: left.shown, rows: rows.into_iter(), inventory }
    }
}

impl Iterator for Selection {
    type Item = Hit;

    fn next(&mut self) -> Option<Hit> {
        let index = self.rows.next()? as usize;
        let placed = self.inventory.place(self.order, index, &self.words);
        Some(self.inventory.hit(self.order, placed, &self.shown, self.alerts.as_deref()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rows.size_hint()
    }
}

impl ExactSizeIterator for Selection {}

impl fmt::Debug for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Selection({} rows to come)", self.rows.len())
    }
}
