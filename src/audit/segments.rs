//! The files: their names, the check at the start, the repair of a torn end, and the verification of given files.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::chain::{Break, Chain, Head};
use super::disk::{private, private_folder};
use super::read::last_line;
use super::record::Record;
use super::writer::{End, day};
use crate::clock::Timestamp;

/// No line of ours is longer; a longer one is no record.
pub(super) const LONGEST_LINE: u64 = 64 << 10;

/// The segment that begins with line `seq`. Names sort as numbers do.
pub(super) fn name(seq: u64) -> String {
    format!("audit-{seq:020}.jsonl")
}

/// Why the log does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process writes.
    #[error("{0}: another metaconsole writes the audit log; give each gateway a state_dir of its own")]
    Locked(String),
    /// Somebody changed it.
    #[error("{file}:{line}: {found}; move the folder aside to begin a new log, and find out who changed it")]
    Broken {
        /// Which file.
        file: String,
        /// Which line, from 1.
        line: u64,
        /// How.
        found: Break,
    },
    /// The disk refuses.
    #[error("{0}: the audit log cannot be opened: {1}; look at the rights and the space of this folder")]
    Disk(String, String),
}

impl OpenError {
    pub(super) fn disk(path: &Path, error: &io::Error) -> Self {
        Self::Disk(path.display().to_string(), error.to_string())
    }
}

/// An opened folder.
pub(super) struct Opened {
    pub(super) end: End,
    pub(super) repair: Option<Record>,
    pub(super) lock: Option<File>,
}

/// All segments, oldest first.
pub(super) fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("audit-") && name.ends_with(".jsonl") {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

pub(super) fn open(folder: &Path) -> Result<Opened, OpenError> {
    let disk = |error: io::Error| OpenError::disk(folder, &error);
    private_folder(folder).map_err(disk)?;
    let lock = private(&folder.join("audit.lock")).map_err(disk)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Err(OpenError::Locked(folder.display().to_string())),
        Err(fs::TryLockError::Error(error)) => return Err(disk(error)),
    }
    let files = list(folder).map_err(disk)?;
    let Some((last, before)) = files.split_last() else {
        let end = End { seq: 0, head: Head::START, segment: None };
        return Ok(Opened { end, repair: None, lock: Some(lock) });
    };
    let mut chain = behind(before)?;
    let (repair, length, first_day) = check_last(folder, last, &mut chain)?;
    let (seq, head) = chain.last().unwrap_or((0, Head::START));
    let repair = repair.or_else(|| unrecorded(folder, seq));
    let name = last.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let end = End { seq, head, segment: Some((name, length, first_day)) };
    Ok(Opened { end, repair, lock: Some(lock) })
}

/// The chain behind the last line of the earlier segments. An empty one (a crash right after its making) is passed over.
fn behind(before: &[PathBuf]) -> Result<Chain, OpenError> {
    for path in before.iter().rev() {
        let found = last_line(path).map_err(|error| OpenError::disk(path, &error))?;
        let Some(line) = found else { continue };
        let mut chain = Chain::default();
        let broken = |found| OpenError::Broken { file: path.display().to_string(), line: 0, found };
        chain.next(&line).map_err(broken)?;
        return Ok(chain.last().map_or_else(Chain::default, |(seq, head)| Chain::behind(seq, head)));
    }
    Ok(Chain::default())
}

type LastSegment = (Option<Record>, u64, i64);

fn check_last(folder: &Path, path: &Path, chain: &mut Chain) -> Result<LastSegment, OpenError> {
    let disk = |error: io::Error| OpenError::disk(path, &error);
    let file = File::open(path).map_err(disk)?;
    let modified = file.metadata().and_then(|about| about.modified()).ok();
    let first_day = modified
        .and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok())
        .map_or(0, |since| day(Timestamp::from_secs(i64::try_from(since.as_secs()).unwrap_or(0))));
    let (mut input, mut whole, mut number) = (BufReader::new(file), 0u64, 0);
    loop {
        let mut line = Vec::new();
        let read = input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line).map_err(disk)?;
        if read == 0 {
            return Ok((None, whole, first_day));
        }
        number += 1;
        // Without its end, or with zeros where a lost machine left a hole: never told to anybody as recorded.
        let is_torn = line.pop_if(|byte| *byte == b'\n').is_none() || line.contains(&0);
        if is_torn {
            let repair = set_aside(folder, path, whole, chain).map_err(disk)?;
            return Ok((Some(repair), whole, first_day));
        }
        let broken = |found| OpenError::Broken { file: path.display().to_string(), line: number, found };
        chain.next(&line).map_err(broken)?;
        whole = whole.saturating_add(u64::try_from(read).unwrap_or(0));
    }
}

