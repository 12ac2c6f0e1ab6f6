//! The pages of the sites and the wall: for one site and for a thousand, current, and loud when they are not.

use metaconsole::demo::Fault;

use super::driver::Browser;
use crate::support::gateway::{Served, console};
use crate::support::program::Config;

/// So many sites: three that work, five that refuse, two that are paused, and the rest that nobody has asked.
fn thousand(live: [String; 3]) -> Config {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut yaml = String::from("sites:\n");
    let addresses = live.iter().map(String::as_str).map(Some).chain(std::iter::repeat(None));
    for (number, live) in addresses.take(1000).enumerate() {
        let url = live.map_or_else(|| format!("http://{closed}/pandora_console/"), str::to_owned);
        let more = match number {
            0..8 => "tags: [asked]",
            8..10 => "paused: true",
            _ => "tags: [quiet]",
        };
        yaml.push_str(&format!(
            "  - {{id: s{number:04}, name: \"Branch {number:04}\", url: \"{url}\", {more}, credentials: {{token: \"file:token\"}}}}\n"
        ));
    }
    Config::new(&yaml)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_sites_stand_worst_first_in_a_light_page_and_are_found_by_typing() {
    let consoles = [console(&["a"]), console(&["b"]), console(&["c"])];
    let served = Served::start(&thousand([consoles[0].url(), consoles[1].url(), consoles[2].url()])).await;
    served.get("/api/v1/search?q=tag:asked&deadline=20s").await;
    let page = served.get("/sites").await;
    assert!(page.text.len() < 100_000, "{} bytes", page.text.len());
    for counted in ["5 failed", "990 not read yet", "2 paused", "3 live"] {
        assert!(page.text.contains(counted), "no {counted}");
    }
    // Without a script: the same by the form, and page by page.
    let found = served.get("/sites?q=branch+0777&state=").await.text;
    assert!(found.contains("Branch 0777") && !found.contains("Branch 0778"));
    let last = served.get("/sites?page=10").await.text;
    assert!(last.contains("Branch 0002") && last.contains("901 to 1000 of 1000"), "{last}");
    assert_eq!(served.get("/sites?state=bad").await.status, 400);
    let browser = Browser::start(1200, 800).await;
    browser.open(&served.url("/sites")).await;
    browser.says(".sitelist tbody:nth-of-type(1)", "refuses connections").await;
    let sent = "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')].reduce((sum, r) => sum + r.transferSize, 0)";
    let sent = browser.eval(sent).await.as_u64().unwrap();
    assert!((5_000..100_000).contains(&sent), "{sent} bytes");
    // By keys alone, while one types; the address is the state.
    browser.eval("document.getElementById('part').focus()").await;
    browser.keys("0777").await;
    browser.until("document.querySelectorAll('.sitelist .who').length === 1").await;
    browser.says(".sitelist", "Branch 0777").await;
    assert_eq!(browser.eval("location.search").await, "?q=0777");
    assert_eq!(browser.eval("document.activeElement.id").await, "part");
    browser.eval("document.querySelector('.share .unread').parentElement.click()").await;
    browser.until("location.search === '?q=0777&state=unread'").await;
    browser.says(".sitelist", "Branch 0777").await;
    browser.open(&served.url("/sites?q=nothing+like+it")).await;
    browser.says("main", "None of 1000 sites is so.").await;
}

fn pair(a: &str, b: &str) -> Config {
    Config::new(&format!(
        "defaults: {{refresh_after: 5s, max_load: 1}}\nsites:\n  - {{id: a, url: \"{a}\", credentials: {{token: \"file:token\"}}}}\n  \
         - {{id: b, url: \"{b}\", credentials: {{token: \"file:token\"}}}}\n"
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_of_sites_follows_keeps_the_focus_and_says_when_it_is_old() {
    let (a, b) = (console(&["web-01"]), console(&["web-02"]));
    let served = Served::start(&pair(&a.url(), &b.url())).await;
    served.get("/api/v1/search?deadline=20s").await;
    let browser = Browser::start(1200, 800).await;
    browser.open(&served.url("/sites")).await;
    browser.says(".shares", "2 live").await;
    browser.eval("document.querySelector('h2 a[href$=\"/b\"]').focus()").await;
    b.faults().add(Fault::Refuse);
    let fails = async {
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(200));
        while served.get("/api/v1/sites/b").await.json()["state"] != "stale" {
            served.get("/api/v1/search?fresh=1&deadline=5s").await;
            tick.tick().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), fails).await.expect("it never fails");
    let rests = served.get("/sites/b").await.text;
    assert!(rests.contains("It rests until") && rests.contains("because its last"), "{rests}");
    browser.says(".shares", "1 stale").await;
    browser.says(".card.stale", "unreachable").await;
    browser.says(".card.stale .reads", "1 failed").await;
    assert_eq!(browser.eval("document.activeElement.getAttribute('href')").await, "/sites/b");
    // The gateway lives, but this page cannot be had.
    let broken = "(() => { const real = window.fetch; window.fetch = (to, how) => new URL(to, location.href).pathname === '/sites' \
        ? Promise.resolve(new Response('no', { status: 503 })) : real(to, how); })()";
    browser.eval(broken).await;
    let old = browser.says("#old", "does not give this page again");
    tokio::time::timeout(std::time::Duration::from_secs(10), old).await.expect("not within 10 s");
    // The page of one site, in words and in its API.
    browser.open(&served.url("/sites/b")).await;
    browser.says("main", "What helps.").await;
    browser.says("dl", "it is configured so (`refresh_after`)").await;
    let one = served.get("/api/v1/sites/b").await.json();
    let reads = one["reads"].as_array().unwrap();
    assert!((2..=60).contains(&reads.len()), "{one}");
    assert_eq!((&reads[0]["ok"], &reads[reads.len() - 1]["ok"]), (&true.into(), &false.into()));
    assert!(reads[0]["took_ms"].is_u64() && reads[0]["at"].is_string() && one["interval_because"].is_string(), "{one}");
    assert_eq!(served.get("/api/v1/sites").await.json()["sites"][0].get("reads"), None);
    b.faults().clear().unwrap();
    let probed = async {
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(500));
        while !browser.text("h1").await.contains("live") {
            browser.eval("document.querySelector('main form button').click()").await;
            tick.tick().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), probed).await.expect("the probe does not help");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_whose_script_stands_still_says_so_within_ten_seconds() {
    let a = console(&["web-01"]);
    let served = Served::start(&Config::sites([("a", a.url())])).await;
    let browser = Browser::start(1200, 800).await;
    for page in ["/wall", "/sites"] {
        browser.open(&served.url(page)).await;
        browser.says("#pulse", "gateway heard").await;
        assert_eq!(browser.eval("getComputedStyle(document.getElementById('frozen')).opacity").await, "0");
        // No timer runs any more, as in a script that hangs.
        browser.eval("(() => { for (let timer = 0; timer < 100000; timer += 1) clearTimeout(timer); })()").await;
        let seen = browser.until("getComputedStyle(document.getElementById('frozen')).opacity === '1'");
        tokio::time::timeout(std::time::Duration::from_secs(10), seen).await.expect("not within 10 s");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wall_tells_planned_work_and_old_news_apart_and_speaks_of_its_own_sites_only() {
    let (a, b) = (console(&["web-01"]), console(&["web-02"]));
    let yaml = |more: &str| {
        Config::new(&format!(
            "sites:\n  - {{id: a, tags: [here], url: \"{}\", credentials: {{token: \"file:token\"}}}}\n  \
             - {{id: b, name: Lyon, url: \"{}\", credentials: {{token: \"file:token\"}}{more}}}\n",
            a.url(),
            b.url()
        ))
    };
    let served = Served::start(&yaml(", paused: true")).await;
    let wall = served.get("/wall").await.text;
    assert!(wall.contains("No problems seen, but 1 of 2 sites is paused, as planned"), "{wall}");
    assert!(wall.contains("class=\"tile paused\"") && !wall.contains("cannot be seen"), "{wall}");
    let here = served.get("/wall?q=tag:here").await.text;
    assert!(here.contains("All well on 1 site<") && !here.contains("Lyon"), "{here}");
    // A console without an agent answers, and its silence is not health.
    let empty = console(&[]);
    let served = Served::start(&pair(&a.url(), &empty.url())).await;
    let wall = served.get("/wall").await.text;
    assert!(wall.contains("No problems seen, but 1 of 2 sites has a warning"), "{wall}");
    b.faults().add(Fault::Refuse);
    let served = Served::start(&yaml("")).await;
    let wall = served.get("/wall").await.text;
    assert!(
        wall.contains("No problems seen, but 1 of 2 sites cannot be seen now") && !wall.contains("All well"),
        "{wall}"
    );
}

#[tokio::test]
async fn errors_are_pages_for_people_and_problems_for_programs() {
    let a = console(&["web-01"]);
    let served = Served::start(&Config::sites([("a", a.url())])).await;
    for (path, host, status, said) in [
        ("/nowhere", "localhost", 404, "There is nothing at /nowhere."),
        ("/sites/zzz", "localhost", 404, "There is no site"),
        ("/sites", "evil.example", 421, "This gateway does not answer under that host name."),
    ] {
        let page = served.get_with(path, &[("accept", "text/html"), ("host", host)]).await;
        assert_eq!((page.status, page.header("content-type")), (status, "text/html; charset=utf-8"), "{path}");
        assert!(page.text.contains(said) && page.text.contains("request "), "{}", page.text);
        // It needs no script, and claims nothing of the sites.
        assert!(!page.text.contains("<script") && !page.text.contains(" live<"), "{}", page.text);
        let program = served.get_with(path, &[("host", host)]).await;
        assert_eq!((program.status, program.header("content-type")), (status, "application/problem+json"), "{path}");
    }
    let lost = served.get_with("/sites", &[("accept", "text/html"), ("host", "evil.example")]).await.text;
    let public = served.gateway.app.load().config.gateway.public_url.to_string();
    assert!(lost.contains(&format!("href=\"{public}\"")), "{lost}");
    let style = lost.split("href=\"").find(|part| part.contains("pane.css")).unwrap().split('"').next().unwrap();
    assert_eq!(served.get_with(style, &[("host", "evil.example")]).await.status, 200);
    a.faults().add(Fault::Refuse);
    let page = served.get_with("/agents/a/1", &[("accept", "text/html")]).await;
    assert_eq!(page.status, 503);
}
