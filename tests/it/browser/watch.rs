//! What a page says of itself: at rest, frozen, cut off, half blind.

use std::time::Duration;

use serde_json::json;

use super::driver::Browser;
use crate::support::gateway::{Served, console};
use crate::support::program::Config;

const ROWS: &str = "#rows tbody tr:not(.gap)";

/// How many requests of the page went out to addresses like this.
async fn asked(browser: &Browser, like: &str) -> u64 {
    let count = format!("performance.getEntriesByType('resource').filter((r) => /{like}/.test(r.name)).length");
    browser.eval(&count).await.as_u64().unwrap()
}

async fn quick() -> (metaconsole::demo::Console, Served) {
    let a = console(&["web-01"]);
    let yaml = format!(
        "defaults: {{refresh_after: 5s}}\nsites:\n  - {{id: a, url: \"{}\", credentials: {{token: \"file:token\"}}}}\n",
        a.url()
    );
    let served = Served::start(&Config::new(&yaml)).await;
    (a, served)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visible_page_asks_again_and_a_hidden_one_rests() {
    let (_a, served) = quick().await;
    let browser = Browser::start(1200, 700).await;
    for (page, own) in [("/?q=web", "api.v1.search"), ("/agents/a/1", "agents.a.1$"), ("/wall", "wall$")] {
        browser.open(&served.url(page)).await;
        browser.says("#pill", "1/1 live").await;
        let (searches, beats) = (asked(&browser, own).await, asked(&browser, "pulse").await);
        let both = format!(
            "performance.getEntriesByType('resource').filter((r) => /{own}/.test(r.name)).length > {searches} && \
             performance.getEntriesByType('resource').filter((r) => /pulse/.test(r.name)).length > {beats}"
        );
        tokio::time::timeout(Duration::from_secs(14), browser.until(&both)).await.expect("it does not ask again");
        // What the browser does when another window covers this one.
        browser
            .eval("(() => { Object.defineProperty(document, 'hidden', { get: () => window.covered ?? false, configurable: true }); window.covered = true; document.dispatchEvent(new Event('visibilitychange')); })()")
            .await;
        browser.until("window.settled ??= performance.now(), performance.now() - window.settled > 1500").await;
        let rested = asked(&browser, ".").await;
        browser.until("performance.now() - window.settled > 13000").await;
        assert_eq!(asked(&browser, ".").await, rested, "{page} asks although nobody sees it");
        // A page at rest is not a frozen one.
        assert_eq!(browser.eval("getComputedStyle(document.getElementById('frozen')).opacity").await, "0");
        browser
            .eval("(() => { window.covered = false; document.dispatchEvent(new Event('visibilitychange')); })()")
            .await;
        browser.until(&format!("performance.getEntriesByType('resource').length > {rested}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_stands_still_says_so_within_ten_seconds_without_a_script() {
    let (_a, served) = quick().await;
    let browser = Browser::start(1200, 700).await;
    browser.open(&served.url("/?q=web")).await;
    browser.says("#pulse", "gateway heard").await;
    let seen = "getComputedStyle(document.getElementById('frozen')).opacity === '1'";
    assert_eq!(browser.eval(seen).await, false);
    // No timer runs any more, as in a page that hangs: only the style's own clock does.
    browser
        .eval(
            "(() => { const last = setTimeout(() => {}); window.setTimeout = () => 0; for (let id = 0; id <= last; id += 1) clearTimeout(id); })()",
        )
        .await;
    tokio::time::timeout(Duration::from_secs(11), browser.until(seen)).await.expect("not within 10 s");
    browser.says("#frozen", "stands still").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_that_fails_or_hangs_while_the_pulse_beats_says_so_and_recovers() {
    let (_a, served) = quick().await;
    let browser = Browser::start(1200, 700).await;
    browser.open(&served.url("/?q=web")).await;
    browser.says("#status", "1 agent.").await;
    // Cut off: what asks for rows gets nothing, the pulse does.
    let cut = "(() => { const real = window.fetch; window.fetch = (url, ...rest) => (window.cut && /v1.search/.test(url) ? Promise.reject(new TypeError('cut')) : real(url, ...rest)); window.cut = true; })()";
    browser.eval(cut).await;
    tokio::time::timeout(Duration::from_secs(10), browser.says("#status", "did not come whole"))
        .await
        .expect("not within 10 s");
    browser.says("[role=status][aria-live=polite]", "did not come whole").await;
    assert!(browser.text(ROWS).await.contains("web-01"), "the rows stay");
    assert_eq!(browser.eval("document.getElementById('lost').hidden").await, true, "the gateway is not lost");
    browser.eval("window.cut = false").await;
    browser.says("#status", "1 agent.").await;
    // Silent: taken and never answered.
    browser.devtools("Fetch.enable", json!({"patterns": [{"urlPattern": "*/api/v1/search*"}]})).await;
    browser.eval("document.getElementById('again').click()").await;
    let said = browser.says("#status", "No answer to this search for");
    tokio::time::timeout(Duration::from_secs(10), said).await.expect("not within 10 s");
    browser.says("#status", "; the rows are of ").await;
    browser.devtools("Fetch.disable", json!({})).await;
    browser.eval("document.getElementById('again').click()").await;
    browser.says("#status", "1 agent.").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_takes_everything_and_answers_nothing_is_lost_too() {
    let (_a, served) = quick().await;
    let browser = Browser::start(1200, 700).await;
    browser.open(&served.url("/?q=web")).await;
    browser.says("#pulse", "gateway heard").await;
    browser.devtools("Fetch.enable", json!({"patterns": [{"urlPattern": "*"}]})).await;
    let lost = browser.says("#lost", "does not answer");
    tokio::time::timeout(Duration::from_secs(11), lost).await.expect("not within 10 s");
    browser.says("#pill", "gateway lost").await;
    assert!(browser.eval("document.title").await.as_str().unwrap().starts_with("!! "));
    browser.devtools("Fetch.disable", json!({})).await;
    browser.until("document.getElementById('lost').hidden").await;
    assert!(!browser.eval("document.title").await.as_str().unwrap().starts_with("!! "));
}
