//! Each state of an opening has its page, in the style of all pages, for everybody: light, dark, and at a phone's width.
//!
//! `METACONSOLE_PICTURES=FOLDER` writes a picture of each.

use std::path::Path;

use super::access::{axe, findings};
use super::driver::Browser;
use super::opening_world::{PASSWORD, World};

async fn looked_at(browser: &Browser, axe: &str, what: &str, broken: &mut Vec<String>) {
    broken.extend(findings(browser, axe).await.into_iter().map(|finding| format!("{what}: {finding}")));
    if browser.eval("document.documentElement.scrollWidth > innerWidth").await == true {
        broken.push(format!("{what}: wider than the window"));
    }
    if let Some(folder) = std::env::var_os("METACONSOLE_PICTURES") {
        let png = browser.driver.screenshot_as_png().await.unwrap();
        std::fs::write(Path::new(&folder).join(format!("{what}.png")), png).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_state_has_its_page() {
    let axe = axe();
    let world = World::start().await;
    let browser = world.logged_in("ana").await;
    let mut ana = crate::support::browser::Browser::new(&world.base);
    let cookie = browser.devtools("Network.getAllCookies", serde_json::json!({})).await;
    let cookie =
        cookie["cookies"].as_array().unwrap().iter().find(|c| c["name"] == "__Host-mc_session").unwrap().clone();
    ana.cookies.insert("__Host-mc_session".to_owned(), cookie["value"].as_str().unwrap().to_owned());
    // Oslo was asked, and is known to be down.
    assert_eq!(ana.get("/api/v1/search?q=web&deadline=5s").await.status, 200);
    // Used: begun and finished by the same session, once.
    let form = ana.get("/api/v1/me").await.json()["form_token"].as_str().unwrap().to_owned();
    let page = ana.post("/open/madrid", &[("form", &form), ("view", "agent:1")]).await;
    let used = crate::support::browser::between(&page.text, "p=", "\"").to_owned();
    let state = "A".repeat(43);
    let finished = ana.post("/open/madrid/finish", &[("form", &form), ("p", &used), ("st", &state)]).await;
    assert!(finished.status == 200 && finished.text.contains("mc_token"), "{finished:?}");
    let pages = [
        ("ask", "/open/madrid?view=agent:1".to_owned(), "You will be ops.reader there"),
        ("down", "/open/oslo?view=agent:1".to_owned(), "cannot read this site now"),
        ("used", format!("/open/madrid/finish?p={used}&st={state}"), "used already"),
        ("not-begun", format!("/open/madrid/finish?p={}&st={state}", "B".repeat(22)), "Nothing was begun here"),
    ];
    let mut broken = Vec::new();
    for (scheme, width) in [("light", 1200), ("dark", 1200), ("dark", 380)] {
        browser.scheme(scheme).await;
        browser.size(width, 700).await;
        for (name, path, words) in &pages {
            browser.open(&world.url(path)).await;
            browser.says("main", words).await;
            let ground = "getComputedStyle(document.body).backgroundColor";
            let expected = if scheme == "dark" { "rgb(21, 24, 28)" } else { "rgb(251, 251, 250)" };
            assert_eq!(browser.eval(ground).await, expected, "{name} has the style of all pages");
            looked_at(&browser, &axe, &format!("{name}-{scheme}-{width}"), &mut broken).await;
        }
    }
    in_between(&world, &browser, &axe, &mut broken).await;
    somebody_else(&world, &browser, &axe, &mut broken).await;
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Whether pages that are loaded from now on run theirs. (axe needs them, too.)
async fn scripts(browser: &Browser, run: bool) {
    browser.devtools("Emulation.setScriptExecutionDisabled", serde_json::json!({"value": !run})).await;
}

async fn in_between(world: &World, browser: &Browser, axe: &str, broken: &mut Vec<String>) {
    // The pages in between, which a script leaves at once.
    scripts(browser, false).await;
    browser.open(&world.url("/open/madrid?view=agent:1")).await;
    browser.click(".opening form button").await;
    browser.until("location.pathname === '/open/madrid/finish' && !!document.querySelector('form button')").await;
    assert_eq!(browser.eval("getComputedStyle(document.body).backgroundColor").await, "rgb(21, 24, 28)");
    scripts(browser, true).await;
    looked_at(browser, axe, "finishing-dark-380", broken).await;
    scripts(browser, false).await;
    browser.click("form button").await;
    browser.until("!!document.querySelector('input[name=mc_token]')").await;
    assert_eq!(browser.eval("document.querySelector('meta[name=color-scheme]').content").await, "light dark");
    scripts(browser, true).await;
    looked_at(browser, axe, "handover-dark-380", broken).await;
}

async fn somebody_else(world: &World, browser: &Browser, axe: &str, broken: &mut Vec<String>) {
    // Somebody else at the site, and what the site says of a token that it does not take.
    browser.open(&world.there("lyon", "index.php")).await;
    for (name, value) in [("nick", "night.shift"), ("pass", PASSWORD)] {
        browser.driver.find(thirtyfour::By::Id(name)).await.unwrap().send_keys(value).await.unwrap();
    }
    browser.click("input[type=submit]").await;
    world.landed(browser, "lyon").await;
    browser.open(&world.url("/open/lyon?view=agent:1")).await;
    browser.click(".opening form button").await;
    browser.says("body", "night.shift is logged in").await;
    looked_at(browser, axe, "continue-dark-380", broken).await;
    // Not for everybody.
    world.log_in(browser, "guest").await;
    browser.open(&world.url("/open/madrid?view=agent:1")).await;
    browser.says("main", "You do not have the right").await;
    looked_at(browser, axe, "denied-dark-380", broken).await;
}
