//! The search line to terms. Positions in errors count characters from 1, and bytes from 0.
//!
//! A quote opens a phrase only where a value begins; elsewhere it is a character like any other, so `5"disk` is a
//! word. Inside a phrase `\"` is a quote and `\\` a backslash; outside, a backslash is itself (`DOMAIN\user`). A slash
//! opens a pattern only where the value of a text field begins; inside, `\/` is a slash.

use super::fields::{self, Field};
use super::{Term, What};

/// A longer search line is refused.
pub const MAX_QUERY_BYTES: usize = 4096;

/// More words or values than this are refused: each costs a pass over every inventory.
const MAX_WORDS: usize = 64;

/// More patterns than this are refused: they cost most.
const MAX_PATTERNS: usize = 4;

/// A mistake in a search line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("position {position}: {message}; {remedy}")]
pub struct QueryError {
    /// The character it is about, from 1.
    pub position: usize,
    /// The byte it is about, from 0.
    pub byte: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub remedy: String,
}

impl QueryError {
    pub(super) fn new(at: At, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { position: at.column, byte: at.byte, message: message.into(), remedy: remedy.into() }
    }
}

/// A place in the line.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) column: usize,
    pub(super) byte: usize,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bare,
    Quoted,
    Pattern,
}

/// A value and where it begins.
pub(super) struct Value {
    pub(super) at: At,
    pub(super) text: String,
    pub(super) kind: Kind,
}

/// Reads the line character by character and knows the position.
struct Cursor<'a> {
    rest: &'a str,
    at: At,
    words: usize,
    patterns: usize,
}

pub(super) fn parse(line: &str) -> Result<Vec<Term>, QueryError> {
    if line.len() > MAX_QUERY_BYTES {
        let message = format!("the search is {} bytes long, more than {MAX_QUERY_BYTES}", line.len());
        let whole = line.get(..line.floor_char_boundary(MAX_QUERY_BYTES)).unwrap_or("");
        let at = At { column: whole.chars().count() + 1, byte: whole.len() };
        return Err(QueryError::new(at, message, "ask for less at once"));
    }
    let mut cursor = Cursor { rest: line, at: At { column: 1, byte: 0 }, words: 0, patterns: 0 };
    let mut terms = Vec::new();
    loop {
        cursor.skip_blanks();
        if cursor.peek().is_none() {
            return Ok(terms);
        }
        terms.push(cursor.term()?);
    }
}

