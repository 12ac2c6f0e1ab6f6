//! How often sites are read, and that a bad one costs the others nothing: counts and instants of paused time.

use std::sync::Arc;
use std::time::Duration;

use metaconsole::domain::{Contribution, ErrorCode};
use metaconsole::federation::{Federation, Wanted};

use super::fake::{Behaviour, Chance, End, Fake, Time, in_paused_time, settle};
use super::schedule::{Ask, Settings, federation};

fn fails(after: u64, code: ErrorCode) -> Behaviour {
    Behaviour::new(after, End::Fail(code))
}

fn fakes(behaviours: &[Behaviour]) -> Vec<Arc<Fake>> {
    let time = Time::begin();
    behaviours.iter().map(|behaviour| Fake::new(behaviour.clone(), time)).collect()
}

#[test]
fn a_thousand_searches_at_once_are_one_read_of_each_cold_site() {
    in_paused_time(async {
        let fakes = fakes(&[Behaviour::well(203), fails(3, ErrorCode::Unreachable), Behaviour::new(0, End::Hang)]);
        let view = federation(&fakes, &Settings::USUAL).everything();
        let question = Ask::all(Wanted::Current, 1007).question();
        let forced = Ask::all(Wanted::Within(Duration::ZERO), 1007).question();
        let searches = (0..1000).map(|n| view.report(if n % 3 == 0 { &forced } else { &question }));
        let reports = futures_util::future::join_all(searches).await;
        assert!(reports.iter().all(|report| report.completeness().to_string() == "ok=1 stale=0 failed=2"));
        assert!(reports.iter().all(|report| report.sites[0].contribution == Contribution::Fresh));
        assert_eq!(fakes.iter().map(|fake| fake.starts().len()).collect::<Vec<_>>(), [1, 1, 1]);
    });
}

#[test]
fn ten_minutes_with_nobody_asking_are_no_read() {
    in_paused_time(async {
        let fakes = fakes(&[Behaviour::well(203), fails(3, ErrorCode::Unreachable), Behaviour::new(3, End::Panic)]);
        let federation = federation(&fakes, &Settings::USUAL);
        let counts = || fakes.iter().map(|fake| fake.starts().len()).collect::<Vec<_>>();
        for expected in [[0, 0, 0], [1, 1, 1]] {
            for second in 0..600 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                // Those who look at the state, or want what is known, are nobody.
                federation.slots().iter().for_each(|slot| drop(slot.snapshot()));
                federation.everything().report(&Ask::all(Wanted::Known, 1007).question()).await;
                assert_eq!(counts(), expected, "after {second} s");
            }
            federation.everything().report(&Ask::all(Wanted::Current, 1007).question()).await;
        }
        assert_eq!(counts(), [2, 2, 2]);
    });
}

/// The kinds of sites that viewers meet; the last two change their mind.
fn kinds() -> Vec<Behaviour> {
    let codes = [ErrorCode::Unreachable, ErrorCode::BadAnswer];
    let mut kinds =
        vec![Behaviour::well(53), Behaviour::well(603), Behaviour::well(4003), Behaviour::new(0, End::Hang)];
    kinds.extend([fails(3, codes[0]), fails(203, codes[1]), fails(15_003, ErrorCode::Auth)]);
    kinds.extend([Behaviour::new(13, End::Panic), Behaviour::well(13), fails(3, codes[0])]);
    kinds
}

/// 10,000 viewers come within an hour; so many in a hundred of them force, or probe.
async fn hour(federation: &Federation, fakes: &[Arc<Fake>], forcing: u64, probing: u64) {
    let time = fakes[0].time;
    let mut chance = Chance::new(forcing + probing);
    let mut arrivals: Vec<u64> = (0..10_000).map(|_| chance.below(360_000) * 10).collect();
    arrivals.sort_unstable();
    let mut viewers = tokio::task::JoinSet::new();
    for at in arrivals {
        time.until(at).await;
        if chance.percent(1) {
            let (one, other) = (Behaviour::well(13), fails(3, ErrorCode::Unreachable));
            let turn = chance.percent(50);
            fakes[8].behave(if turn { one.clone() } else { other.clone() });
            fakes[9].behave(if turn { other } else { one });
        }
        let wanted = match chance.below(100) {
            n if n < forcing => Wanted::Within(Duration::ZERO),
            n if n < forcing + probing => Wanted::Probe,
            _ => Wanted::Current,
        };
        let mut answers = federation.everything().ask(&Ask::all(wanted, 2007).question());
        viewers.spawn(async move { while answers.next().await.is_some() {} });
        settle().await;
        while viewers.try_join_next().is_some() {}
    }
    viewers.join_all().await;
}

