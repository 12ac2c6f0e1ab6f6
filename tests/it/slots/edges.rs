//! Boundaries that random schedules keep away from: instants to the millisecond, and single rules one by one.

use std::sync::Arc;
use std::time::Duration;

use metaconsole::clock::{Clock, Timestamp};
use metaconsole::domain::Contribution::{self, Cached, Failed, Fresh, Stale};
use metaconsole::domain::ErrorCode::{self, Backoff, Timeout, Unreachable};
use metaconsole::domain::Outcome;
use metaconsole::federation::{Federation, Wanted};

use super::fake::{Behaviour, End, Fake, START, Time, in_paused_time, of_wall, settle};
use super::schedule::{Ask, Settings, federation};

const FORCED: Wanted = Wanted::Within(Duration::ZERO);

fn one(behaviour: Behaviour, settings: &Settings) -> (Arc<Fake>, Federation) {
    let fake = Fake::new(behaviour, Time::begin());
    let federation = federation(&[Arc::clone(&fake)], settings);
    (fake, federation)
}

fn unreachable_site() -> Behaviour {
    Behaviour::new(0, End::Fail(ErrorCode::Unreachable))
}

async fn outcome(federation: &Federation, wanted: Wanted, patience: u64) -> Outcome {
    federation.everything().report(&Ask::all(wanted, patience).question()).await.sites.remove(0)
}

/// Contribution, age, error and since when.
async fn says(
    federation: &Federation,
    wanted: Wanted,
    patience: u64,
) -> (Contribution, Option<u64>, Option<(ErrorCode, u64)>) {
    let outcome = outcome(federation, wanted, patience).await;
    let error = outcome.failure.map(|failure| (failure.error.code, of_wall(failure.since)));
    (outcome.contribution, outcome.age.map(|age| age.as_millis() as u64), error)
}

/// Looks every millisecond, from a little before that one, until a read starts; when that was.
async fn next_start(fake: &Fake, federation: &Federation, wanted: Wanted, expected: u64) -> u64 {
    let before = fake.starts().len();
    fake.time.until(expected - 5).await;
    loop {
        drop(federation.everything().ask(&Ask::all(wanted, 0).question()));
        settle().await;
        if let Some(start) = fake.starts().get(before) {
            return *start;
        }
        fake.time.until(fake.time.now() + 1).await;
    }
}

#[test]
fn each_urgency_starts_at_its_own_millisecond() {
    in_paused_time(async {
        let well = Behaviour::well;
        let fails = |cost| Behaviour::new(cost, End::Fail(Unreachable));
        // Whoever would take older rows than the configuration does is in no hurry.
        let old = Wanted::Within(Duration::from_secs(3600));
        for (wanted, behaviour, distance) in [
            (Wanted::Current, well(100), 30_000),
            (Wanted::Current, well(2000), 100_000),
            (FORCED, well(100), 2000),
            (FORCED, well(2000), 20_000),
            (Wanted::Probe, well(2000), 20_000),
            (old, well(2000), 100_000),
            (Wanted::Current, fails(2000), 100_000),
            (FORCED, fails(2000), 20_000),
            (Wanted::Probe, fails(2000), 20_000),
            (old, fails(2000), 100_000),
        ] {
            let (fake, federation) = one(behaviour.clone(), &Settings::USUAL);
            outcome(&federation, Wanted::Current, 10_000).await;
            let ended = fake.time.now();
            let start = next_start(&fake, &federation, wanted, ended + distance).await;
            assert_eq!((ended, start - ended), (behaviour.after, distance), "{wanted:?}, {behaviour:?}");
        }
    });
}

