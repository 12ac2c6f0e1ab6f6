//! One agent's modules with values, a module's series, planned work: against demo consoles and recordings.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use metaconsole::app::App;
use metaconsole::clock::{Clock, Deadline, Timestamp};
use metaconsole::config;
use metaconsole::demo::{Agent, Console, Fault, Fleet, Module, ModuleState, Requests, Settings, Zone};
use metaconsole::domain::{ErrorCode, Status};
use metaconsole::sites::decoding::Decoding;
use metaconsole::sites::http::Clients;
use metaconsole::sites::pandora::Pandora;
use metaconsole::sites::{Point, Site, View, When};

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
async fn texts_that_would_fill_the_memory_are_left_out_by_name() {
    let module = |name: &str, length: usize| Module::new(name, ModuleState::Normal, &"x".repeat(length));
    let mut agent = Agent::new("web-01", 2).module(module(&"n".repeat(70_000), 1));
    for number in 0..30 {
        agent = agent.module(module(&format!("Log {number}"), 50_000));
    }
    let console = console(Fleet::empty(NOW).group(2, "Servers", 0).agent(agent.module(module("last", 1))));
    let site = site(console.url(), Clock::System);
    let inventory = site.inventory(soon()).await.unwrap().inventory;
    let detail = site.detail("1", &inventory, &|_| (), soon()).await.unwrap();
    // Twenty of the long ones have room; a short one always has.
    assert_eq!((detail.modules.len(), detail.unread.len()), (21, 11));
    assert!(detail.modules.iter().any(|module| module.name == "last"));
    assert!(detail.unread.iter().any(|unread| unread.id == "1"));
    assert!(detail.unread.iter().all(|unread| unread.error.code == ErrorCode::TooLarge));
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
async fn four_modules_at_once_are_of_the_whole_site_and_who_waits_has_a_deadline() {
    let agent = |alias: &str| {
        (0..12).fold(Agent::new(alias, 2), |agent, n| {
            agent.module(Module::new(&format!("m{n}"), ModuleState::Normal, "1"))
        })
    };
    let fleet = Fleet::empty(NOW).group(2, "Servers", 0).agent(agent("web-01")).agent(agent("web-02"));
    let console = console(fleet);
    let site = site(console.url(), Clock::System);
    let inventory = site.inventory(soon()).await.unwrap().inventory;
    console.faults().add(Fault::Hang.on("module_properties"));
    let requests = console.requests().clone();
    let tell = |_: &metaconsole::sites::Module| ();
    let first = site.detail("1", &inventory, &tell, Deadline::after(Duration::from_secs(4)));
    let second = async {
        requests.until(|load| load.in_flight == 4).await;
        let second = site.detail("2", &inventory, &tell, Deadline::after(Duration::from_secs(1))).await;
        (second.unwrap(), requests.count("module_properties"))
    };
    let (first, (second, asked)) = tokio::join!(first, second);
    assert_eq!((first.unwrap_err().code.as_str(), asked), ("timeout", 4));
    // It was never asked, so none of its modules is gone or failed: each is told with why.
    assert_eq!((second.modules.len(), second.unread.len()), (0, 12));
    for unread in &second.unread {
        assert_eq!(unread.error.code.as_str(), "timeout");
        assert!(unread.error.message.contains("its turn did not come"), "{unread:?}");
    }
    // The places are free again.
    console.faults().clear().unwrap();
    assert_eq!(site.detail("2", &inventory, &tell, soon()).await.unwrap().modules.len(), 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn series_and_events_have_few_places_too() {
    let console = console(many(3));
    let site = site(console.url(), Clock::System);
    for op2 in ["module_data", "events"] {
        console.faults().add(Fault::Hang.on(op2));
    }
    let now = Clock::System.now();
    let from = Timestamp::from_secs(now.as_secs() - 3600);
    // The third of each has less time than the two before it, which keep their places.
    let time = |secs: u64| Deadline::after(Duration::from_secs(secs));
    let series = [("1", 3), ("2", 3), ("3", 1)].map(|(module, secs)| site.series(module, from, now, time(secs)));
    let events = [(0, 3), (1, 3), (2, 1)].map(|(offset, secs)| site.events(offset, 5, time(secs)));
    let (series, events) = tokio::join!(futures_util::future::join_all(series), futures_util::future::join_all(events));
    let series: Vec<_> = series.into_iter().map(Result::unwrap_err).collect();
    let events: Vec<_> = events.into_iter().map(Result::unwrap_err).collect();
    for errors in [series, events] {
        assert!(errors.iter().all(|error| error.code.as_str() == "timeout" && error.remedy.is_some()), "{errors:?}");
        let waited: Vec<bool> = errors.iter().map(|error| error.message.contains("its turn did not come")).collect();
        assert_eq!(waited, [false, false, true], "{errors:?}");
    }
    assert_eq!(["module_data", "events"].map(|op2| console.requests().count(op2)), [2, 2]);
}

#[test]
fn a_later_adapter_of_the_same_site_has_the_same_places() {
    let load = |settings: &str| {
        let yaml = format!("sites:\n  - {{id: a, credentials: {{token: \"file:token\"}}, {settings}}}\n");
        config::load(&Config::new(&yaml).path(), &|_| None).unwrap()
    };
    let places = |app: &App| app.federation.slots()[0].plan().site.as_ref().unwrap().places();
    let app = App::new(load("url: \"http://a.localhost/\""), Clock::System);
    let harmless = [
        "url: \"http://a.localhost/\", name: Other",
        "url: \"http://a.localhost/\", public_url: \"https://b.localhost/\"",
        "url: \"http://a.localhost/\", connect_timeout: 1s",
    ];
    for settings in harmless {
        let (later, changes) = app.with(load(settings));
        assert_eq!((changes.changed.len(), changes.forgotten.len()), (1, 0), "{settings}");
        assert!(Arc::ptr_eq(&places(&app), &places(&later)), "{settings}");
    }
    let (other, _) = app.with(load("url: \"http://other.localhost/\""));
    assert!(!Arc::ptr_eq(&places(&app), &places(&other)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn modules_that_may_not_be_read_are_not_taken_for_gone() {
    let cases = [("tree_agents", "s1-tree-agents-snapshot"), ("module_properties", "s1-noperm-agent_alias")];
    let replay = Replay::start("s1", &cases);
    let site = site(replay.url(), Clock::System);
    let inventory = site.inventory(soon()).await.unwrap().inventory;
    let error = site.detail("20", &inventory, &|_| (), soon()).await.unwrap_err();
    assert_eq!(error.code.as_str(), "forbidden");
    // An id that it does not know is one that is gone.
    let replay = Replay::start("s1", &[cases[0], ("module_properties", "s1-module-properties-unknown")]);
    let detail = self::site(replay.url(), Clock::System).detail("20", &inventory, &|_| (), soon()).await.unwrap();
    assert_eq!((detail.modules.len(), detail.unread.len(), detail.cut), (0, 0, 0));
}

/// Site, module with numbers, module with text, and where the recorded range of the first begins: 22:36 in Madrid, 16:38
/// in New York and 06:39 in Tokyo are of one afternoon.
const ZONES: [(&str, &str, &str, i64); 3] =
    [("s1", "87", "95", 1_795_383_360), ("s2", "840", "898", 1_795_383_480), ("s3", "839", "898", 1_795_383_540)];

fn instant(at: Timestamp) -> String {
    at.to_string().replace('-', "")
}

/// What `module_data` was asked for.
fn stretches(requests: &Requests) -> Vec<String> {
    let of_data = |seen: &&metaconsole::demo::Seen| seen.op2 == "module_data";
    requests.all().iter().filter(of_data).map(|seen| seen.parameters.get("other").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_series_is_right_in_every_zone() {
    for (console, number, _, from) in ZONES {
        let replay = Replay::start(console, &[("module_data", &format!("{console}-module-data-range"))]);
        let site = site(replay.url(), Clock::following(Timestamp::from_secs(NOW)));
        let (from, to) = (Timestamp::from_secs(from), Timestamp::from_secs(from + 7200));
        let series = site.series(number, from, to, soon()).await.unwrap();
        assert_eq!((series.points.len(), series.text), (48, false), "{console}");
        // The same samples at all three, every five minutes; between them what fills the gaps.
        let stored: Vec<&Point> = series.points.iter().filter(|point| !point.repeat).collect();
        let times: Vec<i64> = stored.iter().map(|point| point.at.as_secs()).collect();
        assert_eq!(times, (0..24).map(|n| 1_795_383_567 + 300 * n).collect::<Vec<_>>(), "{console}");
        assert_eq!(stored[0].value, "27.69");
        // Asked in universal time, which every console understands alike, and once.
        assert_eq!(stretches(replay.requests()), [format!(";||{}|{}", instant(from), instant(to))]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_console_that_takes_instants_otherwise_is_asked_by_length() {
    for first in ["s1-module-data-period", "s1-module-data-bad-date"] {
        let replay = Replay::start("s1", &[("module_data", first)]);
        let site = site(replay.url(), Clock::following(Timestamp::from_secs(NOW)));
        let (from, to) = (Timestamp::from_secs(1_795_398_000), Timestamp::from_secs(1_795_400_000));
        let series = site.series("87", from, to, soon()).await;
        let asked = stretches(replay.requests());
        assert_eq!(asked, [format!(";||{}|{}", instant(from), instant(to)), format!(";|{}", NOW - 1_795_398_000 + 60)]);
        if first.ends_with("bad-date") {
            assert_eq!(series.unwrap_err().code.as_str(), "bad_answer");
            continue;
        }
        let points = series.unwrap().points;
        let epochs: Vec<i64> = points.iter().map(|point| point.at.as_secs()).collect();
        assert_eq!(
            epochs,
            [1_795_398_116, 1_795_398_416, 1_795_398_716, 1_795_399_016, 1_795_399_316, 1_795_399_616, 1_795_399_916]
        );
        assert!(points.iter().all(|point| point.value == "17.85" && point.repeat));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_series_that_ends_now_is_asked_by_length_and_text_stays_text() {
    for (console, _, text, _) in ZONES {
        let replay = Replay::start(console, &[("module_data", &format!("{console}-module-data-string-module"))]);
        let site = site(replay.url(), Clock::following(Timestamp::from_secs(NOW)));
        let (from, to) = (Timestamp::from_secs(1_795_398_000), Timestamp::from_secs(NOW + 30));
        let series = site.series(text, from, to, soon()).await.unwrap();
        assert!(series.text && series.points.len() > 20, "{console}");
        assert!(series.points.iter().all(|point| point.value == "OK; all \"fine\" <b>ñ</b> & ?"), "{console}");
        assert_eq!(stretches(replay.requests()), [format!(";|{}", NOW - 1_795_398_000 + 60)]);
    }
    let empty = Replay::start("s1", &[("module_data", "s1-module-data-empty-range")]);
    let site = site(empty.url(), Clock::following(Timestamp::from_secs(NOW)));
    let (from, to) = (Timestamp::from_secs(1_795_398_000), Timestamp::from_secs(1_795_400_000));
    assert_eq!(site.series("87", from, to, soon()).await.unwrap().points, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ways_to_ask_for_a_series_give_the_same() {
    // A demo console in Tokyo, whose local times are nine hours off.
    let module = Module::new("CPU", ModuleState::Normal, "5000.00000");
    let fleet = many(0).agent(Agent::new("web-02", 2).module(module));
    let fleet = Fleet { zone: Zone::new("Asia/Tokyo", "JST-9"), ..fleet };
    let console = console(fleet);
    let now = Clock::System.now().as_secs();
    let (from, to) = (Timestamp::from_secs(NOW - 7193), Timestamp::from_secs(NOW - 3600));
    let site = site(console.url(), Clock::System);
    let old = site.series("1", from, to, soon()).await.unwrap();
    let whole = site.series("1", from, Timestamp::from_secs(now), soon()).await.unwrap();
    let stored = |points: &[Point]| -> Vec<(i64, String)> {
        let new = points.iter().filter(|point| !point.repeat && point.at < to);
        new.map(|point| (point.at.as_secs(), point.value.clone())).collect()
    };
    assert!(!stored(&old.points).is_empty());
    assert_eq!(stored(&old.points), stored(&whole.points));
    let asked = stretches(console.requests());
    assert!(asked.len() == 2 && asked[0].ends_with('Z') && !asked[1].contains('Z'), "{asked:?}");
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
