//! Pages that everybody can use: axe looks at each of them, in light, dark, and at a phone's width.

use std::path::PathBuf;

use metaconsole::demo::Fault;
use serde_json::{Value, json};

use super::driver::Browser;
use crate::support::browser::hashed;
use crate::support::gateway::{Served, console};
use crate::support::program::Config;

/// Where `scripts/test` puts it.
pub(super) fn axe() -> String {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(target).join("tools/axe/node_modules/axe-core/axe.min.js");
    let missing = "axe-core is missing, and this test needs it: run scripts/test, which installs it";
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{missing} ({}: {error})", path.display()))
}

pub(super) async fn findings(browser: &Browser, axe: &str) -> Vec<String> {
    // Through the driver: the page's own policy lets no script in.
    browser.devtools("Runtime.evaluate", json!({"expression": axe})).await;
    let run =
        json!({"expression": "axe.run({resultTypes: ['violations']})", "awaitPromise": true, "returnByValue": true});
    let result = browser.devtools("Runtime.evaluate", run).await;
    let found = result["result"]["value"]["violations"].as_array().unwrap_or_else(|| panic!("{result}")).clone();
    let grave = |finding: &&Value| matches!(finding["impact"].as_str(), Some("serious" | "critical"));
    let told = |finding: &Value| format!("{}: {} {}", finding["id"], finding["help"], finding["nodes"][0]["html"]);
    found.iter().filter(grave).map(told).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_has_a_serious_finding() {
    let axe = axe();
    let (a, b) = (console(&["web-01", "db-01"]), console(&["web-02"]));
    b.faults().add(Fault::Refuse);
    let served = Served::start(&Config::sites([("a", a.url()), ("b", b.url())])).await;
    let browser = Browser::start(1200, 800).await;
    browser.open(&served.url("/")).await;
    browser.says("#status", "2 agents").await;
    let mut broken = Vec::new();
    for (scheme, width) in [("light", 1200), ("dark", 1200), ("light", 380), ("dark", 380)] {
        browser.scheme(scheme).await;
        browser.size(width, 800).await;
        for page in [
            "/",
            "/?q=web+status:normal+-test",
            "/?q=web+stat:up",
            "/sites",
            "/sites/b",
            "/agents/a/1",
            "/wall",
            "/nowhere",
        ] {
            browser.open(&served.url(page)).await;
            if page == "/" {
                browser.says("#status", "2 agents").await;
                browser.eval("document.getElementById('pill').open = true").await;
                browser.says("#pill", "refuses connections").await;
            }
            if page == "/?q=web+status:normal+-test" {
                browser.says("#chips", "-test 2").await;
                for open in ["document.getElementById('view').open = true", "document.getElementById('help').click()"] {
                    broken.extend(
                        findings(&browser, &axe).await.into_iter().map(|it| format!("{scheme} {width} {page}: {it}")),
                    );
                    browser.eval(open).await;
                }
            }
            if page.starts_with("/agents/") {
                browser.until("document.querySelector('.modules svg.line') !== null").await;
                browser.says("#events", "No events").await;
            }
            broken
                .extend(findings(&browser, &axe).await.into_iter().map(|it| format!("{scheme} {width} {page}: {it}")));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// The pages around a login, before and after it. Logs in as a person does, by the form.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_of_people_has_a_serious_finding_and_the_form_logs_in() {
    let axe = axe();
    let a = console(&["web-01"]);
    let config = Config::new(&format!(
        "gateway: {{state_dir: state}}\nsites: [{{id: a, url: \"{}\", credentials: {{token: \"file:token\"}}}}]\n\
         access:\n  roles: {{all: {{search: ['*'], view: ['*'], admin: ['*']}}}}\n  \
         users: [{{login: ana, password: '{}', roles: [all]}}]\n  \
         wallboards: [{{name: noc, view: web, roles: [all]}}]\n",
        a.url(),
        hashed("ana")
    ));
    let served = Served::start(&config).await;
    let browser = Browser::start(1200, 800).await;
    let mut broken = Vec::new();
    for pages in [&["/login", "/wall/pair"][..], &["/me", "/logout", "/pair"]] {
        for (scheme, width) in [("light", 1200), ("dark", 1200), ("light", 380)] {
            browser.scheme(scheme).await;
            browser.size(width, 800).await;
            for page in pages {
                browser.open(&served.url(page)).await;
                let found = findings(&browser, &axe).await;
                broken.extend(found.into_iter().map(|it| format!("{scheme} {width} {page}: {it}")));
                let fits = "document.documentElement.scrollWidth <= window.innerWidth";
                assert_eq!(browser.eval(fits).await, json!(true), "{page} is wider than {width}");
                if let Some(folder) = std::env::var_os("METACONSOLE_PICTURES") {
                    let name = format!("{}-{scheme}-{width}.png", page.trim_start_matches('/').replace('/', "-"));
                    let png = browser.driver.screenshot_as_png().await.unwrap();
                    std::fs::write(PathBuf::from(folder).join(name), png).unwrap();
                }
            }
        }
        browser.open(&served.url("/login?next=%2Fme")).await;
        let fill = "(document.querySelector('[name=login]').value = 'ana', \
                    document.querySelector('[name=password]').value = 'correct horse ana', \
                    document.querySelector('form button').click(), null)";
        browser.eval(fill).await;
        browser.says("h1", "local:ana").await;
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
