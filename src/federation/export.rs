//! All rows of all sites in order, made one at a time, whatever their number.
//!
//! Each site's inventory is held with the positions of its hits (4 bytes a row), so what is shown is one state, even
//! when sites are read again meanwhile. Of each site one row at a time is made and waits for its turn; so there are
//! never more rows in memory than sites, and those the caller has taken. Who never ends taking holds the inventories:
//! the connection's own limit on slow readers ends that.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::fmt;
use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};

use super::call::Source;
use super::merge::{Merge, Report, Row, compare};
use super::{Question, View};
use crate::clock::Timestamp;
use crate::domain::SiteId;
use crate::inventory::{Order, Selection};

/// The rows of a report, one at a time, best first.
pub struct Export {
    /// The report without its rows.
    pub report: Report,
    heads: BinaryHeap<Reverse<Head>>,
    left: usize,
}

/// The next row of a site, and those behind it.
struct Head {
    order: Order,
    row: Row,
    rest: Rest,
}

struct Rest {
    site: SiteId,
    as_of: Timestamp,
    stale: bool,
    rows: Selection,
}

impl View {
    /// Asks all sites and waits for them; the rows come out of the answer one by one. At most `limit` in all.
    pub async fn export(&self, question: &Question) -> Export {
        self.export_telling(question, |_| {}).await
    }

    /// As [`View::export`]; `tell` hears how many sites have answered, each time that one more has.
    pub async fn export_telling(&self, question: &Question, tell: impl Fn(usize)) -> Export {
        let countable = Question { limit: 0, ..question.clone() };
        let mut calls: FuturesUnordered<_> = self.calls(&countable, None).map(super::Call::source).collect();
        let (mut merge, mut sources, all) = (Merge::new(&countable), Vec::new(), calls.len());
        tell(0);
        while let Some(called) = calls.next().await {
            tell(all - calls.len());
            let Some((answer, source)) = called else { continue };
            merge.fold(answer);
            sources.extend(source);
        }
        let (order, report) = (question.order, merge.finish());
        // To sort a million rows takes a second: not on the network's threads, and one export after the other, or many
        // at once would take the processors from everybody's searches. Whoever leaves gives up their turn.
        let turn = Arc::clone(&self.found.exports).acquire_owned().await;
        let heads = tokio::task::spawn_blocking(move || {
            let heads = sources.into_iter().filter_map(|source| head(order, source)).collect();
            drop(turn);
            heads
        });
        let heads: Vec<_> = match heads.await {
            Ok(heads) => heads,
            // A fault of ours is one of this request, not a report that lacks rows.
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The program ends.
            Err(_) => Vec::new(),
        };
        Export { report, heads: heads.into_iter().map(Reverse).collect(), left: question.limit }
    }
}

fn head(order: Order, source: Source) -> Option<Head> {
    let rows = Selection::new(Arc::clone(source.sought.inventory()), source.sought.request(usize::MAX));
    Rest { site: source.site, as_of: source.as_of, stale: source.stale, rows }.head(order)
}

impl Rest {
    fn head(mut self, order: Order) -> Option<Head> {
        let hit = self.rows.next()?;
        let row = Row { site: self.site.clone(), hit, as_of: self.as_of, stale: self.stale };
        Some(Head { order, row, rest: self })
    }
}

impl Iterator for Export {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        self.left = self.left.checked_sub(1)?;
        let Reverse(head) = self.heads.pop()?;
        self.heads.extend(head.rest.head(head.order).map(Reverse));
        Some(head.row)
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(self.order, &self.row, &other.row)
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}

impl Export {
    /// Rows that have been made and not been taken: at most one a site.
    pub fn made(&self) -> usize {
        self.heads.len()
    }
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Export({} sites with rows to come)", self.heads.len())
    }
}
