//! What people do, kept in the audit log, for as long as the gateway runs.
//!
//! - **What must be recorded** ([`Journal::record`], and every [`Event`] of [`Witness`]) is on the disk when the call
//!   returns, or is not done.
//! - **Searches** ([`Journal::searched`]) never wait for the disk: a task batches them and writes each once it has
//!   settled. While the disk refuses they are kept and written later, up to a number; what is above it is counted as
//!   lost, since searching goes on.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use super::witness::{Event, Unrecorded, Witness};
use crate::audit::{AppendError, Batcher, Limits, Log, OpenError, Record, State};
use crate::clock::Clock;

/// Searches that wait to be batched, and settled ones that wait for the disk.
const WAITING: usize = 4096;

/// Settled searches that are written at once, with one flush.
const AT_ONCE: usize = 256;

/// Those who look through the files at a time.
const READERS: usize = 2;

/// How often it is looked what has settled.
const LOOK: Duration = Duration::from_millis(200);

/// A query longer than this is recorded up to here.
const MOST_QUERY: usize = 2048;

/// The open audit log of a running gateway. See the module's text.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    log: Arc<Log>,
    searches: mpsc::Sender<Said>,
    lost: Arc<AtomicU64>,
    refused: AtomicU64,
    readers: Semaphore,
}

#[derive(Debug)]
enum Said {
    Search { viewer: String, query: String },
    Close(oneshot::Sender<()>),
}

impl Journal {
    /// In this folder, each line with the name of this gateway. Needs a runtime.
    ///
    /// # Errors
    /// Another gateway writes there, the log was changed by somebody, or the disk refuses.
    pub fn open(folder: &Path, replica: &str, clock: Clock) -> Result<Self, OpenError> {
        let log = Arc::new(Log::open(folder, replica, Limits::default(), clock)?);
        let (searches, said) = mpsc::channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let keeper = Keeper {
            log: Arc::clone(&log),
            clock,
            batcher: Batcher::default(),
            settled: VecDeque::new(),
            lost: Arc::clone(&lost),
        };
        tokio::spawn(keeper.keep(said));
        Ok(Self {
            folder: folder.to_owned(),
            log,
            searches,
            lost,
            refused: AtomicU64::new(0),
            readers: Semaphore::new(READERS),
        })
    }

    /// Records this. Success means: it is on the disk.
    ///
    /// # Errors
    /// It is not; do not do what it is about.
    pub async fn record(&self, record: Record) -> Result<(), AppendError> {
        let done = self.log.append(record).await;
        if let Err(error) = &done {
            self.refused.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%error, "not recorded, so not done");
        }
        done
    }

    /// Somebody searched for this. Never waits.
    pub fn searched(&self, viewer: &str, query: &str) {
        let query = query.chars().take(MOST_QUERY).collect();
        if self.searches.try_send(Said::Search { viewer: viewer.to_owned(), query }).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Where the log stands.
    pub fn state(&self) -> State {
        self.log.state()
    }

    /// What was not done, since it could not be recorded: how often since the start.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Searches that could not be recorded since the start.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// A place to look through its files; there are few, since that takes a processor. `None` at the end.
    pub async fn reader(&self) -> Option<SemaphorePermit<'_>> {
        self.readers.acquire().await.ok()
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes what is left, and gives the files free. Nothing can be recorded after.
    pub async fn close(&self) {
        let (done, told) = oneshot::channel();
        if self.searches.send(Said::Close(done)).await.is_ok() {
            // It may have ended by itself.
            let _ = told.await;
        }
        self.log.close().await;
    }
}

impl Witness for Journal {
    fn record(&self, event: Event) -> BoxFuture<'_, Result<(), Unrecorded>> {
        Box::pin(async move {
            Self::record(self, record(&event)).await.map_err(|_| Unrecorded)?;
            event.tell();
            Ok(())
        })
    }
}

fn record(event: &Event) -> Record {
    match event {
        Event::LoggedIn { login, from } => Record::login(login).from(*from),
        Event::Refused { login, from, why } => Record::login_failed(login.as_deref(), why).from(*from),
        Event::LoggedOut { login } => Record::logout(login),
        Event::LoggedOutEverywhere { login } => Record::revoked(login, login),
        Event::Paired { login, wall, from } => Record::paired(login, wall).from(*from),
        Event::Unpaired { login, wall } => Record::revoked(login, wall),
        Event::Ended { login, why } => Record::revoked("metaconsole", &format!("{login}: {why}")),
    }
}

