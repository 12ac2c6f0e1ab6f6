//! Sites, walls and audit lines to look at: axe does, and whoever wants pictures (`METACONSOLE_PICTURES`, a folder).

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use metaconsole::audit::{JtiDigest, Opening, Record};
use metaconsole::clock::Clock;
use metaconsole::demo::{Agent, Console, Fault, Fleet, Module, ModuleState, Settings};
use serde_json::json;

use super::access::{axe, findings};
use super::driver::Browser;
use crate::support::browser::hashed;
use crate::support::gateway::{Served, console};
use crate::support::program::Config;

/// A gateway where `root` may all, `ana` audits `madrid`, and `luc` searches. Sites: id and address, or `paused`.
pub(super) fn people(sites: &[(&str, String)]) -> Config {
    let user = |(login, role): &(&str, &str)| {
        format!("    - {{login: {login}, password: '{}', roles: [{role}]}}\n", hashed(login))
    };
    let users: String = [("root", "all"), ("ana", "spain"), ("luc", "none")].iter().map(user).collect();
    let site = |(id, url): &(&str, String)| {
        let name = format!("{}{}", id[..1].to_uppercase(), &id[1..]);
        let (url, paused) = match url.as_str() {
            "paused" => ("http://127.0.0.1:1/pandora_console/", ", paused: true"),
            url => (url, ""),
        };
        format!(
            "  - {{id: {id}, name: {name}, url: \"{url}\", tags: [branch]{paused}, credentials: {{token: \"file:token\"}}}}\n"
        )
    };
    let sites: String = sites.iter().map(site).collect();
    Config::new(&format!(
        "gateway: {{state_dir: state}}\ndefaults: {{refresh_after: 5s, max_load: 1}}\nsites:\n{sites}access:\n  roles:\n    \
         all: {{search: ['*'], view: ['*'], audit: ['*'], admin: ['*']}}\n    \
         spain: {{search: [madrid], audit: [madrid]}}\n    none: {{search: [madrid]}}\n  users:\n{users}"
    ))
}

/// By the form, as a person does.
pub(super) async fn log_in(browser: &Browser, served: &Served, login: &str, next: &str) {
    let next: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
    browser.open(&served.url(&format!("/login?next={next}"))).await;
    let fill = format!(
        "(document.querySelector('[name=login]').value = '{login}', \
         document.querySelector('[name=password]').value = 'correct horse {login}', \
         document.querySelector('main form button, form button').click(), null)"
    );
    browser.eval(&fill).await;
    browser.until("location.pathname !== '/login'").await;
}

/// A site with so many agents of each state.
fn site(name: &str, states: [usize; 4]) -> Console {
    let all = [ModuleState::Critical, ModuleState::Warning, ModuleState::Unknown, ModuleState::Normal];
    let mut fleet = Fleet::empty(Clock::System.now().as_secs()).group(2, "Servers", 0);
    for (state, count) in all.into_iter().zip(states) {
        for number in 0..count {
            let kind = ["web", "db", "mail", "sw"][number % 4];
            let agent = Agent::new(&format!("{kind}-{name}-{:02}", fleet.agents.len() + 1), 2);
            fleet = fleet.agent(agent.module(Module::new("CPU", state, "97")));
        }
    }
    Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), fleet, Settings::default()).unwrap()
}

/// Eight sites with all that can be wrong with them, or sixty.
struct Stage {
    served: Served,
    _consoles: Vec<Console>,
    _config: Config,
}

