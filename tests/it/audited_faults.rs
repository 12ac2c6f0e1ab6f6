//! The real program with its audit log: killed at any moment, on a disk that refuses, with changed files.

use std::collections::BTreeSet;
use std::path::PathBuf;

use metaconsole::audit::verify_files;
use serde_json::Value;

use crate::support::browser::{Browser, SESSION, between, hashed};
use crate::support::gateway::until;
use crate::support::program::Config;
use crate::support::running::Running;

fn yaml(users: &[&str]) -> String {
    let user = |login: &&str| format!("    - {{login: {login}, password: '{}', roles: [all]}}\n", hashed(login));
    format!(
        "gateway: {{listen: \"127.0.0.1:0\", state_dir: state}}\n\
         sites: [{{id: a, url: \"http://10.0.0.1/\", credentials: {{token: \"file:token\"}}}}]\n\
         access:\n  roles: {{all: {{search: ['*'], view: ['*'], audit: ['*']}}}}\n  users:\n{}",
        users.iter().map(user).collect::<String>()
    )
}

fn files(config: &Config) -> Vec<PathBuf> {
    let folder = config.path().with_file_name("state").join("audit");
    let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = all.filter(|path| path.extension().is_some_and(|ext| ext == "jsonl")).collect();
    files.sort();
    files
}

