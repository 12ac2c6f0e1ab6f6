//! Screens on walls: paired by a short code that the screen shows and somebody who is signed in enters.
//!
//! A code is for the one browser that shows it, for five minutes, and once. It lives in memory only: after a restart the
//! screen shows another. The session that comes of it is kept like that of a person, so it survives a restart and can be
//! ended at any time; it lasts until then. Who guesses codes must be signed in, and is slowed like who guesses passwords.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::secrets::random_id;
use super::throttle::neighbourhood;
use crate::clock::Timestamp;
use crate::config::access::SessionRules;

/// A code is good for so long.
const GOOD_FOR: Duration = Duration::from_secs(300);

/// No more codes at a time, and of one address.
const MOST: usize = 10_000;
const MOST_OF_ONE: usize = 20;

/// Signs of a code: none looks like another. 32, so each takes five bits.
const SIGNS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const LENGTH: usize = 8;

const DAY: Duration = Duration::from_secs(86_400);

/// What a screen is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// This code, which somebody has to enter.
    Code(String),
    /// Somebody has: this is its cookie.
    Paired(String),
}

#[derive(Debug)]
struct Waiting {
    browser: String,
    address: IpAddr,
    until: Timestamp,
    taken: bool,
    cookie: Option<String>,
}

/// Codes that wait to be entered.
#[derive(Debug, Default)]
pub struct Codes(Mutex<HashMap<String, Waiting>>);

impl Codes {
    fn locked(&self) -> MutexGuard<'_, HashMap<String, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The code of this browser, or what came of it. `None`: there are too many, or the system gives no random numbers.
    pub fn show(&self, browser: &str, address: IpAddr, now: Timestamp) -> Option<Shown> {
        let mut codes = self.locked();
        codes.retain(|_, waiting| now < waiting.until);
        let own = codes.iter().find(|(_, waiting)| waiting.browser == browser);
        if let Some((code, cookie)) = own.map(|(code, waiting)| (code.clone(), waiting.cookie.clone())) {
            let Some(cookie) = cookie else { return Some(Shown::Code(code)) };
            codes.remove(&code);
            return Some(Shown::Paired(cookie));
        }
        let address = neighbourhood(address);
        let of_one = codes.values().filter(|waiting| waiting.address == address).count();
        if codes.len() >= MOST || of_one >= MOST_OF_ONE {
            return None;
        }
        let code = random_code()?;
        let millis = i64::try_from(GOOD_FOR.as_millis()).unwrap_or(i64::MAX);
        let until = Timestamp::from_millis(now.as_millis().saturating_add(millis));
        let waiting = Waiting { browser: browser.to_owned(), address, until, taken: false, cookie: None };
        codes.insert(code.clone(), waiting);
        Some(Shown::Code(code))
    }

    /// Takes a code as typed, so that nobody else can. Whether it was there.
    pub(super) fn take(&self, code: &str, now: Timestamp) -> bool {
        let mut codes = self.locked();
        let found = codes.get_mut(&plain(code)).filter(|waiting| now < waiting.until && !waiting.taken);
        found.is_some_and(|waiting| !std::mem::replace(&mut waiting.taken, true))
    }

    /// What came of a code that was taken: a cookie, or nothing; then it can be entered again.
    pub(super) fn settle(&self, code: &str, cookie: Option<String>) {
        if let Some(waiting) = self.locked().get_mut(&plain(code)) {
            waiting.taken = cookie.is_some();
            waiting.cookie = cookie;
        }
    }
}

/// As people type it: small letters, spaces and dashes do not matter.
fn plain(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphanumeric).map(|sign| sign.to_ascii_uppercase()).take(LENGTH + 1).collect()
}

fn random_code() -> Option<String> {
    let id = random_id().ok()?;
    let pairs = id.as_bytes().chunks(2).take(LENGTH);
    let sign = |pair: &[u8]| {
        let byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        SIGNS.get(usize::from(byte % 32)).map(|sign| char::from(*sign))
    };
    pairs.map(sign).collect()
}

/// A wallboard's session lasts until somebody ends it.
pub(super) fn rules() -> SessionRules {
    SessionRules { idle: 400 * DAY, absolute: 3650 * DAY, per_user: 20, key: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_for_one_browser_once_and_not_for_long() {
        let (codes, here, now) = (Codes::default(), IpAddr::from([10, 0, 0, 1]), Timestamp::from_secs(1000));
        let Some(Shown::Code(code)) = codes.show("wall", here, now) else { panic!() };
        assert_eq!(code.len(), 8);
        assert_eq!(codes.show("wall", here, now), Some(Shown::Code(code.clone())));
        assert_ne!(codes.show("other", here, now), Some(Shown::Code(code.clone())));
        assert!(!codes.take("AAAAAAAA", now) && !codes.take("", now));
        let typed = format!(" {}-{} ", code[..4].to_lowercase(), &code[4..]);
        assert!(codes.take(&typed, now) && !codes.take(&code, now), "once");
        codes.settle(&typed, Some("cookie".to_owned()));
        assert_eq!(codes.show("wall", here, now), Some(Shown::Paired("cookie".to_owned())));
        assert_ne!(codes.show("wall", here, now), Some(Shown::Paired("cookie".to_owned())), "handed over once");
        let Some(Shown::Code(code)) = codes.show("late", here, now) else { panic!() };
        assert!(!codes.take(&code, Timestamp::from_secs(1300)), "five minutes");
        for n in 0..40 {
            codes.show(&n.to_string(), here, now);
        }
        assert_eq!(codes.show("one more", here, now), None);
        assert!(codes.show("one more", IpAddr::from([10, 0, 0, 2]), now).is_some(), "others are not kept out");
        let all = (0..200_u16).filter(|n| {
            let address = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, *n]);
            codes.show(&format!("six {n}"), address, now).is_some()
        });
        assert_eq!(all.count(), MOST_OF_ONE, "a network of version 6 is one address");
    }
}
