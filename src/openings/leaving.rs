//! The end of what was opened: which consoles of a person are open still, and which sites are to be told.
//!
//! A console's session lives at the site. A gate that asks the gateway ends its own within a minute; a site with
//! `delegation.revoke` is told, in the background; any other goes on until its own timeout, and the person hears so.
//!
//! What is to be told is marked on disk before the session's end is answered, so a restart goes on with it. A site hears it
//! once; when it does not answer it is tried again, [`TRIES`] times in about thirteen minutes. However that ends, it is in
//! the audit log. Sites know a person and an account, not sessions of the gateway: whoever is signed in twice and
//! logs out once is out of a console on both sides.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::SemaphorePermit;
use url::Url;

use crate::access::accounts::still;
use crate::clock::Timestamp;
use crate::config::{self, Config, Verifier};
use crate::delegation::{Call, push};
use crate::domain::SiteId;
use crate::secret::Secret;

use super::Openings;
use super::ledger::{LedgerError, Row};
use super::way::Way;
use super::witness::{Event, Told};

/// How often a site is tried.
pub const TRIES: usize = 5;

/// How long after each try that failed.
const PAUSES: [Duration; TRIES] = [
    Duration::from_secs(1),
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(700),
    Duration::ZERO,
];

/// Sites that are told at a time.
pub(super) const AT_ONCE: usize = 16;

/// More of an answer is not looked at.
const LONGEST_COUNT: usize = 200;

/// How a console's session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its gate asks the gateway and ends it within a minute.
    WithinAMinute,
    /// The site is told.
    Told,
    /// By the console's own timeout alone.
    ByItself,
}

/// A console that a person opened from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Console {
    /// Where.
    pub site: SiteId,
    /// As whom.
    pub account: String,
    /// When last.
    pub at: Timestamp,
    /// How it ends when the person's session does.
    pub end: End,
}

/// A site is to be told that something has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errand {
    row: Row,
    why: &'static str,
}

/// What became of one try.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Heard {
    /// The site has ended so many sessions.
    Ended(u64),
    /// Not now.
    Later(String),
    /// Trying again would change nothing.
    Never(String),
}

impl Errand {
    /// The site to tell.
    pub fn site(&self) -> &SiteId {
        &self.row.site
    }

    /// What the site is told, by the configuration in force: where, and what stands in the header
    /// [`HEADER`](super::probe::HEADER). Good for a minute.
    ///
    /// # Errors
    /// Why it cannot be told at all.
    pub fn message(&self, config: &Config, site: &config::Site, now: Timestamp) -> Result<(Url, Secret), String> {
        let way = Way::of(config, site).map_err(|closed| closed.to_string())?;
        let call = Call::Revoke { account: &self.row.account, actor: &self.row.actor };
        let signed = push(way.push_key(), &config.gateway.id, call, now).map_err(|error| error.to_string())?;
        Ok((way.action("revoke"), signed))
    }
}

/// What a site's answer means.
fn heard(answer: Result<(u16, Vec<u8>), String>) -> Heard {
    #[derive(serde::Deserialize)]
    struct Said {
        ended: u64,
    }
    match answer {
        Err(error) => Heard::Later(error.chars().take(LONGEST_COUNT).collect()),
        Ok((200, body)) => match serde_json::from_slice::<Said>(&body) {
            Ok(said) => Heard::Ended(said.ended),
            Err(_) => Heard::Later("what answers there is no verifier".to_owned()),
        },
        Ok((status @ (403..=405 | 410), _)) => Heard::Never(format!("the verifier refuses ({status})")),
        Ok((status, _)) => Heard::Later(format!("the verifier answers {status}")),
    }
}

fn end(config: &Config, row: &Row) -> End {
    let site = config.sites.iter().find(|site| site.id == row.site);
    match site.map(|site| &site.delegation) {
        Some(delegation) if delegation.verifier == Verifier::Direct => End::ByItself,
        Some(delegation) if delegation.revoke => End::Told,
        Some(delegation) if delegation.verifier == Verifier::Gate && row.asked => End::WithinAMinute,
        _ => End::ByItself,
    }
}

fn console(config: &Config, row: &Row) -> Console {
    let Row { site, account, at, .. } = row.clone();
    Console { site, account, at: Timestamp::from_secs(at), end: end(config, row) }
}

