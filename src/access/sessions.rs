//! Who is signed in: a cookie that only we can make, and beside it a record that can be taken away at any time.
//!
//! A cookie alone opens nothing. At each request its record must be there, younger than `absolute`, used within `idle`,
//! of the user's present epoch, begun with the password that is configured now, by a user who is configured now. So a
//! user who is removed, or whose password changes, is out with the next request. The cookie lives as long as the session
//! may be idle and is made anew while it is used; since the record decides, a longer life makes it no stronger.
//!
//! A session gets another id where the rights of its user have changed. A browser has several requests under way with the
//! earlier one; for some seconds these are taken as the session that came in its place, with its rights, and get its
//! cookie too, in case the first answer was lost. Whatever ends that session ends them. Anything that goes wrong means
//! signed out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::cookie::{Kind, Seal};
use super::secrets::{Master, digest, hex, random_id, unhex};
use super::store::{Record, Store, StoreError};
use crate::clock::Timestamp;
use crate::config::access::SessionRules;

/// A record is written again for its use at most so often.
const TOUCH_AFTER: Duration = Duration::from_secs(60);

/// A cookie that is older than this is made anew when it is used.
const RENEW_AFTER: Duration = Duration::from_secs(300);

/// So long the id of before a change of rights leads to the one after it.
const LEADS_ON: Duration = Duration::from_secs(20);

/// Requests that began within so long before the change are as good as those after it.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Why sessions end by a change of the configuration.
pub const REMOVED: &str = "no user of this name any more";
/// The same.
pub const ANOTHER_PASSWORD: &str = "another password";

/// What the configuration in force says of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Print of the password's hash.
    pub credential: String,
    /// Print of the rights.
    pub rights: String,
}

impl Standing {
    /// Of a hash and the print of rights.
    pub fn new(hash: &str, rights: String) -> Self {
        Self { credential: digest(hash), rights }
    }
}

/// Whether a request counts as use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A person did something.
    Counts,
    /// A page asked by itself.
    Only,
}

