//! The gate behind its router, with a gateway that speaks the agreed format over real HTTP.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Request, Response, header};
use axum::routing::post;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::clock::Timestamp;
use crate::config::load_gate;
use crate::delegation::{Amr, MasterKey, NewToken, Purpose, SiteKey, mint, random_number, seal, state_hash};
use crate::secret::Secret;

const SITE: &str = "site-madrid";
const NOW: i64 = 1_767_225_602;
const STATE: &str = "a-state";

/// A gateway: which grants hold, and whether it answers at all.
#[derive(Default)]
struct Said {
    holding: HashSet<String>,
    used: HashSet<String>,
    account: Option<String>,
    status: u16,
    asked: usize,
    /// A key that it took out.
    without: Option<&'static str>,
}

type Shared = Arc<Mutex<Said>>;

async fn verify(State(said): State<Shared>, headers: HeaderMap, body: String) -> (axum::http::StatusCode, String) {
    let mut said = said.lock().unwrap();
    said.asked += 1;
    let bearer = headers[header::AUTHORIZATION].to_str().unwrap();
    assert!(bearer.starts_with("Bearer mcv1.site-madrid.2026a."), "{bearer}");
    let question: Value = serde_json::from_str(&body).unwrap();
    let token = question["token"].as_str().unwrap().to_owned();
    assert_eq!((&question["st_state"], &question["client_ip"]), (&json!(STATE), &json!("192.0.2.7")));
    let payload = token.split('.').nth(2).unwrap();
    let claims: Value = serde_json::from_slice(&base64(payload)).unwrap();
    let account = said.account.clone().unwrap_or_else(|| claims["sub"].as_str().unwrap().to_owned());
    let grant = format!("g_{}", claims["jti"].as_str().unwrap());
    let answer = match said.used.insert(token) {
        false => json!({ "active": false }),
        true => {
            said.holding.insert(grant.clone());
            json!({
                "active": true, "sub": account, "dst": claims["dst"], "act": claims["act"], "session_max_s": 900,
                "grant": grant,
            })
        }
    };
    (axum::http::StatusCode::from_u16(said.status).unwrap(), answer.to_string())
}

fn base64(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'-' => 62,
        _ => 63,
    };
    let bits: Vec<u8> = text.bytes().flat_map(|b| (0..6).rev().map(move |at| value(b) >> at & 1)).collect();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |all, bit| all << 1 | bit)).collect()
}

