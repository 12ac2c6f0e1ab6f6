//! A YAML file as a tree that knows the line and column of every key and value.
//!
//! Scalars keep the text of the file: `id: 007` and `token: 1e5` are texts until somebody asks for a number, and
//! `no` is a word. Nothing here prints a value, and no message of the YAML reader that repeats one gets through.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Error, Location, NonFiniteFloatPolicy, Options, Spanned};

use super::mistake::Fault;

/// Line and column, from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: u64,
    pub(crate) column: u64,
}

impl Place {
    /// The file as a whole.
    pub(crate) const FILE: Place = Place { line: 0, column: 0 };
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        Self { line: location.line(), column: location.column() }
    }
}

/// A value and where it stands. No `Debug`: it may hold a secret somebody wrote down.
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// What a node holds.
pub(crate) enum Value {
    /// Nothing, `~` or `null`.
    Empty,
    /// Any scalar, as written (quotes and escapes resolved).
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; repeated keys are all there.
    Map(Vec<Entry>),
}

/// One key of a map.
pub(crate) struct Entry {
    pub(crate) place: Place,
    /// None when the key is a list, a map or nothing.
    pub(crate) key: Option<String>,
    pub(crate) value: Node,
}

/// Reads one document. The budgets of the reader against alias bombs and deep nesting stay as they are.
pub(crate) fn read(source: &str) -> Result<Node, (Place, Fault)> {
    // Offsets are counted without the mark, so that texts are cut from the same string.
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let options: Options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        reject_unsupported_tags: true,
        strict_booleans: true,
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options::<Spanned<Shape>>(source, options) {
        Ok(root) => Ok(node(source, root)),
        Err(error) => Err(syntax_fault(&error)),
    }
}

fn syntax_fault(error: &Error) -> (Place, Fault) {
    let place = error.location().map_or(Place::FILE, Place::from);
    let fault = match error {
        Error::MultipleDocuments { .. } => {
            Fault::new("a second YAML document begins here").remedy("keep one document per file and remove `---`")
        }
        Error::UnsupportedTag { .. } => {
            Fault::new("YAML tags are not understood").remedy("remove the `!` and its word")
        }
        Error::InvalidScalar { .. } | Error::InvalidBinaryBase64 { .. } => {
            Fault::new("the value is not what its tag says").remedy("remove the tag")
        }
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            Fault::new("too large, too deeply nested, or too many aliases")
        }
        Error::RecursiveReferencesRequireWeakTypes { .. } => Fault::new("an alias leads back to itself"),
        Error::AliasError { error, .. } => return (place, syntax_fault(error).1),
        other => not_yaml(&other.to_string()),
    };
    (place, fault)
}

fn not_yaml(message: &str) -> Fault {
    let words = without_excerpt(message);
    let fault = Fault::new(format!("not YAML: {words}"));
    if words.contains(" flow ") {
        return fault.remedy("inside `{ }` and `[ ]` write `${NAME}` in quotes");
    }
    fault
}

/// The reader's words without the place (we have it) and without anything it quotes from the file.
fn without_excerpt(message: &str) -> &str {
    let words = message.split_once(" at line ").map_or(message, |(words, _)| words);
    let words = words.split('`').next().unwrap_or(words);
    words.trim_end_matches([' ', ':'])
}

fn node(source: &str, spanned: Spanned<Shape>) -> Node {
    let place = Place::from(spanned.referenced);
    let value = match spanned.value {
        Shape::Empty => Value::Empty,
        Shape::Text(text) => Value::Text(text),
        Shape::Typed(read) => Value::Text(as_written(source, spanned.defined).unwrap_or(read)),
        Shape::List(items) => Value::List(items.into_iter().map(|item| node(source, item)).collect()),
        Shape::Map(entries) => {
            let entry = |(key, value)| entry(node(source, key), node(source, value));
            Value::Map(entries.into_iter().map(entry).collect())
        }
    };
    Node { place, value }
}

