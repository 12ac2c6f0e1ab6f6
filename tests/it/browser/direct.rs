//! Openings by a console's own hash, in a real browser: where it lands, and that nothing there repeats the hash.

use thirtyfour::prelude::*;

use super::driver::Browser;
use crate::direct::{BEN, OPS, World};

/// That neither this page nor its address has the hash, and neither has any link or form of it.
async fn is_clean(browser: &Browser, hash: &str) {
    let page = browser.eval("location.href + document.documentElement.outerHTML").await;
    let page = page.as_str().unwrap();
    assert!(!page.contains(hash), "{page}");
}

/// Over all links of a landed page: pages by paging, and those that refresh by themselves.
async fn wander(browser: &Browser, hash: &str) {
    let click = async |id: &str| browser.driver.find(By::Id(id)).await.unwrap().click().await.unwrap();
    for (menu, page, refreshed, paged) in [
        ("agents", "operation/agentes/estado_agente", true, true),
        ("groups", "operation/agentes/group_view", false, true),
        ("events", "operation/events/events", true, false),
    ] {
        click(menu).await;
        browser.says("#page", page).await;
        is_clean(browser, hash).await;
        if refreshed {
            browser.until("location.search.includes('refr=1')").await;
            is_clean(browser, hash).await;
        }
        if paged {
            click("next").await;
            browser.until("location.search.includes('offset=20')").await;
            is_clean(browser, hash).await;
        }
    }
    browser.says("#user", "ops.reader").await;
}

async fn button(browser: &Browser) {
    browser.driver.find(By::Css("form button")).await.unwrap().click().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_direct_opening_no_page_shows_the_hash() {
    let world = World::new().await;
    let browser = Browser::start(1200, 800).await;
    // Somebody else is logged in at the console in this browser.
    let ben = format!("index.php?loginhash=auto&loginhash_data={}&loginhash_user={}&sec=x&sec2=y", BEN.1, BEN.0);
    browser.open(&format!("{}{ben}", world.madrid.root())).await;
    browser.says("#user", "ben").await;
    browser.open(&world.served.url("/login")).await;
    for (name, text) in [("login", "ana"), ("password", "correct horse ana")] {
        browser.driver.find(By::Name(name)).await.unwrap().send_keys(text).await.unwrap();
    }
    button(&browser).await;
    browser.until("location.pathname === '/'").await;
    for (view, landed) in [
        ("agent:42", "operation/agentes/ver_agente  42"),
        ("modules:42", "operation/agentes/ver_agente module 42"),
        ("alerts:42", "operation/agentes/ver_agente alert 42"),
        ("graphs:42", "operation/agentes/ver_agente graphs 42"),
        ("", "general/logon_ok"),
    ] {
        browser.open(&world.served.url(&format!("/open/madrid?view={view}"))).await;
        browser.says("[role=note]", "this login cannot expire").await;
        button(&browser).await;
        browser.says("#user", "ops.reader").await;
        browser.says("#page", landed.split("  ").next().unwrap()).await;
        is_clean(&browser, OPS.1).await;
        if view.is_empty() || view == "agent:42" {
            wander(&browser, OPS.1).await;
        }
    }
    // Events repeat the form, so the login lands beside them, in a tab of its own.
    browser.open(&world.served.url("/open/madrid?view=events:42")).await;
    button(&browser).await;
    browser.says("body", "2. When you are in").await;
    let ours = browser.driver.window().await.unwrap();
    button(&browser).await;
    let landed = other_than(&browser, std::slice::from_ref(&ours)).await;
    browser.says("#page", "operation/agentes/ver_agente").await;
    is_clean(&browser, OPS.1).await;
    browser.driver.switch_to_window(ours.clone()).await.unwrap();
    browser.driver.find(By::LinkText("go on to the view")).await.unwrap().click().await.unwrap();
    other_than(&browser, &[ours, landed]).await;
    browser.says("#page", "operation/events/events").await;
    browser.says("#user", "ops.reader").await;
    browser.until("location.search.includes('refr=1')").await;
    is_clean(&browser, OPS.1).await;
    wander(&browser, OPS.1).await;
}

/// Goes to the tab that was opened beside these, and gives its handle.
async fn other_than(browser: &Browser, known: &[WindowHandle]) -> WindowHandle {
    let looking = async {
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(50));
        loop {
            let all = browser.driver.windows().await.unwrap();
            if let Some(new) = all.into_iter().find(|handle| !known.contains(handle)) {
                return new;
            }
            tick.tick().await;
        }
    };
    let new = tokio::time::timeout(std::time::Duration::from_secs(20), looking).await.expect("no tab opens");
    browser.driver.switch_to_window(new.clone()).await.unwrap();
    new
}
