//! Searches are many: one line for each viewer and query that they settled on.
//!
//! While somebody types, each query extends or shortens the one before; those count as one, recorded a second after the
//! last, and at the latest five seconds after the first. Any other query is recorded by itself, so nobody can hide one
//! by asking another right after it.

use std::collections::HashMap;
use std::time::Duration;

use super::record::Record;
use crate::clock::Timestamp;

const SETTLED: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(5);
/// More viewers at a time than this are recorded one by one.
const MOST: usize = 10_000;
/// What is kept of a query; a line holds no more either.
const KEPT: usize = 2048;

#[derive(Debug)]
struct Typing {
    query: String,
    first: Timestamp,
    last: Timestamp,
    count: u64,
}

impl Typing {
    fn due(&self) -> Timestamp {
        let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let after = |at: Timestamp, span| Timestamp::from_millis(at.as_millis().saturating_add(millis(span)));
        after(self.last, SETTLED).min(after(self.first, LONGEST))
    }

    fn record(&self, viewer: &str) -> Record {
        Record::search(viewer, &self.query, self.count)
    }
}

/// Collects searches; time is passed in.
#[derive(Debug, Default)]
pub struct Batcher {
    viewers: HashMap<String, Typing>,
}

impl Batcher {
    /// `viewer` asked `query`. Gives what must be recorded right now, if anything.
    #[must_use]
    pub fn saw(&mut self, viewer: &str, query: &str, now: Timestamp) -> Option<Record> {
        let query: String = query.chars().take(KEPT).collect();
        if let Some(typing) = self.viewers.get_mut(viewer) {
            let same = query.starts_with(&typing.query) || typing.query.starts_with(&query);
            if same && now < typing.due() {
                typing.query = query;
                typing.last = now;
                typing.count = typing.count.saturating_add(1);
                return None;
            }
            let settled = typing.record(viewer);
            *typing = Typing { query, first: now, last: now, count: 1 };
            return Some(settled);
        }
        let typing = Typing { query, first: now, last: now, count: 1 };
        if self.viewers.len() >= MOST {
            return Some(typing.record(viewer));
        }
        self.viewers.insert(viewer.to_owned(), typing);
        None
    }

    /// What has settled by now.
    #[must_use]
    pub fn settled(&mut self, now: Timestamp) -> Vec<Record> {
        self.viewers
            .extract_if(|_, typing| typing.due() <= now)
            .map(|(viewer, typing)| typing.record(&viewer))
            .collect()
    }

    /// When the next one settles.
    pub fn next(&self) -> Option<Timestamp> {
        self.viewers.values().map(Typing::due).min()
    }

    /// Everything, at the end of the process.
    #[must_use]
    pub fn rest(&mut self) -> Vec<Record> {
        self.viewers.drain().map(|(viewer, typing)| typing.record(&viewer)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn typing_is_one_line_a_second_after_it_ends() {
        let mut batcher = Batcher::default();
        for (millis, query) in [(0, "w"), (200, "we"), (400, "web"), (600, "we"), (700, "web1")] {
            assert_eq!(batcher.saw("local:ana", query, at(millis)), None, "{query}");
        }
        assert_eq!(batcher.settled(at(1699)), []);
        assert_eq!(batcher.next(), Some(at(1700)));
        assert_eq!(batcher.settled(at(1700)), [Record::search("local:ana", "web1", 5)]);
        assert_eq!(batcher.next(), None);
    }

    #[test]
    fn a_query_cannot_be_hidden_behind_another() {
        let mut batcher = Batcher::default();
        assert_eq!(batcher.saw("local:ana", "payroll", at(0)), None);
        assert_eq!(batcher.saw("local:ana", "web", at(10)), Some(Record::search("local:ana", "payroll", 1)));
        assert_eq!(batcher.saw("local:bo", "web", at(20)), None);
        let mut rest = 0;
        for step in 1..100 {
            rest += usize::from(batcher.saw("local:ana", "web", at(10 + step * 900)).is_some());
        }
        assert!((15..=20).contains(&rest), "somebody who never stops is recorded every five seconds, not {rest} times");
        assert_eq!(batcher.rest().len(), 2);
    }
}
