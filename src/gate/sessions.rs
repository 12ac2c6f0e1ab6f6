//! Sessions of the gate: who somebody is by their cookie, now.
//!
//! A session ends when it was not used for a while, when its time is over, by logout, by a call of the gateway, and, online,
//! when the gateway says so or the site's key is none any more. The gateway is asked by the first request that comes 50 s
//! after the last answer, about all sessions that are in use, so that none goes on for 60 s after its end there. While it
//! does not answer, sessions go on for as long as the site's file says, or not at all; they are not forgotten by that.
//!
//! With several gates a cookie of another one is taken when the gateway says that its opening holds; what ended here is
//! remembered until the cookie would end by itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, HeaderValue};
use futures_util::future::BoxFuture;

use super::cookie::{self, Cookie};
use super::link::{AT_ONCE, Link, Told};
use super::rules::{Rules, millis, passed};
use super::store::{Change, Kept, Row, Store, StoreError};
use crate::clock::Clock;
use crate::config::gate::{Heads, OnLoss};
use crate::delegation::random_number;
use crate::verifier::{self, Entered, Journal, Live, Note};

/// The gateway is asked again so long after its last answer, in ms: a session ends there at most a minute before here.
const ASKED_AFTER: i64 = 50_000;
/// Others are asked about along with it, so old.
const ALONG_AFTER: i64 = 25_000;
/// Not asked again so soon after it did not answer.
const PAUSE: i64 = 5_000;
/// That a session is used is written down so often.
const WRITTEN_AFTER: i64 = 60_000;
/// More sessions are not begun.
const MOST: usize = 100_000;

#[derive(Debug, Default)]
struct State {
    rows: HashMap<String, Row>,
    ended: HashMap<String, i64>,
}

