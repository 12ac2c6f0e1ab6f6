//! Openings from end to end: the real gateway, the real drop-in under real PHP, and browsers in between.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metaconsole::app::App;
use metaconsole::clock::Clock;
use metaconsole::config;
use metaconsole::openings::witness::{Event, Unrecorded, Witness};

use crate::support::browser::{Browser, between, hashed};
use crate::support::gateway::{Answer, Served, console};
use crate::support::php::{PhpSite, Visitor};
use crate::support::program::{Config, program};

/// Remembers what it was told, or refuses to.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) events: Mutex<Vec<Event>>,
    refuses: std::sync::atomic::AtomicBool,
}

impl Witness for Told {
    fn record(&self, event: &Event) -> Result<(), Unrecorded> {
        if self.refuses.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(Unrecorded);
        }
        self.events.lock().unwrap().push(event.clone());
        Ok(())
    }
}

impl Told {
    pub(crate) fn issued(&self) -> usize {
        self.events.lock().unwrap().iter().filter(|event| matches!(event, Event::Issued { .. })).count()
    }
}

pub(crate) struct World {
    pub(crate) served: Served,
    pub(crate) told: Arc<Told>,
    pub(crate) madrid: PhpSite,
    pub(crate) lyon: PhpSite,
    pub(crate) config: Config,
    reads: metaconsole::demo::Console,
}

fn yaml(roots: &[(&str, &str)], console: &str, open: &str) -> String {
    let site = |(id, root): &(&str, &str)| {
        format!(
            "  - {{id: {id}, name: The {id}, url: \"http://{console}/pandora_console/\", public_url: \"{root}\", \
             credentials: {{token: \"file:token\"}}, delegation: {{verifier: dropin, url: \"{root}mc.php\", accounts: \
             [{{user: \"local:ana\", account: ops.reader}}, {{user: \"local:ben\", account: ben}}]}}}}\n"
        )
    };
    let user =
        |login: &str, role: &str| format!("    - {{login: {login}, password: '{}', roles: [{role}]}}\n", hashed(login));
    format!(
        "gateway: {{state_dir: state, keys: [{{kid: 2026a, secret: \"file:master\", signing: true}}]}}\nsites:\n{}\
         access:\n  roles:\n    noc: {{search: ['*'], open: {open}}}\n    look: {{search: ['*'], view: ['*']}}\n  users:\n{}{}{}{}",
        roots.iter().map(site).collect::<String>(),
        user("ana", "noc"),
        user("ben", "noc"),
        user("guest", "look"),
        user("nomad", "noc"),
    )
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|yaml| yaml).await
    }

    /// With a configuration that differs.
    pub(crate) async fn with(differs: impl FnOnce(String) -> String) -> Self {
        let (madrid, lyon) = (PhpSite::start("madrid.localhost").await, PhpSite::start("lyon.localhost").await);
        let reads = console(&["web-01"]);
        let (madrid_root, lyon_root) = (madrid.root(), lyon.root());
        let roots = [("madrid", madrid_root.as_str()), ("lyon", lyon_root.as_str())];
        let config = Config::new(&differs(yaml(&roots, &reads.address().to_string(), "['*']")));
        keys(&config, &["generate", "--out", "master"]).await;
        let told = Arc::new(Told::default());
        let witness: Arc<dyn Witness> = told.clone();
        let served = Served::start_before(&config, witness).await;
        for (id, site) in [("madrid", &madrid), ("lyon", &lyon)] {
            let out = site.path("etc/keys").display().to_string();
            keys(&config, &["derive", "--site", id, "--out", &out]).await;
            site.allow(id, &served.url(""), &["ops.reader", "ben"]);
        }
        Self { served, told, madrid, lyon, config, reads }
    }

    pub(crate) async fn browser(&self, login: &str) -> Browser {
        Browser::logged_in(&self.served.url(""), login).await
    }

    pub(crate) fn visitor(&self) -> Visitor {
        Visitor::at(&[&self.madrid, &self.lyon])
    }

    /// The button: gives the verifier's start.
    pub(crate) async fn start(&self, browser: &mut Browser, site: &str, view: &str) -> String {
        start(browser, site, view).await
    }

    /// From the verifier's start to the page that finishes: its path and query at the gateway.
    pub(crate) async fn visit(&self, visitor: &mut Visitor, start: &str) -> String {
        visit(&self.served.url(""), visitor, start).await
    }

    /// The finish page by a navigation from the site, and its form's answer.
    pub(crate) async fn finish(&self, browser: &mut Browser, path: &str) -> Answer {
        finish(&self.served.url(""), browser, path).await
    }
}