async fn status(State(said): State<Shared>, headers: HeaderMap, body: String) -> (axum::http::StatusCode, String) {
    let mut said = said.lock().unwrap();
    said.asked += 1;
    let kid = headers[header::AUTHORIZATION].to_str().unwrap().split('.').nth(2).unwrap();
    if said.without.is_some_and(|without| without == "all" || without == kid) {
        return (axum::http::StatusCode::UNAUTHORIZED, String::new());
    }
    let question: Value = serde_json::from_str(&body).unwrap();
    let grants: HashMap<&str, Value> = question["grants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|grant| grant.as_str().unwrap())
        .map(|grant| (grant, json!({ "active": said.holding.contains(grant) })))
        .collect();
    (axum::http::StatusCode::from_u16(said.status).unwrap(), json!({ "grants": grants }).to_string())
}

/// A folder with keys and configuration, and a gateway.
struct World {
    folder: tempfile::TempDir,
    keys: Vec<SiteKey>,
    said: Shared,
    gateway: std::net::SocketAddr,
    clock: Clock,
}

fn keys() -> Vec<SiteKey> {
    let vectors: Value = serde_json::from_str(include_str!("../../tests/fixtures/delegation.json")).unwrap();
    let rows = vectors["site_keys"].as_array().unwrap().iter();
    let active = rows.filter(|row| row["site"] == SITE && row["active"] == true);
    let read = |row: &Value| {
        let text = |member: &str| row[member].as_str().unwrap().to_owned();
        let (_, purpose) = Purpose::ALL.into_iter().find(|(word, _)| *word == text("purpose")).unwrap();
        SiteKey::read(SITE, &text("kid"), purpose, &Secret::new(text("key_hex"))).unwrap()
    };
    active.map(read).collect()
}

impl World {
    async fn new(now: i64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = keys();
        let mut file = format!("site {SITE}\n");
        for key in &keys {
            file.push_str(&format!("{} {} {}\n", key.purpose().as_str(), key.kid(), key.text().expose()));
        }
        let path = folder.path().join("keys");
        std::fs::write(&path, file).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let said = Shared::default();
        said.lock().unwrap().status = 200;
        let router = Router::new()
            .route("/api/v1/delegation/verify", post(verify))
            .route("/api/v1/delegation/status", post(status))
            .with_state(Arc::clone(&said));
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let gateway = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { folder, keys, said, gateway, clock: Clock::following(Timestamp::from_secs(now)) }
    }

    fn config(&self, state: &str, more: &str) -> GateConfig {
        let path = self.folder.path().join("gate.yaml");
        let text = format!(
            "site: {SITE}\ngateway: \"http://{}/\"\nissuers: [mc-hq]\npublic_url: https://madrid.example/\n\
             keys: file:keys\nstate_dir: {state}\nallow: [ops.reader, ana, jane.doe@example.org]\n\
             audit_file: {state}.log\nidentity_headers: [X-Mc-User, Remote-User]\n{more}\n",
            self.gateway
        );
        std::fs::write(&path, text).unwrap();
        load_gate(&path, &|_| None).unwrap_or_else(|mistakes| panic!("{mistakes}"))
    }

    fn at(&self, state: &str, more: &str) -> At<'_> {
        let config = self.config(state, more);
        let gate = loop {
            match Gate::open(&config, self.clock) {
                Ok(gate) => break Arc::new(gate),
                // The one before closes its file on a thread of its own.
                Err(OpenError::Used(_)) => std::thread::yield_now(),
                Err(error) => panic!("{error}"),
            }
        };
        At {
            world: self,
            router: router(&gate, |_| Some(IpAddr::V4(Ipv4Addr::LOCALHOST))),
            log: format!("{state}.log"),
        }
    }

    fn token(&self, account: &str, actor: &str) -> String {
        let key = self.keys.iter().find(|key| key.purpose() == Purpose::Token).unwrap();
        let state = state_hash(STATE);
        let new = NewToken { gateway: "mc-hq", account, actor, amr: Amr::Pwd, path: "/view", state: &state };
        mint(key, &new, &random_number().unwrap(), self.clock.now()).unwrap().expose().to_owned()
    }

    fn asked(&self) -> usize {
        self.said.lock().unwrap().asked
    }
}

/// A running gate.
struct At<'w> {
    world: &'w World,
    router: Router,
    log: String,
}

/// Lets time pass.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

impl At<'_> {
    async fn ask(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
        let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
        self.ask(request.body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, cookies: &str, form: String) -> Response<Body> {
        let request = Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-forwarded-for", "192.0.2.7")
            .header("cookie", cookies);
        self.ask(request.body(Body::from(form)).unwrap()).await
    }

    async fn login(&self, token: &str, cookies: &str) -> Response<Body> {
        self.post("/mc/login", &format!("__Host-mc_pre_x={STATE}; {cookies}"), format!("mc_token={token}")).await
    }

    /// Logs in; the session's cookie.
    async fn opened(&self, account: &str, cookies: &str) -> String {
        let answer = self.login(&self.world.token(account, "local:alice"), cookies).await;
        assert_eq!(answer.status(), 303, "{}", self.reason());
        assert_eq!(answer.headers()[header::LOCATION], "/view");
        session(&answer).unwrap_or_else(|| cookies.to_owned())
    }

    /// Whom a cookie is of.
    async fn who(&self, cookie: &str) -> String {
        let answer = self.get("/mc/auth", &[("cookie", cookie)]).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["x-mc-user"], answer.headers()["remote-user"]);
        answer.headers()["x-mc-user"].to_str().unwrap().to_owned()
    }

    /// The last decision.
    fn reason(&self) -> String {
        let text = std::fs::read_to_string(self.world.folder.path().join(&self.log)).unwrap();
        let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        last["reason"].as_str().unwrap().to_owned()
    }
}

