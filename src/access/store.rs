//! Sessions on disk: one file that survives a restart and a kill, revocations with it.
//!
//! A session that is not here does not exist: there is no list of those that are not good any more, so nothing can be
//! lost that would make one good again. Every change is on disk before its caller is told. Ids are kept as digests:
//! whoever reads the file cannot make a cookie of it. A file that cannot be read is an error, never an empty store.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use serde::{Deserialize, Serialize};

use super::secrets::{digest, private_file, private_folder};

/// Login and digest of the id, to the record as JSON.
const SESSIONS: TableDefinition<'_, (&str, &str), &str> = TableDefinition::new("sessions");

/// Login, to the count of "sign out everywhere".
const EPOCHS: TableDefinition<'_, &str, u64> = TableDefinition::new("epochs");

const FILE: &str = "sessions.redb";

/// A session as kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When it began, in ms since 1970.
    pub begun: i64,
    /// When it was last used, to a minute, in ms since 1970.
    pub seen: i64,
    /// The user's count when it began.
    pub epoch: u64,
    /// Print of the password's hash when it began.
    pub credential: String,
    /// Print of the rights when it began.
    pub rights: String,
    /// Digest of the id that its login gave; a session gets another id where rights change, and stays the same session.
    /// Empty in records of earlier versions, whose id has not changed since.
    #[serde(default)]
    pub began_as: String,
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the sessions in {file} cannot be {done}: {source}{remedy}")]
pub struct StoreError {
    file: String,
    done: &'static str,
    remedy: &'static str,
    source: Box<redb::Error>,
}

/// All sessions. See the module's text.
pub struct Store {
    /// None while it could not be opened again after the disk refused something.
    database: RwLock<Option<Database>>,
    path: PathBuf,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.path.display())
    }
}

