//! The public JSON records: a report, an agent, an outcome. One shape for the command line, HTTP and streams.

mod detail;
mod lines;
mod series;
mod spreadsheet;

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::clock::Timestamp;
use crate::domain::{Contribution, ErrorCode, Outcome, SiteId, Status, StatusCounts};
use crate::federation::{Explanation, Report, Row, SiteAnswer};

pub use detail::{AgentRecord, EventsRecord, detail, events};
pub use lines::Lines;
pub use series::{Series, csv as series_csv, series};

/// Where an agent can be seen.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Links {
    /// The agent in our API.
    #[serde(rename = "self")]
    pub own: String,
    /// Our page of it.
    pub page: String,
    /// Its page in the site's own console.
    pub console: String,
    /// Where a person is handed over to that console; only for persons who can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<String>,
}

/// One agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Agent<'a> {
    /// Id of its site.
    pub site: Cow<'a, SiteId>,
    /// Its id there.
    pub id: Cow<'a, str>,
    /// Technical name.
    pub name: Cow<'a, str>,
    /// Shown name.
    pub alias: Cow<'a, str>,
    /// Main address.
    pub address: Cow<'a, str>,
    /// Its groups, the primary one first.
    pub groups: Cow<'a, [String]>,
    /// Operating system.
    pub os: Cow<'a, str>,
    /// The worst of its modules.
    pub status: Status,
    /// Whether an alert has fired; `null` = not known.
    pub alert_fired: Option<bool>,
    /// Enabled modules by state.
    pub modules: StatusCounts,
    /// When one of its modules last reported.
    pub last_contact: Option<Timestamp>,
    /// When it was read.
    pub as_of: Timestamp,
    /// Whether it is older than its site's `max_age`, or its site fails.
    pub stale: bool,
    /// Where it can be seen.
    pub links: Links,
}

/// Why a site is missing or stale.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Error<'a> {
    /// The stable word.
    pub code: ErrorCode,
    /// One sentence.
    pub message: Cow<'a, str>,
    /// What a person can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<Cow<'a, str>>,
    /// When it was first seen.
    pub since: Timestamp,
}

/// How one site contributed; a part of [`SiteOutcome`] and of [`SiteRecord`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Told<'a> {
    /// `fresh`, `cached`, `stale` or `failed`.
    pub outcome: Contribution,
    /// False where the query cannot concern it, by `site:` or `tag:`.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub asked: bool,
    /// Age of its rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
    /// When it was asked which alerts have fired; not there: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alerts_as_of: Option<Timestamp>,
    /// How long the request waited for it.
    pub took_ms: u64,
    /// Rows of its answer that could not be used.
    #[serde(default, skip_serializing_if = "is_none_lost")]
    pub lost: usize,
    /// Why it is stale or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Error<'a>>,
    /// What a person should know although it answered.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub warnings: Cow<'a, [String]>,
}

fn yes() -> bool {
    true
}

fn is_none_lost(lost: &usize) -> bool {
    *lost == 0
}

fn is_empty(list: &[String]) -> bool {
    list.is_empty()
}

/// What one site contributed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SiteOutcome<'a> {
    /// Its id.
    pub id: Cow<'a, SiteId>,
    /// How many of its agents match.
    pub rows: usize,
    /// How it contributed.
    #[serde(flatten)]
    pub told: Told<'a>,
}

/// A whole answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer<'a> {
    /// The query, canonical.
    pub query: Cow<'a, str>,
    /// How many agents match.
    pub total: usize,
    /// How many of them are stale.
    pub stale_rows: usize,
    /// Whether every site is in it with current rows.
    pub complete: bool,
    /// How long it took.
    pub took_ms: u64,
    /// The best of them.
    pub agents: Vec<Agent<'a>>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
    /// One for every site.
    pub sites: Vec<SiteOutcome<'a>>,
    /// Why it is as it is, where that was asked for.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub explain: Option<Explain>,
}