#[test]
fn pauses_double_with_jitter_that_only_adds() {
    in_paused_time(async {
        let mut shares = Vec::new();
        for site in 0..40 {
            let pauses: &[u64] = &[1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000];
            let (fake, federation) = one(unreachable_site(), &Settings::USUAL);
            outcome(&federation, Wanted::Current, 7).await;
            for pause in pauses.iter().take(if site == 0 { 8 } else { 3 }) {
                let ended = fake.time.now();
                let distance = next_start(&fake, &federation, Wanted::Current, ended + pause).await - ended;
                assert!((*pause..=pause + pause / 4).contains(&distance), "{distance} ms instead of {pause}");
                shares.push((distance - pause) * 100 / pause);
                settle().await;
            }
        }
        shares.sort_unstable();
        assert!(shares[0] < 8 && *shares.last().unwrap() > 16, "no spread: {shares:?}");
    });
}

#[test]
fn who_wants_it_more_urgently_never_waits_longer() {
    in_paused_time(async {
        for wanted in [Wanted::Current, FORCED, Wanted::Probe] {
            // After a failure that cost nothing an ordinary search may read from 1 s on, so a probe may too.
            let (fake, federation) = one(unreachable_site(), &Settings::USUAL);
            outcome(&federation, Wanted::Current, 7).await;
            let start = next_start(&fake, &federation, wanted, 1000).await;
            assert!((1000..=1250).contains(&start), "{wanted:?} after {start} ms");
            // With a short `refresh_after` likewise.
            let settings = Settings { refresh_after: 500, ..Settings::USUAL };
            let (fake, federation) = one(Behaviour::well(0), &settings);
            outcome(&federation, Wanted::Current, 7).await;
            let start = next_start(&fake, &federation, wanted, fake.time.now() + 500).await - fake.starts()[0];
            assert_eq!(start, 500, "{wanted:?}");
        }
    });
}

#[test]
fn a_refused_login_rests_unless_somebody_probes() {
    in_paused_time(async {
        for (wanted, distances) in [(FORCED, 900_000..=960_000), (Wanted::Probe, 2000..=2000)] {
            // As long as a console takes to say so.
            let (fake, federation) = one(Behaviour::new(15_000, End::Fail(ErrorCode::Auth)), &Settings::USUAL);
            outcome(&federation, Wanted::Current, 20_000).await;
            let ended = fake.time.now();
            let distance = next_start(&fake, &federation, wanted, ended + distances.start()).await - ended;
            assert!(distances.contains(&distance), "{wanted:?} after {distance} ms");
        }
    });
}

#[test]
fn two_forced_at_one_instant_are_one_read_even_if_it_costs_nothing() {
    in_paused_time(async {
        let (fake, federation) = one(Behaviour::well(0), &Settings::USUAL);
        assert_eq!(says(&federation, FORCED, 7).await, (Fresh, Some(0), None));
        assert_eq!(says(&federation, FORCED, 7).await, (Cached, Some(0), None));
        fake.time.until(1990).await;
        // Not yet: what is known, with its age.
        assert_eq!(says(&federation, FORCED, 7).await, (Cached, Some(1990), None));
        assert_eq!(fake.starts(), [0]);
    });
}

#[test]
fn hearing_the_answer_is_no_new_question() {
    in_paused_time(async {
        // The next read could start at the instant at which this one ends.
        let settings = Settings { refresh_after: 0, ..Settings::USUAL };
        let (fake, federation) = one(Behaviour::well(0), &settings);
        outcome(&federation, Wanted::Current, 7).await;
        settle().await;
        assert_eq!(fake.starts(), [0]);
    });
}

#[test]
fn a_limit_includes_its_last_millisecond() {
    in_paused_time(async {
        let (fake, federation) = one(Behaviour::well(0), &Settings::USUAL);
        outcome(&federation, Wanted::Current, 7).await;
        fake.time.until(5000).await;
        let within = |ms| Wanted::Within(Duration::from_millis(ms));
        assert_eq!(says(&federation, within(5000), 7).await, (Cached, Some(5000), None));
        assert_eq!(says(&federation, within(4999), 7).await, (Fresh, Some(0), None));
        // `max_age`, when a read runs that does not end.
        fake.behave(Behaviour::new(0, End::Hang));
        fake.time.until(65_000).await;
        assert_eq!(says(&federation, Wanted::Current, 7).await, (Cached, Some(60_000), None));
        fake.time.until(65_001).await;
        assert_eq!(says(&federation, Wanted::Current, 7).await, (Stale, Some(60_008), Some((Timeout, 65_000))));
        assert_eq!(fake.starts(), [0, 5000, 65_000]);
    });
}

