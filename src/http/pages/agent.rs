//! `GET /agents/{site}/{agent}`: one agent from what its site's inventory knows, and the same host elsewhere.
//!
//! Modules with values, events and charts are asked of the API by the page's script: they are read live, from the site.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::{Path, RawQuery};
use axum::http::StatusCode;
use axum::response::Response;

use super::super::parameters::Parameters;
use super::super::problem::Problem;
use super::super::states::Word;
use super::super::viewer::Viewer;
use super::home::Line;
use super::{Frame, page, shown};
use crate::clock::Deadline;
use crate::config::access::Permission;
use crate::domain::Query;
use crate::federation::{Held, Question, Report, Slot, Wanted};
use crate::sites::View;
use crate::wire::Linker as _;

/// So many rows of the same host on other sites.
const ELSEWHERE: usize = 50;

#[derive(Debug, Template)]
#[template(path = "agent.html")]
struct Page<'a> {
    frame: Frame,
    site: String,
    site_name: String,
    state: (&'static str, &'static str),
    trouble: Option<(String, String)>,
    /// `None` while nothing is known of the site.
    known: Option<Known<'a>>,
    id: &'a str,
    links: Vec<(&'static str, String)>,
    elsewhere: Vec<Line<'a>>,
}

#[derive(Debug)]
struct Known<'a> {
    agent: &'a crate::domain::Agent,
    status: &'static str,
    as_of: String,
    stale: bool,
    counts: Vec<(&'static str, String, u32)>,
    contact: String,
}

/// `GET /agents/{site}/{agent}`
pub(super) async fn agent(
    viewer: Viewer,
    Path((site, id)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    Parameters::read(query.as_deref(), &[])?;
    viewer.site_for(Permission::View, &site)?;
    let Some((slot, visible)) = viewer.view.seat(&site) else { return Err(gone(&site)) };
    let held = held(slot, Deadline::after(viewer.app.config.gateway.deadline)).await;
    let agent = held.as_ref().and_then(|held| held.inventory.agent(&id, visible));
    if held.is_some() && agent.is_none() {
        return Err(gone(&site));
    }
    let state = viewer.state(slot);
    let title = agent.as_ref().map_or_else(|| shown::text(&id), |agent| shown::name(&agent.alias));
    let frame = Frame::of(&viewer, "agent", title);
    let elsewhere = match &agent {
        Some(agent) => same_name(&viewer, &agent.alias).await,
        None => None,
    };
    let rows = elsewhere.as_ref().map(|report| report.rows.as_slice()).unwrap_or_default();
    let others = rows.iter().filter(|row| row.site.as_str() != site || row.hit.agent.id != id);
    let known = agent.as_ref().zip(held.as_ref()).map(|(agent, held)| Known {
        agent,
        status: shown::status(agent.status),
        as_of: shown::ago(held.as_of, frame.now),
        stale: !matches!(state.state, Word::Ok | Word::Idle),
        counts: counts(agent),
        contact: agent.last_contact.map_or_else(|| "never".to_owned(), |at| shown::ago(at, frame.now)),
    });
    let status = if known.is_some() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let template = Page {
        site_name: shown::name(&state.name),
        state: (state.state.as_str(), shown::site_word(state.state)),
        trouble: state
            .error
            .as_ref()
            .map(|error| (shown::text(&error.message), shown::span(error.since.until(frame.now)))),
        known,
        id: &id,
        links: links(slot, &viewer, &id),
        elsewhere: others.map(|row| Line::of(row, &viewer, frame.now)).collect(),
        frame,
        site,
    };
    Ok(page(status, &template))
}

/// What is known of the site; where that is nothing, what its first read brings within the deadline.
async fn held(slot: &Arc<Slot>, deadline: Deadline) -> Option<Held> {
    let look = slot.look(Wanted::Current);
    match (look.held, look.flight) {
        (None, Some(mut flight)) => {
            // Whether it came in time shows in what is held then.
            let _ = tokio::time::timeout_at(deadline.instant(), flight.wait()).await;
            slot.look(Wanted::Known).held
        }
        (held, _) => held,
    }
}

/// From what is known: reads no site.
async fn same_name(viewer: &Viewer, alias: &str) -> Option<Report> {
    let order = Parameters::read(Some("sort=status"), &["sort"]).ok()?.order().ok()?;
    let query = Query::named(alias);
    let question = Question { query, order, limit: ELSEWHERE, patience: Duration::ZERO, wanted: Wanted::Known };
    (!alias.trim().is_empty()).then_some(())?;
    Some(viewer.view.report(&question).await)
}

fn counts(agent: &crate::domain::Agent) -> Vec<(&'static str, String, u32)> {
    let counts = agent.modules;
    let all = [
        ("critical", counts.critical),
        ("warning", counts.warning),
        ("unknown", counts.unknown),
        ("normal", counts.normal),
        ("not_init", counts.not_init),
    ];
    all.into_iter().filter(|(_, count)| *count > 0).map(|(word, count)| (word, word.replace('_', " "), count)).collect()
}

/// The site's own pages of the agent.
fn links(slot: &Arc<Slot>, viewer: &Viewer, id: &str) -> Vec<(&'static str, String)> {
    let Ok(site) = &slot.plan().site else { return Vec::new() };
    let main = viewer.app.console(&slot.plan().id, id).map(String::from).unwrap_or_default();
    let more = [
        ("modules", View::Modules(id)),
        ("alerts", View::Alerts(id)),
        ("events", View::Events(id)),
        ("graphs", View::Graphs(id)),
    ];
    let more = more.map(|(word, view)| (word, site.link(view).to_string()));
    std::iter::once(("agent", main)).chain(more).collect()
}

fn gone(site: &str) -> Problem {
    let site: String = site.chars().take(63).collect();
    Problem::new(StatusCode::NOT_FOUND, "unknown_agent", format!("site `{site}` has no such agent"))
        .remedy("it may have been deleted, or moved to another site: search for its name")
}
