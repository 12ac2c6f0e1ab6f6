//! Pending openings: what a person asked for, until their browser comes back from the site.
//!
//! One is good for 60 s, once, in the session it was begun in, for the site it was begun for. Used and expired ones are
//! remembered for ten minutes more, so that their own person is told which of the two it was and can begin again with
//! the same view; to everybody else all of them are unknown.

use std::collections::HashMap;
use std::time::Duration;

use crate::access::secrets::digest;
use crate::clock::Timestamp;
use crate::domain::SiteId;

/// How long one waits for its browser.
const LIFE: Duration = Duration::from_secs(60);

/// How long it is remembered after that.
const MEMORY: Duration = Duration::from_secs(600);

/// Kept at once; about 400 bytes each.
const MOST: usize = 50_000;

/// What somebody asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Qualified login.
    pub login: String,
    /// The site.
    pub site: SiteId,
    /// The account they were told.
    pub account: String,
    /// The view, as they named it.
    pub view: String,
}

/// Why there is no pending opening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gone {
    /// Not of this session and site, or not at all.
    Unknown,
    /// It was taken.
    Used(Wanted),
    /// It waited too long.
    Expired(Wanted),
}

#[derive(Debug)]
struct Entry {
    /// Hash of the session's id.
    session: String,
    wanted: Wanted,
    begun: Timestamp,
    is_taken: bool,
}

/// All of them, by number.
#[derive(Debug, Default)]
pub(super) struct Pending {
    entries: HashMap<String, Entry>,
    cleaned: Option<Timestamp>,
}

impl Pending {
    /// Keeps one, unless there are too many.
    pub(super) fn keep(&mut self, number: String, session: &str, wanted: Wanted, now: Timestamp) -> bool {
        let rested = self.cleaned.is_none_or(|cleaned| cleaned.until(now) >= LIFE);
        if rested || self.entries.len() >= MOST {
            self.entries.retain(|_, entry| entry.begun.until(now) < LIFE + MEMORY);
            self.cleaned = Some(now);
        }
        if self.entries.len() >= MOST {
            return false;
        }
        let entry = Entry { session: digest(session), wanted, begun: now, is_taken: false };
        self.entries.insert(number, entry);
        true
    }

    fn own(&mut self, number: &str, session: &str, site: &SiteId) -> Option<&mut Entry> {
        let session = digest(session);
        self.entries.get_mut(number).filter(|entry| entry.session == session && entry.wanted.site == *site)
    }

    /// Whether one waits.
    pub(super) fn look(&mut self, number: &str, session: &str, site: &SiteId, now: Timestamp) -> Result<Wanted, Gone> {
        let entry = self.own(number, session, site).ok_or(Gone::Unknown)?;
        match entry {
            Entry { is_taken: true, wanted, .. } => Err(Gone::Used(wanted.clone())),
            Entry { begun, wanted, .. } if begun.until(now) >= LIFE => Err(Gone::Expired(wanted.clone())),
            Entry { wanted, .. } => Ok(wanted.clone()),
        }
    }

    /// Takes it, if it waits.
    pub(super) fn take(&mut self, number: &str, session: &str, site: &SiteId, now: Timestamp) -> Result<Wanted, Gone> {
        let wanted = self.look(number, session, site, now)?;
        if let Some(entry) = self.own(number, session, site) {
            entry.is_taken = true;
        }
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        let text = str::to_owned;
        Wanted {
            login: text("local:ana"),
            site: "madrid".parse().unwrap(),
            account: text("ops"),
            view: text("agent:42"),
        }
    }

    #[test]
    fn one_is_taken_once_in_its_session_for_its_site_within_a_minute() {
        let (madrid, lyon) = ("madrid".parse().unwrap(), "lyon".parse().unwrap());
        let at = Timestamp::from_secs;
        let mut pending = Pending::default();
        assert!(pending.keep("p".to_owned(), "session", wanted(), at(0)));
        assert_eq!(pending.take("p", "other", &madrid, at(1)), Err(Gone::Unknown));
        assert_eq!(pending.take("p", "session", &lyon, at(1)), Err(Gone::Unknown));
        assert_eq!(pending.take("q", "session", &madrid, at(1)), Err(Gone::Unknown));
        assert_eq!(pending.look("p", "session", &madrid, at(59)), Ok(wanted()), "nothing of that has taken it");
        assert_eq!(pending.look("p", "session", &madrid, at(60)), Err(Gone::Expired(wanted())));
        assert_eq!(pending.take("p", "session", &madrid, at(60)), Err(Gone::Expired(wanted())));
        assert_eq!(pending.take("p", "session", &madrid, at(59)), Ok(wanted()));
        assert_eq!(pending.take("p", "session", &madrid, at(59)), Err(Gone::Used(wanted())));
        assert!(pending.keep("r".to_owned(), "session", wanted(), at(2000)));
        assert_eq!(pending.look("p", "session", &madrid, at(2000)), Err(Gone::Unknown), "forgotten");
    }

    #[test]
    fn too_many_are_refused_and_room_comes_back() {
        let mut pending = Pending::default();
        for number in 0..MOST {
            assert!(pending.keep(number.to_string(), "session", wanted(), Timestamp::from_secs(0)));
        }
        assert!(!pending.keep("more".to_owned(), "session", wanted(), Timestamp::from_secs(1)));
        assert!(pending.keep("more".to_owned(), "session", wanted(), Timestamp::from_secs(660)));
    }
}
