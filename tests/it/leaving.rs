//! The end of a session: the page that names the consoles, and the real drop-in that is told to end what was opened.

use std::os::unix::fs::PermissionsExt as _;

use metaconsole::openings::witness::Event;

use crate::openings::{World, token};
use crate::support::browser::{Browser, between};
use crate::support::gateway::{Answer, until};
use crate::support::php::{PhpSite, Visitor};

/// Madrid wants to know of logouts, and not of names.
async fn world() -> World {
    let madrid = |yaml: String| {
        let yaml = yaml.replacen("verifier: dropin", "verifier: dropin, revoke: true, actor: opaque", 1);
        // The gateway reaches the verifier where it reaches the site.
        let console = between(&yaml, "url: \"http://", "/").to_owned();
        let port = between(&yaml, "http://madrid.localhost:", "/").to_owned();
        yaml.replacen(&console, &format!("127.0.0.1:{port}"), 1)
    };
    World::with(madrid).await
}

async fn opened(world: &World, browser: &mut Browser, visitor: &mut Visitor, id: &str, site: &PhpSite) {
    let start = world.start(browser, id, "").await;
    let back = world.visit(visitor, &start).await;
    let token = token(&world.finish(browser, &back).await).unwrap();
    let landed = visitor.post(&format!("{}mc.php?a=login", site.root()), &[("mc_token", &token)]).await;
    assert_eq!(landed.status, 303, "{:?}", site.decisions());
}

async fn log_out(browser: &mut Browser) -> (Answer, Answer) {
    let page = browser.get("/logout").await;
    let form = between(&page.text, "name=\"form\" value=\"", "\"").to_owned();
    let answer = browser.post("/logout", &[("form", &form)]).await;
    (page, answer)
}

fn ends(world: &World) -> Vec<(String, bool, String)> {
    let events = world.told.events.lock().unwrap();
    let ended = events.iter().filter_map(|event| match event {
        Event::Ended { told, delivered, detail } => Some((told.login.clone(), *delivered, detail.clone())),
        _ => None,
    });
    ended.collect()
}

#[tokio::test]
async fn a_logout_names_the_consoles_and_ends_those_whose_site_wants_to_know() {
    let world = world().await;
    let (mut ana, mut visitor) = (world.browser("ana").await, world.visitor());
    let (mut ben, mut other) = (world.browser("ben").await, world.visitor());
    let mut elsewhere = world.browser("ana").await;
    opened(&world, &mut ana, &mut visitor, "madrid", &world.madrid).await;
    opened(&world, &mut ana, &mut visitor, "lyon", &world.lyon).await;
    opened(&world, &mut ben, &mut other, "madrid", &world.madrid).await;
    assert_eq!((world.madrid.sessions().await, world.lyon.sessions().await), (2, 1));
    assert!(!elsewhere.get("/logout").await.text.contains("The madrid"), "of another session");
    let (page, answer) = log_out(&mut ana).await;
    for text in [&page.text, &answer.text] {
        assert!(text.contains("<li>The madrid as ops.reader, 0 min ago: the site is told to end it</li>"), "{text}");
        let root = world.lyon.root();
        let lyon = format!(
            "<li>The lyon as ops.reader, 0 min ago: goes on until it ends by itself: <a rel=\"noreferrer\" href=\"{root}\">"
        );
        assert!(text.contains(&lyon), "{text}");
    }
    assert!(answer.status == 200 && answer.text.contains("<h1>Logged out</h1>"), "{answer:?}");
    assert_eq!(ana.get("/api/v1/me").await.status, 401);
    until("the console's session is gone", || async { world.madrid.sessions().await == 1 }).await;
    until("it is recorded", || async { !ends(&world).is_empty() }).await;
    assert_eq!(ends(&world), [("local:ana".to_owned(), true, "logged out: ended 1".to_owned())]);
    assert_eq!(world.lyon.sessions().await, 1);
    let decision = world.madrid.decisions().pop().unwrap();
    assert_eq!(decision["result"], "revoked", "{decision}");
    let (page, answer) = log_out(&mut elsewhere).await;
    assert!(answer.status == 303 && !page.text.contains("<ul>"), "nothing was opened there: {answer:?}");
}

#[tokio::test]
async fn a_site_that_does_not_hear_it_at_once_is_told_again_and_no_logout_waits_for_it() {
    let world = world().await;
    let (mut ana, mut visitor) = (world.browser("ana").await, world.visitor());
    opened(&world, &mut ana, &mut visitor, "madrid", &world.madrid).await;
    let keys = world.madrid.path("etc/keys");
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(log_out(&mut ana).await.1.status, 200);
    let refused = || std::fs::read_to_string(world.madrid.path("log")).unwrap().contains("chmod 600 it");
    until("it was tried", || async { refused() }).await;
    assert!(ends(&world).is_empty() && world.madrid.sessions().await == 1);
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o600)).unwrap();
    until("it is gone", || async { world.madrid.sessions().await == 0 }).await;
    until("it is recorded", || async { !ends(&world).is_empty() }).await;
    assert!(ends(&world)[0].1);
    // One whose keys are not ours refuses, and would again.
    let mut ana = world.browser("ana").await;
    opened(&world, &mut ana, &mut world.visitor(), "madrid", &world.madrid).await;
    let foreign = std::fs::read_to_string(world.lyon.path("etc/keys")).unwrap().replace("site lyon", "site madrid");
    std::fs::write(&keys, foreign).unwrap();
    assert_eq!(log_out(&mut ana).await.1.status, 200);
    until("it is recorded", || async { ends(&world).len() == 2 }).await;
    assert_eq!(ends(&world)[1], ("local:ana".to_owned(), false, "logged out: the verifier refuses (403)".to_owned()));
    assert_eq!((world.served.gateway.openings.undelivered(), world.madrid.sessions().await), (1, 1));
}
