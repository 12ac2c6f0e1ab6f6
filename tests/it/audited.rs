//! What people do is in the audit log, and who may read it there.

use metaconsole::audit::{Record, verify_files};
use serde_json::{Value, json};

use crate::support::browser::{Browser, SESSION, hashed};
use crate::support::gateway::{Served, console, until};
use crate::support::program::Config;

const ROLES: &str = "    all: {search: ['*'], view: ['*'], audit: ['*']}\n    \
                     spain: {search: [madrid], audit: [madrid]}\n    \
                     web: {search: [madrid], audit: [{sites: [madrid], groups: [Web]}]}\n    \
                     none: {search: [madrid]}\n";

async fn gateway() -> (Served, Config, metaconsole::demo::Console) {
    let madrid = console(&["web-madrid"]);
    let user = |(login, role): &(&str, &str)| {
        format!("    - {{login: {login}, password: '{}', roles: [{role}]}}\n", hashed(login))
    };
    let users: String = [("root", "all"), ("ana", "spain"), ("eva", "web"), ("luc", "none")].iter().map(user).collect();
    let config = Config::new(&format!(
        "gateway: {{state_dir: state}}\nsites:\n  \
         - {{id: madrid, url: \"http://{}/pandora_console/\", credentials: {{token: \"file:token\"}}}}\n\
         access:\n  roles:\n{ROLES}  users:\n{users}",
        madrid.address()
    ));
    (Served::start(&config).await, config, madrid)
}

fn of(answer: &Value, key: &str) -> Vec<String> {
    let lines = answer["lines"].as_array().unwrap();
    lines.iter().map(|line| line[key].as_str().unwrap_or("").to_owned()).collect()
}

#[tokio::test]
async fn logins_searches_and_ends_are_recorded_and_nothing_secret() {
    let (served, config, _console) = gateway().await;
    let mut root = Browser::logged_in(&served.url(""), "root").await;
    let mut ana = Browser::new(&served.url(""));
    ana.log_in("ana", "wrong secret word", "").await;
    ana.log_in("my password is here", "wrong secret word", "").await;
    assert_eq!(ana.log_in("ana", "correct horse ana", "").await.status, 303);
    for query in ["pay", "payr", "payroll"] {
        assert_eq!(ana.get(&format!("/api/v1/search?q={query}")).await.status, 200);
    }
    let cookie = ana.cookies[SESSION].clone();
    let page = ana.get("/logout").await.text;
    let form = crate::support::browser::between(&page, "name=\"form\" value=\"", "\"").to_owned();
    assert_eq!(ana.post("/logout", &[("form", &form), ("everywhere", "1")]).await.status, 303);
    let journal = served.gateway.journal.clone().unwrap();
    // The search settles a second after its last letter.
    until("the search is recorded", || async { journal.state().seq >= 6 }).await;
    let answer = root.get("/api/v1/audit?user=local:ana").await.json();
    let mut actions = of(&answer, "action");
    actions.sort();
    assert_eq!(actions, ["login.failed", "login.ok", "search", "session.revoked"]);
    let metrics = root.get("/metrics").await.text;
    let head = format!("\nmetaconsole_audit_head_info{{head=\"{}\"}} 1\n", journal.state().head);
    assert!(metrics.contains(&head) && metrics.contains("\nmetaconsole_audit_failing 0\n"), "{metrics}");
    let search = root.get("/api/v1/audit?action=search").await.json();
    assert_eq!((&search["lines"][0]["detail"], &search["lines"][0]["count"]), (&json!("payroll"), &json!(3)));
    let failed = root.get("/api/v1/audit?action=login.failed").await.json();
    assert_eq!(of(&failed, "actor"), ["unknown", "local:ana"]);
    assert_eq!(of(&failed, "ip"), ["127.0.0.1", "127.0.0.1"]);
    assert_eq!(of(&root.get("/api/v1/audit?from=2100-01-01").await.json(), "action"), [""; 0]);
    assert_eq!(of(&root.get("/api/v1/audit?to=2020-01-01T00:00:00Z").await.json(), "action"), [""; 0]);
    for wrong in ["from=x", "limit=0", "cursor=x", "format=csv", "x=y"] {
        assert!(matches!(root.get(&format!("/api/v1/audit?{wrong}")).await.status, 400 | 406), "{wrong}");
    }
    journal.close().await;
    let folder = config.path().with_file_name("state").join("audit");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let files: Vec<_> = files.into_iter().filter(|file| file.extension().is_some_and(|ext| ext == "jsonl")).collect();
    verify_files(&files, None).unwrap();
    let text: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    for secret in ["wrong secret", "my password", "correct horse", "argon2", &cookie, &form] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    // Nothing can be recorded any more, so nobody gets in, and those who are in go on.
    let answer = ana.log_in("ana", "correct horse ana", "").await;
    assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("not_recorded")));
    assert_eq!(root.get("/api/v1/search?q=web").await.status, 200);
}

#[tokio::test]
async fn pages_and_exports_hold_every_line_once_and_others_see_their_own_only() {
    let (served, _config, _console) = gateway().await;
    let journal = served.gateway.journal.clone().unwrap();
    for _ in 0..300 {
        journal.record(Record::login("local:someone")).await.unwrap();
    }
    let madrid = Record::unmapped("local:someone", &"madrid".parse().unwrap());
    let lyon = Record::unmapped("local:someone", &"lyon".parse().unwrap());
    for record in [&madrid, &lyon, &madrid] {
        journal.record(record.clone()).await.unwrap();
    }
    let mut root = Browser::logged_in(&served.url(""), "root").await;
    let mut people = vec![root.get("/api/v1/audit?limit=1000").await.json()["lines"].as_array().unwrap().clone()];
    assert_eq!(people[0].len(), 304);
    for login in ["ana", "eva"] {
        let mut browser = Browser::logged_in(&served.url(""), login).await;
        let mut lines = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = browser.get(&format!("/api/v1/audit?limit=1{cursor}")).await.json();
            lines.extend(page["lines"].as_array().unwrap().clone());
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        let hidden = |line: &Value| line.get("seq").is_none() && line.get("prev").is_none();
        assert!(lines.iter().all(hidden), "numbers would tell how much is not shown: {lines:?}");
        people.push(lines);
    }
    let told = |lines: &[Value]| -> Vec<String> {
        lines.iter().map(|line| format!("{} {}", line["action"].as_str().unwrap(), line["site"])).collect()
    };
    assert_eq!(told(&people[1]), ["login.ok null", "map.missing \"madrid\"", "map.missing \"madrid\""]);
    assert_eq!(told(&people[2]), ["login.ok null"], "who audits some groups sees no line of the whole site");
    let export = root.get("/api/v1/audit?format=ndjson").await;
    let lines: Vec<Value> = export.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.last().unwrap(), &json!({"ended": "all"}));
    let numbers: Vec<u64> = lines.iter().filter_map(|line| line["seq"].as_u64()).collect();
    assert_eq!(numbers, (1..=306).rev().collect::<Vec<_>>());
    let mut paged = Vec::new();
    let mut cursor = String::new();
    while let page = root.get(&format!("/api/v1/audit?limit=70{cursor}")).await.json()
        && let Some(next) = page["next_cursor"].as_str()
    {
        paged.extend(page["lines"].as_array().unwrap().iter().map(|line| line["seq"].as_u64().unwrap()));
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, (27..=306).rev().collect::<Vec<_>>(), "and the last page has the rest");
}
