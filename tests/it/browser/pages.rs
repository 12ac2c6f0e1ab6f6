//! The other pages, what they weigh, and that they work without a script.

use metaconsole::demo::Fault;

use super::driver::Browser;
use crate::support::gateway::{Served, console};
use crate::support::program::Config;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_script_search_agent_and_probe_work() {
    let (a, b) = (console(&["web-01", "db-01"]), console(&["web-02"]));
    b.faults().add(Fault::Refuse);
    let served = Served::start(&Config::sites([("a", a.url()), ("b", b.url())])).await;
    let page = served.get("/?q=web").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.text.contains("web-01") && !page.text.contains("db-01"), "{}", page.text);
    assert!(page.text.contains("1 of 2 sites missing") && page.text.contains("refuses connections"), "{}", page.text);
    // Nothing that a policy without inline scripts and styles would refuse.
    let policy = page.header("content-security-policy");
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    assert!(!page.text.contains(" style=") && !page.text.contains(" onclick="));
    // A browser with scripts is not kept waiting; one without is led to the waiting form.
    let quick = served.get_with("/?q=web", &[("sec-fetch-mode", "navigate")]).await;
    assert!(
        quick.text.contains("<noscript><meta http-equiv=\"refresh\" content=\"0;url=?q=web&#38;sort=&#38;wait=1\">"),
        "{}",
        quick.text
    );
    let agent = served.get("/agents/a/1").await;
    assert!(agent.status == 200 && agent.text.contains("<bdi>web-01</bdi>"), "{}", agent.text);
    assert!(agent.text.contains(&format!("{}index.php?", a.url())), "{}", agent.text);
    let html = [("accept", "text/html")];
    for (path, status) in [("/agents/a/99", 404), ("/agents/c/1", 404), ("/agents/b/1", 503), ("/sites/c", 404)] {
        let answer = served.get_with(path, &html).await;
        assert_eq!((answer.status, answer.header("content-type")), (status, "text/html; charset=utf-8"), "{path}");
    }
    // The same for a program is a problem.
    assert_eq!(served.get("/agents/a/99").await.json()["code"], "unknown_agent");
    let sites = served.get("/sites").await.text;
    assert!(sites.find("refuses connections").unwrap() < sites.find("sites/a\"").unwrap(), "worst first: {sites}");
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let probe = client.post(served.url("/sites/a/probe")).send().await.unwrap();
    assert_eq!(probe.status(), 303);
    assert!(probe.headers()["location"].to_str().unwrap().starts_with("/sites/a?probe="));
    let foreign =
        client.post(served.url("/sites/a/probe")).header("sec-fetch-site", "cross-site").send().await.unwrap();
    assert_eq!(foreign.status(), 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_light_and_asks_nobody_else() {
    let a = console(&["web-01"]);
    let served = Served::start(&Config::sites([("a", a.url())])).await;
    let browser = Browser::start(1200, 800).await;
    browser.open(&served.url("/?q=web")).await;
    browser.says("#status", "1 agent.").await;
    let weight = "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')].reduce((sum, r) => sum + r.decodedBodySize, 0)";
    let weight = browser.eval(weight).await.as_u64().unwrap();
    assert!((20_000..100_000).contains(&weight), "{weight} bytes");
    let foreign =
        "performance.getEntriesByType('resource').filter((r) => new URL(r.name).origin !== location.origin).length";
    assert_eq!(browser.eval(foreign).await, 0);
    // Kept for good: a second page asks for no file again.
    browser.open(&served.url("/sites")).await;
    browser.says("h1", "Sites").await;
    let sent = "performance.getEntriesByType('resource').filter((r) => r.name.endsWith('pane.css') && r.transferSize > 0).length";
    assert_eq!(browser.eval(sent).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wall_follows_marks_what_is_new_and_is_loud_when_it_is_blind() {
    use metaconsole::demo::{Agent, Downtime, Module, ModuleState};
    let (a, b) = (console(&["web-01"]), console(&["web-02"]));
    let now = metaconsole::clock::Clock::System.now().as_secs();
    let (name, description) = ("Night patch".to_owned(), String::new());
    let work = Downtime { id: 1, name, description, from: now - 60, to: now + 3600, group: 2 };
    a.fleet().downtimes.push(work);
    let yaml = format!(
        "defaults: {{refresh_after: 5s, max_load: 1}}\nsites:\n  - {{id: a, url: \"{}\", credentials: {{token: \"file:token\"}}}}\n  \
         - {{id: b, url: \"{}\", credentials: {{token: \"file:token\"}}}}\n",
        a.url(),
        b.url()
    );
    let served = Served::start(&Config::new(&yaml)).await;
    let browser = Browser::start(1600, 900).await;
    browser.open(&served.url("/wall")).await;
    browser.says("h1", "All well on 2 sites").await;
    browser.says(".tile.in-work .work", "planned work: Night patch until").await;
    // What stands there when the screen is switched on is not called new; only later is.
    browser.until("performance.now() > 15500").await;
    a.fleet().add(Agent::new("db-01", 2).module(Module::new("Disk", ModuleState::Critical, "99")));
    browser.says("h1", "1 problem").await;
    browser.says("tr.new .work", "planned work").await;
    browser.until("document.querySelector('tr.new .newly') !== null").await;
    b.faults().add(Fault::Refuse);
    browser.says("[data-swap=wall]", "refuses connections").await;
    drop(served);
    browser.says("#lost", "does not answer").await;
    browser.until("document.documentElement.classList.contains('is-lost')").await;
}
