//! People and programs: who they are, whether they are signed in, and what they may see and do.
//!
//! [`People`] holds what outlives a request: sessions on disk, failures that were counted, the queue of passwords. What
//! somebody may do is computed at each request from the configuration in force, so a reload is seen by the next one.

pub mod accounts;
pub mod cookie;
pub mod password;
pub mod rights;
pub mod secrets;
pub mod sessions;
pub mod store;
pub mod throttle;
pub mod witness;

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::config::access::{Access, Permission};

use cookie::{Kind, Seal};
use password::{Login, Offer, Refused};
use rights::{Grants, Principal};
use secrets::{KeyError, Master, random_id, sha256};
use sessions::{Live, Out, Sessions, Standing, Use};
use store::{Store, StoreError};
use throttle::{Throttle, Tries};
use witness::{Event, Witness};

/// A browser is known for so long after a login.
const KNOWN_FOR: Duration = Duration::from_secs(180 * 86_400);

/// Why nobody can log in.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No store of sessions.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// No key for them.
    #[error("{0}")]
    Key(#[from] KeyError),
}

/// Somebody is in.
#[derive(Debug)]
pub struct Welcome {
    /// The session, with its cookie.
    pub live: Live,
    /// The cookie that makes this browser a known one.
    pub device: String,
}

/// Somebody is not in.
#[derive(Debug)]
pub enum Denied {
    /// Login or password is wrong.
    Wrong,
    /// Come again after this time.
    Later(Duration),
    /// Nobody can log in now; the reason is for the log.
    Broken(String),
}

/// All who may come. See the module's text.
#[derive(Debug)]
pub struct People {
    sessions: Arc<Sessions>,
    devices: Seal,
    login: Box<dyn Login>,
    throttle: Mutex<Throttle>,
    witness: Arc<dyn Witness>,
    clock: Clock,
}

impl People {
    /// With their state in this folder, for the gateway of this id.
    ///
    /// # Errors
    /// When the folder's content cannot be trusted or used.
    pub fn open(
        folder: &Path,
        gateway: &str,
        access: &Access,
        login: Box<dyn Login>,
        witness: Arc<dyn Witness>,
        clock: Clock,
    ) -> Result<Self, OpenError> {
        let store = Store::open(folder)?;
        let master = Master::load(access.session.key.as_ref(), folder)?;
        let sessions = Arc::new(Sessions::new(store, gateway, &master));
        sessions.forget(&access.session, clock.now())?;
        let devices = Seal::new(Kind::Device, gateway, &master);
        Ok(Self { sessions, devices, login, throttle: Mutex::default(), witness, clock })
    }

    /// Lets somebody in, or not. `device` is the cookie of a known browser, if there is one.
    ///
    /// # Errors
    /// Why not.
    pub async fn log_in(
        &self,
        access: &Access,
        offer: Offer,
        from: IpAddr,
        device: Option<&str>,
    ) -> Result<Welcome, Denied> {
        let now = self.clock.now();
        let who = self.tries(&offer.login, from, device, now);
        let known = access.user(&offer.login).map(|user| format!("local:{}", user.login));
        if let Err(wait) = self.throttled(|throttle| throttle.begin(&who, now)) {
            self.tell(&Event::Refused { login: known, from, why: "too_often" })?;
            return Err(Denied::Later(wait));
        }
        match self.login.prove(offer, access).await {
            Ok(proven) => {
                let user = access.user(&proven.login).ok_or(Denied::Wrong)?;
                let login = format!("local:{}", user.login);
                let rights = Grants::of(access, &user.roles).print();
                let standing = Standing::new(user.password.expose(), rights);
                self.tell(&Event::LoggedIn { login: login.clone(), from })?;
                let welcome = self.welcome(login, standing, access).await?;
                self.throttled(|throttle| throttle.succeeded(&who));
                Ok(welcome)
            }
            Err(Refused::Wrong) => {
                self.tell(&Event::Refused { login: known, from, why: "wrong" })?;
                Err(Denied::Wrong)
            }
            Err(Refused::Busy(wait)) => {
                self.throttled(|throttle| throttle.not_judged(&who));
                Err(Denied::Later(wait))
            }
        }
    }

