//! The slots, proved: what they answer against a model, and how often they read, in paused time. See `slots/`.

mod alerts;
mod counts;
mod edges;
mod fake;
mod leaving;
mod model;
mod schedule;
mod walk;

use std::collections::BTreeSet;

use fake::in_paused_time;
use model::{Line, Whole};
use schedule::{Schedule, Seen};

/// Every way in which a site can contribute, which the schedules are to meet.
const EVERY_WAY: [&str; 16] = [
    "cached ",
    "failed auth",
    "failed backoff",
    "failed bad_answer",
    "failed paused",
    "failed timeout",
    "failed tls",
    "failed too_large",
    "failed unreachable",
    "fresh ",
    // Old rows, for those who want only what is known.
    "stale ",
    "stale auth",
    "stale bad_answer",
    "stale timeout",
    "stale too_large",
    "stale unreachable",
];

/// The first difference between what was seen and what must be seen.
fn difference(schedule: &Schedule, seen: &Seen) -> Option<String> {
    let expected = model::expect(schedule, &seen.begun);
    for (n, (heard, got)) in expected.heard.iter().zip(&seen.got).enumerate() {
        let mut lines: Vec<Line> = got.answers.iter().map(|(at, answer)| Line::seen(*at, answer)).collect();
        model::in_order(&mut lines);
        if lines != heard.lines {
            return Some(format!("ask {n} got\n{lines:#?}\ninstead of\n{:#?}", heard.lines));
        }
        let whole = got.report.as_ref().map(Whole::seen);
        if whole != heard.whole {
            return Some(format!("ask {n} got the report\n{whole:#?}\ninstead of\n{:#?}", heard.whole));
        }
    }
    if seen.starts != expected.starts {
        return Some(format!("reads began at\n{:?}\ninstead of\n{:?}", seen.starts, expected.starts));
    }
    (seen.left > 0).then(|| format!("{} reads or tasks are left", seen.left))
}

/// `METACONSOLE_SCHEDULES=100000` draws more; `METACONSOLE_SEED=7` draws that one only.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::vars().find(|(key, _)| key == name).map(|(_, value)| value.parse::<u64>().unwrap());
    match number("METACONSOLE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("METACONSOLE_SCHEDULES").unwrap_or(usual),
    }
}

#[test]
fn ten_thousand_schedules_show_what_the_model_says() {
    let mut met = BTreeSet::new();
    let seeds = seeds(10_000);
    for seed in seeds.clone() {
        let schedule = Schedule::random(seed);
        let seen = in_paused_time(schedule::run(&schedule, false));
        let outcomes = seen.got.iter().flat_map(|got| &got.answers).map(|(_, answer)| &answer.outcome);
        met.extend(outcomes.map(|outcome| {
            let error = outcome.failure.as_ref().map_or("", |failure| failure.error.code.as_str());
            format!("{} {error}", outcome.contribution.as_str())
        }));
        if let Some(difference) = difference(&schedule, &seen) {
            panic!("METACONSOLE_SEED={seed}\n{schedule}\n{difference}");
        }
    }
    if seeds.count() > 1000 {
        assert_eq!(met.into_iter().collect::<Vec<_>>(), EVERY_WAY, "what the schedules met");
    }
}

#[test]
fn a_stream_ends_as_the_report_of_the_same_moment() {
    let mut compared = 0;
    for seed in seeds(3000) {
        let schedule = Schedule::random(seed);
        let seen = in_paused_time(schedule::run(&schedule, true));
        for (n, twins) in seen.got.chunks(2).enumerate() {
            let [one, other] = [&twins[0], &twins[1]].map(|got| &got.report);
            assert_eq!(one, other, "METACONSOLE_SEED={seed}, ask {n}\n{schedule}");
            compared += usize::from(one.is_some());
        }
    }
    assert!(compared > 0, "every caller left");
}
