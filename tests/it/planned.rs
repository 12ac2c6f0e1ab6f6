//! Planned downtimes of a console, on the wall, on the site's page and in the API: told beside problems, which none hides.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use metaconsole::clock::Clock;
use metaconsole::demo::{Agent, Console, Downtime, Fault, Fleet, Module, ModuleState, Settings};

use crate::support::browser::{Browser, hashed};
use crate::support::gateway::Served;
use crate::support::program::Config;

const NAME: &str = "Switch <b>swap</b> \u{202e}";

/// One downtime that runs, one that comes, one that is over, and one that is far away.
fn console() -> Console {
    let now = Clock::System.now().as_secs();
    let downtime = |id, name: &str, from: i64, to: i64| Downtime {
        id,
        name: name.to_owned(),
        description: "do not tell".to_owned(),
        from: now + from,
        to: now + to,
        group: 2,
    };
    let disk = Module::new("Disk", ModuleState::Critical, "99");
    let mut fleet = Fleet::empty(now).group(2, "Web", 0).agent(Agent::new("web-01", 2).module(disk));
    fleet.downtimes = vec![
        downtime(1, NAME, -600, 7200),
        downtime(2, "Night patch", 7200, 9000),
        downtime(3, "Over", -9000, -60),
        downtime(4, "Far", 200_000, 300_000),
    ];
    Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), fleet, Settings::default()).unwrap()
}

fn asked(console: &Console) -> usize {
    console.requests().count("all_planned_downtimes")
}

/// The wall, when the site has been read and its planned work has come.
async fn wall(browser: &mut Browser) -> String {
    let looking = async {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        loop {
            tick.tick().await;
            let page = browser.get("/wall").await;
            assert_eq!(page.status, 200, "{page:?}");
            if page.text.contains("in planned work") {
                return page.text;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looking).await.expect("no planned work on the wall")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planned_work_stands_beside_problems_and_its_name_is_for_who_sees_the_whole_site() {
    let console = console();
    let user = |login: &str, role: &str| format!("{{login: {login}, password: '{}', roles: [{role}]}}", hashed(login));
    let config = Config::new(&format!(
        "gateway: {{state_dir: state, trusted_proxies: [127.0.0.1]}}\n\
         sites: [{{id: a, url: \"{}\", credentials: {{token: \"file:token\"}}}}]\n\
         access:\n  roles:\n    all: {{search: ['*'], view: ['*']}}\n    \
         web: {{search: [{{sites: [a], groups: [Web]}}], view: [{{sites: [a], groups: [Web]}}]}}\n  \
         users: [{}, {}]\n",
        console.url(),
        user("root", "all"),
        user("eva", "web"),
    ));
    let served = Served::start(&config).await;
    let base = served.url("");
    let (mut root, mut eva) = (Browser::logged_in(&base, "root").await, Browser::logged_in(&base, "eva").await);
    // Neither states nor searches ask for it, nor are they told what nobody has asked for.
    root.get("/api/v1/search?q=&deadline=20s").await;
    for path in ["/sites", "/api/v1/sites", "/api/v1/sites/a", "/api/v1/pulse"] {
        assert_eq!(root.get(path).await.status, 200, "{path}");
    }
    assert!(root.get("/api/v1/sites/a").await.json().get("planned").is_none());
    assert_eq!(asked(&console), 0);
    let seen = wall(&mut root).await;
    assert!(seen.contains(">1 problem; 1 site in planned work</h1>"), "{seen}");
    assert!(seen.contains("in-work has-critical") && seen.contains("1 critical</span>"), "{seen}");
    let tag = "planned work: <bdi>Switch &#60;b&#62;swap&#60;/b&#62; [U+202E]</bdi> until ";
    assert!(seen.contains(tag) && seen.contains(" UTC</small>"), "{seen}");
    assert!(seen.contains("<td>a <small class=\"work\">planned work</small></td>"), "{seen}");
    let site = root.get("/sites/a").await.text;
    assert!(site.contains("Switch") && site.contains("runs until") && site.contains("Night patch"), "{site}");
    assert!(!site.contains("Over") && !site.contains("Far") && !site.contains("do not tell"), "{site}");
    let planned = root.get("/api/v1/sites/a").await.json()["planned"].clone();
    assert_eq!((planned.as_array().unwrap().len(), &planned[0]["name"]), (2, &NAME.into()), "{planned}");
    assert!(planned[1]["from"].is_string() && planned[1]["to"].is_string(), "{planned}");
    // Who sees one group is told that there is work, in nobody's words.
    let part = wall(&mut eva).await;
    assert!(part.contains("<small class=\"work\">planned work</small>\n"), "{part}");
    assert!(part.contains("<td>a <small class=\"work\">planned work</small></td>"), "{part}");
    let page = eva.get("/sites/a").await.text;
    let told = eva.get("/api/v1/sites/a").await.json()["planned"].clone();
    for text in [&part, &page, &told.to_string()] {
        assert!(!text.contains("Switch") && !text.contains("Night patch") && !text.contains("do not tell"), "{text}");
    }
    assert!(page.contains("runs until") && told.as_array().unwrap().len() == 2 && told[0]["to"].is_string(), "{told}");
    assert_eq!(asked(&console), 1, "all of them looked at one answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_that_cannot_be_read_is_not_asked_for_planned_work_either() {
    let console = console();
    console.faults().add(Fault::ProxyPage(axum::http::StatusCode::BAD_GATEWAY));
    let served = Served::start(&Config::sites([("a", console.url())])).await;
    for path in ["/wall", "/sites/a", "/wall"] {
        let page = served.get(path).await;
        assert!(page.status == 200 && !page.text.contains("planned work"), "{}", page.text);
    }
    assert!(console.requests().load().total > 0);
    assert_eq!(asked(&console), 0);
}
