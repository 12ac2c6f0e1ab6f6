//! The last known rows over a kill: shown as stale with their time, of the same sites only, and never in the way.

use std::path::PathBuf;

use metaconsole::demo::{Console, Fault};
use serde_json::Value;

use crate::support::gateway::{console, until};
use crate::support::program::Config;
use crate::support::running::{Running, get};

struct Kept {
    config: Config,
    state: PathBuf,
}

const ON: &str = "last_known: true, ";

fn yaml(on: &str, sites: &[(&str, String, &str)]) -> String {
    let sites = sites.iter().map(|(id, url, more)| {
        format!("  - {{id: {id}, url: \"{url}\", credentials: {{token: \"file:token\"}}{more}}}\n")
    });
    let gateway = format!("gateway: {{listen: \"127.0.0.1:0\", {on}state_dir: state}}\n");
    format!("{gateway}sites:\n{}", sites.collect::<String>())
}

impl Kept {
    /// A gateway that has read two sites, and was killed when it had kept them.
    async fn killed(a: &Console, b: &Console) -> (Self, Value) {
        let config = Config::new(&yaml(ON, &[("a", a.url(), ""), ("b", b.url(), "")]));
        let state = config.path().parent().unwrap().join("state");
        let kept = Self { config, state };
        let (running, answer) = kept.ask("deadline=20s").await;
        assert_eq!((&answer["total"], &answer["complete"]), (&3.into(), &true.into()), "{answer}");
        until("they are kept", async || std::fs::read_to_string(kept.file()).is_ok_and(|file| file.contains("web-1")))
            .await;
        running.signal("KILL");
        running.ended().await;
        (kept, answer)
    }

    fn file(&self) -> PathBuf {
        self.state.join("last-known.jsonl")
    }

    /// Starts it, and asks it at once.
    async fn ask(&self, how: &str) -> (Running, Value) {
        let mut running = Running::start(self.config.command("serve"));
        let address = running.address().await;
        let answer = get(address, &format!("/api/v1/search?sort=id&{how}")).await;
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let json = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
        (running, json)
    }
}

fn rows(answer: &Value) -> Vec<[&Value; 4]> {
    answer["agents"].as_array().unwrap().iter().map(|a| [&a["site"], &a["id"], &a["alias"], &a["as_of"]]).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_rows_of_dead_sites_are_shown_as_stale_with_their_old_time() {
    let (a, b) = (console(&["web-1", "Ñandú \"2\""]), console(&["web-3"]));
    let (kept, before) = Kept::killed(&a, &b).await;
    a.faults().add(Fault::Refuse);
    b.faults().add(Fault::Hang);
    // At once, and when a site has failed or is still waited for.
    for how in ["deadline=0s", "deadline=500ms"] {
        let (running, after) = kept.ask(how).await;
        assert_eq!(rows(&after), rows(&before), "{how}");
        assert_eq!((&after["total"], &after["stale_rows"], &after["complete"]), (&3.into(), &3.into(), &false.into()));
        for site in after["sites"].as_array().unwrap() {
            assert_eq!(site["outcome"], "stale", "{site}");
            assert!(site["error"]["code"].is_string(), "{site}");
        }
        assert!(running.end().await.contains("last known rows are shown, as stale"));
    }
    // Ended twice since without a read: they are still kept. One site is back, and is current again.
    a.faults().clear().unwrap();
    let (running, after) = kept.ask("deadline=5s").await;
    let stale: Vec<_> = after["agents"].as_array().unwrap().iter().map(|agent| &agent["stale"]).collect();
    assert_eq!(after["total"], 3);
    assert_eq!(stale.iter().filter(|stale| ***stale == true).count(), 1, "{after}");
    assert_eq!(after["sites"][0]["outcome"], "fresh", "{after}");
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_another_site_by_the_same_name_are_not_shown() {
    let (a, b) = (console(&["web-1", "web-2"]), console(&["web-3"]));
    let (kept, _) = Kept::killed(&a, &b).await;
    let whole = std::fs::read(kept.file()).unwrap();
    a.faults().add(Fault::Refuse);
    b.faults().add(Fault::Refuse);
    // Another address, another credential, a change that matters; and one that does not.
    kept.config.write("other", b"another-token");
    let elsewhere = a.url().replace("127.0.0.1", "localhost");
    let other = |url: String, token: &str, more: &'static str| {
        yaml(ON, &[("a", url, more), ("b", b.url(), ", name: Other, tags: [x], refresh_after: 1m")]).replacen(
            "file:token",
            token,
            1,
        )
    };
    for text in [
        other(elsewhere, "file:token", ""),
        other(a.url(), "file:other", ""),
        other(a.url(), "file:token", ", max_body: 64MB"),
        other(a.url(), "file:token", ", paused: true"),
    ] {
        std::fs::write(kept.file(), &whole).unwrap();
        kept.config.write("sites.yaml", text.as_bytes());
        let (running, answer) = kept.ask("deadline=0s").await;
        assert_eq!((&answer["total"], &answer["agents"][0]["site"]), (&1.into(), &"b".into()), "{text}: {answer}");
        running.end().await;
        // Nor are they kept any longer.
        assert!(!std::fs::read_to_string(kept.file()).unwrap().contains("web-1"), "{text}");
    }
    // The secret in a file is the same file with another content.
    std::fs::write(kept.file(), &whole).unwrap();
    kept.config.write("sites.yaml", yaml(ON, &[("a", a.url(), ""), ("b", b.url(), "")]).as_bytes());
    kept.config.write("token", b"demo-token-rotated");
    let (running, answer) = kept.ask("deadline=0s").await;
    assert_eq!(answer["total"], 0, "{answer}");
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_file_costs_its_rows_and_nothing_else_and_switching_off_removes_it() {
    let (a, b) = (console(&["web-1", "web-2"]), console(&["web-3"]));
    let (kept, before) = Kept::killed(&a, &b).await;
    let whole = std::fs::read(kept.file()).unwrap();
    assert!(!String::from_utf8_lossy(&whole).contains("demo-token"), "a secret");
    let mut changed = whole.clone();
    let middle = whole.windows(5).position(|bytes| bytes == b"web-1").unwrap();
    changed[middle] = b'W';
    for bad in [&whole[..whole.len() / 2], &changed, b"", b"\0\0\0\0", b"{}\n[]\n"] {
        std::fs::write(kept.file(), bad).unwrap();
        let mut running = Running::start(kept.config.command("serve"));
        running.says("are not used: ").await;
        let address = running.address().await;
        assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200 "));
        running.end().await;
    }
    // It is written anew after a read.
    let (running, answer) = kept.ask("deadline=20s").await;
    assert_eq!((&answer["total"], &answer["complete"]), (&3.into(), &true.into()));
    until("they are kept", async || std::fs::read_to_string(kept.file()).is_ok_and(|file| file.contains("web-1")))
        .await;
    // Off while it runs: gone at once. On again: there again.
    let sites = [("a", a.url(), ""), ("b", b.url(), "")];
    kept.config.write("sites.yaml", yaml("", &sites).as_bytes());
    until("it is gone", async || !kept.file().exists()).await;
    kept.config.write("sites.yaml", yaml(ON, &sites).as_bytes());
    until("it is there", async || kept.file().exists()).await;
    running.end().await;
    // Off while it does not run.
    kept.config.write("sites.yaml", yaml("", &sites).as_bytes());
    a.faults().add(Fault::Refuse);
    let (running, answer) = kept.ask("deadline=0s").await;
    assert_eq!((&answer["total"], kept.file().exists()), (&0.into(), false), "{before}");
    running.end().await;
}
