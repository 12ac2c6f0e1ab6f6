//! Openings as people do them, in a real Chromium, from the real search page: right console, right view, right user, and
//! no trace of a token afterwards.

use std::path::Path;

use metaconsole::demo::{Demo, PEOPLE};
use serde_json::json;
use thirtyfour::prelude::*;

use super::opening_world::{PASSWORD, World};
use crate::support::browser::hashed;

const BUTTON: &str = ".opening form button";

/// All files below a folder.
fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if let Ok(bytes) = std::fs::read(&path) {
            found.push((path.display().to_string(), bytes));
        }
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    // Chromium writes some of its texts with two bytes for each character.
    let wide: Vec<u8> = text.bytes().flat_map(|byte| [byte, 0]).collect();
    let has = |what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
    has(text.as_bytes()) || has(&wide)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_login_opens_agents_of_three_sites_and_leaves_no_token_anywhere() {
    let world = World::start().await;
    let browser = world.logged_in("ana").await;
    browser.open(&world.url("/?q=web-07")).await;
    browser.says("#rows tbody", "web-07").await;
    browser.says("#status", "3 agents").await;
    for (site, account) in [("madrid", "ops.reader"), ("lyon", "ben"), ("nairobi", "ops.reader")] {
        let link = format!("#rows td a[href*=\"/open/{site}?view=agent\"]");
        browser.until(&format!("!!document.querySelector('{link}')")).await;
        browser.click(&link).await;
        browser.newest().await;
        browser.says("main", &format!("You will be {account} there")).await;
        assert_eq!(browser.text(BUTTON).await, format!("Open in The {site} as {account}"));
        browser.click(BUTTON).await;
        assert_eq!(world.landed(&browser, site).await, (account.to_owned(), "web-07".to_owned()));
        assert_eq!(browser.eval("location.search.includes('sec2=operation/agentes/ver_agente')").await, true);
        assert_eq!(browser.eval("document.referrer").await, "", "the console hears nothing of where it was");
        browser.first().await;
    }
    // Another view of the same console: the session stays.
    let before = browser.devtools("Network.getAllCookies", json!({})).await;
    browser.open(&world.url("/open/madrid?view=alerts:3")).await;
    browser.click(BUTTON).await;
    assert_eq!(world.landed(&browser, "madrid").await, ("ops.reader".to_owned(), "web-03".to_owned()));
    assert_eq!(browser.text("#tabs [aria-current]").await, "Alerts");
    // What the browser holds, to look for it elsewhere.
    let cookies = browser.devtools("Network.getAllCookies", json!({})).await;
    let secret = |cookie: &serde_json::Value| {
        ["__Host-mc_session", "PHPSESSID"]
            .contains(&cookie["name"].as_str().unwrap())
            .then(|| cookie["value"].as_str().unwrap().to_owned())
    };
    let sessions: Vec<String> = cookies["cookies"].as_array().unwrap().iter().filter_map(secret).collect();
    assert_eq!(sessions.len(), 4, "{cookies}");
    assert!(sessions.iter().all(|session| before.to_string().contains(session)), "one of them is a new one");
    let left = cookies["cookies"].as_array().unwrap().iter().filter(|c| c["name"].as_str().unwrap().contains("mc_pre"));
    assert_eq!(left.count(), 0, "the state of an opening is gone with it");
    let profile = browser.ended().await;
    let world = world.end().await;
    assert_eq!((world.audited("open.issued"), world.audited("open.refused")), (4, 0));
    nothing_is_left(&world, profile.path(), &sessions);
}

