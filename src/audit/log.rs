//! The log as the rest of the program sees it: records in, success once they are durable.

use std::io;
use std::path::Path;
use std::thread;

use tokio::sync::{mpsc, oneshot, watch};

use super::chain::Head;
use super::record::Record;
use super::segments::{self, OpenError};
use super::writer::{Limits, Writer};
use crate::clock::{Clock, Timestamp};

/// Records that wait; whoever comes then waits for a place.
const WAITING: usize = 4096;
/// Records that share one flush.
const AT_ONCE: usize = 512;

/// Why something is not recorded. Whatever should have been recorded must not be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The disk refuses.
    #[error(
        "the audit log cannot be written ({0}): nothing that must be recorded is done until it can; look at the disk of state_dir"
    )]
    Disk(String),
    /// The log was closed.
    #[error("the audit log is closed")]
    Closed,
}

/// Where the log stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Number of the last durable line; 0 before the first.
    pub seq: u64,
    /// Its hash, to be remembered elsewhere.
    pub head: Head,
    /// Why the last write failed; None when it did not.
    pub failing: Option<String>,
}

/// A record, or that the log is to be closed.
type Message = Option<Waiting>;

struct Waiting {
    at: Timestamp,
    record: Record,
    done: oneshot::Sender<Result<(), AppendError>>,
}

/// The open log. Appends may come from anywhere at the same time.
#[derive(Debug)]
pub struct Log {
    records: mpsc::Sender<Message>,
    state: watch::Receiver<State>,
    clock: Clock,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.record.fmt(f)
    }
}

impl Log {
    /// Opens the log in `folder` (made when it is not there), verifies its last segment and repairs a torn end.
    /// `replica` names this gateway in every line.
    ///
    /// # Errors
    /// Another process writes there, the last segment does not verify, or the disk refuses.
    pub fn open(folder: &Path, replica: &str, limits: Limits, clock: Clock) -> Result<Self, OpenError> {
        let opened = segments::open(folder)?;
        let disk = Box::new(super::disk::Folder(folder.to_owned()));
        let mut writer = Writer::new(disk, replica.to_owned(), limits, opened.end);
        if let Some(record) = opened.repair {
            writer.commit(&[(clock.now(), &record)]).map_err(|error| OpenError::disk(folder, &error))?;
        }
        Self::start(writer, clock, opened.lock).map_err(|error| OpenError::disk(folder, &error))
    }

    pub(super) fn start(mut writer: Writer, clock: Clock, lock: Option<std::fs::File>) -> io::Result<Self> {
        let (records, mut waiting) = mpsc::channel::<Message>(WAITING);
        let (tell, state) = watch::channel(standing(&writer, None));
        thread::Builder::new().name("audit".to_owned()).spawn(move || {
            let mut is_open = true;
            while is_open && let Some(Some(first)) = waiting.blocking_recv() {
                let mut batch = vec![first];
                while is_open
                    && batch.len() < AT_ONCE
                    && let Ok(next) = waiting.try_recv()
                {
                    match next {
                        Some(next) => batch.push(next),
                        None => is_open = false,
                    }
                }
                let all: Vec<(Timestamp, &Record)> =
                    batch.iter().map(|waiting| (waiting.at, &waiting.record)).collect();
                let done = writer.commit(&all).map_err(|error| error.to_string());
                tell.send_replace(standing(&writer, done.clone().err()));
                for Waiting { done: asker, .. } in batch {
                    // Whoever left does not hear it; it is recorded all the same.
                    let _ = asker.send(done.clone().map_err(AppendError::Disk));
                }
            }
            drop(writer);
            drop(lock);
            // Whoever waits for the end hears it by this.
            drop(tell);
        })?;
        Ok(Self { records, state, clock })
    }

    /// Records this. Success means: it is on the disk.
    ///
    /// # Errors
    /// It is not, or not surely, recorded; do not do what it is about.
    pub async fn append(&self, record: Record) -> Result<(), AppendError> {
        let (done, told) = oneshot::channel();
        let waiting = Waiting { at: self.clock.now(), record, done };
        self.records.send(Some(waiting)).await.map_err(|_| AppendError::Closed)?;
        told.await.unwrap_or(Err(AppendError::Closed))
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Waits until all is written and the lock is free. Nothing can be appended after.
    pub async fn close(&self) {
        // Closed before by somebody else: then its end is all there is to wait for.
        let _ = self.records.send(None).await;
        let mut state = self.state.clone();
        while state.changed().await.is_ok() {}
    }
}

fn standing(writer: &Writer, failing: Option<String>) -> State {
    State { seq: writer.end().seq, head: writer.end().head, failing }
}
