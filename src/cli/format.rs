//! A report in each of its forms. Every form says which sites are missing: in its rows, at its end or on stderr.

use std::io;
use std::time::Duration;

use serde::Serialize;

use super::Format;
use super::out::{self, Data, Reader};
use super::table::{self, Columns};
use crate::domain::Completeness;
use crate::federation::{Report, Row, SiteAnswer};
use crate::wire::{self, Linker};

/// Writes one answer to stdout.
pub(super) struct Writer<'a> {
    format: Format,
    columns: Columns,
    linker: &'a dyn Linker,
}

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

impl<'a> Writer<'a> {
    pub(super) fn new(format: Format, columns: Columns, linker: &'a dyn Linker) -> Self {
        Self { format, columns, linker }
    }

    /// One site has answered: a record, where the form is a stream. Whether anybody still reads.
    pub(super) fn site(&self, answer: &SiteAnswer, progress: &out::Progress) -> bool {
        if self.format != Format::Stream {
            return true;
        }
        progress.clear();
        let mut data = Data::exact();
        data.write(format_args!("{}\n", json(&wire::site_record(answer, self.linker))));
        // What else went wrong is seen again, and told, when the summary is written.
        !matches!(data.finish(), Ok(Reader::Left))
    }

    /// The whole answer; of a stream, its summary.
    pub(super) fn report(&self, report: &Report, took: Duration) -> io::Result<()> {
        let mut data = if self.format == Format::Table { Data::coloured() } else { Data::exact() };
        let mut words = None;
        match self.format {
            Format::Table => words = table::write(report, self.columns, self.linker, &mut data),
            Format::Json => {
                data.write(format_args!("{}\n", json(&wire::answer(report, took, self.linker))));
            }
            Format::Ndjson => {
                for row in &report.rows {
                    data.write(format_args!("{}\n", json(&wire::agent(row, self.linker))));
                }
            }
            Format::Csv => {
                let csv = self.csv(report)?;
                // In a file every byte is kept; on a terminal a name must not drive it.
                let shown =
                    if out::is_terminal() { csv.lines().map(|line| out::plain(line) + "\n").collect() } else { csv };
                data.write(format_args!("{shown}"));
            }
            Format::Stream => data.write(format_args!("{}\n", json(&wire::summary(report, took)))),
        }
        data.finish()?;
        words.iter().for_each(out::say);
        Ok(())
    }

    fn csv(&self, report: &Report) -> io::Result<String> {
        let mut csv = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
        csv.write_record(CSV_HEAD).map_err(io::Error::other)?;
        for row in &report.rows {
            csv.serialize(self.csv_row(row)).map_err(io::Error::other)?;
        }
        let bytes = csv.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
        let mut text = String::from_utf8_lossy(&bytes).into_owned();
        let record: Completeness = report.completeness();
        text.push_str(&format!("# Metaconsole-Sites: {record}\n"));
        for outcome in report.sites.iter().filter(|outcome| outcome.failure.is_some()) {
            if let Some(failure) = &outcome.failure {
                let word = outcome.contribution.as_str();
                let message = out::plain(&failure.error.message);
                text.push_str(&format!("# {} {word}: {}: {message}\n", outcome.site, failure.error.code));
            }
        }
        Ok(text)
    }

    fn csv_row(&self, row: &'a Row) -> CsvRow<'a> {
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
            alert_fired: None,
            critical: modules.critical,
            warning: modules.warning,
            unknown: modules.unknown,
            normal: modules.normal,
            not_init: modules.not_init,
            last_contact: agent.last_contact.map(|at| at.to_string()),
            as_of: row.as_of.to_string(),
            stale: row.stale,
            console: self.linker.console(&row.site, &agent.id).map(String::from).unwrap_or_default(),
        }
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

fn json(record: &impl Serialize) -> String {
    // Our records hold nothing that JSON cannot: maps with text keys only.
    unseen_escaped(serde_json::to_string(record).unwrap_or_default())
}

/// JSON allows characters that turn a terminal or split a line for some readers; they are as well written as escapes.
fn unseen_escaped(json: String) -> String {
    if !json.contains(out::is_unseen) {
        return json;
    }
    let mut escaped = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        if out::is_unseen(c) && c != '\n' {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().for_each(|unit| escaped.push_str(&format!("\\u{unit:04x}")));
        } else {
            escaped.push(c);
        }
    }
    escaped
}
