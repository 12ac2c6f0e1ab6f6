//! Walking a site's events, newest first, page by page, so that none is lost or doubled while new ones come.
//!
//! A site sends events by offset, newest first, those of one second in any order, and perhaps in another one each time.
//! Here the order is total: by second, then by number, both falling. So:
//!
//! - A second counts only when all of it came in one answer; one that an answer cuts is asked for again, whole.
//! - A page ends at a place in the order, an [`EventPlace`], never at an offset. New events push the others to higher
//!   offsets, so looking from where the last page stood finds some again, and they are passed over. If what stands there
//!   is not newer than the place, events in front are gone, and the walk steps back until it is.
//! - What a page costs is bounded: it may end with few or no events, and a place to go on from.

use std::fmt;
use std::str::FromStr;

use crate::clock::{Deadline, Timestamp};
use crate::domain::{ErrorCode, SiteError};
use crate::sites::{Event, Events, Site};

/// Events of one answer, and at most where one second has more.
const STEP: u64 = 200;
const MOST: u64 = 3200;

/// No site has so many events. An offset beyond is none that a page gave.
const FARTHEST: u64 = 1 << 32;

/// Answers that a page may cost.
const ANSWERS: usize = 10;

/// Where a page of events ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPlace {
    /// The second of the last event.
    second: i64,
    /// Its number. 0: the whole second is behind us.
    id: u64,
    /// Events before that second, when it was looked at.
    offset: u64,
}

impl fmt::Display for EventPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.second, self.id, self.offset)
    }
}

impl FromStr for EventPlace {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut numbers = text.splitn(3, '-').map(|word| word.parse::<u64>().map_err(|_| ()));
        let mut next = || numbers.next().ok_or(())?;
        let (second, id, offset) = (next()?, next()?, next()?);
        if offset > FARTHEST {
            return Err(());
        }
        Ok(Self { second: i64::try_from(second).map_err(|_| ())?, id, offset })
    }
}

/// Some events, newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventPage {
    /// Those that were wanted.
    pub events: Vec<Event>,
    /// Where to go on; `None` after the oldest event.
    pub next: Option<EventPlace>,
    /// Events before this were not looked at; `None`: all were.
    pub back_to: Option<Timestamp>,
    /// Why it ended before its time.
    pub error: Option<SiteError>,
}

impl EventPage {
    /// Without an event, for this reason.
    pub(super) fn failed(error: SiteError) -> Self {
        Self { error: Some(error), ..Self::default() }
    }

    /// For somebody who may not see all events of the site: whether and when there are others shows neither in where it
    /// ends nor in whether it goes on. A page with `limit` events ends with the last of them, and is never the last.
    #[must_use]
    pub fn in_part(mut self, limit: usize) -> Self {
        match self.events.last().filter(|_| self.events.len() == limit) {
            Some(last) => {
                let offset = self.next.map_or(0, |place| place.offset);
                self.next = Some(EventPlace { second: last.at.as_secs(), id: last.id, offset });
                self.back_to = Some(last.at);
            }
            None => {
                let minute = |at: Timestamp| Timestamp::from_secs(at.as_secs().div_euclid(60).saturating_add(1) * 60);
                self.back_to = self.back_to.map(minute);
            }
        }
        self
    }
}

/// The next `limit` events behind `after` that are wanted.
pub(super) async fn walk(
    site: &dyn Site,
    after: Option<EventPlace>,
    limit: usize,
    wanted: impl Fn(&Event) -> bool,
    deadline: Deadline,
) -> EventPage {
    let mut walk =
        Walk { after, offset: after.map_or(0, |place| place.offset), step: STEP, events: Vec::new(), lost: None };
    let mut back = STEP;
    for _ in 0..ANSWERS {
        let asked = tokio::time::timeout_at(deadline.instant(), site.events(walk.offset, walk.step, deadline)).await;
        let answer = match asked.unwrap_or_else(|_| Err(late())) {
            Ok(answer) => answer,
            Err(error) => return walk.end(Some(error)),
        };
        if walk.is_too_far(&answer) {
            walk.offset = walk.offset.saturating_sub(back);
            back = back.saturating_mul(4);
            // Whoever goes on begins here: a page that only steps back is no page for nothing.
            if let Some(place) = &mut walk.after {
                place.offset = walk.offset;
            }
            continue;
        }
        match walk.take(answer, limit, &wanted) {
            Taken::All => return EventPage { events: walk.events, error: walk.lost, ..EventPage::default() },
            Taken::Enough => return walk.end(None),
            Taken::Some => {}
        }
    }
    walk.end(None)
}

