//! A search's answer as lines of JSON: what is known at once, one record a site when its read ends, then a summary.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE as CONTENT_TYPE_HEADER};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::Serialize;
use tokio::time::{Interval, MissedTickBehavior};

use super::Shared;
use super::search::{SITES, counted};
use super::viewer::Viewer;
use crate::clock::Stopwatch;
use crate::federation::{Answers, Merge, Question};
use crate::wire;

/// One JSON record a line.
pub(super) const CONTENT_TYPE: &str = "application/x-ndjson";

/// How often it is looked whether the viewer may still see all this.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// The last line for somebody whose rights have changed.
const SIGNED_OUT: &str = "signed_out";

#[derive(Debug, Serialize)]
struct Ended {
    ended: &'static str,
}

/// The lines still to come. Dropping it drops only the waiting; reads go on.
struct Lines {
    answers: Answers,
    /// `None` after the summary.
    merge: Option<Merge>,
    viewer: Viewer,
    watch: Stopwatch,
    shared: Arc<Shared>,
    /// When it is looked again whether the viewer may still see all this.
    look: Interval,
}

/// Answers a question as a stream.
pub(super) fn answer(shared: Arc<Shared>, viewer: Viewer, question: &Question) -> Response {
    let answers = viewer.view.stream(question);
    let record = answers.at_the_begin();
    let merge = Some(Merge::new(question));
    let watch = Stopwatch::start();
    let mut look = tokio::time::interval_at(watch.instant() + LOOK_AGAIN, LOOK_AGAIN);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let lines = Lines { answers, merge, viewer, watch, shared, look };
    let body = Body::from_stream(futures_util::stream::unfold(lines, |lines| lines.next()).fuse());
    let headers = [
        (CONTENT_TYPE_HEADER, CONTENT_TYPE),
        (CACHE_CONTROL, "no-store, no-transform"),
        // A proxy would keep lines back until it has enough of them.
        (axum::http::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, [(SITES, counted(record))], body).into_response()
}

impl Lines {
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        self.merge.as_ref()?;
        let answer = loop {
            tokio::select! {
                // Who takes the records slowly finds always one that is ready.
                biased;
                _now = self.look.tick() => if !self.viewer.still(&self.shared.gateway).await {
                    self.merge = None;
                    return Some((Ok(line(&Ended { ended: SIGNED_OUT })), self));
                },
                answer = self.answers.next() => break answer,
            }
        };
        let line = match answer {
            Some(answer) => {
                let line = line(&wire::site_record(&answer, &self.viewer));
                self.merge.as_mut()?.fold(answer);
                line
            }
            None => {
                let report = self.merge.take()?.finish();
                self.shared.tally.answered(&report);
                line(&wire::summary(&report, self.watch.elapsed()))
            }
        };
        Some((Ok(line), self))
    }
}

fn line(record: &impl Serialize) -> Bytes {
    // Our records hold nothing that JSON cannot, and JSON has no line end inside of a text.
    let mut line = serde_json::to_vec(record).unwrap_or_default();
    line.push(b'\n');
    line.into()
}
