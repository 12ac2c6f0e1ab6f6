//! Planned work: its windows, and how seldom it is read. Time is paused.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::{BoxFuture, FutureExt};
use tokio::sync::watch;

use super::super::{FIRST_LIFE, Plan, Wanted};
use super::*;
use crate::clock::Clock;
use crate::inventory::{Builder, Inventory};
use crate::sites::{Detail, FiredReading, Reading, Series, Step};

const NOW: i64 = 1_000_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(NOW + seconds)
}

fn once(name: &str, from: i64, to: i64) -> PlannedWork {
    let when = When::Once { from: at(from), to: at(to) };
    PlannedWork { when, ..recurring(name) }
}

fn recurring(name: &str) -> PlannedWork {
    let text = String::new;
    PlannedWork { id: text(), name: name.to_owned(), description: text(), group: text(), when: When::Recurring }
}

#[test]
fn a_window_holds_its_beginning_and_not_its_end() {
    let held = |work: Vec<PlannedWork>| HeldPlanned { work: work.into(), as_of: at(0) };
    let one = held(vec![once("patch", 10, 20)]);
    let runs = |second| one.running(at(second)).map(|window| window.name);
    assert_eq!([runs(9), runs(10), runs(19), runs(20)], [None, Some("patch"), Some("patch"), None]);
    // A window that ends before it begins is none.
    assert_eq!(held(vec![once("odd", 20, 10)]).windows(at(15), Duration::from_secs(60)), []);
    let many = held(vec![
        once("late", 70, 80),
        once("far", 500, 900),
        recurring("weekly"),
        once("a", -9, 5),
        once("b", -5, 9),
    ]);
    let names = |ahead| many.windows(at(0), Duration::from_secs(ahead)).iter().map(|it| it.name).collect::<Vec<_>>();
    assert_eq!((names(69), names(70)), (vec!["a", "b"], vec!["a", "b", "late"]));
    // What is done last decides, and recurring work never runs.
    assert_eq!(many.running(at(0)).unwrap().to, at(9));
    assert_eq!(held(vec![recurring("weekly")]).running(at(0)), None);
    assert_eq!(many.recurring().map(|work| work.name.as_str()).collect::<Vec<_>>(), ["weekly"]);
}

/// Counts how often it is asked, and answers what its switch says, when its gate is open.
#[derive(Debug)]
struct Announcing {
    asked: AtomicUsize,
    fails: AtomicUsize,
    rows_fail: AtomicUsize,
    open: watch::Receiver<bool>,
}

impl Site for Announcing {
    fn inventory(&self, _: Deadline) -> BoxFuture<'_, Result<Reading, SiteError>> {
        async move {
            if self.rows_fail.load(Ordering::Relaxed) > 0 {
                return Err(SiteError::new(ErrorCode::Timeout, "nobody there"));
            }
            let inventory = Arc::new(Builder::new(0).finish(|_| None).unwrap());
            Ok(Reading { inventory, bytes: 0, skew_ms: None })
        }
        .boxed()
    }

    fn fired_alerts(&self, _: Deadline) -> BoxFuture<'_, Result<FiredReading, SiteError>> {
        unreachable!("nobody asks for alerts")
    }

    fn detail<'a>(
        &'a self,
        _: &'a str,
        _: &'a Inventory,
        _: crate::sites::Tell<'a>,
        _: Deadline,
    ) -> BoxFuture<'a, Result<Detail, SiteError>> {
        unreachable!("nobody asks for agents")
    }

    fn series<'a>(
        &'a self,
        _: &'a str,
        _: Timestamp,
        _: Timestamp,
        _: Deadline,
    ) -> BoxFuture<'a, Result<Series, SiteError>> {
        unreachable!("nobody asks for values")
    }

    fn planned_work(&self, _: Deadline) -> BoxFuture<'_, Result<Arc<[PlannedWork]>, SiteError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut open = self.open.clone();
        async move {
            open.wait_for(|open| *open).await.unwrap();
            if self.fails.load(Ordering::Relaxed) > 0 {
                return Err(SiteError::new(ErrorCode::BadAnswer, "no such call"));
            }
            Ok(vec![once("patch", 0, 7200)].into())
        }
        .boxed()
    }

    fn probe<'a>(&'a self, _: &'a mut (dyn FnMut(Step) + Send), _: Deadline) -> BoxFuture<'a, ()> {
        unreachable!("nobody probes")
    }

    fn link(&self, _: crate::sites::View<'_>) -> url::Url {
        unreachable!("nobody opens it")
    }
}

