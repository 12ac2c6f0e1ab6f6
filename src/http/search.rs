//! `search`, `where` and `suggest`: one question to all sites the viewer may see.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Shared;
use super::accept::{Form, form};
use super::parameters::Parameters;
use super::problem::Problem;
use super::stream;
use super::viewer::Viewer;
use crate::app::App;
use crate::clock::Stopwatch;
use crate::domain::{Completeness, Query};
use crate::federation::{Question, Report, Wanted};
use crate::inventory::Order;
use crate::wire;

/// Says of every answer how many sites are in it.
pub(super) const SITES: HeaderName = HeaderName::from_static("metaconsole-sites");

/// Completions of one answer.
const SUGGESTIONS: usize = 10;

/// Looked through for completions: agents of several sites may have the same alias.
const LOOKED_THROUGH: usize = 50;

const OF_SEARCH: &[&str] = &["q", "limit", "cursor", "sort", "deadline", "max_age", "fresh", "require", "explain"];
const OF_WHERE: &[&str] = &["name", "limit", "sort", "deadline", "max_age", "fresh", "require"];

/// `GET /api/v1/search`
pub(super) async fn search(
    State(shared): State<Arc<Shared>>,
    viewer: Viewer,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let form = form(&headers)?;
    let parameters = Parameters::read(query.as_deref(), OF_SEARCH)?;
    if form == Form::Stream && (parameters.get("cursor").is_some() || parameters.get("require").is_some()) {
        return Err(Problem::parameter(
            "a stream shows rows before all sites have answered, so it has neither `cursor` nor `require`",
        )
        .remedy("leave them, or accept application/json"));
    }
    for later in ["cursor", "explain"] {
        if parameters.get(later).is_some() {
            return Err(Problem::new(StatusCode::BAD_REQUEST, "not_yet", format!("`{later}` is not in this version"))
                .remedy("leave it"));
        }
    }
    let query = Query::parse(parameters.get("q").unwrap_or(""))?;
    somewhere(&query, &viewer)?;
    let question = question(query, &parameters, form, &viewer)?;
    match form {
        Form::Stream => Ok(stream::answer(shared, viewer, &question)),
        Form::Json | Form::Csv => answer(&shared, &viewer, &question, form, parameters.requires_all()?).await,
    }
}

/// `GET /api/v1/where`
pub(super) async fn locate(
    State(shared): State<Arc<Shared>>,
    viewer: Viewer,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let form = form(&headers)?;
    if form == Form::Stream {
        let problem = Problem::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", "an exact name is not streamed");
        return Err(problem.remedy("accept application/json or text/csv, or stream a search"));
    }
    let parameters = Parameters::read(query.as_deref(), OF_WHERE)?;
    let name = parameters.get("name").unwrap_or("");
    if name.trim().is_empty() {
        return Err(Problem::parameter("`name` is missing").remedy("write the alias or name to look for"));
    }
    let question = question(Query::named(name), &parameters, form, &viewer)?;
    answer(&shared, &viewer, &question, form, parameters.requires_all()?).await
}

#[derive(Debug, Serialize)]
struct Suggestions<'a> {
    query: String,
    suggestions: Vec<&'a str>,
}

/// `GET /api/v1/suggest`: from what is known; reads no site.
pub(super) async fn suggest(viewer: Viewer, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let parameters = Parameters::read(query.as_deref(), &["q"])?;
    let query = Query::half_typed(parameters.get("q").unwrap_or(""))?;
    let patience = viewer.app.config.gateway.deadline;
    let question = Question { query, order: Order::Rank, limit: LOOKED_THROUGH, patience, wanted: Wanted::Known };
    let report = viewer.view.known(&question).await;
    let mut suggestions: Vec<&str> = Vec::new();
    for row in &report.rows {
        let alias = row.hit.agent.alias.as_str();
        if suggestions.len() < SUGGESTIONS && !suggestions.contains(&alias) {
            suggestions.push(alias);
        }
    }
    let answer = json(&Suggestions { query: report.query.clone(), suggestions });
    Ok(([(SITES, counted(report.completeness()))], answer).into_response())
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
fn somewhere(query: &Query, viewer: &Viewer) -> Result<(), Problem> {
    let sites: Vec<_> =
        viewer.view.slots().map(|slot| (slot.plan().id.as_str(), slot.plan().tags.as_slice())).collect();
    let Some((field, value)) = query.nowhere(&sites).into_iter().next() else { return Ok(()) };
    let value: String = value.chars().take(63).collect();
    Err(Problem::new(StatusCode::BAD_REQUEST, "unknown_site", format!("`{field}:{value}` fits no site"))
        .remedy("see /api/v1/sites for those there are, and their tags"))
}

async fn answer(
    shared: &Shared,
    viewer: &Viewer,
    question: &Question,
    form: Form,
    all: bool,
) -> Result<Response, Problem> {
    let watch = Stopwatch::start();
    let report = viewer.view.report(question).await;
    shared.tally.answered(&report);
    let record = report.completeness();
    if all && !record.is_complete() {
        return Err(not_met(&report));
    }
    let answer = match form {
        Form::Csv => csv(&report, &viewer.app)?,
        Form::Json | Form::Stream => json(&wire::answer(&report, watch.elapsed(), viewer.app.as_ref())),
    };
    Ok(([(SITES, counted(record))], answer).into_response())
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

fn csv(report: &Report, app: &App) -> Result<Response, Problem> {
    let text = wire::csv(report, app).map_err(|_| unwritten())?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"agents.csv\""),
    ];
    Ok((headers, text).into_response())
}

fn unwritten() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the answer could not be written")
        .remedy("please report it with the request id")
}
