//! What was opened from here, on disk: so that a site can be told later whether it still holds, and when it ends.
//!
//! Three tables in one file, `openings.redb` in `state_dir`, each row with the second from which it may be forgotten:
//!
//! - **issued**: a token's number, as a digest, to the session that asked for it. Longer than any token lives. A good token
//!   that is not here was signed by somebody else with the site's key.
//! - **grants**: what a verifier that asked was given to ask again with. 12 h, and at most 20,000 of a site, so that no
//!   site takes the room of others.
//! - **opened**: one row for each session, site, account and actor, the newest opening of it. A week, and at most 2,000 of a
//!   person; the oldest go first.
//!
//! Every change is on the disk before its caller goes on. While the file does not work nothing is issued and nothing is
//! active; it is opened anew with each try.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::locked;
use crate::access::secrets::digest;
use crate::clock::Timestamp;
use crate::delegation::random_number;
use crate::domain::SiteId;

/// Kind (`issued`, `grants`, `opened`), owner and key, to the row as JSON. The owner is nobody, a site, or a login.
const ROWS: TableDefinition<'_, (&str, &str, &str), &str> = TableDefinition::new("rows");
/// The same by the second from which a row may be forgotten.
const DUE: TableDefinition<'_, (i64, &str, &str, &str), ()> = TableDefinition::new("due");
/// How many rows of a kind an owner has.
const COUNTS: TableDefinition<'_, (&str, &str), u64> = TableDefinition::new("counts");

const ISSUED: &str = "issued";
const GRANTS: &str = "grants";
const OPENED: &str = "opened";

/// A token can be taken for at most 60 s and what clocks differ.
const ISSUED_FOR: i64 = 600;
const GRANTED_FOR: i64 = 12 * 3600;
const OPENED_FOR: i64 = 7 * 86_400;

/// How many rows anybody may have.
#[derive(Clone, Copy, Debug)]
struct Limits {
    grants_of_site: u64,
    opened_of_person: u64,
}

const LIMITS: Limits = Limits { grants_of_site: 20_000, opened_of_person: 2_000 };

/// Rows forgotten with a change, more than it adds.
const SWEPT: usize = 64;

/// The ledger does not work. What is wrong is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what was opened cannot be written down or read")]
pub struct LedgerError;

/// One opening.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    /// Qualified login of the person.
    pub login: String,
    /// Their session, as [`crate::access::sessions::Live::began_as`] names it.
    pub session: String,
    /// Where.
    pub site: SiteId,
    /// As which account.
    pub account: String,
    /// What the site was told of the person.
    pub actor: String,
    /// When, in seconds since 1970.
    pub at: i64,
    /// Whether the site asked the gateway about it.
    #[serde(default)]
    pub asked: bool,
    /// Whether it is to end, and the site is still to be told so.
    #[serde(default)]
    pub leaving: bool,
}

impl Row {
    /// Names it among those of its person.
    fn key(&self) -> String {
        digest(&[self.session.as_str(), self.site.as_str(), &self.actor, &self.account].join("\n"))
    }
}

/// See the module's text.
pub struct Ledger {
    path: PathBuf,
    database: Mutex<Option<Database>>,
    limits: Limits,
    failing: AtomicBool,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ledger({})", self.path.display())
    }
}

impl Ledger {
    /// At this path, mode 0600. It is opened now; when that fails, with the next try.
    pub fn at(path: &Path) -> Self {
        Self::with_limits(path, LIMITS)
    }

    fn with_limits(path: &Path, limits: Limits) -> Self {
        let (database, failing) = (Mutex::new(None), AtomicBool::new(false));
        let ledger = Self { path: path.to_owned(), database, limits, failing };
        // What is wrong is in the log, and is met again by whoever needs it.
        let _ = ledger.with(|_| Ok(()));
        ledger
    }

    /// Whether it did not work when it was last tried.
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Writes down that the token of this number is about to be signed.
    pub(super) fn issue(&self, number: &str, row: &Row) -> Result<(), LedgerError> {
        self.change(row.at, |transaction| {
            put(transaction, (ISSUED, "", &digest(number)), row, row.at.saturating_add(ISSUED_FOR))?;
            self.keep(transaction, row)
        })
    }

    /// Writes down an opening without a token.
    pub(super) fn opened(&self, row: &Row) -> Result<(), LedgerError> {
        self.change(row.at, |transaction| self.keep(transaction, row))
    }

