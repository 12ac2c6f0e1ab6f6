//! People at the gateway: logging in and out, what each may see, and what other pages may not do for them.

use metaconsole::access::secrets::digest;
use reqwest::header::LOCATION;
use serde_json::{Value, json};

use crate::support::browser::{Browser, SESSION, between, hashed};
use crate::support::gateway::{Answer, Served, console};
use crate::support::program::Config;

/// Two sites of two teams; each person and token by their role.
fn access() -> String {
    let user = |login: &str, roles: &str| {
        format!("    - {{login: {login}, password: '{}', roles: [{roles}]}}\n", hashed(login))
    };
    let token = |name: &str, role: &str| {
        format!("    - {{name: {name}, hash: 'sha256:{}', roles: [{role}]}}\n", digest(&format!("mct_{name}")))
    };
    [
        "access:\n  roles:\n",
        "    all: {search: ['*'], view: ['*'], open: ['*'], audit: ['*'], admin: ['*']}\n",
        "    spain: {search: [madrid], view: [madrid]}\n",
        "    france: {search: ['tag:fr']}\n",
        "    nothing: {}\n",
        "  users:\n",
        &user("root", "all"),
        &user("ana", "spain"),
        &user("luc", "france"),
        &user("new", "nothing"),
        "  api_tokens:\n",
        &token("machine", "all"),
        &token("french", "france"),
    ]
    .concat()
}

fn yaml(madrid: &str, lyon: &str) -> String {
    format!(
        "gateway: {{state_dir: state, trusted_proxies: [127.0.0.1]}}\nsites:\n  \
         - {{id: madrid, url: \"http://{madrid}/pandora_console/\", public_url: \"http://madrid.localhost/\", \
             credentials: {{token: \"file:token\"}}}}\n  \
         - {{id: lyon, tags: [fr], url: \"http://{lyon}/pandora_console/\", public_url: \"http://lyon.localhost/\", \
             credentials: {{token: \"file:token\"}}}}\n{}",
        access()
    )
}

struct Gateway {
    served: Served,
    _config: Config,
    _consoles: Vec<metaconsole::demo::Console>,
}

async fn gateway() -> Gateway {
    let (madrid, lyon) = (console(&["web-madrid"]), console(&["web-lyon"]));
    let config = Config::new(&yaml(&madrid.address().to_string(), &lyon.address().to_string()));
    let served = Served::start(&config).await;
    Gateway { served, _config: config, _consoles: vec![madrid, lyon] }
}

