//! Looking through inventories: where it is done, and finished searches, kept for whoever asks the same again.
//!
//! A small inventory is looked through where the question is; [`Sought::effort`] says what is small. That takes less
//! than handing it to another thread, so a thousand small sites cost a thousand searches and no more. A large one is
//! looked through in one of a few places for blocking work, so that the async workers are always free for whoever else
//! asks. Whoever leaves while their search waits for its place takes it along; whose deadline passes is told so.
//!
//! The key is everything an answer depends on: the inventory (a number that no other has), the query in its canonical
//! form, the order, the limit, where the rows begin, which alerts are known to have fired, the time where the query asks
//! for an age, and which groups the viewer may see; so nobody is ever shown what another's rights found. Ages, outcomes and times are not kept: they are made anew for every answer. A new inventory has a new number,
//! so nothing has to be thrown away when a site is read; what nobody asks for any more goes by itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Question;
use super::call::Asked;
use super::cursor::Place;
use crate::clock::{Deadline, Timestamp};
use crate::domain::{ErrorCode, Query, SiteError, SiteId};
use crate::inventory::{Fired, Found, Inventory, Order, Request, Visible};

/// Memory that kept searches may take, roughly.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// A row as kept, roughly.
const ROW_BYTES: usize = 600;

/// A name of a group as kept, besides its letters, roughly.
const NAME_BYTES: usize = 48;

/// Not kept longer without being asked for.
const IDLE: Duration = Duration::from_secs(120);

/// A search of at most this effort is small: measured at 15 to 150 ns for each agent that is looked at, it takes half
/// a millisecond at most. A place elsewhere costs some microseconds, and the wait for it.
pub(super) const SMALL: usize = 4000;

/// Making a row takes as long as looking at so many agents.
const ROW_EFFORT: usize = 5;

/// The searches of one program.
#[derive(Clone)]
pub(super) struct FoundCache {
    found: Cache<Key, Arc<Found>>,
    pub(super) places: Arc<Semaphore>,
    /// Turns of exports, whose rows are all sorted.
    pub(super) exports: Arc<Semaphore>,
}

/// Everything an answer depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    inventory: u64,
    query: Arc<Query>,
    order: Order,
    limit: usize,
    visible: Arc<Visible>,
    /// Only rows behind this one, as seen from this site.
    after: Option<(Place, SiteId)>,
    alerts: Option<u64>,
    /// The time, where the query asks for an age.
    second: Option<i64>,
}

impl Key {
    fn bytes(&self) -> usize {
        let visible = match &*self.visible {
            Visible::All => 0,
            Visible::Groups(names) => names.iter().map(|name| name.len() + NAME_BYTES).sum(),
        };
        // As text, and once more as conditions.
        visible.saturating_add(self.query.to_string().len().saturating_mul(2))
    }
}

/// An inventory and what is looked for in it.
#[derive(Clone, Debug)]
pub(super) struct Sought {
    inventory: Arc<Inventory>,
    key: Key,
    now: Timestamp,
    alerts: Option<Arc<Fired>>,
}

impl Sought {
    /// As part of a question that has a time, and may begin behind a place.
    pub(super) fn of(mut self, asked: &Asked, site: &SiteId) -> Self {
        self.now = asked.now;
        self.key.second = self.key.query.depends_on_time().then_some(asked.now.as_secs());
        self.key.after = asked.after.clone().map(|place| (place, site.clone()));
        self
    }

    /// With what is known of the site's alerts.
    pub(super) fn knowing(mut self, alerts: Option<Arc<Fired>>) -> Self {
        self.key.alerts = alerts.as_ref().map(|alerts| alerts.id());
        self.alerts = alerts;
        self
    }

    /// A number of the knowledge of alerts it is made with.
    pub(super) fn alerts(&self) -> Option<u64> {
        self.key.alerts
    }

