//! `GET /agents/{site}/{agent}`: one agent from what its site's inventory knows, and the same host elsewhere.
//!
//! Modules with values, events and charts are asked of the API by the page's script: they are read live, from the site.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::{Path, RawQuery};
use axum::http::StatusCode;
use axum::response::Response;

use super::super::me;
use super::super::parameters::Parameters;
use super::super::problem::Problem;
use super::super::states::Word;
use super::super::viewer::Viewer;
use super::home::Line;
use super::{Frame, page, shown};
use crate::clock::{Deadline, Timestamp};
use crate::config::access::Permission;
use crate::domain::{Contribution, Query};
use crate::federation::{Held, Question, Report, Slot, Wanted};
use crate::sites::View;

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
    /// The same agent in our API.
    api: String,
    door: Option<Door>,
    elsewhere: Vec<Line<'a>>,
    /// Sites that nobody can look through now.
    blind: usize,
}

/// The way into the site's console.
#[derive(Debug)]
struct Door {
    /// As whom; where there is none, people log in there.
    account: Option<String>,
    /// Why there is none.
    why: &'static str,
    main: String,
    /// The other views of the agent.
    more: Vec<(&'static str, String)>,
}

/// Whether an alert has fired, as far as that is known.
#[derive(Debug)]
struct Alerts {
    fired: bool,
    as_of: String,
}

#[derive(Debug)]
struct Known<'a> {
    agent: &'a crate::domain::Agent,
    status: &'static str,
    as_of: String,
    stale: bool,
    counts: Vec<(&'static str, String, u32)>,
    contact: String,
    alerts: Result<Alerts, String>,
}

/// `GET /agents/{site}/{agent}`
pub(super) async fn agent(
    viewer: Viewer,
    Path((site, id)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    Parameters::read(query.as_deref(), &[])?;
    let viewable = viewer.agents_for(Permission::View, &site)?;
    let Some((slot, visible)) = viewer.view.seat(&site) else { return Err(gone(&site)) };
    let held = held(slot, Deadline::after(viewer.app.config.gateway.deadline)).await;
    let agent = held.as_ref().and_then(|held| {
        // Who finds an agent may not yet see its alerts.
        held.inventory.agent(&id, visible).filter(|_| held.inventory.agent(&id, &viewable).is_some())
    });
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
    let blind = elsewhere
        .as_ref()
        .map_or(0, |report| report.sites.iter().filter(|outcome| outcome.contribution == Contribution::Failed).count());
    let others = rows.iter().filter(|row| row.site.as_str() != site || row.hit.agent.id != id);
    let known = agent.as_ref().zip(held.as_ref()).map(|(agent, held)| Known {
        agent,
        status: shown::status(agent.status),
        as_of: shown::ago(held.as_of, frame.now),
        stale: !matches!(state.state, Word::Ok | Word::Idle),
        counts: counts(agent),
        contact: agent.last_contact.map_or_else(|| "never".to_owned(), |at| shown::ago(at, frame.now)),
        alerts: alerts(slot, &id, frame.now),
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
        api: format!("{}api/v1/sites/{site}/agents/{}", frame.base, segment(&id)),
        door: door(slot, &viewer, &id)?,
        blind,
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

/// What was told last of its alerts: reads no site. Nothing, or nothing recent: why.
fn alerts(slot: &Slot, id: &str, now: Timestamp) -> Result<Alerts, String> {
    let look = slot.look_alerts(false);
    let told = look.shown().map(|held| Alerts { fired: held.fired.contains(id), as_of: shown::ago(held.as_of, now) });
    told.ok_or_else(|| look.failure.as_ref().map(|why| shown::text(&why.error.message)).unwrap_or_default())
}

/// How the site's pages of the agent are reached: handed over, where this person has an account there, or by its login.
fn door(slot: &Slot, viewer: &Viewer, id: &str) -> Result<Option<Door>, Problem> {
    let Ok(site) = &slot.plan().site else { return Ok(None) };
    let (word, account, _) = me::at(viewer, slot)?;
    let why = match word {
        "no_account" => "no account there is linked to you",
        "not_granted" => "you do not have the right to open it from here",
        "closed" => "nobody can be handed over now",
        _ => "",
    };
    let handed = |view: &str| {
        format!("{}open/{}?view={view}:{}", viewer.app.config.gateway.public_url.path(), slot.plan().id, segment(id))
    };
    let link = |word: &'static str, view: View<'_>| match &account {
        Some(_) => handed(word),
        None => site.link(view).to_string(),
    };
    let more = [
        ("modules", View::Modules(id)),
        ("alerts", View::Alerts(id)),
        ("events", View::Events(id)),
        ("graphs", View::Graphs(id)),
    ];
    let more = more.map(|(word, view)| (word, link(word, view)));
    let main = link("agent", View::Agent(id));
    Ok(Some(Door { account, why, main, more: more.into() }))
}

/// An id as one part of an address.
fn segment(id: &str) -> String {
    url::form_urlencoded::byte_serialize(id.as_bytes()).collect::<String>().replace('+', "%20")
}

fn gone(site: &str) -> Problem {
    let site: String = site.chars().take(63).collect();
    Problem::new(StatusCode::NOT_FOUND, "unknown_agent", format!("site `{site}` has no such agent"))
        .remedy("it may have been deleted, or moved to another site: search for its name")
}
