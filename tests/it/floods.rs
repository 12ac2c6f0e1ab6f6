//! A thousand wrong logins at once at the real program: what they cost searches, and whom they keep out.
//!
//! The flood comes from a thread of this test that yields to everything else, as if it ran on other machines. It is
//! held against the same searches before and after, and counted: no time is asserted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use metaconsole::clock::Stopwatch;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Barrier;

use crate::support::browser::{Browser, hashed};
use crate::support::gateway::console;
use crate::support::program::Config;
use crate::support::running::Running;

const LOGINS: usize = 1000;

/// What became of a flood.
#[derive(Default)]
struct Flood {
    judged: AtomicUsize,
    told_to_wait: AtomicUsize,
    ended: AtomicUsize,
}

/// One wrong login: connected, then sent together with all others.
async fn wrong(to: SocketAddr, head: String, body: String, all: Arc<Barrier>, flood: &Flood) {
    let mut stream = TcpStream::connect(to).await.unwrap();
    all.wait().await;
    let length = body.len();
    let request = format!("{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let of = match answer.split(' ').nth(1) {
        Some("401") => &flood.judged,
        Some("429") if answer.contains("retry-after: ") => &flood.told_to_wait,
        _ => panic!("{answer}"),
    };
    of.fetch_add(1, Ordering::SeqCst);
    flood.ended.fetch_add(1, Ordering::SeqCst);
}

/// From one address with one name, or each from another one with another name.
fn flooding(
    to: SocketAddr,
    cookie: String,
    form: String,
    from_many: bool,
) -> (Arc<Flood>, std::thread::JoinHandle<()>) {
    let flood = Arc::new(Flood::default());
    let counted = Arc::clone(&flood);
    let run = move || {
        // Refused nowhere; if it were, the figures would only be worse.
        let _ = rustix::process::nice(19);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let all = Arc::new(Barrier::new(LOGINS));
        let one = |number: usize| {
            let (third, login) = match from_many {
                true => (number / 250, format!("u{number}")),
                false => (9, "luc".to_owned()),
            };
            let last = if from_many { number % 250 + 1 } else { 9 };
            let head = format!(
                "POST /login HTTP/1.1\r\nHost: {to}\r\nCookie: {cookie}\r\nX-Forwarded-For: 10.9.{third}.{last}\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\n"
            );
            let body = format!("form={form}&login={login}&password=wrong&next=");
            wrong(to, head, body, Arc::clone(&all), &counted)
        };
        runtime.block_on(futures_util::future::join_all((0..LOGINS).map(one)));
    };
    (flood, std::thread::spawn(run))
}

async fn search(browser: &mut Browser) -> Duration {
    let watch = Stopwatch::start();
    assert_eq!(browser.get("/api/v1/search?q=web").await.status, 200);
    watch.elapsed()
}

fn middle(times: &mut [Duration]) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

#[expect(clippy::print_stderr, reason = "the ratio is for people to read; no time is asserted")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_wrong_logins_harm_no_search_and_lock_nobody_out() {
    let console = console(&["web-madrid"]);
    let user = |login: &str| format!("    - {{login: {login}, password: '{}', roles: [all]}}\n", hashed(login));
    let config = Config::new(&format!(
        "gateway: {{listen: \"127.0.0.1:0\", state_dir: state, trusted_proxies: [127.0.0.1]}}\n\
         sites: [{{id: madrid, url: \"{}\", credentials: {{token: \"file:token\"}}}}]\n\
         access:\n  roles: {{all: {{search: ['*']}}}}\n  users:\n{}{}",
        console.url(),
        user("ana"),
        user("luc")
    ));
    for from_many in [false, true] {
        let mut running = Running::start(config.command("serve"));
        let address = running.address().await;
        let base = format!("http://{address}");
        let mut ana = Browser::logged_in(&base, "ana").await;
        let mut at_home = Browser::logged_in(&base, "luc").await;
        let mut attacker = Browser::new(&base);
        let form = attacker.login_form().await;
        let mut alone = Vec::new();
        for _ in 0..100 {
            alone.push(search(&mut ana).await);
        }
        let (flood, thread) = flooding(address, attacker.cookie_line(), form, from_many);
        let mut beside = Vec::new();
        let at_once = |flood: &Flood| flood.ended.load(Ordering::SeqCst);
        while at_once(&flood) == 0 && !thread.is_finished() {
            search(&mut ana).await;
        }
        // Luc's own browser waits for none of them, again and again while they are judged.
        let (mut logins, most_logins) = (0, if from_many { 5 } else { 1 });
        while logins < most_logins {
            let answer = at_home.log_in("luc", "correct horse luc", "").await;
            assert_eq!(answer.status, 303, "login {logins} in a known browser: {answer:?}");
            logins += 1;
        }
        assert!(!from_many || at_once(&flood) < LOGINS, "the flood was over before the logins were");
        while at_once(&flood) < LOGINS {
            beside.push(search(&mut ana).await);
            assert!(!thread.is_finished() || at_once(&flood) == LOGINS, "the flood broke off");
        }
        thread.join().unwrap();
        let (judged, waited) = (flood.judged.load(Ordering::SeqCst), flood.told_to_wait.load(Ordering::SeqCst));
        let (count, ratio) =
            (beside.len(), if beside.is_empty() { 1.0 } else { middle(&mut beside) / middle(&mut alone) });
        let from = if from_many { "1,000 addresses" } else { "one address" };
        eprintln!(
            "1,000 wrong logins from {from}: {judged} judged, {waited} told to wait; {count} searches meanwhile, the \
             middle one took {ratio:.2} times as long as alone ({:.1} ms)",
            middle(&mut alone) * 1000.0
        );
        assert_eq!(judged + waited, LOGINS);
        let most = if from_many { LOGINS / 4 } else { 10 };
        assert!(judged <= most, "{judged} were judged");
        // Each hash takes as long as several searches. While as many were judged as wait at most, searches went on.
        assert!(!from_many || count >= judged, "{count} searches beside {judged} hashes");
        let mut luc = Browser::new(&base);
        luc.address = Some("10.8.8.8");
        assert_eq!(luc.log_in("luc", "correct horse luc", "").await.status, 303, "from another address");
        running.end().await;
    }
}
