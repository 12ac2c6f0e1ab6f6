//! The embedded store of used tokens: one file, one writer, durable before success is told.
//!
//! All that wait share one commit. Old numbers are swept a few at a time with each commit. What was swept is remembered
//! as a time: a token from before it counts as used, so a clock that jumped forward and back lets nothing through twice.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use futures_util::future::BoxFuture;
use redb::backends::FileBackend;
use redb::{Database, DatabaseError, ReadOnlyDatabase, ReadableTable as _, TableDefinition};
use tokio::sync::{mpsc, oneshot};

use super::used::{Use, UsedTokens};
use crate::clock::Timestamp;

/// `site|jti` to the second it may be forgotten.
const USED: TableDefinition<'_, &str, u64> = TableDefinition::new("used");
/// The same by time, for sweeping.
const BY_TIME: TableDefinition<'_, (u64, &str), ()> = TableDefinition::new("by_time");
/// One row: everything that expired before this second may have been forgotten.
const FORGOTTEN: TableDefinition<'_, (), u64> = TableDefinition::new("forgotten");

/// Twice what clocks may differ: a number is kept at least as long as any verifier could take its token.
const KEPT_AFTER: u64 = 60;
const WAITING: usize = 4096;
const AT_ONCE: usize = 512;
/// Numbers swept with a commit, more than it adds, so that the store shrinks.
const SWEPT: usize = 1024;

/// Why the store does not open.
#[derive(Debug, thiserror::Error)]
#[error(
    "{path}: the store of used tokens cannot be opened: {reason}; is another metaconsole running with this state_dir?"
)]
pub struct StoreError {
    path: String,
    reason: String,
}

struct Asked {
    key: String,
    keep_until: u64,
    now: u64,
    told: oneshot::Sender<Use>,
}

/// The store. Cheap to share behind an `Arc`.
pub struct Embedded {
    asked: mpsc::Sender<Asked>,
    ended: oneshot::Receiver<()>,
    failing: Arc<AtomicBool>,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Embedded")
    }
}

impl Embedded {
    /// Opens or makes the store at `path`, mode 0600.
    ///
    /// # Errors
    /// Another process has it, it is damaged, or the disk refuses.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let opened = database(path).map_err(|error| failed(path, error))?;
        Self::serving(path, Some(opened))
    }

    /// The same for a gateway that has more to do than openings: while it cannot be opened nothing is accepted, and it is
    /// tried again with each number.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn open_whenever(path: &Path) -> Result<Self, StoreError> {
        let opened = database(path).map_err(|error| failed(path, error));
        if let Err(error) = &opened {
            tracing::error!("{error}; until it can, sites that ask about openings get no answer");
        }
        Self::serving(path, opened.ok())
    }

    fn serving(path: &Path, mut database: Option<Database>) -> Result<Self, StoreError> {
        let failing = Arc::new(AtomicBool::new(database.is_none()));
        let (asked, mut waiting) = mpsc::channel::<Asked>(WAITING);
        let (end, ended) = oneshot::channel();
        let (kept_at, is_failing) = (path.to_owned(), Arc::clone(&failing));
        let serve = move || {
            while let Some(first) = waiting.blocking_recv() {
                let mut batch = vec![first];
                while batch.len() < AT_ONCE
                    && let Ok(next) = waiting.try_recv()
                {
                    batch.push(next);
                }
                answer(&mut database, &kept_at, &is_failing, batch);
            }
            drop(database);
            let _ = end.send(());
        };
        thread::Builder::new().name("used-tokens".to_owned()).spawn(serve).map_err(|error| failed(path, error))?;
        Ok(Self { asked, ended, failing })
    }

    /// Waits until the file is closed.
    pub async fn close(self) {
        drop(self.asked);
        let _ = self.ended.await;
    }
}

