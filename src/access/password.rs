//! Proving who one is, by password. The trait [`Login`] is what other ways to log in implement too.
//!
//! A hash takes about 20 MiB and a tenth of a second on purpose, so only a few are computed at once, a bounded number
//! waits, and whoever comes then is told to come again: logging in can never take the gateway's memory or threads.
//! Browsers in which somebody has logged in before have a place and a queue of their own ([`Lane`]): a flood of strangers
//! does not make them wait. There an account has few seats, so that nobody can take those of others either.
//! Each is computed on a thread of its own, to which the system gives about a tenth of a processor that searches want
//! too: however many log in, searches come first, and logins still get on.
//! An unknown login takes the same way with the hash of somebody else, so that the time does not tell who exists.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, oneshot};

use super::secrets::sha256;
use crate::config::access::{Access, User};
use crate::secret::Secret;

/// A password has at least so many characters; no other rules.
pub const LEAST_CHARACTERS: usize = 12;

/// And at most so many bytes, so that nobody makes us hash a book.
const MOST_BYTES: usize = 512;

/// Longer logins are nobody's.
const MOST_LOGIN: usize = 64;

/// Waiting for a place, at most.
const MOST_WAITING: usize = 64;

/// Waiting in the lane of known browsers for the same account, its place included. More than one, for somebody who
/// clicks twice; no more, since each login makes another known browser.
const MOST_OF_ACCOUNT: usize = 4;

/// When to come again.
const BUSY_FOR: Duration = Duration::from_secs(2);

/// How much less urgent than everything else: 10 means a weight of 110 against 1,024.
#[cfg(target_os = "linux")]
const YIELDS: i32 = 10;

/// The most common of those that are long enough.
const COMMON: &[&str] = &[
    "123456789012",
    "1234567890123",
    "12345678901234",
    "qwertyuiop12",
    "qwertyuiop123",
    "password1234",
    "password12345",
    "administrator",
    "passwordpassword",
    "metaconsole1",
    "pandorafms123",
];

/// What somebody offers to prove who they are.
#[derive(Clone, Debug)]
pub struct Offer {
    /// As typed.
    pub login: String,
    /// As typed.
    pub password: Secret,
}

/// Somebody has proved who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The login as configured, without where it comes from.
    pub login: String,
}

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Wrong, for whatever reason.
    Wrong,
    /// Too many try at once; come again after this time.
    Busy(Duration),
}

/// In which queue an offer waits to be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Somebody in a browser that was logged in to this account before.
    Known,
    /// Anybody else.
    Stranger,
}

/// A way to log in. Knows nothing of sessions or rights.
pub trait Login: fmt::Debug + Send + Sync {
    /// Judges an offer by the configuration in force.
    fn prove<'a>(&'a self, offer: Offer, lane: Lane, access: &'a Access) -> BoxFuture<'a, Result<Proven, Refused>>;
}

/// Login by the passwords of `access.users`.
pub struct Passwords {
    strangers: Queue,
    known: Queue,
}

/// Those who wait for a place.
struct Queue {
    places: Arc<Semaphore>,
    /// How often each of these is there; see [`Queue::begin`].
    seats: Mutex<HashMap<String, usize>>,
    most: usize,
    most_of_one: usize,
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (strangers, known) = (&self.strangers.places, &self.known.places);
        write!(f, "Passwords({} + {} free)", strangers.available_permits(), known.available_permits())
    }
}

impl Default for Passwords {
    /// One fewer place than there are processors leaves searches their share.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self::new(processors.saturating_sub(1))
    }
}

impl Passwords {
    /// With so many hashes at once, and one more for known browsers.
    pub fn new(places: usize) -> Self {
        let strangers = Queue::new(places.max(1), MOST_WAITING, MOST_WAITING);
        Self { strangers, known: Queue::new(1, MOST_WAITING, MOST_OF_ACCOUNT) }
    }

    async fn matches(&self, lane: Lane, account: &str, hash: Secret, password: Secret) -> Result<bool, Refused> {
        let (queue, of) = match lane {
            Lane::Known => (&self.known, account),
            Lane::Stranger => (&self.strangers, ""),
        };
        let _waits = queue.begin(of)?;
        let place = Arc::clone(&queue.places).acquire_owned().await.map_err(|_| Refused::Busy(BUSY_FOR))?;
        let (tell, told) = oneshot::channel();
        // The place is held by the work, which goes on when nobody waits for it any more.
        let work = move || {
            yield_to_others();
            let fits = fits(&hash, &password);
            drop(place);
            // Whoever asked may have left.
            let _ = tell.send(fits);
        };
        // A thread that yields does so for the rest of its life, so it is none of the runtime's.
        let begun = std::thread::Builder::new().name("password".to_owned()).spawn(work);
        begun.map_err(|_| Refused::Busy(BUSY_FOR))?;
        told.await.map_err(|_| Refused::Busy(BUSY_FOR))
    }
}

