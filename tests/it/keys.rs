//! `metaconsole keys` through the program, and used tokens when their process is killed.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use metaconsole::clock::Timestamp;
use metaconsole::delegation::{Embedded, Use, UsedTokens as _};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::support::program::program;

const STORE: &str = "USED_TEST_STORE";
const NOW: Timestamp = Timestamp::from_secs(1_767_225_602);
const EXP: u64 = 1_767_225_662;

#[tokio::test]
async fn keys_are_made_and_derived_into_private_files() {
    let folder = tempfile::tempdir().unwrap();
    let run = async |arguments: &[&str]| {
        let output = program(folder.path()).arg("keys").args(arguments).output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(run(&["generate"]).await.0, 2, "a key is printed only when told");
    let (code, out, said) = run(&["generate", "--out", "master"]).await;
    assert_eq!((code, out.as_str()), (0, ""), "{said}");
    let master = read("master");
    assert!(master.len() == 65 && !said.contains(master.trim()), "{said}");
    assert_eq!(std::fs::metadata(folder.path().join("master")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(run(&["generate", "--out", "master"]).await.0, 1, "never over a key that is there");
    assert_eq!(read("master"), master);
    let (code, out, _) = run(&["generate", "--print-secret"]).await;
    assert!(code == 0 && out.len() == 65 && out != master);

    let site = "sites: [{id: madrid, url: \"http://127.0.0.1:9/\", credentials: {token: \"file:master\"}}]\n";
    let gateway = "gateway: {keys: [{kid: 2026a, secret: \"file:master\", signing: true}]}\n";
    std::fs::write(folder.path().join("sites.yaml"), format!("{gateway}{site}")).unwrap();
    let (code, out, said) = run(&["derive", "--site", "madrid", "--out", "madrid.keys"]).await;
    assert_eq!((code, out.as_str()), (0, ""), "{said}");
    let all = read("madrid.keys");
    assert!(all.starts_with("site madrid\nmc1 2026a ") && all.lines().count() == 5 && !all.contains(master.trim()));
    assert_eq!(std::fs::metadata(folder.path().join("madrid.keys")).unwrap().permissions().mode() & 0o777, 0o600);
    let (_, one, _) = run(&["derive", "--site", "madrid", "--purpose", "mc1-gate", "--print-secret"]).await;
    assert!(all.contains(&format!("\nmc1-gate 2026a {one}")), "{one}");
    assert_eq!(run(&["derive", "--site", "lyon", "--out", "x"]).await.0, 2);
    assert_eq!(run(&["derive", "--site", "madrid", "--kid", "none", "--out", "x"]).await.0, 2);
    assert_eq!(run(&["derive", "--site", "madrid", "--purpose", "session", "--out", "x"]).await.0, 2);
    let published: String = (0..32).map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(folder.path().join("master"), published).unwrap();
    let (code, _, said) = run(&["derive", "--site", "madrid", "--out", "x"]).await;
    assert!(code == 2 && said.contains("published test keys"), "{said}");
    std::fs::write(folder.path().join("master"), &master).unwrap();
    std::fs::set_permissions(folder.path().join("master"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let (code, _, said) = run(&["derive", "--site", "madrid", "--out", "x"]).await;
    assert!(code == 2 && said.contains("open to group or others"), "{said}");
}

/// Uses up numbers for ever from many tasks, and says each once it is told first.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs in a process of its own, started and killed by the next test"]
async fn store_of_its_own() {
    let Some(path) = std::env::var_os(STORE) else { return };
    let round = Path::new(&path).with_extension("round");
    let round = std::fs::read_to_string(round).unwrap();
    let store = Arc::new(Embedded::open(Path::new(&path)).unwrap());
    let tasks = (0..16).map(|task| {
        let (store, round) = (Arc::clone(&store), round.clone());
        tokio::spawn(async move {
            for n in 0.. {
                let number = format!("used-{round}-{task}-{n}-end");
                assert_eq!(store.consume("madrid", &number, EXP, NOW).await, Use::First);
                let mut out = std::io::stdout().lock();
                out.write_all(format!("\n{number}\n").as_bytes()).unwrap();
                out.flush().unwrap();
            }
        })
    });
    futures_util::future::join_all(tasks).await;
}

#[tokio::test]
async fn a_number_that_was_told_first_is_never_first_again_after_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("used.redb");
    let mut told: Vec<String> = Vec::new();
    for round in 0..5 {
        std::fs::write(path.with_extension("round"), round.to_string()).unwrap();
        let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "keys::store_of_its_own", "--nocapture"])
            .env(STORE, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let enough = told.len() + 40 + round * 31;
        let mut is_killed = false;
        while let Some(line) = lines.next_line().await.unwrap() {
            let is_whole = line.starts_with("used-") && line.ends_with("-end");
            told.extend(is_whole.then_some(line));
            if told.len() >= enough && !is_killed {
                child.start_kill().unwrap();
                is_killed = true;
            }
        }
        child.wait().await.unwrap();
        assert!(is_killed, "round {round}: the process ended by itself");
        let store = Embedded::open(&path).unwrap();
        let again = told.iter().map(|number| store.consume("madrid", number, EXP, NOW));
        let uses = futures_util::future::join_all(again).await;
        assert!(uses.iter().all(|found| *found == Use::Replayed), "round {round}: {uses:?}");
        store.close().await;
    }
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(told.len() > 300, "{}", told.len());
}
