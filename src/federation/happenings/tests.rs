//! Every event exactly once, whatever comes and goes meanwhile.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use proptest::prelude::*;

use super::*;
use crate::inventory::Inventory;
use crate::sites::{Detail, FiredReading, PlannedWork, Reading, Series, Step, Tell, View};

/// A site with events, that sends those of one second in another order each time.
#[derive(Debug, Default)]
struct Fake {
    events: Mutex<Vec<Event>>,
    answers: Mutex<u64>,
    /// Fails from this answer on.
    fails: Option<u64>,
    /// Sends the newest whatever offset is asked for.
    deaf: bool,
}

fn event(id: u64, second: i64) -> Event {
    Event {
        id,
        at: Timestamp::from_secs(second),
        kind: String::new(),
        severity: None,
        text: String::new(),
        agent: Some((id % 3).to_string()),
        module: None,
        state: None,
    }
}

impl Site for Fake {
    fn events(&self, offset: u64, limit: u64, _: Deadline) -> BoxFuture<'_, Result<Events, SiteError>> {
        let mut answers = self.answers.lock().unwrap();
        *answers += 1;
        if self.fails.is_some_and(|fails| *answers >= fails) {
            return std::future::ready(Err(SiteError::new(ErrorCode::BadAnswer, "as told"))).boxed();
        }
        let mut events = self.events.lock().unwrap().clone();
        let turn = *answers;
        events.sort_by_key(|event| (std::cmp::Reverse(event.at), (event.id * 7919 * (turn % 5 + 1)) % 104_729));
        let (from, most) = (usize::try_from(offset).unwrap(), usize::try_from(limit).unwrap());
        let from = if self.deaf { 0 } else { from };
        let events: Vec<_> = events.into_iter().skip(from).take(most).collect();
        let sent = u64::try_from(events.len()).unwrap();
        std::future::ready(Ok(Events { sent, events })).boxed()
    }

    fn inventory(&self, _: Deadline) -> BoxFuture<'_, Result<Reading, SiteError>> {
        unreachable!("only events are read")
    }

    fn fired_alerts(&self, _: Deadline) -> BoxFuture<'_, Result<FiredReading, SiteError>> {
        unreachable!("only events are read")
    }

    fn detail<'a>(
        &'a self,
        _: &'a str,
        _: &'a Inventory,
        _: Tell<'a>,
        _: Deadline,
    ) -> BoxFuture<'a, Result<Detail, SiteError>> {
        unreachable!("only events are read")
    }

    fn series<'a>(
        &'a self,
        _: &'a str,
        _: Timestamp,
        _: Timestamp,
        _: Deadline,
    ) -> BoxFuture<'a, Result<Series, SiteError>> {
        unreachable!("only events are read")
    }

    fn planned_work(&self, _: Deadline) -> BoxFuture<'_, Result<Arc<[PlannedWork]>, SiteError>> {
        unreachable!("only events are read")
    }

    fn probe<'a>(&'a self, _: &'a mut (dyn FnMut(Step) + Send), _: Deadline) -> BoxFuture<'a, ()> {
        unreachable!("only events are read")
    }

    fn link(&self, _: View<'_>) -> url::Url {
        unreachable!("only events are read")
    }
}

fn page(site: &Fake, after: Option<EventPlace>, limit: usize, wanted: impl Fn(&Event) -> bool) -> EventPage {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(walk(site, after, limit, wanted, Deadline::after(Duration::from_secs(9))))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn each_event_comes_once_while_others_come_and_go(
        seconds in proptest::collection::vec(prop_oneof![1usize..6, Just(0), 150usize..450], 1..6),
        limits in proptest::collection::vec(40usize..400, 1..6),
        coming in proptest::collection::vec(0usize..120, 1..6),
        going in proptest::collection::vec(0usize..300, 1..6),
    ) {
        let site = Fake::default();
        let mut id = 0;
        let mut expected = Vec::new();
        for (second, count) in (1000_i64..).zip(&seconds) {
            for _ in 0..*count {
                id += 1;
                expected.push((second, id));
                site.events.lock().unwrap().push(event(id, second));
            }
        }
        expected.reverse();
        let (mut got, mut after, mut newest) = (Vec::new(), None, 2000);
        let mut seen = std::collections::HashSet::new();
        for turn in 0..500 {
            let found = page(&site, after, limits[turn % limits.len()], |_| true);
            prop_assert_eq!(&found.error, &None);
            got.extend(found.events.iter().map(|event| (event.at.as_secs(), event.id)));
            seen.extend(found.events.iter().map(|event| event.id));
            let mut events = site.events.lock().unwrap();
            for _ in 0..coming[turn % coming.len()] {
                id += 1;
                newest += i64::from(id % 3 == 0);
                events.push(event(id, newest));
            }
            // Some that were seen, and some that came since, are deleted.
            let mut gone = going[turn % going.len()];
            events.retain(|event| {
                let passed = event.at.as_secs() >= 2000 || seen.contains(&event.id);
                gone -= usize::from(passed && gone > 0);
                !(passed && gone > 0)
            });
            drop(events);
            after = found.next;
            if after.is_none() {
                break;
            }
            prop_assert_eq!(after.unwrap().to_string().parse(), Ok(after.unwrap()));
        }
        prop_assert_eq!(after, None);
        // What came after the first page is newer than it, so none of it is told.
        prop_assert_eq!(got, expected);
    }
}