/// The button, at any gateway: gives the verifier's start.
pub(crate) async fn start(browser: &mut Browser, site: &str, view: &str) -> String {
    let page = browser.get(&format!("/open/{site}?view={view}")).await;
    let form = between(&page.text, "name=\"form\" value=\"", "\"").to_owned();
    let answer = browser.post(&format!("/open/{site}"), &[("form", &form), ("view", view)]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    between(&answer.text, "content=\"0; url=", "\"").replace("&amp;", "&")
}

/// From the verifier's start back to the gateway of this address: path and query there.
pub(crate) async fn visit(gateway: &str, visitor: &mut Visitor, start: &str) -> String {
    let answer = visitor.get(start).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    answer.header("location").strip_prefix(gateway).unwrap().to_owned()
}

/// The finish page at the gateway of this address, and its form's answer.
pub(crate) async fn finish(gateway: &str, browser: &mut Browser, path: &str) -> Answer {
    let page = navigated(browser, &format!("{gateway}{path}")).await;
    assert!(page.text.contains("<script src=\"/assets/open.js\" defer>"), "{page:?}");
    let fields = fields(&page);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    browser.post(path.split('?').next().unwrap(), &fields).await
}

pub(crate) async fn keys(config: &Config, arguments: &[&str]) {
    let path = config.path();
    let mut command = program(path.parent().unwrap());
    let output = command.arg("keys").args(arguments).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
}

async fn navigated(browser: &mut Browser, url: &str) -> Answer {
    let request = browser.client.get(url).header("sec-fetch-site", "cross-site").header("sec-fetch-mode", "navigate");
    browser.send(request.header("sec-fetch-dest", "document")).await
}

/// Hidden fields of a page.
fn fields(page: &Answer) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for rest in page.text.split("<input type=\"hidden\" name=\"").skip(1) {
        let (name, rest) = rest.split_once("\" value=\"").unwrap();
        found.push((name.to_owned(), rest.split('"').next().unwrap().to_owned()));
    }
    found
}

pub(crate) fn token(answer: &Answer) -> Option<String> {
    fields(answer).into_iter().find(|(name, _)| name == "mc_token").map(|(_, value)| value)
}

