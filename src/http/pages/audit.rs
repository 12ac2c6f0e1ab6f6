//! `GET /audit`: who did what, for those with the right `audit`. The same lines as `/api/v1/audit`, by the same rules.

use std::path::PathBuf;
use std::sync::Arc;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::super::Shared;
use super::super::audit::{leaf, whole};
use super::super::parameters::Parameters;
use super::super::problem::Problem;
use super::super::viewer::Viewer;
use super::{Frame, page, shown};
use crate::access::journal::Journal;
use crate::audit::{Action, Verified, VerifyError, verify_folder};

/// What the page takes: what is looked for, where the page begins, and whether all lines are to be verified.
const KNOWN: &[&str] = &["user", "site", "action", "outcome", "from", "to", "cursor", "verify"];

/// What is looked for.
const SOUGHT: &[&str] = &["user", "site", "action", "outcome", "from", "to"];

/// While somebody writes, the last line may be half there; then it is looked again.
const LOOKS: usize = 3;

/// A line of the log, as far as the page shows it. Whatever stands in it was typed by somebody.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Line {
    seq: Option<u64>,
    ts: String,
    actor: String,
    action: String,
    site: Option<String>,
    account: Option<String>,
    view: Option<String>,
    result: String,
    ip: Option<String>,
    detail: Option<String>,
    count: Option<u64>,
}

impl Line {
    fn when(&self) -> String {
        shown::text(self.ts.get(..19).unwrap_or(&self.ts)).replace('T', " ")
    }

    fn number(&self) -> String {
        self.seq.map_or_else(String::new, |seq| seq.to_string())
    }

    fn is_ok(&self) -> bool {
        self.result == "ok"
    }

    fn text(text: &str) -> String {
        shown::text(text)
    }

    fn site(&self) -> String {
        self.site.as_deref().map(shown::text).unwrap_or_default()
    }

    fn from(&self) -> String {
        self.ip.as_deref().map(shown::text).unwrap_or_default()
    }

    /// What it was about: as whom, what was opened, searched or changed.
    fn about(&self) -> Vec<String> {
        let account = self.account.as_deref().map(|account| format!("as {}", shown::text(account)));
        let texts = [&self.view, &self.detail].into_iter().flatten().map(|text| shown::text(text));
        let times = self.count.filter(|count| *count > 1).map(|count| format!("({count} times)"));
        account.into_iter().chain(texts).chain(times).collect()
    }
}

/// Where the chain stands.
#[derive(Debug)]
struct Chain {
    seq: u64,
    head: String,
    failing: Option<String>,
    /// All lines were verified just now: how that went.
    verified: Option<Result<String, String>>,
}

#[derive(Debug, Template)]
#[template(path = "audit.html")]
struct Page {
    frame: Frame,
    sought: Vec<(&'static str, String)>,
    actions: &'static [Action],
    lines: Vec<Line>,
    next: Option<String>,
    /// Whether this is not the first page.
    later: bool,
    /// For those who see every line.
    chain: Option<Chain>,
}

impl Page {
    fn value(&self, name: &str) -> &str {
        self.sought.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value.as_str())
    }

    fn is_sought(&self) -> bool {
        !self.sought.is_empty()
    }

    fn export(&self) -> String {
        format!("{}api/v1/audit?{}", self.frame.base, query(&self.sought, &[("format", "ndjson".to_owned())]))
    }

    fn newest(&self) -> String {
        format!("{}audit?{}", self.frame.base, query(&self.sought, &[]))
    }

    fn older(&self) -> Option<String> {
        let cursor = self.next.clone()?;
        Some(format!("{}audit?{}", self.frame.base, query(&self.sought, &[("cursor", cursor)])))
    }
}

/// What is looked for, and more, as a query string.
fn query(sought: &[(&'static str, String)], more: &[(&'static str, String)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(sought.iter().chain(more).map(|(name, value)| (*name, value.as_str())));
    query.finish()
}

/// `GET /audit`
pub(super) async fn audit(
    State(shared): State<Arc<Shared>>,
    viewer: Viewer,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    let journal = whole(&shared.gateway, &viewer)?;
    let parameters = Parameters::read(raw.as_deref(), KNOWN)?;
    // A form sends all its fields; an empty one asks for nothing.
    let said = |name: &&'static str| {
        parameters.get(name).map(str::trim).filter(|value| !value.is_empty()).map(|value| (*name, value.to_owned()))
    };
    let sought: Vec<_> = SOUGHT.iter().filter_map(said).collect();
    let asked = query(&sought, said(&"cursor").as_slice());
    let leaf = leaf(&shared.gateway, &viewer, &Parameters::read(Some(&asked), KNOWN)?).await?;
    let chain = match journal {
        Some(journal) => Some(chain(&journal, parameters.get("verify").is_some()).await),
        None => None,
    };
    let lines = leaf.lines.iter().map(|line| serde_json::from_str(line).unwrap_or_default()).collect();
    let (frame, later) = (Frame::of(&viewer, "audit", "Audit"), parameters.get("cursor").is_some());
    Ok(page(StatusCode::OK, &Page { frame, sought, actions: Action::ALL, lines, next: leaf.next, later, chain }))
}

async fn chain(journal: &Arc<Journal>, verifies: bool) -> Chain {
    let verified = if verifies { Some(verified(journal).await) } else { None };
    let state = journal.state();
    Chain { seq: state.seq, head: state.head.to_string(), failing: state.failing, verified }
}

/// Reads every line. Few do so at a time.
async fn verified(journal: &Arc<Journal>) -> Result<String, String> {
    let _place = journal.reader().await;
    for _ in 1..LOOKS {
        let before = journal.state().seq;
        match all(journal).await {
            Err(_) if journal.state().seq != before => {}
            result => return result,
        }
    }
    all(journal).await
}

async fn all(journal: &Arc<Journal>) -> Result<String, String> {
    let (folder, head): (PathBuf, _) = (journal.folder().to_owned(), journal.state().head);
    let read = tokio::task::spawn_blocking(move || verify_folder(&folder, Some(head))).await;
    match read.map_err(|_| "they could not be read, by a fault of this program".to_owned())? {
        Ok(Verified { lines, first, .. }) => Ok(format!("{lines} lines from number {first} on hold, up to this head")),
        Err(error) => Err(told(&error)),
    }
}

/// Folders of the machine are nobody's business here.
fn told(error: &VerifyError) -> String {
    tracing::error!(%error, "the audit log does not verify");
    match error {
        VerifyError::Broken { line, found, file } => {
            let name = file.rsplit('/').next().unwrap_or_default();
            format!("{}, line {line}: {found}", shown::text(name))
        }
        VerifyError::HeadMissing => "lines at its end were removed or altered".to_owned(),
        VerifyError::Unreadable(..) => "a file cannot be read; see the gateway's log".to_owned(),
    }
}
