//! Terms to text, so that parsing gives them back.

use std::fmt;

use super::fields::name_of;
use super::{IpPattern, Part, What};

/// Writes a term.
pub(super) fn term(what: &What, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match what {
        What::Text(text) => value(text, f),
        What::Named(name) => write!(f, "=").and_then(|()| value(name, f)),
        What::In(field, parts) => list(name_of(*field), parts, f, |part, f| match part {
            Part::Text(text) => value(text, f),
            Part::Pattern(pattern) => write!(f, "/{}/", pattern.as_str()),
        }),
        What::Status(states) => list("status", states, f, |state, f| f.write_str(state.as_str())),
        What::Site(ids) => list("site", ids, f, |id, f| value(id, f)),
        What::Tag(tags) => list("tag", tags, f, |tag, f| value(tag, f)),
        What::Ip(patterns) => list("ip", patterns, f, |pattern, f| write!(f, "{pattern}")),
        What::Age(bounds) => list("age", bounds, f, |bound, f| write!(f, "{bound}")),
        What::Alert => f.write_str("alert:fired"),
    }
}

fn list<T>(
    name: &str,
    values: &[T],
    f: &mut fmt::Formatter<'_>,
    one: impl Fn(&T, &mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    f.write_str(name)?;
    for (index, value) in values.iter().enumerate() {
        f.write_str(if index == 0 { ":" } else { "," })?;
        one(value, f)?;
    }
    Ok(())
}

fn value(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(&quoted(text))
}

/// A text as a word or value of a search, in quotes where it needs them.
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    if !text.is_empty() && text.chars().all(plain) && !text.starts_with(['-', '/']) {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

impl fmt::Display for IpPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => write!(f, "{network}"),
            Self::Prefix(prefix) => f.write_str(prefix),
        }
    }
}
