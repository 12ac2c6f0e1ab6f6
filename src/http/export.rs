//! All rows of a search, a line each, sent as they are made: for a spreadsheet, or as JSON.
//!
//! A piece of the body is made when the connection takes it, so a slow reader of a hundred thousand rows costs a few
//! hundred of them at a time. The record at the end says which sites are missing; a body without it was cut. It is cut
//! too when the viewer may not see all this any more: that is looked at again while it is taken.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt as _;

use super::Shared;
use super::problem::Problem;
use super::search::{SITES, counted, met};
use super::stream::{self, LOOK_AGAIN};
use super::viewer::Viewer;
use crate::clock::Stopwatch;
use crate::federation::{Export, Question, Row};
use crate::wire::Lines;

/// Rows of one piece.
const ROWS: usize = 256;

/// What is still to be sent.
struct Pieces {
    export: Export,
    form: Lines,
    viewer: Viewer,
    shared: Arc<Shared>,
    watch: Stopwatch,
    /// Since it was looked whether the viewer may still see all this.
    looked: Stopwatch,
    next: Next,
}

#[derive(Clone, Copy)]
enum Next {
    Begin,
    Rows,
    Nothing,
}

/// Answers a question with all rows.
pub(super) async fn answer(
    shared: Arc<Shared>,
    viewer: Viewer,
    question: &Question,
    form: Lines,
    all: bool,
) -> Result<Response, Problem> {
    let watch = Stopwatch::start();
    let export = viewer.view.export(question).await;
    shared.tally.answered(&export.report);
    let record = met(&export.report, all)?;
    let (kind, name) = match form {
        Lines::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"agents.csv\""),
        Lines::Ndjson => (stream::CONTENT_TYPE, "attachment; filename=\"agents.ndjson\""),
    };
    let looked = Stopwatch::start();
    let pieces = Pieces { export, form, viewer, shared, watch, looked, next: Next::Begin };
    // Fused: a compressor asks once more after the end.
    let body = futures_util::stream::unfold(pieces, |pieces| pieces.step()).fuse();
    let headers = [(CONTENT_TYPE, kind), (CONTENT_DISPOSITION, name)];
    Ok((headers, [(SITES, counted(record))], Body::from_stream(body)).into_response())
}

impl Pieces {
    async fn step(mut self) -> Option<(io::Result<Bytes>, Self)> {
        if self.looked.elapsed() >= LOOK_AGAIN && !matches!(self.next, Next::Nothing) {
            self.looked = Stopwatch::start();
            if !self.viewer.still(&self.shared.gateway).await {
                self.next = Next::Nothing;
                return Some((Err(io::Error::other("the viewer may not see all this any more")), self));
            }
        }
        Some((self.next()?, self))
    }

    fn next(&mut self) -> Option<io::Result<Bytes>> {
        let piece = match self.next {
            Next::Begin => {
                self.next = Next::Rows;
                self.form.begin()
            }
            Next::Rows => {
                let rows: Vec<Row> = self.export.by_ref().take(ROWS).collect();
                if rows.is_empty() {
                    self.next = Next::Nothing;
                    self.form.end(&self.export.report, self.watch.elapsed())
                } else {
                    self.form.rows(&rows, &self.viewer)
                }
            }
            Next::Nothing => return None,
        };
        Some(piece.map(Bytes::from))
    }
}
