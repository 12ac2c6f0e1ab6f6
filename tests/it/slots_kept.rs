//! A changed configuration: what is known of a site survives what does not concern its rows, and nothing else.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use metaconsole::app::{App, Changes};
use metaconsole::clock::Clock;
use metaconsole::config;
use metaconsole::demo::{Account, Agent, Console, Fleet, Settings};
use metaconsole::domain::{Contribution, ErrorCode, Query, SiteId};
use metaconsole::federation::{Question, Report, Wanted};
use metaconsole::inventory::Order;

use crate::support::gateway::Gate;
use crate::support::program::Config;

fn console() -> Console {
    let fleet = Fleet::empty(Clock::System.now().as_secs()).group(2, "Servers", 0).agent(Agent::new("web-01", 2));
    let accounts = ["demo-token-read-only", OTHER].map(Account::read_only).to_vec();
    let settings = Settings { accounts, auth_delay: Duration::ZERO, ..Settings::default() };
    Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), fleet, settings).unwrap()
}

/// Another account's token; in the file `other`. `wrong` has one that no console knows.
const OTHER: &str = "other-token-read-only";

fn load(sites: &[(&str, &Console, &str)]) -> config::Config {
    let sites: Vec<_> = sites.iter().map(|(id, console, more)| (*id, console.url(), "token", *more)).collect();
    load_with(&sites)
}

fn load_with(sites: &[(&str, String, &str, &str)]) -> config::Config {
    let mut yaml = String::from("sites:\n");
    for (id, url, token, more) in sites {
        yaml.push_str(&format!("  - {{id: {id}, url: \"{url}\", credentials: {{token: \"file:{token}\"}}{more}}}\n"));
    }
    let config = Config::new(&yaml);
    config.write("other", OTHER.as_bytes());
    config.write("wrong", b"no-token-of-this-console");
    config::load(&config.path(), &|_| None).unwrap()
}

fn ids(ids: &[&str]) -> Vec<SiteId> {
    ids.iter().map(|id| id.parse().unwrap()).collect()
}

fn question() -> Question {
    let (query, patience) = (Query::parse("").unwrap(), Duration::from_secs(30));
    Question { query, order: Order::RANK, limit: 9, patience, wanted: Wanted::Current }
}

async fn report(app: &App) -> Report {
    app.federation.everything().report(&question()).await
}

