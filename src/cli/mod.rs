//! The command line: `serve`, `search`, `where`, `check`, `password`, `demo`. Data on stdout, words on stderr; a closed pipe is no error.

mod ask;
mod audit;
mod check;
mod demo;
mod format;
mod gate;
mod gateway;
mod keys;
mod lines;
mod out;
mod password;
mod serve;
mod table;

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use url::Url;

use crate::config::{self, Config, Environment};
use crate::inventory::Order;
use crate::telemetry::{self, LogFormat, LogLevel, Logs};
use crate::wire;

/// How a command ended, as the exit code that scripts can rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Answered by every site (no hit included).
    Complete = 0,
    /// No site answered, or our own fault.
    Failed = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// Answered, but some site is missing or stale; `check`: some step failed.
    Partial = 3,
    /// `--require all` not met: no rows.
    NotMet = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// One pane over many independent monitoring installations.
#[derive(Debug, Parser)]
#[command(
    name = "metaconsole",
    version,
    after_help = "Exit codes: 0 complete; 1 no site answered \
    (or a fault of ours); 2 wrong usage or configuration; 3 some site is missing or stale; 4 --require all not met."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway: all sites behind one address, for any number of viewers.
    Serve(ServeArgs),
    /// Find agents on all sites at once.
    Search(SearchArgs),
    /// Say on which site an agent is: its whole alias or name, whatever case or accents.
    Where(WhereArgs),
    /// Validate the configuration, then probe each site step by step, with a remedy for each failure.
    Check(CheckArgs),
    /// Make what `access` in the configuration needs: the hash of a password, or an API token with its hash.
    Password(PasswordArgs),
    /// Keys of openings: new master keys, and what a site's verifier gets.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Run the gate: the verifier beside a site's reverse proxy, for products that trust a header of their proxy.
    Gate(gate::GateArgs),
    /// The audit log: does its chain hold?
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Start a whole federation on loopback, with nothing installed: demo consoles, and the gateway in front.
    Demo(DemoArgs),
}

#[derive(Debug, Args)]
struct ConfigArgs {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "sites.yaml", env = "METACONSOLE_CONFIG")]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct AnswerArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// How to print [default: table on a terminal, ndjson in a pipe].
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// `all`: rows only when every site is in the answer.
    #[arg(long, value_enum, default_value_t = Require::Any)]
    require: Require,
    /// How long to wait, for example 5s. A gateway waits no longer than its `max_deadline`, and with 0s answers at once
    /// from what it knows.
    #[arg(long, value_parser = patience, default_value = "30s", value_name = "TIME")]
    deadline: Duration,
    /// Ask this running gateway instead of the sites; the configuration is not read. A token for it is taken from the
    /// environment, METACONSOLE_TOKEN.
    #[arg(long, value_name = "URL", env = "METACONSOLE_GATEWAY")]
    gateway: Option<Url>,
    /// With --gateway: rows as new as can be had. Without, they always are.
    #[arg(long, requires = "gateway", conflicts_with = "max_age")]
    fresh: bool,
    /// With --gateway: rows older than this are read again if that may be, for example 10s.
    #[arg(long, value_parser = duration, requires = "gateway", value_name = "TIME")]
    max_age: Option<Duration>,
}

#[derive(Debug, Args)]
struct SearchArgs {
    #[command(flatten)]
    answer: AnswerArgs,
    /// Which rows come first: rank, status, alias, name, ip, os, age, modules, site or id; with a `-` before it the
    /// other way round.
    #[arg(long, value_name = "ORDER", default_value = "rank", allow_hyphen_values = true)]
    sort: Order,
    /// At most so many rows [default: 100 in a table or stream, else all].
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Words to find, for example: web status:critical -group:lab "two words". Nothing finds everything.
    #[arg(value_name = "QUERY")]
    query: Vec<String>,
}

#[derive(Debug, Args)]
struct WhereArgs {
    #[command(flatten)]
    answer: AnswerArgs,
    /// Alias or name.
    #[arg(value_name = "NAME")]
    name: String,
}

#[derive(Debug, Args)]
struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Only validate the configuration; ask no site.
    #[arg(long)]
    offline: bool,
    /// How long each site may take, for example 60s [default: its own `timeout`].
    #[arg(long, value_parser = duration, value_name = "TIME")]
    deadline: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Args)]
struct PasswordArgs {
    /// Make an API token instead; it is shown this once, beside the hash that the configuration keeps.
    #[arg(long)]
    api_token: bool,
    /// A second factor; not in this version.
    #[arg(long, conflicts_with = "api_token")]
    totp: bool,
}

