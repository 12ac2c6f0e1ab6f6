//! `search` and `where` of a running gateway: the same question, forms and exit codes as of the sites themselves.

use std::time::Duration;

use url::Url;

use super::ask::{Asked, finish, unwritten};
use super::format::Writer;
use super::lines::RowWriter;
use super::{AnswerArgs, Exit, Format, Require, out};
use crate::clock::Stopwatch;
use crate::config::Environment;
use crate::domain::StatusCounts;
use crate::federation::{Report, SiteAnswer, Wanted};
use crate::remote::{self, Ended, Links, Piece, Remote, RemoteError, What};
use crate::secret::Secret;
use crate::wire;

/// Asks the gateway at `url`.
pub(super) async fn answer(
    url: &Url,
    args: &AnswerArgs,
    asked: Asked,
    format: Format,
    environment: Environment<'_>,
) -> Exit {
    let token = environment("METACONSOLE_TOKEN").filter(|token| !token.is_empty()).map(Secret::new);
    let limit = asked.rows(format);
    let question = remote::Asked {
        what: asked.name.map_or(What::Query(asked.query), What::Named),
        order: asked.order,
        limit,
        patience: args.deadline,
        wanted: match (args.fresh, args.max_age) {
            (true, _) => Wanted::Within(Duration::ZERO),
            (false, Some(age)) => Wanted::Within(age),
            (false, None) => Wanted::Current,
        },
    };
    if let Some(form) = format.lines() {
        let all = args.require == Require::All;
        return match Remote::new(url, token.as_ref(), args.deadline) {
            Ok(remote) => all_rows(&remote, &question, form, all).await,
            Err(error) => failed(&error),
        };
    }
    let watch = Stopwatch::start();
    // A gateway does not stream exact names: that answer comes whole, and is told site by site all the same.
    let told = format == Format::Stream && matches!(question.what, What::Query(_));
    let answered = match Remote::new(url, token.as_ref(), args.deadline) {
        Ok(remote) if told => stream(&remote, &question, asked.columns).await,
        Ok(remote) => remote.report(&question).await.map(Some),
        Err(error) => Err(error),
    };
    let (report, links) = match answered {
        Ok(Some(answered)) => answered,
        // The reader has left; nobody needs more.
        Ok(None) => return Exit::Complete,
        Err(error) => return failed(&error),
    };
    if format != Format::Stream && report.rows.len() < report.total.min(limit) {
        out::say(format_args!("the gateway gives {} of {} agents at once", report.rows.len(), report.total));
    }
    let writer = Writer::new(format, asked.columns, &links);
    if format == Format::Stream && !told {
        let progress = out::Progress::new();
        site_by_site(&report).all(|answer| writer.site(&answer, &progress));
    }
    finish(&report, args.require, || writer.report(&report, watch.elapsed()))
}

/// Writes each row as it comes. What went before a fault is written; that it is not all is told, and the exit code.
async fn all_rows(remote: &Remote, question: &remote::Asked, form: wire::Lines, all: bool) -> Exit {
    let watch = Stopwatch::start();
    let mut lines = RowWriter::new(form);
    let mut fault = None;
    let tell = |row, links: &Links| match lines.rows(&[row], links) {
        Ok(wanted) => wanted,
        Err(error) => {
            fault = Some(error);
            false
        }
    };
    let (report, require) = match remote.rows(question, all, tell).await {
        Ok(Ended::Whole(report)) => (report, Require::Any),
        Ok(Ended::NotMet(report)) => (report, Require::All),
        // The reader has left, or their disk is full.
        Ok(Ended::Left) => match fault.map_or_else(|| lines.stopped(), Err) {
            Ok(()) => return Exit::Complete,
            Err(error) => return unwritten(&error),
        },
        Err(error) => return failed(&error),
    };
    finish(&report, require, || lines.end(&report, watch.elapsed()))
}

/// Writes each site's answer as it comes; gives the whole at the end.
async fn stream(
    remote: &Remote,
    question: &remote::Asked,
    columns: super::table::Columns,
) -> Result<Option<(Report, Links)>, RemoteError> {
    let progress = out::Progress::new();
    let mut whole = None;
    let tell = |piece| match piece {
        Piece::Site(answer, links) => Writer::new(Format::Stream, columns, &links).site(&answer, &progress),
        Piece::Summary(report) => {
            whole = Some(report);
            true
        }
    };
    remote.stream(question, tell).await?;
    Ok(whole.map(|report| (report, Links::default())))
}

fn site_by_site(report: &Report) -> impl Iterator<Item = SiteAnswer> {
    report.sites.iter().map(|outcome| {
        let rows: Vec<_> = report.rows.iter().filter(|row| row.site == outcome.site).cloned().collect();
        let mut counts = StatusCounts::default();
        rows.iter().for_each(|row| counts.add(row.hit.agent.status));
        SiteAnswer { outcome: outcome.clone(), pending: false, counts, rows }
    })
}

fn failed(error: &RemoteError) -> Exit {
    out::say(out::plain(&error.to_string()));
    match error {
        RemoteError::Address(_) | RemoteError::Mistake(_) => Exit::Usage,
        RemoteError::Silent(..) | RemoteError::Refused(_) | RemoteError::Nonsense(..) => Exit::Failed,
    }
}
