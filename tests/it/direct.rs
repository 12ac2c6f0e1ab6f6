//! Openings by a console's own login hash: the real gateway, a stand-in console under real PHP, and browsers in between.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use metaconsole::app::App;
use metaconsole::clock::Clock;
use metaconsole::config;
use metaconsole::openings::witness::{Event, Unrecorded, Witness};
use serde_json::Value;

use crate::support::browser::{Browser, between, hashed};
use crate::support::gateway::{Answer, Served, console};
use crate::support::php::{PhpSite, Visitor};
use crate::support::program::Config;
use crate::support::running::Running;

const SECRET: &str = "Ab3dEf6hIj9kLm2";

/// md5 of `ops.reader` and of `ben` with that secret, and both names in ROT13.
pub(crate) const OPS: (&str, &str) = ("bcf.ernqre", "16ae9ee4957da1e7a6f707b8172e1757");
pub(crate) const BEN: (&str, &str) = ("ora", "b8d58ac19e621f31614a4479c052a0f1");

/// Remembers what it was told, or refuses to.
#[derive(Debug, Default)]
pub(crate) struct Told {
    events: Mutex<Vec<Event>>,
    refuses: AtomicBool,
}

impl Witness for Told {
    fn record(&self, event: &Event) -> Result<(), Unrecorded> {
        if self.refuses.load(Ordering::SeqCst) {
            return Err(Unrecorded);
        }
        self.events.lock().unwrap().push(event.clone());
        Ok(())
    }
}

fn yaml(root: &str, console: &str) -> String {
    let user = |login: &str| format!("    - {{login: {login}, password: '{}', roles: [noc]}}\n", hashed(login));
    format!(
        "gateway: {{state_dir: state}}\nsites:\n  - {{id: madrid, url: \"http://{console}/pandora_console/\", public_url: \
         \"{root}\", credentials: {{token: \"file:token\"}}, delegation: {{verifier: direct, secret: \"file:hash\", accounts: \
         [{{user: \"local:ana\", account: ops.reader}}, {{user: \"local:ben\", account: ben}}]}}}}\n\
         access:\n  roles:\n    noc: {{search: ['*'], open: ['*']}}\n  users:\n{}{}",
        user("ana"),
        user("ben"),
    )
}

pub(crate) struct World {
    pub(crate) served: Served,
    told: Arc<Told>,
    pub(crate) madrid: PhpSite,
    config: Config,
    _reads: metaconsole::demo::Console,
}

impl World {
    pub(crate) async fn new() -> Self {
        let madrid = PhpSite::start("madrid.localhost").await;
        madrid.hash_login(SECRET);
        let reads = console(&["web-01"]);
        let config = Config::new(&yaml(&madrid.root(), &reads.address().to_string()));
        config.write("hash", SECRET.as_bytes());
        let told = Arc::new(Told::default());
        let served = Served::start_before(&config, told.clone()).await;
        Self { served, told, madrid, config, _reads: reads }
    }

    async fn browser(&self, login: &str) -> Browser {
        Browser::logged_in(&self.served.url(""), login).await
    }