fn sites(answer: &Answer) -> Vec<String> {
    let sites = answer.json()["sites"].as_array().unwrap().clone();
    sites.iter().map(|site| site["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn each_sees_their_own_sites_and_nothing_of_others() {
    let gateway = gateway().await;
    for (login, own, foreign) in [("ana", "madrid", "lyon"), ("luc", "lyon", "madrid")] {
        let mut browser = Browser::logged_in(&gateway.served.url(""), login).await;
        for path in ["/api/v1/search?q=web", "/api/v1/sites", "/api/v1/me"] {
            let answer = browser.get(path).await;
            assert_eq!((answer.status, sites(&answer)), (200, vec![own.to_owned()]), "{path}");
            assert!(!answer.text.contains(foreign), "{answer:?}");
        }
        let pulse = browser.get("/api/v1/pulse").await;
        assert!(!pulse.text.contains(foreign), "{pulse:?}");
        let suggested = browser.get("/api/v1/suggest?q=web").await.json();
        assert_eq!(suggested["suggestions"], json!([format!("web-{own}")]));
        // A site of others and one that does not exist are told apart by nothing but the name asked for.
        for path in ["/api/v1/sites/X", "/api/v1/search?q=site:X", "/api/v1/sites/X?y=z"] {
            let theirs = browser.get(&path.replace('X', foreign)).await;
            let none = browser.get(&path.replace('X', "nosuch")).await;
            assert!(theirs.status >= 400, "{theirs:?}");
            assert_eq!((theirs.status, theirs.text.replace(foreign, "nosuch")), (none.status, none.text));
        }
        assert_eq!(browser.get("/metrics").await.status, 403);
    }
    let mut browser = Browser::logged_in(&gateway.served.url(""), "new").await;
    assert!(sites(&browser.get("/api/v1/sites").await).is_empty(), "nothing is granted unless said");
}

#[tokio::test]
async fn me_tells_who_i_am_and_what_i_may() {
    let gateway = gateway().await;
    let mut browser = Browser::logged_in(&gateway.served.url(""), "ana").await;
    let mut me = browser.get("/api/v1/me").await.json();
    assert_eq!(me["form_token"].take().as_str().unwrap().len(), 64);
    let site = json!({"id": "madrid", "may": ["search", "view"], "groups": null, "opening": "log_in_there"});
    assert_eq!(me, json!({"login": "local:ana", "groups": [], "form_token": null, "sites": [site]}));
}

#[tokio::test]
async fn a_window_is_led_to_the_login_and_back_and_everything_else_is_told() {
    let gateway = gateway().await;
    let mut browser = Browser::new(&gateway.served.url(""));
    let url = gateway.served.url("/?q=a+b");
    for (header, value) in [("accept", "text/html"), ("sec-fetch-mode", "navigate")] {
        let answer = browser.send(browser.client.get(&url).header(header, value)).await;
        assert_eq!((answer.status, answer.header(LOCATION.as_str())), (303, "/login?next=%2F%3Fq%3Da%2Bb"));
    }
    for (path, header, value) in [
        ("/", "sec-fetch-mode", "cors"),
        ("/api/v1/sites", "accept", "text/html"),
        ("/api/v1/sites", "sec-fetch-mode", "navigate"),
    ] {
        let answer = browser.send(browser.client.get(gateway.served.url(path)).header(header, value)).await;
        assert_eq!((answer.status, &answer.json()["code"]), (401, &json!("signed_out")), "{path}");
    }
    // Pages refresh themselves by asking for HTML in the background.
    let request = browser.client.get(&url).header("accept", "text/html").header("sec-fetch-mode", "cors");
    let answer = browser.send(request).await;
    assert_eq!((answer.status, answer.header("content-type")), (401, "application/problem+json"));
    let page = browser.get("/login?next=%2F%3Fq%3Da%2Bb").await;
    assert!(page.text.contains("name=\"next\" value=\"/?q=a+b\"") && page.header("cache-control") == "no-store");
    assert!(
        page.header("content-security-policy").contains("form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
    );
    let answer = browser.log_in("ana", "correct horse ana", "/?q=a+b").await;
    assert_eq!((answer.status, answer.header(LOCATION.as_str())), (303, "/?q=a+b"));
    for next in ["//evil.example/", "https://evil.example/", "/\\evil.example", "/a\r\nx: y"] {
        let answer = browser.log_in("ana", "correct horse ana", next).await;
        assert_eq!((answer.status, answer.header(LOCATION.as_str())), (303, "/"), "{next:?}");
    }
}

#[tokio::test]
async fn a_wrong_password_gives_nothing_and_too_many_wait() {
    let gateway = gateway().await;
    let mut browser = Browser::new(&gateway.served.url(""));
    let mut texts = Vec::new();
    for (login, password) in [("ana", "wrong"), ("nobody", "wrong"), ("", "")] {
        let answer = browser.log_in(login, password, "").await;
        assert_eq!(answer.status, 401);
        assert!(!browser.cookies.contains_key(SESSION), "{answer:?}");
        texts.push(answer.text);
    }
    assert!(texts.iter().all(|text| *text == texts[0]), "who exists is not told");
    for _ in 0..4 {
        assert_eq!(browser.log_in("ana", "wrong", "").await.status, 401);
    }
    let answer = browser.log_in("ana", "correct horse ana", "").await;
    assert_eq!(answer.status, 429);
    assert!((1..=2).contains(&answer.header("retry-after").parse::<u64>().unwrap()), "{answer:?}");
    assert_eq!(browser.log_in("luc", "correct horse luc", "").await.status, 303);
}

#[tokio::test]
async fn out_is_out_and_a_planted_session_never_survives_a_login() {
    let gateway = gateway().await;
    let mut browser = Browser::logged_in(&gateway.served.url(""), "ana").await;
    let mut other = Browser::logged_in(&gateway.served.url(""), "ana").await;
    let first = browser.cookies[SESSION].clone();
    assert_eq!(browser.log_in("ana", "correct horse ana", "").await.status, 303);
    assert_ne!(browser.cookies[SESSION], first, "a new session at each login");
    let planted = format!("{SESSION}={first}");
    assert_eq!(
        gateway.served.get_with("/api/v1/me", &[("cookie", &planted)]).await.status,
        401,
        "and the earlier one ends"
    );
    let page = browser.get("/logout").await;
    let form = between(&page.text, "name=\"form\" value=\"", "\"").to_owned();
    assert_eq!(other.post("/logout", &[("form", &form)]).await.status, 403, "another session's form");
    let kept = browser.cookies[SESSION].clone();
    let answer = browser.post("/logout", &[("form", &form)]).await;
    assert_eq!((answer.status, browser.cookies[SESSION].as_str()), (303, ""));
    browser.cookies.insert(SESSION.to_owned(), kept);
    assert_eq!(browser.get("/api/v1/me").await.status, 401, "the cookie was kept and is worth nothing");
    assert_eq!(other.get("/api/v1/me").await.status, 200);
    let page = other.get("/logout").await;
    let form = between(&page.text, "name=\"form\" value=\"", "\"").to_owned();
    let everywhere = Browser::logged_in(&gateway.served.url(""), "ana").await;
    assert_eq!(other.post("/logout", &[("form", &form), ("everywhere", "1")]).await.status, 303);
    for cookie in [first, everywhere.cookies[SESSION].clone()] {
        other.cookies.insert(SESSION.to_owned(), cookie);
        assert_eq!(other.get("/api/v1/me").await.status, 401);
    }
}

#[tokio::test]
async fn other_pages_can_do_nothing_for_somebody_who_is_signed_in() {
    let gateway = gateway().await;
    let mut browser = Browser::logged_in(&gateway.served.url(""), "ana").await;
    let probe = gateway.served.url("/api/v1/sites/madrid/probe");
    for (site, mode, dest, status) in [
        ("same-origin", "cors", "empty", 200),
        ("none", "navigate", "document", 200),
        ("cross-site", "navigate", "document", 200),
        ("cross-site", "navigate", "iframe", 403),
        ("cross-site", "cors", "empty", 403),
        ("same-site", "no-cors", "image", 403),
    ] {
        for path in ["/api/v1/me", "/me", "/logout", "/", "/sites/madrid"] {
            let request = browser.client.get(gateway.served.url(path)).header("sec-fetch-site", site);
            let request = request.header("sec-fetch-mode", mode).header("sec-fetch-dest", dest);
            let answer = browser.send(request).await;
            assert_eq!(answer.status, status, "{path} {site} {mode} {dest}");
        }
    }
    let token = browser.get("/api/v1/me").await.json()["form_token"].as_str().unwrap().to_owned();
    for (site, origin, form, status) in [
        ("same-origin", "", token.as_str(), 200),
        ("same-origin", "", "", 403),
        ("same-origin", "", &"0".repeat(64), 403),
        ("cross-site", "", &token, 403),
        ("", "https://evil.example", &token, 403),
    ] {
        let mut request = browser.client.post(&probe);
        for (name, value) in [("sec-fetch-site", site), ("origin", origin), ("x-metaconsole-form", form)] {
            request = if value.is_empty() { request } else { request.header(name, value) };
        }
        assert_eq!(browser.send(request).await.status, status, "{site} {origin} {form}");
    }
    // A login form of another browser, and one without its cookie.
    let mut attacker = Browser::new(&gateway.served.url(""));
    let page = attacker.get("/login").await;
    let form = between(&page.text, "name=\"form\" value=\"", "\"").to_owned();
    let fields = [("form", form.as_str()), ("login", "ana"), ("password", "correct horse ana")];
    let mut victim = Browser::new(&gateway.served.url(""));
    assert_eq!(victim.post("/login", &fields).await.status, 403);
    victim.get("/login").await;
    assert_eq!(victim.post("/login", &fields).await.status, 403);
}

/// Every address that changes something, asked with a session's cookie alone, in each way that another page could.
#[tokio::test]
async fn no_page_of_others_changes_anything_with_somebodys_cookie() {
    let gateway = gateway().await;
    let mut browser = Browser::logged_in(&gateway.served.url(""), "root").await;
    let ways: [&[(&str, &str)]; 7] = [
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")],
        &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")],
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "empty")],
        &[("sec-fetch-site", "Same-Origin")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[],
    ];
    let mut asked = 0;
    for (_, path, _) in TABLE.iter().filter(|(method, path, _)| *method == "POST" && !path.ends_with("verify")) {
        let url = gateway.served.url(&path.replace("{site}", "madrid").replace("{name}", "noc"));
        for headers in ways {
            let fields = [("login", "ana"), ("password", "correct horse ana"), ("view", "console"), ("form", "")];
            let request =
                headers.iter().fold(browser.client.post(&url), |request, (name, value)| request.header(*name, *value));
            let answer = browser.send(request.form(&fields)).await;
            assert_eq!(answer.status, 403, "{path} {headers:?}: {answer:?}");
            asked += 1;
        }
    }
    assert!(asked >= 7 * 7, "{asked}");
    assert_eq!(browser.get("/api/v1/me").await.json()["login"], "local:root", "still who it was");
}

/// Names as others could write them, and headers that lie about where somebody is, are no way past what is counted.
#[tokio::test]
async fn spellings_and_told_addresses_get_nobody_more_tries() {
    let gateway = gateway().await;
    let mut browser = Browser::new(&gateway.served.url(""));
    browser.address = Some("10.7.7.7");
    for login in ["ANA", "ana ", " ana", "ａｎａ", "ana\u{200b}", "an\u{430}", "local:ana", "ana\0"] {
        let answer = browser.log_in(login, "correct horse ana", "").await;
        assert_eq!(answer.status, 401, "{login:?} is not ana");
    }
    for _ in 0..5 {
        assert_eq!(browser.log_in("ana", "wrong", "").await.status, 401);
    }
    // What a client writes in front of what our proxy adds does not count, nor does an address within its own network.
    for told in ["1.2.3.4, 10.7.7.7", "127.0.0.1, 10.7.7.7", "rubbish, 10.7.7.7:5000", "::ffff:10.7.7.7"] {
        browser.address = Some(told);
        assert_eq!(browser.log_in("ana", "correct horse ana", "").await.status, 429, "{told}");
    }
    // One address that makes up names is told in the log once a second, not once a try.
    browser.address = Some("10.6.6.6");
    let form = browser.login_form().await;
    let before = gateway.served.gateway.journal.as_ref().unwrap().state().seq;
    let watch = metaconsole::clock::Stopwatch::start();
    let mut waiting = 0;
    for number in 0..300 {
        let login = format!("u{number}");
        let answer = browser.post("/login", &[("form", &form), ("login", &login), ("password", "x")]).await;
        waiting += u64::from(answer.status == 429);
    }
    let lines = gateway.served.gateway.journal.as_ref().unwrap().state().seq - before;
    let judged = 300 - waiting;
    assert!(waiting > 200 && lines <= judged + watch.elapsed().as_secs() + 2, "{lines} lines, {judged} judged");
}

/// A session gets another id where rights have changed; the page that asks first may hold a form of the earlier one.
#[tokio::test]
async fn changed_rights_sign_nobody_out_whatever_is_asked_first() {
    for ask in ["probe", "login page"] {
        let gateway = gateway().await;
        let mut browser = Browser::logged_in(&gateway.served.url(""), "ana").await;
        let token = browser.get("/api/v1/me").await.json()["form_token"].as_str().unwrap().to_owned();
        let file = gateway._config.path();
        let yaml = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, yaml.replace("view: [madrid]", "view: []")).unwrap();
        let changed = metaconsole::config::load(&file, &|_| None).unwrap();
        let (next, _) = gateway.served.gateway.app.load().with(changed);
        gateway.served.gateway.app.store(std::sync::Arc::new(next));
        let before = browser.cookies[SESSION].clone();
        if ask == "probe" {
            let probe = browser.client.post(gateway.served.url("/api/v1/sites/madrid/probe"));
            let answer = browser.send(probe.header("x-metaconsole-form", token)).await;
            assert_eq!((answer.status, &answer.json()["code"]), (403, &json!("no_form_token")));
        } else {
            assert_eq!(browser.get("/login").await.status, 200);
        }
        assert_ne!(browser.cookies[SESSION], before, "{ask}");
        assert_eq!(browser.get("/api/v1/me").await.status, 200, "{ask}");
    }
}

/// A page asks for many things at once; rights change meanwhile. None of its requests is turned away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_under_way_when_rights_change_are_all_answered() {
    let gateway = gateway().await;
    let mut browser = Browser::logged_in(&gateway.served.url(""), "ana").await;
    let file = gateway._config.path();
    for round in 0..5 {
        let yaml = std::fs::read_to_string(&file).unwrap();
        let (from, to) = if round % 2 == 0 { ("view: [madrid]", "view: []") } else { ("view: []", "view: [madrid]") };
        std::fs::write(&file, yaml.replace(from, to)).unwrap();
        let changed = metaconsole::config::load(&file, &|_| None).unwrap();
        let (next, _) = gateway.served.gateway.app.load().with(changed);
        gateway.served.gateway.app.store(std::sync::Arc::new(next));
        let cookie = browser.cookie_line();
        let ask = |number: usize| {
            let path = ["/api/v1/me", "/api/v1/search?q=web", "/api/v1/pulse", "/api/v1/sites"][number % 4];
            browser.client.get(gateway.served.url(path)).header("cookie", &cookie).send()
        };
        let answers = futures_util::future::join_all((0..40).map(ask)).await;
        let mut sessions = std::collections::BTreeSet::new();
        for answer in answers {
            let answer = Answer::of(answer.unwrap()).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let sets = answer.headers.get_all("set-cookie").iter().map(|set| set.to_str().unwrap());
            sessions.extend(sets.filter_map(|set| Some(set.strip_prefix(SESSION)?.split(';').next()?[1..].to_owned())));
        }
        assert!(!sessions.is_empty());
        let earlier = browser.cookies.insert(SESSION.to_owned(), sessions.pop_first().unwrap()).unwrap();
        assert_eq!(browser.get("/api/v1/me").await.status, 200);
        if round == 4 {
            let page = browser.get("/logout").await;
            let form = between(&page.text, "name=\"form\" value=\"", "\"").to_owned();
            assert_eq!(browser.post("/logout", &[("form", &form)]).await.status, 303);
            for cookie in sessions.into_iter().chain([earlier]) {
                browser.cookies.insert(SESSION.to_owned(), cookie);
                assert_eq!(browser.get("/api/v1/me").await.status, 401, "who has left is out with each of them");
            }
        }
    }
}

