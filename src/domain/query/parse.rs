//! The search line to terms and back. Positions in errors count characters from 1.
//!
//! A quote opens a phrase only where a value begins; elsewhere it is a character like any other, so `5"disk` is a
//! word. Inside a phrase `\"` is a quote and `\\` a backslash; outside, a backslash is itself (`DOMAIN\user`).

use std::fmt;

use super::super::agent::Status;
use super::super::fold::fold;
use super::{IpPattern, Term, TextField, What};

/// A longer search line is refused.
pub const MAX_QUERY_BYTES: usize = 4096;

/// More words or values than this are refused: each costs a pass over every inventory.
const MAX_WORDS: usize = 64;

/// A mistake in a search line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("position {position}: {message}; {remedy}")]
pub struct QueryError {
    /// The character it is about, from 1.
    pub position: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub remedy: String,
}

impl QueryError {
    fn new(position: usize, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { position, message: message.into(), remedy: remedy.into() }
    }
}

#[derive(Clone, Copy, Debug)]
enum Field {
    Text(TextField),
    Status,
    Site,
    Tag,
    Ip,
}

const FIELDS: &[(&str, Field)] = &[
    ("alias", Field::Text(TextField::Alias)),
    ("name", Field::Text(TextField::Name)),
    ("ip", Field::Ip),
    ("group", Field::Text(TextField::Group)),
    ("os", Field::Text(TextField::Os)),
    ("status", Field::Status),
    ("site", Field::Site),
    ("tag", Field::Tag),
];

/// Whether there is such a field.
pub(super) fn is_field(name: &str) -> bool {
    FIELDS.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
}

/// Words of the language that this version does not answer yet. Refused, so that nobody takes silence for "none".
const LATER: &[&str] = &["age", "alert"];

/// A value and where it begins.
struct Value {
    position: usize,
    text: String,
    quoted: bool,
}

/// Reads the line character by character and knows the position.
struct Cursor<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    position: usize,
    words: usize,
}

