//! What the ledger keeps, forgets, and refuses.

use super::*;

fn row(login: &str, session: &str, site: &str, at: i64) -> Row {
    Row {
        login: login.to_owned(),
        session: session.to_owned(),
        site: site.parse().unwrap(),
        account: "ops".to_owned(),
        actor: login.to_owned(),
        at,
        asked: false,
        leaving: false,
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

#[test]
fn what_was_written_down_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("openings.redb");
    let ana = row("local:ana", "s1", "madrid", 1000);
    let ledger = Ledger::at(&path);
    ledger.issue("number", &ana).unwrap();
    let grant = ledger.grant(&ana, at(1001)).unwrap().unwrap();
    assert!(grant.len() == 24 && grant.starts_with("g_"), "{grant}");
    drop(ledger);
    let ledger = Ledger::at(&path);
    assert_eq!(ledger.issued("number").unwrap().as_ref(), Some(&ana));
    assert_eq!(ledger.issued("other").unwrap(), None);
    let (madrid, lyon) = ("madrid".parse().unwrap(), "lyon".parse().unwrap());
    let asked = [grant, "g_unknown".to_owned(), String::new()];
    assert_eq!(ledger.granted(&madrid, &asked, at(1002)).unwrap(), [Some(ana.clone()), None, None]);
    assert_eq!(ledger.granted(&lyon, &asked, at(1002)).unwrap(), [None, None, None], "another site's");
    let late = at(1000 + GRANTED_FOR);
    assert_eq!(ledger.granted(&madrid, &asked, late).unwrap(), [None, None, None], "too old, and not swept yet");
    assert_eq!(ledger.of("local:ana").unwrap(), [Row { asked: true, ..ana }]);
    assert!(ledger.of("local:an").unwrap().is_empty() && !ledger.is_failing());
    let text = std::fs::read(&path).unwrap();
    assert!(!text.windows(6).any(|window| window == b"number"), "numbers are kept as digests");
}

#[test]
fn what_is_over_is_forgotten_and_what_was_opened_again_stays() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::at(&folder.path().join("openings.redb"));
    let count = |kind: &str, owner: &str| ledger.with(|database| count(&database.begin_write()?, kind, owner)).unwrap();
    ledger.issue("first", &row("local:ana", "s1", "madrid", 0)).unwrap();
    ledger.grant(&row("local:ana", "s1", "madrid", 0), at(0)).unwrap().unwrap();
    ledger.issue("again", &row("local:ana", "s1", "madrid", OPENED_FOR - 10)).unwrap();
    assert_eq!((count(ISSUED, ""), count(GRANTS, "madrid")), (1, 0), "the first number and the grant are over");
    assert_eq!(ledger.issued("first").unwrap(), None);
    ledger.issue("ben", &row("local:ben", "s2", "madrid", OPENED_FOR + 10)).unwrap();
    assert_eq!(ledger.of("local:ana").unwrap().len(), 1, "its first opening is a week ago, its last is not");
    ledger.issue("late", &row("local:ben", "s2", "madrid", 2 * OPENED_FOR)).unwrap();
    assert!(ledger.of("local:ana").unwrap().is_empty());
    assert_eq!((count(OPENED, "local:ana"), count(OPENED, "local:ben")), (0, 1));
}

#[test]
fn nobody_takes_the_room_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { grants_of_site: 3, opened_of_person: 20 };
    let ledger = Ledger::with_limits(&folder.path().join("openings.redb"), limits);
    let (madrid, lyon) = (row("local:ana", "s", "madrid", 0), row("local:ana", "s", "lyon", 0));
    let grants: Vec<_> = (0..4).map(|_| ledger.grant(&madrid, at(0)).unwrap().is_some()).collect();
    assert_eq!(grants, [true, true, true, false]);
    assert!(ledger.grant(&lyon, at(0)).unwrap().is_some());
    assert!(ledger.grant(&madrid, at(GRANTED_FOR + 1)).unwrap().is_some(), "there is room again");
    for number in 0..21 {
        ledger.issue("n", &row("local:ben", &format!("s{number}"), "madrid", number)).unwrap();
    }
    let kept = ledger.of("local:ben").unwrap();
    assert!(kept.len() == 19 && kept.iter().all(|row| row.at >= 2), "the oldest have gone: {kept:?}");
}

#[test]
fn what_a_site_is_still_to_be_told_is_marked_until_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("openings.redb");
    let (madrid, lyon) = (row("local:ana", "s", "madrid", 0), row("local:ana", "s", "lyon", 0));
    let ledger = Ledger::at(&path);
    ledger.issue("1", &madrid).unwrap();
    ledger.issue("2", &lyon).unwrap();
    ledger.end(std::slice::from_ref(&madrid), &[lyon], at(1)).unwrap();
    drop(ledger);
    let ledger = Ledger::at(&path);
    let left = Row { leaving: true, ..madrid.clone() };
    assert_eq!(ledger.all().unwrap(), std::slice::from_ref(&left));
    ledger.issue("3", &madrid).unwrap();
    ledger.told(&left, at(2)).unwrap();
    assert_eq!(ledger.all().unwrap(), std::slice::from_ref(&madrid), "opened again meanwhile, so it stays");
    ledger.end(std::slice::from_ref(&madrid), &[], at(3)).unwrap();
    ledger.told(&left, at(4)).unwrap();
    assert!(ledger.all().unwrap().is_empty());
}

#[test]
fn a_file_that_cannot_be_used_is_an_error_and_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("openings.redb");
    std::fs::write(&path, [b'x'; 9000]).unwrap();
    let ledger = Ledger::at(&path);
    assert!(ledger.is_failing());
    assert_eq!(ledger.issue("n", &row("local:ana", "s", "madrid", 0)), Err(LedgerError));
    assert_eq!(ledger.issued("n"), Err(LedgerError));
    std::fs::remove_file(&path).unwrap();
    ledger.issue("n", &row("local:ana", "s", "madrid", 0)).unwrap();
    assert!(!ledger.is_failing());
}
