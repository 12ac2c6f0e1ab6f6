//! Logging in as a whole: who gets in, who waits, what is recorded, and what a changed configuration does.

use std::sync::atomic::{AtomicBool, Ordering};

use super::password::{Passwords, hash};
use futures_util::future::BoxFuture;

use super::witness::Unrecorded;
use super::*;
use crate::config::access::{ApiToken, Grant, Role, Target, User};
use crate::secret::Secret;

const T0: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Keeps what it is told, unless its disk is full.
#[derive(Debug, Default)]
struct Notes {
    events: Mutex<Vec<Event>>,
    full: AtomicBool,
}

impl Witness for Notes {
    fn record(&self, event: Event) -> BoxFuture<'_, Result<(), Unrecorded>> {
        Box::pin(std::future::ready(self.keep(event)))
    }
}

impl Notes {
    fn keep(&self, event: Event) -> Result<(), Unrecorded> {
        if self.full.load(Ordering::Relaxed) {
            return Err(Unrecorded);
        }
        self.events.lock().unwrap().push(event);
        Ok(())
    }
}

fn access() -> Access {
    let grant = |permission| Grant { permission, sites: Target::All, groups: None };
    let grants = Permission::ALL.iter().map(|(_, permission)| grant(*permission)).collect();
    let user = |login: &str| User {
        login: login.to_owned(),
        password: hash(&Secret::new(format!("correct horse {login}"))).unwrap(),
        groups: vec!["noc".to_owned()],
        roles: vec!["all".to_owned()],
    };
    let token = |name: &str, expires| ApiToken {
        name: name.to_owned(),
        hash: sha256(&format!("mct_{name}")),
        roles: vec!["all".to_owned()],
        expires,
    };
    Access {
        users: vec![user("ana"), user("ben")],
        roles: vec![Role { name: "all".to_owned(), grants }],
        api_tokens: vec![token("grafana", None), token("old", Some(T0.as_secs()))],
        ..Access::default()
    }
}

fn people(folder: &Path, notes: &Arc<Notes>) -> People {
    let clock = Clock::following(T0);
    let witness: Arc<dyn Witness> = Arc::clone(notes) as _;
    People::open(folder, "hq", &access(), Box::new(Passwords::new(2)), witness, clock).unwrap()
}

fn offer(login: &str) -> Offer {
    Offer { login: login.to_owned(), password: Secret::new(format!("correct horse {login}")) }
}

fn wrong(login: &str) -> Offer {
    Offer { login: login.to_owned(), password: Secret::new("wrong horse") }
}

fn from(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

#[tokio::test]
async fn somebody_is_in_and_is_out_when_they_leave_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let notes = Arc::new(Notes::default());
    let people = people(folder.path(), &notes);
    let mut access = access();
    let welcome = people.log_in(&access, offer("ana"), from(1), None).await.unwrap();
    let cookie = welcome.live.cookie.unwrap();
    let (principal, live) = people.signed_in(&access, &cookie, Use::Counts).unwrap();
    assert_eq!(
        (principal.login.as_str(), principal.groups.as_slice()),
        ("local:ana", ["local:noc".to_owned()].as_slice())
    );
    assert!(people.signed_in(&access, &welcome.device, Use::Counts).is_err(), "a known browser is no session");
    access.users.retain(|user| user.login != "ana");
    assert!(matches!(people.signed_in(&access, &cookie, Use::Only), Err(Out::Over { .. })));
    assert_eq!(people.out_by(&self::access(), &access), [("local:ana".to_owned(), sessions::REMOVED)]);
    assert_eq!(*notes.events.lock().unwrap(), [Event::LoggedIn { login: "local:ana".to_owned(), from: from(1) }]);
    assert_eq!(live.login, "local:ana");
}

#[tokio::test]
async fn what_cannot_be_recorded_does_not_happen() {
    let folder = tempfile::tempdir().unwrap();
    let notes = Arc::new(Notes::default());
    let people = people(folder.path(), &notes);
    notes.full.store(true, Ordering::Relaxed);
    assert!(matches!(people.log_in(&access(), offer("ana"), from(1), None).await, Err(Denied::Unrecorded)));
    assert_eq!(people.sessions.count("local:ana").unwrap(), 0);
}

#[tokio::test]
async fn out_means_out_here_or_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let people = people(folder.path(), &Arc::default());
    let access = access();
    let mut cookies = Vec::new();
    for login in ["ana", "ana", "ana", "ben"] {
        let welcome = people.log_in(&access, offer(login), from(1), None).await.unwrap();
        cookies.push((welcome.live.cookie.clone().unwrap(), welcome.live));
    }
    let is_in = |cookie: &str| people.signed_in(&access, cookie, Use::Counts).is_ok();
    people.log_out(cookies[0].1.clone(), false).await.unwrap();
    assert_eq!(cookies.iter().map(|(cookie, _)| is_in(cookie)).collect::<Vec<_>>(), [false, true, true, true]);
    people.log_out(cookies[1].1.clone(), true).await.unwrap();
    assert_eq!(cookies.iter().map(|(cookie, _)| is_in(cookie)).collect::<Vec<_>>(), [false, false, false, true]);
}

#[tokio::test]
async fn who_guesses_waits_and_nobody_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let notes = Arc::new(Notes::default());
    let people = people(folder.path(), &notes);
    let access = access();
    let known = people.log_in(&access, offer("ana"), from(1), None).await.unwrap().device;
    for _ in 0..5 {
        assert!(matches!(people.log_in(&access, wrong("ana"), from(1), None).await, Err(Denied::Wrong)));
    }
    let told = people.log_in(&access, offer("ana"), from(1), None).await;
    assert!(matches!(told, Err(Denied::Later(wait)) if wait <= Duration::from_secs(1)), "{told:?}");
    assert!(people.log_in(&access, offer("ana"), from(2), None).await.is_ok(), "from elsewhere");
    assert!(people.log_in(&access, offer("ana"), from(1), Some(&known)).await.is_ok(), "in a known browser");
    assert!(people.log_in(&access, offer("ben"), from(1), Some(&known)).await.is_ok(), "somebody else");
    assert!(matches!(people.log_in(&access, wrong("hunter2"), from(9), None).await, Err(Denied::Wrong)));
    assert!(!format!("{:?}", notes.events.lock().unwrap()).contains("hunter2"), "a password typed as a login");
}

#[test]
fn a_program_brings_its_token_and_is_never_handed_over() {
    let access = access();
    let known = bearer(&access, "mct_grafana", T0).unwrap();
    let site = "a".parse().unwrap();
    assert_eq!(known.login, "token:grafana");
    assert_eq!(known.grants.permissions(&site, &[]), [Permission::Search, Permission::View, Permission::Audit]);
    for no in ["", "mct_", "mct_old", "grafana", "mct_grafana "] {
        assert!(bearer(&access, no, T0).is_none(), "{no}");
    }
}