    async fn welcome(&self, login: String, standing: Standing, access: &Access) -> Result<Welcome, Denied> {
        let (sessions, rules, now) = (Arc::clone(&self.sessions), access.session.clone(), self.clock.now());
        let of = login.clone();
        let begun = tokio::task::spawn_blocking(move || sessions.begin(&of, &standing, &rules, now)).await;
        let live = begun.map_err(|_| broken("a session could not be begun"))?.map_err(broken)?;
        let id = random_id().map_err(broken)?;
        let days = i64::try_from(KNOWN_FOR.as_secs()).unwrap_or(i64::MAX);
        let until = Timestamp::from_secs(now.as_secs().saturating_add(days));
        let device = self.devices.make(&login, &id, 0, now, now, until).map_err(broken)?;
        Ok(Welcome { live, device })
    }

    fn tries(&self, account: &str, address: IpAddr, device: Option<&str>, now: Timestamp) -> Tries {
        let account: String = account.chars().take(64).collect();
        let known = device.and_then(|device| self.devices.read(device, now).ok());
        match known.filter(|claims| claims.sub.strip_prefix("local:") == Some(&account)) {
            Some(claims) => Tries::Known { account, device: claims.sid },
            None => Tries::Stranger { account, address },
        }
    }

    fn throttled<T>(&self, act: impl FnOnce(&mut Throttle) -> T) -> T {
        act(&mut self.throttle.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell(&self, event: &Event) -> Result<(), Denied> {
        self.witness.record(event).map_err(broken)
    }

    /// Whose session a cookie is, by the configuration in force.
    ///
    /// # Errors
    /// When there is none.
    pub fn signed_in(&self, access: &Access, cookie: &str, used: Use) -> Result<(Principal, Live), Out> {
        let user = |login: &str| access.user(login.strip_prefix("local:")?);
        let standing = |login: &str| {
            let user = user(login)?;
            Some(Standing::new(user.password.expose(), Grants::of(access, &user.roles).print()))
        };
        let live = self.sessions.look(cookie, standing, &access.session, used, self.clock.now())?;
        let principal = user(&live.login).and_then(|user| Principal::user(access, &user.login));
        Ok((principal.ok_or(Out::SignedOut)?, live))
    }

    /// Ends a session of somebody, or all of them.
    ///
    /// # Errors
    /// When it could not be recorded or written; then the session may still be good.
    pub async fn log_out(&self, live: Live, everywhere: bool) -> Result<(), Denied> {
        let login = live.login.clone();
        let event = if everywhere { Event::LoggedOutEverywhere { login } } else { Event::LoggedOut { login } };
        self.tell(&event)?;
        let sessions = Arc::clone(&self.sessions);
        let end = move || if everywhere { sessions.end_all(&live.login) } else { sessions.end(&live) };
        tokio::task::spawn_blocking(end).await.map_err(|_| broken("a session could not be ended"))?.map_err(broken)
    }

    /// What a form carries.
    pub fn form_token(&self, of: &str) -> String {
        self.sessions.form_token(of)
    }

    /// Whether a form's token is of this session or browser.
    pub fn form_fits(&self, of: &str, token: &str) -> bool {
        self.sessions.form_fits(of, token)
    }
}

/// A program, by the token it brings. It is never handed over to a console and changes nothing of the gateway's own.
pub fn bearer(access: &Access, token: &str, now: Timestamp) -> Option<Principal> {
    let hash = sha256(token);
    let known = access.api_tokens.iter().find(|known| known.hash == hash)?;
    let expired = known.expires.is_some_and(|expires| expires <= now.as_secs());
    let grants = Grants::of(access, &known.roles);
    let grants = grants.only(&[Permission::Search, Permission::View, Permission::Audit]);
    (!expired).then(|| Principal { login: format!("token:{}", known.name), groups: Vec::new(), grants })
}

fn broken(fault: impl std::fmt::Display) -> Denied {
    Denied::Broken(fault.to_string())
}

#[cfg(test)]
mod tests;
