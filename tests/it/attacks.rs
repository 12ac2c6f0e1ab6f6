//! Attacks on tokens over HTTP, counted: altered ones, the same one many times at once, and a kill in the middle of it.
//!
//! Every run tries a share. `METACONSOLE_HTTP_TOKENS=100000` and `METACONSOLE_HTTP_RACES=10000` try as many as
//! `docs/security.md` says.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use metaconsole::clock::Clock;
use metaconsole::openings::witness::Event;
use metaconsole::openings::{Ledger, Openings};
use serde_json::json;
use tokio::sync::watch;

use crate::openings::{Told, keys};
use crate::support::browser::Browser;
use crate::support::forged::{Draw, Keys, STATE, altered, count};
use crate::support::gateway::{Answer, Served};
use crate::support::php::PhpSite;
use crate::support::program::Config;
use crate::support::running::Running;

/// What a site's verifier may ask within a minute.
const OF_VERIFIER: usize = 600;

fn told(line: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout();
    writeln!(out, "{line}").unwrap();
}

/// A gateway with these sites; Ana may open each as `ops.reader`.
async fn config(listen: &str, sites: &[String]) -> (Config, Keys) {
    let site = |id: &String| {
        format!(
            "  - {{id: {id}, url: \"https://{id}.example/\", credentials: {{token: \"file:token\"}}, delegation: \
             {{verifier: dropin, url: \"https://{id}.example/mc.php\", accounts: [{{user: \"local:ana\", account: \
             ops.reader}}]}}}}\n"
        )
    };
    let hash = crate::support::browser::hashed("ana");
    let config = Config::new(&format!(
        "gateway: {{id: gateway, {listen}state_dir: state, keys: [{{kid: 2026a, secret: \"file:master\", signing: true}}]}}\n\
         sites:\n{}access:\n  roles: {{noc: {{search: ['*'], open: ['*']}}}}\n  \
         users: [{{login: ana, password: '{hash}', roles: [noc]}}]\n",
        sites.iter().map(site).collect::<String>()
    ));
    keys(&config, &["generate", "--out", "master"]).await;
    let master = std::fs::read_to_string(config.path().with_file_name("master")).unwrap();
    (config, Keys::read("2026a", &master))
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// A verifier's question; nothing when the connection ends before the answer.
async fn ask(client: &reqwest::Client, base: &str, bearer: &str, token: &str) -> Option<Answer> {
    let body = json!({"token": token, "st_state": STATE}).to_string();
    let request = client.post(format!("{base}/api/v1/delegation/verify")).header("authorization", bearer).body(body);
    let response = request.send().await.ok()?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Some(Answer { status, headers, text: response.text().await.ok()? })
}

fn is_active(answer: &Answer) -> bool {
    assert_eq!(answer.status, 200, "{answer:?}");
    match answer.json()["active"].as_bool().unwrap() {
        true => answer.json()["sub"] == "ops.reader",
        false => {
            assert_eq!(answer.text, "{\"active\":false}");
            false
        }
    }
}

#[tokio::test]
async fn no_altered_token_is_taken_by_a_gateway_that_is_asked() {
    let (config, keys) = config("", &["madrid".to_owned()]).await;
    let witness = Arc::new(Told::default());
    let served = Served::start_before(&config, witness.clone()).await;
    let (client, base, bearer) = (client(), served.url(""), keys.bearer("madrid"));
    let session = Browser::logged_in(&base, "ana").await.session();
    let openings = &served.gateway.openings;
    let (foreign, mut draw) = (keys.foreign("madrid"), Draw(11));
    let (all, mut tried, mut windows) = (count("METACONSOLE_HTTP_TOKENS", 6_000), 0, 0);
    while tried < all {
        let good: Vec<String> = (0..20).map(|n| keys.issued(openings, "madrid", &session, &format!("/{n}"))).collect();
        let bad: Vec<String> =
            (0..(OF_VERIFIER - 1).min(all - tried)).map(|_| altered(&good, &foreign, &mut draw)).collect();
        let answers = futures_util::stream::iter(&bad).map(|token| ask(&client, &base, &bearer, token));
        let mut answers = answers.buffered(16);
        while let Some(answer) = answers.next().await {
            assert!(!is_active(&answer.unwrap()), "one of {bad:#?}");
            tried += 1;
        }
        // None of that has used up the whole ones, and one of those is taken: so it is the alterations.
        assert!(is_active(&ask(&client, &base, &bearer, &good[draw.next(20)]).await.unwrap()));
        windows += 1;
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(60)).await;
        tokio::time::resume();
    }
    let events = std::mem::take(&mut *witness.events.lock().unwrap());
    let taken = events.iter().filter(|event| !matches!(event, Event::Issued { .. })).count();
    assert_eq!(taken, windows, "one for each whole token, none for an altered one");
    told(format_args!("{tried} altered tokens over HTTP at the gateway: 0 accepted, beside {windows} whole ones"));
}