fn late() -> SiteError {
    SiteError::new(ErrorCode::Timeout, "its events did not come in time").remedy("allow more time")
}

struct Walk {
    after: Option<EventPlace>,
    offset: u64,
    step: u64,
    events: Vec<Event>,
    /// Why some are missing.
    lost: Option<SiteError>,
}

enum Taken {
    /// Nothing is left.
    All,
    /// As many as were wanted.
    Enough,
    Some,
}

impl Walk {
    /// Where it stands is where whoever goes on begins.
    fn end(self, error: Option<SiteError>) -> EventPage {
        let back_to = self.after.map(|place| Timestamp::from_secs(place.second));
        EventPage { events: self.events, next: self.after, back_to, error: error.or(self.lost) }
    }

    /// Whether events that come next may stand before this answer.
    fn is_too_far(&self, answer: &Events) -> bool {
        let Some(place) = self.after.filter(|_| self.offset > 0) else { return false };
        let newest = if place.id == 0 { place.second } else { place.second.saturating_add(1) };
        answer.events.first().map_or(answer.sent == 0, |first| first.at.as_secs() < newest)
    }

    fn take(&mut self, answer: Events, limit: usize, wanted: &impl Fn(&Event) -> bool) -> Taken {
        let last = answer.sent < self.step;
        let mut events = answer.events;
        let cut = events.last().filter(|_| !last).map(|event| event.at.as_secs());
        let mut whole = cut.map_or(events.len(), |cut| events.partition_point(|event| event.at.as_secs() > cut));
        if whole < 2 && cut.is_some() {
            // The one before it shows only where we are.
            if self.step < MOST {
                self.step *= 2;
                return Taken::Some;
            }
            whole = events.len();
            self.lost = Some(crowded());
        }
        events.truncate(whole);
        let places = offsets(&events, self.offset);
        let oldest = places.last().map(|(second, _)| *second);
        events.sort_by_key(|event| std::cmp::Reverse((event.at, event.id)));
        for event in events {
            let second = event.at.as_secs();
            if self.after.is_some_and(|place| (second, event.id) >= (place.second, place.id)) {
                continue;
            }
            if self.events.len() == limit {
                return Taken::Enough;
            }
            let offset = places.iter().rev().find(|(newer, _)| *newer > second).map_or(self.offset, |(_, at)| *at);
            self.after = Some(EventPlace { second, id: event.id, offset });
            if wanted(&event) {
                self.events.push(event);
            }
        }
        if last {
            return Taken::All;
        }
        // Rows that could not be understood are not counted, so this is a little low rather than too high. One that was
        // passed stands before what comes next, and shows that nothing is missed.
        let passed = if cut.is_none() { answer.sent } else { u64::try_from(whole).unwrap_or(0).saturating_sub(1) };
        self.offset = self.offset.saturating_add(passed);
        if let Some(place) = &mut self.after {
            place.offset = self.offset;
            // Or all that was looked at is newer: then its second is still to come.
            if oldest.is_some_and(|oldest| oldest <= place.second) {
                place.id = 0;
            }
        }
        Taken::Some
    }
}

fn crowded() -> SiteError {
    SiteError::new(
        ErrorCode::TooLarge,
        format!("more than {MOST} events are of one second, and some of them are missing"),
    )
    .remedy("look at them in the site's console")
}

/// Each second with the offset of its last event, newest first.
fn offsets(events: &[Event], from: u64) -> Vec<(i64, u64)> {
    let mut offsets: Vec<(i64, u64)> = Vec::new();
    for (event, at) in events.iter().zip(from..) {
        let second = event.at.as_secs();
        match offsets.last_mut() {
            Some(last) if last.0 == second => last.1 = at,
            _ => offsets.push((second, at)),
        }
    }
    offsets
}

#[cfg(test)]
mod tests;