    fn keep(&self, transaction: &WriteTransaction, row: &Row) -> Result<(), redb::Error> {
        put(transaction, (OPENED, &row.login, &row.key()), row, row.at.saturating_add(OPENED_FOR))?;
        if count(transaction, OPENED, &row.login)? > self.limits.opened_of_person {
            let mut rows = of(transaction, OPENED, &row.login)?;
            rows.sort_by_key(|(_, row)| row.at);
            for (key, _) in rows.iter().take(rows.len() / 10) {
                take(transaction, (OPENED, &row.login, key))?;
            }
        }
        Ok(())
    }

    /// Who asked for the token of this number; None: it was not signed here, or long ago.
    pub(super) fn issued(&self, number: &str) -> Result<Option<Row>, LedgerError> {
        let number = digest(number);
        self.with(|database| {
            let rows = database.begin_read()?.open_table(ROWS)?;
            Ok(rows.get((ISSUED, "", number.as_str()))?.and_then(|row| read(row.value())))
        })
    }

    /// Gives a verifier that asked something to ask again with: `g_` and 22 characters. None: its site has too many.
    pub(super) fn grant(&self, row: &Row, now: Timestamp) -> Result<Option<String>, LedgerError> {
        let grant = format!("g_{}", random_number().map_err(|_| LedgerError)?);
        self.change(now.as_secs(), |transaction| {
            if count(transaction, GRANTS, row.site.as_str())? >= self.limits.grants_of_site {
                return Ok(None);
            }
            let until = now.as_secs().saturating_add(GRANTED_FOR);
            put(transaction, (GRANTS, row.site.as_str(), &grant), row, until)?;
            let opened = (OPENED, row.login.as_str(), row.key());
            if let Some(kept) = get(transaction, (opened.0, opened.1, &opened.2))? {
                let until = kept.at.saturating_add(OPENED_FOR);
                put(transaction, (opened.0, opened.1, &opened.2), &Row { asked: true, ..kept }, until)?;
            }
            Ok(Some(grant.clone()))
        })
    }

    /// What these grants of a site were given for; None for each that is none of this site's, or too old.
    pub(super) fn granted(
        &self,
        site: &SiteId,
        grants: &[String],
        now: Timestamp,
    ) -> Result<Vec<Option<Row>>, LedgerError> {
        self.with(|database| {
            let rows = database.begin_read()?.open_table(ROWS)?;
            let mut found = Vec::with_capacity(grants.len());
            for grant in grants {
                let row = rows.get((GRANTS, site.as_str(), grant.as_str()))?.and_then(|row| read(row.value()));
                found.push(row.filter(|row| now.as_secs() < row.at.saturating_add(GRANTED_FOR)));
            }
            Ok(found)
        })
    }

    /// What a person has opened.
    pub(super) fn of(&self, login: &str) -> Result<Vec<Row>, LedgerError> {
        self.range((OPENED, login, "")..(OPENED, login, "~"))
    }

    /// What anybody has opened.
    pub(super) fn all(&self) -> Result<Vec<Row>, LedgerError> {
        self.range((OPENED, "", "")..(OPENED, "\u{10ffff}", ""))
    }

    fn range(&self, keys: std::ops::Range<(&str, &str, &str)>) -> Result<Vec<Row>, LedgerError> {
        self.with(|database| {
            let rows = database.begin_read()?.open_table(ROWS)?;
            let mut found = Vec::new();
            for row in rows.range(keys.clone())? {
                found.extend(read(row?.1.value()));
            }
            Ok(found)
        })
    }

    /// These have ended: those whose site is still to be told are marked, the others forgotten.
    pub(super) fn end(&self, told: &[Row], forgotten: &[Row], now: Timestamp) -> Result<(), LedgerError> {
        self.change(now.as_secs(), |transaction| {
            for row in told {
                let until = row.at.saturating_add(OPENED_FOR);
                put(transaction, (OPENED, &row.login, &row.key()), &Row { leaving: true, ..row.clone() }, until)?;
            }
            for row in forgotten {
                take(transaction, (OPENED, &row.login, &row.key()))?;
            }
            Ok(())
        })
    }

    /// The site of this row was told, or nobody tries any more. One that was opened anew meanwhile stays.
    pub(super) fn told(&self, row: &Row, now: Timestamp) -> Result<(), LedgerError> {
        self.change(now.as_secs(), |transaction| {
            let key = row.key();
            match get(transaction, (OPENED, &row.login, &key))? {
                Some(kept) if kept.leaving => take(transaction, (OPENED, &row.login, &key)),
                _ => Ok(()),
            }
        })
    }