#[tokio::test]
async fn no_altered_token_is_taken_by_the_drop_in() {
    let site = PhpSite::start("madrid.localhost").await;
    let (config, keys) = config("", &["madrid".to_owned()]).await;
    let out = site.path("etc/keys").display().to_string();
    crate::openings::keys(&config, &["derive", "--site", "madrid", "--out", &out]).await;
    site.allow("madrid", "http://127.0.0.1:1", &["ops.reader"]);
    let client = client();
    let url = format!("http://{}/pandora_console/mc.php?a=login", site.address);
    let post = async |token: &str| {
        let request = client.post(&url).header("cookie", format!("__Host-mc_pre_attacks0={STATE}"));
        Answer::of(request.form(&[("mc_token", token)]).send().await.unwrap()).await
    };
    let (foreign, mut draw) = (keys.foreign("madrid"), Draw(13));
    let (all, mut tried, mut whole) = (count("METACONSOLE_HTTP_TOKENS", 4_000), 0, 0);
    while tried < all {
        let good: Vec<String> =
            (0..20).map(|n| keys.token("madrid", "ops.reader", &format!("/{n}"), Clock::System.now())).collect();
        let bad: Vec<String> = (0..2_000.min(all - tried)).map(|_| altered(&good, &foreign, &mut draw)).collect();
        let mut answers = futures_util::stream::iter(&bad).map(|token| post(token)).buffered(8);
        while let Some(answer) = answers.next().await {
            assert!(
                answer.status == 403 && !answer.headers.contains_key("set-cookie"),
                "{answer:?} for one of {bad:#?}"
            );
            tried += 1;
        }
        let landed = post(&good[draw.next(20)]).await;
        assert_eq!(landed.status, 303, "{landed:?} {:?}", site.decisions().pop());
        whole += 1;
    }
    let opened = site.decisions().iter().filter(|decision| decision["result"] == "opened").count();
    assert_eq!(opened, whole, "one for each whole token, none for an altered one");
    told(format_args!("{tried} altered tokens over HTTP at the drop-in: 0 accepted, beside {whole} whole ones"));
}

/// What became of a token over all its posts.
#[derive(Debug, Default)]
struct Fate {
    opened: usize,
    refused: usize,
    lost: usize,
}

/// A gateway as a process, and many sites that ask it.
struct Asked {
    running: Running,
    base: String,
    client: reqwest::Client,
    keys: Arc<Keys>,
    sites: Vec<String>,
}

impl Asked {
    async fn start(config: &Config, keys: &Arc<Keys>, sites: &[String]) -> Self {
        let mut command = config.command("serve");
        command.env("METACONSOLE_LOG", "info");
        let mut running = Running::start(command);
        let base = format!("http://{}", running.address().await);
        Self { running, base, client: client(), keys: Arc::clone(keys), sites: sites.to_vec() }
    }

    async fn stop(self) {
        self.running.signal("TERM");
        self.running.ended().await;
    }

