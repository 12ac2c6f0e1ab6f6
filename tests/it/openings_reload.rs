//! Openings while the real program's configuration changes: keys are changed under them, and people are taken out.

use std::os::unix::fs::PermissionsExt as _;

use crate::openings::{finish, keys, start, token, visit};
use crate::support::browser::{Browser, between, hashed};
use crate::support::gateway::until;
use crate::support::php::{PhpSite, Visitor};
use crate::support::program::Config;
use crate::support::running::Running;

const PEOPLE: [&str; 4] = ["ana", "ben", "eva", "luc"];

struct World {
    config: Config,
    yaml: String,
    running: Running,
    base: String,
    madrid: PhpSite,
    lyon: PhpSite,
}

fn keys_line(keys: &[(&str, bool)]) -> String {
    let key =
        |(kid, signing): &(&str, bool)| format!("{{kid: {kid}, secret: \"file:master-{kid}\", signing: {signing}}}");
    format!("keys: [{}]", keys.iter().map(key).collect::<Vec<_>>().join(", "))
}

impl World {
    async fn new(madrid_too: &str) -> Self {
        let (madrid, lyon) = (PhpSite::start("madrid.localhost").await, PhpSite::start("lyon.localhost").await);
        let site = |id: &str, site: &PhpSite, more: &str| {
            let root = site.root();
            format!(
                "  - {{id: {id}, url: \"http://{}/pandora_console/\", public_url: \"{root}\", credentials: {{token: \
                 \"file:token\"}}, delegation: {{verifier: dropin, url: \"{root}mc.php\", accounts: \
                 [{{group: \"local:noc\", account: ops.reader}}]{more}}}}}\n",
                site.address
            )
        };
        let user = |login: &&str| {
            format!("    - {{login: {login}, password: '{}', roles: [noc], groups: [noc]}}\n", hashed(login))
        };
        let yaml = format!(
            "gateway: {{listen: \"127.0.0.1:0\", state_dir: state, KEYS}}\nsites:\n{}{}access:\n  roles:\n    noc: {{search: \
             ['*'], open: ['*']}}\n  users:\n{}",
            site("madrid", &madrid, madrid_too),
            site("lyon", &lyon, ""),
            PEOPLE.iter().map(user).collect::<String>(),
        );
        let config = Config::new(&yaml.replace("KEYS", &keys_line(&[("a", true)])));
        for kid in ["a", "b"] {
            keys(&config, &["generate", "--out", &format!("master-{kid}")]).await;
        }
        let mut running = Running::start(config.command("serve"));
        let base = format!("http://{}", running.address().await);
        let world = Self { config, yaml, running, base, madrid, lyon };
        world.bring(&["a"]).await;
        world.madrid.allow("madrid", &world.base, &["ops.reader"]);
        world.lyon.allow_online("lyon", &world.base, &["ops.reader"]);
        world
    }

    /// The sites get their keys of these masters, at once.
    async fn bring(&self, kids: &[&str]) {
        for (id, site) in [("madrid", &self.madrid), ("lyon", &self.lyon)] {
            let mut text = String::new();
            for kid in kids {
                let out = site.path(&format!("etc/keys-{kid}"));
                let _ = std::fs::remove_file(&out);
                let out = out.display().to_string();
                keys(&self.config, &["derive", "--site", id, "--kid", kid, "--out", &out]).await;
                text.push_str(&std::fs::read_to_string(out).unwrap());
            }
            let (beside, kept) = (site.path("etc/keys-new"), site.path("etc/keys"));
            std::fs::write(&beside, text).unwrap();
            std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o600)).unwrap();
            std::fs::rename(beside, kept).unwrap();
        }
    }

    /// Another configuration, in force when this returns.
    async fn reloaded(&mut self, yaml: &str) {
        let path = self.config.path();
        let beside = path.with_file_name("sites.new");
        std::fs::write(&beside, yaml).unwrap();
        std::fs::rename(beside, path).unwrap();
        self.running.signal("HUP");
        self.running.says("new configuration in force").await;
    }
}

