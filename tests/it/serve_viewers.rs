//! What viewers see of the process: it is asked to end while it answers, its configuration is changed.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use metaconsole::clock::Clock;
use metaconsole::demo::{Agent, Console, Fault, Fleet, Settings};

use crate::support::program::Config;
use crate::support::running::{Running, get};

/// A site that takes so long.
fn console(fault: Fault) -> Console {
    let fleet = Fleet::empty(Clock::System.now().as_secs()).group(2, "Servers", 0).agent(Agent::new("web-01", 2));
    let console = Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), fleet, Settings::default()).unwrap();
    console.faults().add(fault);
    console
}

/// A gateway of this site, with a search that the site has begun to answer.
async fn searching(console: &Console) -> (Running, tokio::task::JoinHandle<String>, Config) {
    let site = format!("{{id: a, url: \"{}\", credentials: {{token: \"file:token\"}}}}", console.url());
    let config = Config::new(&format!("gateway: {{listen: \"127.0.0.1:0\"}}\nsites: [{site}]\n"));
    let mut running = Running::start(config.command("serve"));
    let address = running.address().await;
    let answer = tokio::spawn(async move { get(address, "/api/v1/search?q=web&deadline=30s").await });
    console.requests().until(|load| load.total == 1).await;
    (running, answer, config)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_that_runs_is_answered_before_it_ends() {
    let console = console(Fault::Delay(Duration::from_secs(1)));
    let (mut running, answer, _config) = searching(&console).await;
    running.signal("TERM");
    running.says("asked to end").await;
    let answer = answer.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("web-01"), "{answer}");
    let (code, said) = running.ended().await;
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("cut"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_it_at_once() {
    let console = console(Fault::Hang);
    let (mut running, answer, _config) = searching(&console).await;
    running.signal("TERM");
    running.says("asked to end").await;
    running.signal("INT");
    running.says("asked again: ended at once").await;
    let (code, said) = running.ended().await;
    assert_eq!(code, Some(0), "{said}");
    assert!(!answer.await.unwrap().contains("200 OK"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_file_changes_the_next_answer_and_a_bad_one_none() {
    let yaml = |ids: &[&str]| {
        let site = |id: &&str| {
            format!("  - {{id: {id}, url: \"http://127.0.0.1:9/\", credentials: {{token: \"file:token\"}}}}\n")
        };
        format!("gateway: {{listen: \"127.0.0.1:0\"}}\nsites:\n{}", ids.iter().map(site).collect::<String>())
    };
    let config = Config::new(&yaml(&["a"]));
    let mut running = Running::start(config.command("serve"));
    let address = running.address().await;
    let refused = async || {
        let metrics = get(address, "/metrics").await;
        metrics.contains("\nmetaconsole_config_reload_failed 1\n")
    };
    for (file, refusal, sites) in
        [(yaml(&["a", "b"]), false, 2), (yaml(&["a", "b"]).replace("url", "ulr"), true, 2), (yaml(&["c"]), false, 1)]
    {
        config.write("sites.yaml", file.as_bytes());
        running.says(if refusal { "stays in force" } else { "in force added" }).await;
        let answer = get(address, "/api/v1/sites").await;
        assert_eq!(answer.matches("\"id\":").count(), sites, "{answer}");
        assert_eq!(refused().await, refusal);
        assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200 "));
    }
    running.end().await;
}
