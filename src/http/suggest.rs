//! `suggest`: what a half-typed search can become, from what is known and the viewer may see. Reads no site, and no
//! half-typed line is a mistake.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Shared;
use super::parameters::Parameters;
use super::problem::Problem;
use super::search::{SITES, counted, json};
use super::viewer::Viewer;
use crate::domain::query::{FIELD_NAMES, Partial, Piece, TextField, quoted};
use crate::domain::{Query, Status, fold};
use crate::federation::{Question, Wanted};
use crate::inventory::Order;

/// Most suggestions, and most completions, of one answer.
const MOST: usize = 10;

/// Looked through for names: agents of several sites may have the same alias.
const LOOKED_THROUGH: usize = 50;

/// Ages worth offering.
const AGES: &[&str] = &[">10m", "<10m", ">1h", ">1d", ">1w"];

#[derive(Debug, Serialize)]
struct Suggestions {
    /// What of the line is understood, canonical.
    query: String,
    /// Aliases of agents that it finds.
    suggestions: Vec<String>,
    /// What the piece at its end can become.
    completions: Vec<Completion>,
}

#[derive(Debug, Serialize)]
struct Completion {
    /// `field`, `value` or `agent`.
    kind: &'static str,
    /// To be shown.
    text: String,
    /// The whole line with it.
    search: String,
}

/// `GET /api/v1/suggest`
pub(super) async fn suggest(
    State(shared): State<Arc<Shared>>,
    viewer: Viewer,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let parameters = Parameters::read(query.as_deref(), &["q"])?;
    let line = parameters.get("q").unwrap_or("");
    viewer.searched(&shared.gateway, line);
    let partial = Query::parse_partial(line);
    let question = Question {
        query: understood(line, &partial),
        order: Order::RANK,
        limit: LOOKED_THROUGH,
        patience: viewer.app.config.gateway.deadline,
        wanted: Wanted::Known,
    };
    let report = viewer.view.known(&question).await;
    let mut suggestions: Vec<String> = Vec::new();
    for row in &report.rows {
        let alias = &row.hit.agent.alias;
        if suggestions.len() < MOST && !suggestions.contains(alias) {
            suggestions.push(alias.clone());
        }
    }
    let completions = completions(&partial, &suggestions, &viewer);
    let record = report.completeness();
    let answer = Suggestions { query: report.query, suggestions, completions };
    Ok(([(SITES, counted(record))], json(&answer)).into_response())
}

/// As much of the line as has a meaning.
fn understood(line: &str, partial: &Partial) -> Query {
    let with_word = || match &partial.piece {
        Piece::Word(word) if !partial.negated && !word.is_empty() => {
            Query::parse(&format!("{} {}", partial.whole, quoted(word))).ok()
        }
        _ => None,
    };
    Query::parse(line).ok().or_else(with_word).unwrap_or_else(|| partial.whole.clone())
}

fn completions(partial: &Partial, names: &[String], viewer: &Viewer) -> Vec<Completion> {
    let before = format!("{}{}", partial.before, if partial.negated { "-" } else { "" });
    match &partial.piece {
        Piece::Word(word) => {
            let lower = word.to_lowercase();
            let fields = FIELD_NAMES.iter().filter(|name| name.starts_with(&lower)).map(|name| format!("{name}:"));
            let fields = fields.map(|text| Completion { kind: "field", search: format!("{before}{text}"), text });
            let like = |name: &&String| !word.is_empty() && fold(name).contains(&fold(word));
            let agents = names.iter().filter(like).map(|name| Completion {
                kind: "agent",
                text: name.clone(),
                search: format!("{before}{}", quoted(name)),
            });
            fields.chain(agents).take(MOST).collect()
        }
        Piece::Value { field, earlier, text } => {
            let values = values(field, text, names, viewer).into_iter().take(MOST);
            let written = |value: &str| if *field == "age" { value.to_owned() } else { quoted(value) };
            let completion = |text: String| Completion {
                kind: "value",
                search: format!("{before}{field}:{earlier}{}", written(&text)),
                text,
            };
            values.map(completion).collect()
        }
    }
}

/// Values of a field that contain a text; those that begin with it first.
fn values(field: &str, text: &str, names: &[String], viewer: &Viewer) -> Vec<String> {
    let plans = || viewer.view.slots().map(|slot| slot.plan());
    let known: Vec<String> = match field {
        "group" => return viewer.view.names_like(TextField::Group, text, MOST),
        "os" => return viewer.view.names_like(TextField::Os, text, MOST),
        "status" => Status::WORST_FIRST.iter().map(|(word, _)| (*word).to_owned()).collect(),
        "site" => plans().map(|plan| plan.id.to_string()).collect(),
        "tag" => plans().flat_map(|plan| plan.tags.iter().cloned()).collect(),
        "age" => AGES.iter().map(|age| (*age).to_owned()).collect(),
        "alert" => vec!["fired".to_owned()],
        "alias" => names.to_vec(),
        _ => Vec::new(),
    };
    let folded = fold(text);
    let mut like: Vec<(bool, usize, String)> = Vec::new();
    for (place, value) in known.into_iter().enumerate() {
        let key = fold(&value);
        if key.contains(&folded) && !like.iter().any(|(_, _, other)| *other == value) {
            like.push((!key.starts_with(&folded), place, value));
        }
    }
    like.sort();
    like.into_iter().map(|(_, _, value)| value).collect()
}