#[test]
fn rows_of_a_failing_site_stay_dated_until_they_are_forgotten() {
    in_paused_time(async {
        let settings = Settings { forget_after: 100_000, ..Settings::USUAL };
        let (fake, federation) = one(Behaviour::well(0), &settings);
        outcome(&federation, Wanted::Current, 7).await;
        fake.behave(unreachable_site());
        fake.time.until(40_000).await;
        // Within `max_age`, but the last read failed. It ran behind the first caller, who was answered before.
        assert_eq!(says(&federation, Wanted::Current, 7).await, (Cached, Some(40_000), None));
        settle().await;
        assert_eq!(says(&federation, Wanted::Current, 7).await, (Stale, Some(40_000), Some((Unreachable, 40_000))));
        for at in [50_000, 70_000, 99_000] {
            fake.time.until(at).await;
            let error = Some((Unreachable, 40_000));
            assert_eq!(says(&federation, Wanted::Current, 7).await, (Stale, Some(at), error), "its `since` moved");
        }
        fake.time.until(100_000).await;
        assert_eq!(says(&federation, Wanted::Known, 0).await.0, Stale);
        fake.time.until(100_001).await;
        assert_eq!(says(&federation, Wanted::Known, 0).await, (Failed, None, Some((Backoff, 40_000))));
        assert_eq!(fake.starts().len(), 5);
        // Works again.
        fake.behave(Behaviour::well(0));
        fake.time.until(200_000).await;
        assert_eq!(says(&federation, Wanted::Current, 7).await, (Fresh, Some(0), None));
    });
}

#[test]
fn rows_that_are_merely_old_are_not_forgotten() {
    in_paused_time(async {
        let settings = Settings { forget_after: 100_000, ..Settings::USUAL };
        let (fake, federation) = one(Behaviour::well(0), &settings);
        outcome(&federation, Wanted::Current, 7).await;
        fake.behave(Behaviour::new(0, End::Hang));
        fake.time.until(300_000).await;
        let late = Some((Timeout, 300_000));
        assert_eq!(says(&federation, Wanted::Current, 7).await, (Stale, Some(300_007), late));
    });
}

#[test]
fn the_deadline_in_mid_read_is_told_unless_the_rows_are_current() {
    in_paused_time(async {
        let (fake, federation) = one(Behaviour::new(0, End::Hang), &Settings::USUAL);
        assert_eq!(says(&federation, Wanted::Current, 7).await, (Failed, None, Some((Timeout, 0))));
        // A first read lives at least 20 s, later ones as configured; here both 60 s.
        fake.behave(Behaviour::well(0));
        fake.time.until(60_000).await;
        settle().await;
        let (contribution, _, error) = says(&federation, Wanted::Current, 0).await;
        assert_eq!((contribution, error), (Failed, Some((Backoff, 60_000))));
        fake.time.until(4_000_000).await;
        assert_eq!(says(&federation, Wanted::Current, 7).await.0, Fresh);
        fake.behave(Behaviour::new(0, End::Hang));
        fake.time.until(4_010_000).await;
        assert_eq!(says(&federation, FORCED, 7).await, (Cached, Some(10_007), None));
    });
}

