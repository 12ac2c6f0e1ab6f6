//! csv and ndjson: every row a line, written as it is made, so that a hundred thousand cost no more memory than a few.

use std::io;
use std::time::Duration;

use super::format::json;
use super::out::{self, Data};
use crate::federation::{Export, Report, Row};
use crate::wire::{self, Linker};

/// Rows that are made, and then written, at once.
const ROWS: usize = 256;

/// Writes rows to stdout as they come.
pub(super) struct RowWriter {
    form: wire::Lines,
    data: Data,
    begun: bool,
}

impl RowWriter {
    pub(super) fn new(form: wire::Lines) -> Self {
        Self { form, data: Data::exact(), begun: false }
    }

    /// Writes what comes before the rows, once. An answer that is refused has nothing of it.
    fn begin(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            let head = self.form.begin()?;
            self.csv(head);
        }
        Ok(())
    }

    /// Some rows. Whether anybody wants more.
    pub(super) fn rows(&mut self, rows: &[Row], linker: &dyn Linker) -> io::Result<bool> {
        self.begin()?;
        match self.form {
            wire::Lines::Csv => {
                let lines = self.form.rows(rows, linker)?;
                self.csv(lines);
            }
            wire::Lines::Ndjson => {
                rows.iter().for_each(|row| self.data.write(format_args!("{}\n", json(&wire::agent(row, linker)))));
            }
        }
        Ok(self.data.is_wanted())
    }

    /// The completeness record, where the form has one: of ndjson it is told on stderr.
    pub(super) fn end(mut self, report: &Report, took: Duration) -> io::Result<()> {
        self.begin()?;
        if self.form == wire::Lines::Csv {
            let end = self.form.end(report, took)?;
            self.csv(end);
        }
        self.data.finish().map(|_| ())
    }

    /// Nothing more is written. What went wrong, unless only the reader has left.
    pub(super) fn stopped(self) -> io::Result<()> {
        self.data.finish().map(|_| ())
    }

    /// All of an answer whose rows are made one by one.
    pub(super) fn all(mut self, mut export: Export, took: Duration, linker: &dyn Linker) -> io::Result<()> {
        loop {
            let rows: Vec<Row> = export.by_ref().take(ROWS).collect();
            if rows.is_empty() || !self.rows(&rows, linker)? {
                return self.end(&export.report, took);
            }
        }
    }

    /// In a file every byte is kept; on a terminal a name must not drive it.
    fn csv(&mut self, bytes: Vec<u8>) {
        let csv = String::from_utf8_lossy(&bytes);
        if out::is_terminal() {
            csv.lines().for_each(|line| self.data.write(format_args!("{}\n", out::plain(line))));
        } else {
            self.data.write(format_args!("{csv}"));
        }
    }
}
