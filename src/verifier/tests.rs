//! A verifier with sessions in memory: every written vector over HTTP requests, and what happens around a good one.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde_json::Value;
use url::Url;

use super::*;
use crate::clock::Timestamp;
use crate::delegation::{Amr, Call, Embedded, NewToken, Purpose, mint, push, random_number, seal, state_hash};
use crate::secret::Secret;

/// Sessions by the value of the cookie `sid`.
#[derive(Default)]
struct Memory(Mutex<HashMap<String, Live>>);

fn sid(headers: &HeaderMap) -> Option<&str> {
    cookies(headers).find(|(name, _)| *name == "sid").map(|(_, value)| value)
}

impl Sessions for Memory {
    fn cookie(&self) -> &'static str {
        "sid"
    }

    fn live<'a>(&'a self, headers: &'a HeaderMap) -> BoxFuture<'a, Result<Option<Live>, &'static str>> {
        let found = sid(headers).and_then(|sid| self.0.lock().unwrap().get(sid).cloned());
        Box::pin(async { Ok(found) })
    }

    fn admits<'a>(&'a self, account: &'a str) -> BoxFuture<'a, Result<(), &'static str>> {
        Box::pin(async move { if account == "gone" { Err("account_disabled") } else { Ok(()) } })
    }

    fn begin<'a>(&'a self, entered: Entered<'a>) -> BoxFuture<'a, Result<Vec<HeaderValue>, &'static str>> {
        let mut all = self.0.lock().unwrap();
        sid(entered.headers).and_then(|sid| all.remove(sid));
        let id = random_number().unwrap();
        let live = Live { account: entered.claims.sub.clone(), actor: Some(entered.claims.act.clone()) };
        all.insert(id.clone(), live);
        Box::pin(async move { Ok(vec![HeaderValue::from_str(&format!("sid={id}")).unwrap()]) })
    }

    fn end<'a>(
        &'a self,
        account: Option<&'a str>,
        actor: Option<&'a str>,
    ) -> BoxFuture<'a, Result<usize, &'static str>> {
        let mut all = self.0.lock().unwrap();
        let before = all.len();
        let is_meant = |live: &Live| {
            account.is_none_or(|account| live.account == account)
                && actor.is_none_or(|actor| live.actor.as_deref() == Some(actor))
        };
        all.retain(|_, live| !is_meant(live));
        let ended = before - all.len();
        Box::pin(async move { Ok(ended) })
    }
}

#[derive(Default)]
struct Written(Mutex<Vec<Note>>);

impl Journal for Written {
    fn write(&self, note: &Note) -> Result<(), Unwritten> {
        self.0.lock().unwrap().push(note.clone());
        Ok(())
    }
}

impl Written {
    fn last(&self) -> Note {
        self.0.lock().unwrap().last().unwrap().clone()
    }
}

struct Full;

impl Journal for Full {
    fn write(&self, _: &Note) -> Result<(), Unwritten> {
        Err(Unwritten)
    }
}

/// Answers what it is told to, and counts.
struct Told(Result<Option<Confirmed>, NoAnswer>, Mutex<usize>);

impl Gateway for Told {
    fn confirm<'a>(&'a self, _: Question<'a>) -> BoxFuture<'a, Result<Option<Confirmed>, NoAnswer>> {
        *self.1.lock().unwrap() += 1;
        Box::pin(async { self.0.clone() })
    }
}

struct Place {
    entrance: Entrance,
    keys: Vec<SiteKey>,
    written: Arc<Written>,
    sessions: Arc<Memory>,
    now: Timestamp,
    _folder: tempfile::TempDir,
}

const NOW: i64 = 1_767_225_602;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../tests/fixtures/delegation.json")).unwrap()
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("{member} of {value}"))
}

fn keys() -> Vec<SiteKey> {
    let vectors = vectors();
    let rows = vectors["site_keys"].as_array().unwrap().iter();
    let active = rows.filter(|row| row["site"] == "site-madrid" && row["active"] == true);
    let read = |row: &Value| {
        let (_, purpose) = Purpose::ALL.into_iter().find(|(word, _)| *word == text(row, "purpose")).unwrap();
        SiteKey::read("site-madrid", text(row, "kid"), purpose, &Secret::new(text(row, "key_hex"))).unwrap()
    };
    active.map(read).collect()
}

