//! `search` and `where`: one question to all sites the viewer may see.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Shared;
use super::accept::{self, Form};
use super::export;
use super::parameters::Parameters;
use super::problem::Problem;
use super::stream;
use super::viewer::Viewer;
use crate::clock::Stopwatch;
use crate::domain::{Completeness, Query};
use crate::federation::{Place, Question, Report};
use crate::wire;

/// Says of every answer how many sites are in it.
pub(super) const SITES: HeaderName = HeaderName::from_static("metaconsole-sites");

const OF_SEARCH: &[&str] =
    &["q", "format", "limit", "cursor", "sort", "deadline", "max_age", "fresh", "require", "explain"];
const OF_WHERE: &[&str] = &["name", "format", "limit", "sort", "deadline", "max_age", "fresh", "require"];

/// `GET /api/v1/search`
pub(super) async fn search(
    State(shared): State<Arc<Shared>>,
    viewer: Viewer,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let parameters = Parameters::read(query.as_deref(), OF_SEARCH)?;
    let form = match parameters.get("format") {
        Some(name) => accept::named(name)?,
        None => accept::form(&headers)?,
    };
    suits(form, &parameters)?;
    let query = Query::parse(parameters.get("q").unwrap_or(""))?;
    somewhere(&query, &viewer)?;
    viewer.searched(&shared.gateway, parameters.get("q").unwrap_or(""));
    let question = question(query, &parameters, form, &viewer)?;
    let all = parameters.requires_all()?;
    match form {
        Form::Stream => Ok(stream::answer(shared, viewer, &question)),
        Form::Lines(lines) => export::answer(shared, viewer, &question, lines, all).await,
        Form::Json => {
            let after = parameters.get("cursor").map(|cursor| Place::read(cursor, &question.query, question.order));
            let asked = Asked { after: after.transpose()?, all, explain: parameters.explains()? };
            answer(&shared, &viewer, &question, asked).await
        }
    }
}

/// What only some forms have.
fn suits(form: Form, parameters: &Parameters) -> Result<(), Problem> {
    let has = |name: &str| parameters.get(name).is_some();
    if form == Form::Stream && (has("cursor") || has("require")) {
        return Err(Problem::parameter(
            "a stream shows rows before all sites have answered, so it has neither `cursor` nor `require`",
        )
        .remedy("leave them, or accept application/json"));
    }
    if form != Form::Json && (has("cursor") || has("explain")) {
        return Err(Problem::parameter("only JSON has `cursor` and `explain`; other forms have all rows at once")
            .remedy("leave them, or accept application/json"));
    }
    Ok(())
}

/// What a JSON answer may be asked besides.
#[derive(Debug, Default)]
struct Asked {
    after: Option<Place>,
    all: bool,
    explain: bool,
}

/// `GET /api/v1/where`
pub(super) async fn locate(
    State(shared): State<Arc<Shared>>,
    viewer: Viewer,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let parameters = Parameters::read(query.as_deref(), OF_WHERE)?;
    let form = match parameters.get("format") {
        Some(name) => accept::named(name)?,
        None => accept::form(&headers)?,
    };
    if form == Form::Stream {
        let problem = Problem::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", "an exact name is not streamed");
        return Err(problem.remedy("accept application/json or text/csv, write `format=ndjson`, or stream a search"));
    }
    let name = parameters.get("name").unwrap_or("");
    if name.trim().is_empty() {
        return Err(Problem::parameter("`name` is missing").remedy("write the alias or name to look for"));
    }
    viewer.searched(&shared.gateway, &format!("name={name}"));
    let question = question(Query::named(name), &parameters, form, &viewer)?;
    let all = parameters.requires_all()?;
    match form {
        Form::Lines(lines) => export::answer(shared, viewer, &question, lines, all).await,
        Form::Json | Form::Stream => answer(&shared, &viewer, &question, Asked { all, ..Asked::default() }).await,
    }
}

fn question(query: Query, parameters: &Parameters, form: Form, viewer: &Viewer) -> Result<Question, Problem> {
    Ok(Question {
        query,
        order: parameters.order()?,
        limit: parameters.limit(form)?,
        patience: parameters.patience(&viewer.app.config.gateway)?,
        wanted: parameters.wanted()?,
    })
}

/// A site or tag that fits none the viewer may see: nothing would be found, which looks like all well.
pub(super) fn somewhere(query: &Query, viewer: &Viewer) -> Result<(), Problem> {
    let sites: Vec<_> =
        viewer.view.slots().map(|slot| (slot.plan().id.as_str(), slot.plan().tags.as_slice())).collect();
    let Some((field, value)) = query.nowhere(&sites).into_iter().next() else { return Ok(()) };
    let value: String = value.chars().take(63).collect();
    Err(Problem::new(StatusCode::BAD_REQUEST, "unknown_site", format!("`{field}:{value}` fits no site"))
        .remedy("see /api/v1/sites for those there are, and their tags"))
}

async fn answer(shared: &Shared, viewer: &Viewer, question: &Question, asked: Asked) -> Result<Response, Problem> {
    let watch = Stopwatch::start();
    let report = match asked.after {
        None => viewer.view.report(question).await,
        Some(place) => viewer.view.page(question, place).await,
    };
    shared.tally.answered(&report);
    let record = met(&report, asked.all)?;
    let mut answer = wire::answer(&report, watch.elapsed(), viewer);
    answer.next_cursor = report.next.as_ref().map(|place| place.cursor(&question.query, question.order));
    answer.explain = asked.explain.then(|| {
        let explanation = viewer.view.explain(question, &report);
        wire::explain(explanation, question.order.to_string(), &report, question.query.contradicts())
    });
    Ok(([(SITES, counted(record))], json(&answer)).into_response())
}

/// The completeness record; a problem where all sites are required and not all are there.
pub(super) fn met(report: &Report, all: bool) -> Result<Completeness, Problem> {
    let record = report.completeness();
    if all && !record.is_complete() { Err(not_met(report)) } else { Ok(record) }
}

fn not_met(report: &Report) -> Problem {
    let record = report.completeness();
    let outcomes: Vec<_> = report.sites.iter().map(wire::outcome).collect();
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "require_not_met",
        format!("not every site is in the answer with all its current rows ({record})"),
    )
    .remedy("see `sites` for why, or ask without `require=all`")
    .sites(serde_json::to_value(outcomes).unwrap_or_default())
    .header(SITES, counted(record))
}

/// The completeness record as a header's value.
pub(super) fn counted(record: Completeness) -> HeaderValue {
    HeaderValue::from_str(&record.to_string()).unwrap_or(HeaderValue::from_static("unknown"))
}

/// A record as an answer.
pub(super) fn json(record: &impl Serialize) -> Response {
    match serde_json::to_vec(record) {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(_) => unwritten().into_response(),
    }
}

pub(super) fn unwritten() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the answer could not be written")
        .remedy("please report it with the request id")
}