pub(super) fn parse(line: &str) -> Result<Vec<Term>, QueryError> {
    if line.len() > MAX_QUERY_BYTES {
        let message = format!("the search is {} bytes long, more than {MAX_QUERY_BYTES}", line.len());
        let whole = line.char_indices().take_while(|(at, _)| *at < MAX_QUERY_BYTES).count();
        return Err(QueryError::new(whole, message, "ask for less at once"));
    }
    let mut cursor = Cursor { rest: line.chars().peekable(), position: 1, words: 0 };
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
    fn peek(&mut self) -> Option<char> {
        self.rest.peek().copied()
    }

    fn next(&mut self) -> Option<char> {
        self.position += 1;
        self.rest.next()
    }

    /// Counts a word or a value that begins here.
    fn count(&mut self) -> Result<(), QueryError> {
        self.words += 1;
        if self.words > MAX_WORDS {
            let message = format!("more than {MAX_WORDS} words and values");
            return Err(QueryError::new(self.position, message, "ask for less at once"));
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
        let start = self.position;
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
            self.end_of_phrase("")?;
            text(phrase)?
        } else {
            self.word_or_field()?
        };
        Ok(Term { negated, what })
    }

    /// A quoted phrase; stands at its opening quote.
    fn phrase(&mut self) -> Result<Value, QueryError> {
        let position = self.position;
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                Some('"') => {
                    return Ok(Value { position, text, quoted: true });
                }
                Some('\\') if matches!(self.peek(), Some('"' | '\\')) => text.extend(self.next()),
                Some(c) => text.push(c),
                None => {
                    return Err(QueryError::new(
                        position,
                        "this quote is never closed",
                        "add a `\"` behind the phrase, or write `\"\\\"\"` to find a quote",
                    ));
                }
            }
        }
    }

    fn end_of_phrase(&mut self, also: &str) -> Result<(), QueryError> {
        match self.peek() {
            Some(c) if !c.is_whitespace() && !also.contains(c) => {
                Err(QueryError::new(self.position, "text follows a closing quote", "put a blank between them"))
            }
            _ => Ok(()),
        }
    }

    fn bare(&mut self, stop: &str) -> Value {
        let position = self.position;
        let mut text = String::new();
        while let Some(c) = self.peek().filter(|c| !c.is_whitespace() && !stop.contains(*c)) {
            self.next();
            text.push(c);
        }
        Value { position, text, quoted: false }
    }

    fn word_or_field(&mut self) -> Result<What, QueryError> {
        let mut word = self.bare(":");
        if self.peek() != Some(':') {
            return text(word);
        }
        let lower = word.text.to_ascii_lowercase();
        if let Some((name, field)) = FIELDS.iter().find(|(name, _)| *name == lower) {
            self.next();
            let values = self.values(name)?;
            return field_term(name, *field, values);
        }
        let rest = self.bare("");
        if let Some(name) = LATER.iter().find(|name| **name == lower) {
            let message = format!("`{name}:` is not answered by this version");
            return Err(QueryError::new(word.position, message, "leave it out"));
        }
        let like_a_field = !word.text.is_empty() && word.text.chars().all(char::is_alphabetic);
        if like_a_field && !is_no_field(&word.text, &rest.text) {
            return Err(unknown_field(&word, &lower, &rest.text));
        }
        word.text.push_str(&rest.text);
        text(word)
    }

    fn values(&mut self, field: &str) -> Result<Vec<Value>, QueryError> {
        let mut values = Vec::new();
        loop {
            let value = if self.peek() == Some('"') {
                let phrase = self.phrase()?;
                self.end_of_phrase(",")?;
                phrase
            } else {
                self.bare(",")
            };
            if value.text.is_empty() {
                let message = format!("`{field}:` has no value here");
                return Err(QueryError::new(value.position, message, format!("write {}", example(field))));
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
    let is_address = rest.matches(':').count() >= 2 && is_hex(word) && after.split(':').all(is_hex);
    is_port || is_drive || is_address || after.starts_with("//")
}

fn unknown_field(word: &Value, lower: &str, rest: &str) -> QueryError {
    let near = FIELDS.iter().map(|(name, _)| (strsim::damerau_levenshtein(name, lower), name)).min();
    let escaped = format!("{}{rest}", word.text).replace('\\', "\\\\").replace('"', "\\\"");
    let quoted = if escaped.chars().count() > 60 {
        "the text in quotes to find it".to_owned()
    } else {
        format!("`\"{escaped}\"` to find that text")
    };
    let remedy = match near {
        // Of a short word two letters are too much to have mistyped.
        Some((distance, name)) if distance <= 2 && distance * 2 < lower.chars().count() => {
            format!("write `{name}:`, or {quoted}")
        }
        _ => {
            let known: Vec<_> = FIELDS.iter().map(|(name, _)| *name).collect();
            format!("known are {}; or write {quoted}", known.join(", "))
        }
    };
    let shown: String = word.text.chars().take(40).collect();
    QueryError::new(word.position, format!("unknown field `{shown}`"), remedy)
}

fn example(field: &str) -> &'static str {
    match field {
        "status" => "`status:critical` or `status:critical,warning`",
        "ip" => "`ip:10.1.0.7`, `ip:10.1.` or `ip:10.1.0.0/16`",
        "site" => "`site:madrid`",
        "tag" => "`tag:production`",
        _ => "`group:web` or `group:\"two words\"`",
    }
}

fn folded(value: &Value) -> Result<String, QueryError> {
    let text = fold(&value.text);
    if text.is_empty() {
        let message = if value.text.is_empty() { "an empty phrase" } else { "only accents, without a letter" };
        return Err(QueryError::new(value.position, message, "write what to look for"));
    }
    Ok(text)
}

fn text(value: Value) -> Result<What, QueryError> {
    folded(&value).map(What::Text)
}

fn field_term(name: &str, field: Field, values: Vec<Value>) -> Result<What, QueryError> {
    Ok(match field {
        Field::Text(field) => {
            if let Some(regex) = values.iter().find(|v| !v.quoted && v.text.starts_with('/')) {
                let message = "regular expressions are not answered by this version";
                let remedy = format!("write `{name}:\"/…\"` to find that text");
                return Err(QueryError::new(regex.position, message, remedy));
            }
            What::In(field, list(values, folded)?)
        }
        Field::Status => What::Status(list(values, status)?),
        Field::Site => What::Site(list(values, folded)?),
        Field::Tag => What::Tag(list(values, folded)?),
        Field::Ip => What::Ip(list(values, ip)?),
    })
}

fn list<T: Ord>(values: Vec<Value>, one: impl Fn(&Value) -> Result<T, QueryError>) -> Result<Vec<T>, QueryError> {
    let mut list = values.iter().map(one).collect::<Result<Vec<T>, QueryError>>()?;
    list.sort();
    list.dedup();
    Ok(list)
}

fn status(value: &Value) -> Result<Status, QueryError> {
    let wanted = value.text.to_ascii_lowercase();
    let known = Status::WORST_FIRST;
    known.iter().find(|(word, _)| *word == wanted).map(|(_, status)| *status).ok_or_else(|| {
        let words: Vec<_> = known.iter().map(|(word, _)| *word).collect();
        let message = format!("`{}` is no status", value.text);
        QueryError::new(value.position, message, format!("write one of {}", words.join(", ")))
    })
}

fn ip(value: &Value) -> Result<IpPattern, QueryError> {
    let text = value.text.as_str();
    if let Ok(network) = text.parse::<ipnet::IpNet>() {
        return Ok(IpPattern::Network(network.trunc()));
    }
    if let Ok(address) = text.parse::<std::net::IpAddr>() {
        return Ok(IpPattern::Network(address.into()));
    }
    if text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'.' || b == b':') {
        return Ok(IpPattern::Prefix(text.to_ascii_lowercase()));
    }
    let message = format!("`{text}` is no address");
    Err(QueryError::new(value.position, message, format!("write {}", example("ip"))))
}

/// Writes a term so that parsing gives it back.
pub(super) fn write_term(what: &What, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match what {
        What::Text(text) => write_value(text, f),
        What::Named(name) => write!(f, "=").and_then(|()| write_value(name, f)),
        What::In(field, values) => {
            let name = FIELDS
                .iter()
                .find(|(_, known)| matches!(known, Field::Text(text) if text == field))
                .map_or("", |(name, _)| *name);
            write_field(name, values.iter(), f)
        }
        What::Status(states) => write_field("status", states.iter().map(|s| s.as_str()), f),
        What::Site(ids) => write_field("site", ids.iter(), f),
        What::Tag(tags) => write_field("tag", tags.iter(), f),
        What::Ip(patterns) => write_field("ip", patterns.iter().map(ToString::to_string), f),
    }
}

fn write_field<T: AsRef<str>>(name: &str, values: impl Iterator<Item = T>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{name}")?;
    for (index, value) in values.enumerate() {
        f.write_str(if index == 0 { ":" } else { "," })?;
        write_value(value.as_ref(), f)?;
    }
    Ok(())
}

fn write_value(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    if text.chars().all(plain) && !text.starts_with(['-', '/']) {
        return f.write_str(text);
    }
    write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

impl fmt::Display for IpPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => write!(f, "{network}"),
            Self::Prefix(prefix) => f.write_str(prefix),
        }
    }
}