fn place_with(now: i64, change: impl FnOnce(&mut Site, &mut Hands)) -> Place {
    let folder = tempfile::tempdir().unwrap();
    let (keys, written, sessions) = (keys(), Arc::new(Written::default()), Arc::new(Memory::default()));
    let now = Timestamp::from_secs(now);
    let allow = ["ops.reader", "josé.nuñez", "管理者", "jane.doe@example.org", "ana", "gone"];
    let mut site = Site {
        id: "site-madrid".to_owned(),
        gateway: Url::parse("https://hq.example/mc/").unwrap(),
        issuers: vec!["mc-hq".to_owned()],
        keys: keys.clone(),
        policy: Policy { allow: allow.map(str::to_owned).to_vec(), ..Policy::default() },
        login: "/mc/login".to_owned(),
        kind: "gate",
        told: Default::default(),
    };
    let mut hands = Hands {
        sessions: Arc::clone(&sessions) as _,
        used: Arc::new(Embedded::open(&folder.path().join("used.redb")).unwrap()),
        journal: Arc::clone(&written) as _,
        gateway: None,
        clock: Clock::following(now),
    };
    change(&mut site, &mut hands);
    Place { entrance: Entrance::new(site, hands), keys, written, sessions, now, _folder: folder }
}

fn place(now: i64) -> Place {
    place_with(now, |_, _| {})
}

const STATE: &str = "a-state-of-a-browser";

impl Place {
    fn key(&self, purpose: Purpose) -> &SiteKey {
        self.keys.iter().find(|key| key.purpose() == purpose).unwrap()
    }

    fn token(&self, account: &str, actor: &str, path: &str) -> String {
        let new = NewToken { gateway: "mc-hq", account, actor, amr: Amr::Pwd, path, state: &state_hash(STATE) };
        mint(self.key(Purpose::Token), &new, &random_number().unwrap(), self.now).unwrap().expose().to_owned()
    }

    async fn ask(&self, action: Action, method: Method, query: &str, headers: HeaderMap, body: String) -> Response {
        let client = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
        let asked = Asked::new(method, query, headers, Bytes::from(body), client);
        self.entrance.answer(action, &asked).await
    }

    async fn post(&self, name: &str, value: &str, cookies: &str) -> Response {
        let body = url::form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
        self.ask(Action::Login, Method::POST, "", headers(cookies), body).await
    }

    async fn open(&self, account: &str, cookies: &str) -> Response {
        let cookies = format!("__Host-mc_pre_abcdefgh={STATE}; {cookies}");
        self.post("mc_token", &self.token(account, "local:alice", "/view?id=4"), &cookies).await
    }

    async fn pushed(&self, action: Action, method: Method, text: &str) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert("x-mc-push", text.parse().unwrap());
        self.ask(action, method, "", headers, String::new()).await
    }
}

fn headers(cookies: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
    if !cookies.is_empty() {
        headers.insert(header::COOKIE, cookies.parse().unwrap());
    }
    headers
}

