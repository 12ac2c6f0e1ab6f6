//! The table of rows: fifty thousand of them, sorted, grouped, by keys and by the scroll bar, with few in the page.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};

use metaconsole::clock::Clock;
use metaconsole::demo::{Agent, Console, Fleet, Module, ModuleState, Settings};
use serde_json::Value;
use thirtyfour::prelude::*;

use super::driver::Browser;
use crate::support::gateway::{Served, console};
use crate::support::program::Config;

const ROWS: &str = "#rows tbody tr:not(.gap)";

/// Of how many agents of each site there is one on every site.
const TWINS: u32 = 100;

/// A site with ten thousand agents.
fn large(site: u32) -> Console {
    let now = Clock::System.now().as_secs();
    let mut fleet = Fleet::empty(now).group(2, "Servers", 0);
    fleet.agents = (0..10_000)
        .map(|number| {
            let alias = match number {
                0..TWINS => format!("twin-{number:03}"),
                _ => format!("host-{:05}", site * 10_000 + number),
            };
            let mut module = Module::new("CPU", ModuleState::Normal, "1");
            (module.id, module.utimestamp) = (number + 1, now);
            let mut agent = Agent::new(&alias, 2).module(module);
            (agent.id, agent.last_contact) = (number + 1, now);
            agent
        })
        .collect();
    Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), fleet, Settings::default()).unwrap()
}