/// See the module's text.
pub(super) struct Sessions {
    rules: Rules,
    state: Mutex<State>,
    store: Arc<Store>,
    link: Option<Arc<Link>>,
    /// Held while the gateway is asked; when it last did not answer.
    asking: tokio::sync::Mutex<Option<i64>>,
    journal: Arc<dyn Journal>,
    clock: Clock,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl Sessions {
    /// With what is on disk.
    pub(super) fn open(
        rules: Rules,
        store: Store,
        link: Option<Arc<Link>>,
        journal: Arc<dyn Journal>,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let Kept { rows, ended } = store.all()?;
        let state = State { rows: rows.into_iter().collect(), ended: ended.into_iter().collect() };
        let (state, store) = (Mutex::new(state), Arc::new(store));
        Ok(Self { rules, state, store, link, asking: tokio::sync::Mutex::default(), journal, clock })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What a panic elsewhere left is whole: every change is one step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> i64 {
        self.clock.now().as_millis()
    }

    /// Who somebody is, by the headers of their request.
    pub(super) async fn of(&self, headers: &HeaderMap) -> Option<Live> {
        let cookie = cookie::read(headers, &self.rules.keys)?;
        let id = cookie.id.clone();
        let mut row = self.row(cookie, self.now()).await?;
        if self.is_due(&row, self.now()) {
            self.ask_again(&id).await;
            row = self.state().rows.get(&id).cloned()?;
        }
        let now = self.now();
        if self.is_due(&row, now) && !self.goes_on_without(&row, now) {
            return None;
        }
        self.seen(id, now).await
    }

    /// It is used now. That is written down once a minute, so that a restart takes nobody for idle.
    async fn seen(&self, id: String, now: i64) -> Option<Live> {
        let (live, unwritten) = {
            let mut state = self.state();
            let row = state.rows.get_mut(&id)?;
            row.seen = now;
            let is_old = passed(row.written, now, WRITTEN_AFTER);
            row.written = if is_old { now } else { row.written };
            let live = Live { account: row.account.clone(), actor: Some(row.actor.clone()) };
            (live, is_old.then(|| row.clone()))
        };
        if let Some(row) = unwritten {
            // When that cannot be kept, it is idle sooner after a restart.
            let _ = self.change(Change { update: vec![(id, row)], now, ..Change::default() }).await;
        }
        Some(live)
    }

    /// The session of a cookie, when it has neither ended nor been idle for too long.
    async fn row(&self, cookie: Cookie, now: i64) -> Option<Row> {
        let found = self.state().rows.get(&cookie.id).cloned();
        let row = match found {
            Some(row) => row,
            None => self.adopted(&cookie, now)?,
        };
        let idle = millis(self.rules.lengths.idle);
        if now >= row.ends.min(self.longest(&cookie)) || now.saturating_sub(row.seen) >= idle {
            // It has ended, whether that can be kept or not: its time is over after a restart, too.
            let _ = self.forget(&[cookie.id], "time").await;
            return None;
        }
        let is_same = row.account == cookie.account && row.actor == cookie.actor;
        (is_same && self.rules.allow.contains(&row.account)).then_some(row)
    }

    /// The session of another gate of this site: it counts when the gateway says so, which is asked at once.
    fn adopted(&self, cookie: &Cookie, now: i64) -> Option<Row> {
        let ends = cookie.ends.min(self.longest(cookie));
        let mut state = self.state();
        let fits = self.rules.heads == Heads::Several
            && self.link.is_some()
            && cookie.grant.is_some()
            && (cookie.begun..ends).contains(&now)
            && !state.ended.contains_key(&cookie.id)
            && state.rows.len() < MOST;
        if !fits {
            return None;
        }
        let (account, actor, grant) = (cookie.account.clone(), cookie.actor.clone(), cookie.grant.clone());
        // Never asked about: without an answer it does not go on.
        let row = Row { account, actor, grant, ends, seen: now, checked: i64::MIN, written: now };
        state.rows.insert(cookie.id.clone(), row.clone());
        Some(row)
    }

    /// Its end by the file of now, which may be another one than when it began.
    fn longest(&self, cookie: &Cookie) -> i64 {
        cookie.begun.saturating_add(millis(self.rules.lengths.longest))
    }

    fn is_due(&self, row: &Row, now: i64) -> bool {
        self.link.is_some() && row.grant.is_some() && passed(row.checked, now, ASKED_AFTER)
    }

    /// Whether a session goes on although the gateway does not answer.
    fn goes_on_without(&self, row: &Row, now: i64) -> bool {
        match self.rules.on_loss {
            OnLoss::Close => false,
            OnLoss::Keep(time) => !passed(row.checked, now, millis(time)),
        }
    }

    /// Asks the gateway about this session, and others along with it.
    async fn ask_again(&self, id: &str) {
        let Some(link) = &self.link else { return };
        let mut lost = self.asking.lock().await;
        let now = self.now();
        if lost.is_some_and(|at| !passed(at, now, PAUSE)) {
            return;
        }
        let due = self.due(id, now);
        if due.is_empty() {
            // Somebody has asked while we waited.
            return;
        }
        let mut grants: Vec<String> = due.iter().map(|(_, grant)| grant.clone()).collect();
        grants.dedup();
        let holding = match link.holding(&grants).await {
            Told::Lost => {
                *lost = Some(self.now());
                return;
            }
            Told::Stranger => Vec::new(),
            Told::Holding(holding) => holding,
        };
        *lost = None;
        let (held, ended): (Vec<_>, Vec<_>) = due.into_iter().partition(|(_, grant)| holding.contains(grant));
        self.held(held.into_iter().map(|(id, _)| id), now).await;
        let ended: Vec<String> = ended.into_iter().map(|(id, _)| id).collect();
        // When that cannot be kept, they are asked about again after a restart.
        let _ = self.forget(&ended, "gateway").await;
    }

    /// What is asked about with this session; nothing when it needs no asking.
    fn due(&self, id: &str, now: i64) -> Vec<(String, String)> {
        let state = self.state();
        let Some(row) = state.rows.get(id).filter(|row| self.is_due(row, now)) else { return Vec::new() };
        let own = row.grant.clone().map(|grant| (id.to_owned(), grant));
        let along = state.rows.iter().filter(|(other, row)| {
            *other != id && passed(row.checked, now, ALONG_AFTER) && !passed(row.seen, now, 2 * ASKED_AFTER)
        });
        let along = along.filter_map(|(id, row)| Some((id.clone(), row.grant.clone()?)));
        own.into_iter().chain(along).take(AT_ONCE).collect()
    }

    /// The gateway said, when asked at `now`, that these hold.
    async fn held(&self, ids: impl Iterator<Item = String>, now: i64) {
        let mut rows = Vec::new();
        {
            let mut state = self.state();
            for id in ids {
                if let Some(row) = state.rows.get_mut(&id) {
                    (row.checked, row.written) = (now, now);
                    rows.push((id, row.clone()));
                }
            }
        }
        // When that cannot be kept, they are asked about again after a restart.
        let change = match self.rules.heads {
            Heads::One => Change { update: rows, now, ..Change::default() },
            // Some are another gate's, and new here.
            Heads::Several => Change { put: rows, now, ..Change::default() },
        };
        let _ = self.change(change).await;
    }

    /// Ends sessions. They have ended even when that cannot be kept; then the error says so.
    async fn forget(&self, ids: &[String], reason: &'static str) -> Ended {
        if ids.is_empty() {
            return Ok(0);
        }
        let now = self.now();
        let mut change = Change { remove: ids.to_vec(), now, ..Change::default() };
        let mut gone = Vec::new();
        {
            let mut state = self.state();
            state.ended.retain(|_, until| *until > now);
            for id in ids {
                let Some(row) = state.rows.remove(id) else { continue };
                if self.rules.heads == Heads::Several {
                    state.ended.insert(id.clone(), row.ends);
                    change.ended.push((id.clone(), row.ends));
                }
                gone.push(row);
            }
        }
        for row in &gone {
            let nowhere = std::net::Ipv4Addr::UNSPECIFIED.into();
            let mut note = Note::new(self.clock.now(), &self.rules.site, "session", "ended", reason, nowhere);
            (note.account, note.actor) = (Some(row.account.clone()), Some(row.actor.clone()));
            // It has ended, whether it can be written or not; the journal says itself that it cannot.
            let _ = self.journal.write(&note);
        }
        self.change(change).await.map(|()| gone.len())
    }

    async fn change(&self, change: Change) -> Result<(), &'static str> {
        let store = Arc::clone(&self.store);
        let changed = tokio::task::spawn_blocking(move || store.change(&change)).await;
        match changed {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::error!("{error}");
                Err("session_store")
            }
            Err(_) => Err("session_store"),
        }
    }

