//! An opening through a gate beside a real nginx, in a real Chromium: right view, right user, somebody else's session, the end.

use std::time::Duration;

use serde_json::{Value, json};

use super::driver::Browser;
use super::opening_world::log_in;
use crate::gate::World;

const BUTTON: &str = ".opening form button";

/// Presses the button, and says who and where the product takes this window for.
async fn opened(world: &World, browser: &Browser, view: &str) -> (String, String) {
    browser.open(&world.served.url(&format!("/open/madrid?view={view}"))).await;
    browser.click(BUTTON).await;
    landed(browser).await
}

async fn landed(browser: &Browser) -> (String, String) {
    browser
        .until("location.host.startsWith('madrid.localhost:') && document.body.innerText.includes('\"REQUEST_URI\"')")
        .await;
    let environment: Value = serde_json::from_str(&browser.text("body").await).unwrap();
    let value = |name: &str| environment[name].as_str().unwrap_or("").to_owned();
    assert!(!environment.to_string().contains("mc1."), "{environment}");
    (value("HTTP_X_MC_USER"), value("REQUEST_URI"))
}

/// The gate's sessions that this browser holds, and what else of the verifier's.
async fn held(browser: &Browser) -> (Vec<String>, Vec<String>) {
    let cookies = browser.devtools("Network.getAllCookies", json!({})).await;
    let cookies = cookies["cookies"].as_array().unwrap().clone();
    let of = |name: &str| {
        let named = cookies.iter().filter(|cookie| cookie["name"].as_str().unwrap().starts_with(name));
        named.map(|cookie| cookie["value"].as_str().unwrap().to_owned()).collect()
    };
    (of("__Host-mc_gate"), of("__Host-mc_pre"))
}

#[tokio::test]
async fn one_login_opens_a_product_behind_a_gate_and_its_end_there_is_the_end_here() {
    let world = World::new("verification: online\non_gateway_loss: close\nallow: [ops.reader, ben]").await;
    let browser = Browser::start(1200, 800).await;
    log_in(&browser, &world.served.url("/login"), "ana").await;
    browser.open(&world.there("/x")).await;
    assert_eq!(landed(&browser).await, (String::new(), "/x".to_owned()), "nobody yet");
    let (who, path) = opened(&world, &browser, "agent:42").await;
    assert!(who == "ops.reader" && path.contains("id_agente=42"), "{who} {path}");
    assert_eq!(browser.eval("document.referrer").await, "", "the product hears nothing of where it was");
    let first = held(&browser).await;
    assert_eq!((first.0.len(), first.1.len()), (1, 0), "the state of an opening is gone with it");
    // The same person again: the session stays.
    let (who, path) = opened(&world, &browser, "alerts:7").await;
    assert!(who == "ops.reader" && path.contains("id_agente=7"), "{who} {path}");
    assert_eq!(held(&browser).await.0, first.0);
    // Somebody else at the gateway, in the same browser: asked, and nothing changes before the button.
    log_in(&browser, &world.served.url("/login"), "ben").await;
    for (button, expected) in [("a", "ops.reader"), ("form button", "ben")] {
        browser.open(&world.served.url("/open/madrid?view=agent:5")).await;
        browser.click(BUTTON).await;
        browser.says("h1", "Continue as ben?").await;
        browser.says("body", "ops.reader").await;
        browser.click(button).await;
        let (who, path) = landed(&browser).await;
        assert!(who == expected && path.contains("id_agente=5"), "{who} {path}");
    }
    assert_ne!(held(&browser).await.0, first.0);
    // Back, and the form once more: used.
    let decisions = world.log().lines().count();
    browser.driver.back().await.unwrap();
    browser.open(&world.there("/x")).await;
    assert_eq!(landed(&browser).await.0, "ben");
    assert!(!world.log().lines().skip(decisions).any(|line| line.contains("\"opened\"")), "{}", world.log());
    browser.open(&world.served.url("/logout")).await;
    browser.says("main", "ends within a minute").await;
    browser.click("main form button").await;
    browser.until("!document.querySelector('main form button')").await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(60)).await;
    tokio::time::resume();
    browser.open(&world.there("/x")).await;
    assert_eq!(landed(&browser).await, (String::new(), "/x".to_owned()));
    // On this one thread nobody else would hear what its end waits for.
    browser.ended().await;
}