#[derive(Debug, Args)]
struct DemoArgs {
    /// The gateway listens on this port, the consoles on those behind it.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Where all of them listen. In a container: 0.0.0.0, with its ports published on the host's loopback only.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), value_name = "ADDRESS")]
    listen: IpAddr,
    /// Let everybody in who reaches it. Without this it asks for the login that it prints, new at each start.
    #[arg(long)]
    anonymous: bool,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Args)]
struct ServeArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Clone, Copy, Debug, Args)]
struct LogArgs {
    /// How log lines are written, on stderr.
    #[arg(long, value_enum, default_value_t = Lines::Text, env = "METACONSOLE_LOG_FORMAT")]
    log_format: Lines,
    /// The least important events that are logged.
    #[arg(long, value_enum, default_value_t = Level::Info, env = "METACONSOLE_LOG")]
    log_level: Level,
}

impl LogArgs {
    fn start(self) -> Logs {
        let format = match self.log_format {
            Lines::Text => LogFormat::Text,
            Lines::Json => LogFormat::Json,
        };
        let level = match self.log_level {
            Level::Error => LogLevel::Error,
            Level::Warn => LogLevel::Warn,
            Level::Info => LogLevel::Info,
            Level::Debug => LogLevel::Debug,
        };
        telemetry::start(format, level)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Lines {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Level {
    /// What needs somebody.
    Error,
    /// What may need somebody.
    Warn,
    /// What changed.
    Info,
    /// What happens.
    Debug,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Columns for people.
    Table,
    /// One report with rows and outcomes.
    Json,
    /// One agent a line; outcomes on stderr.
    Ndjson,
    /// Columns for spreadsheets; the completeness record in comment lines at the end.
    Csv,
    /// One record a site as it answers, then a summary.
    Stream,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Require {
    /// Whatever answers.
    Any,
    /// Every site.
    All,
}

fn patience(text: &str) -> Result<Duration, String> {
    config::parse_patience(text)
}

impl Format {
    /// As lines, one for each row, where it is such a form.
    fn lines(self) -> Option<wire::Lines> {
        match self {
            Self::Csv => Some(wire::Lines::Csv),
            Self::Ndjson => Some(wire::Lines::Ndjson),
            Self::Table | Self::Json | Self::Stream => None,
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    config::parse_duration(text)
}

/// Runs the command line `arguments` (the program's name first).
pub async fn run(arguments: impl IntoIterator<Item = OsString>, environment: Environment<'_>) -> Exit {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let program = arguments.first().map_or_else(|| PathBuf::from("metaconsole"), PathBuf::from);
    let cli = match Cli::try_parse_from(words_behind_options(arguments)) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout and are no mistake; a closed pipe neither.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Complete };
        }
    };
    match cli.command {
        Command::Search(args) => ask::search(args, environment).await,
        Command::Where(args) => ask::locate(args, environment).await,
        Command::Check(args) => check::check(args, environment).await,
        Command::Password(args) => password::password(args),
        Command::Keys(what) => keys::keys(what, environment),
        Command::Audit(what) => audit::audit(what),
        Command::Demo(args) => demo::demo(args, &program, environment).await,
        Command::Serve(args) => serve::serve(args, environment).await,
        Command::Gate(args) => gate::gate(args, environment).await,
    }
}

/// Says a fault of ours that came before any command.
pub fn complain(fault: &dyn std::error::Error) {
    out::say(format_args!("metaconsole: {fault}"));
}

/// Options that are followed by a value.
const WITH_VALUE: &[&str] =
    &["--config", "--gateway", "--max-age", "--format", "--require", "--deadline", "--sort", "--limit"];

/// `search web -db`: a word to exclude looks like an option. No option of ours is a dash and several letters, so such
/// arguments go behind `--`, unless they stand where an option's value does.
fn words_behind_options(arguments: Vec<OsString>) -> Vec<OsString> {
    let is_search = arguments.get(1).is_some_and(|command| command == "search");
    if !is_search || arguments.iter().any(|argument| argument == "--") {
        return arguments;
    }
    let (mut words, mut ordered) = (Vec::new(), Vec::new());
    let mut is_value = false;
    for argument in arguments {
        let bytes = argument.as_encoded_bytes();
        let dashed = bytes.starts_with(b"-") && !bytes.starts_with(b"--");
        let is_word = dashed && !is_value && !matches!(bytes, b"-" | b"-h" | b"-V");
        is_value = WITH_VALUE.iter().any(|option| argument == *option);
        if is_word { words.push(argument) } else { ordered.push(argument) }
    }
    ordered.push("--".into());
    ordered.extend(words);
    ordered
}

/// The configuration; every mistake in it is told.
fn configuration(args: &ConfigArgs, environment: Environment<'_>) -> Result<Config, Exit> {
    config::load(&args.config, environment).map_err(|mistakes| {
        out::say(format_args!("{mistakes}"));
        Exit::Usage
    })
}