fn slot(site: Result<Arc<dyn Site>, SiteError>) -> Arc<Slot> {
    let second = Duration::from_secs(1);
    let policy = Policy {
        timeout: second * 10,
        first_life: FIRST_LIFE,
        refresh_after: second * 30,
        max_age: second * 60,
        forget_after: second * 86_400,
        max_load: 0.02,
    };
    let plan = Plan { id: "a".parse().unwrap(), name: String::new(), tags: Vec::new(), policy, site };
    Slot::new(plan, Clock::following(at(0)))
}

fn announcing() -> (Arc<Slot>, Arc<Announcing>, watch::Sender<bool>) {
    let (gate, open) = watch::channel(true);
    let count = AtomicUsize::default;
    let site = Arc::new(Announcing { asked: count(), fails: count(), rows_fail: count(), open });
    let slot = slot(Ok(Arc::clone(&site) as Arc<dyn Site>));
    (slot, site, gate)
}

async fn read_rows(slot: &Slot) {
    slot.look(Wanted::Probe).flight.unwrap().wait().await;
}

/// Lets everything that can run do so.
async fn settle(slot: &Slot) {
    for _ in 0..100 {
        if !slot.look_planned(false).reading {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn many_who_look_cause_one_read_in_ten_minutes() {
    let (slot, site, gate) = announcing();
    let asked = || site.asked.load(Ordering::Relaxed);
    // Nothing of a site that nobody has read, and nothing for who does not look at it.
    assert!(!slot.look_planned(true).reading);
    read_rows(&slot).await;
    assert!(!slot.look_planned(false).reading);
    gate.send_replace(false);
    assert!(slot.look_planned(true).held.is_none());
    for _ in 0..50 {
        tokio::task::yield_now().await;
        assert!(slot.look_planned(true).reading);
    }
    assert_eq!(asked(), 1);
    gate.send_replace(true);
    settle(&slot).await;
    let held = slot.look_planned(true).held.unwrap();
    assert_eq!(held.running(at(1)).unwrap().name, "patch");
    tokio::time::advance(LEAST - Duration::from_secs(1)).await;
    assert!(!slot.look_planned(true).reading);
    tokio::time::advance(Duration::from_secs(1)).await;
    let look = slot.look_planned(true);
    assert!(look.reading && look.held.is_some(), "what is known is told meanwhile");
    settle(&slot).await;
    assert_eq!(asked(), 2);
    // Nobody looked for long: it is not told before it is read again.
    tokio::time::advance(LEAST * 3).await;
    assert!(slot.look_planned(false).held.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_read_that_fails_is_told_and_not_repeated_sooner() {
    let (slot, site, _gate) = announcing();
    site.fails.store(1, Ordering::Relaxed);
    read_rows(&slot).await;
    slot.look_planned(true);
    settle(&slot).await;
    let look = slot.look_planned(true);
    assert_eq!((look.held.is_none(), look.reading), (true, false));
    assert_eq!(look.failure.unwrap().error.message, "no such call");
    tokio::time::advance(LEAST - Duration::from_secs(1)).await;
    assert!(!slot.look_planned(true).reading);
    site.fails.store(0, Ordering::Relaxed);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(slot.look_planned(true).reading);
    settle(&slot).await;
    let look = slot.look_planned(true);
    assert!(look.held.is_some() && look.failure.is_none());
    assert_eq!(site.asked.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_site_that_fails_or_is_paused_is_not_asked_and_what_was_known_before_is_told() {
    let (slot, site, _gate) = announcing();
    read_rows(&slot).await;
    slot.look_planned(true);
    settle(&slot).await;
    site.rows_fail.store(1, Ordering::Relaxed);
    tokio::time::advance(LEAST * 4).await;
    read_rows(&slot).await;
    let look = slot.look_planned(true);
    assert!(!look.reading && look.held.is_some(), "the work may well be why it fails");
    assert_eq!(site.asked.load(Ordering::Relaxed), 1);
    let paused = self::slot(Err(SiteError::new(ErrorCode::Paused, "paused")));
    let look = paused.look_planned(true);
    assert!(!look.reading && look.held.is_none());
}
