//! What stands around the table: counts, chips, suggestions, memory, keys, the pill, sites that are late.

use std::net::{Ipv4Addr, SocketAddr};

use metaconsole::clock::Clock;
use metaconsole::demo::{Agent, Console, Fault, Fleet, Module, ModuleState, Settings};
use serde_json::json;
use thirtyfour::prelude::*;

use super::driver::Browser;
use crate::support::gateway::{Gate, Served, console};
use crate::support::program::Config;

const ROWS: &str = "#rows tbody tr:not(.gap)";

fn mixed() -> Console {
    let fleet = Fleet::empty(Clock::System.now().as_secs()).group(2, "Servers", 0).group(3, "Routers", 0);
    let agent = |name: &str, group, state| Agent::new(name, group).module(Module::new("CPU", state, "1"));
    let fleet = fleet
        .agent(agent("web-01", 2, ModuleState::Critical))
        .agent(agent("web-02", 2, ModuleState::Normal))
        .agent(agent("web-03", 2, ModuleState::Normal))
        .agent(agent("rt-01", 3, ModuleState::Warning));
    Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), fleet, Settings::default()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_found_is_counted_by_status_and_each_filter_by_itself() {
    let (a, b) = (mixed(), console(&["web-04"]));
    let served = Served::start(&Config::sites([("a", a.url()), ("b", b.url())])).await;
    let browser = Browser::start(1200, 700).await;
    browser.open(&served.url("/?q=web")).await;
    browser.says("#status", "4 agents.").await;
    let counts =
        "[...document.querySelectorAll('#statuses button')].map((b) => [b.innerText, b.getAttribute('aria-pressed')])";
    browser.says("#statuses", "3 normal").await;
    assert_eq!(browser.eval(counts).await, json!([["1 critical", "false"], ["3 normal", "false"]]));
    // A number leads to what it counts, and back.
    browser.eval("document.querySelector('#statuses [data-status=normal]').click()").await;
    browser.until("document.getElementById('q').value === 'web status:normal'").await;
    browser.says("#status", "3 agents.").await;
    browser
        .until("document.querySelector('#statuses [data-status=normal]')?.getAttribute('aria-pressed') === 'true'")
        .await;
    browser.eval("document.querySelector('#statuses [data-status=normal]').click()").await;
    browser.until("document.getElementById('q').value === 'web'").await;
    browser.says("#status", "4 agents.").await;
    // Each filter says how many fulfil it by itself.
    browser.keys(" group:Servers status:warning,critical -site:b").await;
    browser.says("#chips", "group:Servers 3").await;
    let chips = "[...document.querySelectorAll('#chips .edit')].map((b) => b.innerText)";
    let told = json!(["group:Servers 3", "status:warning,critical 2", "-site:b 4"]);
    browser.until(&format!("JSON.stringify({chips}) === {}", json!(told.to_string()))).await;
    browser.says("#status", "1 agent.").await;
    // The word of a chip edits it in its place, its cross takes it away.
    browser.driver.find(By::Css("#chips .chip:nth-child(2) .edit")).await.unwrap().click().await.unwrap();
    browser.keys("normal").await;
    browser.until("document.getElementById('q').value === 'web group:Servers status:normal -site:b'").await;
    browser.says("#status", "2 agents.").await;
    browser.driver.find(By::Css("#chips .chip:nth-child(3) .x")).await.unwrap().click().await.unwrap();
    browser.until("document.getElementById('q').value === 'web group:Servers status:normal'").await;
    browser.says("#status", "3 agents.").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_be_meant_is_offered_and_searches_are_remembered_by_the_browser() {
    let a = mixed();
    let served = Served::start(&Config::sites([("a", a.url())])).await;
    let browser = Browser::start(1200, 700).await;
    browser.open(&served.url("/")).await;
    browser.says("#status", "4 agents.").await;
    browser.says("#ideas", "Try").await;
    browser.keys("stat").await;
    browser.says("#ideas .idea", "status:").await;
    browser.keys(Key::Right + "").await;
    browser.until("document.getElementById('q').value === 'status:'").await;
    browser.keys("cr").await;
    browser.says("#ideas .idea", "critical").await;
    browser.eval("document.querySelector('#ideas .idea').click()").await;
    browser.until("document.getElementById('q').value === 'status:critical '").await;
    browser.says("#status", "1 agent.").await;
    browser.keys("group:ser").await;
    browser.says("#ideas .idea", "Servers").await;
    // Saved by hand, recent by itself once somebody has stayed; both offered to an empty box.
    browser.keys(Key::Escape + "").await;
    browser.until("document.getElementById('q').value === ''").await;
    browser.keys("web-02").await;
    browser.says("#status", "1 agent.").await;
    browser.eval("document.getElementById('save').click()").await;
    browser.says("#save", "Saved").await;
    browser.keys(Key::Escape + "").await;
    browser.keys("rt").await;
    browser.says("#status", "1 agent.").await;
    browser.until("(localStorage.getItem('metaconsole.recent') ?? '').includes('rt')").await;
    browser.open(&served.url("/")).await;
    let offered = "document.getElementById('ideas').innerText.replace(/\\s+/g, ' ')";
    browser.until(&format!("/^Saved web-02 × Recent rt Try/.test({offered})")).await;
    browser.eval("document.querySelector('#ideas .x').click()").await;
    browser.until(&format!("/^Recent rt Try/.test({offered})")).await;
    browser.eval("[...document.querySelectorAll('#ideas .idea')].find((b) => b.innerText === 'rt').click()").await;
    browser.until("document.getElementById('q').value === 'rt'").await;
    browser.says(ROWS, "rt-01").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_sites_the_late_ones_are_named_heard_and_no_longer_waited_for() {
    let all: Vec<Console> = (0..100).map(|number| console(&[&format!("web-{number:02}")])).collect();
    let gates: Vec<Gate> = all.iter().take(3).map(Gate::before).collect();
    let mut yaml = String::from("gateway: {deadline: 20s, max_deadline: 30s}\nsites:\n");
    for (number, console) in all.iter().enumerate() {
        let url = gates.get(number).map_or_else(|| console.url(), Gate::url);
        yaml.push_str(&format!("  - {{id: s{number:02}, url: \"{url}\", credentials: {{token: \"file:token\"}}}}\n"));
    }
    let served = Served::start(&Config::new(&yaml)).await;
    let browser = Browser::start(1200, 700).await;
    browser.open(&served.url("/?q=web")).await;
    browser.says("#status", "97 agents; 3 of 100 sites late").await;
    browser.says("[role=status][aria-live=polite]", "97 agents; 3 of 100 sites late").await;
    for site in ["s00", "s01", "s02"] {
        browser.says("#missing", site).await;
    }
    // By the button, then by its key.
    browser.driver.find(By::Id("stop")).await.unwrap().click().await.unwrap();
    browser.says("#status", "3 of 100 sites late, not waited for").await;
    browser.until("document.getElementById('stop').hidden").await;
    browser.eval("(() => { document.getElementById('rows').focus(); document.getElementById('again').click(); document.getElementById('rows').focus(); })()").await;
    browser.until("!document.getElementById('stop').hidden").await;
    browser.keys("s").await;
    browser.says("#status", "not waited for").await;
    // The pill opens to one line per site, those in trouble first.
    browser.driver.find(By::Css("#pill summary")).await.unwrap().click().await.unwrap();
    browser.says("#pill-sites", "All 100 sites").await;
    let lines = "document.querySelectorAll('#pill-sites li').length";
    assert_eq!(browser.eval(lines).await, 61, "the first sixty, and the way to all");
    browser.keys(Key::Escape + "").await;
    browser.until("!document.getElementById('pill').open").await;
    for gate in &gates {
        gate.set_open(true);
    }
    browser.eval("document.getElementById('rows').focus()").await;
    browser.keys("r").await;
    browser.says("#status", "100 agents.").await;
    browser.until("document.getElementById('missing').hidden").await;
    browser.until("/100\\/100 live/.test(document.getElementById('pill').innerText)").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pill_has_a_line_for_each_site_with_its_reason_and_keys_are_listed() {
    let (a, b) = (mixed(), console(&["web-04"]));
    b.faults().add(Fault::Refuse);
    let served = Served::start(&Config::sites([("a", a.url()), ("b", b.url())])).await;
    let browser = Browser::start(1200, 700).await;
    browser.open(&served.url("/")).await;
    browser.says("#pill", "1/2 live").await;
    browser.driver.find(By::Css("#pill summary")).await.unwrap().click().await.unwrap();
    browser.says("#pill-sites li:nth-child(1)", "refuses connections, since").await;
    browser.says("#pill-sites li:nth-child(2)", "4 agents, read").await;
    assert_eq!(
        browser.eval("[...document.querySelectorAll('#pill-sites li a')].slice(0, 2).map((a) => a.pathname)").await,
        json!(["/sites/b", "/sites/a"])
    );
    // A click elsewhere closes it.
    browser.driver.find(By::Id("status")).await.unwrap().click().await.unwrap();
    browser.until("!document.getElementById('pill').open").await;
    browser.driver.find(By::Id("help")).await.unwrap().click().await.unwrap();
    for key in ["to the search box", "stop waiting", "in its own console", "first suggestion"] {
        browser.says("dialog[open]", key).await;
    }
    // While it is open no key works behind it.
    browser.keys("gs").await;
    browser.until("document.querySelector('dialog[open]') !== null && location.pathname === '/'").await;
}
