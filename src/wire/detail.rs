//! One agent with its modules and events, and events alone, as records.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::series::value;
use super::{Error, Linker, Links, SiteOutcome, links, millis, outcome};
use crate::clock::Timestamp;
use crate::domain::{Completeness, Contribution, SiteError, SiteId, Status, StatusCounts};
use crate::federation::{AgentDetail, EventPage, SiteEvents};
use crate::inventory::Inventory;
use crate::sites::{Event, Module, Site, Threshold, Unread, View};

/// Where an agent can be seen, and its parts in the site's console.
#[derive(Debug, Serialize)]
struct DetailLinks {
    #[serde(flatten)]
    agent: Links,
    modules: Option<String>,
    alerts: Option<String>,
    events: Option<String>,
    graphs: Option<String>,
}

/// One agent with all that is told of it.
#[derive(Debug, Serialize)]
pub struct AgentRecord<'a> {
    site: &'a SiteId,
    id: &'a str,
    name: &'a str,
    alias: &'a str,
    address: &'a str,
    groups: &'a [String],
    os: &'a str,
    status: Status,
    alert_fired: Option<bool>,
    /// What `modules` is in a search.
    counts: StatusCounts,
    last_contact: Option<Timestamp>,
    as_of: Timestamp,
    stale: bool,
    links: DetailLinks,
    /// When modules and events were asked for.
    read: Timestamp,
    modules: Vec<ModuleRecord<'a>>,
    modules_cut: usize,
    events: Option<Vec<EventRecord<'a>>>,
    events_back_to: Option<Timestamp>,
    events_error: Option<Error<'a>>,
    complete: bool,
    took_ms: u64,
    sites: [SiteOutcome<'a>; 1],
}

#[derive(Debug, Serialize)]
struct ModuleRecord<'a> {
    id: &'a str,
    name: Option<&'a str>,
    status: Status,
    value: Value,
    reported: Option<Timestamp>,
    age_ms: Option<u64>,
    interval_s: Option<u64>,
    description: Option<&'a str>,
    warning: Option<Limits>,
    critical: Option<Limits>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Error<'a>>,
}

#[derive(Debug, Serialize)]
struct Limits {
    min: f64,
    max: Option<f64>,
    inverse: bool,
}

#[derive(Debug, Serialize)]
struct EventRecord<'a> {
    id: u64,
    at: Timestamp,
    kind: &'a str,
    severity: Option<&'static str>,
    state: Option<&'static str>,
    text: &'a str,
    agent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alias: Option<String>,
    module: Option<&'a str>,
}

/// A page of events.
#[derive(Debug, Serialize)]
pub struct EventsRecord<'a> {
    events: Vec<EventRecord<'a>>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
    /// Earlier events were not looked at.
    back_to: Option<Timestamp>,
    error: Option<Error<'a>>,
    complete: bool,
    took_ms: u64,
    sites: [SiteOutcome<'a>; 1],
}

/// An agent as a record. `site`: what answers for its site, where something can.
pub fn detail<'a>(
    detail: &'a AgentDetail,
    site: Option<&dyn Site>,
    linker: &dyn Linker,
    now: Timestamp,
    took: Duration,
) -> AgentRecord<'a> {
    let (agent, told, page) = (&detail.agent, &detail.outcome, &detail.events);
    let view = |view: View<'_>| site.map(|site| site.link(view).to_string());
    let mut modules: Vec<_> = detail.modules.iter().map(|module| of_module(module, now)).collect();
    modules.extend(detail.unread.iter().map(|unread| of_unread(unread, detail.read)));
    modules.sort_by_key(|module| module.status.index());
    let whole = detail.unread.is_empty() && detail.cut == 0 && page.error.is_none();
    AgentRecord {
        site: &told.site,
        id: &agent.id,
        name: &agent.name,
        alias: &agent.alias,
        address: &agent.address,
        groups: &agent.groups,
        os: &agent.os,
        status: agent.status,
        alert_fired: agent.alert_fired,
        counts: agent.modules,
        last_contact: agent.last_contact,
        as_of: detail.as_of,
        stale: told.contribution == Contribution::Stale,
        links: DetailLinks {
            agent: links(&told.site, &agent.id, linker),
            modules: view(View::Modules(&agent.id)),
            alerts: view(View::Alerts(&agent.id)),
            events: view(View::Events(&agent.id)),
            graphs: view(View::Graphs(&agent.id)),
        },
        read: detail.read,
        modules,
        modules_cut: detail.cut,
        events: told_events(page).then(|| page.events.iter().map(|event| of_event(event, None)).collect()),
        events_back_to: page.back_to,
        events_error: page.error.as_ref().map(|failure| error(failure, detail.read)),
        complete: whole && Completeness::of([told]).is_complete(),
        took_ms: millis(took),
        sites: [outcome(told)],
    }
}

/// Events as a record.
pub fn events(found: &SiteEvents, asked: Timestamp, took: Duration) -> EventsRecord<'_> {
    let page = &found.page;
    let inventory = found.inventory.as_deref();
    EventsRecord {
        events: page.events.iter().map(|event| of_event(event, inventory)).collect(),
        next_cursor: page.next.map(|place| place.to_string()),
        back_to: page.back_to,
        error: page.error.as_ref().map(|failure| error(failure, asked)),
        complete: page.error.is_none(),
        took_ms: millis(took),
        sites: [outcome(&found.outcome)],
    }
}

/// Whether anything can be said of its events.
fn told_events(page: &EventPage) -> bool {
    page.error.is_none() || !page.events.is_empty()
}

fn error(failure: &SiteError, since: Timestamp) -> Error<'_> {
    Error {
        code: failure.code,
        message: Cow::Borrowed(&failure.message),
        remedy: failure.remedy.as_deref().map(Cow::Borrowed),
        since,
    }
}

fn of_module(module: &Module, now: Timestamp) -> ModuleRecord<'_> {
    let limits = |limit: &Threshold| Limits { min: limit.min, max: limit.max, inverse: limit.inverse };
    ModuleRecord {
        id: &module.id,
        name: Some(&module.name),
        status: module.status,
        value: value(&module.value, module.text),
        reported: module.reported,
        age_ms: module.reported.map(|at| millis(at.until(now))),
        interval_s: module.interval.map(|interval| interval.as_secs()),
        description: Some(&module.description),
        warning: module.warning.as_ref().map(limits),
        critical: module.critical.as_ref().map(limits),
        error: None,
    }
}

fn of_unread(unread: &Unread, since: Timestamp) -> ModuleRecord<'_> {
    ModuleRecord {
        id: &unread.id,
        name: None,
        status: unread.status,
        value: Value::Null,
        reported: None,
        age_ms: None,
        interval_s: None,
        description: None,
        warning: None,
        critical: None,
        error: Some(error(&unread.error, since)),
    }
}

fn of_event<'a>(event: &'a Event, inventory: Option<&Inventory>) -> EventRecord<'a> {
    let alias = event.agent.as_deref().and_then(|agent| inventory?.alias(agent));
    EventRecord {
        id: event.id,
        at: event.at,
        kind: &event.kind,
        severity: event.severity,
        state: event.state,
        text: &event.text,
        agent: event.agent.as_deref(),
        alias: alias.map(str::to_owned),
        module: event.module.as_deref(),
    }
}
