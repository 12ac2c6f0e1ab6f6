//! Reading back, newest first, in bounded memory: segments from their end, a piece at a time.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::segments::{LONGEST_LINE, list, name};
use crate::clock::Timestamp;

const PIECE: u64 = 32 << 10;

/// Which lines are wanted; what is not said is not asked.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this site.
    pub site: Option<String>,
    /// By this person.
    pub actor: Option<String>,
    /// This action, as its word.
    pub action: Option<String>,
    /// Whether it was done; else it was refused or failed.
    pub done: Option<bool>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before this.
    pub to: Option<Timestamp>,
    /// Before this line, by its number.
    pub before: Option<u64>,
}

/// A line that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub actor: String,
    /// Of which site, if it is about one.
    pub site: Option<String>,
    /// The line itself, JSON as it stands in the file.
    pub line: String,
}

/// Why reading ends early.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The disk.
    #[error("{0}: the audit log cannot be read: {1}")]
    Disk(String, String),
    /// Something there is no record.
    #[error("{0}: a line is no record; run `metaconsole audit verify` on this file")]
    NoRecord(String),
}

#[derive(Deserialize)]
struct Fields {
    seq: u64,
    ts: String,
    actor: String,
    action: String,
    site: Option<String>,
    result: Option<String>,
}

impl Filter {
    fn wants(&self, fields: &Fields, at: Timestamp) -> bool {
        let same = |wanted: &Option<String>, found: Option<&str>| wanted.is_none() || wanted.as_deref() == found;
        same(&self.site, fields.site.as_deref())
            && same(&self.actor, Some(&fields.actor))
            && same(&self.action, Some(&fields.action))
            && self.done.is_none_or(|done| done == (fields.result.as_deref() == Some("ok")))
            && self.from.is_none_or(|from| at >= from)
            && self.to.is_none_or(|to| at < to)
            && self.before.is_none_or(|before| fields.seq < before)
    }
}

/// Lines of the log in `folder`, newest first. Blocks while it reads.
///
/// # Errors
/// The folder cannot be listed.
pub fn newest(folder: &Path, filter: Filter) -> Result<Newest, ReadError> {
    let mut files = list(folder).map_err(|error| ReadError::Disk(folder.display().to_string(), error.to_string()))?;
    if let Some(before) = filter.before {
        // A segment is named by its first line.
        let end = name(before);
        files.retain(|file| file.file_name().is_some_and(|file| *file.to_string_lossy() < *end));
    }
    Ok(Newest { files, current: None, filter })
}

/// The lines, newest first. Holds one piece of one file.
#[derive(Debug)]
pub struct Newest {
    files: Vec<PathBuf>,
    current: Option<(PathBuf, Backwards)>,
    filter: Filter,
}

impl Iterator for Newest {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.current.is_none() {
                let path = self.files.pop()?;
                match Backwards::open(&path) {
                    Ok(lines) => self.current = Some((path, lines)),
                    Err(error) => return Some(Err(ReadError::Disk(path.display().to_string(), error.to_string()))),
                }
            }
            let (path, lines) = self.current.as_mut()?;
            match lines.line() {
                Ok(None) => self.current = None,
                Ok(Some(line)) => match entry(line, &self.filter) {
                    Ok(Some(entry)) => return Some(Ok(entry)),
                    Ok(None) => {}
                    Err(()) => return Some(Err(ReadError::NoRecord(path.display().to_string()))),
                },
                Err(error) => {
                    let failed = ReadError::Disk(path.display().to_string(), error.to_string());
                    // Older segments may be fine, and asking again must not repeat this for ever.
                    self.current = None;
                    return Some(Err(failed));
                }
            }
        }
    }
}

fn entry(line: Vec<u8>, filter: &Filter) -> Result<Option<Entry>, ()> {
    let line = String::from_utf8(line).map_err(|_| ())?;
    let fields: Fields = serde_json::from_str(&line).map_err(|_| ())?;
    let instant: jiff::Timestamp = fields.ts.parse().map_err(|_| ())?;
    let at = Timestamp::from_millis(instant.as_millisecond());
    let Fields { seq, actor, site, .. } = match filter.wants(&fields, at) {
        true => fields,
        false => return Ok(None),
    };
    Ok(Some(Entry { seq, at, actor, site, line }))
}

/// The last whole line of a file.
pub(super) fn last_line(path: &Path) -> io::Result<Option<Vec<u8>>> {
    Backwards::open(path)?.line()
}

/// Whole lines of a file from its end. What stands behind the last line feed is being written, or torn: passed over.
#[derive(Debug)]
struct Backwards {
    file: File,
    /// Where `held` begins in the file.
    start: u64,
    held: Vec<u8>,
    fresh: bool,
}

impl Backwards {
    fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let start = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, start, held: Vec::new(), fresh: true })
    }

    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if self.fresh {
                if let Some(at) = memchr::memrchr(b'\n', &self.held) {
                    self.held.truncate(at);
                    self.fresh = false;
                    continue;
                }
            } else if let Some(at) = memchr::memrchr(b'\n', &self.held) {
                let line = self.held.split_off(at.saturating_add(1));
                self.held.truncate(at);
                return Ok(Some(line));
            }
            if self.start == 0 {
                let line = std::mem::take(&mut self.held);
                let is_line = !self.fresh && !line.is_empty();
                self.fresh = true;
                return Ok(is_line.then_some(line));
            }
            if self.held.len() as u64 > LONGEST_LINE {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is longer than any record"));
            }
            let piece = PIECE.min(self.start);
            self.start -= piece;
            self.file.seek(SeekFrom::Start(self.start))?;
            let mut bytes = Vec::new();
            (&mut self.file).take(piece).read_to_end(&mut bytes)?;
            bytes.append(&mut self.held);
            self.held = bytes;
        }
    }
}
