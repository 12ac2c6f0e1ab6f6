//! The agent page: values, charts, alerts with their age, events back in time, the same host elsewhere, its console.

use std::net::{Ipv4Addr, SocketAddr};

use metaconsole::clock::Clock;
use metaconsole::demo::{Agent, Console, Event, EventKind, Fault, Fleet, Module, ModuleKind, ModuleState, Settings};
use serde_json::json;

use super::driver::Browser;
use crate::support::gateway::{Served, console};
use crate::support::program::Config;

/// A console with an agent that has a bit of everything.
fn rich() -> Console {
    let now = Clock::System.now().as_secs();
    let mut cpu = Module::new("CPU load", ModuleState::Warning, "71.5");
    (cpu.warning, cpu.alert_fired) = ((70.0, 80.0), true);
    let mut log = Module::new("Log", ModuleState::Normal, "OK; all fine");
    log.kind = ModuleKind::Text;
    let mut silent = Module::new("Temperature", ModuleState::Unknown, "19");
    silent.utimestamp = now - 7200;
    let agent = Agent::new("web-01", 2).module(cpu).module(log).module(silent).module(Module::new(
        "Never",
        ModuleState::NotInit,
        "",
    ));
    let mut fleet = Fleet::empty(now).group(2, "Servers", 0).agent(agent);
    for id in 1..=65 {
        let (kind, text, data) = (EventKind::Warning, format!("event number {id}"), String::new());
        let at = now - 100_000 + i64::from(id);
        fleet.events.push(Event { id, agent: 1, group: 2, module: 1, utimestamp: at, kind, text, data });
    }
    Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), fleet, Settings::default()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_is_told_with_values_charts_alerts_and_events_back_in_time() {
    let (a, b, c) = (rich(), console(&["WEB-01"]), console(&["web-01"]));
    c.faults().add(Fault::Refuse);
    let served = Served::start(&Config::sites([("a", a.url()), ("b", b.url()), ("c", c.url())])).await;
    assert_eq!(served.get("/api/v1/search?deadline=30s").await.json()["total"], 2);
    let browser = Browser::start(1300, 900).await;
    browser.open(&served.url("/agents/a/1")).await;
    browser.says("#detail-state", "As of").await;
    browser.says("h1", "warning").await;
    // Worst first; a text is a text, what was never there is said so.
    let names = "[...document.querySelectorAll('.modules .name bdi:first-child')].map((e) => e.innerText)";
    assert_eq!(browser.eval(names).await, json!(["CPU load", "Temperature", "Log", "Never"]));
    browser.says(".modules", "71.5").await;
    browser.says(".modules", "OK; all fine").await;
    browser.says(".modules tr:nth-child(4)", "never").await;
    browser.says(".modules tr:nth-child(2)", "overdue").await;
    // A picture of each number, none of a text.
    browser.until("document.querySelectorAll('.modules svg.line').length === 2").await;
    let label = "document.querySelector('.modules tr:nth-child(1) svg').getAttribute('aria-label')";
    let label = browser.eval(label).await;
    assert!(label.as_str().unwrap().starts_with("CPU load, last day: "), "{label}");
    let corners = "document.querySelector('.modules tr:nth-child(1) svg .values').getAttribute('d').split('L').length";
    assert!(browser.eval(corners).await.as_u64().unwrap() > 100);
    // Nothing is drawn after the last report, whatever the site fills in there.
    let end = "Number(document.querySelector('.modules tr:nth-child(2) svg .values').getAttribute('d').split(/[ML]/).at(-1).split(' ')[0])";
    let end = browser.eval(end).await.as_f64().unwrap();
    assert!((190.0..204.0).contains(&end), "two hours of a day before its end at 220: {end}");
    assert_eq!(browser.eval("document.querySelector('.modules tr:nth-child(3) td.chart').innerText").await, "");
    browser.eval("(() => { const r = document.getElementById('range'); r.value = 'hour'; r.dispatchEvent(new Event('change')); })()").await;
    browser
        .until("document.querySelector('.modules svg')?.getAttribute('aria-label').includes('last hour') === true")
        .await;
    // Alerts have an age of their own, and are asked for on wish only.
    browser.says("#alerts", "not known").await;
    browser.eval("document.getElementById('ask-alerts').click()").await;
    browser.says("#alerts .alert", "fired").await;
    browser.says("#alerts", "as of").await;
    // Events: the newest, then page by page, each once.
    browser.says("#events tr:first-child", "event number 65").await;
    let events = "document.querySelectorAll('#events tr').length";
    assert_eq!(browser.eval(events).await, 20);
    for count in [40, 60, 65] {
        browser.until("document.getElementById('older')?.disabled === false").await;
        browser.eval("document.getElementById('older').click()").await;
        // The first page of the walk is what stands there already.
        browser.until(&format!("{events} === {count}")).await;
    }
    browser.says("#events tr:last-child", "event number 1").await;
    if browser.eval("document.getElementById('older') !== null").await == true {
        browser.eval("document.getElementById('older').click()").await;
    }
    browser.says("#events-more", "These are all.").await;
    assert_eq!(browser.eval(events).await, 65);
    // The same host elsewhere, by name; and that one site could not be looked at.
    browser.says("[data-swap=elsewhere]", "WEB-01").await;
    browser.says("[data-swap=elsewhere]", "Nothing is known of 1 of 3 sites now.").await;
    // Its console, and each of its views there.
    browser.says(".door", "(log in there)").await;
    let views = "[...document.querySelectorAll('.views a')].map((a) => a.innerText)";
    assert_eq!(browser.eval(views).await, json!(["modules", "alerts", "events", "graphs", "JSON"]));
    // A gateway that is gone: what stood there stays, with its time.
    drop(served);
    browser.eval("document.getElementById('range').dispatchEvent(new Event('change'))").await;
    browser.says("#detail-state", "What stands here is of").await;
    browser.says(".modules", "71.5").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_site_does_not_tell_of_an_agent_is_said_with_its_reason() {
    let a = rich();
    a.faults().add(Fault::Crash.on("module_properties"));
    a.faults().add(Fault::LoginPage.on("events"));
    let served = Served::start(&Config::sites([("a", a.url())])).await;
    let browser = Browser::start(1300, 900).await;
    browser.open(&served.url("/agents/a/1")).await;
    browser.says("#detail-state", "4 of 4 not read: ").await;
    browser.says(".modules", "not read").await;
    browser.says("#events", "Not told: ").await;
    browser.says("#events", "a login page").await;
    browser.open(&served.url("/agents/a/99")).await;
    browser.says("h1", "Not Found").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chart_breaks_where_nothing_came_and_bears_any_value() {
    let a = console(&["web-01"]);
    let served = Served::start(&Config::sites([("a", a.url())])).await;
    let browser = Browser::start(1200, 800).await;
    browser.open(&served.url("/agents/a/1")).await;
    let drawn = async |points: &str, options: &str| {
        let script = format!(
            "(async () => {{ const own = document.querySelector('script[src$=\"agent.js\"]').src; \
             const {{ chart }} = await import(own.replace('agent.js', 'chart.js')); \
             const box = chart({points}, 0, 1000, {options}); document.body.append(box); \
             const svg = box.querySelector('svg'); \
             return [svg?.querySelector('.values').getAttribute('d') ?? box.innerText, svg?.getAttribute('aria-label') ?? '']; }})()"
        );
        let told = browser.eval(&script).await;
        (told[0].as_str().unwrap().to_owned(), told[1].as_str().unwrap().to_owned())
    };
    let (line, label) =
        drawn("[[0, 1], [10, 2], [20, 3], [500, 4], [510, 5], [900, 6]]", "{ label: 'x', interval: 10 }").await;
    assert_eq!((line.matches('M').count(), label.as_str()), (3, "x: 1 to 6, last 6, 2 gaps"), "{line}");
    assert!(line.ends_with("h0"), "a value that stands alone is a dot: {line}");
    assert_eq!(drawn("[]", "{}").await.0, "no values");
    assert_eq!(drawn("[[5, NaN], [NaN, 5], [5, Infinity], [-1, 3], [1001, 3]]", "{}").await.0, "no values");
    let (line, _) = drawn("[[0, 1e308], [10, -1e308], [20, 0], [30, 5e-324]]", "{}").await;
    assert!(!line.contains("NaN") && !line.contains("Infinity"), "{line}");
    let (line, _) = drawn("[[0, 7], [10, 7]]", "{}").await;
    assert!(line.starts_with("M0.0 18.0L"), "{line}");
    let (line, label) = drawn("[[20, 3], [0, 1], [10, 2]]", "{ until: 15 }").await;
    assert!(
        line.starts_with("M0.0 ") && label.ends_with("last 2"),
        "in order, and none after the last report: {label}"
    );
    // Ten thousand values are drawn by no more than four in each column, and none of the extremes is lost.
    let (line, label) = drawn("[...Array(10000).keys()].map((n) => [n / 10, n === 777 ? 99 : n % 7])", "{}").await;
    assert!(line.split('L').count() < 4 * 221 && label.starts_with(": 0 to 99"), "{label}");
    let (_, label) = drawn("[[0, 1]]", "{ label: '<b onclick=window.hit=1>\\u202e' }").await;
    assert_eq!(label, "<b onclick=window.hit=1>[U+202E]: 1 to 1, last 1");
}