#[tokio::test]
async fn a_click_lands_in_the_right_view_as_the_right_account() {
    let world = World::new().await;
    let (mut ana, mut visitor) = (world.browser("ana").await, world.visitor());
    let page = ana.get("/open/madrid?view=alerts:42").await;
    assert!(page.text.contains("<button>Open in The madrid as ops.reader</button>"), "{page:?}");
    let start = world.start(&mut ana, "madrid", "alerts:42").await;
    assert!(start.starts_with(&format!("{}mc.php?a=start&p=", world.madrid.root())), "{start}");
    let back = world.visit(&mut visitor, &start).await;
    let answer = world.finish(&mut ana, &back).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin");
    let origin = world.madrid.root().replace("/pandora_console/", "");
    assert_eq!(
        answer.header("content-security-policy"),
        format!("default-src 'none'; script-src 'self'; form-action {origin}; frame-ancestors 'none'; base-uri 'none'")
    );
    let login = between(&answer.text, "action=\"", "\"").replace("&amp;", "&");
    assert_eq!(login, format!("{}mc.php?a=login", world.madrid.root()));
    let landed = visitor.post(&login, &[("mc_token", &token(&answer).unwrap())]).await;
    let path = "/pandora_console/index.php?sec=estado&sec2=operation/agentes/ver_agente&tab=alert&id_agente=42";
    assert_eq!((landed.status, landed.header("location")), (303, path), "{:?}", world.madrid.decisions());
    assert!(visitor.is_in());
    let decision = world.madrid.decisions().pop().unwrap();
    let said = ["result", "account", "actor"].map(|name| decision[name].as_str().unwrap().to_owned());
    assert_eq!(said, ["opened", "ops.reader", "local:ana"]);
    assert_eq!(world.told.issued(), 1);
    let script = world.served.get("/assets/open.js").await;
    assert!(script.text.contains("document.forms[0].submit()") && script.header("content-type").contains("javascript"));
    // Again: a new session would be a second login, so the one that is there is kept.
    let start = world.start(&mut ana, "madrid", "").await;
    let back = world.visit(&mut visitor, &start).await;
    let answer = world.finish(&mut ana, &back).await;
    let landed = visitor.post(&login, &[("mc_token", &token(&answer).unwrap())]).await;
    assert_eq!((landed.status, landed.header("location")), (303, "/pandora_console/"));
    assert_eq!(world.madrid.decisions().pop().unwrap()["reason"], "kept session");
}

