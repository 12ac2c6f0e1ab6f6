//! A report as lines, a few rows at a time: for spreadsheets, or as JSON. Both end with the completeness record, so that
//! what was cut on its way can be told.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use super::{Linker, Summary, SummaryRecord, agent, millis, outcome, spreadsheet};
use crate::federation::{Report, Row};

/// A form with a line for each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// Columns, then comment lines.
    Csv,
    /// JSON records, then the summary.
    Ndjson,
}

impl Lines {
    /// What comes before the rows.
    ///
    /// # Errors
    /// None that a record in memory can cause; the same holds below.
    pub fn begin(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Csv => spreadsheet::head(),
            Self::Ndjson => Ok(Vec::new()),
        }
    }

    /// Some rows.
    ///
    /// # Errors
    /// See [`Lines::begin`].
    pub fn rows(self, rows: &[Row], linker: &dyn Linker) -> io::Result<Vec<u8>> {
        if self == Self::Csv {
            return spreadsheet::rows(rows, linker);
        }
        let mut lines = Vec::new();
        for row in rows {
            serde_json::to_writer(&mut lines, &agent(row, linker))?;
            lines.push(b'\n');
        }
        Ok(lines)
    }

    /// The completeness record.
    ///
    /// # Errors
    /// See [`Lines::begin`].
    pub fn end(self, report: &Report, took: Duration) -> io::Result<Vec<u8>> {
        if self == Self::Csv {
            return Ok(spreadsheet::end(report).into_bytes());
        }
        let summary = Summary {
            query: Cow::Borrowed(&report.query),
            total: report.total,
            stale_rows: report.stale_rows,
            complete: report.completeness().is_complete(),
            took_ms: millis(took),
            order: None,
            sites: report.sites.iter().map(outcome).collect(),
        };
        let mut line = serde_json::to_vec(&SummaryRecord { summary })?;
        line.push(b'\n');
        Ok(line)
    }
}
