//! Who is logged in at a demo console: its people, their sessions, and the cookie of one.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, HeaderValue};
use futures_util::future::BoxFuture;

use crate::delegation::random_number;
use crate::secret::Secret;
use crate::verifier::{Entered, Live, Sessions, cookies};

/// The cookie that a console's session is in.
pub(super) const COOKIE: &str = "PHPSESSID";

/// When there are more, all end: nobody needs so many of a demo.
const MOST: usize = 10_000;

/// Somebody with an account of the console itself.
#[derive(Clone, Debug)]
pub struct Person {
    /// Their name.
    pub name: String,
    /// What they log in with.
    pub password: Secret,
    /// Administrators are not let in from elsewhere.
    pub administrator: bool,
}

impl Person {
    /// Somebody who looks only.
    pub fn new(name: &str, password: &str) -> Self {
        Self { name: name.to_owned(), password: Secret::new(password), administrator: false }
    }
}

/// All of one console.
#[derive(Debug, Default)]
pub(super) struct Desk {
    people: Vec<Person>,
    sessions: Mutex<HashMap<String, Live>>,
}

impl Desk {
    pub(super) fn of(people: Vec<Person>) -> Self {
        Self { people, sessions: Mutex::default() }
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<String, Live>> {
        // Every change is one step, so what a panic left is whole.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is logged in by these headers.
    pub(super) fn who(&self, headers: &HeaderMap) -> Option<Live> {
        self.sessions().get(session(headers).ok()??).cloned()
    }

    /// By the console's own form. Gives the cookie.
    pub(super) fn log_in(&self, headers: &HeaderMap, name: &str, password: &str) -> Option<HeaderValue> {
        let person = self.people.iter().find(|person| person.name == name && person.password.expose() == password)?;
        self.renew(headers, Live { account: person.name.clone(), actor: None })
    }

    /// Ends the session, if there is one.
    pub(super) fn log_out(&self, headers: &HeaderMap) {
        if let Ok(Some(id)) = session(headers) {
            self.sessions().remove(id);
        }
    }

    /// A session under a new id, in place of the one that these headers name.
    fn renew(&self, headers: &HeaderMap, live: Live) -> Option<HeaderValue> {
        let id = random_number().ok()?;
        let cookie = cookie(&id)?;
        self.log_out(headers);
        let mut sessions = self.sessions();
        if sessions.len() >= MOST {
            sessions.clear();
        }
        sessions.insert(id, live);
        Some(cookie)
    }
}

fn cookie(id: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("{COOKIE}={id}; Path=/; Secure; HttpOnly; SameSite=Lax")).ok()
}

/// The one session that these headers name. Two are a mistake, or somebody planted one.
pub(super) fn session(headers: &HeaderMap) -> Result<Option<&str>, &'static str> {
    let mut ids = cookies(headers).filter(|(name, _)| *name == COOKIE).map(|(_, id)| id);
    match (ids.next(), ids.next()) {
        (id, None) => Ok(id),
        _ => Err("two_sessions"),
    }
}

impl Sessions for Desk {
    fn cookie(&self) -> &'static str {
        COOKIE
    }

    fn live<'a>(&'a self, headers: &'a HeaderMap) -> BoxFuture<'a, Result<Option<Live>, &'static str>> {
        Box::pin(async move { Ok(session(headers)?.and_then(|id| self.sessions().get(id).cloned())) })
    }

    fn admits<'a>(&'a self, account: &'a str) -> BoxFuture<'a, Result<(), &'static str>> {
        Box::pin(async move {
            match self.people.iter().find(|person| person.name == account) {
                None => Err("unknown_account"),
                Some(person) if person.administrator => Err("administrator"),
                Some(_) => Ok(()),
            }
        })
    }

    fn begin<'a>(&'a self, entered: Entered<'a>) -> BoxFuture<'a, Result<Vec<HeaderValue>, &'static str>> {
        Box::pin(async move {
            let (account, actor) = (entered.claims.sub.clone(), Some(entered.claims.act.clone()));
            let cookie = self.renew(entered.headers, Live { account, actor }).ok_or("no_random")?;
            Ok(vec![cookie])
        })
    }

    fn keep<'a>(&'a self, entered: Entered<'a>) -> BoxFuture<'a, Result<Vec<HeaderValue>, &'static str>> {
        Box::pin(async move {
            // Given again: a browser that did not send it may have got another one meanwhile.
            let id = session(entered.headers)?;
            Ok(id.and_then(cookie).into_iter().collect())
        })
    }

    fn end<'a>(
        &'a self,
        account: Option<&'a str>,
        actor: Option<&'a str>,
    ) -> BoxFuture<'a, Result<usize, &'static str>> {
        Box::pin(async move {
            let mut sessions = self.sessions();
            let before = sessions.len();
            let other = |wanted: Option<&str>, is: Option<&str>| wanted.is_some_and(|wanted| is != Some(wanted));
            // Those of the console's own login were not begun here.
            sessions.retain(|_, live| {
                live.actor.is_none() || other(account, Some(&live.account)) || other(actor, live.actor.as_deref())
            });
            Ok(before.saturating_sub(sessions.len()))
        })
    }
}
