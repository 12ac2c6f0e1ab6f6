//! Large inventories: while they are looked through, or wait for it, everybody else goes on. Events, no times.

use futures_util::future::{BoxFuture, FutureExt};
use tokio::sync::watch;

use super::found::SMALL;
use super::*;
use crate::clock::Timestamp;
use crate::domain::{Contribution, ErrorCode, SiteError};
use crate::inventory::{AgentText, Builder, Inventory};
use crate::sites::{Detail, FiredReading, PlannedWork, Reading, Series, Site, Step};

/// Answers at once, or never while its gate is closed.
#[derive(Debug)]
struct Sized {
    agents: usize,
    open: watch::Receiver<bool>,
}

fn inventory(agents: usize) -> Inventory {
    let mut builder = Builder::new(agents);
    for n in 0..agents {
        let id = n.to_string();
        builder.agent(AgentText { id: &id, alias: &id, name: "n", address: "", system: "" }).unwrap();
    }
    builder.finish(|_| None).unwrap()
}

impl Site for Sized {
    fn inventory(&self, _: Deadline) -> BoxFuture<'_, Result<Reading, SiteError>> {
        let mut open = self.open.clone();
        async move {
            open.wait_for(|open| *open).await.unwrap();
            Ok(Reading { inventory: Arc::new(inventory(self.agents)), bytes: 0, skew_ms: None })
        }
        .boxed()
    }

    fn fired_alerts(&self, _: Deadline) -> BoxFuture<'_, Result<FiredReading, SiteError>> {
        unreachable!("only inventories are read")
    }

    fn detail<'a>(
        &'a self,
        _: &'a str,
        _: &'a Inventory,
        _: crate::sites::Tell<'a>,
        _: Deadline,
    ) -> BoxFuture<'a, Result<Detail, SiteError>> {
        unreachable!("only inventories are read")
    }

    fn series<'a>(
        &'a self,
        _: &'a str,
        _: Timestamp,
        _: Timestamp,
        _: Deadline,
    ) -> BoxFuture<'a, Result<Series, SiteError>> {
        unreachable!("only inventories are read")
    }

    fn planned_work(&self, _: Deadline) -> BoxFuture<'_, Result<Arc<[PlannedWork]>, SiteError>> {
        unreachable!("only inventories are read")
    }

    fn probe<'a>(&'a self, _: &'a mut (dyn FnMut(Step) + Send), _: Deadline) -> BoxFuture<'a, ()> {
        unreachable!("only inventories are read")
    }

    fn link(&self, _: crate::sites::View<'_>) -> url::Url {
        unreachable!("only inventories are read")
    }
}

/// Sites with so many agents, and their gate.
fn federation(sites: &[(&str, usize)]) -> (Federation, watch::Sender<bool>) {
    let (gate, open) = watch::channel(true);
    let clock = Clock::following(Timestamp::from_secs(1_000_000_000));
    let policy = Policy {
        timeout: Duration::from_secs(60),
        first_life: FIRST_LIFE,
        refresh_after: Duration::from_secs(30),
        max_age: Duration::from_secs(60),
        forget_after: Duration::from_secs(86_400),
        max_load: 0.02,
    };
    let slot = |(id, agents): &(&str, usize)| {
        let site = Ok(Arc::new(Sized { agents: *agents, open: open.clone() }) as Arc<dyn Site>);
        let plan =
            Plan { id: id.parse().unwrap(), name: String::new(), tags: Vec::new(), policy: policy.clone(), site };
        Slot::new(plan, clock)
    };
    (Federation::new(sites.iter().map(slot).collect(), clock), gate)
}

fn question(text: &str, wanted: Wanted) -> Question {
    let query = Query::parse(text).unwrap();
    Question { query, order: Order::ALIAS, limit: 3, patience: Duration::from_secs(2), wanted }
}

async fn all_places(federation: &Federation) -> tokio::sync::OwnedSemaphorePermit {
    let places = Arc::clone(&federation.found.places);
    let all = u32::try_from(places.available_permits()).unwrap();
    places.acquire_many_owned(all).await.unwrap()
}

fn how(report: &Report) -> Vec<(&str, Contribution, usize)> {
    report.sites.iter().map(|site| (site.site.as_str(), site.contribution, site.rows)).collect()
}

const FORCED: Wanted = Wanted::Within(Duration::ZERO);