#[test]
fn the_first_read_lives_at_least_twenty_seconds() {
    in_paused_time(async {
        let settings = Settings { timeout: 5000, max_load: 1.0, ..Settings::USUAL };
        let (fake, federation) = one(Behaviour::new(0, End::Hang), &settings);
        let first = outcome(&federation, Wanted::Current, 60_000).await;
        assert_eq!(first.took, Duration::from_millis(settings.first_life()));
        fake.time.until(200_000).await;
        let second = outcome(&federation, Wanted::Current, 60_000).await;
        assert_eq!((second.took, fake.starts().len()), (Duration::from_millis(5000), 2));
    });
}

#[test]
fn a_refused_login_is_heard_again_however_short_the_timeout() {
    in_paused_time(async {
        let settings = Settings { timeout: 5000, ..Settings::USUAL };
        let (fake, federation) = one(Behaviour::new(15_000, End::Fail(ErrorCode::Auth)), &settings);
        for at in [0, 1_200_000, 2_400_000, 3_600_000] {
            fake.time.until(at).await;
            let (_, _, error) = says(&federation, Wanted::Current, 60_000).await;
            assert_eq!(error, Some((ErrorCode::Auth, 15_000)));
        }
        assert_eq!(fake.starts().len(), 4);
    });
}

#[test]
fn a_site_that_hangs_is_trouble_before_its_read_has_ended() {
    in_paused_time(async {
        let (fake, federation) = one(Behaviour::new(0, End::Hang), &Settings::USUAL);
        let failure = || federation.slots()[0].snapshot().failure.map(|f| (f.error.code, of_wall(f.since)));
        fake.time.until(1000).await;
        outcome(&federation, Wanted::Current, 7).await;
        fake.time.until(5999).await;
        assert_eq!(failure(), None);
        fake.time.until(6000).await;
        assert_eq!(failure(), Some((Timeout, 1000)));
    });
}

#[test]
fn a_wall_clock_that_was_set_back_makes_rows_new_and_not_ancient() {
    in_paused_time(async {
        let (fake, federation) = one(Behaviour::well(0), &Settings::USUAL);
        outcome(&federation, Wanted::Current, 7).await;
        let hour_ago = Clock::following(Timestamp::from_millis(START - 3_600_000));
        let set_back = Federation::new(federation.slots().to_vec(), hour_ago);
        fake.time.until(10_000).await;
        assert_eq!(says(&set_back, Wanted::Current, 7).await, (Cached, Some(0), None));
    });
}

#[test]
fn who_wants_what_is_known_waits_for_nothing() {
    in_paused_time(async {
        let (fake, federation) = one(Behaviour::well(203), &Settings::USUAL);
        assert_eq!(outcome(&federation, Wanted::Known, 1000).await.contribution, Failed);
        assert_eq!(fake.starts().len(), 0);
        drop(federation.everything().ask(&Ask::all(Wanted::Current, 1000).question()));
        settle().await;
        assert_eq!(outcome(&federation, Wanted::Known, 1000).await.took, Duration::ZERO);
        assert_eq!((fake.time.now(), fake.starts().len()), (0, 1));
    });
}

#[test]
fn a_site_that_cannot_be_read_says_why_and_since_when() {
    in_paused_time(async {
        for code in [ErrorCode::Paused, ErrorCode::Tls] {
            let settings = Settings { unusable: Some(code), ..Settings::USUAL };
            let (fake, federation) = one(Behaviour::well(0), &settings);
            let begin = u64::try_from(federation.slots()[0].snapshot().since.unwrap().as_millis() - START).unwrap();
            for wanted in [Wanted::Current, FORCED, Wanted::Probe, Wanted::Known] {
                tokio::time::sleep(Duration::from_secs(60)).await;
                assert_eq!(says(&federation, wanted, 1000).await, (Failed, None, Some((code, begin))));
            }
            assert!(fake.starts().is_empty());
        }
    });
}

