//! Pages of people who log in: sessions that end and come back, and consoles opened as somebody.

use std::time::Duration;

use serde_json::json;

use super::driver::Browser;
use crate::support::browser::{self, SESSION, between, hashed};
use crate::support::gateway::{Gate, Served, console};
use crate::support::program::{Config, program};

const ROWS: &str = "#rows tbody tr:not(.gap)";

/// One who may open `a` as `ops.reader`, has no account on `b`, and logs in at `c` as everybody does.
async fn config(a: &str, b: &str, c: &str) -> Config {
    let site = |id: &str, root: &str, more: &str| {
        format!(
            "  - {{id: {id}, name: \"The {id}\", url: \"{root}\", public_url: \"http://{id}.localhost/pandora_console/\", \
             credentials: {{token: \"file:token\"}}{more}}}\n"
        )
    };
    let opens = |id: &str, user: &str| {
        format!(
            ", delegation: {{verifier: dropin, url: \"http://{id}.localhost/pandora_console/mc.php\", accounts: \
             [{{user: \"local:{user}\", account: ops.reader}}]}}"
        )
    };
    let config = Config::new(&format!(
        "gateway: {{state_dir: state, deadline: 20s, max_deadline: 30s, \
         keys: [{{kid: 2026a, secret: \"file:master\", signing: true}}]}}\nsites:\n{}{}{}access:\n  roles:\n    \
         noc: {{search: ['*'], view: ['*'], open: ['*']}}\n  users:\n    - {{login: ana, password: '{}', roles: [noc]}}\n",
        site("a", a, &opens("a", "ana")),
        site("b", b, &opens("b", "ben")),
        site("c", c, ""),
        hashed("ana")
    ));
    let path = config.path();
    let mut command = program(path.parent().unwrap());
    let output = command.args(["keys", "generate", "--out", "master"]).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    config
}

async fn log_in(browser: &Browser) {
    browser.says("h1", "Log in").await;
    browser.eval("(() => { document.querySelector('[name=login]').value = 'ana'; document.querySelector('[name=password]').value = 'correct horse ana'; document.forms[0].requestSubmit(); })()").await;
}