#[tokio::test]
async fn a_session_that_is_there_twice_or_is_no_session_is_none() {
    let gateway = gateway().await;
    let browser = Browser::logged_in(&gateway.served.url(""), "ana").await;
    let (session, device) = (&browser.cookies[SESSION], &browser.cookies["__Host-mc_device"]);
    for cookie in [
        format!("{SESSION}={session}; {SESSION}={session}"),
        format!("{SESSION}={device}"),
        format!("{SESSION}={session}x"),
        format!("mc_session={session}"),
    ] {
        let answer = gateway.served.get_with("/api/v1/me", &[("cookie", &cookie)]).await;
        assert_eq!(answer.status, 401, "{cookie}");
    }
    let good = format!("{SESSION}={session}");
    assert_eq!(gateway.served.get_with("/api/v1/me", &[("cookie", &good)]).await.status, 200);
    let with_token = [("cookie", good.as_str()), ("authorization", "Bearer wrong")];
    assert_eq!(gateway.served.get_with("/api/v1/me", &with_token).await.status, 401, "the token alone counts");
}

/// What each may do: nobody, somebody without rights, of the other site, of this site, everything; a token of this
/// site's colleague, a token for everything.
const TABLE: &[(&str, &str, [u16; 7])] = &[
    ("GET", "/", [401, 200, 200, 200, 200, 200, 200]),
    ("GET", "/sites", [401, 200, 200, 200, 200, 200, 200]),
    ("GET", "/sites/{site}", [401, 404, 404, 200, 200, 404, 200]),
    ("POST", "/sites/{site}/probe", [401, 404, 404, 415, 415, 404, 303]),
    ("GET", "/agents/{site}/{agent}", [401, 404, 404, 200, 200, 404, 200]),
    ("GET", "/me", [401, 200, 200, 200, 200, 200, 200]),
    ("GET", "/wall", [401, 200, 200, 200, 200, 200, 200]),
    ("GET", "/audit", [401, 403, 403, 403, 200, 403, 200]),
    ("GET", "/assets/{version}/{name}", [404, 404, 404, 404, 404, 404, 404]),
    ("GET", "/healthz", [200, 200, 200, 200, 200, 200, 200]),
    ("GET", "/readyz", [200, 200, 200, 200, 200, 200, 200]),
    ("GET", "/metrics", [401, 403, 403, 403, 200, 403, 200]),
    ("GET", "/api/v1/search", [401, 200, 200, 200, 200, 200, 200]),
    ("GET", "/api/v1/where", [401, 400, 400, 400, 400, 400, 400]),
    ("GET", "/api/v1/suggest", [401, 200, 200, 200, 200, 200, 200]),
    ("GET", "/api/v1/sites", [401, 200, 200, 200, 200, 200, 200]),
    ("GET", "/api/v1/sites/{site}", [401, 404, 404, 200, 200, 404, 200]),
    ("POST", "/api/v1/sites/{site}/probe", [401, 404, 404, 200, 200, 404, 200]),
    ("GET", "/api/v1/sites/{site}/events", [401, 404, 404, 200, 200, 404, 200]),
    ("GET", "/api/v1/sites/{site}/agents/{agent}", [401, 404, 404, 200, 200, 404, 200]),
    ("GET", "/api/v1/sites/{site}/agents/{agent}/events", [401, 404, 404, 200, 200, 404, 200]),
    ("GET", "/api/v1/sites/{site}/agents/{agent}/modules/{module}/data", [401, 404, 404, 200, 200, 404, 200]),
    ("GET", "/api/v1/pulse", [401, 200, 200, 200, 200, 200, 200]),
    ("GET", "/api/v1/me", [401, 200, 200, 200, 200, 200, 200]),
    ("POST", "/api/v1/delegation/verify", [401, 401, 401, 401, 401, 401, 401]),
    ("POST", "/api/v1/delegation/status", [401, 401, 401, 401, 401, 401, 401]),
    ("GET", "/open/{site}", [401, 404, 404, 200, 200, 403, 403]),
    ("POST", "/open/{site}", [401, 404, 404, 415, 415, 403, 403]),
    ("GET", "/open/{site}/finish", [401, 404, 404, 200, 200, 403, 403]),
    ("POST", "/open/{site}/finish", [401, 404, 404, 415, 415, 403, 403]),
    ("GET", "/assets/open.js", [200, 200, 200, 200, 200, 200, 200]),
    ("GET", "/api/v1/audit", [401, 403, 403, 403, 200, 403, 200]),
    ("GET", "/api/v1/wallboards", [401, 403, 403, 403, 200, 403, 403]),
    ("POST", "/api/v1/wallboards/{name}/end", [401, 403, 403, 403, 404, 403, 403]),
    ("GET", "/wall/pair", [200, 200, 200, 200, 200, 200, 200]),
    ("GET", "/pair", [401, 403, 403, 403, 200, 401, 401]),
    ("POST", "/pair", [401, 403, 403, 403, 415, 401, 401]),
    ("GET", "/login", [200, 200, 200, 200, 200, 200, 200]),
    ("POST", "/login", [415, 415, 415, 415, 415, 415, 415]),
    ("GET", "/logout", [401, 200, 200, 200, 200, 401, 401]),
    ("POST", "/logout", [401, 415, 415, 415, 415, 401, 401]),
];