    /// What is asked of the inventory, for at most so many rows.
    pub(super) fn request(&self, limit: usize) -> Request<'_> {
        let Key { query, visible, order, after, .. } = &self.key;
        let after = after.as_ref().map(|(place, site)| place.after(site));
        let alerts = self.alerts.as_ref();
        Request { order: *order, limit, after, alerts, ..Request::new(query, visible, self.now) }
    }

    /// Where it is looked for.
    pub(super) fn inventory(&self) -> &Arc<Inventory> {
        &self.inventory
    }

    pub(super) fn new(
        inventory: &Arc<Inventory>,
        query: &Arc<Query>,
        question: &Question,
        visible: &Arc<Visible>,
    ) -> Self {
        let key = Key {
            inventory: inventory.id(),
            query: Arc::clone(query),
            order: question.order,
            limit: question.limit,
            visible: Arc::clone(visible),
            after: None,
            alerts: None,
            second: None,
        };
        Self { inventory: Arc::clone(inventory), key, now: Timestamp::from_secs(0), alerts: None }
    }

    /// Agents that are looked at: each once for its place in the order, and once for every condition; and the rows.
    pub(super) fn effort(&self) -> usize {
        let (agents, conditions) = (self.inventory.len(), self.key.query.terms().len());
        let rows = agents.min(self.key.limit).saturating_mul(ROW_EFFORT);
        agents.saturating_mul(conditions.saturating_add(1)).saturating_add(rows)
    }

    pub(super) fn is_small(&self) -> bool {
        self.effort() <= SMALL
    }
}

impl fmt::Debug for FoundCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FoundCache({} searches, {} places free)", self.found.entry_count(), self.places.available_permits())
    }
}

impl Default for FoundCache {
    fn default() -> Self {
        let weight = |key: &Key, found: &Arc<Found>| {
            let rows = found.rows.len().saturating_add(1).saturating_mul(ROW_BYTES);
            u32::try_from(rows.saturating_add(key.bytes())).unwrap_or(u32::MAX)
        };
        let found = Cache::builder().max_capacity(MAX_BYTES).weigher(weight).time_to_idle(IDLE).build();
        // One fewer than there are processors leaves the async workers their share.
        let places = std::thread::available_parallelism().map_or(1, usize::from).saturating_sub(1).max(1);
        Self { found, places: Arc::new(Semaphore::new(places)), exports: Arc::new(Semaphore::new(1)) }
    }
}

impl FoundCache {
    /// What is found, by a search here if nobody has made it; equal ones that run at the same time are one.
    pub(super) fn here(&self, sought: &Sought) -> Arc<Found> {
        self.found.get_with(sought.key.clone(), || Arc::new(sought.inventory.search(sought.request(sought.key.limit))))
    }

