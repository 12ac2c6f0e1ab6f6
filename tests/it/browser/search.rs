//! The search as people use it: typing, late sites, keys, history, a gateway that is gone.

use thirtyfour::prelude::*;

use super::driver::Browser;
use crate::support::gateway::{Gate, Served, console};
use crate::support::program::Config;

const ROWS: &str = "#rows tbody tr:not(.gap)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_appear_while_typing_and_a_late_site_joins_them() {
    let (a, b) = (console(&["web-01", "db-01"]), console(&["web-02", "db-02"]));
    let gate = Gate::before(&b);
    let yaml = format!(
        "gateway: {{deadline: 15s}}\nsites:\n  - {{id: a, url: \"{}\", credentials: {{token: \"file:token\"}}}}\n  \
         - {{id: b, url: \"{}\", credentials: {{token: \"file:token\"}}}}\n",
        a.url(),
        gate.url()
    );
    let served = Served::start(&Config::new(&yaml)).await;
    let browser = Browser::start(1200, 800).await;
    browser.open(&served.url("/")).await;
    assert_eq!(browser.eval("document.activeElement.id").await, "q");
    browser.keys("web").await;
    browser.says(ROWS, "web-01").await;
    browser.says("#status", "1 of 2 sites late").await;
    assert!(!browser.text(ROWS).await.contains("db-01"));
    // Heard too, once it has stood for a moment.
    browser.says("[role=status][aria-live=polite]", "1 of 2 sites late").await;
    browser.says("#missing", "b").await;
    browser.until("!document.getElementById('stop').hidden").await;
    gate.set_open(true);
    browser.says(ROWS, "web-02").await;
    browser.says("#status", "2 agents.").await;
    browser.until("document.getElementById('missing').hidden").await;
    browser.until("location.search === '?q=web'").await;
    browser.until("/2\\/2 live/.test(document.getElementById('pill').innerText)").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_rows_and_a_missing_site_is_not_all_well_until_it_comes_back() {
    let (a, b) = (console(&["web-01"]), console(&["web-02"]));
    b.faults().add(metaconsole::demo::Fault::Refuse);
    let served = Served::start(&Config::sites([("a", a.url()), ("b", b.url())])).await;
    let browser = Browser::start(1200, 800).await;
    browser.open(&served.url("/?q=web-02")).await;
    browser.says("#status", "No rows from the sites that answered; 1 of 2 sites missing").await;
    browser.says("#missing", "refuses connections, since").await;
    browser.says("#pill", "1 failed").await;
    b.faults().clear().unwrap();
    let again = async {
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(500));
        while !browser.text(ROWS).await.contains("web-02") {
            browser.eval("document.getElementById('again').click()").await;
            tick.tick().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), again).await.expect("it does not come back");
    browser.says("#status", "1 agent.").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_can_be_done_by_keys_alone() {
    let a = console(&["web-01", "web-02", "db-01"]);
    let served = Served::start(&Config::sites([("a", a.url())])).await;
    let browser = Browser::start(1200, 800).await;
    browser.open(&served.url("/")).await;
    browser.keys("web").await;
    browser.says("#status", "2 agents.").await;
    browser.keys(Key::Down + "").await;
    browser.keys(Key::Down + "").await;
    browser.until("document.querySelector('tr.chosen')?.innerText.includes('web-02') === true").await;
    browser.keys(Key::Enter + "").await;
    browser.says("h1", "web-02").await;
    browser.until("location.pathname.startsWith('/agents/a/')").await;
    browser.driver.back().await.unwrap();
    browser.says("#status", "2 agents.").await;
    assert_eq!(browser.eval("document.getElementById('q').value").await, "web");
    // Out of the box, and back to it from anywhere.
    browser.eval("document.getElementById('rows').focus()").await;
    browser.keys("?").await;
    browser.says("dialog[open]", "to the search box").await;
    browser.keys(Key::Escape + "").await;
    browser.until("document.querySelector('dialog[open]') === null").await;
    browser.eval("document.getElementById('rows').focus()").await;
    browser.keys("jk/").await;
    browser.until("document.activeElement.id === 'q'").await;
    browser.keys(Key::Escape + "").await;
    browser.says("#status", "3 agents.").await;
    browser.keys("gsite:").await;
    browser.until("document.getElementById('q').value === 'gsite:'").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mistake_is_shown_at_its_place_filters_are_chips_and_the_address_is_the_state() {
    let a = console(&["web-01", "db-01"]);
    let served = Served::start(&Config::sites([("a", a.url())])).await;
    let browser = Browser::start(1200, 800).await;
    browser.open(&served.url("/?q=web+status:normal")).await;
    browser.says("#status", "1 agent.").await;
    assert_eq!(browser.text("#chips .chip bdi").await, "status:normal");
    browser.driver.find(By::Css("#chips .chip .x")).await.unwrap().click().await.unwrap();
    browser.until("location.search === '?q=web'").await;
    browser.driver.back().await.unwrap();
    browser.until("document.getElementById('q').value === 'web status:normal'").await;
    browser.until("document.querySelectorAll('#chips .chip').length === 1").await;
    browser.keys(" stat:up").await;
    browser.says("#mistake mark", "stat:up").await;
    browser.says("#mistake", "unknown field").await;
    assert_eq!(browser.eval("document.getElementById('q').getAttribute('aria-invalid')").await, "true");
    // Without a script the same is said.
    let page = served.get("/?q=web+stat:up").await;
    assert_eq!(page.status, 400);
    assert!(
        page.text.contains("unknown field `stat`") || page.text.contains("unknown field &#96;stat&#96;"),
        "{page:?}"
    );
    assert!(page.text.contains("\n    ^</pre>"), "{page:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_has_lost_its_gateway_says_so_within_ten_seconds() {
    let a = console(&["web-01"]);
    let served = Served::start(&Config::sites([("a", a.url())])).await;
    let browser = Browser::start(1200, 800).await;
    browser.open(&served.url("/")).await;
    browser.says(ROWS, "web-01").await;
    browser.says("#pulse", "gateway heard").await;
    // A page that stands still says so by a clock of its own style, which every pulse puts off.
    let delay = "document.getElementById('frozen').getAnimations()[0].effect.getTiming().delay";
    assert!(browser.eval(delay).await.as_f64().is_some_and(|ms| (9000.0..10_000.0).contains(&ms)));
    assert_eq!(browser.eval("getComputedStyle(document.getElementById('frozen')).opacity").await, "0");
    drop(served);
    let lost = browser.says("#lost", "does not answer");
    tokio::time::timeout(std::time::Duration::from_secs(10), lost).await.expect("not within 10 s");
    browser.says("#pill", "gateway lost").await;
    // The rows stay, for there is nothing better.
    assert!(browser.text(ROWS).await.contains("web-01"));
}

/// What the page shows before the summary is what the summary says: no row moves under somebody's eyes at the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_stand_in_the_gateways_order_before_its_last_word() {
    let a = console(&["web", "my web", "cobweb", "Web-10", "web-2", "Ñandú web", "x"]);
    let b = console(&["WEB", "web-1", "aweb", "straße web", "10.0.0.1 web", "my-web", "Øweb"]);
    let served = Served::start(&Config::sites([("b", b.url()), ("a", a.url())])).await;
    assert_eq!(served.get("/api/v1/search?deadline=20s").await.json()["total"], 14);
    let browser = Browser::start(1200, 800).await;
    browser.open(&served.url("/")).await;
    for (q, sort) in [
        ("web", ""),
        ("my web", ""),
        ("web linux", ""),
        ("servers", ""),
        ("", "status"),
        ("web", "alias"),
        ("", "name"),
    ] {
        let compare = format!(
            "(async () => {{ const script = document.querySelector('script[src$=\"frame.js\"]').src; \
             const {{ Merge }} = await import(script.replace('frame.js', 'merge.js')); \
             const all = new URLSearchParams({{ q: '{q}', limit: 50 }}); if ('{sort}') all.set('sort', '{sort}'); \
             const answer = await fetch('/api/v1/search?' + all, {{ headers: {{ accept: 'application/x-ndjson' }} }}); \
             const records = (await answer.text()).trim().split('\\n').map((line) => JSON.parse(line)); \
             const merge = new Merge('{q}', '{sort}'); records.filter((r) => !r.summary).forEach((r) => merge.take(r)); \
             const mine = merge.rows().map((row) => row.site + ' ' + row.alias); \
             const rows = new Map(records.flatMap((r) => r.agents ?? []).map((row) => [row.site + '/' + row.id, row])); \
             const told = records.at(-1).summary.order.map((place) => rows.get(place.join('/'))).map((row) => row.site + ' ' + row.alias); \
             return [mine, told]; }})()"
        );
        let orders = browser.eval(&compare).await;
        assert!(!orders[1].as_array().unwrap().is_empty(), "{q} finds nothing");
        assert_eq!(orders[0], orders[1], "{q} {sort}");
    }
}