impl Openings {
    /// What a person opened in the session that began so, the newest first. May wait for a disk.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn consoles(&self, config: &Config, login: &str, session: &str) -> Result<Vec<Console>, LedgerError> {
        let mut rows = self.ledger()?.of(login)?;
        rows.retain(|row| row.session == session && !row.leaving);
        rows.sort_by_key(|row| std::cmp::Reverse(row.at));
        Ok(rows.iter().map(|row| console(config, row)).collect())
    }

    /// A person's session has ended, or all of theirs (`None`): which consoles that concerns, and which sites are to be
    /// told. May wait for a disk.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn leave(
        &self,
        config: &Config,
        login: &str,
        session: Option<&str>,
        why: &'static str,
    ) -> Result<(Vec<Console>, Vec<Errand>), LedgerError> {
        let mut rows = self.ledger()?.of(login)?;
        rows.retain(|row| session.is_none_or(|session| row.session == session) && !row.leaving);
        rows.sort_by_key(|row| std::cmp::Reverse(row.at));
        let consoles = rows.iter().map(|row| console(config, row)).collect();
        Ok((consoles, self.part(config, rows, why)?))
    }

    /// Another configuration is in force: what was opened and would not be opened so any more. `out`: logins whose sessions
    /// it ends. May wait for a disk.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn review(&self, config: &Config, out: &[&str]) -> Result<Vec<Errand>, LedgerError> {
        let mut rows = self.ledger()?.all()?;
        let holds = |row: &Row| {
            let site = config.sites.iter().find(|site| site.id == row.site);
            !out.contains(&row.login.as_str())
                && site.is_some_and(|site| still(&config.access, site, &row.login, &row.account))
        };
        rows.retain(|row| !row.leaving && !holds(row));
        self.part(config, rows, "the configuration changed")
    }

    /// What an earlier run of the program has left to tell. May wait for a disk.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn left_over(&self) -> Result<Vec<Errand>, LedgerError> {
        let rows = self.ledger()?.all()?;
        Ok(rows.into_iter().filter(|row| row.leaving).map(|row| Errand { row, why: "from before a restart" }).collect())
    }

    fn part(&self, config: &Config, rows: Vec<Row>, why: &'static str) -> Result<Vec<Errand>, LedgerError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let (told, forgotten): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| end(config, row) == End::Told);
        self.ledger()?.end(&told, &forgotten, self.clock.now())?;
        Ok(told.into_iter().map(|row| Errand { row, why }).collect())
    }

    /// A place among the sites that are told now. None at the end of the program.
    pub async fn place(&self) -> Option<SemaphorePermit<'_>> {
        self.errands.acquire().await.ok()
    }

    /// A site has answered, or has not, for the `tries`-th time (from 1): how long to wait for the next try, or None: it
    /// is settled, and recorded. May wait for a disk.
    pub fn answered(&self, errand: &Errand, tries: usize, answer: Result<(u16, Vec<u8>), String>) -> Option<Duration> {
        let (delivered, said) = match heard(answer) {
            Heard::Ended(count) => (true, format!("ended {count}")),
            Heard::Later(why) if tries < TRIES => {
                tracing::warn!(site = %errand.row.site, why, tries, "a site could not be told of a logout yet");
                return Some(PAUSES.get(tries.saturating_sub(1)).copied().unwrap_or_default());
            }
            Heard::Later(said) | Heard::Never(said) => (false, said),
        };
        self.settle(errand, delivered, &said);
        None
    }

    /// A site cannot be told at all. May wait for a disk.
    pub fn given_up(&self, errand: &Errand, why: &str) {
        self.settle(errand, false, why);
    }

    fn settle(&self, errand: &Errand, delivered: bool, said: &str) {
        let Row { login, site, account, .. } = errand.row.clone();
        self.undelivered.fetch_add(u64::from(!delivered), Ordering::Relaxed);
        let told = Told { login, site, account, view: String::new() };
        let event = Event::Ended { told, delivered, detail: format!("{}: {said}", errand.why) };
        let recorded = self.witness.record(&event);
        let settled = self.ledger().and_then(|ledger| ledger.told(&errand.row, self.clock.now()));
        if recorded.is_err() || settled.is_err() {
            tracing::error!(site = %errand.row.site, "what a site was told could not be written down");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_site_ends_it_in_its_way() {
        let folder = tempfile::tempdir().unwrap();
        let yaml = folder.path().join("sites.yaml");
        let site = |id: &str, delegation: &str| {
            format!(
                "  - {{id: {id}, url: \"https://{id}.example/\", credentials: {{token: \"${{T}}\"}}, delegation: {{{delegation}, \
                 url: \"https://{id}.example/mc\"}}}}\n"
            )
        };
        let sites =
            [site("g", "verifier: gate"), site("d", "verifier: dropin"), site("r", "verifier: dropin, revoke: true")];
        std::fs::write(&yaml, format!("sites:\n{}", sites.concat())).unwrap();
        let config = crate::config::load(&yaml, &|_| Some("x".to_owned())).unwrap();
        let end = |site: &str, asked: bool| {
            let text = str::to_owned;
            let (login, session, account, actor) = (text("local:a"), text("s"), text("a"), text("local:a"));
            let site = site.parse().unwrap();
            end(&config, &Row { login, session, site, account, actor, at: 0, asked, leaving: false })
        };
        assert_eq!((end("g", true), end("g", false)), (End::WithinAMinute, End::ByItself), "one that decides alone");
        assert_eq!((end("d", true), end("r", false), end("gone", true)), (End::ByItself, End::Told, End::ByItself));
    }

    #[test]
    fn what_may_change_is_tried_again_and_what_cannot_is_not() {
        let later = |answer| matches!(heard(answer), Heard::Later(_));
        assert_eq!(heard(Ok((200, b"{\"ended\":2}".to_vec()))), Heard::Ended(2));
        assert!(later(Err("no connection".to_owned())) && later(Ok((503, Vec::new()))) && later(Ok((200, Vec::new()))));
        assert!(matches!(heard(Ok((403, Vec::new()))), Heard::Never(_)));
        assert!(matches!(heard(Ok((404, Vec::new()))), Heard::Never(_)));
    }
}
