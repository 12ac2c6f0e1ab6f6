//! What a verifier that asks hears at an opening, and later about what it let in.

use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use metaconsole::clock::Clock;
use metaconsole::delegation::{Amr, MasterKey, NewToken, Purpose, mint, random_number, state_hash};
use metaconsole::openings::witness::{Event, TellLog};
use metaconsole::secret::Secret;
use serde_json::{Value, json};

use crate::openings::{World, changed, token};
use crate::support::browser::{Browser, between};
use crate::support::gateway::{Answer, Served};
use crate::support::php::{PhpSite, Visitor};

fn bearer(site: &PhpSite, id: &str) -> String {
    let keys = std::fs::read_to_string(site.path("etc/keys")).unwrap();
    let key = keys.lines().find_map(|line| line.strip_prefix("mc1-verify 2026a ")).unwrap().to_owned();
    format!("Bearer mcv1.{id}.2026a.{key}")
}

async fn ask(served: &Served, call: &str, bearer: &str, body: &Value) -> Answer {
    let request = served.client.post(served.url(&format!("/api/v1/delegation/{call}"))).body(body.to_string());
    Answer::of(request.header("authorization", bearer).send().await.unwrap()).await
}

/// A token for Lyon and the state that it was made for.
async fn signed(world: &World, browser: &mut Browser, visitor: &mut Visitor) -> (String, String) {
    let start = world.start(browser, "lyon", "agent:7").await;
    let back = world.visit(visitor, &start).await;
    (token(&world.finish(browser, &back).await).unwrap(), visitor.state())
}

async fn verified(world: &World, token: &str, state: &str) -> Answer {
    let question = json!({"token": token, "st_state": state, "client_ip": "192.0.2.1"});
    ask(&world.served, "verify", &bearer(&world.lyon, "lyon"), &question).await
}

async fn granted(world: &World, browser: &mut Browser) -> String {
    let mut visitor = world.visitor();
    let (token, state) = signed(world, browser, &mut visitor).await;
    let answer = verified(world, &token, &state).await.json();
    assert_eq!((&answer["active"], &answer["sub"], &answer["act"]), (&json!(true), &json!("ben"), &json!("local:ben")));
    let grant = answer["grant"].as_str().unwrap().to_owned();
    assert!(grant.len() == 24 && grant.starts_with("g_"), "{grant}");
    grant
}

async fn is_active(world: &World, grant: &str) -> bool {
    let answer = ask(&world.served, "status", &bearer(&world.lyon, "lyon"), &json!({"grants": [grant]})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = answer.json();
    assert_eq!(answer["grants"].as_object().unwrap().len(), 1, "{answer}");
    answer["grants"][grant]["active"].as_bool().unwrap()
}

async fn log_out(browser: &mut Browser, everywhere: bool) {
    let page = browser.get("/logout").await;
    let form = between(&page.text, "name=\"form\" value=\"", "\"").to_owned();
    let mut fields = vec![("form", form.as_str())];
    fields.extend(everywhere.then_some(("everywhere", "1")));
    assert_eq!(browser.post("/logout", &fields).await.status, 200);
}

#[tokio::test]
async fn a_grant_is_active_while_everything_holds_that_gave_it() {
    let world = World::new().await;
    let mut ben = world.browser("ben").await;
    let grant = granted(&world, &mut ben).await;
    assert!(is_active(&world, &grant).await);
    let foreign = ask(&world.served, "status", &bearer(&world.madrid, "madrid"), &json!({"grants": [grant]})).await;
    let unknown = ask(&world.served, "status", &bearer(&world.lyon, "lyon"), &json!({"grants": ["g_x"]})).await;
    assert_eq!(foreign.text, unknown.text.replace("g_x", &grant), "another site learns nothing");
    assert_eq!(unknown.json(), json!({"grants": {"g_x": {"active": false}}}));
    // Other rights give the session another id, and it is the same session.
    changed(&world, "search: ['*'], open: ['*']", "search: ['*'], view: ['*'], open: ['*']");
    assert_eq!(ben.get("/api/v1/me").await.status, 200);
    assert!(is_active(&world, &grant).await);
    for (good, bad) in [("open: ['*']", "open: [madrid]"), ("account: ben}", "account: nobody}")] {
        changed(&world, good, bad);
        assert!(!is_active(&world, &grant).await, "{bad}");
        changed(&world, bad, good);
        assert!(is_active(&world, &grant).await, "{good}");
    }
    // Another user of this login and password, so to say: the session is not theirs.
    changed(&world, "{login: ben,", "{login: benny,");
    assert!(!is_active(&world, &grant).await, "no such user any more");
    changed(&world, "{login: benny,", "{login: ben,");
    log_out(&mut ben, false).await;
    assert!(!is_active(&world, &grant).await);
    let mut again = world.browser("ben").await;
    let (first, mut third) = (granted(&world, &mut again).await, world.browser("ben").await);
    assert!(is_active(&world, &first).await);
    let second = granted(&world, &mut third).await;
    log_out(&mut third, true).await;
    assert!(!is_active(&world, &first).await && !is_active(&world, &second).await, "everywhere");
}

#[tokio::test]
async fn a_grant_ends_after_twelve_hours_and_questions_have_limits() {
    let world = World::new().await;
    let mut ben = world.browser("ben").await;
    let grant = granted(&world, &mut ben).await;
    let lyon = bearer(&world.lyon, "lyon");
    let many = |count: usize| json!({"grants": (0..count).map(|n| format!("g_{n}")).collect::<Vec<_>>()});
    let answer = ask(&world.served, "status", &lyon, &many(1000)).await;
    assert_eq!((answer.status, answer.json()["grants"].as_object().unwrap().len()), (200, 1000));
    for wrong in
        [many(1001), json!({"grants": "g_1"}), json!({"grants": [], "x": 1}), json!({"grants": ["g".repeat(65)]})]
    {
        assert_eq!(ask(&world.served, "status", &lyon, &wrong).await.status, 400, "{wrong}");
    }
    for stranger in ["", "Bearer mcv1.lyon.2026a.x", &bearer(&world.madrid, "lyon")] {
        assert_eq!(ask(&world.served, "status", stranger, &many(1)).await.status, 401, "{stranger}");
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(12 * 3600 - 1)).await;
    tokio::time::resume();
    assert!(is_active(&world, &grant).await);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(2)).await;
    tokio::time::resume();
    assert!(!is_active(&world, &grant).await);
}