impl Store {
    /// The one in this folder; both are made when they are not there.
    ///
    /// # Errors
    /// When it is damaged, in use by another gateway, or the folder cannot be written.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(FILE);
        let failed = |source: redb::Error| {
            let remedy = match &source {
                redb::Error::DatabaseAlreadyOpen => {
                    "; another gateway uses it: give each a `gateway.state_dir` of its own"
                }
                redb::Error::Io(error) if error.kind() != std::io::ErrorKind::InvalidData => {
                    "; make `gateway.state_dir` a folder that this program's user can write"
                }
                _ => "; move the file away for a new one (everybody logs in again)",
            };
            StoreError { file: path.display().to_string(), done: "opened", remedy, source: Box::new(source) }
        };
        private_folder(folder).and_then(|()| private_file(&path)).map_err(|error| failed(redb::Error::Io(error)))?;
        let database = Database::create(&path).map_err(|error| failed(error.into()))?;
        // Both tables exist from here on, and a file that was cut is found now instead of later.
        let tables = || -> Result<(), redb::Error> {
            let change = database.begin_write()?;
            change.open_table(SESSIONS)?;
            change.open_table(EPOCHS)?;
            Ok(change.commit()?)
        };
        tables().map_err(failed)?;
        Ok(Self { database: RwLock::new(Some(database)), path: path.clone() })
    }

    /// Does this with the database. Once the disk has refused something, the library does nothing any more with what it
    /// has open: then it is opened again, so that reading goes on, and writing once there is space.
    fn with<T>(&self, act: impl Fn(&Database) -> Result<T, redb::Error>) -> Result<T, redb::Error> {
        let tried = match &*self.database.read().unwrap_or_else(PoisonError::into_inner) {
            Some(database) => act(database),
            None => Err(redb::Error::PreviousIo),
        };
        let again = matches!(tried, Err(redb::Error::PreviousIo));
        if !again && !matches!(tried, Err(redb::Error::Io(_))) {
            return tried;
        }
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // Its lock on the file ends before the next begins.
        *database = None;
        let opened = database.insert(Database::open(&self.path)?);
        // What the disk refused just now is not tried at once again.
        if again { act(opened) } else { tried }
    }

    /// A session, if it is there.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn find(&self, login: &str, id: &str) -> Result<Option<Record>, StoreError> {
        let found = |database: &Database| -> Result<Option<Record>, redb::Error> {
            let table = database.begin_read()?.open_table(SESSIONS)?;
            let value = table.get((login, digest(id).as_str()))?;
            // A record of another version is as good as none.
            Ok(value.and_then(|value| serde_json::from_str(value.value()).ok()))
        };
        self.with(found).map_err(|error| self.failed("read", error))
    }

    /// How often the user has signed out everywhere.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn epoch(&self, login: &str) -> Result<u64, StoreError> {
        let found = |database: &Database| -> Result<u64, redb::Error> {
            let table = database.begin_read()?.open_table(EPOCHS)?;
            Ok(table.get(login)?.map_or(0, |value| value.value()))
        };
        self.with(found).map_err(|error| self.failed("read", error))
    }

    /// Keeps a new session, in the place of `instead` where one is named; the user's oldest go when there are more than
    /// `most`. When this returns, it is on disk. False when the one to be replaced has ended meanwhile: then there is
    /// none.
    ///
    /// # Errors
    /// When it could not be kept: then there is no session.
    pub fn begin(
        &self,
        login: &str,
        id: &str,
        record: &Record,
        instead: Option<&str>,
        most: usize,
    ) -> Result<bool, StoreError> {
        let begun = AtomicBool::new(true);
        self.change(|sessions, _| {
            if let Some(instead) = instead {
                let found = sessions.remove((login, digest(instead).as_str()))?.is_some();
                begun.store(found, Ordering::Relaxed);
            }
            if !begun.load(Ordering::Relaxed) {
                return Ok(());
            }
            let mut others = of(sessions, login)?;
            others.sort_by_key(|(_, seen)| *seen);
            let spare = (others.len() + 1).saturating_sub(most);
            for (digest, _) in others.iter().take(spare) {
                sessions.remove((login, digest.as_str()))?;
            }
            sessions.insert((login, digest(id).as_str()), text_of(record).as_str())?;
            Ok(())
        })?;
        Ok(begun.into_inner())
    }

    /// Notes that a session was used. One that has ended meanwhile stays ended.
    ///
    /// # Errors
    /// When it could not be written.
    pub fn touch(&self, login: &str, id: &str, seen: i64) -> Result<(), StoreError> {
        self.change(|sessions, _| {
            let digest = digest(id);
            let key = (login, digest.as_str());
            let record = sessions.get(key)?.and_then(|value| serde_json::from_str::<Record>(value.value()).ok());
            if let Some(record) = record.filter(|record| record.seen < seen) {
                sessions.insert(key, text_of(&Record { seen, ..record }).as_str())?;
            }
            Ok(())
        })
    }

    /// Ends a session.
    ///
    /// # Errors
    /// When it could not be written: then the session may still be good.
    pub fn end(&self, login: &str, id: &str) -> Result<(), StoreError> {
        self.change(|sessions, _| sessions.remove((login, digest(id).as_str())).map(|_| ()).map_err(redb::Error::from))
    }

    /// Ends all sessions of a user, and makes every cookie made until now worthless.
    ///
    /// # Errors
    /// When it could not be written: then they may still be good.
    pub fn end_all(&self, login: &str) -> Result<(), StoreError> {
        self.change(|sessions, epochs| {
            for (digest, _) in of(sessions, login)? {
                sessions.remove((login, digest.as_str()))?;
            }
            let epoch = epochs.get(login)?.map_or(0, |value| value.value());
            epochs.insert(login, epoch.saturating_add(1))?;
            Ok(())
        })
    }

    /// Forgets sessions of people that began before `begun` or were last used before `seen`, in ms since 1970.
    ///
    /// # Errors
    /// When it could not be written.
    pub fn forget(&self, begun: i64, seen: i64) -> Result<(), StoreError> {
        self.change(|sessions, _| {
            let lives = |text: &str| {
                serde_json::from_str::<Record>(text).is_ok_and(|record| record.begun >= begun && record.seen >= seen)
            };
            Ok(sessions.retain(|(login, _), text| login.starts_with("wall:") || lives(text))?)
        })
    }

    /// All sessions of a user, each with the digest of its id.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn all(&self, login: &str) -> Result<Vec<(String, Record)>, StoreError> {
        let found = |database: &Database| -> Result<Vec<(String, Record)>, redb::Error> {
            let table = database.begin_read()?.open_table(SESSIONS)?;
            let mut all = Vec::new();
            for entry in table.range((login, "")..(login, "~"))? {
                let (key, value) = entry?;
                all.extend(serde_json::from_str(value.value()).ok().map(|record| (key.value().1.to_owned(), record)));
            }
            Ok(all)
        };
        self.with(found).map_err(|error| self.failed("read", error))
    }

    /// How many sessions a user has.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn count(&self, login: &str) -> Result<usize, StoreError> {
        let counted = |database: &Database| -> Result<usize, redb::Error> {
            let table = database.begin_read()?.open_table(SESSIONS)?;
            Ok(of(&table, login)?.len())
        };
        self.with(counted).map_err(|error| self.failed("read", error))
    }

    fn change(
        &self,
        change: impl Fn(&mut SessionTable<'_>, &mut redb::Table<'_, &'static str, u64>) -> Result<(), redb::Error>,
    ) -> Result<(), StoreError> {
        let changed = |database: &Database| -> Result<(), redb::Error> {
            let transaction = database.begin_write()?;
            {
                let mut sessions = transaction.open_table(SESSIONS)?;
                let mut epochs = transaction.open_table(EPOCHS)?;
                change(&mut sessions, &mut epochs)?;
            }
            Ok(transaction.commit()?)
        };
        self.with(changed).map_err(|error| self.failed("written", error))
    }

    fn failed(&self, done: &'static str, source: redb::Error) -> StoreError {
        let remedy = "; look at its disk";
        StoreError { file: self.path.display().to_string(), done, remedy, source: Box::new(source) }
    }
}

type SessionTable<'a> = redb::Table<'a, (&'static str, &'static str), &'static str>;

/// Digest and last use of each session of a user.
fn of(
    sessions: &impl redb::ReadableTable<(&'static str, &'static str), &'static str>,
    login: &str,
) -> Result<Vec<(String, i64)>, redb::Error> {
    let mut found = Vec::new();
    // Digests are hexadecimal, so `~` is behind all of them.
    for entry in sessions.range((login, "")..(login, "~"))? {
        let (key, value) = entry?;
        let seen = serde_json::from_str::<Record>(value.value()).map_or(i64::MIN, |record| record.seen);
        found.push((key.value().1.to_owned(), seen));
    }
    Ok(found)
}

/// Our records hold nothing that JSON cannot.
fn text_of(record: &Record) -> String {
    serde_json::to_string(record).unwrap_or_default()
}
