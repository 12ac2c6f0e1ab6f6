//! What keeps a session, what ends it, and what is left after a restart.

use std::path::Path;

use super::*;

const T0: Timestamp = Timestamp::from_secs(1_800_000_000);

fn sessions(folder: &Path) -> Sessions {
    Sessions::new(Store::open(folder).unwrap(), "hq", &Master::from_bytes(&[7; 32]))
}

fn standing() -> Standing {
    Standing::new("$argon2id$one", "rights".to_owned())
}

fn begun(sessions: &Sessions, login: &str, now: Timestamp) -> String {
    sessions.begin(login, &standing(), &SessionRules::default(), now).unwrap().cookie.unwrap()
}

fn after(secs: u64) -> Timestamp {
    later(T0, Duration::from_secs(secs))
}

fn look(sessions: &Sessions, cookie: &str, used: Use, now: Timestamp) -> Option<Live> {
    look_as(sessions, cookie, Some(standing()), used, now)
}

fn look_as(sessions: &Sessions, cookie: &str, as_now: Option<Standing>, used: Use, now: Timestamp) -> Option<Live> {
    match sessions.look(cookie, |_| as_now.clone(), &SessionRules::default(), used, now) {
        Ok(live) => Some(live),
        Err(Out::SignedOut | Out::Over { .. }) => None,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_session_goes_on_while_it_is_used_and_not_beyond_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let sessions = sessions(folder.path());
    let mut cookie = begun(&sessions, "local:ana", T0);
    let first = look(&sessions, &cookie, Use::Counts, T0).unwrap();
    assert_eq!((first.login.as_str(), &first.cookie), ("local:ana", &None));
    let hour = 3600;
    for hours in 1..12 {
        let live = look(&sessions, &cookie, Use::Counts, after(hours * hour)).unwrap();
        assert_eq!(live.id, first.id);
        cookie = live.cookie.unwrap();
    }
    assert!(look(&sessions, &cookie, Use::Counts, after(12 * hour)).is_none());
    assert!(look(&sessions, &cookie, Use::Counts, after(11 * hour)).is_none(), "what is over stays over");
    assert_eq!(sessions.count("local:ana").unwrap(), 0);
}

#[test]
fn an_idle_session_ends_and_what_a_page_asks_by_itself_is_no_use() {
    let folder = tempfile::tempdir().unwrap();
    let sessions = sessions(folder.path());
    let cookie = begun(&sessions, "local:ana", T0);
    for minutes in 1..8 * 60 {
        assert_eq!(look(&sessions, &cookie, Use::Only, after(minutes * 60)).unwrap().cookie, None);
    }
    assert!(look(&sessions, &cookie, Use::Counts, after(8 * 3600)).is_none());
    let used = begun(&sessions, "local:ana", T0);
    let renewed = look(&sessions, &used, Use::Counts, after(4 * 3600)).unwrap().cookie.unwrap();
    assert!(look(&sessions, &renewed, Use::Counts, after(8 * 3600 + 60)).is_some());
}

#[test]
fn restart_keeps_sessions_and_revocations() {
    let folder = tempfile::tempdir().unwrap();
    let (kept, ended, everywhere) = {
        let sessions = sessions(folder.path());
        let kept = begun(&sessions, "local:ana", T0);
        let ended = begun(&sessions, "local:ana", T0);
        let everywhere = [begun(&sessions, "local:ben", T0), begun(&sessions, "local:ben", T0)];
        let live = look(&sessions, &ended, Use::Counts, T0).unwrap();
        sessions.end(&live).unwrap();
        sessions.end_all("local:ben").unwrap();
        (kept, ended, everywhere)
    };
    let again = sessions(folder.path());
    assert!(look(&again, &kept, Use::Counts, after(60)).is_some());
    assert!(look(&again, &ended, Use::Counts, after(60)).is_none());
    for cookie in &everywhere {
        assert!(look(&again, cookie, Use::Counts, after(60)).is_none());
    }
    assert!(look(&again, &begun(&again, "local:ben", after(60)), Use::Counts, after(60)).is_some());
}

#[test]
fn a_user_who_is_gone_or_has_another_password_is_out() {
    let folder = tempfile::tempdir().unwrap();
    let sessions = sessions(folder.path());
    let other = Standing::new("$argon2id$two", "rights".to_owned());
    for now in [None, Some(other)] {
        for used in [Use::Counts, Use::Only] {
            let cookie = begun(&sessions, "local:ana", T0);
            assert!(look_as(&sessions, &cookie, now.clone(), used, T0).is_none());
            // Whoever looks records it, and then ends all of them.
            sessions.end_all("local:ana").unwrap();
            assert!(look(&sessions, &cookie, used, T0).is_none(), "and stays out");
        }
    }
}

#[test]
fn other_rights_begin_another_session() {
    let folder = tempfile::tempdir().unwrap();
    let sessions = sessions(folder.path());
    let cookie = begun(&sessions, "local:ana", T0);
    let first = look(&sessions, &cookie, Use::Counts, T0).unwrap();
    let now = Some(Standing { rights: "others".to_owned(), ..standing() });
    assert_eq!(look_as(&sessions, &cookie, now.clone(), Use::Only, T0).unwrap(), first);
    let second = look_as(&sessions, &cookie, now.clone(), Use::Counts, after(60)).unwrap();
    assert_ne!(second.id, first.id);
    let late = |at: u64| look_as(&sessions, &cookie, now.clone(), Use::Counts, after(at));
    assert_eq!(late(79).unwrap().id, second.id, "what was under way goes on as the new one");
    assert_eq!(late(59).unwrap().id, second.id, "it began just before, and is judged after");
    assert!(late(80).is_none() && late(57).is_none(), "the earlier one has ended");
    let cookie = second.cookie.unwrap();
    assert_eq!(look_as(&sessions, &cookie, now.clone(), Use::Counts, after(61)).unwrap().id, second.id);
    // The absolute end stays where it was.
    assert!(look_as(&sessions, &cookie, now, Use::Counts, after(12 * 3600)).is_none());
}

#[test]
fn the_oldest_sessions_of_a_user_end_when_there_are_too_many() {
    let folder = tempfile::tempdir().unwrap();
    let sessions = sessions(folder.path());
    let other = begun(&sessions, "local:an", T0);
    let cookies: Vec<String> = (0..25).map(|number| begun(&sessions, "local:ana", after(number))).collect();
    assert_eq!(sessions.count("local:ana").unwrap(), 20);
    for (number, cookie) in cookies.iter().enumerate() {
        assert_eq!(look(&sessions, cookie, Use::Counts, after(30)).is_some(), number >= 5, "{number}");
    }
    assert!(look(&sessions, &other, Use::Counts, after(30)).is_some());
    sessions.forget(&SessionRules::default(), after(13 * 3600)).unwrap();
    assert_eq!(sessions.count("local:ana").unwrap(), 0);
}

#[test]
fn an_ended_session_is_not_brought_back_by_a_late_use() {
    let folder = tempfile::tempdir().unwrap();
    let sessions = sessions(folder.path());
    let cookie = begun(&sessions, "local:ana", T0);
    let live = look(&sessions, &cookie, Use::Counts, T0).unwrap();
    sessions.end(&live).unwrap();
    let record = Record {
        begun: 0,
        seen: 0,
        epoch: 0,
        credential: String::new(),
        rights: String::new(),
        began_as: String::new(),
    };
    assert!(
        !sessions.store.begin(&live.login, "another", &record, Some(&live.id), 20).unwrap(),
        "nor by changed rights"
    );
    assert_eq!(sessions.count("local:ana").unwrap(), 0);
    sessions.store.touch(&live.login, &live.id, after(70).as_millis()).unwrap();
    assert!(look(&sessions, &cookie, Use::Counts, after(70)).is_none());
}

#[test]
fn a_damaged_or_used_store_is_an_error_and_never_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let open = sessions(folder.path());
    let busy = Store::open(folder.path()).unwrap_err().to_string();
    assert!(busy.contains("another gateway uses it"), "{busy}");
    drop(open);
    let file = folder.path().join("sessions.redb");
    let bytes = std::fs::read(&file).unwrap();
    for damaged in [vec![b'x'; 5000], bytes[..bytes.len() / 2].to_vec(), b"short".to_vec()] {
        std::fs::write(&file, &damaged).unwrap();
        let told = Store::open(folder.path()).unwrap_err().to_string();
        assert!(told.contains("cannot be opened") && told.contains("; move the file away"), "{told}");
        assert_eq!(std::fs::read(&file).unwrap(), damaged, "what is left is not touched");
    }
}