fn set_cookies(response: &Response) -> Vec<String> {
    response.headers().get_all(header::SET_COOKIE).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

fn location(response: &Response) -> &str {
    response.headers().get(header::LOCATION).map_or("", |value| value.to_str().unwrap())
}

async fn body(response: Response) -> String {
    String::from_utf8(axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn every_vector_is_decided_as_listed() {
    let vectors = vectors();
    let positive = vectors["positive"].as_array().unwrap();
    let now = |vector: &Value| vector["now"].as_i64().unwrap();
    let cookie = |state: Option<&str>| state.map_or(String::new(), |state| format!("__Host-mc_pre_x={state}"));
    for vector in positive {
        let place = place(now(vector));
        let answer = place.post("mc_token", text(vector, "token"), &cookie(vector["presession_state"].as_str())).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{vector}");
        assert_eq!(location(&answer), text(&vector["expect"], "dst"));
        let live = place.sessions.0.lock().unwrap().values().next().cloned().unwrap();
        assert_eq!(live.account, text(&vector["expect"], "sub"));
        assert_eq!(place.written.last().result, "opened");
    }
    for vector in vectors["negative"].as_array().unwrap() {
        let state = vector["presession_state"].as_str();
        let mut place = place(now(vector));
        let earlier = vector["sequence"].as_array().into_iter().flatten();
        for first in earlier.filter_map(|id| positive.iter().find(|other| other["id"] == *id)) {
            let answer =
                place.post("mc_token", text(first, "token"), &cookie(first["presession_state"].as_str())).await;
            assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{first}");
        }
        if let Some(first) = vector["first"].as_str() {
            let state = vector["first_presession_state"].as_str().or(state);
            place.post("mc_token", first, &cookie(state)).await;
        }
        place.sessions.0.lock().unwrap().clear();
        place.now = Timestamp::from_secs(now(vector));
        let form = vector["form_body"].as_str().map(str::to_owned).unwrap_or_else(|| {
            url::form_urlencoded::Serializer::new(String::new()).append_pair("mc_token", text(vector, "token")).finish()
        });
        let method: Method = vector["method"].as_str().unwrap_or("POST").parse().unwrap();
        let answer = place.ask(Action::Login, method, "", headers(&cookie(state)), form).await;
        let reason = place.written.last().reason;
        assert_eq!(reason, text(&vector["expect"], "error"), "{} {}", vector["id"], vector["desc"]);
        assert!(answer.status().is_client_error() && set_cookies(&answer).is_empty(), "{}", vector["id"]);
        assert!(place.sessions.0.lock().unwrap().is_empty(), "{}", vector["id"]);
    }
}

#[tokio::test]
async fn start_gives_a_state_and_goes_back_to_the_gateway_of_our_own_file() {
    let place = place(NOW);
    let start = |query: &'static str| place.ask(Action::Start, Method::GET, query, HeaderMap::new(), String::new());
    let answer = start("p=abcdefghijklmnopqrst_-").await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let cookie = set_cookies(&answer).concat();
    let state = cookie.strip_prefix("__Host-mc_pre_abcdefgh=").unwrap().split(';').next().unwrap();
    assert!(
        cookie.ends_with("; Path=/; Max-Age=120; Secure; HttpOnly; SameSite=None") && state.len() == 44,
        "{cookie}"
    );
    let back =
        format!("https://hq.example/mc/open/site-madrid/finish?p=abcdefghijklmnopqrst_-&st={}", state_hash(state));
    assert_eq!(location(&answer), back);
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
    assert_eq!(answer.headers()[header::REFERRER_POLICY], "no-referrer");
    for bad in
        ["", "p=", "p=short", "p=abcdefghijklmnopqrst_-&p=x", "q=abcdefghijklmnopqrst_-", "p=abcdefghijklmnopqrst%0A-"]
    {
        let answer = start(bad).await;
        assert_eq!((answer.status(), set_cookies(&answer).len()), (StatusCode::FORBIDDEN, 0), "{bad}");
    }
    let head =
        place.ask(Action::Start, Method::HEAD, "p=abcdefghijklmnopqrst_-", HeaderMap::new(), String::new()).await;
    assert_eq!((head.status(), set_cookies(&head).len()), (StatusCode::FORBIDDEN, 0));
}

#[tokio::test]
async fn the_same_person_keeps_their_session_and_another_is_asked_first() {
    let place = place(NOW);
    let first = place.open("ops.reader", "").await;
    let cookies = set_cookies(&first);
    assert_eq!((first.status(), location(&first)), (StatusCode::SEE_OTHER, "/view?id=4"));
    assert_eq!(cookies[1], "__Host-mc_pre_abcdefgh=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=None");
    let again = place.open("ops.reader", &cookies[0]).await;
    assert_eq!((again.status(), set_cookies(&again).len()), (StatusCode::SEE_OTHER, 1), "only the state goes");
    assert_eq!(place.written.last().reason, "kept session");

    let other = place.open("ana", &cookies[0]).await;
    assert_eq!((other.status(), set_cookies(&other).len()), (StatusCode::OK, 1));
    let page = body(other).await;
    assert!(page.contains("Continue as ana") && page.contains("<b>ops.reader</b>"), "{page}");
    assert_eq!(place.sessions.0.lock().unwrap().len(), 1);
    let brought = page.split("name=\"mc_continue\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(brought.starts_with("mcc1.2026a."), "{brought}");
    let with_state = format!("__Host-mc_pre_abcdefgh={STATE}; {}", cookies[0]);
    // From another page, from another browser, as a token: nothing.
    let mut foreign = headers(&with_state);
    foreign.insert("sec-fetch-site", "cross-site".parse().unwrap());
    place.ask(Action::Login, Method::POST, "", foreign, format!("mc_continue={brought}")).await;
    assert_eq!(place.written.last().reason, "cross_site");
    place.post("mc_token", brought, &with_state).await;
    assert_eq!(place.written.last().reason, "malformed");
    let yes = place.post("mc_continue", brought, &with_state).await;
    assert_eq!((yes.status(), location(&yes)), (StatusCode::SEE_OTHER, "/view?id=4"));
    let now: Vec<Live> = place.sessions.0.lock().unwrap().values().cloned().collect();
    assert_eq!(now, [Live { account: "ana".into(), actor: Some("local:alice".into()) }]);
    assert_eq!(place.post("mc_continue", brought, &with_state).await.status(), StatusCode::GONE, "taken once");
}

#[tokio::test]
async fn a_session_that_browsers_keep_back_from_the_gateways_form_is_known_from_the_start() {
    let place = place(NOW);
    let session = set_cookies(&place.open("ops.reader", "").await)[0].clone();
    let start = async |cookies: &str| {
        let query = "p=abcdefghijklmnopqrst_-";
        let answer = place.ask(Action::Start, Method::GET, query, headers(cookies), String::new()).await;
        set_cookies(&answer).into_iter().find(|cookie| cookie.starts_with("__Host-mc_was="))
    };
    let noted = start(&session).await.unwrap();
    assert!(noted.ends_with("; Path=/; Max-Age=120; Secure; HttpOnly; SameSite=None"), "{noted}");
    let noted = noted.split(';').next().unwrap();
    assert_eq!(noted.strip_prefix("__Host-mc_was="), session.strip_prefix("sid="));
    // The form comes without the session: its own person keeps it, another is asked first.
    let again = place.open("ops.reader", noted).await;
    assert_eq!((again.status(), set_cookies(&again).len()), (StatusCode::SEE_OTHER, 1));
    assert_eq!(place.written.last().reason, "kept session");
    let other = place.open("ana", noted).await;
    assert!(body(other).await.contains("Continue as ana"));
    // A session that was sent counts, and so does no note that is there twice.
    for cookies in [format!("sid=another-session-of-now; {noted}"), format!("{noted}; {noted}")] {
        assert_eq!(place.open("ana", &cookies).await.status(), StatusCode::SEE_OTHER, "{cookies}");
    }
    // Without a session an earlier note goes, and where there is none nothing is set.
    assert!(start(noted).await.unwrap().contains("Max-Age=0"));
    assert_eq!(start("").await, None);
    assert!(start("sid=../../bad-session-id").await.is_none());
}

#[tokio::test]
async fn an_answer_from_another_browser_stays_spent() {
    let place = place(NOW);
    let first = set_cookies(&place.open("ops.reader", "").await);
    let page = body(place.open("ana", &first[0]).await).await;
    let brought = page.split("value=\"").nth(1).unwrap().split('"').next().unwrap();
    place.post("mc_continue", brought, &first[0]).await;
    assert_eq!(place.written.last().reason, "state_mismatch");
    place.post("mc_continue", brought, &format!("__Host-mc_pre_abcdefgh={STATE}; {}", first[0])).await;
    assert_eq!(place.written.last().reason, "replayed");
}

#[tokio::test]
async fn refusals_show_one_page_and_used_ones_say_so() {
    let place = place_with(NOW, |site, _| site.policy.allow.retain(|account| account != "ana"));
    let token = place.token("ops.reader", "local:alice", "/");
    let cookie = format!("__Host-mc_pre_x={STATE}");
    assert_eq!(place.post("mc_token", &token, &cookie).await.status(), StatusCode::SEE_OTHER);
    let used = place.post("mc_token", &token, &cookie).await;
    assert_eq!(used.status(), StatusCode::GONE);
    assert!(body(used).await.contains("used already"));
    let mut pages = Vec::new();
    for (account, reason) in [("ana", "not_allowed"), ("gone", "account_disabled")] {
        let answer = place.open(account, "").await;
        assert_eq!((answer.status(), place.written.last().reason.as_str()), (StatusCode::FORBIDDEN, reason));
        assert_eq!(place.written.last().account.as_deref(), Some(account));
        pages.push(body(answer).await);
    }
    pages.push(body(place.post("mc_token", "mc1.x", &cookie).await).await);
    assert!(pages.iter().all(|page| *page == pages[0] && page.contains("https://hq.example/mc/open/site-madrid")));
    let written = serde_json::to_string(&*place.written.0.lock().unwrap()).unwrap();
    assert!(!written.contains("mc1.") && !written.contains(STATE), "{written}");
}

#[tokio::test]
async fn what_cannot_be_written_down_does_not_happen() {
    let place = place_with(NOW, |_, hands| hands.journal = Arc::new(Full));
    let answer = place.open("ops.reader", "").await;
    assert_eq!((answer.status(), set_cookies(&answer).len()), (StatusCode::SERVICE_UNAVAILABLE, 0));
    assert!(place.sessions.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_gateway_is_asked_only_about_what_is_good_here_and_no_answer_means_no() {
    let good = Confirmed { account: "ana".into(), path: "/view?id=4".into(), grant: None, longest: None, fresh: true };
    let other = Confirmed { account: "root".into(), ..good.clone() };
    for (said, reason, status) in [
        (Ok(Some(good)), "new session", 303),
        (Ok(Some(other)), "gateway_refused", 403),
        (Ok(None), "gateway_refused", 403),
        (Err(NoAnswer), "gateway_unreachable", 503),
    ] {
        let told = Arc::new(Told(said, Mutex::new(0)));
        let place = place_with(NOW, |_, hands| hands.gateway = Some(Arc::clone(&told) as _));
        for rubbish in ["mc1.2026a.e30.AAAA", &place.token("root", "local:alice", "/")] {
            place.post("mc_token", rubbish, &format!("__Host-mc_pre_x={STATE}")).await;
        }
        assert_eq!(*told.1.lock().unwrap(), 0);
        let answer = place.open("ana", "").await;
        assert_eq!((place.written.last().reason.as_str(), answer.status().as_u16()), (reason, status));
        assert_eq!(*told.1.lock().unwrap(), 1);
    }
}

#[tokio::test]
async fn calls_of_the_gateway_are_signed_meant_and_taken_once() {
    let place = place(NOW);
    place.open("ops.reader", "").await;
    place.open("ana", "").await;
    let probe = push(place.key(Purpose::Push), "mc-hq", Call::Probe, place.now).unwrap();
    let answer = place.pushed(Action::Probe, Method::GET, probe.expose()).await;
    let said: Value = serde_json::from_str(&body(answer).await).unwrap();
    assert_eq!((&said["kids"], &said["policy"]["allow"]), (&serde_json::json!(["2026a", "2026b"]), &6.into()));
    assert_eq!((text(&said, "site"), text(&said, "verification")), ("site-madrid", "offline"));
    let again = place.pushed(Action::Probe, Method::GET, probe.expose()).await;
    assert_eq!(again.status(), StatusCode::GONE, "taken once");

    let revoke = |account: &str, actor: &str, change: &[(&str, Value)]| {
        let mut claims = serde_json::json!({
            "iss": "mc-hq", "aud": "site-madrid", "op": "revoke", "iat": NOW, "exp": NOW + 60,
            "jti": random_number().unwrap(), "sub": account, "act": actor,
        });
        for (name, value) in change {
            claims[*name] = value.clone();
        }
        seal(place.key(Purpose::Push), "mcp1", claims.to_string().as_bytes()).expose().to_owned()
    };
    let post = async |text: String| place.pushed(Action::Revoke, Method::POST, &text).await.status().as_u16();
    assert_eq!(post(revoke("", "", &[("aud", "site-bilbao".into())])).await, 403);
    assert_eq!(post(revoke("", "", &[("iss", "mc-evil".into())])).await, 403);
    assert_eq!(post(revoke("", "", &[("op", "probe".into())])).await, 403);
    assert_eq!(post(revoke("", "", &[("sub", Value::Null)])).await, 403);
    assert_eq!(post(revoke("", "", &[("exp", (NOW + 121).into())])).await, 403);
    assert_eq!(post(revoke("", "", &[("iat", (NOW - 100).into()), ("exp", (NOW - 40).into())])).await, 410);
    assert_eq!(post(probe.expose().to_owned()).await, 403);
    assert_eq!(place.sessions.0.lock().unwrap().len(), 2);
    let ana = revoke("ana", "", &[]);
    assert_eq!(body(place.pushed(Action::Revoke, Method::POST, &ana).await).await, "{\"ended\":1}\n");
    assert_eq!(post(ana).await, 410);
    let left: Vec<String> = place.sessions.0.lock().unwrap().values().map(|live| live.account.clone()).collect();
    assert_eq!(left, ["ops.reader"]);
}
