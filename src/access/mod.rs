//! People and programs: who they are, whether they are signed in, and what they may see and do.
//!
//! [`People`] holds what outlives a request: sessions on disk, failures that were counted, the queue of passwords. What
//! somebody may do is computed at each request from the configuration in force, so a reload is seen by the next one.

pub mod accounts;
pub mod cookie;
pub mod journal;
pub mod password;
pub mod pseudonym;
pub mod rights;
pub mod secrets;
pub mod sessions;
pub mod store;
pub mod throttle;
mod veil;
pub mod walls;
pub mod witness;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::config::access::{Access, Permission, User, Wallboard};
use crate::domain::SiteId;

use cookie::{Kind, Seal};
use password::{Lane, Login, Offer, Refused};
use pseudonym::Pseudonyms;
use rights::{Grants, Principal};
use secrets::{KeyError, Master, random_id, sha256};
use sessions::{ANOTHER_PASSWORD, Live, Out, REMOVED, Sessions, Standing, Use};
use store::{Store, StoreError};
use throttle::{Throttle, Tries, neighbourhood};
use veil::Veil;
use walls::{Codes, Shown};
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
    /// It cannot be recorded now, so it is not done.
    Unrecorded,
    /// Nobody can log in now; the reason is for the log.
    Broken(String),
}

