//! A report for spreadsheets: a line per agent, then comment lines that say which sites are missing.

use std::io;

use serde::Serialize;

use super::Linker;
use crate::domain::Contribution;
use crate::federation::{Report, Row};

/// One agent as columns of a spreadsheet.
#[derive(Serialize)]
struct CsvRow<'a> {
    site: &'a str,
    id: &'a str,
    alias: &'a str,
    name: &'a str,
    address: &'a str,
    groups: String,
    os: &'a str,
    status: &'static str,
    alert_fired: Option<bool>,
    critical: u32,
    warning: u32,
    unknown: u32,
    normal: u32,
    not_init: u32,
    last_contact: Option<String>,
    as_of: String,
    stale: bool,
    console: String,
}

/// The names of the columns.
pub(super) fn head() -> io::Result<Vec<u8>> {
    let mut csv = writer();
    csv.write_record(CSV_HEAD).map_err(io::Error::other)?;
    done(csv)
}

/// Some rows.
pub(super) fn rows(rows: &[Row], linker: &dyn Linker) -> io::Result<Vec<u8>> {
    let mut csv = writer();
    for row in rows {
        csv.serialize(csv_row(row, linker)).map_err(io::Error::other)?;
    }
    done(csv)
}

/// The comment lines at the end: the completeness record.
pub(super) fn end(report: &Report) -> String {
    let mut text = format!("# Metaconsole-Sites: {}\n", report.completeness());
    for outcome in &report.sites {
        let word = outcome.contribution.as_str();
        if outcome.failure.is_none() && outcome.contribution == Contribution::Stale {
            text.push_str(&format!("# {} {word}: its rows are older than its `max_age`\n", outcome.site));
        }
        if let Some(failure) = &outcome.failure {
            let message = failure.error.message.replace(char::is_control, "\u{fffd}");
            text.push_str(&format!("# {} {word}: {}: {message}\n", outcome.site, failure.error.code));
        }
    }
    text
}

fn writer() -> csv::Writer<Vec<u8>> {
    csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new())
}

fn done(csv: csv::Writer<Vec<u8>>) -> io::Result<Vec<u8>> {
    csv.into_inner().map_err(|error| io::Error::other(error.to_string()))
}

fn csv_row<'a>(row: &'a Row, linker: &dyn Linker) -> CsvRow<'a> {
    let agent = &row.hit.agent;
    let modules = agent.modules;
    CsvRow {
        site: row.site.as_str(),
        id: &agent.id,
        alias: &agent.alias,
        name: &agent.name,
        address: &agent.address,
        groups: agent.groups.join("; "),
        os: &agent.os,
        status: agent.status.as_str(),
        alert_fired: agent.alert_fired,
        critical: modules.critical,
        warning: modules.warning,
        unknown: modules.unknown,
        normal: modules.normal,
        not_init: modules.not_init,
        last_contact: agent.last_contact.map(|at| at.to_string()),
        as_of: row.as_of.to_string(),
        stale: row.stale,
        console: linker.console(&row.site, &agent.id).map(String::from).unwrap_or_default(),
    }
}

/// The names of [`CsvRow`]'s columns; written also when there are no rows.
const CSV_HEAD: &[&str] = &[
    "site",
    "id",
    "alias",
    "name",
    "address",
    "groups",
    "os",
    "status",
    "alert_fired",
    "critical",
    "warning",
    "unknown",
    "normal",
    "not_init",
    "last_contact",
    "as_of",
    "stale",
    "console",
];
