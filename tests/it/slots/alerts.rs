//! Alerts beside the rows: when they are read, and what a site whose alerts are slow, failing or old says. Paused time.

use std::sync::Arc;
use std::time::Duration;

use metaconsole::domain::Contribution::{Cached, Failed, Fresh, Stale};
use metaconsole::domain::{ErrorCode, Status};
use metaconsole::federation::{Federation, Merge, Question, Report, Wanted};

use super::fake::{Agent, Behaviour, End, Fake, Time, in_paused_time, of_wall, settle};
use super::schedule::{Ask, Settings, federation};

fn agents(ids: &[u32]) -> End {
    End::Agents(ids.iter().map(|id| Agent { id: *id, alias: format!("web-{id}"), status: Status::Normal }).collect())
}

/// A site with three agents whose rows take 200 ms; alerts of the first have fired, which takes so long to hear.
fn site(alerts_after: u64) -> (Arc<Fake>, Federation) {
    let fake = Fake::new(Behaviour::new(200, agents(&[1, 2, 3])), Time::begin());
    fake.behave_with_alerts(Behaviour::new(alerts_after, agents(&[1])));
    let federation = federation(&[Arc::clone(&fake)], &Settings::USUAL);
    (fake, federation)
}

fn asking(query: &'static str, wanted: Wanted, patience: u64) -> Question {
    Ask { query, ..Ask::all(wanted, patience) }.question()
}

fn ask(query: &'static str, patience: u64) -> Question {
    asking(query, Wanted::Current, patience)
}

async fn report(federation: &Federation, question: &Question) -> Report {
    federation.everything().report(question).await
}

fn flags(report: &Report) -> Vec<Option<bool>> {
    report.rows.iter().map(|row| row.hit.agent.alert_fired).collect()
}

/// Why the only site is missing or stale.
fn why(report: &Report) -> (ErrorCode, String) {
    let error = &report.sites[0].failure.as_ref().unwrap().error;
    (error.code, error.message.clone())
}

#[test]
fn a_thousand_searches_for_fired_alerts_are_one_read_behind_that_of_the_rows() {
    in_paused_time(async {
        let (fake, federation) = site(1000);
        let view = federation.everything();
        let (fired, not_fired, forced) = (
            ask("alert:fired", 9000),
            ask("-alert:fired", 9000),
            asking("alert:fired", Wanted::Within(Duration::ZERO), 9000),
        );
        let question = |n: usize| [&fired, &not_fired, &forced][n % 3];
        let reports = futures_util::future::join_all((0..1000).map(|n| view.report(question(n)))).await;
        for (n, report) in reports.iter().enumerate() {
            assert!(report.completeness().is_complete());
            let outcome = &report.sites[0];
            assert_eq!((outcome.contribution, outcome.alerts_as_of.map(of_wall)), (Fresh, Some(200)));
            let expected = if n % 3 == 1 { vec![Some(false), Some(false)] } else { vec![Some(true)] };
            assert_eq!(flags(report), expected);
        }
        assert_eq!((fake.starts(), fake.alert_reads.lock().unwrap().clone()), (vec![0], vec![(200, 0)]));
        // Asked again, one by one, and wanted newer: it is known.
        for n in 0..1000 {
            assert!(view.report(question(n)).await.completeness().is_complete());
        }
        assert_eq!(fake.alert_starts(), [200]);
    });
}