#[tokio::test]
async fn forty_large_searches_hold_up_nobody_else() {
    let (federation, _gate) = federation(&[("large", SMALL + 1), ("small", 5)]);
    let view = federation.everything();
    assert_eq!(view.report(&question("", Wanted::Current)).await.total, SMALL + 6);
    let taken = all_places(&federation).await;
    let searches: Vec<_> = (0..40)
        .map(|n| {
            let (view, patience) = (view.clone(), Duration::from_secs(600));
            let question = Question { patience, ..question(&n.to_string(), Wanted::Known) };
            tokio::spawn(async move { view.report(&question).await })
        })
        .collect();
    let mut stream = view.stream(&Question { patience: Duration::from_secs(600), ..question("1", Wanted::Known) });
    // The small site is in the stream although the large one waits, and other questions are answered.
    assert_eq!(stream.next().await.unwrap().outcome.site.as_str(), "small");
    assert!(stream.next().now_or_never().is_none(), "the large one had no place");
    for _ in 0..100 {
        assert_eq!(view.report(&question("site:small", Wanted::Known)).await.total, 5);
    }
    assert!(searches.iter().all(|search| !search.is_finished()));
    drop(taken);
    assert_eq!(stream.next().await.unwrap().outcome.site.as_str(), "large");
    for (n, search) in searches.into_iter().enumerate() {
        let matching = (0..=SMALL).filter(|id| id.to_string().contains(&n.to_string())).count();
        let small = usize::from(n < 5);
        assert_eq!(how(&search.await.unwrap()).iter().map(|(_, _, rows)| rows).sum::<usize>(), matching + small);
    }
}

#[tokio::test(start_paused = true)]
async fn rows_that_nobody_could_look_through_in_time_are_missing_with_a_reason() {
    let (federation, _gate) = federation(&[("large", SMALL + 1), ("small", 5)]);
    let view = federation.everything();
    view.report(&question("", Wanted::Current)).await;
    let _taken = all_places(&federation).await;
    let report = view.report(&question("1", Wanted::Known)).await;
    assert_eq!(how(&report), [("large", Contribution::Failed, 0), ("small", Contribution::Cached, 1)]);
    let late = &report.sites[0];
    assert_eq!(late.failure.as_ref().unwrap().error.code, ErrorCode::Timeout);
    assert_eq!((late.took, late.age), (Duration::from_secs(2), None));
    // What somebody has found before needs no place.
    assert_eq!(view.report(&question("", Wanted::Known)).await.total, SMALL + 6);
}

#[tokio::test(start_paused = true)]
async fn known_rows_outlive_a_read_that_brings_nothing_in_time() {
    for streamed in [false, true] {
        for answers_in_time in [false, true] {
            let (federation, gate) = federation(&[("large", SMALL + 1)]);
            let view = federation.everything();
            view.report(&question("", Wanted::Current)).await;
            tokio::time::sleep(Duration::from_secs(20)).await;
            gate.send_replace(false);
            let question = question("1", FORCED);
            let mut answers = if streamed { view.stream(&question) } else { view.ask(&question) };
            if streamed {
                let known = answers.next().await.unwrap();
                assert_eq!((known.outcome.contribution, known.pending), (Contribution::Cached, true));
            } else {
                // It looks through what is known while it waits.
                assert!(tokio::time::timeout(Duration::from_secs(1), answers.next()).await.is_err());
            }
            // From here on there is no place for anybody.
            let _taken = all_places(&federation).await;
            gate.send_replace(answers_in_time);
            let last = answers.next().await.unwrap();
            assert!(last.outcome.rows > 0 && last.rows.len() == 3, "{last:?}");
            let code = last.outcome.failure.map(|failure| failure.error.code);
            let expected = match answers_in_time {
                // There are newer ones, which could not be looked through.
                true => (Contribution::Stale, Some(ErrorCode::Timeout), true),
                false => (Contribution::Cached, None, false),
            };
            assert_eq!((last.outcome.contribution, code, last.rows[0].stale), expected, "streamed: {streamed}");
            assert!(answers.next().await.is_none());
        }
    }
}

#[tokio::test]
async fn a_thousand_small_sites_are_looked_through_here_with_turns_for_others() {
    let ids: Vec<String> = (0..1000).map(|n| format!("s{n}")).collect();
    let sites: Vec<_> = ids.iter().map(|id| (id.as_str(), 50)).collect();
    let (federation, _gate) = federation(&sites);
    let view = federation.everything();
    view.report(&question("", Wanted::Current)).await;
    // None of them needs a place.
    let _taken = all_places(&federation).await;
    let turns = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counts = Arc::clone(&turns);
    let other = tokio::spawn(async move {
        loop {
            counts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    let found = view.report(&question("7", Wanted::Known)).await;
    assert_eq!(found.total, 1000 * 5);
    let effort = 1000 * 50 * 2;
    assert!(turns.load(std::sync::atomic::Ordering::Relaxed) >= effort / SMALL, "{turns:?} turns");
    other.abort();
}

#[tokio::test]
async fn exports_are_sorted_one_after_the_other_and_hold_up_no_search() {
    let (federation, _gate) = federation(&[("large", SMALL + 1)]);
    let view = federation.everything();
    view.report(&question("", Wanted::Current)).await;
    let turn = Arc::clone(&federation.found.exports).acquire_owned().await.unwrap();
    let all = question("", Wanted::Known);
    let mut export = Box::pin(view.export(&all));
    let early = tokio::time::timeout(Duration::from_millis(200), &mut export).await;
    assert!(early.is_err(), "it did not wait for its turn");
    assert_eq!(view.report(&question("7", Wanted::Known)).await.rows.len(), 3);
    // Who leaves gives up their turn.
    drop(export);
    drop(turn);
    assert_eq!(view.export(&all).await.count(), 3);
}
