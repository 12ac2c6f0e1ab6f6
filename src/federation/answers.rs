//! The answers of all sites, in the order in which they come. Dropping them drops only the waiting, and what has not
//! been looked through yet.
//!
//! One question looks through one site's rows at a time, and lets others have a turn in between: first all small
//! inventories, then the large ones, each in a place of its own (see `found.rs`), while waiting goes on.

use std::collections::VecDeque;
use std::fmt;

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::call::{Begun, Call, Done, Due, SiteAnswer};
use super::found::SMALL;
use crate::domain::{Completeness, Outcome};

/// See the module's text.
#[derive(Default)]
pub struct Answers {
    /// What can be said, to be looked through here.
    small: VecDeque<Due>,
    /// What can be said, to be looked through elsewhere.
    large: VecDeque<Due>,
    /// The one that is, at most.
    searching: FuturesUnordered<BoxFuture<'static, Done>>,
    /// The calls that wait for a read.
    waiting: FuturesUnordered<BoxFuture<'static, Due>>,
    /// Effort since others had a turn.
    effort: usize,
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answers({} pending)", self.pending())
    }
}

impl Answers {
    /// Begins all calls: whatever reads they cause, they cause now.
    pub(super) fn of(calls: impl Iterator<Item = Call>, known_first: bool) -> Self {
        let mut answers = Self::default();
        for call in calls {
            match call.begin(known_first) {
                Begun::Due(due) => answers.sort_in(*due),
                Begun::Waits(rest) => answers.waiting.push(rest),
            }
        }
        answers
    }

    /// How it stands before anybody has been waited for: a site of which nothing can be said yet counts as failed.
    pub fn at_the_begin(&self) -> Completeness {
        let said: Vec<Outcome> = self.small.iter().chain(&self.large).filter_map(Due::contribution).collect();
        let mut record = Completeness::of(&said);
        record.failed += self.pending().saturating_sub(said.len());
        record
    }

    /// How many sites have not said their last.
    pub fn pending(&self) -> usize {
        self.small.len() + self.large.len() + self.searching.len() + self.waiting.len()
    }

    /// The next answer; `None` after the last. Nothing is lost when it is dropped while it waits.
    pub async fn next(&mut self) -> Option<SiteAnswer> {
        loop {
            if self.effort >= SMALL {
                self.effort = 0;
                tokio::task::yield_now().await;
            }
            let done = match self.small.pop_front() {
                Some(due) => {
                    self.effort = self.effort.saturating_add(due.effort());
                    due.here()
                }
                None => self.step().await?,
            };
            self.waiting.extend(done.rest);
            if done.answer.is_some() {
                return done.answer;
            }
        }
    }

    /// What is done next among large inventories and reads; `None`: nothing is left.
    async fn step(&mut self) -> Option<Done> {
        loop {
            if self.searching.is_empty()
                && let Some(due) = self.large.pop_front()
            {
                self.searching.push(due.elsewhere().boxed());
            }
            tokio::select! {
                biased;
                Some(done) = self.searching.next() => return Some(done),
                Some(due) = self.waiting.next() => {
                    if due.is_small() {
                        self.effort = self.effort.saturating_add(due.effort());
                        return Some(due.here());
                    }
                    self.large.push_back(due);
                }
                else => return None,
            }
        }
    }

    fn sort_in(&mut self, due: Due) {
        let queue = if due.is_small() { &mut self.small } else { &mut self.large };
        queue.push_back(due);
    }
}
