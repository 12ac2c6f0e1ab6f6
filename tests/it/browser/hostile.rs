//! Whatever a site sends is text: nothing of it runs, and nothing of it breaks a page.

use std::net::{Ipv4Addr, SocketAddr};

use metaconsole::clock::Clock;
use metaconsole::demo::{Agent, Console, Fleet, Module, ModuleState, Settings};

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
    let mut fleet = Fleet::empty(Clock::System.now().as_secs()).group(2, "<b onclick=window.hit=1>Servers", 0);
    let long = "long-".repeat(200_000);
    for trick in TRICKS.iter().copied().chain([long.as_str()]) {
        let module = Module::new(trick, ModuleState::Critical, trick);
        let mut agent = Agent::new(trick, 2).module(module);
        agent.address = trick.to_owned();
        agent.comment = trick.to_owned();
        fleet = fleet.agent(agent);
    }
    Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), fleet, Settings::default()).unwrap()
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
            assert_eq!(browser.eval("typeof window.hit").await, "undefined", "{page}");
            let made = "document.querySelectorAll('main img, main iframe, main script, main style, main b, [onclick], [onfocus], [onerror]').length";
            assert_eq!(browser.eval(made).await, 0, "{page}");
            assert_ne!(browser.eval("getComputedStyle(document.body).display").await, "none", "{page}");
            let wide = "document.documentElement.scrollWidth > innerWidth";
            assert_eq!(browser.eval(wide).await, false, "{page} is wider than {width}");
        }
    }
    browser.size(1200, 800).await;
    browser.open(&served.url("/")).await;
    browser.says("#rows", "[U+202E]gnp.exe[U+2066]").await;
    browser.says("#rows", "<img src=x onerror=\"window.hit=1\">").await;
    browser.open(&served.url(&format!("/agents/a/{}", TRICKS.len() + 1))).await;
    browser.says("h1", " characters]").await;
    // What is typed is no markup either.
    browser.open(&served.url("/")).await;
    browser.keys("<img src=x onerror=window.hit=1> \"<svg/onload=window.hit=1>\" site:<b>").await;
    browser.until("document.getElementById('mistake').innerText !== ''").await;
    assert_eq!(browser.eval("typeof window.hit").await, "undefined");
}