#[test]
fn a_rare_event_is_found_over_several_pages_of_bounded_cost() {
    let site = Fake::default();
    *site.events.lock().unwrap() = (1..=5000).map(|id| event(id, i64::try_from(id).unwrap())).collect();
    let first = page(&site, None, 20, |event| event.id == 9);
    assert_eq!((first.events.len(), *site.answers.lock().unwrap()), (0, 10));
    assert!(first.back_to.unwrap() > Timestamp::from_secs(2000));
    let (mut after, mut pages, mut found) = (first.next, 1, Vec::new());
    while after.is_some() {
        let page = page(&site, after, 20, |event| event.id == 9);
        (after, pages) = (page.next, pages + 1);
        found.extend(page.events);
    }
    assert_eq!((found.len(), pages), (1, 3));
}

#[test]
fn what_failed_is_told_beside_what_was_found_and_can_be_gone_on_with() {
    let mut site = Fake { fails: Some(2), ..Fake::default() };
    *site.events.lock().unwrap() = (1..=300).map(|id| event(id, i64::try_from(id).unwrap())).collect();
    let first = page(&site, None, 250, |_| true);
    assert_eq!((first.events.len(), first.error.map(|error| error.code)), (199, Some(ErrorCode::BadAnswer)));
    site.fails = None;
    let rest = page(&site, first.next, 250, |_| true);
    assert_eq!((rest.events.len(), rest.events[0].id, rest.next, rest.error), (101, 101, None, None));
    site.fails = Some(0);
    let nothing = page(&site, first.next, 9, |_| true);
    assert_eq!((nothing.events.len(), nothing.next), (0, first.next));
}

#[test]
fn a_second_with_more_than_any_answer_holds_is_announced() {
    let site = Fake::default();
    *site.events.lock().unwrap() = (1..=4000).map(|id| event(id, if id < 100 { 5 } else { 7 })).collect();
    let found = page(&site, None, 5000, |_| true);
    assert_eq!(found.error.unwrap().code, ErrorCode::TooLarge);
    assert_eq!(found.events.iter().filter(|event| event.at.as_secs() == 5).count(), 99);
}

#[test]
fn a_forged_place_only_says_where_to_begin() {
    let site = Fake::default();
    *site.events.lock().unwrap() = (1..=900).map(|id| event(id, i64::try_from(id).unwrap())).collect();
    for text in ["", "1", "1-2", "-1-2-3", "a-b-c", "1-2-3-4", "1-0-18446744073709551615"] {
        assert_eq!(text.parse::<EventPlace>(), Err(()), "{text}");
    }
    // A forged place only says where to begin.
    let far = "500-0-800".parse().unwrap();
    let found = page(&site, Some(far), 1000, |_| true);
    assert_eq!((found.events.len(), found.events[0].id), (499, 499));
    // However far it is: each page comes nearer.
    let mut next = Some("500-0-300000000".parse::<EventPlace>().unwrap());
    let mut events = 0;
    for _ in 0..40 {
        let Some(after) = next else { break };
        let found = page(&site, Some(after), 1000, |_| true);
        assert_ne!(found.next, Some(after));
        (events, next) = (events + found.events.len(), found.next);
    }
    assert_eq!((events, next), (499, None));
    // A site that sends the newest whatever is asked for.
    let site = Fake { deaf: true, ..site };
    for offset in [1 << 32, u64::MAX] {
        if let Ok(far) = format!("9223372036854775807-18446744073709551615-{offset}").parse() {
            assert!(page(&site, Some(far), 1000, |_| true).events.len() <= 900);
        }
    }
}
