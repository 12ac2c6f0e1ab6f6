//! Writes batches of records: one write, one flush. After a failure it first restores what was durable.

use std::io;

use super::chain::Head;
use super::disk::{Disk, Segment};
use super::record::Record;
use super::segments::name;
use crate::clock::Timestamp;

/// When a new segment begins.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// At this size. It begins anew on every day (UTC) as well.
    pub segment_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20 }
    }
}

/// The end of the chain as it is on the disk.
#[derive(Clone, Debug)]
pub(super) struct End {
    /// Number of the last line; 0 before the first.
    pub(super) seq: u64,
    /// Its hash.
    pub(super) head: Head,
    /// The last segment: name, durable bytes, day it was begun or, after a start, last written.
    pub(super) segment: Option<(String, u64, i64)>,
}

pub(super) struct Writer {
    disk: Box<dyn Disk>,
    replica: String,
    limits: Limits,
    end: End,
    /// Open and known to end where `end` says. None at first, and after a failure.
    file: Option<Box<dyn Segment>>,
}

impl Writer {
    pub(super) fn new(disk: Box<dyn Disk>, replica: String, limits: Limits, end: End) -> Self {
        Self { disk, replica, limits, end, file: None }
    }

    pub(super) fn end(&self) -> &End {
        &self.end
    }

    /// All of them durable, or none of them counted.
    pub(super) fn commit(&mut self, records: &[(Timestamp, &Record)]) -> io::Result<()> {
        let done = self.try_commit(records);
        if done.is_err() {
            // The kernel may have dropped what it could not write: only a file opened anew, cut to what is known to be
            // durable, is written again.
            self.file = None;
        }
        done
    }

    fn try_commit(&mut self, records: &[(Timestamp, &Record)]) -> io::Result<()> {
        let (mut seq, mut head, mut bytes) = (self.end.seq, self.end.head, Vec::new());
        let Some((now, _)) = records.first() else { return Ok(()) };
        for (at, record) in records {
            seq = seq.saturating_add(1);
            let line = serde_json::to_vec(&record.line(seq, &stamp(*at), &self.replica, &head.to_string()))?;
            head = Head::of(&line);
            bytes.extend_from_slice(&line);
            bytes.push(b'\n');
        }
        let file = self.segment(*now)?;
        file.write(&bytes)?;
        file.sync()?;
        self.end.seq = seq;
        self.end.head = head;
        if let Some((_, length, _)) = &mut self.end.segment {
            *length = length.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        }
        Ok(())
    }

    fn segment(&mut self, now: Timestamp) -> io::Result<&mut Box<dyn Segment>> {
        let today = day(now);
        let fits = self.end.segment.as_ref().is_some_and(|(_, length, of_day)| {
            *length == 0 || (*length < self.limits.segment_bytes && *of_day == today)
        });
        if !fits {
            self.file = None;
            self.end.segment = Some((name(self.end.seq.saturating_add(1)), 0, today));
        }
        let file = match self.file.take() {
            Some(file) => file,
            None => {
                let (name, length, _) = self.end.segment.as_ref().ok_or_else(|| io::Error::other("no segment"))?;
                let mut file = self.disk.open(name)?;
                file.cut(*length)?;
                file.sync()?;
                file
            }
        };
        Ok(self.file.insert(file))
    }
}

/// Days since 1970, UTC.
pub(super) fn day(at: Timestamp) -> i64 {
    at.as_secs().div_euclid(86_400)
}

/// RFC 3339 in UTC, with milliseconds.
fn stamp(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.as_millis()).map(|instant| format!("{instant:.3}")).unwrap_or_default()
}
