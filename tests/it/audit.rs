//! The audit log when its process is killed, and `metaconsole audit verify`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use metaconsole::audit::{Filter, Limits, Log, Record, newest, verify_files};
use metaconsole::clock::Clock;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::support::program::program;

const FOLDER: &str = "AUDIT_TEST_FOLDER";

fn segments(folder: &Path) -> Vec<PathBuf> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut segments: Vec<_> = names.filter(|path| path.extension().is_some_and(|ext| ext == "jsonl")).collect();
    segments.sort();
    segments
}

/// Appends for ever from many tasks, and says each record once it is told durable.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs in a process of its own, started and killed by the next test"]
async fn writer_of_its_own() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let limits = Limits { segment_bytes: 20_000 };
    let log = Arc::new(Log::open(Path::new(&folder), "gw-1", limits, Clock::System).unwrap());
    let start = log.state().seq;
    let tasks = (0..32).map(|task| {
        let log = Arc::clone(&log);
        tokio::spawn(async move {
            for n in 0.. {
                let id = format!("ack-{start}-{task}-{n}");
                log.append(Record::login("local:ana").request(&id)).await.unwrap();
                let mut out = std::io::stdout().lock();
                out.write_all(format!("\n{id}\n").as_bytes()).unwrap();
                out.flush().unwrap();
            }
        })
    });
    futures_util::future::join_all(tasks).await;
}

#[tokio::test]
async fn what_was_told_durable_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = Vec::new();
    for round in 0..6 {
        let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "audit::writer_of_its_own", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let enough = told.len() + 50 + round * 37;
        let mut is_killed = false;
        while let Some(line) = lines.next_line().await.unwrap() {
            told.extend(line.starts_with("ack-").then_some(line));
            if told.len() >= enough && !is_killed {
                child.start_kill().unwrap();
                is_killed = true;
            }
        }
        child.wait().await.unwrap();
        assert!(is_killed, "round {round}: the writer ended by itself");
        Log::open(folder.path(), "gw-1", Limits::default(), Clock::System).unwrap().close().await;
        verify_files(&segments(folder.path()), None).unwrap();
    }
    let all: String =
        newest(folder.path(), Filter::default()).unwrap().map(|entry| entry.unwrap().line + "\n").collect();
    // A word of the pipe may itself be cut by the kill; it is then no prefix of a name that was acknowledged whole.
    let missing: Vec<_> = told.iter().filter(|id| !all.contains(&format!("\"{id}"))).collect();
    assert!(told.len() > 300 && missing.is_empty(), "{missing:?}");
}

#[tokio::test]
async fn verify_on_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path(), "gw-1", Limits { segment_bytes: 300 }, Clock::System).unwrap();
    for n in 0..6 {
        log.append(Record::login(&format!("local:user{n}"))).await.unwrap();
    }
    let head = log.state().head.to_string();
    log.close().await;
    let run = async |arguments: &[&str], files: &[PathBuf]| {
        let output =
            program(folder.path()).args(["audit", "verify"]).args(arguments).args(files).output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let files = segments(folder.path());
    assert!(files.len() > 1);
    let (code, out, _) = run(&["--head", &head], &files).await;
    assert_eq!((code, out), (0, format!("good 6 lines, last 6, head {head}\n")));
    let (code, _, said) = run(&["--head", &"0a".repeat(32)], &files).await;
    assert!(code == 3 && said.contains("remembered head"), "{code} {said}");
    let (code, _, said) = run(&[], &[files[0].clone(), files[2].clone()]).await;
    assert!(code == 3 && said.contains(&format!("{}:1:", files[2].display())), "{code} {said}");
    assert_eq!(run(&["--head", "xyz"], &files).await.0, 2);
    assert_eq!(run(&[], &[]).await.0, 2);
    assert_eq!(run(&[], &[folder.path().join("none")]).await.0, 1);
    let text = std::fs::read_to_string(&files[0]).unwrap();
    std::fs::write(&files[0], text.replace("user0", "user9")).unwrap();
    let (code, _, said) = run(&[], &files).await;
    assert!(code == 3 && said.contains(":2:") && said.contains("altered"), "{code} {said}");
}
