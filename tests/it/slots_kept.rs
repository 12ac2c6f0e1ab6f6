//! A changed configuration: slots of unchanged sites survive with what they know, others begin anew.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use metaconsole::app::{App, Changes};
use metaconsole::clock::Clock;
use metaconsole::config;
use metaconsole::demo::{Agent, Console, Fleet, Settings};
use metaconsole::domain::{Contribution, Query};
use metaconsole::federation::{Question, Report, Wanted};
use metaconsole::inventory::Order;

use crate::support::program::Config;

fn console() -> Console {
    let fleet = Fleet::empty(Clock::System.now().as_secs()).group(2, "Servers", 0).agent(Agent::new("web-01", 2));
    Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), fleet, Settings::default()).unwrap()
}

fn load(sites: &[(&str, &Console, &str)]) -> config::Config {
    let mut yaml = String::from("sites:\n");
    for (id, console, more) in sites {
        let url = console.url();
        yaml.push_str(&format!("  - {{id: {id}, url: \"{url}\", credentials: {{token: \"file:token\"}}{more}}}\n"));
    }
    config::load(&Config::new(&yaml).path(), &|_| None).unwrap()
}

async fn report(app: &App) -> Report {
    let patience = Duration::from_secs(30);
    let question =
        Question { query: Query::parse("").unwrap(), order: Order::Rank, limit: 9, patience, wanted: Wanted::Current };
    app.federation.everything().report(&question).await
}

fn how(report: &Report) -> Vec<(&str, Contribution)> {
    report.sites.iter().map(|outcome| (outcome.site.as_str(), outcome.contribution)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unchanged_sites_keep_what_is_known_of_them() {
    let (a, b, c) = (console(), console(), console());
    let app = App::new(load(&[("a", &a, ""), ("b", &b, ""), ("c", &c, "")]), Clock::System);
    assert_eq!(how(&report(&app).await), ["a", "b", "c"].map(|id| (id, Contribution::Fresh)));
    let next = load(&[("d", &c, ""), ("b", &b, ", max_age: 61s"), ("a", &a, "")]);
    let (app, changes) = app.with(next);
    let ids = |ids: &[&str]| ids.iter().map(|id| id.parse().unwrap()).collect::<Vec<_>>();
    assert_eq!(changes, Changes { added: ids(&["d"]), changed: ids(&["b"]), removed: ids(&["c"]) });
    let expected = [("a", Contribution::Cached), ("b", Contribution::Fresh), ("d", Contribution::Fresh)];
    assert_eq!(how(&report(&app).await), expected);
    assert_eq!([&a, &b, &c].map(|console| console.requests().count("tree_agents")), [1, 2, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_searches_at_once_read_each_cold_site_once() {
    let consoles = [console(), console(), console()];
    let app =
        App::new(load(&[("a", &consoles[0], ""), ("b", &consoles[1], ""), ("c", &consoles[2], "")]), Clock::System);
    let reports = futures_util::future::join_all((0..1000).map(|_| report(&app))).await;
    assert!(reports.iter().all(|report| report.total == 3 && report.completeness().is_complete()));
    assert_eq!(consoles.each_ref().map(|console| console.requests().load().total), [1, 1, 1]);
}
