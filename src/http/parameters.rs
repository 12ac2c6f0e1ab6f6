//! What a request asks for, from its query string. A name nobody knows is a mistake, not silence.

use std::time::Duration;

use super::accept::Form;
use super::problem::Problem;
use crate::config::{Gateway, parse_duration, parse_patience};
use crate::federation::Wanted;
use crate::inventory::Order;

/// Rows of an answer, unless said otherwise, and at most.
const ROWS: usize = 100;
const MOST_ROWS: usize = 1000;

/// The parameters of one request, each at most once.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Of a raw query string, which may name only these.
    pub(super) fn read(query: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let mut read: Vec<(String, String)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or("").as_bytes()) {
            let shown: String = name.chars().take(40).collect();
            if !known.contains(&name.as_ref()) {
                let near = known.iter().find(|known| strsim::damerau_levenshtein(known, &shown) <= 2);
                let remedy = match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there are {}", known.join(", ")),
                };
                return Err(Problem::parameter(format!("there is no parameter `{shown}`")).remedy(remedy));
            }
            if read.iter().any(|(other, _)| *other == name) {
                return Err(Problem::parameter(format!("`{shown}` is there twice")).remedy("write it once"));
            }
            read.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(read))
    }

    /// One of them.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// How many rows.
    pub(super) fn limit(&self, form: Form) -> Result<usize, Problem> {
        let (usual, most) = if matches!(form, Form::Lines(_)) { (usize::MAX, usize::MAX) } else { (ROWS, MOST_ROWS) };
        let Some(text) = self.get("limit") else { return Ok(usual) };
        let number = text.parse().ok().filter(|number| (1..=most).contains(number));
        let up_to = if most == MOST_ROWS { format!("1 to {MOST_ROWS}") } else { "1 or more".to_owned() };
        number.ok_or_else(|| Problem::parameter("`limit` is no number of rows").remedy(format!("write {up_to}")))
    }

    /// Which rows come first.
    pub(super) fn order(&self) -> Result<Order, Problem> {
        let Some(text) = self.get("sort") else { return Ok(Order::RANK) };
        let words = || Order::words().collect::<Vec<_>>().join(", ");
        text.parse().map_err(|_| {
            Problem::parameter("`sort` is no order")
                .remedy(format!("write one of {}, with a `-` before it for the other way round", words()))
        })
    }

    /// Whether the answer is to be explained.
    pub(super) fn explains(&self) -> Result<bool, Problem> {
        self.flag("explain")
    }

    fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.get(name) {
            None | Some("0") => Ok(false),
            Some("1") => Ok(true),
            Some(_) => Err(Problem::parameter(format!("`{name}` is neither 0 nor 1"))
                .remedy(format!("write `{name}=1` or leave it"))),
        }
    }

    /// How long the asker waits: what the configuration says, or less or more; of more than `max_deadline`, that is
    /// what remains. 0 waits for nothing: the answer is what is known, and reads that are due run behind it.
    pub(super) fn patience(&self, gateway: &Gateway) -> Result<Duration, Problem> {
        let asked = match self.get("deadline") {
            Some(text) => said("deadline", parse_patience(text))?,
            None => gateway.deadline,
        };
        Ok(asked.min(gateway.max_deadline))
    }

    /// How new the rows are wanted.
    pub(super) fn wanted(&self) -> Result<Wanted, Problem> {
        let fresh = self.flag("fresh")?;
        match (fresh, self.get("max_age")) {
            (false, None) => Ok(Wanted::Current),
            (true, None) => Ok(Wanted::Within(Duration::ZERO)),
            (false, Some("0" | "0s" | "0ms")) => Ok(Wanted::Within(Duration::ZERO)),
            (false, Some(text)) => duration("max_age", text).map(Wanted::Within),
            (true, Some(_)) => {
                Err(Problem::parameter("`fresh` and `max_age` say two things").remedy("write only one of them"))
            }
        }
    }

    /// Whether every site must be in the answer.
    pub(super) fn requires_all(&self) -> Result<bool, Problem> {
        match self.get("require") {
            None | Some("any") => Ok(false),
            Some("all") => Ok(true),
            Some(_) => {
                Err(Problem::parameter("`require` is neither any nor all").remedy("write `require=all` or leave it"))
            }
        }
    }
}

fn duration(name: &str, text: &str) -> Result<Duration, Problem> {
    said(name, parse_duration(text))
}

fn said(name: &str, duration: Result<Duration, String>) -> Result<Duration, Problem> {
    duration.map_err(|mistake| {
        Problem::parameter(format!("`{name}`: {mistake}")).remedy("write it like `500ms`, `2s` or `1m30s`")
    })
}
