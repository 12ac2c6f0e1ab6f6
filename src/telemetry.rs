//! Logs on stderr: lines of text, or of JSON. Only what this program itself says below `warn`, so that no library
//! can put a header or a body there.
//!
//! Whatever looks like a credential is masked in every line, however it came there.
//!
//! Lines leave by a thread of their own: whoever reads them slowly, or not at all, holds up no request. When too many
//! wait, new ones are dropped and counted.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::sync::OnceLock;

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::secret::masked;

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The least important events that are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// What needs somebody.
    Error,
    /// What may need somebody.
    Warn,
    /// What changed.
    Info,
    /// What happens.
    Debug,
}

/// So many lines wait for whoever reads them.
const WAITING: usize = 8192;

static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// Lines that were dropped since the start, because too many waited.
pub fn dropped() -> usize {
    DROPPED.get().map_or(0, ErrorCounter::dropped_lines)
}

/// The logs of this process. What waits is written when it is dropped, for at most a second.
#[derive(Debug)]
pub struct Logs {
    lines: Masking<NonBlocking>,
    _written_when_dropped: WorkerGuard,
}

impl Logs {
    /// Writes a line for a person, in its place among those of the log.
    pub fn say(&self, line: impl Display) {
        // Lines that cannot be written have nowhere else to go.
        let _ = self.lines.clone().write_all(format!("{line}\n").as_bytes());
    }
}

/// Masks what it passes on. It is given whole lines.
#[derive(Clone, Debug)]
struct Masking<W>(W);

impl<W: io::Write> io::Write for Masking<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_all(masked(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<'a, W: io::Write + Clone + 'a> MakeWriter<'a> for Masking<W> {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Begins to write logs. A second call changes nothing for the log.
#[must_use]
pub fn start(format: LogFormat, level: LogLevel) -> Logs {
    let filter = filter(level);
    let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(WAITING).thread_name("log");
    let (writer, guard) = builder.finish(io::stderr());
    let counter = writer.error_counter();
    let writer = Masking(writer);
    let lines = tracing_subscriber::fmt::layer().with_writer(writer.clone());
    let set = match format {
        LogFormat::Text => {
            let lines = lines.with_target(false).with_ansi(false);
            tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines.with_filter(filter)))
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(false);
            tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines.with_filter(filter)))
        }
    };
    if set.is_err() {
        tracing::debug!("logs were started before");
    }
    // The first one counts: it is what the log is written by.
    DROPPED.get_or_init(|| counter);
    Logs { lines: writer, _written_when_dropped: guard }
}

fn filter(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    Targets::new().with_target(env!("CARGO_CRATE_NAME"), level).with_default(level.min(LevelFilter::WARN))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn libraries_tell_no_details() {
        let debug = filter(LogLevel::Debug);
        assert!(debug.would_enable("metaconsole::serve", &Level::DEBUG));
        assert!(debug.would_enable("hyper::proto", &Level::WARN) && !debug.would_enable("hyper::proto", &Level::INFO));
        let error = filter(LogLevel::Error);
        assert!(!error.would_enable("metaconsole::serve", &Level::WARN));
        assert!(!error.would_enable("hyper::proto", &Level::WARN));
    }

    #[test]
    fn no_line_shows_a_login_hash() {
        let mut shown = Vec::new();
        let line = b"WARN x: GET /?loginhash_data=6f409f4cd0a52195941c6806280c7fdf&a site=madrid\n";
        assert_eq!(Masking(&mut shown).write(line).unwrap(), line.len());
        assert_eq!(String::from_utf8(shown).unwrap(), "WARN x: GET /?*** site=madrid\n");
    }
}