    /// A free place now, whatever the deadline; else the next one that is free before it.
    async fn place(&self, deadline: Deadline) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(place);
        }
        let place = Arc::clone(&self.places).acquire_owned();
        tokio::time::timeout_at(deadline.instant(), place).await.ok()?.ok()
    }

    /// What is found, by a search in a place of its own if it is a large one. Waits for the place until the deadline;
    /// a search that has begun is waited for to its end, which the size of an inventory bounds.
    pub(super) async fn search(&self, sought: Sought, deadline: Deadline) -> Result<Arc<Found>, SiteError> {
        if sought.is_small() {
            return Ok(self.here(&sought));
        }
        if let Some(found) = self.found.get(&sought.key) {
            return Ok(found);
        }
        let Some(place) = self.place(deadline).await else {
            let busy = "its rows are known, but looking through them did not get its turn in time";
            return Err(SiteError::new(ErrorCode::Timeout, busy)
                .remedy("allow more time; if it happens often, this machine has too few processors for its viewers"));
        };
        // An equal one may have been made meanwhile.
        if let Some(found) = self.found.get(&sought.key) {
            return Ok(found);
        }
        let cache = self.clone();
        let work = move || {
            let found = cache.here(&sought);
            drop(place);
            found
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| {
            SiteError::new(ErrorCode::BadAnswer, "looking through its rows failed by a fault of this program")
                .remedy("please report it")
        })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::FutureExt;

    use super::super::Wanted;
    use super::*;
    use crate::inventory::{AgentText, Builder};

    fn inventory(alias: &str) -> Arc<Inventory> {
        let mut builder = Builder::new(9);
        let agent = builder.agent(AgentText { id: "1", alias, name: "n", address: "", system: "" }).unwrap();
        let group = builder.group("2", "Blue").unwrap();
        builder.join(agent, group, true).unwrap();
        Arc::new(builder.finish(|_| None).unwrap())
    }

    #[test]
    fn an_equal_search_is_done_once_and_any_difference_is_another() {
        let cache = FoundCache::default();
        let (first, second) = (inventory("web"), inventory("web"));
        let (web, db) = (Arc::new(Query::parse("web").unwrap()), Arc::new(Query::parse("db").unwrap()));
        let all = Arc::new(Visible::All);
        let none = Arc::new(Visible::Groups(["Red".to_owned()].into()));
        let search = |inventory: &Arc<Inventory>, query: &Arc<Query>, order, limit, visible: &Arc<Visible>| {
            let (patience, wanted) = (Duration::ZERO, Wanted::Known);
            let question = Question { query: Query::default(), order, limit, patience, wanted };
            cache.here(&Sought::new(inventory, query, &question, visible))
        };
        let found = search(&first, &web, Order::RANK, 9, &all);
        let again = Arc::new(Query::parse(" WEB ").unwrap());
        assert!(Arc::ptr_eq(&found, &search(&first, &again, Order::RANK, 9, &all)));
        for other in [
            search(&second, &web, Order::RANK, 9, &all),
            search(&first, &db, Order::RANK, 9, &all),
            search(&first, &web, Order::ALIAS, 9, &all),
            search(&first, &web, Order::RANK, 8, &all),
            search(&first, &web, Order::RANK, 9, &none),
        ] {
            assert!(!Arc::ptr_eq(&found, &other));
        }
        assert_eq!(search(&first, &web, Order::RANK, 9, &none).matched, 0);
    }

    /// Larger than small.
    fn large() -> Arc<Inventory> {
        let mut builder = Builder::new(SMALL + 1);
        for n in 0..=SMALL {
            let id = n.to_string();
            builder.agent(AgentText { id: &id, alias: &id, name: "n", address: "", system: "" }).unwrap();
        }
        Arc::new(builder.finish(|_| None).unwrap())
    }

    fn sought(inventory: &Arc<Inventory>, text: &str) -> Sought {
        let query = Query::parse(text).unwrap();
        let (order, patience, wanted) = (Order::ALIAS, Duration::ZERO, Wanted::Known);
        let question = Question { query: query.clone(), order, limit: 9, patience, wanted };
        Sought::new(inventory, &Arc::new(query), &question, &Arc::new(Visible::All))
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_search_waits_for_its_place_and_no_longer_than_its_deadline() {
        let (cache, inventory) = (FoundCache::default(), large());
        let all = u32::try_from(cache.places.available_permits()).unwrap();
        let taken = cache.places.acquire_many(all).await.unwrap();
        let refused = cache.search(sought(&inventory, "7"), Deadline::after(Duration::from_secs(2))).await;
        assert_eq!(refused.unwrap_err().code, ErrorCode::Timeout);
        // Small ones need no place.
        let soon = Deadline::after(Duration::ZERO);
        assert_eq!(cache.search(sought(&super::tests::inventory("web"), "web"), soon).await.unwrap().matched, 1);
        drop(taken);
        // Nor does a deadline that has passed matter where a place is free, or somebody has found it before.
        let found = cache.search(sought(&inventory, "7"), soon).await.unwrap();
        let _taken = cache.places.acquire_many(all).await.unwrap();
        assert!(Arc::ptr_eq(&found, &cache.search(sought(&inventory, "7"), soon).await.unwrap()));
    }

    #[tokio::test]
    async fn a_search_whose_asker_left_while_it_waited_is_not_made() {
        let (cache, inventory) = (FoundCache::default(), large());
        let all = u32::try_from(cache.places.available_permits()).unwrap();
        let taken = cache.places.acquire_many(all).await.unwrap();
        let far = Deadline::after(Duration::from_secs(600));
        let mut leaves = Box::pin(cache.search(sought(&inventory, "7"), far));
        assert!(leaves.as_mut().now_or_never().is_none());
        drop(leaves);
        drop(taken);
        // Whoever comes later has had the place after it.
        cache.search(sought(&inventory, "8"), far).await.unwrap();
        assert!(cache.found.get(&sought(&inventory, "7").key).is_none());
        assert!(cache.found.get(&sought(&inventory, "8").key).is_some());
    }

    #[test]
    fn what_is_kept_weighs_with_all_that_it_holds() {
        let inventory = inventory("web");
        let short = sought(&inventory, "web").key.bytes();
        let long = (0..60).map(|n| format!("word{n} ")).collect::<String>();
        assert!(sought(&inventory, &long).key.bytes() > short + 500);
        let mut key = sought(&inventory, "web").key;
        key.visible = Arc::new(Visible::Groups((0..100).map(|n| format!("group {n}")).collect()));
        assert!(key.bytes() > short + 1000);
    }

    #[tokio::test]
    async fn while_a_large_search_runs_the_async_side_goes_on() {
        let (cache, inventory) = (FoundCache::default(), large());
        let sought = sought(&inventory, "7");
        // Somebody makes the same search, and it does not end before the gate opens.
        let (begin, begun) = tokio::sync::oneshot::channel();
        let (gate, opens) = std::sync::mpsc::channel::<()>();
        let (kept, key) = (cache.found.clone(), sought.key.clone());
        let other = std::thread::spawn(move || {
            kept.get_with(key, || {
                begin.send(()).unwrap();
                let _ = opens.recv();
                Arc::new(Found { matched: 77, ..Found::default() })
            })
        });
        begun.await.unwrap();
        let mut search = Box::pin(cache.search(sought, Deadline::after(Duration::from_secs(600))));
        // On this one thread, so had it been made here, nobody would come to open the gate.
        for _ in 0..1000 {
            assert!(search.as_mut().now_or_never().is_none());
            tokio::task::yield_now().await;
        }
        drop(gate);
        // Equal searches at the same time are one.
        assert!(Arc::ptr_eq(&search.await.unwrap(), &other.join().unwrap()));
    }

    #[test]
    fn time_and_alerts_are_part_of_the_key_where_they_matter() {
        let cache = FoundCache::default();
        let inventory = inventory("web");
        let visible = Arc::new(Visible::All);
        let search = |line: &str, millis, alerts: Option<&Arc<Fired>>| {
            let query = Arc::new(Query::parse(line).unwrap());
            let (patience, wanted) = (Duration::ZERO, Wanted::Known);
            let question = Question { query: Query::default(), order: Order::RANK, limit: 9, patience, wanted };
            let sought = Sought::new(&inventory, &query, &question, &visible);
            let asked = Asked { question, query, after: None, now: Timestamp::from_millis(millis) };
            cache.here(&sought.of(&asked, &"a".parse().unwrap()).knowing(alerts.map(Arc::clone)))
        };
        assert!(Arc::ptr_eq(&search("web", 1000, None), &search("web", 900_000, None)));
        assert!(Arc::ptr_eq(&search("age:>1m", 1000, None), &search("age:>1m", 1999, None)));
        assert!(!Arc::ptr_eq(&search("age:>1m", 1000, None), &search("age:>1m", 2000, None)));
        let fired = [Arc::new(Fired::new(["1"])), Arc::new(Fired::new(["2"]))];
        assert_eq!(search("alert:fired", 1000, None).matched, 0);
        assert_eq!(search("-alert:fired", 1000, None).matched, 0);
        assert_eq!(search("alert:fired", 1000, Some(&fired[0])).matched, 1);
        assert_eq!(search("alert:fired", 1000, Some(&fired[1])).matched, 0);
        assert_eq!(search("-alert:fired", 1000, Some(&fired[1])).rows[0].agent.alert_fired, Some(false));
        assert!(Arc::ptr_eq(&search("web", 1000, Some(&fired[0])), &search("web", 9000, Some(&fired[0]))));
    }
}
