//! The sites and their state: all, one, a probe, and the pulse. Only the probe causes a read.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, RawQuery};
use axum::response::Response;
use serde::Serialize;

use super::parameters::Parameters;
use super::planned::{Window, planned};
use super::problem::Problem;
use super::search::json;
use super::states::{State, Trouble, Word};
use super::viewer::Viewer;
use crate::clock::{Deadline, Timestamp};
use crate::config::access::Permission;
use crate::domain::SiteId;
use crate::federation::{PastRead, Slot, Wanted};
use crate::wire::millis;

#[derive(Debug, Serialize)]
struct All {
    sites: Vec<State>,
}

/// `GET /api/v1/sites`
pub(super) async fn all(viewer: Viewer, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    Parameters::read(query.as_deref(), &[])?;
    Ok(json(&All { sites: viewer.view.slots().map(|slot| viewer.state(slot)).collect() }))
}

/// One of its last reads.
#[derive(Debug, Serialize)]
struct Read {
    at: Timestamp,
    took_ms: u64,
    ok: bool,
}

impl Read {
    fn of(read: &PastRead) -> Self {
        Self { at: read.at, took_ms: millis(read.cost), ok: read.ok }
    }
}

/// A site alone has more to tell.
#[derive(Debug, Serialize)]
struct One {
    #[serde(flatten)]
    site: State,
    /// Why its ordinary reads are as far apart as they are.
    interval_because: String,
    /// Oldest first.
    reads: Vec<Read>,
    /// Planned work that runs or comes soon, where that is known. Asking for this reads nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    planned: Option<Vec<Window>>,
}

/// `GET /api/v1/sites/{site}`
pub(super) async fn one(
    viewer: Viewer,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    Parameters::read(query.as_deref(), &[])?;
    let slot = viewer.site(&id)?;
    let reads = slot.past().iter().map(Read::of).collect();
    let planned = planned(&viewer, slot, false).map(|planned| planned.windows);
    Ok(json(&One { site: viewer.state(slot), interval_because: slot.pace(), reads, planned }))
}

/// How a probe went.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Probed {
    /// A read ended while the asker waited.
    Read,
    /// It still runs.
    Running,
    /// The last read is too recent, or the site is never asked.
    NotStarted,
}

#[derive(Debug, Serialize)]
struct Probe {
    probe: Probed,
    #[serde(flatten)]
    site: State,
}

/// `POST /api/v1/sites/{site}/probe`: reads the site now, if it may be, and answers its state. Never writes.
pub(super) async fn probe(
    viewer: Viewer,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let parameters = Parameters::read(query.as_deref(), &["deadline"])?;
    let deadline = Deadline::after(parameters.patience(&viewer.app.config.gateway)?);
    let slot = viewer.site_for(Permission::View, &id)?;
    let probe = wait(slot, deadline).await;
    Ok(json(&Probe { probe, site: viewer.state(slot) }))
}

/// Reads a site now, if it may be, and waits for that.
pub(super) async fn wait(slot: &Arc<Slot>, deadline: Deadline) -> Probed {
    let Some(mut flight) = slot.look(Wanted::Probe).flight else { return Probed::NotStarted };
    match tokio::time::timeout_at(deadline.instant(), flight.wait()).await {
        Ok(()) => Probed::Read,
        Err(_) => Probed::Running,
    }
}

/// A site that needs a look.
#[derive(Debug, Serialize)]
struct Troubled {
    id: SiteId,
    state: Word,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Trouble>,
}

#[derive(Debug, Serialize)]
struct Pulse {
    /// How many sites are in each state.
    sites: BTreeMap<&'static str, usize>,
    /// Those that need a look.
    trouble: Vec<Troubled>,
}

/// `GET /api/v1/pulse`
pub(super) async fn pulse(viewer: Viewer, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    Parameters::read(query.as_deref(), &[])?;
    Ok(json(&taken(&viewer)))
}

fn taken(viewer: &Viewer) -> Pulse {
    let mut sites: BTreeMap<_, _> = Word::ALL.iter().map(|word| (word.as_str(), 0)).collect();
    let mut trouble = Vec::new();
    for slot in viewer.view.slots() {
        let State { id, state, error, .. } = viewer.state(slot);
        *sites.entry(state.as_str()).or_default() += 1;
        if state.is_trouble() {
            trouble.push(Troubled { id, state, error });
        }
    }
    Pulse { sites, trouble }
}
