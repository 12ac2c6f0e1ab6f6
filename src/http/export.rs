//! All rows of a search, a line each, sent as they are made: for a spreadsheet, or as JSON.
//!
//! A piece of the body is made when the connection takes it, so a slow reader of a hundred thousand rows costs a few
//! hundred of them at a time. The record at the end says which sites are missing; a body without it was cut.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt as _;

use super::problem::Problem;
use super::search::{SITES, counted, met};
use super::viewer::Viewer;
use super::{Shared, stream};
use crate::app::App;
use crate::clock::Stopwatch;
use crate::federation::{Export, Question, Row};
use crate::wire::Lines;

/// Rows of one piece.
const ROWS: usize = 256;

/// What is still to be sent.
struct Pieces {
    export: Export,
    form: Lines,
    app: Arc<App>,
    watch: Stopwatch,
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
    let pieces = Pieces { export, form, app: viewer.app, watch, next: Next::Begin };
    // Fused: a compressor asks once more after the end.
    let body = futures_util::stream::unfold(pieces, async |mut pieces| Some((pieces.next()?, pieces))).fuse();
    let headers = [(CONTENT_TYPE, kind), (CONTENT_DISPOSITION, name)];
    Ok((headers, [(SITES, counted(record))], Body::from_stream(body)).into_response())
}

impl Pieces {
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
                    self.form.rows(&rows, self.app.as_ref())
                }
            }
            Next::Nothing => return None,
        };
        Some(piece.map(Bytes::from))
    }
}