async fn stage(many: bool) -> Stage {
    let (madrid, lyon) = (site("madrid", [3, 4, 1, 30]), site("lyon", [0, 0, 0, 42]));
    let (oslo, kyoto, roma) = (site("oslo", [0, 2, 0, 17]), site("kyoto", [1, 0, 2, 60]), console(&[]));
    let lima = site("lima", [1, 1, 0, 9]);
    let mut sites: Vec<(String, String)> = [("madrid", &madrid), ("lyon", &lyon), ("oslo", &oslo), ("kyoto", &kyoto)]
        .map(|(id, console)| (id.to_owned(), console.url()))
        .into();
    sites.extend([("roma".to_owned(), roma.url()), ("lima".to_owned(), lima.url())]);
    sites.extend([("wien".to_owned(), "paused".to_owned())]);
    sites.push(("porto".to_owned(), "http://127.0.0.1:1/pandora_console/".to_owned()));
    if many {
        sites.extend((0..60).map(|number| (format!("branch-{number:02}"), lyon.url())));
    }
    let sites: Vec<(&str, String)> = sites.iter().map(|(id, url)| (id.as_str(), url.clone())).collect();
    let config = people(&sites);
    let served = Served::start(&config).await;
    let everything = served.gateway.app.load_full();
    for slot in everything.federation.everything().slots() {
        if let Some(mut flight) = slot.look(metaconsole::federation::Wanted::Current).flight {
            flight.wait().await;
        }
    }
    lima.faults().add(Fault::Refuse);
    let slots = everything.federation.everything();
    let slot = slots.slots().find(|slot| slot.plan().id.as_str() == "lima").unwrap();
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(100));
    while slot.snapshot().failure.is_none() {
        if let Some(mut flight) = slot.look(metaconsole::federation::Wanted::Probe).flight {
            flight.wait().await;
        }
        tick.tick().await;
    }
    let journal = served.gateway.journal.clone().unwrap();
    let (madrid_id, jti) = ("madrid".parse().unwrap(), JtiDigest::of("1"));
    let opening = Opening { site: &madrid_id, account: "ops.reader", view: "agent:42", jti: &jti };
    for record in [
        Record::login("local:ana"),
        Record::login_failed(None, "bad_password"),
        Record::search("local:ana", "payroll status:critical", 4),
        Record::issued("local:ana", opening),
        Record::consumed("local:ana", opening),
        Record::refused("local:ana", opening, "expired"),
        Record::configuration("metaconsole", "sites: +lyon ~madrid; users: -eva"),
        Record::logout("local:ana"),
    ] {
        journal.record(record).await.unwrap();
    }
    Stage { served, _consoles: vec![madrid, lyon, oslo, kyoto, roma, lima], _config: config }
}

async fn picture(browser: &Browser, folder: &Path, name: &str) {
    let png = browser.driver.screenshot_as_png().await.unwrap();
    std::fs::write(folder.join(name), png).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sites_wall_audit_and_errors_have_no_serious_finding_and_fit_a_phone() {
    let axe = axe();
    let mut broken = Vec::new();
    for many in [false, true] {
        let stage = stage(many).await;
        let browser = Browser::start(1200, 800).await;
        log_in(&browser, &stage.served, "root", "/audit").await;
        let pages: &[&str] = match many {
            false => &[
                "/sites",
                "/sites/lima",
                "/sites/lyon",
                "/wall",
                "/audit",
                "/audit?verify=1&user=local:ana",
                "/nowhere",
            ],
            true => &["/sites", "/wall"],
        };
        for (scheme, width) in [("light", 1200), ("dark", 1200), ("light", 380)] {
            browser.scheme(scheme).await;
            browser.size(width, 800).await;
            for page in pages {
                browser.open(&stage.served.url(page)).await;
                let about = format!("{scheme} {width} {page}");
                broken.extend(findings(&browser, &axe).await.into_iter().map(|it| format!("{about}: {it}")));
                if browser.eval("document.documentElement.scrollWidth > innerWidth").await != json!(false) {
                    broken.push(format!("{about}: it is wider than that"));
                }
                if let Some(folder) = std::env::var_os("METACONSOLE_PICTURES") {
                    let name: String = page.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
                    let name = format!("{}{name}-{scheme}-{width}.png", if many { "many" } else { "few" });
                    picture(&browser, &PathBuf::from(folder), &name).await;
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "writes docs/pictures; see scripts/pictures"]
async fn pictures_of_sites_wall_and_audit() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures");
    for many in [false, true] {
        let stage = stage(many).await;
        let browser = Browser::start(1200, 820).await;
        log_in(&browser, &stage.served, "root", "/audit").await;
        let pages: &[(&str, &str, &str)] = match many {
            false => &[
                ("/sites", "light", "sites-cards.png"),
                ("/sites/lima", "light", "site.png"),
                ("/wall", "light", "wall.png"),
                ("/audit", "light", "audit.png"),
            ],
            true => &[("/sites", "dark", "sites-many-dark.png")],
        };
        for (page, scheme, name) in pages {
            browser.scheme(scheme).await;
            browser.open(&stage.served.url(page)).await;
            browser.says("#pulse", "gateway heard").await;
            picture(&browser, &folder, name).await;
        }
        if !many {
            browser.scheme("light").await;
            browser.size(390, 780).await;
            for (page, name) in [("/sites", "sites-phone.png"), ("/wall", "wall-phone.png")] {
                browser.open(&stage.served.url(page)).await;
                picture(&browser, &folder, name).await;
            }
        }
    }
}
