//! Every example of `docs/search.md` is understood, and answered by a demo console; every mistake is refused as it says.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use metaconsole::app::App;
use metaconsole::clock::Clock;
use metaconsole::config;
use metaconsole::demo::{Agent, Console, Fault, Fleet, Module, ModuleState, Settings};
use metaconsole::domain::Query;
use metaconsole::federation::{Question, Wanted};
use metaconsole::inventory::Order;

/// The lines of the doc's blocks of one kind, each with its explanation.
fn lines(kind: &str) -> Vec<(String, String)> {
    let doc = include_str!("../../docs/search.md");
    let blocks = doc.split("\n```").filter_map(|part| part.strip_prefix(kind)?.strip_prefix('\n'));
    let lines: Vec<_> = blocks.flat_map(str::lines).collect();
    assert!(!lines.is_empty(), "{kind}");
    let split = |line: &&str| line.split_once(" # ").map(|(example, says)| (example.trim_end().into(), says.into()));
    lines.iter().map(|line| split(line).unwrap_or_else(|| panic!("no ` # ` in: {line}"))).collect()
}

fn agent(alias: &str, group: u32, address: &str, os: u32, state: ModuleState) -> Agent {
    let agent = Agent { address: address.to_owned(), os, secondary: vec![20], ..Agent::new(alias, group) };
    let silent = Module { utimestamp: Clock::System.now().as_secs() - 7200, ..Module::new("m", state, "1") };
    let alert_fired = state == ModuleState::Critical;
    let module = Module { alert_fired, ..Module::new("m", state, "1") };
    agent.module(if state == ModuleState::Unknown { silent } else { module })
}

/// Agents of the fleet.
const AGENTS: usize = 8;

fn fleet() -> Fleet {
    let now = Clock::System.now().as_secs();
    let fleet = Fleet::empty(now);
    let silent = Agent { address: "10.2.0.9".to_owned(), ..Agent::new("web-silent", 2) };
    let groups = fleet.group(2, "Web servers", 0).group(3, "L'Annexe (CPD)", 0).group(20, "Madrid", 0);
    groups
        .agent(silent)
        .agent(agent("web-01", 2, "10.1.0.7", 1, ModuleState::Critical))
        .agent(agent("web-02", 2, "10.1.0.70", 9, ModuleState::Warning))
        .agent(agent("Ñandú", 3, "10.2.0.1", 1, ModuleState::Normal))
        .agent(agent("two words", 3, "10.2.0.2", 1, ModuleState::Normal))
        .agent(agent(r#"say "hi" to web-01:8080"#, 3, "10.2.0.3", 1, ModuleState::Normal))
        .agent(agent(r"http://intranet/a and C:\temp", 3, "10.2.0.4", 1, ModuleState::Unknown))
        .agent(agent("aa:bb:cc:dd:ee:ff status:critical", 3, "2001:db8::1", 1, ModuleState::Normal))
}

#[tokio::test]
async fn every_example_finds_something() {
    let console = Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), fleet(), Settings::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "demo-token-read-only").unwrap();
    let file = folder.path().join("sites.yaml");
    let credentials = "credentials: {token: \"file:token\"}";
    let yaml =
        format!("sites:\n  - {{id: madrid, url: \"{}\", tags: [emea, production], {credentials}}}\n", console.url());
    std::fs::write(&file, yaml).unwrap();
    let app = App::new(config::load(&file, &|_| None).unwrap(), Clock::System);
    for (line, says) in lines("search") {
        let query = Query::parse(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let question = Question {
            query,
            order: Order::RANK,
            limit: 10,
            patience: Duration::from_secs(30),
            wanted: Wanted::Current,
        };
        let report = app.federation.everything().report(&question).await;
        assert!(report.completeness().is_complete(), "{line}: {:?}", report.sites);
        assert!(report.total > 0, "nothing found: {line}");
        let all = line.is_empty() || line.starts_with("site:");
        assert!(all || report.total < AGENTS, "everything found: {line} ({says})");
    }
    // Where alerts are not known, neither a condition on them nor its opposite holds, and the answer is not complete.
    for known in [false, true] {
        console.faults().clear().unwrap();
        if !known {
            console.faults().add(Fault::Crash.on("tree_agents").asking("alert_times_fired"));
        }
        let app = App::new(config::load(&file, &|_| None).unwrap(), Clock::System);
        alert_examples(&app, known).await;
    }
}

async fn alert_examples(app: &App, known: bool) {
    for (line, _) in lines("alerts") {
        let query = Query::parse(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let (patience, wanted) = (Duration::from_secs(30), Wanted::Current);
        let question = Question { query, order: Order::RANK, limit: 10, patience, wanted };
        let report = app.federation.everything().report(&question).await;
        assert_eq!((report.total > 0, report.completeness().is_complete()), (known, known), "{line}");
    }
}

#[test]
fn every_mistake_is_refused_as_it_says() {
    for (line, says) in lines("refused") {
        let error = Query::parse(&line).expect_err(&line).to_string();
        assert!(error.contains(&says), "{line}: {error}");
    }
}

#[test]
fn every_canonical_form_is_as_shown() {
    for (line, canonical) in lines("canonical") {
        assert_eq!(Query::parse(&line).unwrap().to_string(), canonical);
    }
}
