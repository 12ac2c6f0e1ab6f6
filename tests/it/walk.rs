//! A walk through 100,000 rows over HTTP, page by page, while the sites behind it are read again, change and fail.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use metaconsole::clock::Clock;
use metaconsole::demo::{Agent, Console, Fault, Fleet, Module, ModuleState, Settings};
use serde_json::Value;

use crate::support::gateway::{Served, until};
use crate::support::program::Config;

const SITES: usize = 50;
const OF_EACH: u32 = 2000;
const ALL: usize = SITES * OF_EACH as usize;

/// A site that fails for many pages.
const FAILING: usize = 7;

/// A row: its site and its id.
type Row = (usize, u32);

fn agent(site: usize, id: u32, alias: &str) -> Agent {
    let now = Clock::System.now().as_secs();
    let module = Module { id, utimestamp: now, ..Module::new("CPU", ModuleState::Normal, "1") };
    let address = format!("10.{site}.{}.{}", id / 250, id % 250);
    Agent { id, last_contact: now, address, ..Agent::new(alias, 2) }.module(module)
}

/// In the order of aliases sites and ids are mixed; every alias of a number is there once in each site.
fn usual(id: u32) -> String {
    format!("{:04} rack", id * 7919 % OF_EACH)
}

fn console(site: usize) -> Console {
    let mut fleet = Fleet::empty(Clock::System.now().as_secs()).group(2, "Servers", 0);
    fleet.agents = (1..=OF_EACH).map(|id| agent(site, id, &usual(id))).collect();
    Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), fleet, Settings::default()).unwrap()
}

/// Some agents get another name, which puts them before or behind where the walk is; some go, some come, and all get
/// another state. Whoever keeps its name keeps its place. How many there are now, and how many of this turn's names.
fn change(console: &Console, site: usize, turn: u32, moved: &mut BTreeSet<Row>) -> (usize, usize) {
    let mut fleet = console.fleet();
    let mut renamed = 0;
    for agent in &mut fleet.agents {
        agent.modules[0].state = if turn.is_multiple_of(2) { ModuleState::Critical } else { ModuleState::Warning };
        if agent.id % 40 == turn % 40 {
            moved.insert((site, agent.id));
            agent.alias = format!("{:04} renamed-{turn}", agent.id * 13 % OF_EACH);
            renamed += 1;
        }
    }
    let goes = |agent: &Agent| agent.id % 41 == turn % 41 && agent.id % 40 != turn % 40;
    moved.extend(fleet.agents.iter().filter(|agent| goes(agent)).map(|agent| (site, agent.id)));
    fleet.agents.retain(|agent| !goes(agent));
    let come = (0..30).map(|number| OF_EACH + 1 + turn * 100 + number);
    for id in come {
        moved.insert((site, id));
        fleet.agents.push(agent(site, id, &format!("{:04} renamed-{turn}", id * 31 % OF_EACH)));
        renamed += 1;
    }
    (fleet.agents.len(), renamed)
}

