//! Searching a million agents in memory, as a ratio to the floor: one substring scan over the same text.
//!
//! `cargo bench --bench inventory`. Ratios are medians of one interleaved run, so they hold on a noisy machine.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark prints, and ends when something is wrong"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use memchr::memmem;
use metaconsole::clock::Timestamp;
use metaconsole::domain::{Query, Status, fold};
use metaconsole::inventory::{AgentText, Builder, Inventory, Request, Visible};

const AGENTS: usize = 1_000_000;
const ROUNDS: usize = 9;

/// The inventory, and the text that the floor scans.
fn build() -> (Inventory, String) {
    let mut builder = Builder::new(AGENTS);
    let mut text = String::new();
    let groups: Vec<u32> = ["Servers", "Databases", "Señalización & Vías", "Network"]
        .iter()
        .map(|name| builder.group(name, name).unwrap())
        .collect();
    let kinds = ["web", "db", "sw-core", "cache", "vpn"];
    for number in 0..AGENTS {
        let kind = kinds[number % kinds.len()];
        let (id, alias) = (number.to_string(), format!("{kind}-{number:07}.madrid.example"));
        let name = format!("{:032x}", (number as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        let address = format!("10.{}.{}.{}", number >> 16, number >> 8 & 255, number & 255);
        let agent =
            builder.agent(AgentText { id: &id, alias: &alias, name: &name, address: &address, system: "1" }).unwrap();
        builder.join(agent, groups[number % groups.len()], true).unwrap();
        for module in 0..5 {
            let state = if (number * 5 + module) % 97 == 0 { Status::Critical } else { Status::Normal };
            builder.module(agent, (number * 5 + module) as u64, state, 1_795_404_681).unwrap();
        }
        for part in [&alias, &name, &address] {
            text.push_str(&fold(part));
            text.push('\0');
        }
    }
    (builder.finish(|_| Some("Linux".to_owned())).unwrap(), text)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures")]
fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    black_box(work());
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn main() {
    let (inventory, text) = build();
    println!(
        "{} agents, {} modules: {} MB held, {} MB of it folded text",
        inventory.len(),
        inventory.module_count(),
        inventory.bytes() / 1_000_000,
        text.len() / 1_000_000
    );
    println!("{:<34} {:>9} {:>10} {:>10} {:>7}", "query", "matched", "search", "floor", "ratio");
    for line in [
        "nothing-like-it",
        "web-0012345",
        "web-00123",
        "web",
        "web madrid status:critical",
        "-web",
        "group:vias",
        "age:>1m",
        "alias:/^web-00123/",
        "alias:/(a|b|ab)*c(a|b|ab)*d$/",
        "",
    ] {
        let query = Query::parse(line).unwrap();
        let now = Timestamp::from_secs(1_795_404_781);
        let request = Request { limit: 100, ..Request::new(&query, &Visible::All, now) };
        let (mut searches, mut floors) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            searches.push(time(|| inventory.search(request)));
            // The whole text is looked through once, whatever is found.
            floors.push(time(|| memmem::find_iter(text.as_bytes(), "nothing-like-it").count()));
        }
        let (search, floor) = (median(searches), median(floors));
        let matched = inventory.search(request).matched;
        let ratio = search.as_secs_f64() / floor.as_secs_f64();
        println!("{line:<34} {matched:>9} {search:>10.2?} {floor:>10.2?} {ratio:>7.1}");
    }
}
