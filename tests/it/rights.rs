//! What a viewer may not see leaves no trace: not in rows, counts, order or outcomes, whoever asked before.
//!
//! The comparison is with federations that never had the rest: a naive filter over the agents as plain data.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use metaconsole::clock::{Clock, Deadline, Timestamp};
use metaconsole::domain::{Query, SiteError, Status};
use metaconsole::federation::{FIRST_LIFE, Federation, Merge, Plan, Policy, Question, Report, Slot, View, Wanted};
use metaconsole::inventory::{AgentText, Builder, Fired, Inventory, Order, Visible};
use metaconsole::sites::{self, Detail, FiredReading, PlannedWork, Reading, Series, Site, Step};
use proptest::prelude::*;
use tokio::runtime::Runtime;

/// An agent as plain data: alias, status, numbers of its groups.
#[derive(Clone, Debug)]
struct Thing {
    alias: &'static str,
    status: Status,
    groups: BTreeSet<usize>,
}

/// The names of groups are words that are looked for, too.
const GROUPS: [&str; 4] = ["Web", "Db", "Secret web", "Other"];

#[derive(Clone, Debug)]
struct Grouped(Vec<(usize, Thing)>);

impl Grouped {
    fn inventory(&self) -> Inventory {
        let mut builder = Builder::new(100);
        for (id, thing) in &self.0 {
            let text = id.to_string();
            let text = AgentText { id: &text, alias: thing.alias, name: "host", address: "10.0.0.1", system: "" };
            let agent = builder.agent(text).unwrap();
            builder.module(agent, *id as u64, thing.status, 0).unwrap();
            for (n, group) in thing.groups.iter().enumerate() {
                let group = builder.group(&group.to_string(), GROUPS[*group]).unwrap();
                builder.join(agent, group, n == 0).unwrap();
            }
        }
        builder.finish(|_| None).unwrap()
    }
}

impl Site for Grouped {
    fn inventory(&self, _: Deadline) -> BoxFuture<'_, Result<Reading, SiteError>> {
        let inventory = Arc::new(self.inventory());
        async move { Ok(Reading { inventory, bytes: 0, skew_ms: None }) }.boxed()
    }

    fn fired_alerts(&self, _: Deadline) -> BoxFuture<'_, Result<FiredReading, SiteError>> {
        // Every agent with an even number.
        let fired = self.0.iter().map(|(id, _)| *id).filter(|id| id % 2 == 0).map(|id| id.to_string());
        let fired = Arc::new(Fired::new(fired));
        async move { Ok(FiredReading { fired }) }.boxed()
    }

    fn detail<'a>(
        &'a self,
        _: &'a str,
        _: &'a Inventory,
        _: sites::Tell<'a>,
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

    fn link(&self, _: sites::View<'_>) -> url::Url {
        unreachable!("only inventories are read")
    }
}

fn federation(sites: Vec<(usize, Grouped)>, clock: Clock) -> Federation {
    let policy = Policy {
        timeout: Duration::from_secs(60),
        first_life: FIRST_LIFE,
        refresh_after: Duration::from_secs(30),
        max_age: Duration::from_secs(60),
        forget_after: Duration::from_secs(86_400),
        max_load: 0.02,
    };
    let slot = |(n, site): (usize, Grouped)| {
        let (id, site) = (format!("s{n}").parse().unwrap(), Ok(Arc::new(site) as Arc<dyn Site>));
        Slot::new(Plan { id, name: String::new(), tags: Vec::new(), policy: policy.clone(), site }, clock)
    };
    Federation::new(sites.into_iter().map(slot).collect(), clock)
}

/// What somebody may see of each site: nothing of it, all, or these groups.
type Rights = Vec<Option<Option<BTreeSet<usize>>>>;

fn seen(federation: &Federation, rights: &Rights) -> View {
    federation.view(|plan| {
        let n: usize = plan.id.as_str()[1..].parse().unwrap();
        let names = |groups: &BTreeSet<usize>| groups.iter().map(|group| GROUPS[*group].to_owned()).collect();
        rights[n]
            .as_ref()
            .map(|groups| Arc::new(groups.as_ref().map_or(Visible::All, |groups| Visible::Groups(names(groups)))))
    })
}

/// The sites as if the rest had never been.
fn filtered(sites: &[Grouped], rights: &Rights) -> Vec<(usize, Grouped)> {
    let mut left = Vec::new();
    for (n, site) in sites.iter().enumerate() {
        let Some(groups) = &rights[n] else { continue };
        let things = site.0.iter().filter_map(|(id, thing)| {
            let mut thing = thing.clone();
            if let Some(groups) = groups {
                thing.groups.retain(|group| groups.contains(group));
                if thing.groups.is_empty() {
                    return None;
                }
            }
            Some((*id, thing))
        });
        left.push((n, Grouped(things.collect())));
    }
    left
}

