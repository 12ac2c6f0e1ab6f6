//! What browsers may do here, exact names as a spreadsheet, and suggestions while somebody types.

use crate::support::gateway::{Served, console};
use crate::support::program::Config;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_of_somebody_else_causes_a_read_and_a_person_who_follows_a_link_does() {
    let a = console(&["web-01"]);
    let served = Served::start(&Config::sites([("a", a.url())])).await;
    for site in ["cross-site", "same-site"] {
        for (mode, dest) in [("no-cors", "image"), ("cors", "empty"), ("navigate", "iframe")] {
            let headers = [("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)];
            let answer = served.get_with("/api/v1/search", &headers).await;
            assert_eq!((answer.status, &answer.json()["code"]), (403, &"foreign_origin".into()), "{headers:?}");
            assert_eq!(served.get_with("/healthz", &headers).await.status, 200);
        }
    }
    assert_eq!(a.requests().load().total, 0);
    for headers in [
        [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")],
        [("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")],
        [("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")],
    ] {
        let answer = served.get_with("/api/v1/search?deadline=20s", &headers).await;
        assert_eq!((answer.status, &answer.json()["total"]), (200, &1.into()), "{headers:?}");
        for policy in ["cross-origin-resource-policy", "cross-origin-opener-policy"] {
            assert_eq!(answer.header(policy), "same-origin");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exact_name_has_the_forms_of_a_search_but_the_stream() {
    let a = console(&["web-01", "web-011"]);
    let served = Served::start(&Config::sites([("a", a.url())])).await;
    let with = async |accept| served.get_with("/api/v1/where?name=WEB-01&deadline=20s", &[("accept", accept)]).await;
    let csv = with("text/csv").await;
    assert_eq!((csv.status, csv.header("content-type")), (200, "text/csv; charset=utf-8"));
    let lines: Vec<&str> = csv.text.lines().collect();
    assert!(lines.len() == 3 && lines[0].starts_with("site,") && lines[1].contains("web-01,"), "{csv:?}");
    let stream = with("application/x-ndjson").await;
    assert_eq!((stream.status, &stream.json()["code"]), (406, &"not_acceptable".into()));
    assert!(stream.json()["remedy"].as_str().unwrap().contains("text/csv"), "{stream:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_typed_word_is_no_mistake_of_a_suggestion() {
    let a = console(&["web-01", "db-01"]);
    let served = Served::start(&Config::sites([("a", a.url())])).await;
    served.get("/api/v1/search?deadline=20s").await;
    for (typed, query) in [("web%20status:", "web"), ("web%20%22", "web"), ("web%20-", "web"), ("%22we", "we")] {
        let answer = served.get(&format!("/api/v1/suggest?q={typed}")).await;
        assert_eq!((answer.status, &answer.json()["query"]), (200, &query.into()), "{typed}");
        assert_eq!(served.get(&format!("/api/v1/search?q={typed}")).await.status, 400, "{typed}");
    }
}
