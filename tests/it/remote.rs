//! The command line asks a running gateway: the same output and exit codes as when it reads the sites itself.

use metaconsole::demo::Fault;
use serde_json::Value;

use crate::support::gateway::{Served, console};
use crate::support::program::{Config, Output, program};

/// Without what depends on when it was asked, and by whom.
fn timeless(value: &mut Value) {
    match value {
        Value::Object(map) => {
            // A gateway remembers that a site failed a moment ago, and says so.
            for key in ["took_ms", "age_ms", "as_of", "since", "outcome", "code", "message"] {
                map.remove(key);
            }
            map.values_mut().for_each(timeless);
        }
        Value::Array(list) => list.iter_mut().for_each(timeless),
        _ => {}
    }
}

fn lines(output: &Output) -> Vec<Value> {
    let mut lines: Vec<Value> = output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.iter_mut().for_each(timeless);
    // The order of arrival of a stream's records is chance.
    lines.sort_by_key(ToString::to_string);
    lines
}

async fn both(config: &Config, url: &str, arguments: &[&str]) -> (Output, Output) {
    let direct = config.run(arguments).await;
    let gateway = config.run(&[arguments, &["--gateway", url]].concat()).await;
    assert_eq!(direct.code, gateway.code, "{arguments:?}: {direct:#?} {gateway:#?}");
    (direct, gateway)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_gives_what_the_sites_give_in_every_form() {
    let (a, b) = (console(&["web-01", "web-02", "d\u{ed}a"]), console(&["web-01"]));
    b.faults().add(Fault::Refuse);
    let config = Config::sites([("a", a.url()), ("b", b.url())]);
    let served = Served::start(&config).await;
    let url = served.url("/");
    for question in [&["search", "web"][..], &["search", "--sort", "id", "--limit", "1"], &["where", "WEB-01"]] {
        for format in ["json", "ndjson", "stream"] {
            let (direct, gateway) = both(&config, &url, &[question, &["--format", format]].concat()).await;
            assert_eq!(direct.code, 3);
            assert_eq!(lines(&direct), lines(&gateway), "{question:?} {format}");
        }
        let (direct, gateway) = both(&config, &url, &[question, &["--format", "table"]].concat()).await;
        assert_eq!(direct.stdout, gateway.stdout);
        assert!(gateway.stderr.contains("b: missing since "), "{}", gateway.stderr);
        let (direct, gateway) = both(&config, &url, &[question, &["--format", "csv"]].concat()).await;
        let cells = |output: &Output| {
            output
                .stdout
                .lines()
                .map(|line| line.split(',').take(15).collect::<Vec<_>>().join(","))
                .filter(|line| !line.starts_with('#'))
                .collect::<Vec<_>>()
        };
        assert_eq!(cells(&direct), cells(&gateway));
        let (direct, gateway) = both(&config, &url, &[question, &["--require", "all"]].concat()).await;
        assert_eq!((direct.code, direct.stdout, gateway.stdout.as_str()), (4, String::new(), ""));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ages_need_a_gateway_and_a_token_is_sent_but_never_shown() {
    let a = console(&["web-01"]);
    let config = Config::sites([("a", a.url())]);
    for arguments in [&["search", "--fresh"][..], &["search", "--max-age", "1s"], &["where", "x", "--fresh"]] {
        let output = config.run(arguments).await;
        assert_eq!(output.code, 2, "{output:?}");
        assert!(output.stderr.contains("--gateway"), "{output:?}");
    }
    let served = Served::start(&config).await;
    let folder = tempfile::tempdir().unwrap();
    let ask = async |gateway: &str, rest: &[&str]| {
        let mut command = program(folder.path());
        command.args(["search", "--format", "json"]).args(rest);
        command.env("METACONSOLE_GATEWAY", gateway).env("METACONSOLE_TOKEN", "very-secret");
        let output = command.output().await.unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!text.contains("very-secret"), "{text}");
        (output.status.code(), text)
    };
    // Without any configuration: the gateway is the only one that needs it.
    for rest in [&["--fresh"][..], &["--max-age", "10s"], &[]] {
        let (code, text) = ask(&served.url(""), rest).await;
        assert!(code == Some(0) && text.contains("\"total\":1"), "{text}");
    }
    let (code, text) = ask(&served.url("/"), &["site:nowhere"]).await;
    assert!(code == Some(2) && text.contains("fits no site"), "{text}");
    let (code, text) = ask("http://127.0.0.1:9/", &[]).await;
    assert!(code == Some(1) && text.contains("gives no answer"), "{text}");
    let (code, text) = ask(&a.url(), &[]).await;
    assert!(code == Some(1) && text.contains("does not answer as a gateway does"), "{text}");
    let (code, text) = ask("http://user:pass@127.0.0.1:9/", &[]).await;
    assert!(code == Some(2) && text.contains("METACONSOLE_TOKEN") && !text.contains("pass@"), "{text}");
}