fn how(report: &Report) -> Vec<(&str, Contribution)> {
    report.sites.iter().map(|outcome| (outcome.site.as_str(), outcome.contribution)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unchanged_sites_keep_what_is_known_of_them() {
    let (a, b, c) = (console(), console(), console());
    let app = App::new(load(&[("a", &a, ""), ("b", &b, ""), ("c", &c, "")]), Clock::System);
    assert_eq!(how(&report(&app).await), ["a", "b", "c"].map(|id| (id, Contribution::Fresh)));
    let next = load(&[("d", &c, ""), ("b", &b, ", max_agents: 7"), ("a", &a, "")]);
    let (app, changes) = app.with(next);
    let (added, changed, removed) = (ids(&["d"]), ids(&["b"]), ids(&["c"]));
    assert_eq!(changes, Changes { added, forgotten: changed.clone(), changed, removed });
    let expected = [("a", Contribution::Cached), ("b", Contribution::Fresh), ("d", Contribution::Fresh)];
    assert_eq!(how(&report(&app).await), expected);
    assert_eq!([&a, &b, &c].map(|console| console.requests().count("tree_agents")), [1, 2, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_concern_the_rows_changes_without_a_read() {
    let a = console();
    let mut app = App::new(load(&[("a", &a, "")]), Clock::System);
    report(&app).await;
    for more in [
        ", name: First",
        ", tags: [emea]",
        ", public_url: \"http://elsewhere.example/\"",
        ", timeout: 9s",
        ", connect_timeout: 1s",
        ", refresh_after: 10m, max_age: 20m",
        ", forget_after: 1h",
        ", max_load: 1%",
    ] {
        let (next, changes) = app.with(load(&[("a", &a, more)]));
        assert_eq!(changes, Changes { changed: ids(&["a"]), ..Changes::default() }, "{more}");
        app = next;
        assert_eq!(how(&report(&app).await), [("a", Contribution::Cached)], "{more}");
    }
    // They are in force all the same.
    let (app, _) = app.with(load(&[("a", &a, ", name: Second, tags: [apac], max_age: 20m, refresh_after: 10m")]));
    let slot = &app.federation.slots()[0];
    assert_eq!((slot.plan().name.as_str(), &slot.plan().tags), ("Second", &vec!["apac".to_owned()]));
    let known = slot.snapshot();
    assert_eq!((known.max_age, known.tally.results["ok"]), (Duration::from_secs(1200), 1));
    assert_eq!(a.requests().count("tree_agents"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_another_address_or_account_or_of_before_a_pause_are_forgotten() {
    let (a, b) = (console(), console());
    let before = [("a", a.url(), "token", "")];
    for next in [
        ("a", b.url(), "token", ""),
        ("a", a.url(), "other", ""),
        ("a", a.url(), "token", ", tls: {insecure: true}"),
        ("a", a.url(), "token", ", max_body: 1MB"),
        ("a", a.url(), "token", ", paused: true"),
    ] {
        let app = App::new(load_with(&before), Clock::System);
        report(&app).await;
        let (app, changes) = app.with(load_with(std::slice::from_ref(&next)));
        let (changed, forgotten) = (ids(&["a"]), ids(&["a"]));
        assert_eq!(changes, Changes { changed, forgotten, ..Changes::default() }, "{next:?}");
        let known = app.federation.slots()[0].snapshot();
        assert_eq!((known.agents, known.not_before), (None, None), "{next:?}");
        let paused = next.3.contains("paused");
        let expected = if paused { Contribution::Failed } else { Contribution::Fresh };
        assert_eq!(how(&report(&app).await), [("a", expected)], "{next:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mended_credentials_are_tried_at_once() {
    let a = console();
    let app = App::new(load_with(&[("a", a.url(), "wrong", "")]), Clock::System);
    let refused = report(&app).await;
    assert_eq!(refused.sites[0].failure.as_ref().unwrap().error.code, ErrorCode::Auth);
    // Another name mends nothing: the pause stays.
    let (app, _) = app.with(load_with(&[("a", a.url(), "wrong", ", name: First")]));
    assert_eq!(report(&app).await.sites[0].failure.as_ref().unwrap().error.code, ErrorCode::Backoff);
    let (app, _) = app.with(load_with(&[("a", a.url(), "token", ", name: First")]));
    assert_eq!(how(&report(&app).await), [("a", Contribution::Fresh)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_in_flight_ends_for_the_new_configuration_if_it_reads_the_same() {
    for (token, reads) in [("token", 1), ("other", 2)] {
        let a = console();
        let gate = Gate::before(&a);
        let load = |token, more| load_with(&[("a", gate.url(), token, more)]);
        let app = App::new(load("token", ""), Clock::System);
        let of_old = tokio::spawn({
            let app = app.clone();
            async move { report(&app).await }
        });
        gate.server.requests().until(|load| load.in_flight == 1).await;
        let (next, _) = app.with(load(token, ", name: First"));
        drop(app);
        assert_eq!(next.federation.slots()[0].snapshot().reading, reads == 1, "{token}");
        let of_new = tokio::spawn({
            let next = next.clone();
            async move { report(&next).await }
        });
        gate.server.requests().until(|load| load.in_flight == reads).await;
        gate.set_open(true);
        for report in [of_old.await.unwrap(), of_new.await.unwrap()] {
            assert_eq!(how(&report), [("a", Contribution::Fresh)], "{token}");
        }
        assert_eq!(a.requests().count("tree_agents"), reads, "{token}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_with_credentials_that_are_replaced_ends_with_its_last_asker() {
    let a = console();
    let gate = Gate::before(&a);
    let app = App::new(load_with(&[("a", gate.url(), "token", "")]), Clock::System);
    drop(app.federation.everything().ask(&question()));
    gate.server.requests().until(|load| load.in_flight == 1).await;
    let (_next, _) = app.with(load_with(&[("a", gate.url(), "other", "")]));
    drop(app);
    gate.server.requests().until(|load| load.connections == 0).await;
    assert_eq!(a.requests().count("tree_agents"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_searches_at_once_read_each_cold_site_once() {
    let consoles = [console(), console(), console()];
    let app =
        App::new(load(&[("a", &consoles[0], ""), ("b", &consoles[1], ""), ("c", &consoles[2], "")]), Clock::System);
    let reports = futures_util::future::join_all((0..1000).map(|_| report(&app))).await;
    assert!(reports.iter().all(|report| report.total == 3 && report.completeness().is_complete()));
    assert_eq!(consoles.each_ref().map(|console| console.requests().count("tree_agents")), [1, 1, 1]);
}
