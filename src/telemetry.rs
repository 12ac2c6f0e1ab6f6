//! Logs on stderr: lines of text, or of JSON. Only what this program itself says below `warn`, so that no library
//! can put a header or a body there.

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;

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

/// Begins to write logs. A second call changes nothing.
pub fn start(format: LogFormat, level: LogLevel) {
    let filter = filter(level);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
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
}
