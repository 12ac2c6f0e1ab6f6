//! Fifty sites, some of them bad in every known way: the others are all there, each bad one is named with its code.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::http::StatusCode;
use metaconsole::app::App;
use metaconsole::clock::{Clock, Deadline};
use metaconsole::config;
use metaconsole::demo::{Agent, Console, Fault, Fleet, Module, ModuleState, Settings};
use metaconsole::domain::{Contribution, Query};
use metaconsole::federation::{Question, Report, Wanted};
use metaconsole::inventory::Order;

use crate::support::program::Config;

/// What is wrong with a site, and the code that names it.
fn faults() -> Vec<(&'static str, Fault, &'static str)> {
    vec![
        ("hangs", Fault::Hang, "timeout"),
        ("drips", Fault::Drip(Duration::from_secs(1)), "timeout"),
        ("resets", Fault::ResetMidAnswer, "bad_answer"),
        ("resets-early", Fault::ResetOnAccept, "unreachable"),
        ("html", Fault::ProxyPage(StatusCode::OK), "bad_answer"),
        ("bad-gateway", Fault::ProxyPage(StatusCode::BAD_GATEWAY), "bad_answer"),
        ("login-page", Fault::LoginPage, "bad_answer"),
        ("endless-rows", Fault::EndlessRows(2_000_000_000), "too_large"),
        ("endless-noise", Fault::EndlessNoise(2_000_000_000), "bad_answer"),
        ("gzip-bomb", Fault::GzipBomb(4_000_000_000), "too_large"),
        ("refuses", Fault::Refuse, "unreachable"),
        ("crashes", Fault::Crash, "bad_answer"),
        ("truncated", Fault::Truncated, "bad_answer"),
        ("cut-off", Fault::WrongLength(1000), "bad_answer"),
        (
            "redirects",
            Fault::Redirect("https://elsewhere.example/pandora_console/include/api.php".into()),
            "bad_answer",
        ),
    ]
}

fn fleet() -> Fleet {
    let module = |state| Module::new("CPU", state, "1");
    let fleet = Fleet::empty(1_795_404_700).group(2, "Servers", 0);
    fleet
        .agent(Agent::new("web-01", 2).module(module(ModuleState::Normal)))
        .agent(Agent::new("db-01", 2).module(module(ModuleState::Critical)))
}

fn console() -> Console {
    Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), fleet(), Settings::default()).unwrap()
}

/// Fifty consoles, the first of them bad.
fn fifty() -> Vec<(String, Console)> {
    let good = |number: usize| format!("good-{number}");
    let mut sites: Vec<(String, Console)> = Vec::new();
    for (name, fault, _) in faults() {
        let console = console();
        console.faults().add(fault);
        sites.push((name.to_owned(), console));
    }
    for number in sites.len()..50 {
        sites.push((good(number), console()));
    }
    sites
}

fn configuration(sites: &[(String, Console)]) -> Config {
    Config::sites(sites.iter().map(|(id, console)| (id.as_str(), console.url())))
}

/// With a limit that an unoptimised build reaches before the deadline, and no real site does.
fn with_a_low_limit(sites: &[(String, Console)]) -> Config {
    let config = configuration(sites);
    let yaml = std::fs::read_to_string(config.path()).unwrap();
    config.write("sites.yaml", format!("defaults: {{max_body: 4MB}}\n{yaml}").as_bytes());
    config
}

fn question(patience: Duration) -> Question {
    Question { query: Query::parse("").unwrap(), order: Order::RANK, limit: 1000, patience, wanted: Wanted::Current }
}

async fn report(config: &Config, patience: Duration) -> Report {
    let config = config::load(&config.path(), &|_| None).unwrap();
    App::new(config, Clock::System).federation.everything().report(&question(patience)).await
}

