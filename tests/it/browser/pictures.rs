//! Pictures of the main pages for the documentation, and the time from a key to its rows. Run by `scripts/pictures`.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use metaconsole::demo::{Agent, Console, Fleet, Module, ModuleState, Settings};
use serde_json::Value;

use super::driver::Browser;
use crate::support::gateway::Served;
use crate::support::program::{Config, program};
use crate::support::running::Running;

async fn picture(browser: &Browser, name: &str) {
    let png = browser.driver.screenshot_as_png().await.unwrap();
    std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures").join(name), png).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "writes docs/pictures; see scripts/pictures"]
async fn pictures_of_the_main_pages() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(folder.path());
    command.args(["demo", "--anonymous", "--port", "18990"]);
    let mut running = Running::start_telling(command);
    running.greeting("The gateway is").await.unwrap();
    let browser = Browser::start(1200, 720).await;
    let at = |path: &str| format!("http://127.0.0.1:18990{path}");
    browser.open(&at("/")).await;
    browser.until("/5\\/6 live/.test(document.getElementById('pill').innerText)").await;
    browser.open(&at("/?q=web+status:critical,warning")).await;
    browser.says("#status", "1 of 6 sites missing").await;
    browser.until("document.querySelector('#chips small')?.innerText !== ''").await;
    picture(&browser, "search.png").await;
    browser.scheme("dark").await;
    browser.open(&at("/wall")).await;
    browser.says("h1", "problems").await;
    picture(&browser, "wall-dark.png").await;
    browser.scheme("light").await;
    browser.open(&at("/sites")).await;
    picture(&browser, "sites.png").await;
    browser.size(1300, 760).await;
    // One with something to see: of a name that several sites know.
    let worst = browser
        .eval(
            "fetch('/api/v1/search?q=site:madrid+db-master&limit=1').then((r) => r.json()).then((a) => a.agents[0].id)",
        )
        .await;
    let worst = format!("/agents/madrid/{}", worst.as_str().unwrap());
    let drawn = "document.querySelectorAll('.modules svg.line').length >= 4 && document.querySelectorAll('.modules svg.line').length >= document.querySelectorAll('.modules tbody tr').length - 1 && document.querySelectorAll('#events tr').length > 0";
    browser.open(&at(&worst)).await;
    browser.until(drawn).await;
    browser.eval("document.getElementById('ask-alerts')?.click()").await;
    browser.says("#alerts", "as of").await;
    browser.until(drawn).await;
    picture(&browser, "agent.png").await;
    browser.size(390, 780).await;
    browser.scheme("dark").await;
    browser.open(&at(&worst)).await;
    browser.until(drawn).await;
    picture(&browser, "agent-phone.png").await;
    browser.scheme("light").await;
    browser.open(&at("/?q=web")).await;
    browser.says("#status", "1 of 6 sites missing").await;
    picture(&browser, "search-phone.png").await;
    running.end().await;
}

/// A hundred sites with a thousand agents each.
fn sites() -> Vec<Console> {
    let fleet = |site: usize| {
        let start = Fleet::empty(metaconsole::clock::Clock::System.now().as_secs()).group(2, "Servers", 0);
        (0..1000).fold(start, |fleet, number| {
            let kind = ["web", "db", "app", "sw"][number % 4];
            let module =
                Module::new("CPU", if number % 50 == 0 { ModuleState::Critical } else { ModuleState::Normal }, "1");
            fleet.agent(Agent::new(&format!("s{site:02}-{kind}-{number:04}"), 2).module(module))
        })
    };
    let listen = "127.0.0.1:0".parse().unwrap();
    (0..100).map(|site| Console::start(listen, fleet(site), Settings::default()).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement; see scripts/pictures"]
async fn from_a_key_to_its_rows_over_a_hundred_sites() {
    let consoles = sites();
    let ids: Vec<String> = (0..100).map(|site| format!("s{site:02}")).collect();
    let config = Config::sites(ids.iter().map(String::as_str).zip(consoles.iter().map(Console::url)));
    let served = Served::start(&config).await;
    let all = served.get("/api/v1/search?deadline=60s&limit=1").await.json();
    assert_eq!(all["total"], 100_000);
    let browser = Browser::start(1200, 800).await;
    browser.open(&served.url("/")).await;
    browser.says("#status", "100,000 agents").await;
    let mut times = Vec::new();
    for key in "web-0012".chars() {
        // From the event of the key to the frame after the one that has rows of this line.
        let watch = "window.took = null; document.getElementById('q').addEventListener('input', () => { const begun = performance.now(); \
            const look = () => { const row = document.querySelector('#rows tbody tr:not(.gap)'); const line = document.getElementById('q').value; \
            const drawn = performance.getEntriesByName('rows-painted').at(-1)?.startTime ?? 0; \
            if (drawn > begun && row && row.innerText.includes(line)) requestAnimationFrame(() => setTimeout(() => { window.took = performance.now() - begun; })); \
            else requestAnimationFrame(look); }; requestAnimationFrame(look); }, { once: true })";
        browser.eval(&format!("(() => {{ {watch} }})()")).await;
        browser.keys(key.to_string()).await;
        browser.until("window.took !== null").await;
        times.push(browser.eval("window.took").await.as_f64().unwrap());
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let list: Vec<Value> = times.iter().map(|ms| Value::from(ms.round())).collect();
    writeln!(std::io::stdout(), "from key to painted rows, ms: {list:?}").unwrap();
    assert!(times.iter().all(|ms| *ms < 5000.0), "{times:?}");
}