fn entry(key: Node, value: Node) -> Entry {
    let text = match key.value {
        Value::Text(text) => Some(text),
        Value::Empty | Value::List(_) | Value::Map(_) => None,
    };
    Entry { place: key.place, key: text, value }
}

/// The characters of a plain scalar that the reader took for a number or a truth value.
fn as_written(source: &str, location: Location) -> Option<String> {
    let span = location.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let length = usize::try_from(span.byte_len()?).ok()?;
    let text = source.get(start..start.checked_add(length)?)?.trim();
    Some(text.trim_matches(['"', '\'']).to_owned())
}

/// What the reader hands over before texts are restored.
enum Shape {
    Empty,
    Text(String),
    Typed(String),
    List(Vec<Spanned<Shape>>),
    Map(Vec<(Spanned<Shape>, Spanned<Shape>)>),
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Empty)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Shape, E> {
        Ok(Shape::Typed(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Shape, E> {
        Ok(Shape::Typed(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Shape, E> {
        Ok(Shape::Typed(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Shape, E> {
        Ok(Shape::Typed(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Shape, E> {
        Ok(Shape::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Shape, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Shape::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Shape, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Shape::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(source: &str) -> Vec<Entry> {
        match read(source) {
            Ok(Node { value: Value::Map(entries), .. }) => entries,
            _ => panic!("no map"),
        }
    }

    fn text(entry: &Entry) -> &str {
        match &entry.value.value {
            Value::Text(text) => text,
            _ => panic!("no text"),
        }
    }

    #[test]
    fn scalars_keep_their_text() {
        let source = "a: 007\nb: 1e5 # c\nc: no\nd: 2026a\né: 0x1F\nf: True\ng: -1_000\nh: .inf\n\
                      i: 1e999\nj: 'it''s'\nk: \"7\"\nl: 12:30\n8: 9\n";
        let entries = entries(&format!("\u{feff}{source}"));
        let texts: Vec<&str> = entries.iter().map(text).collect();
        assert_eq!(
            texts,
            ["007", "1e5", "no", "2026a", "0x1F", "True", "-1_000", ".inf", "1e999", "it's", "7", "12:30", "9"]
        );
        assert_eq!(entries[12].key.as_deref(), Some("8"));
    }

    #[test]
    fn places_count_characters_from_one() {
        let entries = entries("é: ñ\nb: [x,  y]\nb: 2\n");
        let places: Vec<_> = entries.iter().map(|e| (e.place.line, e.place.column, e.value.place.column)).collect();
        assert_eq!(places, [(1, 1, 4), (2, 1, 4), (3, 1, 4)]);
        let Value::List(items) = &entries[1].value.value else {
            panic!("no list");
        };
        assert_eq!((items[1].place.line, items[1].place.column), (2, 9));
    }

    #[test]
    fn an_alias_stands_where_it_is_used() {
        let entries = entries("a: &x 0042\nb: *x\n");
        assert_eq!(text(&entries[1]), "0042");
        assert_eq!(entries[1].value.place.line, 2);
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut source = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..12 {
            let aliases = vec![format!("*a{}", i - 1); 10].join(", ");
            source.push_str(&format!("a{i}: &a{i} [{aliases}]\n"));
        }
        assert!(read(&source).is_err());
        assert!(read(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn no_message_repeats_the_file() {
        for value in [
            "@hunter2",
            "%hunter2",
            "*hunter2",
            "!hunter2 x",
            "!!int hunter2",
            "!!float hunter2",
            "!!bool hunter2",
            "!!binary hunter2",
            "'hunter2",
            "|hunter2\n x",
            "b: hunter2",
            "\"\\hunter2\"",
            "!h!hunter2 x",
            "&hunter2 &hunter2 x",
            "{hunter2: hunter2",
            "'x' hunter2",
            "x\nhunter2",
            "!<hunter2 x",
            "\0hunter2",
            "\thunter2\n\thunter2: 1",
        ] {
            if let Err((_, fault)) = read(&format!("a: {value}\n")) {
                assert!(!fault.message.contains("hunter"), "{}", fault.message);
                assert!(!fault.message.contains('`'), "{}", fault.message);
            }
        }
    }
}
