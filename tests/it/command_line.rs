//! The real program as a script uses it: exit codes, forms, words on stderr and data on stdout.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;

use metaconsole::clock::Clock;
use metaconsole::demo::{Account, Agent, Console, Fault, Fleet, Module, ModuleState, Settings};
use metaconsole::secret::Secret;
use tokio::io::AsyncReadExt as _;

use crate::support::program::Config;

fn fleet(names: &[&str]) -> Fleet {
    let fleet = Fleet::empty(Clock::System.now().as_secs()).group(2, "Servers", 0).group(3, "Señales & Vías", 0);
    names.iter().fold(fleet, |fleet, name| {
        fleet.agent(Agent::new(name, 2).module(Module::new("CPU", ModuleState::Normal, "1")))
    })
}

fn console(names: &[&str]) -> Console {
    Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), fleet(names), Settings::default()).unwrap()
}

fn dead() -> Console {
    let console = console(&[]);
    console.faults().add(Fault::Refuse);
    console
}

const NAMES: &[&str] = &["web-01", "web-02", "Ñandú", "=cmd|' /C calc'!A0", "say \"hi\"; x", "\u{1b}[31mred\u{202e}"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_complete_answer_ends_with_0_hit_or_not() {
    let console = console(NAMES);
    let config = Config::sites([("madrid", console.url())]);
    let hit = config.run(&["search", "WEB"]).await;
    assert_eq!((hit.code, hit.stdout.lines().count(), hit.stderr.as_str()), (0, 2, ""));
    let first: serde_json::Value = serde_json::from_str(hit.stdout.lines().next().unwrap()).unwrap();
    assert_eq!((&first["alias"], &first["site"]), (&"web-01".into(), &"madrid".into()));
    let link = first["links"]["console"].as_str().unwrap();
    assert!(link.starts_with(&console.url()) && link.ends_with("&id_agente=1"), "{link}");
    let none = config.run(&["search", "--format", "table", "nothing-like-it"]).await;
    assert_eq!((none.code, none.stdout.as_str(), none.stderr.as_str()), (0, "", "no agent found\n"));
    assert_eq!(console.requests().load().sets, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_site_is_named_with_its_time_and_ends_with_3() {
    let (console, dead) = (console(NAMES), dead());
    let config = Config::sites([("madrid", console.url()), ("lyon", dead.url())]);
    for format in ["table", "json", "ndjson", "csv", "stream"] {
        let output = config.run(&["search", "--format", format, "web"]).await;
        assert_eq!(output.code, 3, "{format}");
        assert!(output.stdout.contains("web-02"), "{format}");
        let (before, after) = output.stderr.split_once("lyon: missing since 20").unwrap();
        assert!(!before.contains("lyon"));
        assert!(after.contains("Z: unreachable: 127.0.0.1:"), "{after}");
        assert!(after.contains("refuses connections\n    remedy: look whether its web server runs"), "{after}");
        assert!(after.contains("1 of 2 sites are in the answer"), "{after}");
    }
    let nothing = config.run(&["search", "nothing-like-it"]).await;
    assert!(nothing.stderr.contains("nothing found does not mean that there is nothing"), "{}", nothing.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn require_all_that_is_not_met_shows_no_rows_and_ends_with_4() {
    let (console, dead) = (console(NAMES), dead());
    let config = Config::sites([("madrid", console.url()), ("lyon", dead.url())]);
    for format in ["table", "json", "ndjson", "csv"] {
        let output = config.run(&["search", "--require", "all", "--format", format, "web"]).await;
        assert_eq!((output.code, output.stdout.as_str()), (4, ""), "{format}");
        assert!(output.stderr.contains("lyon: missing since"));
        assert!(output.stderr.contains("--require all is not met (ok=1 stale=0 failed=1), so no rows are shown"));
    }
    assert_eq!(config.run(&["search", "--require", "all", "--format", "stream", "web"]).await.code, 2);
    let config = Config::sites([("madrid", console.url())]);
    assert_eq!(config.run(&["search", "--require", "all", "web"]).await.code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_no_site_answers_it_ends_with_1() {
    let dead = dead();
    let config = Config::sites([("lyon", dead.url())]);
    let output = config.run(&["search", "web"]).await;
    assert_eq!((output.code, output.stdout.as_str()), (1, ""));
    assert!(output.stderr.ends_with("no site answered\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_site_is_not_asked_and_is_missing() {
    let console = console(NAMES);
    let url = console.url();
    let paused = Config::new(&format!(
        "sites:\n  - {{id: a, url: \"{url}\", credentials: {{token: \"file:token\"}}}}\n  \
         - {{id: b, url: \"{url}\", credentials: {{token: \"file:token\"}}, paused: true}}\n"
    ));
    let output = paused.run(&["search", "web"]).await;
    assert_eq!(output.code, 3);
    assert!(output.stderr.contains("b: missing since"), "{}", output.stderr);
    assert!(output.stderr.contains("paused: paused in the configuration"), "{}", output.stderr);
    assert_eq!(console.requests().count("tree_agents"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_usage_ends_with_2_and_points_at_the_mistake() {
    let config = Config::sites([("madrid", "http://127.0.0.1:9/".to_owned())]);
    let query = config.run(&["search", "ñ", "colour:red"]).await;
    assert_eq!((query.code, query.stdout.as_str()), (2, ""));
    assert!(
        query.stderr.starts_with("ñ colour:red\n  ^\nposition 3: unknown field `colour`; known are"),
        "{}",
        query.stderr
    );
    assert_eq!(config.run(&["search", "--frobnicate"]).await.code, 2);
    assert_eq!(config.run(&["search", "--deadline", "5"]).await.code, 2);
    assert_eq!(config.run(&["frobnicate"]).await.code, 2);
    assert_eq!(Config::new("sites: []").run(&["search", "x"]).await.code, 2);
    let literal =
        Config::new("sites: [{id: a, url: \"http://h/\", credentials: {token: hunter2}}]").run(&["search"]).await;
    assert_eq!(literal.code, 2);
    assert!(!format!("{literal:?}").contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_word_to_exclude_is_no_option() {
    let console = console(NAMES);
    let config = Config::sites([("madrid", console.url())]);
    for arguments in [&["search", "web", "-02", "--format", "ndjson"][..], &["search", "-name:web-02", "web"]] {
        let output = config.run(arguments).await;
        assert_eq!((output.code, output.stdout.lines().count()), (0, 1), "{arguments:?}: {}", output.stderr);
    }
    let output = config.run(&["search", "-alias:web", "--limit", "2"]).await;
    assert_eq!((output.code, output.stdout.lines().count()), (0, 2), "{}", output.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_that_is_not_configured_is_a_mistake_not_an_empty_answer() {
    let config = Config::sites([("madrid", "http://127.0.0.1:9/".to_owned())]);
    let output = config.run(&["search", "site:madird"]).await;
    assert_eq!((output.code, output.stdout.as_str()), (2, ""));
    assert!(output.stderr.contains("`site:madird` fits no site of the configuration; did you mean `site:madrid`?"));
    let output = config.run(&["search", "tag:x"]).await;
    assert!(
        output.stderr.contains("`tag:x` fits no site of the configuration; no site has a tag"),
        "{}",
        output.stderr
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_finds_whole_names_only_and_gives_the_way() {
    let (first, second) = (console(&["Vpn-Ñandú", "vpn-ñandú-2"]), console(&["vpn-nandu"]));
    let config = Config::sites([("madrid", first.url()), ("lyon", second.url())]);
    let output = config.run(&["where", "--format", "table", "VPN-ñandu"]).await;
    assert_eq!(output.code, 0);
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{}", output.stdout);
    assert!(lines[0].starts_with("STATUS  SITE    AGENT"));
    assert!(lines[1].contains("lyon") && lines[1].contains(&format!("{}index.php?", second.url())));
    assert!(lines[2].contains("madrid") && lines[2].contains("Vpn-Ñandú"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_form_holds_the_same_rows_and_hostile_names_stay_text() {
    let console = console(NAMES);
    let config = Config::sites([("madrid", console.url())]);
    let json = config.run(&["search", "--format", "json"]).await.json();
    let mut aliases: Vec<String> =
        json["agents"].as_array().unwrap().iter().map(|a| a["alias"].as_str().unwrap().to_owned()).collect();
    let csv = config.run(&["search", "--format", "csv"]).await.stdout;
    assert!(csv.ends_with("# Metaconsole-Sites: ok=1 stale=0 failed=0\n"), "{csv}");
    let mut rows = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(csv.as_bytes());
    let from_csv: Vec<String> = rows.records().map(|row| row.unwrap()[2].to_owned()).collect();
    assert_eq!(from_csv, aliases);
    let lines = config.run(&["search", "--format", "ndjson"]).await.stdout;
    let from_lines: Vec<String> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["alias"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(from_lines, aliases);
    let stream = config.run(&["search", "--format", "stream"]).await.stdout;
    let records: Vec<serde_json::Value> = stream.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&records[0]["site"], &records[0]["matched"]), (&"madrid".into(), &NAMES.len().into()));
    assert_eq!(records.last().unwrap()["summary"]["complete"], true);
    let table = config.run(&["search", "--format", "table"]).await.stdout;
    assert!(!table.contains('\u{1b}') && !table.contains('\u{202e}'), "{table:?}");
    aliases.sort();
    let mut names: Vec<&str> = NAMES.to_vec();
    names.sort_unstable();
    assert_eq!(aliases, names);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_pipe_is_no_error() {
    let many: Vec<String> = (0..3000).map(|number| format!("host-{number}")).collect();
    let console = console(&many.iter().map(String::as_str).collect::<Vec<_>>());
    let config = Config::sites([("madrid", console.url())]);
    let mut child = config.command("search").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0; 10];
    stdout.read_exact(&mut first).await.unwrap();
    drop(stdout);
    let output = child.wait_with_output().await.unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_that_the_query_cannot_concern_is_not_asked() {
    let (first, second) = (console(NAMES), console(NAMES));
    let config = Config::sites([("madrid", first.url()), ("lyon", second.url())]);
    let report = config.run(&["search", "--format", "json", "site:madrid", "web"]).await.json();
    assert_eq!((&report["total"], &report["complete"]), (&2.into(), &true.into()));
    assert_eq!(report["sites"].as_array().unwrap().len(), 2);
    assert_eq!((first.requests().load().total, second.requests().load().total), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_travels_in_the_body_and_a_token_in_the_header() {
    let console = console(NAMES);
    let url = console.url();
    let config = Config::new(&format!(
        "sites:\n  - {{id: a, url: \"{url}\", credentials: {{user: reader, password: \"file:password\", \
         api_password: \"file:api-password\"}}}}\n  - {{id: b, url: \"{url}\", credentials: {{token: \"file:token\"}}}}\n"
    ));
    let output = config.run(&["search", "web"]).await;
    assert_eq!((output.code, output.stdout.lines().count()), (0, 4), "{}", output.stderr);
    let seen = console.requests().all();
    let by_password = seen.iter().find(|seen| seen.method == "POST").unwrap();
    assert!(by_password.secret_in_body && !by_password.secret_in_query && by_password.query.is_empty());
    let by_token = seen.iter().find(|seen| seen.method == "GET").unwrap();
    assert_eq!(by_token.authorization, "Bearer");
    assert!(by_token.query.starts_with("op=get&op2=tree_agents&"), "{}", by_token.query);
    for seen in &seen {
        let agent = seen.headers["user-agent"].to_str().unwrap();
        assert!(agent.starts_with("metaconsole/") && agent.ends_with(" (gateway)"), "{agent}");
        assert!(seen.headers.contains_key("x-request-id"));
        assert!(!seen.headers.contains_key("cookie"));
    }
}

fn with_wrong_credentials(delay: std::time::Duration) -> Console {
    let accounts = vec![Account { token: Secret::new("another"), ..Account::read_only("x") }];
    let settings = Settings { accounts, auth_delay: delay, ..Settings::default() };
    Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), fleet(NAMES), settings).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_goes_step_by_step_and_names_a_remedy_for_each_failure() {
    let good = console(NAMES);
    let dead = dead();
    let refused = with_wrong_credentials(std::time::Duration::from_millis(10));
    let skewed = console(NAMES);
    skewed.faults().add(Fault::ClockSkew(120));
    let config = Config::sites([
        ("good", good.url()),
        ("dead", dead.url()),
        ("refused", refused.url()),
        ("skewed", skewed.url()),
        ("nowhere", "http://does-not-exist.invalid/".to_owned()),
    ]);
    let output = config.run(&["check"]).await;
    assert_eq!(output.code, 3, "{}", output.stderr);
    let of = |id: &str| {
        let from = output.stdout.find(&format!("{id} http")).unwrap();
        let rest = &output.stdout[from..];
        let end =
            rest.match_indices('\n').find(|(at, _)| !rest[at + 1..].starts_with(' ')).map_or(rest.len(), |(at, _)| at);
        rest[..end].to_owned()
    };
    let good_steps = of("good");
    for step in ["name", "tcp", "http", "version", "clock", "login", "read", "account", "planned work", "opening"] {
        assert!(good_steps.contains(&format!(" {step} ")), "{step} in {good_steps}");
    }
    assert!(good_steps.contains("v7.0NG.776"));
    assert!(good_steps.contains("6 agents, 6 modules, 1 groups"), "{good_steps}");
    assert!(good_steps.contains("sees 2 groups; no right to write was found"), "{good_steps}");
    assert!(!good_steps.contains("FAIL"));
    assert!(of("dead").contains("FAIL tcp"));
    assert!(of("refused").contains("FAIL login"));
    for cause in ["list of allowed addresses", "token is wrong", "drops the `Authorization` header", "no profile"] {
        assert!(of("refused").contains(cause), "{cause}");
    }
    assert!(of("skewed").contains("WARN clock") && of("skewed").contains("s ahead of ours"), "{}", of("skewed"));
    assert!(of("nowhere").contains("FAIL name"));
    assert!(output.stderr.ends_with("3 of 5 sites with a step that failed\n"), "{}", output.stderr);
    let offline = config.run(&["check", "--offline"]).await;
    assert_eq!((offline.code, offline.stdout.as_str()), (0, ""));
    assert_eq!(good.requests().load().sets, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_says_when_an_account_could_write() {
    let accounts = vec![Account { may_write: true, ..Account::read_only("demo-token-read-only") }];
    let settings = Settings { accounts, ..Settings::default() };
    let console = Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), fleet(NAMES), settings).unwrap();
    let output = Config::sites([("a", console.url())]).run(&["check"]).await;
    assert_eq!(output.code, 0);
    assert!(output.stdout.contains("WARN account"), "{}", output.stdout);
    assert!(output.stdout.contains("could write agents, alerts"), "{}", output.stdout);
    assert_eq!(console.requests().load().sets, 0);
}