/// Asks one site for its newest rows, until it says so. A site rests for ten times what its last read took, so a slow
/// machine needs patience here, and no more than that.
async fn read_again(served: &Served, site: usize, holds: impl Fn(&Value) -> bool) -> Value {
    let target = format!("/api/v1/search?q=site:s{site}&fresh=1&limit=1&deadline=20s");
    let reading = async {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        loop {
            let answer = served.get(&target).await.json();
            if holds(&answer) {
                return answer;
            }
            tick.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(240), reading)
        .await
        .unwrap_or_else(|_| panic!("s{site} is never read again"))
}

/// What the only site that was asked has contributed; the others are in the answer as well.
fn outcome(answer: &Value) -> &str {
    let asked = |site: &&Value| site["asked"] != false;
    answer["sites"].as_array().unwrap().iter().find(asked).unwrap()["outcome"].as_str().unwrap()
}

/// One page: its rows, and the whole answer.
async fn page(served: &Served, sort: &str, cursor: &str) -> (Vec<Row>, Value) {
    let answer = served.get(&format!("/api/v1/search?sort={sort}&limit=1000&max_age=1h&deadline=20s{cursor}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut answer = answer.json();
    let row = |agent: &Value| {
        let site = agent["site"].as_str().unwrap()[1..].parse().unwrap();
        (site, agent["id"].as_str().unwrap().parse().unwrap())
    };
    (answer["agents"].take().as_array().unwrap().iter().map(row).collect(), answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_whose_key_stays_is_seen_exactly_once_while_sites_change_and_fail() {
    let consoles: Vec<Console> = (0..SITES).map(console).collect();
    let sites = consoles.iter().enumerate().map(|(number, console)| {
        format!("  - {{id: s{number}, url: \"{}\", credentials: {{token: \"file:token\"}}}}\n", console.url())
    });
    // Nothing is read by itself: the test says when.
    let before = "defaults: {refresh_after: 1h, max_age: 1h}\n";
    let served = Served::start(&Config::new(&format!("{before}sites:\n{}", sites.collect::<String>()))).await;
    // One after the other, so that a slow machine has time for each.
    for site in 0..SITES {
        read_again(&served, site, |answer| answer["total"] == OF_EACH).await;
    }
    let (_, first) = page(&served, "alias", "").await;
    assert_eq!((&first["total"], &first["complete"]), (&ALL.into(), &true.into()), "{first}");

    let mut seen: BTreeMap<Row, usize> = BTreeMap::new();
    let mut moved = BTreeSet::new();
    let (mut cursor, mut pages, mut stale_pages, mut stale_rows) = (String::new(), 0_u32, 0, 0);
    loop {
        let (rows, answer) = page(&served, "alias", &cursor).await;
        pages += 1;
        stale_rows += rows.iter().filter(|(site, _)| *site == FAILING).count() * usize::from(answer["stale_rows"] != 0);
        stale_pages += usize::from(answer["complete"] == false);
        for row in rows {
            *seen.entry(row).or_default() += 1;
        }
        let Some(next) = answer["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
        assert!(pages < 300, "the walk has no end");
        let site = (pages as usize * 3) % SITES;
        match pages {
            20 => {
                consoles[FAILING].faults().add(Fault::Crash);
                let failed = read_again(&served, FAILING, |answer| outcome(answer) == "stale").await;
                assert_eq!(failed["total"], failed["stale_rows"], "{failed}");
            }
            80 => {
                consoles[FAILING].faults().clear().unwrap();
                // Somebody says that it works again, which waits for no pause after failures.
                let probe = format!("/api/v1/sites/s{FAILING}/probe");
                until("it is probed", || async { served.post(&probe).await.json()["state"] == "ok" }).await;
                read_again(&served, FAILING, |answer| outcome(answer) != "stale").await;
            }
            _ if site != FAILING && pages.is_multiple_of(3) => {
                let (all, renamed) = change(&consoles[site], site, pages, &mut moved);
                let answer = read_again(&served, site, |answer| outcome(answer) == "fresh").await;
                assert_eq!(answer["total"], all, "{answer}");
                // What has changed is there with the read that saw it.
                let target = format!("/api/v1/search?q=site:s{site}+alias:renamed-{pages}&limit=1");
                assert_eq!(served.get(&target).await.json()["total"], renamed);
            }
            _ => {}
        }
    }
    let reads: usize = consoles.iter().map(|console| console.requests().count("tree_agents")).sum();
    assert!(pages > 95 && reads > SITES + 30, "{pages} pages, {reads} reads");
    assert!(stale_pages > 50 && stale_rows > OF_EACH as usize / 2, "{stale_pages} pages with {stale_rows} stale rows");
    let steady = (0..SITES).flat_map(|site| (1..=OF_EACH).map(move |id| (site, id)));
    let steady: Vec<Row> = steady.filter(|row| !moved.contains(row)).collect();
    assert!(steady.len() > ALL * 8 / 10 && moved.len() > ALL / 50, "{} of {ALL} are steady", steady.len());
    let wrong: Vec<_> = steady.iter().filter(|row| seen.get(row) != Some(&1)).take(5).collect();
    assert!(wrong.is_empty(), "not exactly once: {wrong:?}");
}
