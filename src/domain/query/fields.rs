//! The fields of the language: their names, what a value of each must look like, and what to say when it does not.

use super::super::agent::Status;
use super::super::fold::fold;
use super::parse::{At, Kind, QueryError, Value};
use super::{AgeBound, IpPattern, Part, Pattern, TextField, What};

/// What a field looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Text(TextField),
    Status,
    Site,
    Tag,
    Ip,
    Age,
    Alert,
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
    ("age", Field::Age),
    ("alert", Field::Alert),
];

/// The names of all fields, as written before the colon.
pub const FIELD_NAMES: &[&str] = &["alias", "name", "ip", "group", "os", "status", "site", "tag", "age", "alert"];

/// The field of this name, in any case.
pub(super) fn named(name: &str) -> Option<(&'static str, Field)> {
    FIELDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).copied()
}

/// The name of a text field.
pub(super) fn name_of(field: TextField) -> &'static str {
    FIELDS.iter().find(|(_, known)| *known == Field::Text(field)).map_or("", |(name, _)| *name)
}

pub(super) fn unknown(at: At, word: &str, rest: &str) -> QueryError {
    let lower = word.to_ascii_lowercase();
    let near = FIELDS.iter().map(|(name, _)| (strsim::damerau_levenshtein(name, &lower), name)).min();
    let escaped = format!("{word}{rest}").replace('\\', "\\\\").replace('"', "\\\"");
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
        _ => format!("known are {}; or write {quoted}", FIELD_NAMES.join(", ")),
    };
    let shown: String = word.chars().take(40).collect();
    QueryError::new(at, format!("unknown field `{shown}`"), remedy)
}

pub(super) fn example(field: &str) -> &'static str {
    match field {
        "status" => "`status:critical` or `status:critical,warning`",
        "ip" => "`ip:10.1.0.7`, `ip:10.1.` or `ip:10.1.0.0/16`",
        "site" => "`site:madrid`",
        "tag" => "`tag:production`",
        "age" => "`age:>10m` or `age:<1h` (units s, m, h, d, w)",
        "alert" => "`alert:fired` or `-alert:fired`",
        _ => "`group:web` or `group:\"two words\"`",
    }
}

fn folded(value: &Value) -> Result<String, QueryError> {
    let text = fold(&value.text);
    if text.is_empty() {
        let message = if value.text.is_empty() { "an empty phrase" } else { "only accents, without a letter" };
        return Err(QueryError::new(value.at, message, "write what to look for"));
    }
    Ok(text)
}

/// A word.
pub(super) fn text(value: &Value) -> Result<What, QueryError> {
    folded(value).map(What::Text)
}

/// A field and its values.
pub(super) fn term(field: Field, values: &[Value]) -> Result<What, QueryError> {
    Ok(match field {
        Field::Text(field) => What::In(field, list(values, part)?),
        Field::Status => What::Status(list(values, status)?),
        Field::Site => What::Site(list(values, folded)?),
        Field::Tag => What::Tag(list(values, folded)?),
        Field::Ip => What::Ip(list(values, ip)?),
        Field::Age => What::Age(list(values, age)?),
        Field::Alert => list(values, alert).map(|_| What::Alert)?,
    })
}

fn list<T: Ord>(values: &[Value], one: impl Fn(&Value) -> Result<T, QueryError>) -> Result<Vec<T>, QueryError> {
    let mut list = values.iter().map(one).collect::<Result<Vec<T>, QueryError>>()?;
    list.sort();
    list.dedup();
    Ok(list)
}

fn part(value: &Value) -> Result<Part, QueryError> {
    if value.kind != Kind::Pattern {
        return folded(value).map(Part::Text);
    }
    Pattern::new(&value.text).map(Part::Pattern).map_err(|error| {
        let before: usize = value.text.chars().take(error.at).map(char::len_utf8).sum();
        // Behind the opening slash.
        let at = At { column: value.at.column + 1 + error.at, byte: value.at.byte + 1 + before };
        QueryError::new(at, format!("in this pattern: {}", error.message), "see docs/search.md for patterns")
    })
}

fn status(value: &Value) -> Result<Status, QueryError> {
    let wanted = value.text.to_ascii_lowercase();
    let known = Status::WORST_FIRST;
    known.iter().find(|(word, _)| *word == wanted).map(|(_, status)| *status).ok_or_else(|| {
        let words: Vec<_> = known.iter().map(|(word, _)| *word).collect();
        let message = format!("`{}` is no status", value.text);
        QueryError::new(value.at, message, format!("write one of {}", words.join(", ")))
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
    Err(QueryError::new(value.at, message, format!("write {}", example("ip"))))
}

fn age(value: &Value) -> Result<AgeBound, QueryError> {
    AgeBound::parse(&value.text).map_err(|reason| {
        let shown: String = value.text.chars().take(40).collect();
        QueryError::new(value.at, format!("`{shown}` is no age: it {reason}"), format!("write {}", example("age")))
    })
}

fn alert(value: &Value) -> Result<(), QueryError> {
    if value.text.eq_ignore_ascii_case("fired") {
        return Ok(());
    }
    let shown: String = value.text.chars().take(40).collect();
    Err(QueryError::new(value.at, format!("`{shown}` is no state of an alert"), format!("write {}", example("alert"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_names_is_that_of_the_fields() {
        assert_eq!(FIELDS.iter().map(|(name, _)| *name).collect::<Vec<_>>(), FIELD_NAMES);
    }
}