/// Neither in what the browser wrote, nor the gateway, nor the consoles.
fn nothing_is_left(world: &World, profile: &Path, sessions: &[String]) {
    let mut written = Vec::new();
    files(profile, &mut written);
    let history = written.iter().find(|(path, _)| path.ends_with("Default/History")).expect("no history");
    assert!(
        holds(&history.1, "/open/madrid?view=alerts:3") && holds(&history.1, "id_agente=3"),
        "it would be seen there"
    );
    let mut own = Vec::new();
    files(world.config.path().parent().unwrap(), &mut own);
    let log = own.iter().find(|(path, _)| path.ends_with("/log")).expect("no log");
    assert!(
        holds(&log.1, "an opening was signed") && own.iter().any(|(path, _)| path.contains("/audit/")),
        "both are there"
    );
    written.extend(own);
    for (path, bytes) in &written {
        assert!(!holds(bytes, "mc1."), "a token is in {path}");
        // The store of sessions has their hashes only.
        for session in sessions {
            assert!(!holds(bytes, session), "a session is in {path}");
        }
    }
    for (site, console) in &world.consoles {
        let seen = console.requests().all();
        assert!(seen.iter().any(|seen| seen.secret_in_body && seen.path.ends_with("/mc.php")), "{site} got no token");
        for seen in seen {
            let told = format!("{} {} {:?} {:?}", seen.path, seen.query, seen.headers, seen.parameters);
            assert!(!seen.secret_in_query && !told.contains("mc1."), "{site}: {told}");
            assert!(!told.contains("referer") || !told.contains("/open/"), "{site}: {told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_persons_session_is_not_taken_away_unasked() {
    let world = World::start().await;
    let browser = world.logged_in("ana").await;
    browser.open(&world.there("madrid", "index.php")).await;
    for (name, value) in [("nick", "night.shift"), ("pass", PASSWORD)] {
        browser.driver.find(By::Id(name)).await.unwrap().send_keys(value).await.unwrap();
    }
    browser.click("input[type=submit]").await;
    assert_eq!(world.landed(&browser, "madrid").await.0, "night.shift");
    let begin = async || {
        browser.open(&world.url("/open/madrid?view=agent:5")).await;
        browser.click(BUTTON).await;
        browser.says("body", "night.shift is logged in").await;
    };
    begin().await;
    browser.click("a").await;
    assert_eq!(world.landed(&browser, "madrid").await, ("night.shift".to_owned(), "web-05".to_owned()), "stayed");
    begin().await;
    browser.click("form button").await;
    assert_eq!(world.landed(&browser, "madrid").await, ("ops.reader".to_owned(), "web-05".to_owned()));
    // The other one's session is over, not only out of sight.
    browser.open(&world.there("madrid", "index.php")).await;
    assert_eq!(world.landed(&browser, "madrid").await.0, "ops.reader");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_at_once_land_each_in_its_own_view() {
    let world = World::start().await;
    let browser = world.logged_in("ana").await;
    let mut windows = Vec::new();
    for number in 1..=10 {
        let window = browser.driver.new_tab().await.unwrap();
        browser.driver.switch_to_window(window.clone()).await.unwrap();
        browser.open(&world.url(&format!("/open/madrid?view=agent:{number}"))).await;
        windows.push((number, window));
    }
    for (_, window) in &windows {
        browser.driver.switch_to_window(window.clone()).await.unwrap();
        // Without waiting for what comes of it.
        browser.eval(&format!("setTimeout(() => document.querySelector('{BUTTON}').click())")).await;
    }
    for (number, window) in &windows {
        browser.driver.switch_to_window(window.clone()).await.unwrap();
        assert_eq!(world.landed(&browser, "madrid").await, ("ops.reader".to_owned(), format!("web-{number:02}")));
    }
    let world = world.end().await;
    assert_eq!(world.audited("open.issued"), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn back_reload_and_a_double_click_open_nothing_twice() {
    let world = World::start().await;
    let browser = world.logged_in("ana").await;
    browser.open(&world.url("/open/madrid?view=agent:2")).await;
    let button = browser.driver.find(By::Css(BUTTON)).await.unwrap();
    browser.driver.action_chain().double_click_element(&button).perform().await.unwrap();
    let landed = || world.landed(&browser, "madrid");
    assert_eq!(landed().await, ("ops.reader".to_owned(), "web-02".to_owned()));
    browser.driver.refresh().await.unwrap();
    assert_eq!(landed().await, ("ops.reader".to_owned(), "web-02".to_owned()));
    assert_eq!(world.audited("open.issued"), 1);
    // Back, as often as there is something behind: never a second opening by itself, and never a page without a way on.
    for _ in 0..4 {
        browser.driver.back().await.unwrap();
        browser.until("document.readyState === 'complete'").await;
        assert_eq!(world.audited("open.issued"), 1, "{}", browser.eval("location.href").await);
    }
    // A finish link of before: used, and one click opens the same view again.
    browser.open(&world.url("/open/madrid?view=agent:2")).await;
    browser.click(BUTTON).await;
    assert_eq!(landed().await.1, "web-02");
    let seen = world.console("madrid").requests().all();
    let start = seen.iter().rev().find(|seen| seen.query.starts_with("a=start")).unwrap();
    let number = start.parameters.get("p").to_owned();
    browser.open(&world.url(&format!("/open/madrid/finish?p={number}&st={}", "A".repeat(43)))).await;
    browser.says("[role=alert]", "used already").await;
    browser.click(BUTTON).await;
    assert_eq!(landed().await, ("ops.reader".to_owned(), "web-02".to_owned()));
    assert_eq!(world.end().await.audited("open.issued"), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_scripts_buttons_do_it() {
    let world = World::start().await;
    let browser = world.logged_in("ana").await;
    browser.devtools("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
    browser.open(&world.url("/open/lyon?view=events:4")).await;
    browser.click(BUTTON).await;
    // The gateway's page, the site's redirect, then the page that would go on by itself.
    browser.until("location.pathname === '/open/lyon/finish' && !!document.querySelector('form button')").await;
    assert_eq!(world.audited("open.issued"), 0, "nothing is signed before the button");
    browser.click("form button").await;
    browser.until("!!document.querySelector('input[name=mc_token]')").await;
    browser.click("form button").await;
    assert_eq!(world.landed(&browser, "lyon").await, ("ben".to_owned(), "web-04".to_owned()));
    assert_eq!(browser.text("h2").await, "Events");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_begun_by_one_opens_nothing_for_another() {
    let world = World::start().await;
    let mut ana = crate::support::browser::Browser::logged_in(&world.base, "ana").await;
    let form = ana.get("/api/v1/me").await.json()["form_token"].as_str().unwrap().to_owned();
    let page = ana.post("/open/madrid", &[("form", &form), ("view", "agent:1")]).await;
    let start = crate::support::browser::between(&page.text, "content=\"0; url=", "\"").replace("&amp;", "&");
    // Ana sends her links to somebody in another browser: the verifier's start leads to a page that begins anew.
    let browser = world.logged_in("guest").await;
    browser.open(&start).await;
    browser.until("location.pathname === '/open/madrid/finish'").await;
    browser.says("main", "Nothing was begun here").await;
    browser.says("main", "You do not have the right to open this console").await;
    browser.open(&world.there("madrid", "index.php")).await;
    assert_eq!(browser.eval("!!document.getElementById('nick')").await, true, "nobody is logged in there");
    assert_eq!(world.end().await.audited("open.issued"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_login_of_the_demo_opens_its_five_consoles() {
    // Below the ports that systems give away, so that only another demo can be in the way.
    let (port, demo) = (30_000..32_000).step_by(10).find_map(|port| Some((port, Demo::start(port).ok()?))).unwrap();
    let base = format!("http://127.0.0.1:{port}");
    let users = PEOPLE.map(|user| format!("{{login: {user}, password: '{}', roles: [all]}}", hashed(user))).join(", ");
    let yaml = format!(
        "gateway:\n  id: demo\n  listen: \"127.0.0.1:{port}\"\n  public_url: {base}/\n  state_dir: state\n{}{}access:\n  \
         roles: {{all: {{search: ['*'], view: ['*'], open: ['*']}}}}\n  users: [{users}]\n",
        demo.keys_yaml(Path::new("master")),
        demo.sites_yaml(Path::new("token")),
    );
    let world = World::serve(&yaml, &base, demo.master(), Vec::new()).await;
    let browser = world.logged_in("demo").await;
    for (site, account) in [
        ("madrid", "ops.reader"),
        ("lyon", "lyon.operator"),
        ("nairobi", "ops.reader"),
        ("lima", "ops.reader"),
        ("kyoto", "ops.reader"),
    ] {
        browser.open(&world.url(&format!("/open/{site}?view=graphs:3"))).await;
        browser.click(BUTTON).await;
        let (user, agent) = world.landed(&browser, site).await;
        assert!(user == account && !agent.is_empty(), "{site}: {user} {agent}");
        assert_eq!(browser.text("#tabs [aria-current]").await, "Graphs");
    }
    browser.open(&world.url("/open/oslo?view=agent:1")).await;
    browser.says("main", "This console asks for a login of its own").await;
    // Mapped to an administrator: the console itself does not take that, whatever its list says.
    world.log_in(&browser, "chief").await;
    browser.open(&world.url("/open/nairobi")).await;
    browser.says("main", "No account there is linked to you").await;
    browser.open(&world.url("/open/lyon?view=agent:3")).await;
    browser.says("main", "You will be sysop there").await;
    browser.click(BUTTON).await;
    browser.says("h1", "This did not open").await;
    browser.open(&format!("http://lyon.localhost:{}/pandora_console/", port + 2)).await;
    assert_eq!(world.landed(&browser, "lyon").await.0, "lyon.operator", "nothing was changed by it");
}