/// The task that batches searches and writes them.
struct Keeper {
    log: Arc<Log>,
    clock: Clock,
    batcher: Batcher,
    settled: VecDeque<Record>,
    lost: Arc<AtomicU64>,
}

impl Keeper {
    async fn keep(mut self, mut said: mpsc::Receiver<Said>) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let waits = self.batcher.next().is_some() || !self.settled.is_empty();
            let settled = tokio::select! {
                said = said.recv() => match said {
                    Some(Said::Search { viewer, query }) => {
                        self.batcher.saw(&viewer, &query, self.clock.now()).into_iter().collect()
                    }
                    Some(Said::Close(done)) => {
                        self.end().await;
                        let _ = done.send(());
                        return;
                    }
                    None => return self.end().await,
                },
                _now = look.tick(), if waits => {
                    let settled = self.batcher.settled(self.clock.now());
                    self.hold(settled);
                    self.write().await;
                    continue;
                }
            };
            self.hold(settled);
        }
    }

    async fn end(&mut self) {
        let rest = self.batcher.rest();
        self.hold(rest);
        self.write().await;
        self.lose(self.settled.len());
    }

    fn hold(&mut self, settled: Vec<Record>) {
        let places = WAITING.saturating_sub(self.settled.len());
        self.lose(settled.len().saturating_sub(places));
        self.settled.extend(settled.into_iter().take(places));
    }

    fn lose(&self, count: usize) {
        self.lost.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Writes what has settled, until the disk refuses.
    async fn write(&mut self) {
        while !self.settled.is_empty() {
            let some: Vec<Record> = self.settled.iter().take(AT_ONCE).cloned().collect();
            let written = join_all(some.iter().map(|record| self.log.append(record.clone()))).await;
            let failed = written.iter().position(Result::is_err);
            // They are written in their order, those of one flush all or none.
            self.settled.drain(..failed.unwrap_or(some.len()));
            if failed.is_some() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Filter, newest, verify_files};

    fn lines(folder: &Path) -> Vec<serde_json::Value> {
        let entries = newest(folder, Filter::default()).unwrap();
        entries.map(|entry| serde_json::from_str(&entry.unwrap().line).unwrap()).collect()
    }

    #[tokio::test]
    async fn searches_are_there_after_the_end_and_typing_is_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path(), "gw-1", Clock::System).unwrap();
        for query in ["w", "we", "web"] {
            journal.searched("local:ana", query);
        }
        let event = Event::LoggedOutEverywhere { login: "local:ana".to_owned() };
        Witness::record(&journal, event).await.unwrap();
        journal.close().await;
        let lines = lines(folder.path());
        let of = |n: usize, key: &str| lines[n][key].clone();
        assert_eq!((of(0, "action"), of(0, "detail"), of(0, "count")), ("search".into(), "web".into(), 3.into()));
        assert_eq!((of(1, "action"), of(1, "actor")), ("session.revoked".into(), "local:ana".into()));
        assert_eq!(lines.len(), 2);
        assert_eq!(journal.record(Record::login("local:ana")).await, Err(AppendError::Closed));
        assert_eq!((journal.refused(), journal.lost()), (1, 0));
        Journal::open(folder.path(), "gw-1", Clock::System).unwrap().close().await;
        verify_files(&[folder.path().join(format!("audit-{:020}.jsonl", 1))], None).unwrap();
    }

    #[tokio::test]
    async fn a_settled_search_is_written_by_itself_and_a_second_writer_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path(), "gw-1", Clock::System).unwrap();
        assert!(matches!(Journal::open(folder.path(), "gw-2", Clock::System), Err(OpenError::Locked(_))));
        journal.searched("local:ana", "payroll");
        let mut look = tokio::time::interval(Duration::from_millis(20));
        while journal.state().seq == 0 {
            look.tick().await;
        }
        assert_eq!(lines(folder.path())[0]["detail"], "payroll");
    }
}