    /// Ends the session of these headers, if there is one.
    pub(super) async fn log_out(&self, headers: &HeaderMap) -> Result<(), &'static str> {
        let Some(cookie) = cookie::read(headers, &self.rules.keys) else { return Ok(()) };
        // Of another gate: from here on it is remembered that it ended.
        let _ = self.adopted(&cookie, self.now());
        self.forget(&[cookie.id], "logout").await.map(|_| ())
    }

    async fn begun(&self, entered: Entered<'_>) -> Result<Vec<HeaderValue>, &'static str> {
        let now = self.now();
        let old = cookie::read(entered.headers, &self.rules.keys);
        self.forget(&old.map(|old| old.id).into_iter().collect::<Vec<_>>(), "replaced").await?;
        let id = random_number().map_err(|_| "no_random")?;
        let row = self.new_row(&entered, now);
        let (account, actor) = (row.account.clone(), row.actor.clone());
        let cookie = Cookie { id: id.clone(), account, actor, grant: row.grant.clone(), begun: now, ends: row.ends };
        let set = cookie::set(&cookie, &self.rules.keys).ok_or("config")?;
        let over = self.over(now);
        self.forget(&over, "time").await?;
        if self.state().rows.len() >= MOST {
            return Err("too_many_sessions");
        }
        self.change(Change { put: vec![(id.clone(), row.clone())], now, ..Change::default() }).await?;
        self.state().rows.insert(id, row);
        Ok(vec![set])
    }

    fn new_row(&self, entered: &Entered<'_>, now: i64) -> Row {
        let grant = entered.confirmed.and_then(|said| said.grant.clone());
        let longest = self.rules.lengths.longest;
        // What cannot be asked about again lasts no longer than the gateway says.
        let longest = match entered.confirmed.filter(|_| grant.is_none()) {
            Some(said) => said.longest.map_or(longest, |told| told.min(longest)),
            None => longest,
        };
        Row {
            account: entered.claims.sub.clone(),
            actor: entered.claims.act.clone(),
            grant,
            ends: now.saturating_add(millis(longest)),
            seen: now,
            // What was said a while ago is asked about with the first request.
            checked: if entered.confirmed.is_none_or(|said| said.fresh) { now } else { i64::MIN },
            written: now,
        }
    }

    /// Sessions whose time is over.
    fn over(&self, now: i64) -> Vec<String> {
        let idle = millis(self.rules.lengths.idle);
        let state = self.state();
        let is_over = |row: &Row| now >= row.ends || now.saturating_sub(row.seen) >= idle;
        state.rows.iter().filter(|(_, row)| is_over(row)).map(|(id, _)| id.clone()).collect()
    }

    /// The same person opened the same account again: the session stays, and hangs on the new grant.
    async fn kept(&self, entered: Entered<'_>) -> Result<Vec<HeaderValue>, &'static str> {
        let now = self.now();
        let id = cookie::read(entered.headers, &self.rules.keys).ok_or("no_session")?.id;
        let new = self.new_row(&entered, now);
        let kept = {
            let mut state = self.state();
            let row = state.rows.get_mut(&id).ok_or("no_session")?;
            *row = Row { ends: row.ends, ..new };
            row.clone()
        };
        self.change(Change { update: vec![(id, kept)], now, ..Change::default() }).await?;
        Ok(Vec::new())
    }

    async fn ended(&self, account: Option<&str>, actor: Option<&str>) -> Ended {
        let meant: Vec<String> = {
            let state = self.state();
            let is_meant = |row: &Row| {
                account.is_none_or(|account| row.account == account) && actor.is_none_or(|actor| row.actor == actor)
            };
            state.rows.iter().filter(|(_, row)| is_meant(row)).map(|(id, _)| id.clone()).collect()
        };
        self.forget(&meant, "revoked").await
    }
}

/// A number of sessions, or a stable word.
type Ended = Result<usize, &'static str>;

impl verifier::Sessions for Sessions {
    fn cookie(&self) -> &'static str {
        cookie::NAME
    }

    fn live<'a>(&'a self, headers: &'a HeaderMap) -> BoxFuture<'a, Result<Option<Live>, &'static str>> {
        Box::pin(async { Ok(self.of(headers).await) })
    }

    /// Which accounts there are is the product's to know; whom we let in was decided before.
    fn admits<'a>(&'a self, _account: &'a str) -> BoxFuture<'a, Result<(), &'static str>> {
        Box::pin(async { Ok(()) })
    }

    fn begin<'a>(&'a self, entered: Entered<'a>) -> BoxFuture<'a, Result<Vec<HeaderValue>, &'static str>> {
        Box::pin(self.begun(entered))
    }

    fn keep<'a>(&'a self, entered: Entered<'a>) -> BoxFuture<'a, Result<Vec<HeaderValue>, &'static str>> {
        Box::pin(self.kept(entered))
    }

    fn end<'a>(
        &'a self,
        account: Option<&'a str>,
        actor: Option<&'a str>,
    ) -> BoxFuture<'a, Result<usize, &'static str>> {
        Box::pin(self.ended(account, actor))
    }
}