fn lines(config: &Config) -> Vec<Value> {
    let text: String = files(config).iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    // What a kill tore is cut off at the next start.
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn count(config: &Config, action: &str, actor: &str) -> usize {
    lines(config).iter().filter(|line| line["action"] == action && line["actor"] == actor).count()
}

async fn status(base: &str, session: &str) -> u16 {
    let mut browser = Browser::new(base);
    browser.cookies.insert(SESSION.to_owned(), session.to_owned());
    browser.get("/api/v1/me").await.status
}

/// Logs in, and out everywhere, for as long as there is a gateway. Tells the sessions it was told good, and ended.
async fn busy(base: String, login: &'static str) -> (usize, BTreeSet<String>) {
    let (mut logins, mut ended) = (0, BTreeSet::new());
    loop {
        let mut open = Vec::new();
        for _ in 0..2 {
            let Some(session) = log_in(&base, login).await else { return (logins, ended) };
            logins += 1;
            open.push(session);
        }
        let Some(form) = ask(&base, &open[0], None).await else { return (logins, ended) };
        let form = between(&form, "name=\"form\" value=\"", "\"").to_owned();
        if ask(&base, &open[0], Some(&form)).await.is_none() {
            return (logins, ended);
        }
        ended.extend(open);
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

async fn log_in(base: &str, login: &str) -> Option<String> {
    let page = client().get(format!("{base}/login")).send().await.ok()?;
    let cookie = page.headers().get("set-cookie")?.to_str().unwrap().split(';').next().unwrap().to_owned();
    let page = page.text().await.ok()?;
    let form = between(&page, "name=\"form\" value=\"", "\"").to_owned();
    let fields = [("form", form), ("login", login.to_owned()), ("password", format!("correct horse {login}"))];
    let answer = client().post(format!("{base}/login")).header("cookie", cookie).form(&fields).send().await.ok()?;
    assert_eq!(answer.status(), 303);
    let sets = answer.headers().get_all("set-cookie");
    let session = sets.iter().find_map(|set| set.to_str().unwrap().strip_prefix("__Host-mc_session="));
    Some(session.unwrap().split(';').next().unwrap().to_owned())
}

/// `/logout`: its page, or with the form's token the end of all sessions.
async fn ask(base: &str, session: &str, form: Option<&str>) -> Option<String> {
    let request = match form {
        None => client().get(format!("{base}/logout")),
        Some(form) => client().post(format!("{base}/logout")).form(&[("form", form), ("everywhere", "1")]),
    };
    let answer = request.header("cookie", format!("{SESSION}={session}")).send().await.ok()?;
    assert!(matches!(answer.status().as_u16(), 200 | 303), "{answer:?}");
    answer.text().await.ok()
}

/// Ends all sessions of whom this one is: what is answered.
async fn leave(base: &str, session: &str, form: &str) -> u16 {
    let request = client().post(format!("{base}/logout")).form(&[("form", form), ("everywhere", "1")]);
    request.header("cookie", format!("{SESSION}={session}")).send().await.unwrap().status().as_u16()
}

/// Killed while people log in and out everywhere and the file changes, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_nothing_ended_is_good_and_nothing_was_done_unrecorded() {
    let people = ["ana", "ben", "eva"];
    let all = yaml(&people);
    let config = Config::new(&all);
    let (mut logins, mut ended) = ([0; 3], BTreeSet::<String>::new());
    let mut applied = 0;
    for round in 0..5 {
        config.write("sites.yaml", all.as_bytes());
        let mut running = Running::start(config.command("serve"));
        let base = format!("http://{}", running.address().await);
        verify_files(&files(&config), None).unwrap();
        for session in &ended {
            assert_eq!(status(&base, session).await, 401, "round {round}");
        }
        let before = count(&config, "login.ok", "local:ana");
        let tasks = people.map(|login| tokio::spawn(busy(base.clone(), login)));
        until("ana is in", || async { count(&config, "login.ok", "local:ana") > before + round }).await;
        // A change of the file falls in between as well.
        config.write("sites.yaml", all.replace("id: a,", &format!("id: b{round},")).as_bytes());
        if round % 2 == 0 {
            running.says("new configuration in force").await;
            applied += 1;
        }
        running.signal("KILL");
        running.ended().await;
        for (sum, task) in logins.iter_mut().zip(tasks) {
            let (times, out) = task.await.unwrap();
            *sum += times;
            ended.extend(out);
        }
    }
    config.write("sites.yaml", all.as_bytes());
    let mut running = Running::start(config.command("serve"));
    let base = format!("http://{}", running.address().await);
    for session in &ended {
        assert_eq!(status(&base, session).await, 401);
    }
    let said = running.end().await;
    assert!(!ended.is_empty(), "{said}");
    verify_files(&files(&config), None).unwrap();
    for (login, told) in people.iter().zip(logins) {
        let recorded = count(&config, "login.ok", &format!("local:{login}"));
        assert!(recorded >= told && told > 0, "{login}: {told} logins were told good, {recorded} are recorded");
    }
    assert!(count(&config, "session.revoked", "local:ana") > 0);
    assert!(count(&config, "config.reload", "metaconsole") >= applied, "each change in force is recorded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_the_file_are_recorded_by_name_and_who_left_is_told() {
    let config = Config::new(&yaml(&["ana", "ben"]));
    let mut running = Running::start(config.command("serve"));
    let base = format!("http://{}", running.address().await);
    let ana = log_in(&base, "ana").await.unwrap();
    config.write("sites.yaml", b"sites: 7\n");
    running.says("stays in force").await;
    config.write("sites.yaml", yaml(&["ben", "eva"]).replace("id: a,", "id: z,").as_bytes());
    running.says("new configuration in force").await;
    assert_eq!(status(&base, &ana).await, 401);
    // Ben's hash has another salt: his password counts as another.
    config.write("sites.yaml", yaml(&["ana", "ben"]).as_bytes());
    running.says("new configuration in force").await;
    assert_eq!(status(&base, &ana).await, 401, "what is over stays over");
    running.end().await;
    let lines = lines(&config);
    let told: Vec<_> = lines.iter().map(|line| (&line["action"], &line["result"], line["detail"].as_str())).collect();
    let told = format!("{told:#?}");
    for part in ["refused", "sites: +z -a; users: ~ben +eva -ana", "local:ana: no user of this name any more"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert!(!told.contains("argon2"), "{told}");
    verify_files(&files(&config), None).unwrap();
}

/// The program with a limit on the size of files, which can be lifted while it runs.
fn limited(config: &Config) -> Running {
    let mut shell = tokio::process::Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
    let program = config.command("serve");
    shell.arg(program.as_std().get_program()).args(program.as_std().get_args());
    shell.current_dir(config.path().parent().unwrap()).stdin(std::process::Stdio::null()).kill_on_drop(true);
    Running::start(shell)
}

fn limit(running: &Running, bytes: &str) {
    let (pid, bytes) = (format!("--pid={}", running.id()), format!("--fsize={bytes}:unlimited"));
    assert!(std::process::Command::new("prlimit").args([pid, bytes]).status().unwrap().success());
}

/// 100 bytes refuse the audit log; 8 KiB let it grow, and refuse the sessions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_nobody_gets_in_those_who_are_in_go_on_and_later_all_is_well() {
    for bytes in ["100", "8192"] {
        let all = yaml(&["ana", "ben"]);
        let config = Config::new(&all);
        let mut running = limited(&config);
        let base = format!("http://{}", running.address().await);
        let mut ana = Browser::logged_in(&base, "ana").await;
        let elsewhere = log_in(&base, "ben").await.unwrap();
        let form = ask(&base, &elsewhere, None).await.unwrap();
        let form = between(&form, "name=\"form\" value=\"", "\"").to_owned();
        limit(&running, bytes);
        let mut ben = Browser::new(&base);
        for _ in 0..3 {
            let answer = ben.log_in("ben", "correct horse ben", "").await;
            assert_eq!(answer.status, 503, "{bytes}: {answer:?}");
            assert!(answer.json()["remedy"].is_string() && !ben.cookies.contains_key(SESSION));
            let searched = ana.get("/api/v1/search?q=web&deadline=100ms").await;
            assert_eq!(searched.status, 200, "{bytes}: {searched:?}");
        }
        let refused = leave(&base, &elsewhere, &form).await;
        assert_eq!(refused, 503, "{bytes}: nobody is told to be out who may not be");
        assert!(bytes != "100" || status(&base, &elsewhere).await == 200, "not recorded, so not done");
        let page = ana.get("/metrics").await.text;
        assert_eq!(page.contains("\nmetaconsole_audit_failing 1\n"), bytes == "100", "{page}");
        if bytes == "100" {
            config.write("sites.yaml", all.replace("id: a,", "id: z,").as_bytes());
            running.says("cannot be recorded in the audit log, so the earlier one stays").await;
        }
        limit(&running, "unlimited");
        assert_eq!(ben.log_in("ben", "correct horse ben", "").await.status, 303, "{bytes}");
        if bytes == "100" {
            running.says("new configuration in force").await;
        }
        assert_eq!(leave(&base, &elsewhere, &form).await, 303, "{bytes}");
        assert_eq!(status(&base, &elsewhere).await, 401, "{bytes}");
        until("what was asked is recorded", || async { count(&config, "search", "local:ana") > 0 }).await;
        running.signal("KILL");
        running.ended().await;
        let mut running = Running::start(config.command("serve"));
        let base = format!("http://{}", running.address().await);
        assert_eq!(status(&base, &elsewhere).await, 401, "{bytes}: nor after a kill");
        running.end().await;
        assert!(count(&config, "session.revoked", "local:ben") >= 1);
        verify_files(&files(&config), None).unwrap();
        assert_eq!(count(&config, "login.ok", "local:ana"), 1);
        assert!(count(&config, "login.ok", "local:ben") >= 1);
        assert_eq!(count(&config, "search", "local:ana"), 1, "what was asked meanwhile is recorded later: {bytes}");
    }
}
