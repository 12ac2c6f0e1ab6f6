//! A line that is being typed: what is whole of it, and the piece at its end that may still become something.

use super::{MAX_QUERY_BYTES, Query, Term, fields, parse};

/// A half-typed line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    /// The conditions before the piece; those with a mistake are left out.
    pub whole: Query,
    /// The line before the piece, as typed.
    pub before: String,
    /// Whether the piece is to be absent.
    pub negated: bool,
    /// What is being typed.
    pub piece: Piece,
}

/// The piece at the end of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A word, which may become a field. Without its quote; empty where a new one begins.
    Word(String),
    /// The last value of a field.
    Value {
        /// The field's name.
        field: &'static str,
        /// Its earlier values as typed, each with its comma.
        earlier: String,
        /// What of the last is there, without its quote.
        text: String,
    },
}

pub(super) fn parse(line: &str) -> Partial {
    let line = line.get(..line.floor_char_boundary(MAX_QUERY_BYTES)).unwrap_or("");
    let (mut tokens, last) = tokens(line);
    let whole: Vec<Term> = tokens.drain(..).filter_map(|token| parse::parse(token).ok()).flatten().collect();
    let before = line.get(..line.len() - last.len()).unwrap_or("").to_owned();
    let (negated, rest) = match last.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, last),
    };
    Partial { whole: Query::of(whole), before, negated, piece: piece(rest) }
}

fn piece(text: &str) -> Piece {
    let field = text.split_once(':').and_then(|(name, values)| Some((fields::named(name)?.0, values)));
    let Some((field, values)) = field else { return Piece::Word(opened(text).to_owned()) };
    let (mut begin, mut quoted, mut escaped, mut at_begin) = (0, false, false, true);
    for (at, c) in values.char_indices() {
        match c {
            '"' if at_begin => quoted = true,
            '"' if quoted && !escaped => quoted = false,
            ',' if !quoted => begin = at + 1,
            _ => {}
        }
        at_begin = c == ',' && !quoted;
        escaped = c == '\\' && !escaped;
    }
    let (earlier, text) = values.split_at_checked(begin).unwrap_or(("", values));
    Piece::Value { field, earlier: earlier.to_owned(), text: opened(text).to_owned() }
}

/// Without its quotes.
fn opened(text: &str) -> &str {
    let inner = text.strip_prefix('"').unwrap_or(text);
    inner.strip_suffix('"').filter(|_| inner.len() < text.len()).unwrap_or(inner)
}

/// The pieces that are followed by a blank, and the one that is not (empty when there is none). A quote holds blanks
/// together where a value begins.
fn tokens(line: &str) -> (Vec<&str>, &str) {
    let (mut tokens, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    let mut previous = None;
    for (at, c) in line.char_indices() {
        match c {
            '"' if quoted => quoted = escaped,
            '"' => quoted = previous.is_none_or(|c: char| c.is_whitespace() || matches!(c, '-' | ':' | ',')),
            c if c.is_whitespace() && !quoted => {
                tokens.extend(line.get(start..at).filter(|token| !token.is_empty()));
                start = at + c.len_utf8();
            }
            _ => {}
        }
        escaped = quoted && c == '\\' && !escaped;
        previous = Some(c);
    }
    (tokens, line.get(start..).unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_piece_at_the_end_is_told_from_what_is_whole() {
        let word = |text: &str| Piece::Word(text.to_owned());
        let value = |field, earlier: &str, text: &str| Piece::Value {
            field,
            earlier: earlier.to_owned(),
            text: text.to_owned(),
        };
        for (line, whole, before, negated, piece) in [
            ("", "", "", false, word("")),
            ("sta", "", "", false, word("sta")),
            ("web ", "web", "web ", false, word("")),
            ("web -sta", "web", "web ", true, word("sta")),
            ("web status:cri", "web", "web ", false, value("status", "", "cri")),
            ("Group:\"Web se", "", "", false, value("group", "", "Web se")),
            ("group:\"a, b\",da", "", "", false, value("group", "\"a, b\",", "da")),
            ("site:", "", "", false, value("site", "", "")),
            ("statsu:x -db \"two w", "-db", "statsu:x -db ", false, word("two w")),
            ("age:>10m os:", "age:>10m", "age:>10m ", false, value("os", "", "")),
        ] {
            let partial = Query::parse_partial(line);
            assert_eq!(partial.whole.to_string(), whole, "{line}");
            assert_eq!((partial.before.as_str(), partial.negated, partial.piece), (before, negated, piece), "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_is_a_mistake(line in any::<String>()) {
            let partial = Query::parse_partial(&line);
            prop_assert!(line.starts_with(&partial.before));
        }
    }
}