    /// The button: gives the page that finishes.
    async fn begin(&self, browser: &mut Browser, view: &str) -> Answer {
        let form = browser.get("/api/v1/me").await.json()["form_token"].as_str().unwrap().to_owned();
        let answer = browser.post("/open/madrid", &[("form", &form), ("view", view)]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }

    async fn finish(&self, browser: &mut Browser, page: &Answer) -> Answer {
        let fields = fields(page);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        browser.post("/open/madrid/finish", &fields).await
    }

    fn direct(&self) -> usize {
        self.told.events.lock().unwrap().iter().filter(|event| matches!(event, Event::Direct { .. })).count()
    }
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

/// What the page that hands over sends, and where to.
fn sent(page: &Answer) -> (String, Vec<(String, String)>) {
    (between(&page.text, "action=\"", "\"").replace("&amp;", "&"), fields(page))
}

async fn hand_over(visitor: &mut Visitor, page: &Answer) -> Answer {
    let (action, fields) = sent(page);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    visitor.post(&action, &fields).await
}

#[tokio::test]
async fn a_click_lands_logged_in_on_a_page_that_does_not_repeat_the_hash() {
    let world = World::new().await;
    let mut ana = world.browser("ana").await;
    let page = ana.get("/open/madrid?view=agent:42").await;
    assert!(page.text.contains("this login cannot expire") && page.text.contains("as ops.reader"), "{page:?}");
    let agent = "operation/agentes/ver_agente";
    for (view, landed) in [
        ("", "general/logon_ok  "),
        ("agent:42", &format!("{agent}  42")),
        ("modules:42", &format!("{agent} module 42")),
        ("alerts:42", &format!("{agent} alert 42")),
        ("graphs:42", &format!("{agent} graphs 42")),
        ("events:42", &format!("{agent}  42")),
    ] {
        let mut visitor = Visitor::at(&[&world.madrid]);
        let begun = world.begin(&mut ana, view).await;
        assert!(!begun.text.contains(OPS.1) && !begun.text.contains(SECRET), "{begun:?}");
        let answer = world.finish(&mut ana, &begun).await;
        let origin = world.madrid.root().replace("/pandora_console/", "");
        for (name, value) in [
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("x-robots-tag", "noindex"),
            (
                "content-security-policy",
                &format!(
                    "default-src 'none'; script-src 'self'; form-action {origin}; frame-ancestors 'none'; base-uri 'none'"
                ),
            ),
        ] {
            assert_eq!(answer.header(name), value, "{name}");
        }
        let (action, fields) = sent(&answer);
        let start = format!("{}index.php?loginhash=auto&loginhash_data=x&sec=", world.madrid.root());
        assert!(action.starts_with(&start), "{action}");
        let expected = [("loginhash", "auto"), ("loginhash_data", OPS.1), ("loginhash_user", OPS.0)];
        assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let console = hand_over(&mut visitor, &answer).await;
        assert!(console.text.contains("<h1 id=\"user\">ops.reader</h1>"), "{console:?}");
        assert!(console.text.contains(&format!("<p id=\"page\">{landed}</p>")), "{view}: {console:?}");
        assert!(!console.text.contains(OPS.1), "{view}: {console:?}");
        // Where the view is another page, a plain link leads on to it.
        let onward = begun.text.contains("go on to the view");
        assert_eq!(onward, view.starts_with("events"), "{begun:?}");
        if onward {
            let link = between(&begun.text, "noopener noreferrer\" href=\"", "\"").replace("&#38;", "&");
            let events = visitor.get(&link).await;
            assert!(events.text.contains("<p id=\"page\">operation/events/events  42</p>"), "{events:?}");
            assert!(events.text.contains("id=\"refresh\"") && !events.text.contains(OPS.1), "{events:?}");
            // Landing there at once would not do: the stand-in repeats the form, as the real one does.
            let fields: Vec<(&str, &str)> =
                fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let there = Visitor::at(&[&world.madrid]).post(&format!("{link}&loginhash_data=x"), &fields).await;
            assert!(there.text.contains(OPS.1), "{there:?}");
        }
    }
    assert_eq!(world.direct(), 6);
    let event = world.told.events.lock().unwrap().pop().unwrap();
    assert!(matches!(&event, Event::Direct { told, .. } if told.login == "local:ana" && told.view == "events:42"));
    assert!(!format!("{event:?}").contains(OPS.1));
}

#[tokio::test]
async fn it_is_given_once_to_its_own_session_and_only_when_it_is_recorded() {
    let world = World::new().await;
    let (mut ana, mut ben) = (world.browser("ana").await, world.browser("ben").await);
    let begun = world.begin(&mut ana, "agent:1").await;
    let number = fields(&begun).into_iter().find(|(name, _)| name == "p").unwrap().1;
    let own = |token: &Value| token["form_token"].as_str().unwrap().to_owned();
    let form = own(&ben.get("/api/v1/me").await.json());
    let answer = ben.post("/open/madrid/finish", &[("form", &form), ("p", &number)]).await;
    assert!(answer.status == 410 && !answer.text.contains("loginhash"), "another's session: {answer:?}");
    let form = own(&ana.get("/api/v1/me").await.json());
    let state = "A".repeat(43);
    let answer = ana.post("/open/madrid/finish", &[("form", &form), ("p", &number), ("st", &state)]).await;
    assert!(answer.status == 409 && !answer.text.contains("loginhash"), "a verifier's state: {answer:?}");
    let begun = world.begin(&mut ana, "agent:1").await;
    assert!(world.finish(&mut ana, &begun).await.text.contains(OPS.1));
    let again = world.finish(&mut ana, &begun).await;
    assert!(again.status == 410 && again.text.contains("used already") && !again.text.contains(OPS.1), "{again:?}");
    assert_eq!(world.direct(), 1);
    // Without a record, without a right, without the account: nothing.
    let begun = world.begin(&mut ana, "agent:1").await;
    world.told.refuses.store(true, Ordering::SeqCst);
    let answer = world.finish(&mut ana, &begun).await;
    assert!(answer.status == 503 && !answer.text.contains("loginhash"), "{answer:?}");
    world.told.refuses.store(false, Ordering::SeqCst);
    let begun = world.begin(&mut ana, "agent:1").await;
    let text = std::fs::read_to_string(world.config.path()).unwrap();
    for (from, to, status) in [("account: ops.reader", "account: other", 409), ("open: ['*']", "open: []", 403)] {
        world.config.write("sites.yaml", text.replace(from, to).as_bytes());
        let config = config::load(&world.config.path(), &|_| None).unwrap();
        world.served.gateway.app.store(Arc::new(App::new(config, Clock::System)));
        let begun = if status == 409 { begun.clone() } else { begun_again(&world, &mut ana, &text).await };
        let answer = world.finish(&mut ana, &begun).await;
        assert!(answer.status == status && !answer.text.contains("loginhash"), "{answer:?}");
    }
    assert_eq!(world.direct(), 1);
    let looked = ana.get("/open/madrid/finish").await;
    assert!(looked.status == 403 && !looked.text.contains("loginhash"), "{looked:?}");
}

/// Begun while it was allowed, under the configuration `before`; the one in force stays.
async fn begun_again(world: &World, browser: &mut Browser, before: &str) -> Answer {
    let now = world.served.gateway.app.load_full();
    let text = std::fs::read_to_string(world.config.path()).unwrap();
    world.config.write("sites.yaml", before.as_bytes());
    let config = config::load(&world.config.path(), &|_| None).unwrap();
    world.served.gateway.app.store(Arc::new(App::new(config, Clock::System)));
    let begun = world.begin(browser, "agent:1").await;
    world.config.write("sites.yaml", text.as_bytes());
    world.served.gateway.app.store(now);
    begun
}

#[tokio::test]
async fn a_live_session_of_somebody_else_is_switched() {
    let world = World::new().await;
    let mut visitor = Visitor::at(&[&world.madrid]);
    let user = |page: &Answer| between(&page.text, "id=\"user\">", "<").to_owned();
    let query = format!("loginhash=auto&loginhash_data={}&loginhash_user={}", BEN.1, BEN.0);
    let page = visitor.get(&format!("{}index.php?{query}", world.madrid.root())).await;
    assert_eq!(user(&page), "ben");
    let mut ana = world.browser("ana").await;
    let begun = world.begin(&mut ana, "agent:1").await;
    let answer = world.finish(&mut ana, &begun).await;
    assert_eq!(user(&hand_over(&mut visitor, &answer).await), "ops.reader");
    let next = visitor.get(&format!("{}index.php?sec=x&sec2=y", world.madrid.root())).await;
    assert_eq!(user(&next), "ops.reader");
    // Without the `x` in the address it would have stayed the other's.
    let mut other = Visitor::at(&[&world.madrid]);
    other.get(&format!("{}index.php?{query}", world.madrid.root())).await;
    let fields = [("loginhash", "auto"), ("loginhash_data", OPS.1), ("loginhash_user", OPS.0)];
    assert_eq!(user(&other.post(&format!("{}index.php?sec=x&sec2=y", world.madrid.root()), &fields).await), "ben");
}

#[tokio::test]
async fn whoever_leaves_hears_that_nothing_ends_it() {
    let world = World::new().await;
    let (mut ana, mut ben) = (world.browser("ana").await, world.browser("ben").await);
    let begun = world.begin(&mut ana, "agent:1").await;
    assert!(world.finish(&mut ana, &begun).await.text.contains(OPS.1));
    let page = ana.get("/logout").await;
    assert!(page.text.contains("madrid as ops.reader") && page.text.contains("until it ends by itself"), "{page:?}");
    assert!(!ben.get("/logout").await.text.contains("madrid"));
}

#[tokio::test]
async fn where_there_is_no_such_login_none_is_offered() {
    let world = World::new().await;
    let mut ana = world.browser("ana").await;
    let opening = |me: &Answer| me.json()["sites"][0]["opening"].clone();
    assert_eq!(opening(&ana.get("/api/v1/me").await), "as");
    let text =
        std::fs::read_to_string(world.config.path()).unwrap().replace("{id: madrid,", "{id: madrid, paused: true,");
    world.config.write("sites.yaml", text.as_bytes());
    let config = config::load(&world.config.path(), &|_| None).unwrap();
    world.served.gateway.app.store(Arc::new(App::new(config, Clock::System)));
    let me = ana.get("/api/v1/me").await;
    assert_eq!(
        (opening(&me), &me.json()["sites"][0]["reason"]),
        (Value::from("closed"), &Value::from("no_hash_login"))
    );
    assert!(ana.get("/open/madrid").await.text.contains("cannot be opened from here now"));
}

#[tokio::test]
async fn check_says_what_it_is_worth() {
    let world = World::new().await;
    let output = world.config.run(&["check", "--deadline", "5s"]).await;
    let said = |output: &str, name: &str| {
        output.lines().find(|line| line.contains(&format!(" {name} "))).unwrap_or_default().to_owned()
    };
    let line = said(&output.stdout, "opening");
    assert!(line.contains("WARN opening") && line.contains("this login cannot expire"), "{output:?}");
    assert!(said(&output.stdout, "accounts").contains("local:ana as ops.reader"), "{output:?}");
    assert!(!output.stdout.contains(" secret  "), "nobody was let in yet: {output:?}");
    assert!(!output.stdout.contains(SECRET) && !output.stderr.contains(SECRET));
}

#[tokio::test]
async fn who_is_removed_is_named_in_log_audit_and_check_until_the_secret_changes() {
    let madrid = PhpSite::start("madrid.localhost").await;
    let reads = console(&["web-01"]);
    let text = yaml(&madrid.root(), &reads.address().to_string())
        .replace("state_dir: state", "state_dir: state, listen: \"127.0.0.1:0\"");
    let config = Config::new(&text);
    config.write("hash", SECRET.as_bytes());
    let mut running = Running::start(config.command("serve"));
    let base = format!("http://{}", running.address().await);
    let mut ana = Browser::logged_in(&base, "ana").await;
    let form = ana.get("/api/v1/me").await.json()["form_token"].as_str().unwrap().to_owned();
    let begun = ana.post("/open/madrid", &[("form", &form), ("view", "agent:3")]).await;
    let begun = fields(&begun);
    let begun: Vec<(&str, &str)> = begun.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert!(ana.post("/open/madrid/finish", &begun).await.text.contains(OPS.1));
    let start = text.find("    - {login: ana").unwrap();
    let end = text[start..].find('\n').unwrap() + start + 1;
    config.write("sites.yaml", format!("{}{}", &text[..start], &text[end..]).as_bytes());
    let told = "change the login-hash secret of madrid: local:ana could be logged in there by it";
    running.says(told).await;
    let folder = config.path().with_file_name("state").join("audit");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let log: String = files
        .filter(|file| file.extension().is_some_and(|end| end == "jsonl"))
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    let line = |action: &str, words: &[&str]| {
        log.lines().any(|line| line.contains(action) && words.iter().all(|word| line.contains(word)))
    };
    assert!(line("open.issued", &["\"result\":\"direct\"", "local:ana", "agent:3"]), "{log}");
    assert!(line("config.reload", &[told]), "{log}");
    let everything = format!("{log}{}", running.end().await);
    assert!(!everything.contains(OPS.1) && !everything.contains(SECRET) && !everything.contains(OPS.0), "{everything}");
    // Also when nobody was there to see it.
    let mut running = Running::start(config.command("serve"));
    running.says(told).await;
    running.end().await;
    let output = config.run(&["check", "--deadline", "5s"]).await;
    let line = output.stdout.lines().find(|line| line.contains("FAIL secret")).unwrap_or_else(|| panic!("{output:?}"));
    assert!(line.contains(told) && output.code == 3, "{output:?}");
    config.write("hash", b"Zb3dEf6hIj9kLm2");
    let output = config.run(&["check", "--deadline", "5s"]).await;
    assert!(!output.stdout.contains("FAIL secret"), "{output:?}");
}

/// What the configuration makes of each vector's secret, and, with a good secret, of its account.
#[test]
fn the_configuration_takes_no_secret_of_the_vectors_and_no_account_that_must_be_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sites.yaml");
    let load = |account: &str, secret: &str| {
        let delegation = serde_json::json!({"verifier": "direct", "secret": "${HASH}", "never": ["root"],
            "accounts": [{"user": "local:ana", "account": account}]});
        let text = format!(
            "sites: [{{id: m, url: \"https://m.example/p/\", credentials: {{token: \"${{T}}\"}}, delegation: {delegation}}}]"
        );
        std::fs::write(&path, text).unwrap();
        config::load(&path, &|name| Some(if name == "HASH" { secret } else { "token" }.to_owned())).is_ok()
    };
    let vectors: Value =
        serde_json::from_str(&std::fs::read_to_string("tests/fixtures/delegation.json").unwrap()).unwrap();
    let mut seen = (0, 0);
    for list in ["positive", "negative", "weakness"] {
        for vector in vectors["pandora_loginhash"][list].as_array().unwrap() {
            let text = |name: &str| vector[name].as_str().unwrap();
            assert!(!load(text("account"), text("secret")), "{}", vector["id"]);
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'@' | b'-');
            let plain = text("account").bytes().all(is_plain);
            assert_eq!(load(text("account"), SECRET), plain, "{}", vector["id"]);
            seen.0 += 1;
            seen.1 += usize::from(!plain);
        }
    }
    assert_eq!(seen, (25, 7));
    assert!(load("ana", SECRET) && !load("ana", "1234pandorahash") && !load("RÓOT", SECRET) && !load("ROOT", SECRET));
}
