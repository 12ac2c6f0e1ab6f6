//! Whatever a site sends is text: nothing of it runs, and nothing of it breaks a page.

use std::net::{Ipv4Addr, SocketAddr};

use metaconsole::clock::Clock;
use metaconsole::demo::{Agent, Console, Event, EventKind, Fleet, Module, ModuleKind, ModuleState, Settings};

use super::driver::Browser;
use crate::support::gateway::Served;
use crate::support::program::Config;

/// The usual tricks: elements, attributes, addresses, styles, templates, writing directions, controls.
const TRICKS: &[&str] = &[
    "<img src=x onerror=\"window.hit=1\">",
    "\"><script>window.hit=1</script>",
    "' autofocus onfocus='window.hit=1' x='",
    "javascript:window.hit=1",
    "</title></style><style>body{display:none}</style>",
    "<svg/onload=window.hit=1>",
    "{{constructor.constructor('window.hit=1')()}}${window.hit=1}",
    "</script><script>window.hit=1</script>",
    "url(javascript:window.hit=1);position:fixed;inset:0",
    "<iframe srcdoc='<script>parent.hit=1</script>'>",
    "\u{202e}gnp.exe\u{2066}\u{200b}\u{feff}",
    "&lt;b&gt;&#60;script&#62;window.hit=1",
];

fn console() -> Console {
    let now = Clock::System.now().as_secs();
    let mut fleet = Fleet::empty(now).group(2, "<b onclick=window.hit=1>Servers", 0);
    let long = "long-".repeat(200_000);
    for trick in TRICKS.iter().copied().chain([long.as_str()]) {
        // As a text, as something with a chart, and with an alert that has fired. Longer ones are not read at all.
        let name = trick.get(..3_000).unwrap_or(trick);
        let mut module = Module::new(name, ModuleState::Critical, trick.get(..60_000).unwrap_or(trick));
        (module.kind, module.alert_fired) = (ModuleKind::Text, true);
        let mut agent = Agent::new(trick, 2).module(module).module(Module::new(name, ModuleState::Warning, "5"));
        agent.address = trick.to_owned();
        agent.comment = trick.to_owned();
        let agent = fleet.add(agent);
        for kind in [EventKind::Critical, EventKind::AlertFired] {
            let id = u32::try_from(fleet.events.len()).unwrap() + 1;
            // A site whose events are longer is not read at all.
            let text: String = trick.chars().take(4000).collect();
            let data = text.clone();
            fleet.events.push(Event {
                id,
                agent,
                group: 2,
                module: 2 * agent - 1,
                utimestamp: now - 60,
                kind,
                text,
                data,
            });
        }
    }
    Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), fleet, Settings::default()).unwrap()
}

/// Nothing has run, nothing was made of it, and the page is as wide as its window.
async fn unharmed(browser: &Browser, page: &str, width: u32) {
    assert_eq!(browser.eval("typeof window.hit").await, "undefined", "{page}");
    let made = "document.querySelectorAll('main img, main iframe, main script, main style, main b, [onclick], [onfocus], [onerror]').length";
    assert_eq!(browser.eval(made).await, 0, "{page}");
    assert_ne!(browser.eval("getComputedStyle(document.body).display").await, "none", "{page}");
    // Nothing that is a link or loads something leads anywhere but to us and to the site.
    let led = "[...document.querySelectorAll('[href], [src], [action]')].filter((e) => !/^(https?:|\\/|\\?|#)/.test(e.getAttribute('href') ?? e.getAttribute('src') ?? e.getAttribute('action'))).length";
    assert_eq!(browser.eval(led).await, 0, "{page}");
    let wide = "document.documentElement.scrollWidth > innerWidth";
    assert_eq!(browser.eval(wide).await, false, "{page} is wider than {width}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_a_site_sends_runs_or_breaks_a_page() {
    let a = console();
    let served = Served::start(&Config::sites([("a", a.url())])).await;
    let browser = Browser::start(1200, 800).await;
    let all = format!("{} agents.", TRICKS.len() + 1);
    let mut pages: Vec<String> = [
        "/",
        "/?wait=1",
        "/?q=%3Cimg",
        "/?q=%22%3E%3Cscript%3Ewindow.hit=1%3C/script%3E",
        "/sites",
        "/sites/a",
        "/wall",
        "/%3Cscript%3Ewindow.hit=1%3C/script%3E",
    ]
    .map(str::to_owned)
    .into();
    pages.extend((1..=TRICKS.len() + 1).map(|id| format!("/agents/a/{id}")));
    for width in [1200, 380] {
        browser.size(width, 800).await;
        for page in &pages {
            browser.open(&served.url(page)).await;
            if page == "/" {
                browser.says("#status", &all).await;
            }
            browser.until("document.readyState === 'complete'").await;
            if page.starts_with("/agents/") {
                browser.says("#detail-state", "As of").await;
                browser.until("document.querySelectorAll('.modules tbody tr').length === 2").await;
                browser.until("document.querySelector('.modules svg.line') !== null").await;
                browser.until("document.querySelectorAll('#events tr').length === 2").await;
            }
            unharmed(&browser, page, width).await;
        }
    }
    browser.size(1200, 800).await;
    browser.open(&served.url("/")).await;
    browser.says("#rows", "[U+202E]gnp.exe[U+2066]").await;
    browser.says("#rows", "<img src=x onerror=\"window.hit=1\">").await;
    browser.open(&served.url(&format!("/agents/a/{}", TRICKS.len() + 1))).await;
    browser.says("h1", " characters]").await;
    // Cut where it is read, and seen to be cut; a row is no higher than others.
    browser.says(".modules .name", " characters]").await;
    browser.says(".modules .text", " characters]").await;
    browser.says("#events", " characters]").await;
    let high = "Math.max(...[...document.querySelectorAll('.modules tr')].map((row) => row.offsetHeight))";
    assert!(browser.eval(high).await.as_u64().unwrap() < 120, "{}", browser.eval(high).await);
    browser.open(&served.url("/agents/a/1")).await;
    browser.says(".modules .name", "<img src=x onerror=\"window.hit=1\">").await;
    browser.says(".modules .text", "<img src=x onerror=\"window.hit=1\">").await;
    browser.says("#events", "<img src=x onerror=\"window.hit=1\">").await;
    browser.eval("document.getElementById('ask-alerts')?.click()").await;
    browser.says("#alerts .alert", "fired").await;
    // What is typed is no markup either.
    browser.open(&served.url("/")).await;
    browser.keys("<img src=x onerror=window.hit=1> \"<svg/onload=window.hit=1>\" site:<b>").await;
    browser.until("document.getElementById('mistake').innerText !== ''").await;
    assert_eq!(browser.eval("typeof window.hit").await, "undefined");
}
