//! `GET /`: the search. With a script the rows stream in; without one they stand in the page.

use std::time::Duration;

use askama::Template;
use axum::extract::RawQuery;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::super::accept::Form;
use super::super::parameters::Parameters;
use super::super::problem::{Fields, Problem};
use super::super::search::somewhere;
use super::super::viewer::Viewer;
use super::{Frame, page, shown};
use crate::clock::Timestamp;
use crate::domain::{Contribution, Outcome, Query};
use crate::federation::{Question, Report, Row, Wanted};
use crate::wire::{self, Agent};

const OF_PAGE: &[&str] = &["q", "sort", "limit", "wait", "together"];

/// What can be sorted by, if this version can: the column's id, and the word for it.
const SORTS: &[(&str, &str)] = &[
    ("status", "status"),
    ("alias", "alias"),
    ("name", "name"),
    ("site", "site"),
    ("address", "ip"),
    ("os", "os"),
    ("modules", "modules"),
    ("contact", "age"),
];

/// One row as the page has it.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) agent: Agent<'a>,
    pub(super) now: Timestamp,
    pub(super) base: &'a str,
}

impl<'a> Line<'a> {
    pub(super) fn of(row: &'a Row, viewer: &'a Viewer, now: Timestamp) -> Self {
        let base = viewer.app.config.gateway.public_url.path();
        Self { agent: wire::agent(row, viewer), now, base }
    }

    pub(super) fn status(&self) -> &'static str {
        shown::status(self.agent.status)
    }

    pub(super) fn name(&self) -> String {
        shown::name(&self.agent.alias)
    }

    pub(super) fn page(&self) -> String {
        let id = url::form_urlencoded::byte_serialize(self.agent.id.as_bytes()).collect::<String>().replace('+', "%20");
        format!("{}agents/{}/{id}", self.base, self.agent.site)
    }

    pub(super) fn contact(&self) -> String {
        self.agent.last_contact.map_or_else(|| "never".to_owned(), |at| shown::ago(at, self.now))
    }

    pub(super) fn as_of(&self) -> String {
        shown::clock(self.agent.as_of)
    }

    pub(super) fn groups(&self) -> String {
        shown::text(&self.agent.groups.join(", "))
    }

    pub(super) fn modules(&self) -> Vec<(&'static str, &'static str, u32)> {
        let counts = self.agent.modules;
        let all = [
            ("critical", counts.critical),
            ("warning", counts.warning),
            ("unknown", counts.unknown),
            ("normal", counts.normal),
            ("not_init", counts.not_init),
        ];
        all.into_iter().filter(|(_, count)| *count > 0).map(|(word, count)| (word, word, count)).collect()
    }
}

#[derive(Debug, Template)]
#[template(path = "home.html")]
struct Home<'a> {
    frame: Frame,
    q: &'a str,
    sort: &'a str,
    /// Columns that can be sorted by, with the word for each.
    sorts: String,
    /// Whether all sites had their time: so it is for browsers without a script.
    waited: bool,
    lines: Vec<Line<'a>>,
    total: usize,
    missing: Vec<String>,
    old: Vec<String>,
    mistake: Option<&'a Fields>,
}

impl Home<'_> {
    fn csv(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("q", self.q).append_pair("format", "csv");
        if !self.sort.is_empty() {
            query.append_pair("sort", self.sort);
        }
        format!("{}api/v1/search?{}", self.frame.base, query.finish())
    }

    /// This search for browsers without a script.
    fn waiting(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("q", self.q).append_pair("sort", self.sort).append_pair("wait", "1");
        query.finish()
    }

    /// A line below the query that points at the mistake.
    fn caret(&self) -> Option<String> {
        let at = self.mistake?.position()?;
        Some(format!("{}^", " ".repeat(at.saturating_sub(1).min(2000))))
    }
}

