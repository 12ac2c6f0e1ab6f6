//! Callers that leave, slots that are dropped, reads that panic: nothing is lost for others, nothing is left behind.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use metaconsole::domain::{Contribution, ErrorCode};
use metaconsole::federation::{Federation, Wanted};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::fake::{Behaviour, Chance, End, Fake, Time, in_paused_time, settle};
use super::schedule::{Ask, Settings, federation};

fn one(behaviour: Behaviour) -> (Arc<Fake>, Federation) {
    let fake = Fake::new(behaviour, Time::begin());
    let federation = federation(&[Arc::clone(&fake)], &Settings::USUAL);
    (fake, federation)
}

/// A caller with its own task; what it hears, and when.
fn caller(federation: &Federation, time: Time, wanted: Wanted) -> JoinHandle<(u64, Contribution, Option<ErrorCode>)> {
    let mut answers = federation.everything().stream(&Ask::all(wanted, 60_007).question());
    tokio::spawn(async move {
        let mut last = None;
        while let Some(answer) = answers.next().await {
            last = Some(answer.outcome);
        }
        let outcome = last.unwrap();
        (time.now(), outcome.contribution, outcome.failure.map(|failure| failure.error.code))
    })
}

#[test]
fn callers_killed_ten_thousand_times_lose_nobody_a_read_and_leave_nothing() {
    in_paused_time(async {
        let (fake, federation) = one(Behaviour::well(203));
        let mut chance = Chance::new(3);
        for round in 1..=500 {
            let begin = fake.time.now();
            let mut killed: Vec<_> = (0..20).map(|_| (chance.below(210), chance.below(3))).collect();
            killed.sort_unstable();
            // Among them, anywhere, one that stays. The first of all starts the read.
            let place = chance.below(20) as usize;
            let mut stays = None;
            let mut callers = Vec::new();
            for (n, (at, way)) in killed.into_iter().enumerate() {
                if n == place {
                    stays = Some(caller(&federation, fake.time, Wanted::Probe));
                }
                match way {
                    // Before it was polled once.
                    0 => drop(federation.everything().ask(&Ask::all(Wanted::Probe, 60_007).question())),
                    _ => callers.push((at, caller(&federation, fake.time, Wanted::Probe))),
                }
            }
            for (at, caller) in callers {
                fake.time.until(begin + at).await;
                caller.abort();
            }
            assert_eq!(stays.unwrap().await.unwrap(), (begin + 203, Contribution::Fresh, None), "round {round}");
            settle().await;
            let left = (fake.running(), Handle::current().metrics().num_alive_tasks());
            assert_eq!((fake.starts().len(), left), (round, (0, 0)));
            fake.time.until(begin + 10_000).await;
        }
    });
}

#[test]
fn a_read_ends_though_all_have_left() {
    in_paused_time(async {
        let (fake, federation) = one(Behaviour::well(203));
        drop(federation.everything().ask(&Ask::all(Wanted::Current, 1007).question()));
        fake.time.until(300).await;
        let report = federation.everything().report(&Ask::all(Wanted::Known, 0).question()).await;
        assert_eq!((report.total, report.sites[0].contribution), (1, Contribution::Cached));
        assert_eq!((fake.starts().len(), fake.running()), (1, 0));
    });
}

#[test]
fn a_dropped_slot_takes_its_read_along_once_nobody_waits() {
    in_paused_time(async {
        for waits in [false, true] {
            let (fake, federation) = one(Behaviour::new(0, End::Hang));
            let caller = caller(&federation, fake.time, Wanted::Current);
            settle().await;
            assert_eq!(fake.running(), 1);
            if !waits {
                caller.abort();
            }
            drop(federation);
            settle().await;
            assert_eq!(fake.running(), usize::from(waits));
            caller.abort();
            settle().await;
            assert_eq!((fake.running(), Handle::current().metrics().num_alive_tasks()), (0, 0));
        }
    });
}

#[test]
fn a_read_that_panics_is_an_outcome_and_the_slot_works_again() {
    in_paused_time(async {
        let (fake, federation) = one(Behaviour::new(13, End::Panic));
        let failed = (13, Contribution::Failed, Some(ErrorCode::BadAnswer));
        let callers: Vec<_> = (0..100).map(|_| caller(&federation, fake.time, Wanted::Current)).collect();
        for caller in callers {
            assert_eq!(caller.await.unwrap(), failed);
        }
        fake.behave(Behaviour::well(7));
        fake.time.until(1263).await;
        let fresh = caller(&federation, fake.time, Wanted::Current).await.unwrap();
        assert_eq!(fresh, (1270, Contribution::Fresh, None));
        // Now with rows: they stay.
        fake.behave(Behaviour::new(7, End::Panic));
        fake.time.until(60_000).await;
        let stale = caller(&federation, fake.time, Wanted::Within(Duration::ZERO)).await.unwrap();
        assert_eq!(stale, (60_007, Contribution::Stale, Some(ErrorCode::BadAnswer)));
        assert_eq!((fake.starts().len(), fake.running()), (3, 0));
    });
}

#[test]
fn a_search_while_the_runtime_shuts_down_does_not_block_for_ever() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (fake, federation) = runtime.block_on(async { one(Behaviour::well(3)) });
    let handle = runtime.handle().clone();
    drop(runtime);
    let (tell, hear) = mpsc::channel();
    std::thread::spawn(move || {
        let _inside = handle.enter();
        // What it spawns is dropped at once.
        let answers = federation.everything().ask(&Ask::all(Wanted::Current, 1007).question());
        let _ = tell.send(answers.pending());
    });
    assert_eq!(hear.recv_timeout(Duration::from_secs(20)), Ok(1), "it blocks");
    assert_eq!(fake.running(), 0);
}
