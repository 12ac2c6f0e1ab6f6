//! A report in each of its forms. Every form says which sites are missing: in its rows, at its end or on stderr.

use std::io;
use std::time::Duration;

use serde::Serialize;

use super::Format;
use super::out::{self, Data, Reader};
use super::table::{self, Columns};
use crate::federation::{Report, SiteAnswer};
use crate::wire::{self, Linker};

/// Writes one answer to stdout.
pub(super) struct Writer<'a> {
    format: Format,
    columns: Columns,
    linker: &'a dyn Linker,
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
            // Their rows are written as they are made: `lines.rs`.
            Format::Ndjson | Format::Csv => {}
            Format::Stream => data.write(format_args!("{}\n", json(&wire::summary(report, took)))),
        }
        data.finish()?;
        words.iter().for_each(out::say);
        Ok(())
    }
}

/// A record on one line.
pub(super) fn json(record: &impl Serialize) -> String {
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