#[test]
fn the_smallest_load_means_never_again_and_not_at_once() {
    in_paused_time(async {
        let settings = Settings { max_load: f64::MIN_POSITIVE, ..Settings::USUAL };
        let (fake, federation) = one(Behaviour::well(100), &settings);
        outcome(&federation, Wanted::Current, 1000).await;
        fake.time.until(10 * 86_400_000).await;
        assert_eq!(outcome(&federation, Wanted::Current, 1000).await.contribution, Cached);
        settle().await;
        assert_eq!(fake.starts().len(), 1);
    });
}

#[test]
fn a_site_that_hung_is_seen_again_within_ten_minutes() {
    in_paused_time(async {
        for (wanted, distance) in [(Wanted::Current, 600_000), (FORCED, 600_000), (Wanted::Probe, 600_000)] {
            let (fake, federation) = one(Behaviour::new(0, End::Hang), &Settings::USUAL);
            outcome(&federation, Wanted::Current, 100_000).await;
            fake.behave(Behaviour::well(0));
            assert_eq!(next_start(&fake, &federation, wanted, 660_000).await - 60_000, distance, "{wanted:?}");
        }
    });
}

#[test]
fn rows_have_their_age_however_fresh() {
    in_paused_time(async {
        let (_, federation) = one(Behaviour::well(1500), &Settings::USUAL);
        assert_eq!(says(&federation, Wanted::Current, 2000).await, (Fresh, Some(1500), None));
    });
}

#[test]
fn since_when_a_read_hangs_does_not_depend_on_who_asks() {
    in_paused_time(async {
        let (fake, federation) = one(Behaviour::new(0, End::Hang), &Settings::USUAL);
        for at in [1000, 2000, 30_000] {
            fake.time.until(at).await;
            assert_eq!(says(&federation, Wanted::Current, 7).await, (Failed, None, Some((Timeout, 1000))));
        }
        // Nor since when nothing is known.
        let (fake, federation) = one(Behaviour::well(0), &Settings::USUAL);
        for at in [0, 5000] {
            fake.time.until(at).await;
            assert_eq!(says(&federation, Wanted::Known, 7).await.2.unwrap().1, says_begun(&federation));
        }
    });
}

/// When its first slot was made.
fn says_begun(federation: &Federation) -> u64 {
    of_wall(federation.slots()[0].look(Wanted::Known).begun)
}

#[test]
fn the_last_reason_is_told_while_the_next_read_runs() {
    in_paused_time(async {
        let (fake, federation) = one(unreachable_site(), &Settings::USUAL);
        outcome(&federation, Wanted::Current, 7).await;
        fake.behave(Behaviour::new(0, End::Hang));
        fake.time.until(10_000).await;
        let failure = outcome(&federation, Wanted::Current, 2000).await.failure.unwrap();
        assert_eq!((failure.error.code, of_wall(failure.since)), (Timeout, 0));
        assert_eq!(failure.error.message, "no answer within 2s; its last read failed: unreachable: as told");
    });
}

#[test]
fn who_takes_older_rows_waits_for_none_and_is_told_that_they_are_old() {
    in_paused_time(async {
        let hour = Wanted::Within(Duration::from_secs(3600));
        let (fake, federation) = one(Behaviour::well(0), &Settings::USUAL);
        outcome(&federation, Wanted::Current, 7).await;
        fake.behave(Behaviour::new(0, End::Hang));
        fake.time.until(600_000).await;
        let old = outcome(&federation, hour, 1000).await;
        assert_eq!((old.contribution, old.took, old.failure), (Stale, Duration::ZERO, None));
        settle().await;
        assert_eq!(fake.starts().len(), 2, "it is read behind");
        // A site that fails is waited for, whoever asks.
        fake.time.until(660_000).await;
        settle().await;
        fake.behave(Behaviour::well(500));
        fake.time.until(2_000_000).await;
        assert_eq!(says(&federation, hour, 1000).await, (Fresh, Some(500), None));
    });
}