async fn few_in_the_page(browser: &Browser) -> u64 {
    let rows = browser.eval(&format!("document.querySelectorAll('{ROWS}').length")).await.as_u64().unwrap();
    assert!(rows > 0 && rows < 100, "{rows} rows in the page");
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_thousand_rows_are_walked_sorted_and_grouped_with_few_of_them_in_the_page() {
    let consoles: Vec<Console> = (0..5).map(large).collect();
    let ids = ["s0", "s1", "s2", "s3", "s4"];
    let served = Served::start(&Config::sites(ids.into_iter().zip(consoles.iter().map(Console::url)))).await;
    assert_eq!(served.get("/api/v1/search?deadline=30s&limit=1").await.json()["total"], 50_000);
    let browser = Browser::start(1200, 800).await;
    browser.open(&served.url("/?sort=alias")).await;
    browser.says("#status", "50,000 agents.").await;
    browser.says(ROWS, "host-00100").await;
    let first = few_in_the_page(&browser).await;
    // The scroll bar is that of all of them, though fifty are read.
    let height = "document.documentElement.scrollHeight";
    assert!(browser.eval(height).await.as_u64().unwrap() > 50_000 * 24);
    let asked =
        "performance.getEntriesByType('resource').filter((r) => /api.v1.search.*limit=1000/.test(r.name)).length";
    browser
        .eval("(() => { performance.setResourceTimingBufferSize(5000); document.getElementById('rows').focus(); })()")
        .await;
    assert_eq!(browser.eval(asked).await, 0, "nobody has looked further");
    browser.keys(Key::End + "").await;
    browser.says("tr.chosen", "twin-099").await;
    browser.until("document.getElementById('rest').hidden").await;
    let last = few_in_the_page(&browser).await;
    let answers = browser.eval(asked).await.as_u64().unwrap();
    assert_eq!(answers, 50, "each page once");
    let heap = browser.eval("performance.memory.usedJSHeapSize").await.as_u64().unwrap() / 1_000_000;
    assert!(heap < 300, "{heap} MB");
    writeln!(
        std::io::stdout(),
        "50,000 rows: {answers} answers, {first} and {last} rows in the page at the two ends, {heap} MB of heap"
    )
    .unwrap();
    browser.keys(Key::Up + "").await;
    browser.says("tr.chosen", "twin-099").await;
    assert_eq!(browser.eval("document.querySelector('tr.chosen').getAttribute('aria-rowindex')").await, "50000");
    // In the middle, by the scroll bar: what is read is there at once.
    browser.eval(&format!("scrollTo(0, {height} / 2)")).await;
    browser.says(ROWS, "host-25").await;
    few_in_the_page(&browser).await;
    assert_eq!(browser.eval(asked).await, answers);
    browser.eval("document.getElementById('rows').focus()").await;
    browser.keys(Key::Home + "").await;
    browser.says("tr.chosen", "host-00100").await;
    // Duplicates as one row each: 100 hosts of five sites.
    browser.eval("document.getElementById('together').click()").await;
    browser.keys(Key::End + "").await;
    browser.says("tr.chosen", "s0, s1, s2, s3 and 1 more").await;
    let rows = "document.getElementById('rows').getAttribute('aria-rowcount')";
    assert_eq!(browser.eval(rows).await, (50_000 - 4 * TWINS + 1).to_string());
    browser.eval("document.getElementById('together').click()").await;
    // The other order begins at its top.
    browser.eval("document.querySelector('th.c-alias button').click()").await;
    browser.says(ROWS, "twin-099").await;
    assert_eq!(browser.eval("scrollY").await, 0);
    assert_eq!(browser.eval("document.querySelector('th.c-alias').getAttribute('aria-sort')").await, "descending");
    few_in_the_page(&browser).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_far_down_are_asked_again_as_well() {
    let names: Vec<String> = (0..1600).map(|number| format!("host-{number:04}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let a = console(&names);
    let yaml = format!(
        "defaults: {{refresh_after: 5s, max_load: 1}}\nsites:\n  \
         - {{id: a, url: \"{}\", credentials: {{token: \"file:token\"}}}}\n",
        a.url()
    );
    let served = Served::start(&Config::new(&yaml)).await;
    let browser = Browser::start(1200, 800).await;
    browser.open(&served.url("/?q=host&sort=alias")).await;
    browser.says("#status", "1,600 agents.").await;
    browser.eval("document.getElementById('rows').focus()").await;
    browser.keys(Key::End + "").await;
    browser.says("tr.chosen", "host-1599").await;
    browser.says("tr.chosen", "normal").await;
    a.fleet().agent_mut("host-1599").unwrap().modules[0].state = ModuleState::Critical;
    browser.says("tr.chosen", "critical").await;
    // The chosen row stayed the chosen one.
    browser.says("tr.chosen", "host-1599").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_host_of_several_sites_can_stand_together_and_views_are_kept_and_exported() {
    let (a, b) = (console(&["web-01", "web-02"]), console(&["WEB-01"]));
    let served = Served::start(&Config::sites([("a", a.url()), ("b", b.url())])).await;
    let browser = Browser::start(1200, 800).await;
    browser.open(&served.url("/?q=web&sort=alias")).await;
    browser.says("#status", "3 agents.").await;
    assert_eq!(browser.eval(&format!("document.querySelectorAll('{ROWS}').length")).await, 3);
    browser.eval("document.getElementById('together').click()").await;
    browser.until(&format!("document.querySelectorAll('{ROWS}').length === 2")).await;
    browser.says(ROWS, "a, b").await;
    browser
        .eval("[...document.querySelectorAll('#columns label')].find((l) => l.textContent.includes('OS')).click()")
        .await;
    browser.until("document.querySelector('#rows th.c-os') === null").await;
    // Kept by the browser.
    browser.open(&served.url("/?q=web&sort=alias")).await;
    browser.until(&format!("document.querySelectorAll('{ROWS}').length === 2")).await;
    assert_eq!(browser.eval("document.querySelector('#rows th.c-os') === null").await, true);
    assert_eq!(browser.eval("document.querySelector('th.c-alias').getAttribute('aria-sort')").await, "ascending");
    // The files, as they would be written: two come from the gateway as they are, one is put together.
    browser.eval("document.getElementById('export').open = true").await;
    browser.until("document.getElementById('as-csv').href.includes('format=csv')").await;
    let mut files = Vec::new();
    for id in ["as-csv", "as-ndjson"] {
        let link = browser.eval(&format!("document.getElementById('{id}').href")).await;
        files.push(served.client.get(link.as_str().unwrap()).send().await.unwrap().text().await.unwrap());
    }
    let [csv, lines] = [0, 1].map(|place| files[place].as_str());
    assert!(csv.starts_with("site,id,alias") && csv.contains("# Metaconsole-Sites: ok=2"), "{csv}");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[3]["summary"]["total"]), (4, &3.into()));
    let keep = "(() => { window.files = []; URL.createObjectURL = (blob) => { blob.text().then((t) => window.files.push(t)); return '#'; }; })()";
    browser.eval(keep).await;
    browser.eval("document.getElementById('as-json').click()").await;
    browser.until("window.files.length === 1").await;
    let json: Value = serde_json::from_str(browser.eval("window.files[0]").await.as_str().unwrap()).unwrap();
    assert_eq!((json["agents"].as_array().unwrap().len(), &json["complete"]), (3, &true.into()));
}
