//! Records of a gateway back to reports, rows and outcomes.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use crate::domain::{Agent, Failure, Outcome, SiteError, SiteId};
use crate::federation::{Report, Row, SiteAnswer};
use crate::inventory::{Hit, SortKey};
use crate::wire::{self, Linker};

/// The links of rows, as the gateway gave them.
#[derive(Debug, Default)]
pub struct Links {
    base: String,
    consoles: HashMap<SiteId, HashMap<String, Url>>,
}

impl Linker for Links {
    fn console(&self, site: &SiteId, agent: &str) -> Option<Url> {
        self.consoles.get(site)?.get(agent).cloned()
    }

    fn base(&self) -> &str {
        &self.base
    }
}

impl Links {
    fn keep(&mut self, agent: &wire::Agent<'_>) {
        if let Some((base, _)) = agent.links.own.split_once("api/v1/sites/")
            && self.base != base
        {
            base.clone_into(&mut self.base);
        }
        if let Ok(console) = Url::parse(&agent.links.console) {
            let of_site = self.consoles.entry(agent.site.as_ref().clone()).or_default();
            of_site.insert(agent.id.to_string(), console);
        }
    }
}

/// A piece of a stream.
#[derive(Debug)]
pub enum Piece {
    /// One site's answer, which replaces its earlier one.
    Site(SiteAnswer, Links),
    /// The end: all of it.
    Summary(Report),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Record<'a> {
    Summary(Box<wire::SummaryRecord<'a>>),
    Site(Box<wire::SiteRecord<'a>>),
}

/// Reads the records of a stream. Remembers the rows, which the summary only names.
#[derive(Debug, Default)]
pub(super) struct Reader {
    rows: HashMap<SiteId, HashMap<String, Row>>,
}

impl Reader {
    pub(super) fn read(&mut self, line: &[u8]) -> serde_json::Result<Piece> {
        Ok(match serde_json::from_slice(line)? {
            Record::Site(record) => self.site(*record),
            Record::Summary(record) => Piece::Summary(self.summary(record.summary)),
        })
    }

    fn site(&mut self, record: wire::SiteRecord<'_>) -> Piece {
        let mut links = Links::default();
        let outcome = outcome(record.site.into_owned(), record.matched, record.told);
        let rows: Vec<Row> = record.agents.into_iter().map(|agent| row(agent, &mut links)).collect();
        let by_id = rows.iter().map(|row| (row.hit.agent.id.clone(), row.clone())).collect();
        self.rows.insert(outcome.site.clone(), by_id);
        Piece::Site(
            SiteAnswer { outcome, pending: record.pending, counts: record.counts.unwrap_or_default(), rows },
            links,
        )
    }

    fn summary(&mut self, summary: wire::Summary<'_>) -> Report {
        let of = |(site, id): &(_, std::borrow::Cow<'_, str>)| -> Option<Row> {
            let site: &std::borrow::Cow<'_, SiteId> = site;
            self.rows.get(site.as_ref())?.get(id.as_ref()).cloned()
        };
        Report {
            query: summary.query.into_owned(),
            total: summary.total,
            stale_rows: summary.stale_rows,
            next: None,
            rows: summary.order.iter().flatten().filter_map(of).collect(),
            sites: outcomes(summary.sites),
        }
    }
}

/// A line of an answer with all rows.
pub(super) enum Line {
    /// A row, and its links.
    Row(Row, Links),
    /// The end: the report without its rows.
    Summary(Report),
}

/// Reads a line of an answer with all rows.
pub(super) fn line(line: &[u8]) -> serde_json::Result<Line> {
    if !line.starts_with(b"{\"summary\":") {
        let mut links = Links::default();
        let row = row(serde_json::from_slice(line)?, &mut links);
        return Ok(Line::Row(row, links));
    }
    let wire::SummaryRecord { summary } = serde_json::from_slice(line)?;
    let (total, stale_rows) = (summary.total, summary.stale_rows);
    Ok(Line::Summary(Report { total, stale_rows, query: summary.query.into_owned(), ..of_outcomes(summary.sites) }))
}

/// A report that has nothing but outcomes.
pub(super) fn of_outcomes(sites: Vec<wire::SiteOutcome<'_>>) -> Report {
    let (query, rows, sites) = (String::new(), Vec::new(), outcomes(sites));
    Report { query, total: sites.iter().map(|site| site.rows).sum(), stale_rows: 0, rows, sites, next: None }
}

/// An answer as a report.
pub(super) fn report(answer: wire::Answer<'_>, links: &mut Links) -> Report {
    Report {
        query: answer.query.into_owned(),
        total: answer.total,
        stale_rows: answer.stale_rows,
        next: None,
        rows: answer.agents.into_iter().map(|agent| row(agent, links)).collect(),
        sites: outcomes(answer.sites),
    }
}

fn outcomes(sites: Vec<wire::SiteOutcome<'_>>) -> Vec<Outcome> {
    sites.into_iter().map(|site| outcome(site.id.into_owned(), site.rows, site.told)).collect()
}

fn outcome(site: SiteId, rows: usize, told: wire::Told<'_>) -> Outcome {
    Outcome {
        site,
        contribution: told.outcome,
        asked: told.asked,
        rows,
        age: told.age_ms.map(Duration::from_millis),
        alerts_as_of: told.alerts_as_of,
        took: Duration::from_millis(told.took_ms),
        failure: told.error.map(|error| Failure {
            error: SiteError {
                code: error.code,
                message: error.message.into_owned(),
                remedy: error.remedy.map(|remedy| remedy.into_owned()),
                silent: false,
            },
            since: error.since,
        }),
        warnings: told.warnings.into_owned(),
        lost: told.lost,
    }
}

/// Its place among others is the gateway's to say, so it has no key.
fn row(agent: wire::Agent<'_>, links: &mut Links) -> Row {
    links.keep(&agent);
    let hit = Hit {
        agent: Agent {
            id: agent.id.into_owned(),
            name: agent.name.into_owned(),
            alias: agent.alias.into_owned(),
            address: agent.address.into_owned(),
            groups: agent.groups.into_owned(),
            os: agent.os.into_owned(),
            status: agent.status,
            alert_fired: agent.alert_fired,
            modules: agent.modules,
            last_contact: agent.last_contact,
        },
        key: SortKey::default(),
    };
    Row { site: agent.site.into_owned(), hit, as_of: agent.as_of, stale: agent.stale }
}