#[test]
fn a_stream_of_current_rows_ends_though_a_read_runs_behind_but_a_forced_one_waits() {
    in_paused_time(async {
        let (fake, federation) = one(Behaviour::well(203), &Settings::USUAL);
        outcome(&federation, Wanted::Current, 1000).await;
        fake.time.until(40_000).await;
        let hears = async |wanted| {
            let mut answers = federation.everything().stream(&Ask::all(wanted, 1000).question());
            let mut heard = Vec::new();
            while let Some(answer) = answers.next().await {
                heard.push((fake.time.now(), answer.outcome.contribution, answer.pending));
            }
            heard
        };
        assert_eq!(hears(Wanted::Current).await, [(40_000, Cached, false)]);
        settle().await;
        assert_eq!(fake.starts(), [0, 40_000]);
        assert_eq!(hears(FORCED).await, [(40_000, Cached, true), (40_203, Fresh, false)]);
        assert_eq!(fake.starts(), [0, 40_000]);
    });
}

#[test]
fn old_rows_in_a_stream_are_stale_and_pending_and_no_failure_is_made_up() {
    in_paused_time(async {
        let (fake, federation) = one(Behaviour::well(0), &Settings::USUAL);
        outcome(&federation, Wanted::Current, 7).await;
        fake.behave(Behaviour::new(5000, End::Fail(Unreachable)));
        for (at, error) in [(600_000, None), (1_200_000, Some(Unreachable))] {
            fake.time.until(at).await;
            let mut answers = federation.everything().stream(&Ask::all(Wanted::Current, 10_000).question());
            assert_eq!(answers.at_the_begin().to_string(), "ok=0 stale=1 failed=0");
            let first = answers.next().await.unwrap();
            let code = first.outcome.failure.map(|failure| failure.error.code);
            assert_eq!((first.outcome.contribution, first.pending, code), (Stale, true, error));
            let last = answers.next().await.unwrap();
            assert_eq!((last.outcome.contribution, last.pending), (Stale, false));
            assert_eq!(last.outcome.failure.unwrap().error.code, Unreachable);
            assert!(answers.next().await.is_none());
        }
    });
}

#[test]
fn a_site_that_the_query_leaves_out_is_not_missing_however_it_is() {
    in_paused_time(async {
        let (fake, federation) = one(unreachable_site(), &Settings::USUAL);
        outcome(&federation, Wanted::Current, 7).await;
        fake.time.until(60_000).await;
        let ask = Ask { query: "-site:s0", ..Ask::all(FORCED, 1000) };
        let report = federation.everything().report(&ask.question()).await;
        let left_out = &report.sites[0];
        assert_eq!((left_out.contribution, left_out.asked, left_out.age), (Cached, false, None));
        assert_eq!((left_out.failure.is_some(), report.completeness().is_complete()), (false, true));
        assert_eq!(fake.starts().len(), 1, "it was read");
    });
}

#[test]
fn a_resting_site_says_until_when_and_why() {
    in_paused_time(async {
        let rests = |federation: &Federation| federation.slots()[0].snapshot().rests.unwrap_or_default();
        for (behaviour, words) in [
            (Behaviour::well(100), ""),
            (Behaviour::well(2000), "because its last read took 2.0 s, and reads may take 2.0 % of its time"),
            (Behaviour::new(0, End::Hang), "because its last read waited 60.0 s and nothing came"),
            (Behaviour::new(0, End::Fail(ErrorCode::Auth)), "because it refused the login"),
            (unreachable_site(), "because its last read failed"),
        ] {
            let (_, federation) = one(behaviour.clone(), &Settings::USUAL);
            assert_eq!(rests(&federation), "");
            outcome(&federation, Wanted::Current, 100_000).await;
            let said = rests(&federation);
            assert!(said.contains(words) && said.is_empty() == words.is_empty(), "{behaviour:?}: {said}");
            assert!(said.is_empty() || said.starts_with("it rests until 2001-09-09T"), "{said}");
        }
    });
}