#[cfg(unix)]
#[test]
fn the_store_is_its_owners_alone_and_holds_no_cookie() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("new/state");
    let sessions = sessions(&state);
    let cookie = begun(&sessions, "local:ana", T0);
    let id = look(&sessions, &cookie, Use::Counts, T0).unwrap().id;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&state), mode(&state.join("sessions.redb"))), (0o700, 0o600));
    let bytes = std::fs::read(state.join("sessions.redb")).unwrap();
    assert!(memchr::memmem::find(&bytes, id.as_bytes()).is_none());
    assert!(memchr::memmem::find(&bytes, b"local:ana").is_some());
}

#[test]
fn a_forms_token_is_of_one_session() {
    let folder = tempfile::tempdir().unwrap();
    let sessions = sessions(folder.path());
    let token = sessions.form_token("one");
    assert!(sessions.form_fits("one", &token));
    for (of, token) in [
        ("two", token.as_str()),
        ("one", ""),
        ("one", &token[1..]),
        ("one", &"é".repeat(32)),
        ("one", &"+1".repeat(32)),
    ] {
        assert!(!sessions.form_fits(of, token), "{token}");
    }
}

#[test]
fn of_many_requests_at_a_change_of_rights_all_get_the_same_new_session() {
    let folder = tempfile::tempdir().unwrap();
    let sessions = sessions(folder.path());
    let now = |rights: &str| Some(Standing { rights: rights.to_owned(), ..standing() });
    let cookie = begun(&sessions, "local:ana", T0);
    let first = look(&sessions, &cookie, Use::Counts, T0).unwrap();
    let looks = |cookie: &str, rights: &str, at: Timestamp| -> Vec<Option<Live>> {
        let all = std::sync::Barrier::new(32);
        let one = |n: usize| {
            all.wait();
            let used = if n.is_multiple_of(4) { Use::Only } else { Use::Counts };
            look_as(&sessions, cookie, now(rights), used, at)
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..32).map(|n| scope.spawn(move || one(n))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    };
    let got: Vec<Live> = looks(&cookie, "others", T0).into_iter().map(|live| live.expect("nobody is out")).collect();
    let new: Vec<&Live> = got.iter().filter(|live| live.id != first.id).collect();
    assert!(new.len() >= 24 && new.iter().all(|live| live.id == new[0].id && live.cookie.is_some()), "{got:?}");
    assert_eq!(sessions.count("local:ana").unwrap(), 1);
    // Rights change once more: both earlier cookies lead to the newest session.
    let second = new[0].cookie.clone().unwrap();
    let third = look_as(&sessions, &second, now("third"), Use::Counts, after(5)).unwrap();
    for earlier in [&cookie, &second] {
        assert_eq!(look_as(&sessions, earlier, now("third"), Use::Counts, after(6)).unwrap().id, third.id);
    }
    // Whoever leaves is out with every cookie, at once.
    sessions.end(&third).unwrap();
    for earlier in [&cookie, &second, &third.cookie.unwrap()] {
        assert!(looks(earlier, "third", after(7)).iter().all(Option::is_none));
    }
}

#[test]
fn nobody_who_signed_out_everywhere_is_led_on() {
    let folder = tempfile::tempdir().unwrap();
    let sessions = sessions(folder.path());
    let now = Some(Standing { rights: "others".to_owned(), ..standing() });
    let cookie = begun(&sessions, "local:ana", T0);
    look_as(&sessions, &cookie, now.clone(), Use::Counts, T0).unwrap();
    sessions.end_all("local:ana").unwrap();
    assert!(look_as(&sessions, &cookie, now.clone(), Use::Counts, T0).is_none());
    // Another session of theirs is no place to be led to.
    begun(&sessions, "local:ana", T0);
    assert!(look_as(&sessions, &cookie, now, Use::Counts, T0).is_none());
}

#[test]
fn a_session_is_known_by_how_it_began_while_it_lives_and_no_longer() {
    let folder = tempfile::tempdir().unwrap();
    let sessions = sessions(folder.path());
    let first = sessions.begin("local:ana", &standing(), &SessionRules::default(), T0).unwrap();
    let lives = |as_now: &Standing, now| {
        sessions.lives("local:ana", &first.began_as, as_now, &SessionRules::default(), now).unwrap()
    };
    assert!(lives(&standing(), after(60)));
    // Other rights give it another id, and it stays the same session.
    let promoted = Standing::new("$argon2id$one", "more rights".to_owned());
    let cookie = first.cookie.clone().unwrap();
    let second = look_as(&sessions, &cookie, Some(promoted.clone()), Use::Counts, after(120)).unwrap();
    assert!(second.id != first.id && second.began_as == first.began_as);
    let demoted = look_as(&sessions, &second.cookie.unwrap(), Some(standing()), Use::Counts, after(180)).unwrap();
    assert_eq!(demoted.began_as, first.began_as);
    assert!(lives(&promoted, after(240)));
    assert!(!lives(&Standing::new("$argon2id$two", "rights".to_owned()), after(240)), "another password");
    assert!(!lives(&standing(), after(180 + 8 * 3600)), "idle");
    let other = |login: &str, began_as: &str| {
        sessions.lives(login, began_as, &standing(), &SessionRules::default(), after(240)).unwrap()
    };
    assert!(!other("local:ben", &first.began_as) && !other("local:ana", "") && !other("local:ana", &first.id));
    sessions.end(&demoted).unwrap();
    assert!(!lives(&standing(), after(240)));
    let third = sessions.begin("local:ana", &standing(), &SessionRules::default(), T0).unwrap();
    assert!(other("local:ana", &third.began_as));
    sessions.end_all("local:ana").unwrap();
    assert!(!other("local:ana", &third.began_as));
}