    fn change<T>(
        &self,
        now: i64,
        act: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, LedgerError> {
        self.with(|database| {
            let transaction = database.begin_write()?;
            sweep(&transaction, now)?;
            let done = act(&transaction)?;
            // redb's commit is durable when it returns, unless told otherwise.
            transaction.commit()?;
            Ok(done)
        })
    }

    /// After a failure the file is opened anew for the next one.
    fn with<T>(&self, act: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, LedgerError> {
        let mut kept = locked(&self.database);
        let opened = kept.take().map_or_else(|| open(&self.path), Ok);
        let done = opened.and_then(|database| {
            let done = act(&database)?;
            *kept = Some(database);
            Ok(done)
        });
        self.failing.store(done.is_err(), Ordering::Relaxed);
        done.map_err(|error| {
            let path = self.path.display();
            tracing::error!(%error, %path, "what was opened cannot be written down: no console is opened from here");
            LedgerError
        })
    }
}

fn open(path: &Path) -> Result<Database, redb::Error> {
    let io = redb::Error::Io;
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map_err(io)?;
    let database = Database::builder().create_with_backend(FileBackend::new(file)?)?;
    let transaction = database.begin_write()?;
    transaction.open_table(ROWS)?;
    transaction.open_table(DUE)?;
    transaction.open_table(COUNTS)?;
    transaction.commit()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
    Ok(database)
}

/// A row of another version is as good as none.
fn read(text: &str) -> Option<Row> {
    serde_json::from_str(text).ok()
}

type Key<'a> = (&'a str, &'a str, &'a str);

fn get(transaction: &WriteTransaction, key: Key<'_>) -> Result<Option<Row>, redb::Error> {
    Ok(transaction.open_table(ROWS)?.get(key)?.and_then(|row| read(row.value())))
}

fn put(transaction: &WriteTransaction, key: Key<'_>, row: &Row, until: i64) -> Result<(), redb::Error> {
    // Our rows hold nothing that JSON cannot.
    let text = serde_json::to_string(row).unwrap_or_default();
    let is_new = transaction.open_table(ROWS)?.insert(key, text.as_str())?.is_none();
    transaction.open_table(DUE)?.insert((until, key.0, key.1, key.2), ())?;
    if is_new { counted(transaction, key, |count| count.saturating_add(1)) } else { Ok(()) }
}

fn take(transaction: &WriteTransaction, key: Key<'_>) -> Result<(), redb::Error> {
    // Its line in DUE finds nothing later.
    let was_there = transaction.open_table(ROWS)?.remove(key)?.is_some();
    if was_there { counted(transaction, key, |count| count.saturating_sub(1)) } else { Ok(()) }
}

fn counted(transaction: &WriteTransaction, key: Key<'_>, step: impl Fn(u64) -> u64) -> Result<(), redb::Error> {
    let owner = (key.0, key.1);
    let mut counts = transaction.open_table(COUNTS)?;
    let count = step(counts.get(owner)?.map_or(0, |count| count.value()));
    if count == 0 {
        counts.remove(owner)?;
    } else {
        counts.insert(owner, count)?;
    }
    Ok(())
}

fn count(transaction: &WriteTransaction, kind: &str, owner: &str) -> Result<u64, redb::Error> {
    Ok(transaction.open_table(COUNTS)?.get((kind, owner))?.map_or(0, |count| count.value()))
}

fn of(transaction: &WriteTransaction, kind: &str, owner: &str) -> Result<Vec<(String, Row)>, redb::Error> {
    let rows = transaction.open_table(ROWS)?;
    let mut found = Vec::new();
    for row in rows.range((kind, owner, "")..(kind, owner, "~"))? {
        let (key, row) = row?;
        found.extend(read(row.value()).map(|row| (key.value().2.to_owned(), row)));
    }
    Ok(found)
}

/// Forgets some of what is over. A row that was written again since is over later.
fn sweep(transaction: &WriteTransaction, now: i64) -> Result<(), redb::Error> {
    let mut over = Vec::new();
    {
        let due = transaction.open_table(DUE)?;
        for entry in due.range(..(now, "", "", ""))?.take(SWEPT) {
            let entry = entry?.0;
            let (until, kind, owner, key) = entry.value();
            over.push((until, kind.to_owned(), owner.to_owned(), key.to_owned()));
        }
    }
    for (until, kind, owner, key) in &over {
        transaction.open_table(DUE)?.remove((*until, kind.as_str(), owner.as_str(), key.as_str()))?;
        let key = (kind.as_str(), owner.as_str(), key.as_str());
        let life = if kind == OPENED { OPENED_FOR } else { 0 };
        let again = get(transaction, key)?.is_some_and(|row| life > 0 && row.at.saturating_add(life) > *until);
        if !again {
            take(transaction, key)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