#[tokio::test]
async fn a_token_whose_session_has_ended_meanwhile_is_not_good() {
    let world = World::new().await;
    let (mut ben, mut visitor) = (world.browser("ben").await, world.visitor());
    let (token, state) = signed(&world, &mut ben, &mut visitor).await;
    log_out(&mut ben, false).await;
    assert_eq!(verified(&world, &token, &state).await.text, "{\"active\":false}");
    assert!(!world.told.events.lock().unwrap().iter().any(|event| matches!(event, Event::Consumed { .. })));
}

#[tokio::test]
async fn a_good_token_that_was_never_signed_here_is_an_alarm() {
    let world = World::new().await;
    let master = std::fs::read_to_string(world.config.path().with_file_name("master")).unwrap();
    let key = MasterKey::read("2026a", &Secret::new(master.trim())).unwrap().derive("lyon", Purpose::Token).unwrap();
    let (state, number) = ("a state of the thief's own", random_number().unwrap());
    let new = NewToken {
        gateway: "gateway",
        account: "ben",
        actor: "local:ben",
        amr: Amr::Pwd,
        path: "/",
        state: &state_hash(state),
    };
    let forged = mint(&key, &new, &number, Clock::System.now()).unwrap();
    assert_eq!(world.served.gateway.openings.unissued(), 0);
    assert_eq!(verified(&world, forged.expose(), state).await.text, "{\"active\":false}");
    let last = world.told.events.lock().unwrap().pop().unwrap();
    assert!(matches!(&last, Event::Unissued { told, .. } if told.site.as_str() == "lyon"), "{last:?}");
    assert_eq!(world.served.gateway.openings.unissued(), 1);
    // One of ours is none.
    let mut ben = world.browser("ben").await;
    granted(&world, &mut ben).await;
    assert_eq!(world.served.gateway.openings.unissued(), 1);
}