/// All that is shown of agents; what is said of a site as such (that it sees no agent at all) is not about agents.
fn shown(mut report: Report) -> Report {
    report.sites.iter_mut().for_each(|site| site.warnings.clear());
    report
}

async fn streamed(view: &View, question: &Question) -> (Report, Vec<(String, usize, u64)>) {
    let (mut answers, mut merge, mut counts) = (view.stream(question), Merge::new(question), Vec::new());
    while let Some(answer) = answers.next().await {
        let (site, rows) = (answer.outcome.site.to_string(), answer.outcome.rows);
        counts.push((site, rows, u64::from(answer.counts.critical)));
        merge.fold(answer);
    }
    counts.sort();
    (merge.finish(), counts)
}

fn things() -> impl Strategy<Value = Grouped> {
    let status = prop::sample::select(vec![Status::Critical, Status::Normal]);
    let alias = prop::sample::select(vec!["web", "db", "secret", "web other"]);
    let groups = prop::collection::btree_set(0..GROUPS.len(), 0..4);
    let thing = (alias, status, groups).prop_map(|(alias, status, groups)| Thing { alias, status, groups });
    prop::collection::vec(thing, 0..8).prop_map(|things| Grouped(things.into_iter().enumerate().collect()))
}

fn rights() -> impl Strategy<Value = Rights> {
    let groups = prop::collection::btree_set(0..GROUPS.len(), 0..4);
    let of_site = prop_oneof![Just(None), Just(Some(None)), groups.prop_map(|groups| Some(Some(groups)))];
    prop::collection::vec(of_site, 3)
}

proptest! {
    #[test]
    fn what_one_may_not_see_leaves_no_trace(
        sites in prop::collection::vec(things(), 3),
        viewers in prop::collection::vec(rights(), 1..4),
        text in prop::sample::select(vec!["", "web", "-web", "group:web", "-group:secret", "secret", "status:critical",
            "group:db,other web", "-status:critical", "-site:s1 web", "alert:fired", "-alert:fired group:web"]),
        order in prop::sample::select(vec![Order::RANK, Order::STATUS, Order::ALIAS, Order::ID]),
        limit in 1_usize..9,
    ) {
        let runtime: Runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let clock = Clock::following(Timestamp::from_secs(1_000_000_000));
            let all = federation(sites.iter().cloned().enumerate().collect(), clock);
            let (query, patience) = (Query::parse(text).unwrap(), Duration::from_secs(2));
            let question = Question { query, order, limit, patience, wanted: Wanted::Current };
            // Everybody asks twice, one after the other, and before and after one who sees everything.
            all.everything().report(&question).await;
            for rights in viewers.iter().chain(&viewers) {
                let view = seen(&all, rights);
                let alone = federation(filtered(&sites, rights), clock);
                alone.everything().report(&Question { query: Query::default(), ..question.clone() }).await;
                all.everything().report(&Question { query: Query::default(), ..question.clone() }).await;
                let expected = streamed(&alone.everything(), &question).await;
                let expected = (shown(expected.0), expected.1);
                let got = streamed(&view, &question).await;
                prop_assert_eq!(&(shown(got.0), got.1), &expected);
                prop_assert_eq!(&shown(view.report(&question).await), &expected.0);
                prop_assert_eq!(&shown(view.known(&question).await), &expected.0);
                let hidden = (0..sites.len()).filter(|n| rights[*n].is_none());
                for id in hidden.map(|n| format!("s{n}")) {
                    prop_assert!(view.seat(&id).is_none() && view.slots().all(|slot| slot.plan().id.as_str() != id));
                }
            }
            Ok(())
        })?;
    }
}

#[tokio::test(start_paused = true)]
async fn nor_is_a_site_that_may_not_be_seen_read_for_it() {
    let clock = Clock::following(Timestamp::from_secs(1_000_000_000));
    let all = federation(vec![(0, Grouped(Vec::new())), (1, Grouped(Vec::new()))], clock);
    let question = Question {
        query: Query::default(),
        order: Order::RANK,
        limit: 9,
        patience: Duration::from_secs(2),
        wanted: Wanted::Current,
    };
    let report = seen(&all, &vec![Some(None), None]).report(&question).await;
    assert_eq!(report.sites.iter().map(|site| site.site.as_str()).collect::<Vec<_>>(), ["s0"]);
    let reads = |n: usize| all.slots()[n].snapshot().tally.results.values().sum::<u64>();
    assert_eq!((reads(0), reads(1)), (1, 0));
}