/// Why an answer is as it is.
#[derive(Clone, Debug, Serialize)]
pub struct Explain {
    /// The query, canonical.
    pub query: String,
    /// The order.
    pub sort: String,
    /// Whether its conditions exclude each other, so that no site was asked.
    pub contradicts: bool,
    /// Each condition.
    pub terms: Vec<ExplainedTerm>,
    /// Each site.
    pub sites: Vec<ExplainedSite>,
    /// Agents that match and are not in this answer.
    pub not_shown: usize,
}

/// What a condition did.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainedTerm {
    /// The condition, canonical.
    pub term: String,
    /// How many known agents fulfil it by itself.
    pub agents: usize,
    /// How many fulfil it and all before it.
    pub left: usize,
}

/// What a site was asked.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainedSite {
    /// Its id.
    pub id: SiteId,
    /// `read`, `held`, `nothing` or `not_concerned`.
    pub asked: &'static str,
    /// Agents known there.
    pub agents: usize,
    /// How many fulfil each condition and all before it.
    pub left: Vec<usize>,
    /// Rows of its answer that could not be used.
    pub lost: usize,
}

/// One site of a stream; replaces what an earlier record of that site said.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SiteRecord<'a> {
    /// Its id.
    pub site: Cow<'a, SiteId>,
    /// Whether it is being read and another record follows.
    #[serde(default, skip_serializing_if = "is_false")]
    pub pending: bool,
    /// How many of its agents match.
    pub matched: usize,
    /// The same by status; not there where only the rows of a cut answer could be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<StatusCounts>,
    /// How it contributed.
    #[serde(flatten)]
    pub told: Told<'a>,
    /// The best of them.
    pub agents: Vec<Agent<'a>>,
}

/// The end of a stream: the whole answer without its rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SummaryRecord<'a> {
    /// The summary.
    pub summary: Summary<'a>,
}

/// What a stream ends with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary<'a> {
    /// The query, canonical.
    pub query: Cow<'a, str>,
    /// How many agents match.
    pub total: usize,
    /// How many of them are stale.
    pub stale_rows: usize,
    /// Whether every site is in it with current rows.
    pub complete: bool,
    /// How long it took.
    pub took_ms: u64,
    /// The best rows of all sites in order, each as [site, id]: what the records hold of them, merged and cut. Not
    /// there where the rows themselves are in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Vec<(Cow<'a, SiteId>, Cow<'a, str>)>>,
    /// One for every site.
    pub sites: Vec<SiteOutcome<'a>>,
}

/// Makes the links of rows.
pub trait Linker {
    /// The console's page of an agent.
    fn console(&self, site: &SiteId, agent: &str) -> Option<Url>;
    /// Our own address, with a slash at its end; `/` for links relative to the host.
    fn base(&self) -> &str;
    /// Whether whoever reads the rows can be handed over to that console.
    fn opens(&self, _site: &SiteId) -> bool {
        false
    }
}

/// A row as a record.
pub fn agent<'a>(row: &'a Row, linker: &dyn Linker) -> Agent<'a> {
    let (site, agent) = (&row.site, &row.hit.agent);
    Agent {
        site: Cow::Borrowed(site),
        id: Cow::Borrowed(&agent.id),
        name: Cow::Borrowed(&agent.name),
        alias: Cow::Borrowed(&agent.alias),
        address: Cow::Borrowed(&agent.address),
        groups: Cow::Borrowed(&agent.groups),
        os: Cow::Borrowed(&agent.os),
        status: agent.status,
        alert_fired: agent.alert_fired,
        modules: agent.modules,
        last_contact: agent.last_contact,
        as_of: row.as_of,
        stale: row.stale,
        links: links(site, &agent.id, linker),
    }
}

