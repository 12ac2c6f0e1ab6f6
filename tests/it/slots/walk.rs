//! Walking a cursor to the end while sites are read again, fail, hang and change: every row whose key does not change is
//! seen exactly once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use metaconsole::domain::{ErrorCode, Query, Status};
use metaconsole::federation::{Place, Question, Wanted};
use metaconsole::inventory::Order;

use super::fake::{Agent, Behaviour, Chance, End, Fake, Time, in_paused_time};
use super::schedule::{Settings, federation};

const SITES: usize = 3;

/// (site, agent id)
type Id = (usize, u32);

/// How often each row was seen, and what it was in every version that a site could give.
#[derive(Default)]
struct Book {
    seen: BTreeMap<Id, usize>,
    versions: Vec<Vec<Vec<Agent>>>,
}

fn agents(chance: &mut Chance) -> Vec<Agent> {
    let alias = |chance: &mut Chance| chance.pick(&["web", "webs", "my web", "cobweb", "WEB", "ñweb"]);
    let status = |chance: &mut Chance| chance.pick(Status::WORST_FIRST).1;
    let ids = (1..=24).filter(|_| chance.percent(80)).collect::<Vec<u32>>();
    ids.into_iter().map(|id| Agent { id, alias: alias(chance).to_owned(), status: status(chance) }).collect()
}

/// The same agents, some of them renamed, in another state, gone, or new.
fn changed(before: &[Agent], chance: &mut Chance) -> Vec<Agent> {
    let fresh = agents(chance);
    let kept = |agent: &Agent| fresh.iter().find(|other| other.id == agent.id);
    let mut after = Vec::new();
    for agent in before {
        match chance.below(10) {
            0 => {}
            1 => after.extend(kept(agent).cloned()),
            _ => after.push(agent.clone()),
        }
    }
    let known = |agent: &Agent| before.iter().any(|other| other.id == agent.id);
    after.extend(fresh.iter().filter(|agent| !known(agent) && chance.percent(30)).cloned());
    after
}

impl Book {
    /// Rows of a site that every version has, by id; and whether they never changed.
    fn steady(&self, site: usize) -> BTreeMap<u32, bool> {
        let versions = &self.versions[site];
        let of = |agents: &[Agent], id: u32| agents.iter().find(|agent| agent.id == id).cloned();
        let ids = versions[0].iter().map(|agent| agent.id);
        let always = ids.filter(|id| versions.iter().all(|agents| of(agents, *id).is_some()));
        always.map(|id| (id, versions.iter().all(|agents| of(agents, id) == of(&versions[0], id)))).collect()
    }
}

async fn walk(seed: u64) -> usize {
    let mut chance = Chance::new(seed);
    let mut book = Book { versions: (0..SITES).map(|_| vec![agents(&mut chance)]).collect(), ..Book::default() };
    let first = |site: usize| Behaviour::new(100, End::Agents(book.versions[site][0].clone()));
    let time = Time::begin();
    let fakes: Vec<Arc<Fake>> = (0..SITES).map(|site| Fake::new(first(site), time)).collect();
    let federation = federation(&fakes, &Settings { forget_after: 1 << 40, ..Settings::USUAL });
    let order: Order =
        chance.pick(&["rank", "status", "-status", "alias", "-name", "-site", "id", "-id"]).parse().unwrap();
    let query = Query::parse(chance.pick(&["", "web"])).unwrap();
    let limit = 1 + chance.below(9) as usize;
    let patience = Duration::from_secs(5);
    let question = Question { query, order, limit, patience, wanted: Wanted::Current };
    let mut report = federation.everything().report(&question).await;
    assert!(report.completeness().is_complete());
    let mut pages = 1;
    loop {
        assert!(report.rows.len() <= limit);
        for row in &report.rows {
            let site = fakes.iter().enumerate().position(|(n, _)| row.site.as_str() == format!("s{n}"));
            let site = site.unwrap_or_else(|| panic!("{}", row.site));
            *book.seen.entry((site, row.hit.agent.id.parse().unwrap())).or_default() += 1;
        }
        let Some(place) = report.next else { break };
        let cursor = place.cursor(&question.query, order);
        for (site, fake) in fakes.iter().enumerate() {
            if chance.percent(40) {
                let end = match chance.below(4) {
                    0 => End::Fail(ErrorCode::Unreachable),
                    1 => End::Hang,
                    _ => {
                        let next = changed(book.versions[site].last().unwrap(), &mut chance);
                        book.versions[site].push(next.clone());
                        End::Agents(next)
                    }
                };
                fake.behave(Behaviour::new(chance.below(3000), end));
            }
        }
        time.until(time.now() + chance.below(90_000)).await;
        let place = Place::read(&cursor, &question.query, order).unwrap();
        report = federation.everything().page(&question, place).await;
        pages += 1;
        assert!(pages < 1000, "the walk has no end");
    }
    let by_id = matches!(order.to_string().as_str(), "id" | "-id");
    for site in 0..SITES {
        for (id, unchanged) in book.steady(site) {
            // Where ids are the key, it is the same whatever else changes.
            if unchanged || by_id {
                assert_eq!(book.seen.get(&(site, id)), Some(&1), "seed {seed}, {order}, site {site}, agent {id}");
            }
        }
    }
    pages
}

#[test]
fn a_walk_sees_every_row_whose_key_does_not_change_exactly_once() {
    let pages: usize = (0..400).map(|seed| in_paused_time(walk(seed))).sum();
    assert!(pages > 4000, "only {pages} pages");
}