/// All who may come. See the module's text.
#[derive(Debug)]
pub struct People {
    sessions: Arc<Sessions>,
    walls: Arc<Sessions>,
    codes: Codes,
    devices: Seal,
    veil: Veil,
    pseudonyms: Pseudonyms,
    login: Box<dyn Login>,
    throttle: Mutex<Throttle>,
    /// Who was told within this second to wait.
    told: Mutex<HashMap<IpAddr, Timestamp>>,
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
        let store = Arc::new(Store::open(folder)?);
        let master = Master::load(access.session.key.as_ref(), folder)?;
        let sessions = Arc::new(Sessions::new(Arc::clone(&store), gateway, &master));
        let walls = Arc::new(Sessions::of(Kind::Wall, store, gateway, &master));
        sessions.forget(&access.session, clock.now())?;
        let devices = Seal::new(Kind::Device, gateway, &master);
        let pseudonyms = Pseudonyms::new(&master);
        Ok(Self {
            sessions,
            walls,
            codes: Codes::default(),
            devices,
            veil: Veil::new(&master),
            pseudonyms,
            login,
            throttle: Mutex::default(),
            told: Mutex::default(),
            witness,
            clock,
        })
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
            if self.is_news(from, now) {
                self.tell(Event::Refused { login: known, from, why: "too_often" }).await?;
            }
            return Err(Denied::Later(wait));
        }
        let lane = if matches!(who, Tries::Known { .. }) { Lane::Known } else { Lane::Stranger };
        match self.login.prove(offer, lane, access).await {
            Ok(proven) => {
                let user = access.user(&proven.login).ok_or(Denied::Wrong)?;
                let login = format!("local:{}", user.login);
                let rights = Grants::of(access, &user.roles).print();
                let standing = Standing::new(user.password.expose(), rights);
                self.tell(Event::LoggedIn { login: login.clone(), from }).await?;
                let welcome = self.welcome(login, standing, access).await?;
                self.throttled(|throttle| throttle.succeeded(&who));
                Ok(welcome)
            }
            Err(Refused::Wrong) => {
                self.tell(Event::Refused { login: known, from, why: "wrong" }).await?;
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

    /// Whether it is worth a line that somebody has to wait: once a second for an address. Nothing was judged, and whoever
    /// tries a thousand names a second must not fill the disk. Nor may it matter which names, or the time that a line
    /// takes would tell who exists.
    fn is_news(&self, from: IpAddr, now: Timestamp) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, at| at.as_secs() == now.as_secs());
        told.insert(neighbourhood(from), now).is_none()
    }

    async fn tell(&self, event: Event) -> Result<(), Denied> {
        self.witness.record(event).await.map_err(|_| Denied::Unrecorded)
    }

    /// Whose session a cookie is, by the configuration in force.
    ///
    /// # Errors
    /// When there is none.
    pub fn signed_in(&self, access: &Access, cookie: &str, used: Use) -> Result<(Principal, Live), Out> {
        let user = |login: &str| access.user(login.strip_prefix("local:")?);
        let standing = |login: &str| standing(access, login);
        let live = self.sessions.look(cookie, standing, &access.session, used, self.clock.now())?;
        let principal = user(&live.login).and_then(|user| Principal::user(access, &user.login));
        Ok((principal.ok_or(Out::SignedOut)?, live))
    }

    /// Whether somebody's session that began so (see [`Live::began_as`]) goes on, by the configuration in force.
    ///
    /// # Errors
    /// When it cannot be known.
    pub fn lives(&self, access: &Access, login: &str, began_as: &str) -> Result<bool, StoreError> {
        let Some(standing) = standing(access, login) else { return Ok(false) };
        self.sessions.lives(login, began_as, &standing, &access.session, self.clock.now())
    }

    /// What a site is told instead of somebody's login.
    pub fn pseudonym(&self, site: &SiteId, login: &str) -> String {
        self.pseudonyms.of(site, login)
    }

    /// Ends a session of somebody, or all of them.
    ///
    /// # Errors
    /// When it could not be recorded or written; then the session may still be good.
    pub async fn log_out(&self, live: Live, everywhere: bool) -> Result<(), Denied> {
        let login = live.login.clone();
        let event = if everywhere { Event::LoggedOutEverywhere { login } } else { Event::LoggedOut { login } };
        self.tell(event).await?;
        let sessions = Arc::clone(&self.sessions);
        let end = move || if everywhere { sessions.end_all(&live.login) } else { sessions.end(&live) };
        tokio::task::spawn_blocking(end).await.map_err(|_| broken("a session could not be ended"))?.map_err(broken)
    }

    /// Whose sessions another configuration ends, and why: users who are gone, or whose password is another.
    pub fn out_by(&self, before: &Access, now: &Access) -> Vec<(String, &'static str)> {
        let why = |user: &User| match now.user(&user.login) {
            None => Some(REMOVED),
            Some(later) if later.password != user.password => Some(ANOTHER_PASSWORD),
            Some(_) => None,
        };
        let out = before.users.iter().filter_map(|user| Some((format!("local:{}", user.login), why(user)?)));
        // What cannot be counted may be there.
        out.filter(|(login, _)| self.sessions.count(login).map_or(true, |count| count > 0)).collect()
    }

    /// Records that somebody's sessions end by the configuration. Say it before that is in force, and
    /// [`end_all`](Self::end_all) after.
    ///
    /// # Errors
    /// When it could not be recorded.
    pub async fn record_end(&self, login: &str, why: &'static str) -> Result<(), Denied> {
        self.tell(Event::Ended { login: login.to_owned(), why }).await
    }

    /// Ends all sessions of somebody.
    ///
    /// # Errors
    /// When it could not be written. They are no good anyway while the configuration stays as it is.
    pub async fn end_all(&self, login: &str) -> Result<(), Denied> {
        let (sessions, login) = (Arc::clone(&self.sessions), login.to_owned());
        let end = move || sessions.end_all(&login);
        tokio::task::spawn_blocking(end).await.map_err(|_| broken("a session could not be ended"))?.map_err(broken)
    }

    /// What a screen shows that is to be paired; `browser` is the id in its cookie. `None`: too many wait.
    pub fn wall_code(&self, browser: &str, from: IpAddr) -> Option<Shown> {
        self.codes.show(browser, from, self.clock.now())
    }

    /// Lets the screen that shows this code in as this wallboard.
    ///
    /// # Errors
    /// Wrong: there is no such code or wallboard.
    pub async fn pair(&self, access: &Access, by: &str, code: &str, wall: &str, from: IpAddr) -> Result<(), Denied> {
        let now = self.clock.now();
        // Counted for the person, wherever they are: no address gives more tries, and nobody else at it takes some.
        let who = Tries::Known { account: by.to_owned(), device: "pair".to_owned() };
        self.throttled(|throttle| throttle.begin(&who, now)).map_err(Denied::Later)?;
        let wall = access.wallboard(wall).ok_or(Denied::Wrong)?;
        if !self.codes.take(code, now) {
            return Err(Denied::Wrong);
        }
        self.throttled(|throttle| throttle.succeeded(&who));
        let done = self.let_in(access, by, wall, from).await;
        self.codes.settle(code, done.as_ref().ok().cloned());
        done.map(|_| ())
    }

    async fn let_in(&self, access: &Access, by: &str, wall: &Wallboard, from: IpAddr) -> Result<String, Denied> {
        let (login, now) = (format!("wall:{}", wall.name), self.clock.now());
        self.tell(Event::Paired { login: by.to_owned(), wall: login.clone(), from }).await?;
        let (walls, standing) = (Arc::clone(&self.walls), wall_standing(access, wall));
        let begin = move || walls.begin(&login, &standing, &walls::rules(), now);
        let begun = tokio::task::spawn_blocking(begin).await;
        let live = begun.map_err(|_| broken("a session could not be begun"))?.map_err(broken)?;
        Ok(live.cookie.unwrap_or_default())
    }

    /// Which wallboard a cookie is of, by the configuration in force.
    ///
    /// # Errors
    /// When it is of none.
    pub fn wall(&self, access: &Access, cookie: &str, used: Use) -> Result<(Principal, Live), Out> {
        let wall = |login: &str| access.wallboard(login.strip_prefix("wall:")?);
        let standing = |login: &str| Some(wall_standing(access, wall(login)?));
        let live = self.walls.look(cookie, standing, &walls::rules(), used, self.clock.now())?;
        let wall = wall(&live.login).ok_or(Out::SignedOut)?;
        let grants = Grants::of(access, &wall.roles).only(&[Permission::Search]);
        Ok((Principal { login: live.login.clone(), groups: Vec::new(), grants }, live))
    }

    /// How many screens are paired as a wallboard.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn screens(&self, wall: &str) -> Result<usize, StoreError> {
        self.walls.count(&format!("wall:{wall}"))
    }

    /// Ends all screens of a wallboard.
    ///
    /// # Errors
    /// When it could not be recorded or written; then they may still be good.
    pub async fn end_wall(&self, by: &str, wall: &str) -> Result<(), Denied> {
        let wall = format!("wall:{wall}");
        self.tell(Event::Unpaired { login: by.to_owned(), wall: wall.clone() }).await?;
        self.end_all(&wall).await
    }

    /// A place in a list, for somebody who sees that in part: it tells nothing of the rest. `None`: it cannot be written.
    pub fn hidden_place(&self, place: &str) -> Option<String> {
        self.veil.hide(place)
    }

    /// The place that was hidden so; `None`: it is none of ours.
    pub fn shown_place(&self, hidden: &str) -> Option<String> {
        self.veil.show(hidden)
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

/// What is configured for a person now.
fn standing(access: &Access, login: &str) -> Option<Standing> {
    let user = access.user(login.strip_prefix("local:")?)?;
    Some(Standing::new(user.password.expose(), Grants::of(access, &user.roles).print()))
}

/// A wallboard has no password: its name stands for one.
fn wall_standing(access: &Access, wall: &Wallboard) -> Standing {
    let rights = Grants::of(access, &wall.roles).only(&[Permission::Search]).print();
    Standing::new(&format!("wall:{}", wall.name), rights)
}

fn broken(fault: impl std::fmt::Display) -> Denied {
    Denied::Broken(fault.to_string())
}

#[cfg(test)]
mod tests;
