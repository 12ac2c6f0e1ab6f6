//! `GET /api/v1/audit`: who did what, newest first, to those with the right `audit`.
//!
//! With the right on every site all lines are shown, as they stand in the files. With the right on some sites, and on all
//! agents of them, their lines are shown and one's own; of these, number and hash of the line before are left out, since
//! they would tell how much is not shown. Few pages are looked for at a time; an export is read a piece at a time, as its
//! client takes it, and looks again at the rights of who reads it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::Value;

use super::accept::{self, Form};
use super::parameters::Parameters;
use super::problem::Problem;
use super::viewer::Viewer;
use super::{Gateway, Shared, stream};
use crate::access::journal::Journal;
use crate::access::rights::Principal;
use crate::access::secrets::digest;
use crate::audit::{Entry, Filter, Newest, ReadError, newest};
use crate::clock::{Stopwatch, Timestamp};
use crate::config::access::Permission;
use crate::domain::SiteId;
use crate::inventory::Visible;
use crate::wire::Lines;

const KNOWN: &[&str] = &["site", "user", "action", "outcome", "from", "to", "limit", "cursor", "format"];

/// Lines of a page, unless said otherwise, and at most.
const LINES: usize = 100;
const MOST_LINES: usize = 1000;

/// Lines of one piece of an export.
const PIECE: usize = 256;

/// How often it is looked whether whoever reads an export may still do so.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// What somebody may see of the log.
#[derive(Clone, Debug)]
struct Scope {
    who: Principal,
    everything: bool,
}

impl Scope {
    fn of(who: &Principal) -> Option<Self> {
        let everything = who.grants.everywhere(Permission::Audit);
        who.grants.anywhere(Permission::Audit).then(|| Self { who: who.clone(), everything })
    }

    fn sees(&self, entry: &Entry, app: &crate::app::App) -> bool {
        if self.everything || entry.actor == self.who.login {
            return true;
        }
        let Some(site) = entry.site.as_deref().and_then(|site| site.parse::<SiteId>().ok()) else { return false };
        let tags = app.config.sites.iter().find(|known| known.id == site).map_or(&[][..], |known| &known.tags);
        let visible = self.who.grants.on(Permission::Audit, &site, tags);
        // A line may name an agent of any group.
        visible.is_some_and(|visible| matches!(*visible, Visible::All))
    }

    /// The line as it is shown.
    fn shown(&self, entry: Entry) -> String {
        if self.everything {
            return entry.line;
        }
        let Ok(Value::Object(mut fields)) = serde_json::from_str(&entry.line) else { return "{}".to_owned() };
        fields.remove("seq");
        fields.remove("prev");
        Value::Object(fields).to_string()
    }

    /// Where the next page begins: behind this line. To those who do not see everything its number tells nothing.
    fn place(&self, entry: &Entry) -> String {
        if self.everything { entry.seq.to_string() } else { digest(&entry.line) }
    }
}

/// Where a page begins.
#[derive(Clone, Debug)]
enum After {
    Begin,
    /// Behind the line with this digest.
    Line(String),
}

/// `GET /api/v1/audit`
pub(super) async fn audit(
    State(shared): State<Arc<Shared>>,
    viewer: Viewer,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    allowed(&shared.gateway, &viewer)?;
    let parameters = Parameters::read(query.as_deref(), KNOWN)?;
    let form = match parameters.get("format") {
        Some(name) => accept::named(name)?,
        None => accept::form(&headers)?,
    };
    match form {
        Form::Json => Ok(leaf(&shared.gateway, &viewer, &parameters).await?.json()),
        Form::Stream | Form::Lines(Lines::Ndjson) => {
            let (journal, scope) = allowed(&shared.gateway, &viewer)?;
            let (filter, after) = filter(&parameters, &scope)?;
            let folder = journal.folder().to_owned();
            let lines = tokio::task::spawn_blocking(move || newest(&folder, filter)).await;
            let lines = lines.map_err(|_| unread("a fault of this program"))?.map_err(unread)?;
            Ok(export(Pieces { lines, after, scope, viewer, shared, watch: Stopwatch::start() }))
        }
        Form::Lines(Lines::Csv) => {
            Err(Problem::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", "the audit log has no CSV")
                .remedy("accept application/json or application/x-ndjson"))
        }
    }
}

