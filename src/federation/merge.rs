//! Folds the answers of sites, in whatever order they come, into one report. Pure.
//!
//! Rows are ordered by their sort key, then site id, then agent id: total, so the order in which sites answered
//! cannot be seen in the report. A site's later answer replaces its earlier one.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::cursor::Place;
use super::{Question, SiteAnswer};
use crate::clock::Timestamp;
use crate::domain::{Completeness, Contribution, Outcome, SiteId};
use crate::inventory::{Hit, Order, compare_ids};

/// One agent in a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its site.
    pub site: SiteId,
    /// The agent and its place.
    pub hit: Hit,
    /// When it was read.
    pub as_of: Timestamp,
    /// Whether it is older than its site's `max_age`, or its site fails.
    pub stale: bool,
}

/// The merged answer: rows, and one outcome for every site the viewer may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The query, canonical.
    pub query: String,
    /// How many agents match on all sites.
    pub total: usize,
    /// How many of them are stale.
    pub stale_rows: usize,
    /// The best rows, in order.
    pub rows: Vec<Row>,
    /// One for every site, by id.
    pub sites: Vec<Outcome>,
    /// Where the next rows begin; `None` when there are no more.
    pub next: Option<Place>,
}

impl Report {
    /// How many sites contributed how.
    pub fn completeness(&self) -> Completeness {
        Completeness::of(&self.sites)
    }
}

/// A report in the making.
#[derive(Debug)]
pub struct Merge {
    query: String,
    order: Order,
    limit: usize,
    sites: BTreeMap<SiteId, SiteAnswer>,
}

impl Merge {
    /// For a question's answers.
    pub fn new(question: &Question) -> Self {
        let Question { query, order, limit, .. } = question;
        Self { query: query.to_string(), order: *order, limit: *limit, sites: BTreeMap::new() }
    }

    /// Takes one site's answer.
    pub fn fold(&mut self, answer: SiteAnswer) {
        self.sites.insert(answer.outcome.site.clone(), answer);
    }

    /// The report of what came.
    pub fn finish(self) -> Report {
        let (rows, sites) = (Vec::new(), Vec::new());
        let mut report = Report { query: self.query, total: 0, stale_rows: 0, rows, sites, next: None };
        for answer in self.sites.into_values() {
            let matched = answer.outcome.rows;
            report.total += matched;
            report.stale_rows += if answer.outcome.contribution == Contribution::Stale { matched } else { 0 };
            report.rows.extend(answer.rows);
            report.sites.push(answer.outcome);
        }
        // Each site's rows are a sorted run, which this sort takes as such.
        report.rows.sort_by(|a, b| compare(self.order, a, b));
        report.rows.truncate(self.limit);
        let more = report.total > report.rows.len();
        report.next = report.rows.last().filter(|_| more).map(Place::of);
        report
    }

    /// The report of a page behind a place, for which one row more than `limit` was asked for.
    pub(super) fn finish_page(self, limit: usize) -> Report {
        let mut report = self.finish();
        let more = report.rows.len() > limit;
        report.rows.truncate(limit);
        report.next = report.rows.last().filter(|_| more).map(Place::of);
        report
    }
}

/// The order of two rows of any sites.
pub(super) fn compare(order: Order, a: &Row, b: &Row) -> Ordering {
    let by_site = || a.site.cmp(&b.site);
    let by_id = || compare_ids(&a.hit.agent.id, &b.hit.agent.id);
    order.compare(a.hit.key.key(), b.hit.key.key(), by_site, by_id)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::Wanted;
    use super::*;
    use crate::domain::Query;
    use crate::inventory::{AgentText, Builder, Order, Request, Visible};

    fn question(limit: usize) -> Question {
        let query = Query::parse("a").unwrap();
        Question { query, order: Order::RANK, limit, patience: Duration::from_secs(1), wanted: Wanted::Current }
    }

    fn answer(site: &str, contribution: Contribution, names: &[String], question: &Question) -> SiteAnswer {
        let mut builder = Builder::new(100);
        for (id, name) in names.iter().enumerate() {
            let id = id.to_string();
            builder.agent(AgentText { id: &id, alias: name, name, address: "", system: "" }).unwrap();
        }
        let inventory = builder.finish(|_| None).unwrap();
        let request = Request::new(&question.query, &Visible::All, Timestamp::from_secs(1));
        let found = inventory.search(Request { order: question.order, limit: question.limit, ..request });
        let outcome = Outcome {
            site: site.parse().unwrap(),
            contribution,
            asked: true,
            rows: found.matched,
            age: None,
            alerts_as_of: None,
            took: Duration::ZERO,
            failure: None,
            warnings: Vec::new(),
            lost: 0,
        };
        let row = |hit| Row { site: site.parse().unwrap(), hit, as_of: Timestamp::from_secs(1), stale: false };
        SiteAnswer { outcome, pending: false, counts: found.counts, rows: found.rows.into_iter().map(row).collect() }
    }

    #[test]
    fn stale_rows_are_counted_apart_and_every_site_has_an_outcome() {
        let question = question(1);
        let mut merge = Merge::new(&question);
        let names = ["xa".to_owned(), "a".to_owned()];
        merge.fold(answer("b", Contribution::Stale, &names, &question));
        merge.fold(answer("c", Contribution::Failed, &[], &question));
        merge.fold(answer("a", Contribution::Fresh, &names, &question));
        let report = merge.finish();
        assert_eq!((report.total, report.stale_rows, report.rows.len()), (4, 2, 1));
        assert_eq!((report.rows[0].site.as_str(), report.rows[0].hit.agent.alias.as_str()), ("a", "a"));
        assert_eq!(report.completeness().to_string(), "ok=1 stale=1 failed=1");
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_cannot_be_seen(
            sites in proptest::collection::vec(proptest::collection::vec("[ab]{1,3}", 0..6), 1..5),
            limit in 1usize..12,
            turn in any::<proptest::sample::Index>(),
        ) {
            let question = question(limit);
            let mut answers: Vec<_> = sites.iter().enumerate()
                .map(|(n, names)| answer(&format!("s{n}"), Contribution::Fresh, names, &question))
                .collect();
            let fold = |answers: &[SiteAnswer]| {
                let mut merge = Merge::new(&question);
                answers.iter().cloned().for_each(|answer| merge.fold(answer));
                merge.finish()
            };
            let report = fold(&answers);
            let middle = turn.index(answers.len());
            answers.rotate_left(middle);
            prop_assert_eq!(&fold(&answers), &report);
            answers.reverse();
            prop_assert_eq!(&fold(&answers), &report);
            // The cut at each site does not change the best rows of all.
            let whole: Vec<_> = sites.iter().flatten().filter(|name| name.contains('a')).collect();
            prop_assert_eq!(report.total, whole.len());
            prop_assert_eq!(report.rows.len(), whole.len().min(limit));
        }
    }
}