    /// Each token eight times at once, sixteen tokens at a time. `answered` hears of each answer.
    async fn post(
        &self,
        tokens: &[(usize, String)],
        fates: &mut BTreeMap<String, Fate>,
        answered: &watch::Sender<usize>,
    ) {
        let eight = |(site, token): &(usize, String)| {
            let (bearer, token) = (self.keys.bearer(&self.sites[*site]), token.clone());
            async move {
                let one = || async {
                    let answer = ask(&self.client, &self.base, &bearer, &token).await;
                    answered.send_modify(|count| *count += 1);
                    answer
                };
                let answers = futures_util::future::join_all((0..8).map(|_| one())).await;
                (token, answers)
            }
        };
        let mut posts = futures_util::stream::iter(tokens).map(eight).buffer_unordered(16);
        while let Some((token, answers)) = posts.next().await {
            let fate = fates.entry(token).or_default();
            for answer in answers {
                match answer.as_ref().map(is_active) {
                    Some(true) => fate.opened += 1,
                    Some(false) => fate.refused += 1,
                    None => fate.lost += 1,
                }
            }
        }
    }
}

/// Signs tokens into the files of a gateway that does not run, as it would itself.
fn signed(
    config: &Config,
    keys: &Keys,
    sites: &[String],
    session: &str,
    numbers: std::ops::Range<usize>,
) -> Vec<(usize, String)> {
    let ledger = Ledger::at(&config.path().with_file_name("state").join("openings.redb"));
    let openings = Openings::new(Arc::new(Told::default()), Clock::System).with_ledger(ledger);
    let one =
        |number: usize| (number % sites.len(), keys.issued(&openings, &sites[number % sites.len()], session, "/"));
    numbers.map(one).collect()
}

/// Most tokens that can be under way when the process is killed.
const UNDER_WAY: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_token_posted_eight_times_at_once_opens_once_also_across_a_kill() {
    let all = count("METACONSOLE_HTTP_RACES", 800);
    // Each post is a question of its site, and after each start each site has its allowance anew.
    let sites: Vec<String> = (0..(all * 8 / OF_VERIFIER + 4)).map(|n| format!("site-{n}")).collect();
    let (config, keys) = config("listen: \"127.0.0.1:0\", ", &sites).await;
    let keys = Arc::new(keys);
    let mut fates = BTreeMap::new();
    let asked = Asked::start(&config, &keys, &sites).await;
    let session = Browser::logged_in(&asked.base, "ana").await.session();
    asked.stop().await;
    let mut made = 0;
    let mut kills = 0;
    while made < all {
        let share = signed(&config, &keys, &sites, &session, made..(made + 200).min(all));
        let mut asked = Asked::start(&config, &keys, &sites).await;
        made += share.len();
        let (answered, mut hears) = watch::channel(0);
        // Three times while a share is under way the process is killed, and started again over what it left.
        let is_killed = kills < 3 && made >= all * (kills + 1) / 4;
        let kill = async {
            if is_killed {
                hears.wait_for(|count| *count > 700).await.unwrap();
                asked.running.signal("KILL");
            }
        };
        tokio::join!(asked.post(&share, &mut fates, &answered), kill);
        if is_killed {
            kills += 1;
            asked.running.ended().await;
            asked = Asked::start(&config, &keys, &sites).await;
            // All of them again, at the process that has only the file to know from.
            asked.post(&share, &mut fates, &watch::channel(0).0).await;
        }
        asked.stop().await;
    }
    let opened = fates.values().filter(|fate| fate.opened == 1).count();
    let silent: Vec<&Fate> = fates.values().filter(|fate| fate.opened == 0).collect();
    assert!(fates.values().all(|fate| fate.opened <= 1), "some token opened twice");
    // Used up, and the answer that said so died with the process: of those every post was refused or lost.
    assert!(silent.iter().all(|fate| fate.lost > 0 && fate.refused >= 8), "{silent:?}");
    assert!(silent.len() <= kills * UNDER_WAY, "{} tokens opened nothing", silent.len());
    assert_eq!((opened + silent.len(), kills), (all, 3));
    let folder = config.path().with_file_name("state").join("audit");
    let filter = metaconsole::audit::Filter::default();
    let lines = metaconsole::audit::newest(&folder, filter).unwrap().map(|entry| entry.unwrap().line);
    let recorded = lines.filter(|line| line.contains("open.consumed")).count();
    assert!((opened..=all).contains(&recorded), "{recorded} openings are recorded, {opened} were told");
    told(format_args!(
        "{all} tokens, each 8 times at once, {kills} kills: {opened} openings, {} used up by a killed process, none twice",
        silent.len()
    ));
}