impl Cursor<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = self.rest.get(c.len_utf8()..).unwrap_or("");
        self.at = At { column: self.at.column + 1, byte: self.at.byte + c.len_utf8() };
        Some(c)
    }

    /// Counts a word or a value that begins here.
    fn count(&mut self) -> Result<(), QueryError> {
        self.words += 1;
        if self.words > MAX_WORDS {
            let message = format!("more than {MAX_WORDS} words and values");
            return Err(QueryError::new(self.at, message, "ask for less at once"));
        }
        Ok(())
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.next();
        }
        found
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.next();
        }
    }

    fn term(&mut self) -> Result<Term, QueryError> {
        self.count()?;
        let start = self.at;
        let negated = self.take('-');
        if negated && self.peek().is_none_or(char::is_whitespace) {
            return Err(QueryError::new(
                start,
                "nothing follows `-`",
                "write the word to exclude behind it, or `\"-\"` to find a dash",
            ));
        }
        let what = if self.peek() == Some('"') {
            let phrase = self.phrase()?;
            self.end_of_value("", "a closing quote")?;
            fields::text(&phrase)?
        } else {
            self.word_or_field()?
        };
        Ok(Term { negated, what })
    }

    /// A quoted phrase; stands at its opening quote.
    fn phrase(&mut self) -> Result<Value, QueryError> {
        let at = self.at;
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                Some('"') => return Ok(Value { at, text, kind: Kind::Quoted }),
                Some('\\') if matches!(self.peek(), Some('"' | '\\')) => text.extend(self.next()),
                Some(c) => text.push(c),
                None => {
                    return Err(QueryError::new(
                        at,
                        "this quote is never closed",
                        "add a `\"` behind the phrase, or write `\"\\\"\"` to find a quote",
                    ));
                }
            }
        }
    }

    /// A pattern; stands at its opening slash. Escapes are kept for the engine.
    fn pattern(&mut self, field: &str) -> Result<Value, QueryError> {
        let at = self.at;
        self.patterns += 1;
        if self.patterns > MAX_PATTERNS {
            let message = format!("more than {MAX_PATTERNS} patterns");
            return Err(QueryError::new(at, message, "join them: `/a|b/` matches either"));
        }
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                Some('/') => return Ok(Value { at, text, kind: Kind::Pattern }),
                Some('\\') => {
                    text.push('\\');
                    text.extend(self.next());
                }
                Some(c) => text.push(c),
                None => {
                    let remedy = format!("add a `/` behind it, or write `{field}:\"/…\"` to find that text");
                    return Err(QueryError::new(at, "this pattern is never closed", remedy));
                }
            }
        }
    }

    fn end_of_value(&self, also: &str, end: &str) -> Result<(), QueryError> {
        match self.peek() {
            Some(c) if !c.is_whitespace() && !also.contains(c) => {
                Err(QueryError::new(self.at, format!("text follows {end}"), "put a blank between them"))
            }
            _ => Ok(()),
        }
    }

    fn bare(&mut self, stop: &str) -> Value {
        let at = self.at;
        let mut text = String::new();
        while let Some(c) = self.peek().filter(|c| !c.is_whitespace() && !stop.contains(*c)) {
            self.next();
            text.push(c);
        }
        Value { at, text, kind: Kind::Bare }
    }

    fn word_or_field(&mut self) -> Result<What, QueryError> {
        let mut word = self.bare(":");
        if self.peek() != Some(':') {
            return fields::text(&word);
        }
        if let Some((name, field)) = fields::named(&word.text) {
            self.next();
            let values = self.values(name, field)?;
            return fields::term(field, &values);
        }
        let rest = self.bare("");
        let like_a_field = !word.text.is_empty() && word.text.chars().all(char::is_alphabetic);
        if like_a_field && !is_no_field(&word.text, &rest.text) {
            return Err(fields::unknown(word.at, &word.text, &rest.text));
        }
        word.text.push_str(&rest.text);
        fields::text(&word)
    }

    fn values(&mut self, name: &str, field: Field) -> Result<Vec<Value>, QueryError> {
        let mut values = Vec::new();
        loop {
            let value = match (self.peek(), field) {
                (Some('"'), _) => {
                    let phrase = self.phrase()?;
                    self.end_of_value(",", "a closing quote")?;
                    phrase
                }
                (Some('/'), Field::Text(_)) => {
                    let pattern = self.pattern(name)?;
                    self.end_of_value(",", "a closing slash").map_err(|error| QueryError {
                        remedy: format!("put a blank between them, write `\\/` for a slash in a pattern, or `{name}:\"/…\"` to find that text"),
                        ..error
                    })?;
                    pattern
                }
                _ => self.bare(","),
            };
            if value.text.is_empty() {
                let message = format!("`{name}:` has no value here");
                return Err(QueryError::new(value.at, message, format!("write {}", fields::example(name))));
            }
            values.push(value);
            if !self.take(',') {
                return Ok(values);
            }
            self.count()?;
        }
    }
}

/// `host:8080`, `http://…`, `C:\…`, `dead:beef::1`, `aa:bb:cc:dd:ee:ff`: a colon that does not make a field.
/// `rest` begins with the colon.
fn is_no_field(word: &str, rest: &str) -> bool {
    let after = rest.get(1..).unwrap_or("");
    let port = after.split(['/', '?']).next().unwrap_or("");
    let is_port = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let is_drive = word.len() == 1 && after.starts_with(['\\', '/']);
    let is_hex = |part: &str| part.len() <= 4 && part.bytes().all(|b| b.is_ascii_hexdigit());
    // Without the zone or the length of a network behind it.
    let bare = after.split(['%', '/']).next().unwrap_or("");
    let is_address = rest.matches(':').count() >= 2 && is_hex(word) && bare.split(':').all(is_hex);
    let is_mixed = format!("{word}:{bare}").parse::<std::net::Ipv6Addr>().is_ok();
    is_port || is_drive || is_address || is_mixed || after.starts_with("//")
}
