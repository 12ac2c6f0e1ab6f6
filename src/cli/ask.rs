//! `search` and `where`: one question to every site, straight from the configuration.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use super::format::Writer;
use super::lines::RowWriter;
use super::table::Columns;
use super::{AnswerArgs, Exit, Format, Require, SearchArgs, WhereArgs, configuration, gateway, out};
use crate::app::App;
use crate::clock::{Clock, Stopwatch};
use crate::config::{Config, Environment};
use crate::domain::query::QueryError;
use crate::domain::{Contribution, Outcome, Query};
use crate::federation::{Merge, Question, Report, Wanted};
use crate::inventory::Order;
use crate::wire;

/// Rows in a table or of each site in a stream, unless said otherwise. Elsewhere all of them are wanted.
const ROWS: usize = 100;

pub(super) async fn search(args: SearchArgs, environment: Environment<'_>) -> Exit {
    let line = args.query.join(" ");
    let query = match Query::parse(&line) {
        Ok(query) => query,
        Err(error) => {
            point_at(&line, &error);
            return Exit::Usage;
        }
    };
    let order = args.sort;
    let asked = Asked { query, name: None, order, limit: args.limit, columns: Columns::Compare };
    answer(args.answer, asked, environment).await
}

pub(super) async fn locate(args: WhereArgs, environment: Environment<'_>) -> Exit {
    if args.name.trim().is_empty() {
        out::say("write the alias or name to look for");
        return Exit::Usage;
    }
    let query = Query::named(&args.name);
    let asked = Asked { query, name: Some(args.name), order: Order::RANK, limit: None, columns: Columns::Open };
    answer(args.answer, asked, environment).await
}

/// What a command asks for.
pub(super) struct Asked {
    pub(super) query: Query,
    /// The exact name that is asked for instead of a search.
    pub(super) name: Option<String>,
    pub(super) order: Order,
    pub(super) limit: Option<usize>,
    pub(super) columns: Columns,
}

impl Asked {
    /// How many rows are wanted.
    pub(super) fn rows(&self, format: Format) -> usize {
        let few = matches!(format, Format::Table | Format::Stream);
        self.limit.unwrap_or(if few { ROWS } else { usize::MAX })
    }
}

/// Shows the mistake below the query.
fn point_at(line: &str, error: &QueryError) {
    // A long query would wrap, and the mark would point nowhere.
    let shown = out::plain(line);
    if shown.chars().count() <= 200 {
        let before: String = shown.chars().take(error.position.saturating_sub(1)).collect();
        let width = unicode_width::UnicodeWidthStr::width(before.as_str());
        out::say(format_args!("{shown}\n{:width$}^", ""));
    }
    out::say(out::plain(&error.to_string()));
}

async fn answer(args: AnswerArgs, asked: Asked, environment: Environment<'_>) -> Exit {
    let format = args.format.unwrap_or(if out::is_terminal() { Format::Table } else { Format::Ndjson });
    if let Some(url) = &args.gateway {
        return match streams_all(format, args.require) {
            Some(exit) => exit,
            None => gateway::answer(url, &args, asked, format, environment).await,
        };
    }
    if args.deadline.is_zero() {
        out::say("nothing is known before a site has answered, so wait a while: `--deadline 30s`; or ask a --gateway");
        return Exit::Usage;
    }
    let config = match configuration(&args.config, environment) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    if let Some(mistake) = names_no_site(&asked.query, &config) {
        out::say(mistake);
        return Exit::Usage;
    }
    if let Some(exit) = streams_all(format, args.require) {
        return exit;
    }
    let limit = asked.rows(format);
    let form = format.lines();
    let app = App::for_one_question(config, Clock::System, args.deadline);
    let question =
        Question { query: asked.query, order: asked.order, limit, patience: args.deadline, wanted: Wanted::Current };
    if let Some(form) = form {
        return all_rows(&app, &question, form, args.require).await;
    }
    let writer = Writer::new(format, asked.columns, &app);
    let (report, took) = ask(&app, &question, &writer).await;
    finish(&report, args.require, || writer.report(&report, took))
}

/// Asks all sites, then writes one row after the other: there are never more than a few of them in memory.
async fn all_rows(app: &App, question: &Question, form: wire::Lines, require: Require) -> Exit {
    let (watch, progress) = (Stopwatch::start(), out::Progress::new());
    let view = app.federation.everything();
    let all = view.slots().count();
    let told = |answered| progress.show(format_args!("{answered} of {all} sites have answered"));
    let export = view.export_telling(question, told).await;
    progress.clear();
    let (report, took) = (export.report.clone(), watch.elapsed());
    finish(&report, require, || RowWriter::new(form).all(export, took, app))
}

