//! The audit page: who may see it, what it finds, and that nothing in it runs.

use metaconsole::audit::Record;

use super::driver::Browser;
use super::stages::{log_in, people};
use crate::support::browser::Browser as Plain;
use crate::support::gateway::{Served, console};

const TRICK: &str = "<img src=x onerror=\"window.hit=1\">\u{202e}\"'><script>window.hit=1</script>";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_are_found_by_form_paged_and_nothing_in_them_runs() {
    let madrid = console(&["web-01"]);
    let config = people(&[("madrid", madrid.url())]);
    let served = Served::start(&config).await;
    let journal = served.gateway.journal.clone().unwrap();
    for _ in 0..130 {
        journal.record(Record::login("local:someone")).await.unwrap();
    }
    journal.record(Record::login_failed(Some(TRICK), "bad_password")).await.unwrap();
    journal.record(Record::search("local:someone", TRICK, 3)).await.unwrap();
    journal.record(Record::unmapped("local:someone", &"madrid".parse().unwrap())).await.unwrap();
    let browser = Browser::start(1200, 800).await;
    log_in(&browser, &served, "root", "/audit").await;
    browser.says("h1", "Audit").await;
    let rows = "document.querySelectorAll('.lines tbody tr').length";
    assert_eq!(browser.eval(rows).await, 100);
    // Newest first: the login that led here.
    browser.says(".lines tbody tr:first-child", "local:root").await;
    browser.says(".lines tbody tr:nth-child(3)", "<img src=x onerror=").await;
    browser.says(".lines tbody tr:nth-child(3)", "(3 times)").await;
    assert_eq!(browser.eval("typeof window.hit").await, "undefined");
    assert_eq!(browser.eval("document.querySelectorAll('main img, main script').length").await, 0);
    // What is looked for stands in the address, and empty fields ask for nothing.
    browser.eval("document.querySelector('[name=outcome]').value = 'refused'").await;
    browser.eval("document.querySelector('#seek button').click()").await;
    browser.until("location.search.includes('outcome=refused')").await;
    browser.until(&format!("{rows} === 2")).await;
    browser.says(".lines", "bad_password").await;
    browser.says(".lines", "no account").await;
    assert_eq!(browser.eval("document.querySelector('[name=outcome]').value").await, "refused");
    browser.open(&served.url("/audit?site=madrid&user=&action=")).await;
    browser.until(&format!("{rows} === 1")).await;
    browser
        .open(&served.url("/audit?user=local:someone&action=login.ok&from=2020-01-01T00:00&to=2100-01-01T00:00"))
        .await;
    browser.until(&format!("{rows} === 100")).await;
    browser.eval("document.querySelector('[rel=next]').click()").await;
    browser.until(&format!("{rows} === 30 && document.querySelector('[rel=next]') === null")).await;
    browser.open(&served.url("/audit?action=key.changed")).await;
    browser.says("main", "No line is so.").await;
    browser.open(&served.url("/audit?verify=1")).await;
    browser.says(".chain", "verified now: 134 lines from number 1 on hold").await;
    browser.says(".chain", &journal.state().head.to_string()).await;
}

#[tokio::test]
async fn the_page_is_for_those_who_may_and_tells_when_the_chain_is_broken() {
    let madrid = console(&["web-01"]);
    let config = people(&[("madrid", madrid.url())]);
    let served = Served::start(&config).await;
    let journal = served.gateway.journal.clone().unwrap();
    journal.record(Record::unmapped("local:someone", &"madrid".parse().unwrap())).await.unwrap();
    let mut root = Plain::logged_in(&served.url(""), "root").await;
    let mut ana = Plain::logged_in(&served.url(""), "ana").await;
    let mut luc = Plain::logged_in(&served.url(""), "luc").await;
    let link = "href=\"/audit\"";
    assert!(root.get("/sites").await.text.contains(link) && ana.get("/sites").await.text.contains(link));
    assert!(!luc.get("/sites").await.text.contains(link));
    let refused = luc.client.get(served.url("/audit")).header("accept", "text/html");
    let refused = luc.send(refused).await;
    assert_eq!((refused.status, refused.header("content-type")), (403, "text/html; charset=utf-8"));
    assert!(
        refused.text.contains("You do not have the right") && refused.text.contains("Ask whoever runs"),
        "{refused:?}"
    );
    // Of her site and her own; how many there are beside is not told.
    let page = ana.get("/audit").await.text;
    assert!(page.contains("map.missing") && page.contains("local:ana") && !page.contains("local:root"), "{page}");
    assert!(!page.contains("Head:") && !page.contains("verify=1"), "{page}");
    let page = ana.get("/audit?verify=1").await.text;
    assert!(!page.contains("verified now"), "{page}");
    for wrong in ["x=y", "from=x", "outcome=x", "cursor=x"] {
        assert_eq!(root.get(&format!("/audit?{wrong}")).await.status, 400, "{wrong}");
    }
    let folder = config.path().with_file_name("state").join("audit");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let file = files.into_iter().find(|file| file.extension().is_some_and(|ext| ext == "jsonl")).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("local:someone", "local:anybody", 1)).unwrap();
    let page = root.get("/audit?verify=1").await.text;
    assert!(page.contains("it does not hold") && page.contains(".jsonl, line 2:"), "{page}");
    assert!(!page.contains("state/audit"), "{page}");
}