/// A page of lines.
#[derive(Debug)]
pub(super) struct Leaf {
    /// As they are shown: one JSON object each, newest first.
    pub(super) lines: Vec<String>,
    /// Where the next page begins, unless this is the last.
    pub(super) next: Option<String>,
}

impl Leaf {
    /// Lines are JSON already, so they are put together as they are; a place is nothing but letters and digits.
    fn json(&self) -> Response {
        let next = self.next.as_ref().map_or_else(String::new, |place| format!(",\"next_cursor\":\"{place}\""));
        let body = format!("{{\"lines\":[{}]{next}}}", self.lines.join(","));
        ([(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

/// The page that is asked for.
pub(super) async fn leaf(gateway: &Gateway, viewer: &Viewer, parameters: &Parameters) -> Result<Leaf, Problem> {
    let (journal, scope) = allowed(gateway, viewer)?;
    let (filter, after) = filter(parameters, &scope)?;
    let (limit, folder, app) = (limit(parameters)?, journal.folder().to_owned(), Arc::clone(&viewer.app));
    let _place = journal.reader().await;
    let read = move || page(newest(&folder, filter)?, &after, limit, &scope, &app);
    tokio::task::spawn_blocking(read).await.map_err(|_| unread("a fault of this program"))?.map_err(unread)
}

/// The log, for those who may see every line of it; `None` for those who may see some.
pub(super) fn whole(gateway: &Gateway, viewer: &Viewer) -> Result<Option<Arc<Journal>>, Problem> {
    let (journal, scope) = allowed(gateway, viewer)?;
    Ok(scope.everything.then_some(journal))
}

fn allowed(gateway: &Gateway, viewer: &Viewer) -> Result<(Arc<Journal>, Scope), Problem> {
    let (Some(journal), Some(somebody)) = (&gateway.journal, viewer.identity.somebody()?) else {
        let none = Problem::new(StatusCode::NOT_FOUND, "no_audit", "there is no audit log without a login");
        return Err(none.remedy("write `access.users` (docs/access.md)"));
    };
    let forbidden = || {
        Problem::new(StatusCode::FORBIDDEN, "forbidden", "you do not have the right `audit`")
            .remedy("ask whoever runs the gateway")
    };
    Ok((Arc::clone(journal), Scope::of(&somebody.principal).ok_or_else(forbidden)?))
}

fn filter(parameters: &Parameters, scope: &Scope) -> Result<(Filter, After), Problem> {
    let text = |name: &str| parameters.get(name).map(str::to_owned);
    let mut filter = Filter {
        site: text("site"),
        actor: text("user"),
        action: text("action"),
        done: match parameters.get("outcome") {
            None => None,
            Some("ok") => Some(true),
            Some("refused") => Some(false),
            Some(_) => {
                let no = Problem::parameter("`outcome` is neither ok nor refused");
                return Err(no.remedy("write `outcome=ok` or `outcome=refused`"));
            }
        },
        from: moment(parameters, "from")?,
        to: moment(parameters, "to")?,
        before: None,
    };
    let mut after = After::Begin;
    if let Some(cursor) = parameters.get("cursor") {
        let no = || Problem::parameter("`cursor` is none of ours").remedy("write `next_cursor` of the last page");
        if scope.everything {
            filter.before = Some(cursor.parse().map_err(|_| no())?);
        } else if cursor.len() == digest("").len() && cursor.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            after = After::Line(cursor.to_owned());
        } else {
            return Err(no());
        }
    }
    Ok((filter, after))
}

/// A moment, or a day (its begin); UTC, also where that is not said.
fn moment(parameters: &Parameters, name: &str) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = parameters.get(name) else { return Ok(None) };
    let whole = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        16 => format!("{text}:00Z"),
        19 => format!("{text}Z"),
        _ => text.to_owned(),
    };
    let no = |_| {
        Problem::parameter(format!("`{name}` is no moment"))
            .remedy("write it like `2027-01-31` or `2027-01-31T12:00:00Z`")
    };
    let moment: jiff::Timestamp = whole.parse().map_err(no)?;
    Ok(Some(Timestamp::from_millis(moment.as_millisecond())))
}

fn limit(parameters: &Parameters) -> Result<usize, Problem> {
    let Some(text) = parameters.get("limit") else { return Ok(LINES) };
    let number = text.parse().ok().filter(|number| (1..=MOST_LINES).contains(number));
    let no = || Problem::parameter("`limit` is no number of lines").remedy(format!("write 1 to {MOST_LINES}"));
    number.ok_or_else(no)
}

/// One page.
fn page(
    mut lines: Newest,
    after: &After,
    limit: usize,
    scope: &Scope,
    app: &crate::app::App,
) -> Result<Leaf, ReadError> {
    let mut shown: Vec<String> = Vec::new();
    let (mut last, mut ended) = (None, false);
    let mut skips = matches!(after, After::Line(_));
    while shown.len() < limit {
        let Some(entry) = lines.next().transpose()? else {
            ended = true;
            break;
        };
        if !scope.sees(&entry, app) {
            continue;
        }
        let place = scope.place(&entry);
        if skips {
            skips = !matches!(after, After::Line(line) if *line == place);
            continue;
        }
        last = Some(place);
        shown.push(scope.shown(entry));
    }
    Ok(Leaf { lines: shown, next: last.filter(|_| !ended) })
}

/// An export that is being read.
struct Pieces {
    lines: Newest,
    after: After,
    scope: Scope,
    viewer: Viewer,
    shared: Arc<Shared>,
    /// Since it was looked at the rights.
    watch: Stopwatch,
}

fn export(pieces: Pieces) -> Response {
    let body = futures_util::stream::unfold(Some(pieces), async |pieces| pieces?.next().await);
    let headers = [
        (header::CONTENT_TYPE, stream::CONTENT_TYPE),
        (header::CACHE_CONTROL, "no-store, no-transform"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.ndjson\""),
    ];
    (headers, Body::from_stream(futures_util::StreamExt::fuse(body))).into_response()
}

type Piece = (Result<Bytes, Infallible>, Option<Pieces>);

impl Pieces {
    async fn next(mut self) -> Option<Piece> {
        if self.watch.elapsed() >= LOOK_AGAIN {
            let app = self.shared.gateway.app.load_full();
            let identity = self.viewer.identity.again(&self.shared.gateway, &app).await;
            let scope = identity.somebody().ok().flatten().and_then(|somebody| Scope::of(&somebody.principal));
            let Some(scope) = scope.filter(|scope| scope.everything == self.scope.everything) else {
                return Some((Ok(Bytes::from_static(b"{\"ended\":\"signed_out\"}\n")), None));
            };
            self.viewer.app = app;
            self.scope = scope;
            self.watch = Stopwatch::start();
        }
        tokio::task::spawn_blocking(move || self.read()).await.ok().flatten()
    }

    /// The next lines; blocks. A body without its last line was cut: that one says whether all was read.
    fn read(mut self) -> Option<Piece> {
        let mut text = String::new();
        for _ in 0..PIECE {
            match self.lines.next() {
                None => {
                    text.push_str("{\"ended\":\"all\"}\n");
                    return Some((Ok(text.into()), None));
                }
                Some(Err(error)) => {
                    tracing::error!(%error, "an export of the audit log ends early");
                    text.push_str("{\"ended\":\"unreadable\"}\n");
                    return Some((Ok(text.into()), None));
                }
                Some(Ok(entry)) => {
                    if !self.scope.sees(&entry, &self.viewer.app) {
                        continue;
                    }
                    if let After::Line(line) = &self.after {
                        if *line == self.scope.place(&entry) {
                            self.after = After::Begin;
                        }
                        continue;
                    }
                    text.push_str(&self.scope.shown(entry));
                    text.push('\n');
                }
            }
        }
        Some((Ok(text.into()), Some(self)))
    }
}

fn unread(fault: impl std::fmt::Display) -> Problem {
    tracing::error!(%fault, "the audit log cannot be read");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "audit_unreadable", "the audit log cannot be read now")
        .remedy("see the gateway's log, and run `metaconsole audit verify` on its files")
}