#[test]
fn who_does_not_ask_for_alerts_causes_no_read_and_is_told_only_what_is_recent() {
    in_paused_time(async {
        let (fake, federation) = site(1000);
        let all = ask("web", 9000);
        for _ in 0..100 {
            let report = report(&federation, &all).await;
            assert_eq!((flags(&report), report.sites[0].alerts_as_of), (vec![None; 3], None));
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        assert!(fake.alert_starts().is_empty());
        report(&federation, &ask("alert:fired", 9000)).await;
        let asked = fake.alert_starts()[0];
        // A read of 1 s is repeated after 60 s at the earliest, so it is recent for twice as long.
        for (at, expected) in [(1000, true), (119_000, true), (120_000, true), (121_001, false)] {
            fake.time.until(asked + at).await;
            let report = report(&federation, &all).await;
            let flags_expected = if expected { vec![Some(true), Some(false), Some(false)] } else { vec![None; 3] };
            assert_eq!(flags(&report), flags_expected, "{at}");
            assert_eq!(report.sites[0].alerts_as_of.map(of_wall), expected.then_some(asked), "{at}");
            assert!(report.completeness().is_complete());
        }
        // Looking at what is known reads nothing either.
        report(&federation, &asking("alert:fired", Wanted::Known, 9000)).await;
        drop(federation.slots()[0].snapshot());
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(fake.alert_starts(), [asked]);
    });
}

#[test]
fn alerts_are_read_as_seldom_as_their_cost_wants() {
    in_paused_time(async {
        for (cost, distance) in [(100, 60_000), (6000, 300_000)] {
            let (fake, federation) = site(cost);
            while fake.time.now() < 1_000_000 {
                // Rows are wanted newer all the time; alerts cannot be.
                let forced = asking("alert:fired", Wanted::Within(Duration::ZERO), 20_000);
                assert_eq!(report(&federation, &forced).await.total, 1);
                fake.time.until(fake.time.now() + 500).await;
            }
            let starts = fake.alert_starts();
            assert!(starts.len() > 2, "{starts:?}");
            for pair in starts.windows(2) {
                let rested = pair[1] - pair[0] - cost;
                assert!((distance..distance + 2000).contains(&rested), "{rested} ms instead of {distance}");
            }
            assert!(
                fake.alert_reads.lock().unwrap().iter().all(|(_, others)| *others == 0),
                "rows were read meanwhile"
            );
        }
    });
}

#[test]
fn slow_alerts_are_missed_by_name_and_cost_ordinary_questions_nothing() {
    in_paused_time(async {
        let (fake, federation) = site(15_000);
        let missed = report(&federation, &ask("alert:fired", 2000)).await;
        assert_eq!(
            (missed.sites[0].contribution, missed.total, missed.completeness().is_complete()),
            (Failed, 0, false)
        );
        assert_eq!(why(&missed), (ErrorCode::Timeout, "its alerts are not known: no answer within 2s".to_owned()));
        let before = fake.time.now();
        let ordinary = report(&federation, &ask("web", 2000)).await;
        assert_eq!((fake.time.now(), ordinary.sites[0].contribution, ordinary.total), (before, Cached, 3));
        // Whoever has more time waits for the same read.
        let heard = report(&federation, &ask("alert:fired", 20_000)).await;
        assert_eq!((heard.sites[0].contribution, heard.total, fake.time.now()), (Cached, 1, 15_200));
        assert_eq!(fake.alert_starts(), [200]);
    });
}

#[test]
fn current_rows_are_not_read_while_alerts_are_and_missing_rows_are() {
    in_paused_time(async {
        let (fake, federation) = site(0);
        fake.behave_with_alerts(Behaviour::new(0, End::Hang));
        report(&federation, &ask("alert:fired", 300)).await;
        // Due from 30.2 s on, and current until 60 s.
        for at in [31_000, 45_000, 59_000] {
            fake.time.until(at).await;
            assert_eq!(report(&federation, &ask("web", 2000)).await.sites[0].contribution, Cached);
            settle().await;
            assert_eq!(fake.starts(), [0], "at {at}");
        }
        // The alerts hang up to the site's timeout of 60 s. Rows that are missed do not wait for that.
        fake.time.until(60_100).await;
        let newer = report(&federation, &ask("web", 2000)).await;
        assert_eq!((newer.sites[0].contribution, fake.starts()), (Fresh, vec![0, 60_100]));
        assert_eq!(fake.alert_starts(), [200]);
    });
}

#[test]
fn a_site_whose_rows_fail_is_not_asked_for_alerts() {
    in_paused_time(async {
        let (fake, federation) = site(100);
        fake.behave(Behaviour::new(200, End::Fail(ErrorCode::Auth)));
        for _ in 0..10 {
            let refused = report(&federation, &ask("alert:fired", 2000)).await;
            assert_eq!(refused.sites[0].contribution, Failed);
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!((fake.starts(), fake.alert_starts()), (vec![0], vec![]));
        // It is again as soon as its rows can be read.
        fake.behave(Behaviour::new(200, agents(&[1, 2])));
        report(&federation, &asking("", Wanted::Probe, 2000)).await;
        assert_eq!(report(&federation, &ask("alert:fired", 2000)).await.total, 1);
        assert_eq!(fake.alert_starts().len(), 1);
    });
}

#[test]
fn old_knowledge_is_stale_with_its_reason_until_it_is_forgotten() {
    in_paused_time(async {
        let settings = Settings { forget_after: 600_000, ..Settings::USUAL };
        let fake = Fake::new(Behaviour::new(200, agents(&[1, 2])), Time::begin());
        fake.behave_with_alerts(Behaviour::new(100, agents(&[1])));
        let federation = federation(&[Arc::clone(&fake)], &settings);
        assert_eq!(report(&federation, &ask("alert:fired", 2000)).await.total, 1);
        fake.behave_with_alerts(Behaviour::new(100, End::Fail(ErrorCode::Forbidden)));
        fake.time.until(61_000).await;
        // Still recent, but the last read failed: whoever asks for alerts is told, all others are not.
        report(&federation, &ask("alert:fired", 2000)).await;
        fake.time.until(63_000).await;
        let failing = report(&federation, &ask("alert:fired", 2000)).await;
        assert_eq!((failing.sites[0].contribution, failing.total, failing.stale_rows), (Stale, 1, 1));
        assert_eq!(why(&failing), (ErrorCode::Forbidden, "its alerts are old: as told".to_owned()));
        assert_eq!(flags(&failing), [Some(true)]);
        let ordinary = report(&federation, &ask("web", 2000)).await;
        assert_eq!((flags(&ordinary), ordinary.stale_rows), (vec![Some(true), Some(false)], 0));
        // Too old for everybody else.
        fake.time.until(200_000).await;
        let old = report(&federation, &ask("alert:fired", 2000)).await;
        assert_eq!((old.sites[0].contribution, flags(&old)), (Stale, vec![Some(true)]));
        assert_eq!(old.sites[0].alerts_as_of.map(of_wall), Some(200));
        assert_eq!(flags(&report(&federation, &ask("web", 2000)).await), [None, None]);
        let since = old.sites[0].failure.as_ref().map(|failure| of_wall(failure.since));
        assert_eq!(since, Some(61_300), "the first failure's");
        fake.time.until(601_000).await;
        let forgotten = report(&federation, &ask("alert:fired", 2000)).await;
        assert_eq!((forgotten.sites[0].contribution, forgotten.total), (Failed, 0));
        assert_eq!(why(&forgotten), (ErrorCode::Forbidden, "its alerts are not known: as told".to_owned()));
        // A fault of ours is told as one, and does not end it.
        fake.behave_with_alerts(Behaviour::new(100, End::Panic));
        fake.time.until(700_000).await;
        let fault = report(&federation, &ask("alert:fired", 2000)).await;
        assert_eq!(why(&fault).0, ErrorCode::BadAnswer);
        fake.behave_with_alerts(Behaviour::new(100, agents(&[2])));
        fake.time.until(900_000).await;
        let works = report(&federation, &ask("alert:fired", 2000)).await;
        assert_eq!((works.sites[0].contribution, works.total, works.sites[0].failure.is_none()), (Fresh, 1, true));
    });
}

#[test]
fn a_stream_tells_old_knowledge_first_and_ends_as_the_report() {
    in_paused_time(async {
        let (fake, federation) = site(1000);
        let (view, question) = (federation.everything(), ask("alert:fired", 9000));
        let mut stream = view.stream(&question);
        let (first, mut merge) = (stream.next().await.unwrap(), Merge::new(&question));
        assert_eq!((first.pending, first.outcome.rows, fake.time.now()), (false, 1, 1200));
        assert!(stream.next().await.is_none(), "nothing was known before");
        // Old by now; and another agent's has fired.
        fake.time.until(200_000).await;
        view.report(&ask("web", 9000)).await;
        fake.behave_with_alerts(Behaviour::new(1000, agents(&[2, 3])));
        let mut stream = view.stream(&question);
        let old = stream.next().await.unwrap();
        assert_eq!((old.pending, old.outcome.contribution, old.outcome.rows), (true, Stale, 1));
        assert!(old.rows[0].stale && old.rows[0].hit.agent.alias == "web-1");
        let new = stream.next().await.unwrap();
        assert_eq!((new.pending, new.outcome.contribution, new.outcome.rows), (false, Cached, 2));
        assert!(stream.next().await.is_none());
        [old, new].into_iter().for_each(|answer| merge.fold(answer));
        let (mut streamed, mut whole) = (merge.finish(), view.report(&question).await);
        [&mut streamed, &mut whole].into_iter().for_each(|report| report.sites[0].took = Duration::ZERO);
        assert_eq!(streamed, whole);
    });
}

#[test]
fn another_configuration_keeps_what_is_known_and_the_last_slot_takes_its_read_along() {
    in_paused_time(async {
        let (fake, before) = site(5000);
        let mut stream = before.everything().stream(&ask("alert:fired", 9000));
        assert!(tokio::time::timeout(Duration::from_secs(1), stream.next()).await.is_err());
        let slot = &before.slots()[0];
        let plan = slot.plan();
        let plan = metaconsole::federation::Plan {
            id: plan.id.clone(),
            name: "another".to_owned(),
            tags: Vec::new(),
            policy: plan.policy.clone(),
            site: plan.site.clone(),
        };
        let after = before.with(vec![slot.with(plan)]);
        drop((stream, before));
        // The read that ran ends for the new one, and its knowledge and interval stay.
        assert_eq!(report(&after, &ask("alert:fired", 9000)).await.total, 1);
        assert_eq!((fake.time.now(), fake.alert_starts()), (5200, vec![200]));
        fake.time.until(600_000).await;
        assert_eq!(report(&after, &ask("alert:fired", 300)).await.sites[0].contribution, Stale);
        assert_eq!((fake.alert_starts().len(), fake.running()), (2, 1));
        drop(after);
        settle().await;
        assert_eq!(fake.running(), 0);
    });
}

#[test]
fn a_large_site_is_looked_through_again_with_new_alerts() {
    in_paused_time(async {
        let all: Vec<u32> = (1..=5000).collect();
        let fake = Fake::new(Behaviour::new(200, agents(&all)), Time::begin());
        fake.behave_with_alerts(Behaviour::new(1000, agents(&[1])));
        let federation = federation(&[Arc::clone(&fake)], &Settings::USUAL);
        assert_eq!(report(&federation, &ask("alert:fired", 9000)).await.total, 1);
        fake.time.until(200_000).await;
        report(&federation, &ask("", 9000)).await;
        // The rows are current. What was found with the old alerts, while new ones were waited for, does not count.
        fake.behave_with_alerts(Behaviour::new(1000, agents(&[2, 3])));
        let new = report(&federation, &ask("alert:fired", 9000)).await;
        assert_eq!((new.sites[0].contribution, new.total), (Cached, 2));
        assert_eq!(new.sites[0].alerts_as_of.map(of_wall), Some(200_200));
        // Where they do not come, it stands.
        fake.time.until(400_000).await;
        report(&federation, &ask("", 9000)).await;
        fake.behave_with_alerts(Behaviour::new(0, End::Hang));
        let old = report(&federation, &ask("alert:fired", 9000)).await;
        assert_eq!((old.sites[0].contribution, old.total, why(&old).0), (Stale, 2, ErrorCode::Timeout));
        assert_eq!(old.sites[0].alerts_as_of.map(of_wall), Some(200_200));
    });
}
