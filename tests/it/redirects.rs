//! Where an opening can lead: to the site's own origin or nowhere, and looking leads nowhere and uses nothing up.
//!
//! `METACONSOLE_REDIRECTS=100000` tries as many over HTTP as in process.

use metaconsole::clock::Clock;
use metaconsole::delegation::{is_landing_path, random_number, state_hash};
use metaconsole::openings::{landing, view};
use serde_json::json;
use url::Url;

use crate::openings::{World, token};
use crate::support::browser::{Browser, between};
use crate::support::forged::{Draw, Keys, STATE, count};
use crate::support::gateway::Answer;

/// What has led out of other programs.
const CLASSIC: &[&str] = &[
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "https://evil.example",
    "https:evil.example",
    "http:/evil.example",
    "https:///evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "\\\\evil.example",
    "/\\/evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/ /evil.example",
    "/%09/evil.example",
    "/%0a/evil.example",
    "/%2f%2fevil.example",
    "/%5cevil.example",
    "//%65vil.example",
    "//evil%E3%80%82example",
    "//evil。example",
    "／／evil.example",
    "/.//evil.example",
    "/..//evil.example",
    "/;//evil.example",
    "//[::1]/",
    "//127.0.0.1:1/",
    "//2130706433/",
    "//user@evil.example/",
    "@evil.example",
    ".evil.example",
    ":1@evil.example",
    "javascript:alert(1)",
    "java\tscript:alert(1)",
    "JaVaScRiPt://%0aalert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "//madrid.localhost.evil.example/",
    "//evil.example/madrid.localhost",
    "//evil.example#madrid.localhost",
    "//evil.example?madrid.localhost",
    "/?x\r\nLocation: //evil.example",
    "/\u{0}//evil.example",
    "/\u{202e}//evil.example",
    "agent:1//evil.example",
    "agent://evil.example",
    "agent:..%2f..%2f",
    "agent:1\r\nSet-Cookie: a=b",
    "agent:1&next=//evil.example",
    "agent:\\\\evil.example",
    "",
    "/",
    "#",
    "?",
    ".",
    "..",
];

const PIECES: &[&str] = &[
    "/",
    "//",
    "\\",
    "evil.example",
    "https:",
    "http:",
    "javascript:",
    "data:",
    "@",
    "%2f",
    "%5c",
    "%09",
    "%00",
    "\t",
    "\n",
    "\r",
    "\0",
    " ",
    ".",
    "..",
    ";",
    "?",
    "#",
    "&",
    "=",
    ":",
    "agent:",
    "modules:",
    "events:",
    "42",
    "x",
    "。",
    "／",
    "\u{2044}",
    "[::1]",
    "127.0.0.1:1",
    "madrid.localhost",
    "login",
    "open",
    "\u{feff}",
    "\u{202e}",
    "'",
    "\"",
    "<",
    "{",
    "|",
    "é",
    "~",
    "-",
    "_",
];

fn hostile(draw: &mut Draw) -> String {
    (0..1 + draw.next(7)).map(|_| draw.of(PIECES)).collect()
}

/// The classic list, and then drawn ones.
fn corpus(count: usize, seed: u64) -> impl Iterator<Item = String> {
    let mut draw = Draw(seed);
    let drawn = std::iter::from_fn(move || Some(hostile(&mut draw)));
    CLASSIC.iter().map(|text| (*text).to_owned()).chain(drawn).take(count)
}

/// Whether a browser at `here` that is told to go there stays at the origin of `home`.
fn stays(here: &Url, to: &str, home: &Url) -> bool {
    here.join(to).is_ok_and(|url| url.origin() == home.origin())
}

#[test]
fn no_landing_path_leaves_its_site() {
    let home = Url::parse("https://madrid.example/pandora_console/mc.php?a=login").unwrap();
    let mut taken = 0;
    for text in corpus(100_000, 3).flat_map(|text| [format!("/{text}"), text]) {
        if is_landing_path(&text) {
            assert!(stays(&home, &text, &home), "{text:?}");
            taken += 1;
        }
    }
    assert!(taken > 1_000, "{taken}: hardly any was a path at all");
}

#[tokio::test]
async fn no_view_leaves_its_site() {
    let world = World::new().await;
    let id = "madrid".parse().unwrap();
    let app = world.served.gateway.app.load_full();
    let slot = app.federation.slot(&id).unwrap();
    let (site, home) = (slot.plan().site.as_ref().unwrap(), Url::parse(&world.madrid.root()).unwrap());
    let mut taken = 0;
    for text in corpus(100_000, 5).flat_map(|text| [format!("agent:{text}"), text]) {
        if let Some(view) = view(&text) {
            let path = landing(&site.link(view)).unwrap();
            assert!(is_landing_path(&path) && stays(&home, &path, &home), "{text:?} {path:?}");
            taken += 1;
        }
    }
    assert!(taken > 500, "{taken}: hardly any was a view at all");
    let (mut ana, gateway) = (world.browser("ana").await, Url::parse(&world.served.url("/")).unwrap());
    for text in corpus(count("METACONSOLE_REDIRECTS", 1_500), 7) {
        let query: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let page = ana.get(&format!("/open/madrid?view={query}")).await;
        assert!(page.headers.get("location").is_none() && [200, 400].contains(&page.status), "{text:?} {page:?}");
        assert_eq!(page.status == 200, view(&text).is_some(), "{text:?}");
        for rest in page.text.split(" href=\"").skip(1).chain(page.text.split(" action=\"").skip(1)) {
            let to = rest.split('"').next().unwrap().replace("&amp;", "&").replace("&#38;", "&");
            assert!(stays(&gateway, &to, &gateway) || stays(&gateway, &to, &home), "{text:?} leads to {to}");
        }
    }
}