/// A session that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Qualified login.
    pub login: String,
    /// The session's id. Never shown, never logged.
    pub id: String,
    /// Digest of the id it began with, which stays where the id changes: for what is remembered of a session.
    pub began_as: String,
    /// The cookie to answer with, when there is a new one.
    pub cookie: Option<String>,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum Out {
    /// None, or not any more.
    #[error("signed out")]
    SignedOut,
    /// Not any more, by the configuration: that is to be recorded, and all sessions of the user ended.
    #[error("signed out: {why}")]
    Over {
        /// Qualified login.
        login: String,
        /// Why, in words.
        why: &'static str,
    },
    /// It cannot be known.
    #[error("{0}")]
    Broken(#[from] StoreError),
    /// The system gives no random numbers, or a cookie cannot be signed.
    #[error("a session cannot be made: {0}")]
    Unmade(&'static str),
}

/// All sessions of this gateway.
#[derive(Debug)]
pub struct Sessions {
    store: Arc<Store>,
    seal: Seal,
    forms: [u8; 32],
    /// By the digest of an earlier id: the id in its place, and since when. Gone with a restart, which costs a login.
    successors: Mutex<HashMap<String, (String, Timestamp)>>,
}

impl Sessions {
    /// Of people, kept in this store, with keys from this master, for the gateway of this id.
    pub fn new(store: impl Into<Arc<Store>>, gateway: &str, master: &Master) -> Self {
        Self::of(Kind::Session, store, gateway, master)
    }

    /// The same, of one kind of cookie.
    pub fn of(kind: Kind, store: impl Into<Arc<Store>>, gateway: &str, master: &Master) -> Self {
        let (seal, forms) = (Seal::new(kind, gateway, master), master.derived("form|gateway"));
        Self { store: store.into(), seal, forms, successors: Mutex::default() }
    }

    /// Begins a session for somebody who has just proved who they are. On disk before the cookie is told.
    ///
    /// # Errors
    /// When it could not be kept.
    pub fn begin(&self, login: &str, standing: &Standing, rules: &SessionRules, now: Timestamp) -> Result<Live, Out> {
        let record = Record {
            begun: now.as_millis(),
            seen: now.as_millis(),
            epoch: self.store.epoch(login)?,
            credential: standing.credential.clone(),
            rights: standing.rights.clone(),
            began_as: String::new(),
        };
        self.kept(login, record, None, rules, now)
    }

    fn kept(
        &self,
        login: &str,
        mut record: Record,
        instead: Option<&str>,
        rules: &SessionRules,
        now: Timestamp,
    ) -> Result<Live, Out> {
        let id = random_id().map_err(|_| Out::Unmade("the system gives no random numbers"))?;
        if record.began_as.is_empty() {
            record.began_as = digest(instead.unwrap_or(&id));
        }
        let cookie = self.cookie(login, &id, &record, rules, now)?;
        if !self.store.begin(login, &id, &record, instead, rules.per_user)? {
            return Err(Out::SignedOut);
        }
        Ok(Live { login: login.to_owned(), id, began_as: record.began_as, cookie: Some(cookie) })
    }

    fn cookie(
        &self,
        login: &str,
        id: &str,
        record: &Record,
        rules: &SessionRules,
        now: Timestamp,
    ) -> Result<String, Out> {
        let until = later(now, rules.idle).min(later(Timestamp::from_millis(record.begun), rules.absolute));
        let auth = Timestamp::from_millis(record.begun);
        let made = self.seal.make(login, id, record.epoch, auth, now, until);
        made.map_err(|_| Out::Unmade("the cookie could not be signed"))
    }

    /// Whose session a cookie is. `standing` says what is configured for a login now; `None`: nobody.
    ///
    /// # Errors
    /// When there is no session, or it cannot be known.
    pub fn look(
        &self,
        cookie: &str,
        standing: impl Fn(&str) -> Option<Standing>,
        rules: &SessionRules,
        used: Use,
        now: Timestamp,
    ) -> Result<Live, Out> {
        let claims = self.seal.read(cookie, now).map_err(|_| Out::SignedOut)?;
        let login = claims.sub.as_str();
        let (id, record) = self.record(login, &claims.sid, now)?;
        if claims.epoch != record.epoch || record.epoch != self.store.epoch(login)? {
            return Err(Out::SignedOut);
        }
        let over = |since: i64, rule: Duration| Timestamp::from_millis(since).until(now) >= rule;
        if over(record.begun, rules.absolute) || over(record.seen, rules.idle) {
            // What is over once stays over, even if the rule comes back.
            self.store.end(login, &id)?;
            return Err(Out::SignedOut);
        }
        let out = |why| Out::Over { login: login.to_owned(), why };
        let standing = standing(login).ok_or_else(|| out(REMOVED))?;
        if standing.credential != record.credential {
            return Err(out(ANOTHER_PASSWORD));
        }
        let led_on = id != claims.sid;
        if used == Use::Counts && standing.rights != record.rights {
            return self.renewed(login, &id, Record { rights: standing.rights, ..record }, rules, now);
        }
        if used == Use::Counts && over(record.seen, TOUCH_AFTER) {
            // A full disk signs nobody out: the session then ends as if it had not been used.
            if let Err(error) = self.store.touch(login, &id, now.as_millis()) {
                tracing::warn!(%error, "the use of a session could not be noted");
            }
        }
        let old = Timestamp::from_secs(claims.iat).until(now) >= RENEW_AFTER;
        let anew = led_on || (used == Use::Counts && old);
        let cookie = if anew { Some(self.cookie(login, &id, &record, rules, now)?) } else { None };
        let began_as = if record.began_as.is_empty() { digest(&id) } else { record.began_as };
        Ok(Live { login: login.to_owned(), id, began_as, cookie })
    }

    /// A session's record, or that of the one in its place.
    fn record(&self, login: &str, id: &str, now: Timestamp) -> Result<(String, Record), Out> {
        if let Some(record) = self.store.find(login, id)? {
            return Ok((id.to_owned(), record));
        }
        // Whoever is just putting one in its place holds the lock until it is there.
        let next = self.successor(&self.successors(), id, now).ok_or(Out::SignedOut)?;
        let record = self.store.find(login, &next)?.ok_or(Out::SignedOut)?;
        Ok((next, record))
    }

    /// Puts a session with these rights in the place of one. Of many requests that find the rights changed, the first
    /// does it, and the others get what it has made.
    fn renewed(
        &self,
        login: &str,
        id: &str,
        record: Record,
        rules: &SessionRules,
        now: Timestamp,
    ) -> Result<Live, Out> {
        let mut successors = self.successors();
        if let Some(next) = self.successor(&successors, id, now) {
            let kept = self.store.find(login, &next)?.ok_or(Out::SignedOut)?;
            let cookie = Some(self.cookie(login, &next, &kept, rules, now)?);
            return Ok(Live { login: login.to_owned(), id: next, began_as: kept.began_as, cookie });
        }
        let live = self.kept(login, Record { seen: now.as_millis(), ..record }, Some(id), rules, now)?;
        successors.retain(|_, (_, since)| since.until(now) < LEADS_ON);
        successors.insert(digest(id), (live.id.clone(), now));
        Ok(live)
    }

    fn successors(&self) -> MutexGuard<'_, HashMap<String, (String, Timestamp)>> {
        // Nothing panics while it is held; a poisoned list would still be whole.
        self.successors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last of those that came one in the place of the other, rights having changed several times.
    fn successor(&self, of: &HashMap<String, (String, Timestamp)>, id: &str, now: Timestamp) -> Option<String> {
        let next = |id: &str| {
            let (next, since) = of.get(&digest(id))?;
            // A clock that was set back makes nothing last longer; a request that began just before may be judged after.
            (now.until(*since) < AT_ONCE && since.until(now) < LEADS_ON).then(|| next.clone())
        };
        std::iter::successors(next(id), |id| next(id)).take(of.len()).last()
    }

    /// Whether the session that began so goes on, by the same rules as [`look`](Self::look), without counting as its use.
    /// `standing` is what is configured for its login now.
    ///
    /// # Errors
    /// When it cannot be known.
    pub fn lives(
        &self,
        login: &str,
        began_as: &str,
        standing: &Standing,
        rules: &SessionRules,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let epoch = self.store.epoch(login)?;
        let over = |since: i64, rule: Duration| Timestamp::from_millis(since).until(now) >= rule;
        Ok(self.store.all(login)?.iter().any(|(digest, record)| {
            let known = if record.began_as.is_empty() { digest } else { &record.began_as };
            known == began_as
                && record.epoch == epoch
                && record.credential == standing.credential
                && !over(record.begun, rules.absolute)
                && !over(record.seen, rules.idle)
        }))
    }

    /// Ends one session.
    ///
    /// # Errors
    /// When that could not be written.
    pub fn end(&self, live: &Live) -> Result<(), StoreError> {
        self.store.end(&live.login, &live.id)
    }

    /// Ends all sessions of a user.
    ///
    /// # Errors
    /// When that could not be written.
    pub fn end_all(&self, login: &str) -> Result<(), StoreError> {
        self.store.end_all(login)
    }

    /// Forgets what is over anyway. Sessions of a longer rule that was shortened go too.
    ///
    /// # Errors
    /// When that could not be written.
    pub fn forget(&self, rules: &SessionRules, now: Timestamp) -> Result<(), StoreError> {
        let before =
            |rule: Duration| now.as_millis().saturating_sub(i64::try_from(rule.as_millis()).unwrap_or(i64::MAX));
        self.store.forget(before(rules.absolute), before(rules.idle))
    }

    /// How many sessions a user has.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn count(&self, login: &str) -> Result<usize, StoreError> {
        self.store.count(login)
    }

    /// What a form carries, so that only a page of ours can have made it: bound to a session's id, or to that of a
    /// browser that is about to log in.
    pub fn form_token(&self, of: &str) -> String {
        self.form_mac(of).map(|mac| hex(&mac.finalize().into_bytes())).unwrap_or_default()
    }

    /// Whether a form's token is of this session or browser.
    pub fn form_fits(&self, of: &str, token: &str) -> bool {
        let Some((mac, bytes)) = self.form_mac(of).zip(unhex(token)) else { return false };
        mac.verify_slice(&bytes).is_ok()
    }

    fn form_mac(&self, of: &str) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.forms).ok()?;
        mac.update(of.as_bytes());
        Some(mac)
    }
}

fn later(from: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_millis(from.as_millis().saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests;