impl UsedTokens for Embedded {
    fn consume<'a>(&'a self, site: &'a str, jti: &'a str, exp: u64, now: Timestamp) -> BoxFuture<'a, Use> {
        Box::pin(async move {
            let (told, hears) = oneshot::channel();
            let Ok(now) = u64::try_from(now.as_secs()) else { return Use::Unavailable };
            let asked = Asked { key: format!("{site}|{jti}"), keep_until: exp.saturating_add(KEPT_AFTER), now, told };
            if self.asked.send(asked).await.is_err() {
                return Use::Unavailable;
            }
            hears.await.unwrap_or(Use::Unavailable)
        })
    }

    fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }
}

/// Whether a store at `path` could be used, as far as that is known without changing it. One that is not there can be
/// made, and one that a running gateway holds is in use.
///
/// # Errors
/// It is damaged, or not ours to write.
pub fn usable(path: &Path) -> Result<(), StoreError> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(path, error)),
        Ok(_) => {}
    }
    match ReadOnlyDatabase::open(path) {
        // A file that was not closed is mended when it is opened to write.
        Ok(_) | Err(DatabaseError::DatabaseAlreadyOpen | DatabaseError::RepairAborted) => Ok(()),
        Err(error) => Err(failed(path, error)),
    }
}

fn failed(path: &Path, reason: impl std::fmt::Display) -> StoreError {
    StoreError { path: path.display().to_string(), reason: reason.to_string() }
}

/// One commit for all of them. After a failure the file is opened anew for the next ones.
fn answer(database_kept: &mut Option<Database>, path: &Path, failing: &AtomicBool, batch: Vec<Asked>) {
    let opened = database_kept.take().map_or_else(|| database(path), Ok);
    let decided = opened.and_then(|database| {
        let decided = decide(&database, &batch)?;
        *database_kept = Some(database);
        Ok(decided)
    });
    failing.store(decided.is_err(), Ordering::Relaxed);
    match decided {
        Ok(uses) => batch.into_iter().zip(uses).for_each(|(asked, found)| tell(asked, found)),
        Err(error) => {
            tracing::error!(%error, path = %path.display(), "used tokens cannot be stored: no opening is accepted");
            batch.into_iter().for_each(|asked| tell(asked, Use::Unavailable));
        }
    }
}

/// Whoever left does not hear it; the number is spent all the same.
fn tell(asked: Asked, found: Use) {
    let _ = asked.told.send(found);
}

fn decide(database: &Database, batch: &[Asked]) -> Result<Vec<Use>, redb::Error> {
    let transaction = database.begin_write()?;
    let mut uses = Vec::with_capacity(batch.len());
    {
        let mut used = transaction.open_table(USED)?;
        let mut by_time = transaction.open_table(BY_TIME)?;
        let mut forgotten = transaction.open_table(FORGOTTEN)?;
        let mut limit = forgotten.get(())?.map_or(0, |row| row.value());
        for Asked { key, keep_until, .. } in batch {
            let is_known = *keep_until <= limit || used.get(key.as_str())?.is_some();
            uses.push(if is_known { Use::Replayed } else { Use::First });
            if !is_known {
                used.insert(key.as_str(), *keep_until)?;
                by_time.insert((*keep_until, key.as_str()), ())?;
            }
        }
        let now = batch.iter().map(|asked| asked.now).min().unwrap_or(0);
        let mut old = Vec::new();
        for row in by_time.range(..(now, ""))?.take(SWEPT) {
            let (row, ()) = row.map(|(row, unit)| (row, unit.value()))?;
            let (until, key) = row.value();
            old.push((until, key.to_owned()));
        }
        for (until, key) in &old {
            used.remove(key.as_str())?;
            by_time.remove((*until, key.as_str()))?;
            limit = limit.max(*until);
        }
        forgotten.insert((), limit)?;
    }
    // redb's commit is durable when it returns, unless told otherwise.
    transaction.commit()?;
    Ok(uses)
}

fn database(path: &Path) -> Result<Database, redb::Error> {
    let io = redb::Error::Io;
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map_err(io)?;
    let database = Database::builder().create_with_backend(FileBackend::new(file)?)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
    Ok(database)
}
