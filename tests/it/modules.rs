//! One agent's modules with values, a module's series, planned work: against demo consoles and recordings.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use metaconsole::clock::{Clock, Deadline, Timestamp};
use metaconsole::config;
use metaconsole::demo::{Agent, Console, Fault, Fleet, Module, ModuleState, Settings};
use metaconsole::domain::Status;
use metaconsole::sites::decoding::Decoding;
use metaconsole::sites::http::Clients;
use metaconsole::sites::pandora::Pandora;
use metaconsole::sites::{Site, View, When};

use crate::support::program::Config;
use crate::support::replay::Replay;

/// When the recordings were made.
const NOW: i64 = 1_795_404_900;

fn site(url: String, clock: Clock) -> Pandora {
    let config = config::load(&Config::sites([("a", url)]).path(), &|_| None).unwrap();
    Pandora::new(&config.sites[0], &Clients::new("test"), Arc::new(Decoding::new(1)), clock).unwrap()
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

fn console(fleet: Fleet) -> Console {
    Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), fleet, Settings::default()).unwrap()
}

fn many(modules: usize) -> Fleet {
    let agent = (0..modules).fold(Agent::new("web-01", 2), |agent, number| {
        let state = if number % 50 == 7 { ModuleState::Critical } else { ModuleState::Normal };
        agent.module(Module::new(&format!("Disk <{number}> & co"), state, &format!("{number}.50000")))
    });
    Fleet::empty(NOW).group(2, "Servers", 0).agent(agent)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agents_modules_are_read_worst_first_and_the_cut_is_told() {
    let console = console(many(203));
    let site = site(console.url(), Clock::System);
    let inventory = site.inventory(soon()).await.unwrap().inventory;
    let detail = site.detail("1", &inventory, &|_| (), soon()).await.unwrap();
    assert_eq!((detail.modules.len(), detail.cut), (200, 3));
    let critical = detail.modules.iter().take_while(|module| module.status == Status::Critical).count();
    assert_eq!(critical, 4);
    let first = &detail.modules[0];
    assert_eq!((first.name.as_str(), first.value.as_str()), ("Disk <7> & co", "7.50000"));
    assert_eq!(console.requests().count("module_properties"), 200);
    for seen in console.requests().all().iter().filter(|seen| seen.op2 == "module_properties") {
        // Without a list of fields a console answers with the password of a plugin.
        assert!(seen.parameters.get("other").contains("module_name,") && !seen.query.contains("plugin"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_most_four_modules_are_read_at_once() {
    let console = console(many(12));
    let site = site(console.url(), Clock::System);
    let inventory = site.inventory(soon()).await.unwrap().inventory;
    console.faults().add(Fault::Hang.on("module_properties"));
    let reading = site.detail("1", &inventory, &|_| (), Deadline::after(Duration::from_secs(3)));
    let requests = console.requests().clone();
    let (detail, four) = tokio::join!(reading, requests.until(|load| load.in_flight == 4));
    assert_eq!(detail.unwrap_err().code.as_str(), "timeout");
    assert_eq!(four.in_flight, 4);
    assert_eq!(console.requests().count("module_properties"), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_that_is_gone_since_the_inventory_is_left_out() {
    let console = console(many(5));
    let site = site(console.url(), Clock::System);
    let inventory = site.inventory(soon()).await.unwrap().inventory;
    console.fleet().agent_mut("web-01").unwrap().modules.remove(2);
    let detail = site.detail("1", &inventory, &|_| (), soon()).await.unwrap();
    assert_eq!((detail.modules.len(), detail.cut), (4, 0));
    assert_eq!(site.detail("77", &inventory, &|_| (), soon()).await.unwrap().modules.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_series_is_cut_to_what_was_asked() {
    let replay = Replay::start("s1", &[("module_data", "s1-module-data-period")]);
    let site = site(replay.url(), Clock::following(Timestamp::from_secs(NOW)));
    let (from, to) = (Timestamp::from_secs(1_795_398_000), Timestamp::from_secs(1_795_400_000));
    let points = site.series("87", from, to, soon()).await.unwrap();
    let epochs: Vec<i64> = points.iter().map(|point| point.at.as_secs()).collect();
    assert_eq!(
        epochs,
        [1_795_398_116, 1_795_398_416, 1_795_398_716, 1_795_399_016, 1_795_399_316, 1_795_399_616, 1_795_399_916]
    );
    assert!(points.iter().all(|point| point.value == "17.85"));
    let asked = &replay.requests().all()[0];
    assert_eq!(asked.parameters.get("other"), format!(";|{}", NOW - 1_795_398_000 + 60));
    let text = Replay::start("s1", &[("module_data", "s1-module-data-string-module")]);
    let points =
        self::site(text.url(), Clock::following(Timestamp::from_secs(NOW))).series("95", from, to, soon()).await;
    assert_eq!(points.unwrap()[0].value, "OK; all \"fine\" <b>ñ</b> & ?");
    let empty = Replay::start("s1", &[("module_data", "s1-module-data-empty-range")]);
    let points =
        self::site(empty.url(), Clock::following(Timestamp::from_secs(NOW))).series("87", from, to, soon()).await;
    assert_eq!(points.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planned_work_is_read_seldom() {
    let replay = Replay::start("s1", &[("all_planned_downtimes", "s1-planned-downtimes-json")]);
    let site = self::site(replay.url(), Clock::System);
    for _ in 0..5 {
        let work = site.planned_work(soon()).await.unwrap();
        assert_eq!((work.len(), work[0].name.as_str()), (2, "Ventana cañón"));
        assert!(matches!(work[0].when, When::Once { .. }));
    }
    assert_eq!(replay.requests().count("all_planned_downtimes"), 1);
    let none = Replay::start("s1", &[("all_planned_downtimes", "s1-planned-downtimes-none")]);
    assert_eq!(self::site(none.url(), Clock::System).planned_work(soon()).await.unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_operating_systems_are_asked_once_and_only_when_unknown() {
    let mut special = Agent::new("fw-01", 2);
    special.os = 50;
    let mut fleet = many(1).agent(special);
    fleet.systems.insert(50, "FortiOS \"7\" <x>".to_owned());
    let console = console(fleet);
    let site = site(console.url(), Clock::System);
    let visible = metaconsole::inventory::Visible::All;
    let os = |reading: metaconsole::sites::Reading| reading.inventory.agent("2", &visible).unwrap().os;
    assert_eq!(os(site.inventory(soon()).await.unwrap()), "FortiOS \"7\" <x>");
    assert_eq!(console.requests().count("all_agents"), 1);
    // From the second read on, names that ship with the product are looked at too: once a day.
    assert_eq!(os(site.inventory(soon()).await.unwrap()), "FortiOS \"7\" <x>");
    assert_eq!(os(site.inventory(soon()).await.unwrap()), "FortiOS \"7\" <x>");
    assert_eq!(console.requests().count("all_agents"), 2);
    assert_eq!(console.requests().load().sets, 0);
}

#[test]
fn a_console_links_to_its_own_pages() {
    let site = site("http://127.0.0.1:9/pandora_console/".to_owned(), Clock::System);
    let link = site.link(View::Agent("42"));
    assert!(
        link.as_str().ends_with("/pandora_console/index.php?sec=estado&sec2=operation/agentes/ver_agente&id_agente=42")
    );
}