/// What somebody needs to open consoles.
struct Person {
    browser: Browser,
    visitor: Visitor,
    base: String,
    logins: [(&'static str, String); 2],
}

impl Person {
    async fn new(world: &World, login: &str) -> Self {
        let login_at = |site: &PhpSite| format!("{}mc.php?a=login", site.root());
        Self {
            browser: Browser::logged_in(&world.base, login).await,
            visitor: Visitor::at(&[&world.madrid, &world.lyon]),
            base: world.base.clone(),
            logins: [("madrid", login_at(&world.madrid)), ("lyon", login_at(&world.lyon))],
        }
    }

    /// Opens a console; the key's id that it was signed with, and whether it was taken.
    async fn open(&mut self, number: usize) -> (String, bool) {
        let (site, login) = self.logins[number % 2].clone();
        let begun = start(&mut self.browser, site, &format!("agent:{number}")).await;
        let back = visit(&self.base, &mut self.visitor, &begun).await;
        let answer = finish(&self.base, &mut self.browser, &back).await;
        let Some(token) = token(&answer) else { return (format!("none: {answer:?}"), false) };
        let kid = token.split('.').nth(1).unwrap().to_owned();
        let landed = self.visitor.post(&login, &[("mc_token", &token)]).await;
        (kid, landed.status == 303 && landed.header("location").ends_with(&format!("id_agente={number}")))
    }

    async fn open_some(&mut self) -> Vec<(String, bool)> {
        let mut opened = Vec::new();
        for number in 0..6 {
            opened.push(self.open(number).await);
        }
        opened
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_changed_under_openings_and_none_fails() {
    let mut world = World::new("").await;
    let mut people = Vec::new();
    for login in PEOPLE {
        people.push(Person::new(&world, login).await);
    }
    let mut kids = Vec::new();
    let (a, b) = (("a", true), ("b", false));
    // Each step of the change in the middle of openings; one that was begun before a step ends after it.
    for step in ["add", "bring", "sign", "retire"] {
        let opening = futures_util::future::join_all(people.iter_mut().map(Person::open_some));
        let changing = async {
            match step {
                "add" => world.reloaded(&world.yaml.replace("KEYS", &keys_line(&[a, b]))).await,
                "bring" => world.bring(&["a", "b"]).await,
                "sign" => world.reloaded(&world.yaml.replace("KEYS", &keys_line(&[("a", false), ("b", true)]))).await,
                _ => {
                    world.bring(&["b"]).await;
                    world.reloaded(&world.yaml.replace("KEYS", &keys_line(&[("b", true)]))).await;
                }
            }
        };
        let (opened, ()) = tokio::join!(opening, changing);
        let opened: Vec<(String, bool)> = opened.concat();
        assert_eq!(opened.len(), 24);
        let failed: Vec<_> = opened.iter().filter(|(_, taken)| !taken).collect();
        assert!(failed.is_empty(), "{step}: {failed:?} {:?} {:?}", world.madrid.decisions(), world.lyon.decisions());
        kids.push(opened.into_iter().map(|(kid, _)| kid).collect::<std::collections::BTreeSet<_>>());
        if step == "add" || step == "bring" {
            let output = world.config.run(&["check", "--deadline", "2s"]).await;
            let says =
                if step == "add" { "takes key a, does not have b yet" } else { "takes keys a, b of which a signs" };
            assert!(output.stdout.contains(says), "{says}: {output:?}");
        }
    }
    let of = |kids: &std::collections::BTreeSet<String>| kids.iter().cloned().collect::<String>();
    assert_eq!((of(&kids[0]), of(&kids[1]), of(&kids[3])), ("a".to_owned(), "a".to_owned(), "b".to_owned()));
    assert!(kids[2].contains("b"), "{kids:?}");
    world.running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_the_configuration_takes_out_is_out_of_the_consoles_too() {
    let mut world = World::new(", revoke: true").await;
    let mut eva = Person::new(&world, "eva").await;
    assert!(eva.open(0).await.1);
    for login in ["ana", "ben"] {
        assert!(Person::new(&world, login).await.open(0).await.1);
    }
    assert_eq!(world.madrid.sessions().await, 3);
    let all = world.yaml.replace("KEYS", &keys_line(&[("a", true)]));
    // A user who is gone.
    let without_ana: String =
        all.lines().filter(|line| !line.contains("login: ana")).map(|line| format!("{line}\n")).collect();
    world.reloaded(&without_ana).await;
    until("ana's session is gone", || async { world.madrid.sessions().await == 2 }).await;
    // Somebody who logs out, of which the site does not hear before the gateway dies.
    let (keys, mode) = (world.madrid.path("etc/keys"), std::fs::Permissions::from_mode);
    std::fs::set_permissions(&keys, mode(0o644)).unwrap();
    let page = eva.browser.get("/logout").await;
    let form = between(&page.text, "name=\"form\" value=\"", "\"").to_owned();
    assert_eq!(eva.browser.post("/logout", &[("form", &form)]).await.status, 200);
    let World { running, config, madrid, .. } = world;
    running.signal("KILL");
    running.ended().await;
    assert_eq!(madrid.sessions().await, 2);
    std::fs::set_permissions(&keys, mode(0o600)).unwrap();
    // A user whose role lost the right while nothing ran.
    config.write("sites.yaml", without_ana.replace("open: ['*']", "open: [lyon]").as_bytes());
    let mut running = Running::start(config.command("serve"));
    running.address().await;
    let folder = config.path().with_file_name("state").join("audit");
    let ended = || {
        let files = std::fs::read_dir(&folder).unwrap();
        let text: String =
            files.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default()).collect();
        text.lines().filter(|line| line.contains("\"open.ended\"")).map(str::to_owned).collect::<Vec<_>>()
    };
    until("all three ends are recorded", || async { ended().len() == 3 }).await;
    assert_eq!(madrid.sessions().await, 0);
    running.end().await;
    for (login, why) in
        [("ana", "the configuration changed"), ("ben", "the configuration changed"), ("eva", "from before a restart")]
    {
        let line = ended().into_iter().find(|line| line.contains(&format!("\"actor\":\"local:{login}\""))).unwrap();
        assert!(line.contains("\"result\":\"sent\"") && line.contains(&format!("{why}: ended 1")), "{line}");
    }
}