impl Queue {
    fn new(places: usize, most: usize, most_of_one: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), seats: Mutex::default(), most, most_of_one }
    }

    /// A seat for this one; who has too many already, or comes when all are taken, gets none.
    fn begin(&self, of: &str) -> Result<Waits<'_>, Refused> {
        let mut seats = self.seats();
        let (all, own) = (seats.values().sum::<usize>(), seats.get(of).copied().unwrap_or(0));
        if all >= self.most || own >= self.most_of_one {
            return Err(Refused::Busy(BUSY_FOR));
        }
        seats.insert(of.to_owned(), own.saturating_add(1));
        Ok(Waits { queue: self, of: of.to_owned() })
    }

    fn seats(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        // Nothing panics while it is held.
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A seat among those who wait. Given back however the waiting ends.
struct Waits<'a> {
    queue: &'a Queue,
    of: String,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let mut seats = self.queue.seats();
        match seats.get_mut(&self.of) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                seats.remove(&self.of);
            }
        }
    }
}

/// Makes this thread less urgent. Only on Linux is that a matter of one thread; where it is refused, it works all the same.
fn yield_to_others() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(YIELDS);
}

impl Login for Passwords {
    fn prove<'a>(&'a self, offer: Offer, lane: Lane, access: &'a Access) -> BoxFuture<'a, Result<Proven, Refused>> {
        Box::pin(async move {
            if offer.login.len() > MOST_LOGIN || offer.password.expose().len() > MOST_BYTES {
                return Err(Refused::Wrong);
            }
            let user = access.user(&offer.login);
            let judged_by = user.or_else(|| stand_in(access, &offer.login)).ok_or(Refused::Wrong)?;
            let fits = self.matches(lane, &offer.login, judged_by.password.clone(), offer.password).await?;
            match user {
                Some(user) if fits => Ok(Proven { login: user.login.clone() }),
                _ => Err(Refused::Wrong),
            }
        })
    }
}

/// Whose hash an unknown login is held against: always the same one for the same login.
fn stand_in<'a>(access: &'a Access, login: &str) -> Option<&'a User> {
    let [first, second, ..] = sha256(login);
    access.users.get(usize::from(u16::from_be_bytes([first, second])).checked_rem(access.users.len())?)
}

fn fits(hash: &Secret, password: &Secret) -> bool {
    let Ok(hash) = PasswordHash::new(hash.expose()) else { return false };
    Argon2::default().verify_password(password.expose().as_bytes(), &hash).is_ok()
}

/// Why a password is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Too short.
    #[error("the password is shorter than {LEAST_CHARACTERS} characters; take several words")]
    Short,
    /// Too long.
    #[error("the password is longer than {MOST_BYTES} bytes")]
    Long,
    /// One of those that everybody tries first.
    #[error("the password is one of those that are tried first; take several words of your own")]
    Common,
    /// A fault of the system.
    #[error("the password could not be hashed; look at memory and random numbers of this machine")]
    System,
}