fn links(site: &SiteId, agent: &str, linker: &dyn Linker) -> Links {
    let (base, id) = (linker.base(), path_segment(agent));
    Links {
        own: format!("{base}api/v1/sites/{site}/agents/{id}"),
        page: format!("{base}agents/{site}/{id}"),
        console: linker.console(site, agent).map(String::from).unwrap_or_default(),
        open: linker.opens(site).then(|| format!("{base}open/{site}?view=agent:{id}")),
    }
}

/// One site's answer as a record of a stream.
pub fn site_record<'a>(answer: &'a SiteAnswer, linker: &dyn Linker) -> SiteRecord<'a> {
    let outcome = &answer.outcome;
    SiteRecord {
        site: Cow::Borrowed(&outcome.site),
        pending: answer.pending,
        matched: outcome.rows,
        counts: Some(answer.counts).filter(|counts| usize::try_from(counts.total()) == Ok(outcome.rows)),
        told: told(outcome),
        agents: answer.rows.iter().map(|row| agent(row, linker)).collect(),
    }
}

/// A report as the end of a stream.
pub fn summary(report: &Report, took: Duration) -> SummaryRecord<'_> {
    SummaryRecord {
        summary: Summary {
            query: Cow::Borrowed(&report.query),
            total: report.total,
            stale_rows: report.stale_rows,
            complete: report.completeness().is_complete(),
            took_ms: millis(took),
            order: Some(report.rows.iter().map(place).collect()),
            sites: report.sites.iter().map(outcome).collect(),
        },
    }
}

fn place(row: &Row) -> (Cow<'_, SiteId>, Cow<'_, str>) {
    (Cow::Borrowed(&row.site), Cow::Borrowed(&row.hit.agent.id))
}

/// An outcome as a record.
pub fn outcome(outcome: &Outcome) -> SiteOutcome<'_> {
    SiteOutcome { id: Cow::Borrowed(&outcome.site), rows: outcome.rows, told: told(outcome) }
}

fn told(outcome: &Outcome) -> Told<'_> {
    Told {
        outcome: outcome.contribution,
        asked: outcome.asked,
        age_ms: outcome.age.map(millis),
        alerts_as_of: outcome.alerts_as_of,
        took_ms: millis(outcome.took),
        lost: outcome.lost,
        error: outcome.failure.as_ref().map(|failure| Error {
            code: failure.error.code,
            message: Cow::Borrowed(&failure.error.message),
            remedy: failure.error.remedy.as_deref().map(Cow::Borrowed),
            since: failure.since,
        }),
        warnings: Cow::Borrowed(&outcome.warnings),
    }
}

/// A report as a record.
pub fn answer<'a>(report: &'a Report, took: Duration, linker: &dyn Linker) -> Answer<'a> {
    Answer {
        query: Cow::Borrowed(&report.query),
        total: report.total,
        stale_rows: report.stale_rows,
        complete: report.completeness().is_complete(),
        took_ms: millis(took),
        agents: report.rows.iter().map(|row| agent(row, linker)).collect(),
        next_cursor: None,
        sites: report.sites.iter().map(outcome).collect(),
        explain: None,
    }
}

fn is_true(value: &bool) -> bool {
    *value
}

fn is_false(value: &bool) -> bool {
    !value
}

/// An explanation as a record.
pub fn explain(explanation: Explanation, sort: String, report: &Report, contradicts: bool) -> Explain {
    let terms = explanation.terms.into_iter().map(|(term, agents, left)| ExplainedTerm { term, agents, left });
    let sites = explanation.sites.into_iter().zip(&report.sites).map(|(site, outcome)| ExplainedSite {
        id: site.site,
        asked: site.asked,
        agents: site.agents,
        left: site.terms.iter().map(|(_, left)| *left).collect(),
        lost: outcome.lost,
    });
    let not_shown = report.total.saturating_sub(report.rows.len());
    let query = report.query.clone();
    Explain { query, sort, contradicts, terms: terms.collect(), sites: sites.collect(), not_shown }
}

/// Whole milliseconds.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A text as one segment of a path or the value of a query argument.
fn path_segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}
