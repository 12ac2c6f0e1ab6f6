//! Sessions of the gate on disk: a row for each, and for a while those that ended here, for sites with several gates.
//!
//! What is told to have begun or ended is on disk. After a failure the file is opened anew for the next change.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use serde::{Deserialize, Serialize};

/// Session id to [`Row`] as JSON.
const ROWS: TableDefinition<'_, &str, &str> = TableDefinition::new("gate_sessions");
/// Ids of sessions that ended here, to the moment (ms since 1970) when their cookie is none anyway.
const ENDED: TableDefinition<'_, &str, i64> = TableDefinition::new("gate_ended");

/// A session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) account: String,
    /// The person at the gateway.
    pub(super) actor: String,
    /// Under this name the gateway says whether it still holds.
    pub(super) grant: Option<String>,
    /// Ends then at the latest, in ms since 1970, as all times here.
    pub(super) ends: i64,
    /// Last used.
    pub(super) seen: i64,
    /// When the gateway was asked that last said it holds.
    pub(super) checked: i64,
    /// When it was last written down. In memory only.
    #[serde(skip)]
    pub(super) written: i64,
}

/// Why the store does not open, or does not take a change.
#[derive(Debug, thiserror::Error)]
#[error("{path}: the gate's sessions cannot be kept: {reason}; is another gate running with this `state_dir`?")]
pub struct StoreError {
    path: String,
    reason: String,
}

/// A change. Changes are made one after the other, so what is looked at here decides between two at the same moment.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// New ones. None that has ended here.
    pub(super) put: Vec<(String, Row)>,
    /// Known ones: those that are still there. One that ended meanwhile must not come back.
    pub(super) update: Vec<(String, Row)>,
    pub(super) remove: Vec<String>,
    /// Of the removed, those that must not come back with their cookie, and until when.
    pub(super) ended: Vec<(String, i64)>,
    /// Older marks may go.
    pub(super) now: i64,
}

/// What is on disk.
pub(super) struct Kept {
    pub(super) rows: Vec<(String, Row)>,
    pub(super) ended: Vec<(String, i64)>,
}

/// The file.
pub(super) struct Store {
    path: PathBuf,
    database: Mutex<Option<Database>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.path.display())
    }
}

impl Store {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let store = Self { path: path.to_owned(), database: Mutex::new(None) };
        // Both tables exist from here on.
        store.change(&Change::default())?;
        Ok(store)
    }

    /// Everything.
    pub(super) fn all(&self) -> Result<Kept, StoreError> {
        self.with(|database| {
            let reading = database.begin_read()?;
            let (mut rows, mut ended) = (Vec::new(), Vec::new());
            for entry in reading.open_table(ROWS)?.iter()? {
                let (id, row) = entry?;
                // A row of another version is as good as none.
                if let Ok(row) = serde_json::from_str(row.value()) {
                    rows.push((id.value().to_owned(), row));
                }
            }
            for entry in reading.open_table(ENDED)?.iter()? {
                let (id, until) = entry?;
                ended.push((id.value().to_owned(), until.value()));
            }
            Ok(Kept { rows, ended })
        })
    }

    /// Makes a change, durable when this returns. Blocks.
    pub(super) fn change(&self, change: &Change) -> Result<(), StoreError> {
        self.with(|database| {
            let transaction = database.begin_write()?;
            {
                let mut rows = transaction.open_table(ROWS)?;
                for id in &change.remove {
                    rows.remove(id.as_str())?;
                }
                let mut ended = transaction.open_table(ENDED)?;
                ended.retain(|_, until| until > change.now)?;
                for (id, until) in &change.ended {
                    ended.insert(id.as_str(), until)?;
                }
                for (id, row) in &change.put {
                    if ended.get(id.as_str())?.is_none() {
                        rows.insert(id.as_str(), text(row).as_str())?;
                    }
                }
                for (id, row) in &change.update {
                    if rows.get(id.as_str())?.is_some() {
                        rows.insert(id.as_str(), text(row).as_str())?;
                    }
                }
            }
            Ok(transaction.commit()?)
        })
    }

    fn with<T>(&self, act: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        let mut kept = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = kept.take().map_or_else(|| open(&self.path), Ok);
        let done = opened.and_then(|database| {
            let done = act(&database)?;
            *kept = Some(database);
            Ok(done)
        });
        done.map_err(|error| StoreError { path: self.path.display().to_string(), reason: error.to_string() })
    }
}

fn open(path: &Path) -> Result<Database, redb::Error> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.map_err(redb::Error::Io)?;
    Ok(Database::builder().create_with_backend(FileBackend::new(file)?)?)
}

fn text(row: &Row) -> String {
    serde_json::to_string(row).unwrap_or_default()
}