/// `GET /`
pub(super) async fn home(viewer: Viewer, headers: HeaderMap, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let parameters = Parameters::read(query.as_deref(), OF_PAGE)?;
    let q = parameters.get("q").unwrap_or("");
    // A browser that says how it fetches most likely runs scripts: it gets what is known at once and streams the rest.
    // One that does not is led on to `wait=1` by the page itself.
    // Whoever only looks whether we are there, without a word to search for, causes no read.
    let says_nothing = parameters.get("q").is_none() || headers.contains_key("sec-fetch-mode");
    let waited = parameters.get("wait").is_some() || !says_nothing;
    let (report, mistake) = match asked(&parameters, q, &viewer, waited) {
        Ok(question) => (Some(viewer.view.report(&question).await), None),
        Err(problem) => (None, Some(problem)),
    };
    let frame = Frame::of(&viewer, "home", if q.is_empty() { "Search".to_owned() } else { shown::text(q) });
    let now = frame.now;
    let rows = report.as_ref().map(|report| report.rows.as_slice()).unwrap_or_default();
    let (missing, old) = report.as_ref().map(|report| told(report, now)).unwrap_or_default();
    let home = Home {
        frame,
        q,
        sort: parameters.get("sort").unwrap_or(""),
        sorts: sorts(),
        waited,
        lines: rows.iter().map(|row| Line::of(row, &viewer, now)).collect(),
        total: report.as_ref().map_or(0, |report| report.total),
        missing: if waited { missing } else { Vec::new() },
        old: if waited { old } else { Vec::new() },
        mistake: mistake.as_ref().map(Problem::fields),
    };
    Ok(page(if mistake.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK }, &home))
}

fn asked(parameters: &Parameters, q: &str, viewer: &Viewer, waits: bool) -> Result<Question, Problem> {
    let query = Query::parse(q)?;
    somewhere(&query, viewer)?;
    let sorted = match (parameters.get("sort"), q.trim().is_empty()) {
        // Nothing looked for: what is worst.
        (None | Some(""), true) => Parameters::read(Some("sort=status"), &["sort"])?.order()?,
        (Some(""), false) => Parameters::read(None, &[])?.order()?,
        _ => parameters.order()?,
    };
    let (wanted, patience) = match waits {
        true => (Wanted::Current, parameters.patience(&viewer.app.config.gateway)?),
        false => (Wanted::Known, Duration::ZERO),
    };
    Ok(Question { query, order: sorted, limit: parameters.limit(Form::Json)?, patience, wanted })
}

/// Which columns this version can sort by, as `column=word` for the script.
fn sorts() -> String {
    let can = |word: &str| {
        let read = Parameters::read(Some(&format!("sort={word}")), &["sort"]);
        read.is_ok_and(|parameters| parameters.order().is_ok())
    };
    let turns = can("-alias");
    let list: Vec<_> = SORTS.iter().filter(|(_, word)| can(word)).map(|(id, word)| format!("{id}={word}")).collect();
    format!("{}{}", list.join(" "), if turns { " turns" } else { "" })
}

/// Sites that are missing, and those with old rows, in words.
fn told(report: &Report, now: Timestamp) -> (Vec<String>, Vec<String>) {
    let why = |outcome: &Outcome| {
        outcome.failure.as_ref().map_or_else(String::new, |failure| {
            format!(": {}, since {}", shown::text(&failure.error.message), shown::clock(failure.since))
        })
    };
    let of = |kind: Contribution| report.sites.iter().filter(move |outcome| outcome.contribution == kind);
    let missing = of(Contribution::Failed).map(|outcome| format!("{}{}", outcome.site, why(outcome)));
    let old = of(Contribution::Stale).map(|outcome| {
        let age = outcome.age.unwrap_or_default();
        let then = Timestamp::from_millis(now.as_millis() - i64::try_from(age.as_millis()).unwrap_or(0));
        format!("{} ({} rows as of {}{})", outcome.site, outcome.rows, shown::clock(then), why(outcome))
    });
    (missing.collect(), old.collect())
}