#[tokio::test]
async fn nothing_captured_or_planted_opens_anything_elsewhere() {
    let world = World::new().await;
    let (mut ana, mut visitor) = (world.browser("ana").await, world.visitor());
    let (mut ben, mut other) = (world.browser("ben").await, world.visitor());
    let mut again = world.browser("ana").await;
    let mut lyonnais = world.browser("ben").await;
    let mut nobody = Browser::new(&world.served.url(""));
    let start = world.start(&mut ana, "madrid", "agent:42").await;
    let back = world.visit(&mut visitor, &start).await;
    let query = back.split_once('?').unwrap().1.to_owned();
    let (p, st) = (between(&query, "p=", "&").to_owned(), query.split("st=").nth(1).unwrap().to_owned());
    // The finish link in other sessions, and at the other site: a page that starts anew, holding neither p nor st.
    for (browser, path) in
        [(&mut ben, back.clone()), (&mut again, back.clone()), (&mut lyonnais, format!("/open/lyon/finish?{query}"))]
    {
        let page = navigated(browser, &world.served.url(&path)).await;
        assert!(page.status == 200 && !page.text.contains(&p) && !page.text.contains(&st), "{page:?}");
        assert!(!page.text.contains("open.js") && page.text.contains("name=\"view\" value=\"\""), "{page:?}");
        let form = between(&page.text, "name=\"form\" value=\"", "\"").to_owned();
        let answer = browser.post(path.split('?').next().unwrap(), &[("form", &form), ("p", &p), ("st", &st)]).await;
        assert!(answer.status == 410 && token(&answer).is_none(), "{answer:?}");
    }
    assert_eq!(navigated(&mut nobody, &world.served.url(&back)).await.status, 303, "to the login");
    // Another session's form, or none.
    let form = again.get("/api/v1/me").await.json()["form_token"].as_str().unwrap().to_owned();
    for form in [form.as_str(), ""] {
        let answer = ana.post("/open/madrid/finish", &[("form", form), ("p", &p), ("st", &st)]).await;
        assert_eq!(answer.status, 403, "{answer:?}");
        assert_eq!(ana.post("/open/madrid", &[("form", form), ("view", "agent:1")]).await.status, 403);
    }
    let own = ana.get("/api/v1/me").await.json()["form_token"].as_str().unwrap().to_owned();
    let cross = ana.client.post(world.served.url("/open/madrid")).header("sec-fetch-site", "cross-site");
    let answer = ana.send(cross.form(&[("form", own.as_str()), ("view", "")])).await;
    assert_eq!(answer.status, 403, "another site's form");
    let answer = ana.post("/open/lyon/finish", &[("form", &own), ("p", &p), ("st", &st)]).await;
    assert!(answer.status == 410 && token(&answer).is_none(), "its own, at another site: {answer:?}");
    assert_eq!(world.told.issued(), 0);
    // None of that took it away from whoever it belongs to.
    let answer = world.finish(&mut ana, &back).await;
    let stolen = token(&answer).unwrap();
    let used = ana.post("/open/madrid/finish", &[("form", &own), ("p", &p), ("st", &st)]).await;
    assert!(used.status == 410 && used.text.contains("used already") && used.text.contains("value=\"agent:42\""));
    let login = |site: &PhpSite| format!("{}mc.php?a=login", site.root());
    // The token at another site, and in another browser, even with a state of its own there.
    assert_eq!(visitor.post(&login(&world.lyon), &[("mc_token", &stolen)]).await.status, 403);
    let foreign = world.start(&mut ben, "madrid", "").await;
    world.visit(&mut other, &foreign).await;
    assert_eq!(other.post(&login(&world.madrid), &[("mc_token", &stolen)]).await.status, 403);
    assert!(!other.is_in() && !visitor.is_in());
    let reasons = |site: &PhpSite| -> Vec<String> {
        site.decisions().iter().map(|decision| decision["reason"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((reasons(&world.lyon), reasons(&world.madrid)), (vec!["bad_mac".into()], vec!["state_mismatch".into()]));
    assert_eq!(visitor.post(&login(&world.madrid), &[("mc_token", &stolen)]).await.status, 403, "spent by the thief");
}

#[tokio::test]
async fn ten_at_once_all_open_and_each_token_opens_once() {
    let world = World::new().await;
    let (mut ana, mut visitor) = (world.browser("ana").await, world.visitor());
    let mut backs = Vec::new();
    for number in 0..10 {
        let start = world.start(&mut ana, "madrid", &format!("agent:{number}")).await;
        backs.push((number, world.visit(&mut visitor, &start).await));
    }
    let login = format!("{}mc.php?a=login", world.madrid.root());
    for (number, back) in backs.iter().rev() {
        let answer = world.finish(&mut ana, back).await;
        let token = token(&answer).unwrap();
        let landed = visitor.post(&login, &[("mc_token", &token)]).await;
        assert!(landed.header("location").ends_with(&format!("id_agente={number}")), "{landed:?}");
        let landed = visitor.post(&login, &[("mc_token", &token)]).await;
        assert_eq!(landed.status, 403, "a replay");
    }
    assert_eq!(world.told.issued(), 10);
}

#[tokio::test]
async fn of_many_finishes_of_one_opening_exactly_one_gives_a_token() {
    let world = World::new().await;
    let (mut ana, mut visitor) = (world.browser("ana").await, world.visitor());
    let start = world.start(&mut ana, "madrid", "").await;
    let back = world.visit(&mut visitor, &start).await;
    let page = navigated(&mut ana, &world.served.url(&back)).await;
    let fields = fields(&page);
    let post = || async {
        let request = ana.client.post(world.served.url("/open/madrid/finish")).form(&fields);
        Answer::of(request.header("cookie", ana.cookie_line()).send().await.unwrap()).await
    };
    let answers = futures_util::future::join_all((0..16).map(|_| post())).await;
    assert_eq!(answers.iter().filter(|answer| token(answer).is_some()).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 410).count(), 15);
    assert_eq!(world.told.issued(), 1);
}

#[tokio::test]
async fn an_opening_that_waits_too_long_is_over_and_one_click_begins_again() {
    let world = World::new().await;
    let (mut ana, mut visitor) = (world.browser("ana").await, world.visitor());
    let start = world.start(&mut ana, "madrid", "modules:7").await;
    let back = world.visit(&mut visitor, &start).await;
    let page = navigated(&mut ana, &world.served.url(&back)).await;
    let fields = fields(&page);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(60)).await;
    tokio::time::resume();
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    for answer in [navigated(&mut ana, &world.served.url(&back)).await, ana.post("/open/madrid/finish", &fields).await]
    {
        assert!(answer.text.contains("longer than a minute") && token(&answer).is_none(), "{answer:?}");
        assert!(answer.text.contains("name=\"view\" value=\"modules:7\""), "{answer:?}");
    }
    assert_eq!(world.told.issued(), 0);
}

#[tokio::test]
async fn looking_takes_nothing_and_makes_nothing() {
    let world = World::new().await;
    let (mut ana, mut visitor) = (world.browser("ana").await, world.visitor());
    let start = world.start(&mut ana, "madrid", "agent:1").await;
    let back = world.visit(&mut visitor, &start).await;
    for path in ["/open/madrid", "/open/madrid?view=agent:1", &back, "/open/madrid/finish", "/assets/open.js"] {
        for (method, purpose) in [("GET", ""), ("HEAD", ""), ("GET", "prefetch"), ("GET", "prefetch;prerender")] {
            let request = ana.client.request(method.parse().unwrap(), world.served.url(path));
            let request = request.header("sec-purpose", purpose).header("accept", "text/html");
            let answer = ana.send(request).await;
            assert!(answer.status == 200 && !answer.text.contains("mc1."), "{method} {path}: {answer:?}");
        }
    }
    for wrong in ["//evil.example", "https://evil.example", "/x", "agent:../../x", "agent:1&x=2", "url:x"] {
        let wrong: String = url::form_urlencoded::byte_serialize(wrong.as_bytes()).collect();
        assert_eq!(ana.get(&format!("/open/madrid?view={wrong}")).await.status, 400, "{wrong}");
    }
    assert_eq!(world.told.issued(), 0);
    assert!(token(&world.finish(&mut ana, &back).await).is_some());
}

#[tokio::test]
async fn who_may_not_gets_a_page_and_nothing_else_and_rights_are_read_again() {
    let world = World::new().await;
    for (login, sentence, why) in [
        ("guest", "You do not have the right to open this console.", "not_granted"),
        ("nomad", "No account there is linked to you.", "no_account"),
    ] {
        let mut browser = world.browser(login).await;
        let page = browser.get("/open/madrid?view=agent:4").await;
        assert!(page.status == 403 && page.text.contains(sentence) && !page.text.contains("<form"), "{page:?}");
        assert!(page.text.contains("id_agente=4\">Log in at The madrid</a>"), "{page:?}");
        let form = browser.get("/api/v1/me").await.json()["form_token"].as_str().unwrap().to_owned();
        let answer = browser.post("/open/madrid", &[("form", &form), ("view", "agent:4")]).await;
        assert_eq!(answer.status, 403);
        let last = world.told.events.lock().unwrap().pop().unwrap();
        assert!(
            matches!(&last, Event::Refused { told, why: said } if *said == why && told.view == "agent:4"),
            "{last:?}"
        );
    }
    let (mut ana, mut visitor) = (world.browser("ana").await, world.visitor());
    let start = world.start(&mut ana, "madrid", "").await;
    let back = world.visit(&mut visitor, &start).await;
    let page = navigated(&mut ana, &world.served.url(&back)).await;
    // The configuration in force does not give this person that account any more.
    changed(&world, "account: ops.reader", "account: somebody.else");
    let fields = fields(&page);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let answer = ana.post("/open/madrid/finish", &fields).await;
    assert!(answer.status == 409 && answer.text.contains("as somebody.else"), "{answer:?}");
    assert_eq!(world.told.issued(), 0);
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_signed_and_too_many_wait() {
    let world = World::new().await;
    let (mut ana, mut visitor) = (world.browser("ana").await, world.visitor());
    let start = world.start(&mut ana, "madrid", "").await;
    let back = world.visit(&mut visitor, &start).await;
    world.told.refuses.store(true, std::sync::atomic::Ordering::SeqCst);
    let answer = world.finish(&mut ana, &back).await;
    assert!(answer.status == 503 && token(&answer).is_none(), "{answer:?}");
    let form = ana.get("/api/v1/me").await.json()["form_token"].as_str().unwrap().to_owned();
    for _ in 1..30 {
        assert_eq!(ana.post("/open/madrid", &[("form", &form), ("view", "")]).await.status, 200);
    }
    let answer = ana.post("/open/madrid", &[("form", &form), ("view", "")]).await;
    assert!(answer.status == 429 && !answer.header("retry-after").is_empty(), "{answer:?}");
    let mut ben = world.browser("ben").await;
    world.start(&mut ben, "madrid", "").await;
}

#[tokio::test]
async fn check_says_whether_an_opening_would_work() {
    let world = World::new().await;
    // There is no API here, so it cannot be read; that is another step.
    let text = std::fs::read_to_string(world.config.path()).unwrap();
    let console = world.reads.address().to_string();
    world.config.write("sites.yaml", text.replace(&console, &world.madrid.address.to_string()).as_bytes());
    let line = async || {
        let output = world.config.run(&["check", "--deadline", "5s"]).await;
        let mut lines = output.stdout.lines().skip_while(|line| !line.starts_with("madrid"));
        let line = lines.find(|line| line.contains(" opening ")).unwrap_or_else(|| panic!("{output:?}")).to_owned();
        (line, lines.next().unwrap_or("").to_owned(), output.code)
    };
    let (good, ..) = line().await;
    assert!(
        good.contains("ok   opening") && good.contains("by dropin, version 1, offline, takes key 2026a, 2 accounts"),
        "{good}"
    );
    world.madrid.allow("madrid", &world.served.url(""), &[]);
    let (empty, remedy, code) = line().await;
    assert!(empty.contains("FAIL opening") && empty.contains("`allow[]` is empty") && code == 3, "{empty}");
    assert!(remedy.contains("names accounts"), "{remedy}");
    // Keys of another site, as the right ones.
    let keys = std::fs::read_to_string(world.lyon.path("etc/keys")).unwrap().replace("site lyon", "site madrid");
    std::fs::write(world.madrid.path("etc/keys"), keys).unwrap();
    let (wrong, remedy, _) = line().await;
    assert!(
        wrong.contains("FAIL opening") && wrong.contains("(403)") && remedy.contains("key file"),
        "{wrong} {remedy}"
    );
    let mode = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(world.madrid.path("etc/keys"), mode).unwrap();
    assert!(line().await.0.contains("(503)"));
}

/// The configuration in force, with other words in it.
pub(crate) fn changed(world: &World, from: &str, to: &str) {
    let text = std::fs::read_to_string(world.config.path()).unwrap();
    assert!(text.contains(from));
    world.config.write("sites.yaml", text.replace(from, to).as_bytes());
    let config = config::load(&world.config.path(), &|_| None).unwrap();
    world.served.gateway.app.store(Arc::new(App::new(config, Clock::System)));
}

#[tokio::test]
async fn a_site_that_asks_hears_at_once_that_somebody_may_not_any_more() {
    let world = World::new().await;
    let (mut ben, mut visitor) = (world.browser("ben").await, world.visitor());
    world.lyon.allow_online("lyon", &world.served.url(""), &["ben"]);
    let login = format!("{}mc.php?a=login", world.lyon.root());
    let mut opened = async |meanwhile: fn(&World)| {
        let start = world.start(&mut ben, "lyon", "agent:7").await;
        let back = world.visit(&mut visitor, &start).await;
        let token = token(&world.finish(&mut ben, &back).await).unwrap();
        meanwhile(&world);
        (visitor.post(&login, &[("mc_token", &token)]).await, token)
    };
    let (landed, token) = opened(|_| ()).await;
    assert!(landed.header("location").ends_with("id_agente=7"), "{landed:?} {:?}", world.lyon.decisions());
    let consumed = world.told.events.lock().unwrap().pop().unwrap();
    assert!(matches!(&consumed, Event::Consumed { told, .. } if told.account == "ben"), "{consumed:?}");
    // The question itself: only of a verifier, of its own site, and once.
    let bearer = |site: &PhpSite, id: &str| {
        let keys = std::fs::read_to_string(site.path("etc/keys")).unwrap();
        let key = keys.lines().find_map(|line| line.strip_prefix("mc1-verify 2026a ")).unwrap().to_owned();
        format!("Bearer mcv1.{id}.2026a.{key}")
    };
    let ask = async |bearer: &str, body: serde_json::Value| {
        let request = world.served.client.post(world.served.url("/api/v1/delegation/verify")).body(body.to_string());
        Answer::of(request.header("authorization", bearer).send().await.unwrap()).await
    };
    let question = serde_json::json!({"token": token, "st_state": "x"});
    for (bearer, status) in [
        (bearer(&world.lyon, "lyon"), 200),
        (bearer(&world.madrid, "madrid"), 200),
        (bearer(&world.madrid, "lyon"), 401),
        ("Bearer mcv1.lyon.2026a.".to_owned(), 401),
        ("mcv1".to_owned(), 401),
    ] {
        let answer = ask(&bearer, question.clone()).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(status != 200 || answer.text == "{\"active\":false}", "{answer:?}");
    }
    assert_eq!(ask(&bearer(&world.lyon, "lyon"), serde_json::json!({"token": token, "more": 1})).await.status, 400);
    let (refused, _) = opened(|world| changed(world, "open: ['*']", "open: [madrid]")).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    assert_eq!(world.lyon.decisions().pop().unwrap()["reason"], "gateway_refused");
}

#[tokio::test]
async fn a_site_that_cannot_be_read_says_so_and_can_be_tried_anyway() {
    let world = World::new().await;
    changed(&world, &world.reads.address().to_string(), "127.0.0.1:1");
    let mut ana = world.browser("ana").await;
    assert_eq!(ana.get("/api/v1/search?q=site:madrid&deadline=5s").await.status, 200);
    let page = ana.get("/open/madrid?view=agent:1").await;
    assert!(page.text.contains("cannot read this site now (unreachable)"), "{page:?}");
    assert!(page.status == 200 && page.text.contains("<button>Try anyway</button>"), "{page:?}");
    let mut visitor = world.visitor();
    let start = world.start(&mut ana, "madrid", "agent:1").await;
    let back = world.visit(&mut visitor, &start).await;
    assert!(token(&world.finish(&mut ana, &back).await).is_some());
}

#[tokio::test]
async fn a_row_leads_to_an_opening_only_for_whom_there_is_one() {
    let world = World::new().await;
    let rows = async |login: &str| {
        let mut browser = world.browser(login).await;
        let answer = browser.get("/api/v1/search?q=web&deadline=10s").await.json();
        let lines = browser.get("/api/v1/search?q=web&format=ndjson").await.text;
        let agents = answer["agents"].as_array().unwrap().clone();
        assert_eq!(agents.len(), 2, "{answer}");
        let said: Vec<_> = agents.iter().map(|agent| agent["links"]["open"].as_str().map(str::to_owned)).collect();
        assert_eq!(lines.contains("/open/"), said.iter().any(Option::is_some), "{lines}");
        said
    };
    let to = |site: &str| {
        Some(format!("{}open/{site}?view=agent:1", world.served.gateway.app.load().config.gateway.public_url))
    };
    assert_eq!(rows("ana").await, [to("lyon"), to("madrid")]);
    assert_eq!(rows("guest").await, [None, None], "no right");
    assert_eq!(rows("nomad").await, [None, None], "no account");
    changed(&world, "open: ['*']", "open: [madrid]");
    assert_eq!(rows("ana").await, [None, to("madrid")]);
}