#[tokio::test]
async fn a_login_goes_on_to_nobody_else() {
    let world = World::new().await;
    let gateway = Url::parse(&world.served.url("/login")).unwrap();
    let mut nobody = Browser::new(&world.served.url(""));
    for text in corpus(count("METACONSOLE_REDIRECTS", 1_500), 9).flat_map(|text| [format!("/{text}"), text]) {
        let query: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let page = nobody.get(&format!("/login?next={query}")).await;
        assert_eq!(page.status, 200, "{page:?}");
        let next = between(&page.text, "name=\"next\" value=\"", "\"").replace("&#34;", "\"").replace("&#39;", "'");
        let next = next.replace("&#60;", "<").replace("&#62;", ">").replace("&#38;", "&");
        assert!(next.is_empty() || (next == text && stays(&gateway, &next, &gateway)), "{text:?} {next:?}");
    }
    // To the end, where the form is not the page's own.
    for text in
        ["//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example", "/open/madrid?view=agent:1"]
    {
        let mut ana = Browser::new(&world.served.url(""));
        let answer = ana.log_in("ana", "correct horse ana", text).await;
        let to = answer.header("location").to_owned();
        assert!(answer.status == 303 && stays(&gateway, &to, &gateway), "{text:?} {to:?}");
        assert_eq!(to == text, text.starts_with("/open/"));
    }
}

#[tokio::test]
async fn no_signed_path_leads_out_of_the_drop_in() {
    let world = World::new().await;
    let master = std::fs::read_to_string(world.config.path().with_file_name("master")).unwrap();
    let keys = Keys::read("2026a", &master);
    let home = Url::parse(&world.madrid.root()).unwrap();
    let at = Url::parse(&format!("{}mc.php?a=login", world.madrid.root())).unwrap();
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let url = format!("http://{}/pandora_console/mc.php?a=login", world.madrid.address);
    let (mut landed, mut refused) = (0, 0);
    for text in corpus(count("METACONSOLE_REDIRECTS", 700), 15).flat_map(|text| [format!("/{text}"), text]) {
        let now = Clock::System.now().as_secs();
        let payload = json!({
            "iss": "gateway", "aud": "madrid", "sub": "ops.reader", "act": "local:ana", "amr": "pwd", "iat": now,
            "exp": now + 60, "jti": random_number().unwrap(), "dst": text, "st": state_hash(STATE),
        });
        let form = [("mc_token", keys.signed("madrid", &payload.to_string()))];
        let request = client.post(&url).header("cookie", format!("__Host-mc_pre_attacks0={STATE}")).form(&form);
        let answer = Answer::of(request.send().await.unwrap()).await;
        // Both programs have one opinion about each path.
        assert_eq!(answer.status == 303, is_landing_path(&text), "{text:?} {answer:?}");
        if answer.status == 303 {
            assert!(stays(&at, answer.header("location"), &home), "{text:?} {answer:?}");
            landed += 1;
        } else {
            assert!(answer.status == 403 && answer.headers.get("location").is_none(), "{text:?} {answer:?}");
            refused += 1;
        }
    }
    assert!(landed > 10 && refused > 100, "{landed} {refused}");
}

#[tokio::test]
async fn whoever_looks_at_every_address_takes_and_makes_nothing() {
    let world = World::new().await;
    let (mut ana, mut visitor) = (world.browser("ana").await, world.visitor());
    let start = world.start(&mut ana, "madrid", "agent:1").await;
    let back = world.visit(&mut visitor, &start).await;
    let mut addresses: Vec<String> = crate::people::routes().into_iter().map(|(_, path)| path).collect();
    addresses.extend([back.clone(), "/open/madrid?view=agent:1".to_owned(), "/open/madrid/finish?p=x&st=y".to_owned()]);
    let kinds: &[(&str, &[(&str, &str)])] = &[
        ("GET", &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("sec-fetch-site", "none")]),
        ("HEAD", &[]),
        ("OPTIONS", &[]),
        ("GET", &[("sec-purpose", "prefetch"), ("accept", "text/html")]),
        ("GET", &[("sec-purpose", "prefetch;prerender"), ("purpose", "prefetch"), ("x-moz", "prefetch")]),
        ("GET", &[("user-agent", "Mozilla/5.0 (compatible; LinkScanner/1.0)"), ("accept", "*/*")]),
    ];
    let mut looked = 0;
    for address in &addresses {
        let address = address.replace("{site}", "madrid").replace("{agent}", "1").replace("{module}", "1");
        for (method, headers) in kinds {
            let request = ana.client.request(method.parse().unwrap(), world.served.url(&address));
            let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            let answer = ana.send(request).await;
            assert!(!answer.text.contains("mc1.") && answer.status < 500, "{method} {address}: {answer:?}");
            looked += 1;
        }
    }
    assert!(looked > 200, "{looked}");
    assert!(world.told.events.lock().unwrap().is_empty(), "something was signed, taken or refused");
    // What was pending still is, and so is its token while somebody looks at the site's address of it.
    let token = token(&world.finish(&mut ana, &back).await).unwrap();
    let login = format!("{}mc.php?a=login", world.madrid.root());
    for (method, headers) in kinds {
        for url in [login.clone(), format!("{login}&mc_token={token}"), start.clone()] {
            let answer = visitor.look(method, &url, headers).await;
            assert!(!visitor.is_in() && !answer.text.contains("mc1."), "{method} {url}: {answer:?}");
        }
    }
    let landed = visitor.post(&login, &[("mc_token", &token)]).await;
    assert!(landed.status == 303 && visitor.is_in(), "{landed:?} {:?}", world.madrid.decisions().pop());
}