/// The hash of a password, as `access.users` takes it: argon2id, 19 MiB, two passes, a random salt.
///
/// # Errors
/// When it is none that should be used.
pub fn hash(password: &Secret) -> Result<Secret, Unfit> {
    let text = password.expose();
    if text.chars().count() < LEAST_CHARACTERS {
        return Err(Unfit::Short);
    }
    if text.len() > MOST_BYTES {
        return Err(Unfit::Long);
    }
    let mut letters = text.chars();
    let first = letters.next();
    let one_letter = letters.all(|letter| Some(letter) == first);
    if one_letter || COMMON.contains(&text.to_lowercase().as_str()) {
        return Err(Unfit::Common);
    }
    let hash = Argon2::default().hash_password(text.as_bytes()).map_err(|_| Unfit::System)?;
    Ok(Secret::new(hash.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(login: &str, password: &str) -> User {
        let password = hash(&Secret::new(password)).unwrap();
        User { login: login.to_owned(), password, groups: Vec::new(), roles: Vec::new() }
    }

    fn offer(login: &str, password: &str) -> Offer {
        Offer { login: login.to_owned(), password: Secret::new(password) }
    }

    #[test]
    fn what_is_too_short_long_or_common_is_not_hashed() {
        let hash = |text: &str| hash(&Secret::new(text));
        assert_eq!(hash("elevenchars"), Err(Unfit::Short));
        assert_eq!(hash("Password1234"), Err(Unfit::Common));
        assert_eq!(hash("aaaaaaaaaaaaaaaa"), Err(Unfit::Common));
        assert_eq!(hash(&"ab".repeat(300)), Err(Unfit::Long));
        let (one, two) = (hash("several words").unwrap(), hash("several words").unwrap());
        assert!(one.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && one != two, "a salt of its own");
        assert_eq!(hash("ñandúñandúña").map(|_| ()), Ok(()), "characters are counted, not bytes");
    }

    #[tokio::test]
    async fn only_the_right_password_of_a_known_login_proves_anything() {
        let access = Access {
            users: vec![user("ana", "correct horse ana"), user("ben", "correct horse ben")],
            ..Access::default()
        };
        let passwords = Passwords::new(2);
        let prove =
            async |login: &str, password: &str| passwords.prove(offer(login, password), Lane::Stranger, &access).await;
        assert_eq!(prove("ana", "correct horse ana").await, Ok(Proven { login: "ana".to_owned() }));
        for (login, password) in [
            ("ana", "correct horse ben"),
            ("ana", ""),
            ("Ana", "correct horse ana"),
            ("eve", "correct horse ana"),
            ("", ""),
        ] {
            assert_eq!(prove(login, password).await, Err(Refused::Wrong), "{login}");
        }
        // Whoever the stand-in of an unknown login is, that one's password does not help.
        for unknown in ["a", "b", "c", "d", "e", "f"] {
            for known in &access.users {
                let password = format!("correct horse {}", known.login);
                assert_eq!(prove(unknown, &password).await, Err(Refused::Wrong));
            }
        }
        assert_eq!(
            Passwords::new(1).prove(offer("ana", "x"), Lane::Known, &Access::default()).await,
            Err(Refused::Wrong)
        );
    }

    #[tokio::test]
    async fn the_queue_is_bounded_and_who_left_gives_the_seat_back() {
        let access = Access { users: vec![user("ana", "correct horse ana")], ..Access::default() };
        let passwords = Passwords::new(1);
        let ana = || passwords.prove(offer("ana", "correct horse ana"), Lane::Stranger, &access);
        // Nobody gets a place while it is held here.
        let held = Arc::clone(&passwords.strangers.places).acquire_owned().await.unwrap();
        let mut waiting: Vec<_> = (0..MOST_WAITING).map(|_| ana()).collect();
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        for one in &mut waiting {
            assert!(one.as_mut().poll(&mut context).is_pending());
        }
        assert_eq!(ana().await, Err(Refused::Busy(BUSY_FOR)));
        let known = passwords.prove(offer("ana", "correct horse ana"), Lane::Known, &access).await;
        assert_eq!(known, Ok(Proven { login: "ana".to_owned() }), "a known browser waits for no stranger");
        waiting.clear();
        drop(held);
        assert_eq!(ana().await, Ok(Proven { login: "ana".to_owned() }));
    }

    #[tokio::test]
    async fn no_account_takes_the_seats_of_other_known_browsers() {
        let users = ["ana", "ben"].map(|login| user(login, &format!("correct horse {login}")));
        let access = Access { users: users.into(), ..Access::default() };
        let passwords = Passwords::new(1);
        let prove = |login: &str| passwords.prove(offer(login, "correct horse ben"), Lane::Known, &access);
        let held = Arc::clone(&passwords.known.places).acquire_owned().await.unwrap();
        let mut waiting: Vec<_> = (0..MOST_OF_ACCOUNT).map(|_| prove("ana")).collect();
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        for one in &mut waiting {
            assert!(one.as_mut().poll(&mut context).is_pending());
        }
        assert_eq!(prove("ana").await, Err(Refused::Busy(BUSY_FOR)));
        let mut ben = prove("ben");
        assert!(ben.as_mut().poll(&mut context).is_pending());
        drop(held);
        waiting.clear();
        assert_eq!(ben.await, Ok(Proven { login: "ben".to_owned() }));
        assert!(passwords.known.seats().is_empty(), "seats are given back");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn who_judges_passwords_yields_and_nobody_else_does() {
        let urgency = || rustix::process::getpriority_process(None).unwrap();
        let before = urgency();
        let judging = std::thread::spawn(move || {
            yield_to_others();
            urgency()
        });
        assert_eq!(judging.join().unwrap(), (before + YIELDS).min(19));
        assert_eq!(urgency(), before);
    }
}