/// Ends the session of this browser at the gateway, from elsewhere.
async fn end_session(served: &Served, browser: &Browser) {
    let cookies = browser.devtools("Network.getAllCookies", json!({})).await;
    let mine = cookies["cookies"].as_array().unwrap().iter().find(|cookie| cookie["name"] == SESSION).unwrap();
    let mut elsewhere = browser::Browser::new(&served.url(""));
    elsewhere.cookies.insert(SESSION.to_owned(), mine["value"].as_str().unwrap().to_owned());
    let page = elsewhere.get("/logout").await;
    let form = between(&page.text, "name=\"form\" value=\"", "\"").to_owned();
    let answer = elsewhere.post("/logout", &[("form", &form)]).await;
    assert!(answer.status < 400, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_in_the_middle_comes_back_to_the_same_search_view_and_place() {
    let names: Vec<String> = (0..45).map(|number| format!("web-{number:02}")).collect();
    let (a, b, c) =
        (console(&names.iter().map(String::as_str).collect::<Vec<_>>()), console(&["web-b"]), console(&["x"]));
    let gate = Gate::before(&b);
    let config = config(&a.url(), &gate.url(), &c.url()).await;
    let served = Served::start(&config).await;
    let browser = Browser::start(1200, 500).await;
    browser.open(&served.url("/")).await;
    log_in(&browser).await;
    browser.until("document.activeElement?.id === 'q'").await;
    browser.keys("web -db").await;
    browser.says("#status", "45 agents; 1 of 3 sites late").await;
    browser
        .eval("[...document.querySelectorAll('#columns label')].find((l) => l.textContent.includes('OS')).click()")
        .await;
    browser.eval("document.querySelector('th.c-alias button').click()").await;
    browser.says("#status", "45 agents; 1 of 3 sites late").await;
    browser.eval("scrollTo(0, 640)").await;
    browser.says(ROWS, "web-30").await;
    end_session(&served, &browser).await;
    // The stream still runs, for the site behind the gate is late: the page says so all the same, and keeps its rows.
    tokio::time::timeout(Duration::from_secs(10), browser.says("#lost", "You are logged out."))
        .await
        .expect("not within 10 s");
    assert!(browser.text(ROWS).await.contains("web-30"));
    // Not mistaken for a gateway that is gone, whatever is asked meanwhile.
    browser.eval("dispatchEvent(new Event('online'))").await;
    browser.eval("document.getElementById('again').click()").await;
    browser.says("#status", "You are logged out.").await;
    assert!(!browser.text("#lost").await.contains("does not answer"));
    assert_eq!(browser.eval("document.getElementById('lost').hidden").await, false);
    assert_eq!(browser.text("#mistake").await, "");
    gate.set_open(true);
    let top = browser.eval("scrollY").await;
    browser.eval("document.getElementById('login-again').click()").await;
    log_in(&browser).await;
    browser.until("location.search === '?q=web+-db&sort=alias'").await;
    browser.says("#status", "46 agents.").await;
    browser.until(&format!("scrollY === {top}")).await;
    browser.says(ROWS, "web-30").await;
    assert_eq!(browser.eval("document.getElementById('q').value").await, "web -db");
    assert_eq!(browser.eval("document.querySelector('#rows th.c-os') === null").await, true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_an_account_there_is_handed_over_and_who_has_none_logs_in_there() {
    let (a, b, c) = (console(&["web-a"]), console(&["web-b"]), console(&["web-c"]));
    let config = config(&a.url(), &b.url(), &c.url()).await;
    let served = Served::start(&config).await;
    let browser = Browser::start(1200, 700).await;
    browser.open(&served.url("/?q=web&sort=site")).await;
    log_in(&browser).await;
    browser.says("#status", "3 agents.").await;
    browser.says(ROWS, "log in").await;
    browser.until("document.querySelector('.c-open a')?.title === 'Open in The a as ops.reader'").await;
    let doors = "[...document.querySelectorAll('td.c-open a')].map((a) => [a.title, a.firstChild.data, a.textContent, new URL(a.href).host === location.host ? a.pathname + a.search : new URL(a.href).host])";
    let shown = |site: &str| format!("Open The {site} (log in there)");
    assert_eq!(
        browser.eval(doors).await,
        json!([
            ["Open in The a as ops.reader", "open", "open in The a as ops.reader: web-a", "/open/a?view=agent:1"],
            [shown("b"), "log in", "log in at The b: web-b", "b.localhost"],
            [shown("c"), "log in", "log in at The c: web-c", "c.localhost"],
        ])
    );
    // By the agent page, without a word of its script.
    for (site, says, path) in [
        ("a", "Open in The a as ops.reader", "/open/a"),
        ("b", "no account there is linked to you", "/pandora_console/index.php"),
        ("c", "Open The c (log in there)", "/pandora_console/index.php"),
    ] {
        browser.open(&served.url(&format!("/agents/{site}/1"))).await;
        browser.says(".doors", says).await;
        assert_eq!(browser.eval("document.querySelector('.door').pathname").await, path, "{site}");
    }
    browser.open(&served.url("/agents/a/1")).await;
    let views = "[...document.querySelectorAll('.views a')].slice(0, 4).map((a) => a.pathname + a.search)";
    let views = browser.eval(views).await;
    assert_eq!(views, json!(["modules", "alerts", "events", "graphs"].map(|view| format!("/open/a?view={view}:1"))));
    // The way itself: a page that says who they will be there.
    browser.open(&served.url("/?q=web-a")).await;
    browser.says("#status", "1 agent.").await;
    browser.until("document.querySelector('.c-open a')?.firstChild.data === 'open'").await;
    browser.eval("(() => { document.querySelector('.c-open a').target = ''; document.querySelector('.c-open a').click(); })()").await;
    browser.says("button", "Open in The a as ops.reader").await;
}
