//! Finished searches, kept for whoever asks the same again: a page that refreshes, many viewers of one wallboard.
//!
//! The key is everything an answer depends on: the inventory (a number that no other has), the query in its canonical
//! form, the order, the limit, and which groups the viewer may see; so nobody is ever shown what another's rights
//! found. Ages, outcomes and times are not kept: they are made anew for every answer. A new inventory has a new number,
//! so nothing has to be thrown away when a site is read; what nobody asks for any more goes by itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use crate::domain::Query;
use crate::inventory::{Found, Inventory, Order, Request, Visible};

/// Memory that kept rows may take, roughly.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// A row as kept, roughly.
const ROW_BYTES: usize = 600;

/// Not kept longer without being asked for.
const IDLE: Duration = Duration::from_secs(120);

/// The searches of one program.
#[derive(Clone)]
pub(super) struct FoundCache {
    found: Cache<Key, Arc<Found>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    inventory: u64,
    query: Arc<Query>,
    order: Order,
    limit: usize,
    visible: Arc<Visible>,
}

impl fmt::Debug for FoundCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FoundCache({} searches)", self.found.entry_count())
    }
}

impl Default for FoundCache {
    fn default() -> Self {
        let weight = |_: &Key, found: &Arc<Found>| {
            u32::try_from(found.rows.len().saturating_mul(ROW_BYTES).saturating_add(ROW_BYTES)).unwrap_or(u32::MAX)
        };
        let found = Cache::builder().max_capacity(MAX_BYTES).weigher(weight).time_to_idle(IDLE).build();
        Self { found }
    }
}

impl FoundCache {
    /// What a search of this inventory finds; equal ones that run at the same time are one.
    pub(super) fn search(
        &self,
        inventory: &Inventory,
        query: &Arc<Query>,
        order: Order,
        limit: usize,
        visible: &Arc<Visible>,
    ) -> Arc<Found> {
        let key =
            Key { inventory: inventory.id(), query: Arc::clone(query), order, limit, visible: Arc::clone(visible) };
        self.found.get_with(key, || Arc::new(inventory.search(Request { query, visible, order, limit })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{AgentText, Builder};

    fn inventory(alias: &str) -> Inventory {
        let mut builder = Builder::new(9);
        let agent = builder.agent(AgentText { id: "1", alias, name: "n", address: "", system: "" }).unwrap();
        let group = builder.group("2", "Blue").unwrap();
        builder.join(agent, group, true).unwrap();
        builder.finish(|_| None).unwrap()
    }

    #[test]
    fn an_equal_search_is_done_once_and_any_difference_is_another() {
        let cache = FoundCache::default();
        let (first, second) = (inventory("web"), inventory("web"));
        let (web, db) = (Arc::new(Query::parse("web").unwrap()), Arc::new(Query::parse("db").unwrap()));
        let all = Arc::new(Visible::All);
        let none = Arc::new(Visible::Groups(["Red".to_owned()].into()));
        let search = |inventory: &Inventory, query: &Arc<Query>, order, limit, visible: &Arc<Visible>| {
            cache.search(inventory, query, order, limit, visible)
        };
        let found = search(&first, &web, Order::Rank, 9, &all);
        let again = Arc::new(Query::parse(" WEB ").unwrap());
        assert!(Arc::ptr_eq(&found, &search(&first, &again, Order::Rank, 9, &all)));
        for other in [
            search(&second, &web, Order::Rank, 9, &all),
            search(&first, &db, Order::Rank, 9, &all),
            search(&first, &web, Order::Alias, 9, &all),
            search(&first, &web, Order::Rank, 8, &all),
            search(&first, &web, Order::Rank, 9, &none),
        ] {
            assert!(!Arc::ptr_eq(&found, &other));
        }
        assert_eq!(search(&first, &web, Order::Rank, 9, &none).matched, 0);
    }
}