fn session(answer: &Response<Body>) -> Option<String> {
    let all = answer.headers().get_all(header::SET_COOKIE).iter().map(|set| set.to_str().unwrap());
    let set = all.into_iter().find(|set| set.starts_with("__Host-mc_gate="))?;
    assert!(set.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"), "{set}");
    Some(set.split(';').next().unwrap().to_owned())
}

#[tokio::test]
async fn every_vector_is_decided_as_listed() {
    let vectors: Value = serde_json::from_str(include_str!("../../tests/fixtures/delegation.json")).unwrap();
    let positive = vectors["positive"].as_array().unwrap();
    let all = positive.iter().chain(vectors["negative"].as_array().unwrap());
    for (number, vector) in all.enumerate() {
        let world = World::new(vector["now"].as_i64().unwrap()).await;
        let gate = world.at(&format!("state-{number}"), "verification: offline");
        let state =
            |vector: &Value| vector["presession_state"].as_str().map(|state| format!("__Host-mc_pre_x={state}"));
        let form =
            |token: &str| url::form_urlencoded::Serializer::new(String::new()).append_pair("mc_token", token).finish();
        let token = |vector: &Value| form(vector["token"].as_str().unwrap());
        for id in vector["sequence"].as_array().into_iter().flatten() {
            let Some(first) = positive.iter().find(|other| other["id"] == *id) else { continue };
            assert_eq!(gate.post("/mc/login", &state(first).unwrap(), token(first)).await.status(), 303);
        }
        if let Some(first) = vector["first"].as_str() {
            let given = vector["first_presession_state"].as_str().map(|state| format!("__Host-mc_pre_x={state}"));
            gate.post("/mc/login", &given.or(state(vector)).unwrap_or_default(), form(first)).await;
        }
        let body = vector["form_body"].as_str().map_or_else(|| token(vector), str::to_owned);
        let answer = match vector["method"].as_str() {
            None | Some("POST") => gate.post("/mc/login", &state(vector).unwrap_or_default(), body).await,
            Some(_) => gate.get(&format!("/mc/login?{body}"), &[("cookie", &state(vector).unwrap())]).await,
        };
        // What goes into a header has fewer characters.
        let sub = vector["expect"]["sub"].as_str();
        let into_header = sub.is_none_or(delegation::is_header_account);
        let expected = if into_header { vector["expect"]["error"].as_str() } else { Some("bad_sub") };
        match expected {
            None => {
                assert_eq!(answer.status(), 303, "{vector}");
                assert_eq!(gate.who(&session(&answer).unwrap()).await, sub.unwrap());
            }
            Some(error) => {
                assert_eq!((session(&answer), gate.reason().as_str()), (None, error), "{}", vector["id"]);
            }
        }
    }
}

#[tokio::test]
async fn every_identity_header_is_always_there_and_nobody_is_empty() {
    let world = World::new(NOW).await;
    let gate = world.at("state", "verification: offline");
    let cookie = gate.opened("ops.reader", "").await;
    assert_eq!(gate.who(&cookie).await, "ops.reader");
    for nobody in ["", "__Host-mc_gate=x", &format!("{cookie}; {cookie}"), &format!("{cookie}A"), "mc_gate=1"] {
        assert_eq!(gate.who(nobody).await, "", "{nobody}");
    }
    // What a client says of itself is no answer of ours.
    let answer = gate.get("/mc/auth", &[("x-mc-user", "admin"), ("remote-user", "admin")]).await;
    assert!(["x-mc-user", "remote-user"].iter().all(|name| answer.headers()[*name].is_empty()));
    // A page of another site cannot use the session, unless a person follows a link.
    let with = async |headers: &[(&str, &str)]| {
        let mut all = vec![("cookie", cookie.as_str())];
        all.extend_from_slice(headers);
        gate.get("/mc/auth", &all).await.headers()["x-mc-user"].to_str().unwrap().to_owned()
    };
    assert_eq!(with(&[("sec-fetch-site", "same-origin")]).await, "ops.reader");
    assert_eq!(with(&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")]).await, "");
    assert_eq!(with(&[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")]).await, "");
    let link = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    assert_eq!(with(&link).await, "ops.reader");
    assert_eq!(with(&[link[0], link[1], link[2], ("x-original-method", "POST")]).await, "");
    assert_eq!(with(&[link[0], link[1], ("sec-fetch-dest", "iframe")]).await, "");
}

#[tokio::test]
async fn where_a_session_is_required_only_people_are_sent_on() {
    let world = World::new(NOW).await;
    let gate = world.at("state", "verification: offline\nmode: required");
    let there = format!("http://{}/open/{SITE}", world.gateway);
    let person = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    let answer = gate.get("/mc/auth", &person).await;
    assert_eq!((answer.status().as_u16(), answer.headers()["x-mc-location"].to_str().unwrap()), (401, there.as_str()));
    assert_eq!(answer.headers()["x-mc-user"], "");
    let answer = gate.get("/mc/auth/redirect", &person).await;
    assert_eq!((answer.status().as_u16(), answer.headers()[header::LOCATION].to_str().unwrap()), (302, there.as_str()));
    for part in [&[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")][..], &[("accept", "application/json")]] {
        let answer = gate.get("/mc/auth/redirect", part).await;
        assert_eq!((answer.status().as_u16(), answer.headers().get(header::LOCATION)), (401, None));
    }
    let answer = gate.get("/mc/auth/redirect", &[person[0], person[1], ("x-forwarded-method", "POST")]).await;
    assert_eq!(answer.status(), 401);
    let cookie = gate.opened("ana", "").await;
    assert_eq!(gate.who(&cookie).await, "ana");
}

#[tokio::test]
async fn only_the_proxy_may_ask() {
    let world = World::new(NOW).await;
    let gate = Arc::new(Gate::open(&world.config("state", "verification: offline"), world.clock).unwrap());
    for stranger in [Some("192.0.2.1".parse().unwrap()), None] {
        let router = router(&gate, move |_| stranger);
        for path in ["/mc/auth", "/mc/start?p=abcdefghijklmnopqrst_-", "/mc/logout", "/x"] {
            let answer = router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
            assert_eq!(answer.status(), 403, "{path}");
            assert!(answer.headers().get("x-mc-user").is_none());
        }
    }
}

#[tokio::test]
async fn sessions_end_by_logout_revocation_and_time_and_survive_a_restart() {
    let world = World::new(NOW).await;
    let (ana, reader, jane) = {
        let gate = world.at("state", "verification: offline\nsession: {idle: 30m, longest: 1h}");
        let ana = gate.opened("ana", "").await;
        let reader = gate.opened("ops.reader", "").await;
        let jane = gate.opened("jane.doe@example.org", "").await;
        // Another one in the same browser: asked first, so the first one stays.
        let asked = gate.login(&world.token("ops.reader", "local:alice"), &ana).await;
        assert_eq!((asked.status().as_u16(), session(&asked)), (200, None));
        assert_eq!(gate.who(&ana).await, "ana");
        let foreign = Request::post("/mc/logout").header("cookie", &jane).header("sec-fetch-site", "cross-site");
        assert_eq!(gate.ask(foreign.body(Body::empty()).unwrap()).await.status(), 403);
        assert_eq!(gate.get("/mc/logout", &[("cookie", &jane)]).await.status(), 200, "a look changes nothing");
        assert_eq!(gate.who(&jane).await, "jane.doe@example.org");
        let out = gate.post("/mc/logout", &jane, String::new()).await;
        assert_eq!((out.status().as_u16(), out.headers()[header::LOCATION].to_str().unwrap()), (303, "/"));
        assert_eq!(gate.who(&jane).await, "");
        (ana, reader, jane)
    };
    let gate = world.at("state", "verification: offline\nsession: {idle: 30m, longest: 1h}");
    assert_eq!([gate.who(&ana).await, gate.who(&reader).await, gate.who(&jane).await], ["ana", "ops.reader", ""]);
    let key = world.keys.iter().find(|key| key.purpose() == Purpose::Push).unwrap();
    let call = json!({
        "iss": "mc-hq", "aud": SITE, "op": "revoke", "iat": NOW, "exp": NOW + 60, "jti": random_number().unwrap(),
        "sub": "ana", "act": "local:alice",
    });
    let text = seal(key, "mcp1", call.to_string().as_bytes());
    let request = Request::post("/mc/revoke").header("x-mc-push", text.expose()).body(Body::empty()).unwrap();
    let answer = gate.ask(request).await;
    assert_eq!(to_bytes(answer.into_body(), 100).await.unwrap(), "{\"ended\":1}\n");
    assert_eq!([gate.who(&ana).await, gate.who(&reader).await], ["", "ops.reader"]);
    pass(Duration::from_secs(29 * 60)).await;
    assert_eq!(gate.who(&reader).await, "ops.reader");
    pass(Duration::from_secs(29 * 60)).await;
    assert_eq!(gate.who(&reader).await, "ops.reader");
    pass(Duration::from_secs(2 * 60)).await;
    assert_eq!(gate.who(&reader).await, "", "an hour is over");
    let again = gate.opened("ops.reader", "").await;
    pass(Duration::from_secs(30 * 60)).await;
    assert_eq!(gate.who(&again).await, "", "idle");
}

#[tokio::test]
async fn a_session_ends_within_a_minute_of_its_end_at_the_gateway() {
    let world = World::new(NOW).await;
    let gate = world.at("state", "verification: online");
    let (ana, reader) = (gate.opened("ana", "").await, gate.opened("ops.reader", "").await);
    assert_eq!(world.asked(), 2);
    for _ in 0..20 {
        assert_eq!(gate.who(&ana).await, "ana");
    }
    assert_eq!(world.asked(), 2, "not for every request");
    world.said.lock().unwrap().holding.clear();
    pass(Duration::from_secs(60)).await;
    assert_eq!(gate.who(&ana).await, "");
    assert_eq!((gate.who(&reader).await, world.asked()), (String::new(), 3), "all that are in use in one question");
    assert_eq!(gate.reason(), "gateway");
    drop(gate);
    let gate = world.at("state", "verification: online");
    world.said.lock().unwrap().status = 500;
    assert_eq!(gate.who(&ana).await, "", "ended for good");
}

#[tokio::test]
async fn while_keys_are_changed_sessions_go_on_and_with_the_last_key_they_end() {
    let world = World::new(NOW).await;
    let gate = world.at("state", "verification: online");
    let ana = gate.opened("ana", "").await;
    // The gateway has taken the old key out, the site's file has both still.
    for (without, who) in [("2026a", "ana"), ("2026b", "ana"), ("all", "")] {
        world.said.lock().unwrap().without = Some(without);
        pass(Duration::from_secs(60)).await;
        assert_eq!(gate.who(&ana).await, who, "{without}");
    }
    assert_eq!(gate.reason(), "gateway");
}

#[tokio::test]
async fn a_session_in_use_is_not_idle_after_a_restart_and_an_ended_one_is_not_back() {
    let world = World::new(NOW).await;
    for verification in ["offline", "online"] {
        let (state, more) = (format!("state-{verification}"), format!("verification: {verification}"));
        let gate = world.at(&state, &more);
        let (ana, reader) = (gate.opened("ana", "").await, gate.opened("ops.reader", "").await);
        pass(Duration::from_secs(20 * 60)).await;
        assert_eq!([gate.who(&ana).await, gate.who(&reader).await], ["ana", "ops.reader"]);
        pass(Duration::from_secs(60)).await;
        // Used and ended at the same moment, in every order: what ended stays ended.
        let uses = futures_util::future::join_all((0..8).map(|_| gate.who(&reader)));
        tokio::join!(uses, gate.post("/mc/logout", &reader, String::new()));
        drop(gate);
        let gate = world.at(&state, &more);
        pass(Duration::from_secs(20 * 60)).await;
        assert_eq!([gate.who(&ana).await, gate.who(&reader).await], ["ana", ""]);
    }
}

#[tokio::test]
async fn whoever_thinks_long_about_continuing_is_asked_about_again() {
    let world = World::new(NOW).await;
    let gate = world.at("state", "verification: online");
    for (holds, who) in [(true, "ops.reader"), (false, "")] {
        let ana = gate.opened("ana", "").await;
        let asked = gate.login(&world.token("ops.reader", "local:alice"), &ana).await;
        let page = String::from_utf8(to_bytes(asked.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap();
        let brought = page.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        pass(Duration::from_secs(120)).await;
        if !holds {
            world.said.lock().unwrap().holding.clear();
        }
        let cookies = format!("__Host-mc_pre_x={STATE}; {ana}");
        let answer = gate.post("/mc/login", &cookies, format!("mc_continue={brought}")).await;
        assert_eq!(answer.status(), 303, "{}", gate.reason());
        assert_eq!(gate.who(&session(&answer).unwrap()).await, who);
    }
}

#[tokio::test]
async fn the_site_decides_about_what_a_stolen_gateway_says() {
    let world = World::new(NOW).await;
    let gate = world.at("state", "verification: online");
    let answer = gate.login(&world.token("admin", "local:mallory"), "").await;
    assert_eq!((session(&answer), gate.reason().as_str(), world.asked()), (None, "not_allowed", 0));
    world.said.lock().unwrap().account = Some("admin".to_owned());
    let answer = gate.login(&world.token("ana", "local:mallory"), "").await;
    assert_eq!((session(&answer), gate.reason().as_str(), world.asked()), (None, "gateway_refused", 1));
}

#[tokio::test]
async fn without_its_gateway_it_does_as_its_file_says() {
    for (loss, at_two, at_four) in [("close", "", ""), ("keep 3m", "ana", "")] {
        let world = World::new(NOW).await;
        let gate = world.at("state", &format!("verification: online\non_gateway_loss: {loss}"));
        let ana = gate.opened("ana", "").await;
        world.said.lock().unwrap().status = 503;
        assert_eq!(gate.who(&ana).await, "ana");
        pass(Duration::from_secs(120)).await;
        assert_eq!(gate.who(&ana).await, at_two, "{loss}");
        let asked = world.asked();
        assert_eq!((gate.who(&ana).await.as_str(), world.asked()), (at_two, asked), "not asked again at once");
        let refused = gate.login(&world.token("ana", "local:alice"), "").await;
        assert_eq!((refused.status().as_u16(), gate.reason().as_str()), (503, "gateway_unreachable"));
        pass(Duration::from_secs(120)).await;
        assert_eq!(gate.who(&ana).await, at_four, "{loss}");
        world.said.lock().unwrap().status = 200;
        pass(Duration::from_secs(10)).await;
        assert_eq!(gate.who(&ana).await, "ana", "it answers again: {loss}");
        world.said.lock().unwrap().status = 401;
        pass(Duration::from_secs(60)).await;
        assert_eq!(gate.who(&ana).await, "", "a key that is none any more is an answer: {loss}");
        world.said.lock().unwrap().status = 200;
        assert_eq!(gate.who(&ana).await, "");
    }
}

#[tokio::test]
async fn several_gates_take_each_others_cookies_while_the_gateway_says_so() {
    let world = World::new(NOW).await;
    let more = "verification: online\nheads: several";
    let (left, right) = (world.at("left", more), world.at("right", more));
    let alone = world.at("alone", "verification: online");
    let ana = left.opened("ana", "").await;
    assert_eq!([right.who(&ana).await, alone.who(&ana).await], ["ana", ""]);
    right.post("/mc/logout", &ana, String::new()).await;
    assert_eq!(right.who(&ana).await, "", "it does not come back with its cookie");
    let reader = left.opened("ops.reader", "").await;
    world.said.lock().unwrap().status = 500;
    assert_eq!(right.who(&reader).await, "", "never without an answer");
    world.said.lock().unwrap().status = 200;
    pass(Duration::from_secs(6)).await;
    assert_eq!(right.who(&reader).await, "ops.reader");
    world.said.lock().unwrap().holding.clear();
    pass(Duration::from_secs(60)).await;
    assert_eq!([left.who(&reader).await, right.who(&reader).await], ["", ""]);
    // A cookie of other keys is none, whatever it says.
    let other = MasterKey::read("2026a", &Secret::new("6a09e667f3bcc908b2fb1366ea957d3e".repeat(2))).unwrap();
    let forged = cookie::Cookie {
        id: random_number().unwrap(),
        account: "ana".to_owned(),
        actor: "local:alice".to_owned(),
        grant: Some("g_x".to_owned()),
        begun: NOW * 1000,
        ends: (NOW + 3600) * 1000,
    };
    world.said.lock().unwrap().holding.insert("g_x".to_owned());
    let forged = cookie::set(&forged, &[other.derive(SITE, Purpose::Gate).unwrap()]).unwrap();
    assert_eq!(left.who(forged.to_str().unwrap().split(';').next().unwrap()).await, "");
}

#[tokio::test]
async fn of_64_posts_of_one_token_exactly_one_opens() {
    let world = World::new(NOW).await;
    let gate = world.at("state", "verification: offline");
    let token = world.token("ana", "local:alice");
    let all = futures_util::future::join_all((0..64).map(|_| gate.login(&token, ""))).await;
    let opened = all.iter().filter(|answer| session(answer).is_some()).count();
    let used = all.iter().filter(|answer| answer.status() == 410).count();
    assert_eq!((opened, used), (1, 63));
}