#[tokio::test]
async fn a_site_that_is_not_to_know_who_it_is_hears_the_same_text_each_time() {
    let opaque = |yaml: String| yaml.replace("verifier: dropin", "verifier: dropin, actor: opaque");
    let world = World::with(opaque).await;
    let mut ben = world.browser("ben").await;
    let mut actors = Vec::new();
    for site in ["lyon", "lyon", "madrid"] {
        let mut visitor = world.visitor();
        let start = world.start(&mut ben, site, "").await;
        let back = world.visit(&mut visitor, &start).await;
        let token = token(&world.finish(&mut ben, &back).await).unwrap();
        let payload = token.split('.').nth(2).unwrap();
        let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap();
        let claims: Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!((&claims["sub"], &claims["amr"]), (&json!("ben"), &json!("pwd")));
        actors.push(claims["act"].as_str().unwrap().to_owned());
        if site == "lyon" {
            let state = visitor.state();
            let answer = verified(&world, &token, &state).await.json();
            assert_eq!((&answer["active"], &answer["act"]), (&json!(true), &json!(actors[0])));
            assert!(is_active(&world, answer["grant"].as_str().unwrap()).await);
        }
    }
    assert!(actors[0] == actors[1] && actors[0] != actors[2] && actors[0].starts_with("u_"), "{actors:?}");
    assert!(actors.iter().all(|actor| !actor.contains("ben")));
    let events = world.told.events.lock().unwrap();
    let named = events.iter().filter(|event| match event {
        Event::Issued { told, .. } | Event::Consumed { told, .. } => told.login == "local:ben",
        _ => false,
    });
    assert_eq!(named.count(), 5, "the gateway's own audit names the person: {events:?}");
}

#[tokio::test]
async fn while_nothing_can_be_written_down_nothing_is_opened_and_it_is_said() {
    let world = World::new().await;
    let World { served, told: _, madrid, lyon, config, .. } = world;
    drop(served);
    // A folder of its own, so that no file of the first gateway is in use.
    let text = std::fs::read_to_string(config.path()).unwrap().replace("state_dir: state", "state_dir: broken");
    config.write("sites.yaml", text.as_bytes());
    let folder = config.path().with_file_name("broken");
    std::fs::DirBuilder::new().mode(0o700).create(&folder).unwrap();
    for name in ["used.redb", "openings.redb"] {
        config.write(&format!("broken/{name}"), &[b'x'; 9000]);
        std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let output = config.run(&["check", "--deadline", "2s"]).await;
    for name in ["used.redb", "openings.redb"] {
        let told = output.stderr.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{output:?}"));
        assert!(told.contains("no console can be opened"), "{told}");
    }
    assert_eq!(output.code, 3);
    let served = Served::start_before(&config, Arc::new(TellLog)).await;
    for (id, site) in [("madrid", &madrid), ("lyon", &lyon)] {
        site.allow(id, &served.url(""), &["ops.reader", "ben"]);
    }
    let mut ben = Browser::logged_in(&served.url(""), "ben").await;
    let failing = async |ben: &mut Browser| {
        let page = ben.get("/metrics").await.text;
        let value = page.lines().find_map(|line| line.strip_prefix("metaconsole_openings_failing "));
        value.unwrap_or_else(|| panic!("{page}")).to_owned()
    };
    assert_eq!(failing(&mut ben).await, "1");
    let opened = async |ben: &mut Browser| {
        let mut visitor = Visitor::at(&[&madrid, &lyon]);
        let start = crate::openings::start(ben, "lyon", "").await;
        let back = crate::openings::visit(&served.url(""), &mut visitor, &start).await;
        (crate::openings::finish(&served.url(""), ben, &back).await, visitor.state())
    };
    let (answer, _) = opened(&mut ben).await;
    assert!(answer.status == 503 && token(&answer).is_none(), "{answer:?}");
    std::fs::remove_file(folder.join("openings.redb")).unwrap();
    let (answer, state) = opened(&mut ben).await;
    let question = json!({"token": token(&answer).unwrap(), "st_state": state});
    let verify = async || ask(&served, "verify", &bearer(&lyon, "lyon"), &question).await;
    assert_eq!(verify().await.status, 503);
    assert_eq!(failing(&mut ben).await, "1");
    std::fs::remove_file(folder.join("used.redb")).unwrap();
    assert_eq!(verify().await.json()["active"], json!(true), "without a restart");
    assert_eq!(failing(&mut ben).await, "0");
    assert_eq!(ben.get("/api/v1/search?q=web").await.status, 200);
}

#[tokio::test]
async fn who_asks_who_they_are_hears_that_nothing_can_be_opened_and_why() {
    let world = World::new().await;
    changed(&world, ", keys: [{kid: 2026a, secret: \"file:master\", signing: true}]", "");
    let mut ana = world.browser("ana").await;
    let me = ana.get("/api/v1/me").await.json();
    let site = &me["sites"][0];
    assert_eq!((&site["opening"], &site["reason"]), (&json!("closed"), &json!("no_key")), "{me}");
    assert!(site.get("account").is_none(), "{me}");
    let me = world.browser("nomad").await.get("/api/v1/me").await.json();
    assert_eq!(me["sites"][0]["opening"], json!("no_account"));
}