/// What cannot be had together.
fn streams_all(format: Format, require: Require) -> Option<Exit> {
    (format == Format::Stream && require == Require::All).then(|| {
        out::say("a stream shows rows before all sites have answered, so it cannot require all; choose another format");
        Exit::Usage
    })
}

/// A site or tag in the query that the configuration does not have. Nothing would be found, which looks like all well.
fn names_no_site(query: &Query, config: &Config) -> Option<String> {
    let sites: Vec<_> = config.sites.iter().map(|site| (site.id.as_str(), site.tags.as_slice())).collect();
    let (field, value) = *query.nowhere(&sites).first()?;
    let known: BTreeSet<&str> = match field {
        "site" => sites.iter().map(|(id, _)| *id).collect(),
        _ => sites.iter().flat_map(|(_, tags)| tags.iter().map(String::as_str)).collect(),
    };
    let value: String = out::plain(value).chars().take(40).collect();
    let nearest = known.iter().map(|known| (strsim::damerau_levenshtein(known, &value), known)).min();
    let remedy = match (nearest.filter(|(distance, _)| *distance <= 2), known.len()) {
        (Some((_, near)), _) => format!("did you mean `{field}:{near}`?"),
        (None, 0) => format!("no site has a {field}"),
        (None, 1..=20) => format!("there are {}", known.into_iter().collect::<Vec<_>>().join(", ")),
        (None, count) => format!("none of the {count} is like it"),
    };
    Some(format!("`{field}:{value}` fits no site of the configuration; {remedy}"))
}

/// Asks all sites; a stream writes each answer as it comes.
async fn ask(app: &App, question: &Question, writer: &Writer<'_>) -> (Report, Duration) {
    let watch = Stopwatch::start();
    let progress = out::Progress::new();
    let view = app.federation.everything();
    let mut answers = view.ask(question);
    let mut merge = Merge::new(question);
    let all = answers.pending();
    loop {
        progress.show(format_args!("{} of {all} sites have answered", all - answers.pending()));
        let Some(answer) = answers.next().await else {
            break;
        };
        let wanted = writer.site(&answer, &progress);
        merge.fold(answer);
        if !wanted {
            // The reader has left; nobody needs the others.
            break;
        }
    }
    progress.clear();
    (merge.finish(), watch.elapsed())
}

/// Writes the report, and says what is missing.
pub(super) fn finish(report: &Report, require: Require, write: impl FnOnce() -> io::Result<()>) -> Exit {
    let record = report.completeness();
    let met = require == Require::Any || record.is_complete();
    let written = if met { write() } else { Ok(()) };
    missing(report);
    if let Err(error) = written {
        return unwritten(&error);
    }
    if !met {
        out::say(format_args!("--require all is not met ({record}), so no rows are shown"));
        return Exit::NotMet;
    }
    if record.is_complete() {
        Exit::Complete
    } else if record.ok + record.stale == 0 {
        out::say("no site answered");
        Exit::Failed
    } else {
        Exit::Partial
    }
}

/// Somebody wanted the answer, and could not be given it.
pub(super) fn unwritten(error: &io::Error) -> Exit {
    out::say(format_args!("the answer could not be written: {error}"));
    Exit::Failed
}

/// Names every site that is missing or stale, why, since when, and what to do.
fn missing(report: &Report) {
    for outcome in &report.sites {
        for warning in &outcome.warnings {
            out::say(format_args!("{}: warning: {}", outcome.site, out::plain(warning)));
        }
        if matches!(outcome.contribution, Contribution::Stale | Contribution::Failed) {
            say_missing(outcome);
        }
    }
    let record = report.completeness();
    if !record.is_complete() && record.ok + record.stale > 0 {
        let sites = report.sites.len();
        let nothing = if report.total == 0 { "; nothing found does not mean that there is nothing" } else { "" };
        let cut = if record.cut > 0 { format!(", {} of them with rows lost", record.cut) } else { String::new() };
        out::say(format_args!("{} of {sites} sites are in the answer{cut}{nothing}", record.ok + record.stale));
    }
}

fn say_missing(outcome: &Outcome) {
    let word = if outcome.contribution == Contribution::Stale { "stale" } else { "missing" };
    let Some(failure) = &outcome.failure else {
        out::say(format_args!("{}: {word}", outcome.site));
        return;
    };
    let error = &failure.error;
    let message = out::plain(&error.message);
    out::say(format_args!("{}: {word} since {}: {}: {message}", outcome.site, failure.since, error.code));
    if let Some(remedy) = &error.remedy {
        out::say(format_args!("    remedy: {}", out::plain(remedy)));
    }
}