/// The routes as the router is built of them.
pub(crate) fn routes() -> Vec<(String, String)> {
    let sources = ["src/http/mod.rs", "src/http/pages/mod.rs"].map(|file| std::fs::read_to_string(file).unwrap());
    let mut routes = Vec::new();
    for rest in sources.concat().split(".route(\"").skip(1) {
        let (path, rest) = rest.split_once('"').unwrap();
        let handlers = rest.split_once('\n').unwrap().0;
        for (method, word) in
            [("GET", "get("), ("POST", "post("), ("PUT", "put("), ("DELETE", "delete("), ("ANY", "any(")]
        {
            let called = |before: char| !before.is_alphanumeric() && before != '_' && before != ':';
            let mut places = handlers.match_indices(word);
            if places.any(|(at, _)| handlers[..at].chars().next_back().is_some_and(called)) {
                routes.push((method.to_owned(), path.to_owned()));
            }
        }
    }
    routes.sort();
    routes
}

#[tokio::test]
async fn every_route_is_in_the_table_and_answers_each_as_written() {
    let mut listed: Vec<_> = TABLE.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    listed.sort();
    assert_eq!(routes(), listed, "each route needs a row that says who may use it");
    let gateway = gateway().await;
    let mut people = vec![(Browser::new(&gateway.served.url("")), None)];
    for login in ["new", "luc", "ana", "root"] {
        people.push((Browser::logged_in(&gateway.served.url(""), login).await, None));
    }
    for token in ["mct_french", "mct_machine"] {
        people.push((Browser::new(&gateway.served.url("")), Some(token)));
    }
    for (method, path, expected) in TABLE {
        let mut got = Vec::new();
        for (browser, token) in &mut people {
            let form = browser.get("/api/v1/me").await;
            let form =
                serde_json::from_str::<Value>(&form.text).unwrap()["form_token"].as_str().unwrap_or("").to_owned();
            let url =
                gateway.served.url(&path.replace("{site}", "madrid").replace("{agent}", "1").replace("{module}", "1"));
            let mut request = browser.client.request(method.parse().unwrap(), url).header("x-metaconsole-form", form);
            if let Some(token) = token {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            got.push(browser.send(request).await.status);
        }
        assert_eq!(got, expected, "{method} {path}");
    }
}

/// A random request, from a seed: every path, with values that exist for one, for the other, or for nobody.
fn request(seed: u64) -> String {
    let pick = |shift: u32, of: &[&str]| of[usize::try_from(seed >> shift).unwrap() % of.len()].to_owned();
    let site = pick(3, &["madrid", "lyon", "nosuch", "MADRID", "l"]);
    let word = pick(
        9,
        &["web", "web-madrid", "web-lyon", "lyon", "madrid", "*", "site:lyon", "site:madrid", "-site:madrid", "tag:fr"],
    );
    let more =
        pick(17, &["", "&limit=1", "&sort=alias", "&fresh=1", "&require=all", "&deadline=1s", "&cursor=x", "&x=y"]);
    let kinds = [
        "search",
        "where",
        "suggest",
        "sites",
        "site",
        "pulse",
        "me",
        "metrics",
        "home",
        "page",
        "agent",
        "wall",
        "detail",
        "events",
        "site events",
        "series",
        "open",
        "audit",
        "who",
        "pages",
        "export",
        "explain",
    ];
    match pick(0, &kinds).as_str() {
        "detail" => format!("/api/v1/sites/{site}/agents/1"),
        "events" => format!("/api/v1/sites/{site}/agents/1/events{}", more.replace('&', "?")),
        "site events" => format!("/api/v1/sites/{site}/events"),
        "series" => format!("/api/v1/sites/{site}/agents/1/modules/1/data"),
        "open" => format!("/open/{site}?view=agent:1"),
        "audit" => format!("/api/v1/audit?site={site}"),
        "who" => "/me".to_owned(),
        "pages" => "/sites".to_owned(),
        "export" => format!("/api/v1/search?q={word}&format=csv"),
        "explain" => format!("/api/v1/search?q={word}&explain=1"),
        "search" => format!("/api/v1/search?q={word}{more}"),
        "where" => format!("/api/v1/where?name={word}{}", more.replace("&cursor=x", "")),
        "suggest" => format!("/api/v1/suggest?q={word}"),
        "site" => format!("/api/v1/sites/{site}"),
        "home" => format!("/?q={word}&wait=1"),
        "page" => format!("/sites/{site}"),
        "agent" => format!("/agents/{site}/1"),
        "wall" => "/wall".to_owned(),
        "pulse" => "/api/v1/pulse".to_owned(),
        "me" => "/api/v1/me".to_owned(),
        "metrics" => "/metrics".to_owned(),
        _ => "/api/v1/sites".to_owned(),
    }
}

/// Two people with a site each ask the same 10,000 things, as JSON, CSV and streams, one after the other so that each
/// finds what the other left in caches. What comes back never holds anything of the other's, beyond the words that were
/// asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_thousand_answers_none_shows_anything_of_somebody_elses_site() {
    let gateway = gateway().await;
    let mut people = Vec::new();
    for (login, foreign) in [("ana", "lyon"), ("luc", "madrid")] {
        people.push((Browser::logged_in(&gateway.served.url(""), login).await, foreign));
    }
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let (mut shown, mut kinds) = (0, std::collections::BTreeSet::new());
    for number in 0..5_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let path = request(seed >> 20);
        let accept = ["application/json", "text/csv", "application/x-ndjson"][number % 3];
        for (browser, foreign) in &mut people {
            let get = browser.client.get(gateway.served.url(&path)).header("accept", accept);
            let answer = browser.send(get).await;
            kinds.insert((path.split(['?', '&']).next().unwrap().to_owned(), answer.status));
            let sites = answer.header("metaconsole-sites").to_owned();
            assert!(sites.is_empty() || sites.matches('1').count() == 1, "{path}: {sites}");
            // An echo of the question, or of the site asked for, tells nothing.
            let asked = path.to_lowercase().contains(*foreign);
            if !asked {
                assert!(!answer.text.to_lowercase().contains(*foreign), "{path}: {answer:?}");
            }
            let row = [
                format!("\"alias\":\"web-{foreign}\""),
                format!("\"id\":\"{foreign}\""),
                format!("\"site\":\"{foreign}\""),
            ];
            assert!(!row.iter().any(|row| answer.text.contains(row)), "{path}: {answer:?}");
            shown += usize::from(answer.text.contains("web-"));
        }
    }
    assert!(shown > 1000, "{shown} answers had rows");
    // Each route was answered to whom it is open, and not to the other.
    for path in ["/api/v1/sites/S", "/api/v1/sites/S/agents/1", "/api/v1/sites/S/events", "/agents/S/1", "/sites/S"] {
        for site in ["madrid", "lyon", "nosuch"] {
            let path = path.replace('S', site);
            assert!(kinds.contains(&(path.clone(), 404)), "{path}");
            let seen = site == "madrid" || (site == "lyon" && !path.contains("/agents/") && !path.contains("events"));
            assert!(!seen || kinds.contains(&(path.clone(), 200)), "{path}");
        }
    }
}

#[tokio::test]
async fn check_tells_who_would_become_whom() {
    let madrid = console(&["web-madrid"]);
    let delegation = "delegation: {verifier: dropin, url: \"https://madrid.localhost/mc.php\", accounts: \
                      [{user: \"local:root\", account: ops}, {user: \"local:ana\", account: ana}]}, ";
    let yaml =
        yaml(&madrid.address().to_string(), "10.0.0.1").replacen("credentials", &format!("{delegation}credentials"), 1);
    let config = Config::new(&yaml);
    let output = config.run(&["check", "--deadline", "2s"]).await;
    let line = output.stdout.lines().find(|line| line.contains(" accounts ")).unwrap_or_else(|| panic!("{output:?}"));
    assert!(line.ends_with("local:root as ops; nobody else"), "ana has no right to open: {line}");
}