/// The record of a repair whose process ended before it was written: it would have been the next line.
fn unrecorded(folder: &Path, seq: u64) -> Option<Record> {
    let name = torn_name(seq);
    fs::metadata(folder.join(&name)).ok().map(|about| Record::repaired(about.len(), &name))
}

/// What was torn behind line `seq`.
fn torn_name(seq: u64) -> String {
    format!("torn-{:020}.part", seq.saturating_add(1))
}

/// Copies what stands behind `whole` to a file of its own, then cuts it off.
fn set_aside(folder: &Path, path: &Path, whole: u64, chain: &Chain) -> io::Result<Record> {
    use std::io::Seek as _;
    let mut from = File::options().read(true).write(true).open(path)?;
    from.seek(io::SeekFrom::Start(whole))?;
    let name = torn_name(chain.last().map_or(0, |(seq, _)| seq));
    let mut aside = private(&folder.join(&name))?;
    let bytes = io::copy(&mut from, &mut aside)?;
    aside.flush()?;
    aside.sync_all()?;
    File::open(folder)?.sync_all()?;
    from.set_len(whole)?;
    from.sync_all()?;
    Ok(Record::repaired(bytes, &name))
}

/// What files hold that verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Lines.
    pub lines: u64,
    /// Number of the first line; 1 unless earlier segments were not given.
    pub first: u64,
    /// Number and hash of the last line; none in empty files.
    pub last: Option<(u64, Head)>,
    /// Lines behind the remembered head; none when no head was given.
    pub behind_head: Option<u64>,
}

/// Why files do not verify.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A line does not follow.
    #[error("{file}:{line}: {found}")]
    Broken {
        /// Which file.
        file: String,
        /// Which line, from 1.
        line: u64,
        /// How.
        found: Break,
    },
    /// The chain holds, but what was remembered is not in it.
    #[error("the chain holds, but no line of it is the remembered head: lines at its end were removed or altered")]
    HeadMissing,
    /// It cannot be read.
    #[error("{0}: cannot be read: {1}")]
    Unreadable(String, String),
}

/// Verifies all segments of a folder, as [`verify_files`] does.
///
/// # Errors
/// The first thing that does not hold.
pub fn verify_folder(folder: &Path, head: Option<Head>) -> Result<Verified, VerifyError> {
    let files =
        list(folder).map_err(|error| VerifyError::Unreadable(folder.display().to_string(), error.to_string()))?;
    verify_files(&files, head)
}

/// Verifies segments, in the order given: each line and the way from one file to the next. A head remembered from
/// earlier must be one of their lines; without one, lines missing at the very end cannot be seen.
///
/// # Errors
/// The first thing that does not hold.
pub fn verify_files(files: &[PathBuf], head: Option<Head>) -> Result<Verified, VerifyError> {
    let (mut chain, mut lines, mut first) = (Chain::default(), 0u64, 0);
    let mut head_at = head.filter(|head| *head == Head::START).map(|_| 0);
    for path in files {
        let name = || path.display().to_string();
        let unreadable = |error: io::Error| VerifyError::Unreadable(name(), error.to_string());
        let mut input = BufReader::new(File::open(path).map_err(unreadable)?);
        let mut number = 0;
        loop {
            let mut line = Vec::new();
            if input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line).map_err(unreadable)? == 0 {
                break;
            }
            number += 1;
            let _ = line.pop_if(|byte| *byte == b'\n');
            chain.next(&line).map_err(|found| VerifyError::Broken { file: name(), line: number, found })?;
            lines += 1;
            let Some((seq, hash)) = chain.last() else { continue };
            if lines == 1 {
                first = seq;
            }
            if Some(hash) == head {
                head_at = Some(lines);
            }
        }
    }
    let behind_head = match (head, head_at) {
        (None, _) => None,
        (Some(_), Some(at)) => Some(lines.saturating_sub(at)),
        (Some(_), None) => return Err(VerifyError::HeadMissing),
    };
    Ok(Verified { lines, first, last: chain.last(), behind_head })
}