/// Every distance from the end of a read to the start of the next is neither shorter than allowed, nor, with so many
/// viewers, much longer. Times in milliseconds.
fn check(site: usize, fake: &Fake, settings: &Settings, forcing: bool, probing: bool) {
    let reads = fake.reads.lock().unwrap().clone();
    assert!(reads.len() > 2, "site {site} was read {} times", reads.len());
    let (mut failures, mut refused) = (0, true);
    for (n, pair) in reads.windows(2).enumerate() {
        let (start, behaviour) = &pair[0];
        let life = if refused { settings.first_life() } else { settings.timeout };
        let hangs = matches!(behaviour.end, End::Hang);
        let cost = if hangs { life } else { behaviour.after };
        let near = (10 * cost).max(2000);
        let fair = (cost as f64 / settings.max_load) as u64;
        // Nothing comes from one that hangs.
        let by_load = if hangs { fair.min((10 * cost).max(60_000)) } else { fair };
        let pause = match behaviour.end {
            End::Agents(_) => 0,
            End::Fail(ErrorCode::Auth) => 900_000,
            _ => (1000 << failures.min(10)).min(60_000),
        };
        refused = matches!(behaviour.end, End::Fail(ErrorCode::Auth));
        failures = if pause == 0 { 0 } else { failures + 1 };
        let ordinary = if pause == 0 { by_load.max(settings.refresh_after) } else { by_load.max(pause) };
        let mut least = ordinary;
        if forcing {
            least = least.min(near.max(pause));
        }
        if probing {
            least = least.min(if refused { 2000 } else { near });
        }
        let distance = pair[1].0.checked_sub(start + cost).expect("two reads at once");
        let what = format!("site {site}, read {n} of {behaviour:?}: {distance} ms, at least {least}");
        assert!(distance >= least, "{what}");
        // Jitter, and until somebody came who is urgent enough.
        let wait = if probing { 300_000 } else { 20_000 };
        assert!(distance <= least + (pause / 4).min(60_000) + wait, "{what}");
    }
    if !forcing && !probing && matches!(reads[0].1.end, End::Agents(_)) {
        let spent: u64 = reads.iter().map(|(_, behaviour)| behaviour.after).sum();
        assert!(spent <= 3_600_000 / 50 + reads[0].1.after, "site {site}: {spent} ms of an hour");
    }
}

fn viewers(forcing: u64, probing: u64) {
    in_paused_time(async {
        let settings = Settings { timeout: 5005, ..Settings::USUAL };
        let fakes = fakes(&kinds());
        let federation = federation(&fakes, &settings);
        hour(&federation, &fakes, forcing, probing).await;
        for (site, fake) in fakes.iter().enumerate() {
            check(site, fake, &settings, forcing > 0, probing > 0);
        }
    });
}

#[test]
fn ten_thousand_viewers_in_an_hour_keep_the_interval() {
    viewers(0, 0);
}

#[test]
fn a_third_of_them_forcing_keep_the_distance_of_forced_reads() {
    viewers(33, 0);
}

#[test]
fn with_probes_among_them_only_pauses_are_cut_short() {
    viewers(33, 1);
}

#[test]
fn of_fifty_sites_a_slow_a_hanging_and_a_dead_one_cost_the_others_nothing() {
    in_paused_time(async {
        let usual = |n: u64| Behaviour::well(10 + 10 * n);
        let mut behaviours: Vec<_> = (0..47).map(usual).collect();
        behaviours.extend([Behaviour::well(1503), Behaviour::new(0, End::Hang), fails(0, ErrorCode::Unreachable)]);
        let fakes = fakes(&behaviours);
        let view = federation(&fakes, &Settings::USUAL).everything();
        // Cold: each of the 47 at the end of its own read. Then known: all at once. Then old, and read again: as cold.
        for (pass, wait) in [("cold", 0), ("known", 10_000), ("old", 600_000)] {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            let time = Time::begin();
            let mut answers = view.ask(&Ask::all(Wanted::Current, 2007).question());
            let mut good = 0;
            while let Some(answer) = answers.next().await {
                let site = &answer.outcome.site;
                let n: u64 = site.as_str()[1..].parse().unwrap();
                let own = if pass == "known" { 0 } else { 10 + 10 * n };
                if n < 47 {
                    assert_eq!((time.now(), answer.rows.len()), (own, 1), "{pass}: site {site}");
                    good += 1;
                } else if n == 48 {
                    assert!(answer.rows.is_empty(), "{pass}: the hanging one answered");
                }
            }
            assert_eq!((good, time.now() <= 2007), (47, true), "{pass}");
        }
    });
}