fn assert_named(report: &Report) {
    let bad = faults();
    for (name, _, code) in &bad {
        let outcome = report.sites.iter().find(|outcome| outcome.site.as_str() == *name).unwrap();
        assert_eq!(outcome.contribution, Contribution::Failed, "{name}");
        let error = &outcome.failure.as_ref().unwrap().error;
        assert_eq!(error.code.as_str(), *code, "{name}: {error}");
    }
    let record = report.completeness();
    assert_eq!((record.ok, record.failed), (50 - bad.len(), bad.len()));
    assert_eq!(report.total, (50 - bad.len()) * 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_sites_are_named_and_hold_nobody_up() {
    let sites = fifty();
    let config = with_a_low_limit(&sites);
    let patience = Duration::from_secs(10);
    let report = report(&config, patience).await;
    assert_named(&report);
    // Those that never end were waited for until the deadline and no longer; the good ones were not held up.
    for outcome in &report.sites {
        let waited = matches!(outcome.site.as_str(), "hangs" | "drips");
        assert_eq!(outcome.took > patience / 2, waited, "{} took {:?}", outcome.site, outcome.took);
    }
    // The answer is there, and nothing is left running for it.
    for (id, console) in &sites {
        let still = console.requests().until(|load| load.in_flight == 0 && load.connections == 0);
        let ended = tokio::time::timeout(Duration::from_secs(60), still).await;
        assert!(ended.is_ok(), "{id} still serves us: {:?}", console.requests().load());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_running_when_the_asker_leaves() {
    let sites = fifty();
    let config = config::load(&configuration(&sites).path(), &|_| None).unwrap();
    let app = App::new(config, Clock::System);
    for _ in 0..20 {
        let view = app.federation.everything();
        let mut answers = view.ask(&question(Duration::from_secs(30)));
        assert!(answers.next().await.is_some());
        drop(answers);
    }
    drop(app);
    for (id, console) in &sites {
        let still = console.requests().until(|load| load.in_flight == 0 && load.connections == 0);
        let ended = tokio::time::timeout(Duration::from_secs(60), still).await;
        assert!(ended.is_ok(), "{id} still serves us: {:?}", console.requests().load());
    }
}

/// The most memory a process has had, in kB.
#[cfg(target_os = "linux")]
fn peak_memory(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(target_os = "linux")]
async fn peak_of(config: &Config) -> u64 {
    let mut command = config.command("search");
    command.args(["--format", "json", "--deadline", "5s"]).stdout(std::process::Stdio::null());
    let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    let process = child.id().unwrap();
    let mut peak = 0;
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    loop {
        tokio::select! {
            ended = child.wait() => {
                ended.unwrap();
                return peak;
            }
            _ = tick.tick() => peak = peak.max(peak_memory(process).unwrap_or(0)),
        }
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_stays_flat_whatever_sites_send() {
    let good: Vec<_> = (0..50).map(|number| (format!("good-{number}"), console())).collect();
    let quiet = peak_of(&configuration(&good)).await;
    let sites = fifty();
    let with_bad_ones = peak_of(&configuration(&sites)).await;
    // Two endless answers and a bomb of 4 GB were there. An answer held whole would be 256 MB alone.
    assert!(quiet > 0 && with_bad_ones < quiet + 100_000, "{quiet} kB, with bad sites {with_bad_ones} kB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_odd_but_understandable_is_understood() {
    for fault in [Fault::PhpWarning, Fault::ByteOrderMark] {
        let sites = [("odd".to_owned(), console())];
        sites[0].1.faults().add(fault);
        let report = report(&configuration(&sites), Duration::from_secs(20)).await;
        assert_eq!((report.total, report.completeness().failed), (2, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_larger_than_allowed_is_refused_and_says_so() {
    let console = console();
    let yaml = |limit: &str| {
        let url = console.url();
        format!("sites:\n  - {{id: a, url: \"{url}\", credentials: {{token: \"file:token\"}}, {limit}}}\n")
    };
    let output = Config::new(&yaml("max_agents: 1")).run(&["search", "--format", "json"]).await;
    assert_eq!(output.code, 1, "{}", output.stderr);
    let error = &output.json()["sites"][0]["error"];
    assert_eq!(error["code"], "too_large");
    assert!(error["message"].as_str().unwrap().contains("has 2 agents or more"), "{error}");
    console.faults().add(Fault::EndlessRows(10_000_000));
    let output = Config::new(&yaml("max_body: 64KiB")).run(&["search", "--format", "json"]).await;
    assert_eq!(output.json()["sites"][0]["error"]["code"], "too_large");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_site_from_which_nothing_came_is_silent() {
    let faults = [
        (Fault::Hang, "timeout", true),
        (Fault::Refuse, "unreachable", true),
        (Fault::Drip(Duration::from_millis(100)), "timeout", false),
        (Fault::ProxyPage(StatusCode::BAD_GATEWAY), "bad_answer", false),
    ];
    let reads = faults.map(async |(fault, code, silent)| {
        let sites = [("bad".to_owned(), console())];
        sites[0].1.faults().add(fault.clone());
        let config = config::load(&configuration(&sites).path(), &|_| None).unwrap();
        let app = App::new(config, Clock::System);
        let site = app.federation.slots()[0].plan().site.clone().unwrap();
        let error = site.inventory(Deadline::after(Duration::from_secs(2))).await.unwrap_err();
        assert_eq!((error.code.as_str(), error.silent), (code, silent), "{fault:?}: {error}");
    });
    futures_util::future::join_all(reads).await;
}
