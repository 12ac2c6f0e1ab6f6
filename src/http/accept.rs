//! Which form of an answer the asker takes, from `Accept`.

use axum::http::{HeaderMap, StatusCode, header};

use super::problem::Problem;
use super::stream;
use crate::wire::Lines;

/// The form of a search's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One report.
    Json,
    /// A line for each of all rows.
    Lines(Lines),
    /// A record per site as it answers.
    Stream,
}

/// The words for forms, for those who cannot set a header.
const WORDS: &[(&str, Form)] = &[
    ("json", Form::Json),
    ("csv", Form::Lines(Lines::Csv)),
    ("ndjson", Form::Lines(Lines::Ndjson)),
    ("stream", Form::Stream),
];

/// The form of this name.
pub(super) fn named(name: &str) -> Result<Form, Problem> {
    WORDS.iter().find(|(word, _)| *word == name).map(|(_, form)| *form).ok_or_else(|| {
        let words: Vec<_> = WORDS.iter().map(|(word, _)| *word).collect();
        Problem::parameter("`format` is no form of the answer").remedy(format!("write one of {}", words.join(", ")))
    })
}

/// The form that is liked best; JSON where nothing is said.
pub(super) fn form(headers: &HeaderMap) -> Result<Form, Problem> {
    let mut best: Option<(Form, f32)> = None;
    let mut said = false;
    for value in headers.get_all(header::ACCEPT) {
        for range in value.to_str().unwrap_or("").split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or("").to_ascii_lowercase();
            said = said || !kind.is_empty();
            let form = match kind.as_str() {
                "application/json" | "application/*" | "*/*" => Form::Json,
                "text/csv" => Form::Lines(Lines::Csv),
                stream::CONTENT_TYPE => Form::Stream,
                _ => continue,
            };
            let liked = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
            if liked > best.map_or(0.0, |(_, liked)| liked) {
                best = Some((form, liked));
            }
        }
    }
    match best {
        Some((form, _)) => Ok(form),
        None if !said => Ok(Form::Json),
        None => Err(Problem::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", "there is no such form of the answer")
            .remedy(format!("accept application/json, text/csv or {}", stream::CONTENT_TYPE))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_liked_best_is_taken() {
        let form = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            super::form(&headers).ok()
        };
        assert_eq!(super::form(&HeaderMap::new()).ok(), Some(Form::Json));
        for (accept, expected) in [
            ("*/*", Some(Form::Json)),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Some(Form::Json)),
            ("application/x-ndjson", Some(Form::Stream)),
            ("application/json;q=0.5, Application/X-NDJSON", Some(Form::Stream)),
            ("application/x-ndjson;q=0.2, application/json", Some(Form::Json)),
            ("application/x-ndjson;q=0", None),
            ("text/csv", Some(Form::Lines(Lines::Csv))),
            ("image/png", None),
        ] {
            assert_eq!(form(accept), expected, "{accept}");
        }
    }
}
