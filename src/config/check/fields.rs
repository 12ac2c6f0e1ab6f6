//! A map of the configuration, read by key: wrong types, unknown and repeated keys are told here for everybody.

use std::path::Path;

use crate::config::environment::expand;
use crate::config::mistake::Fault;
use crate::config::node::{Entry, Node, Place, Value};
use crate::config::secrets::{self, Found};
use crate::secret::Secret;

use super::scope::{Placed, Scope};

/// The keys that a map may have.
pub(crate) struct Keys {
    pub(crate) known: &'static [&'static str],
    /// Keys that people look for here in vain: key, what is wrong, what to do.
    pub(crate) refused: &'static [(&'static str, &'static str, &'static str)],
    /// Whether the map holds secrets. A key that resembles none of the known ones is then not shown: in
    /// `{token:hunter2}`, without a blank, the secret is part of the key.
    pub(crate) secret: bool,
}

impl Keys {
    /// Keys of a map without secrets.
    pub(crate) const fn of(known: &'static [&'static str]) -> Self {
        Self { known, refused: &[], secret: false }
    }

    /// Keys of a map with secrets.
    pub(crate) const fn of_secrets(known: &'static [&'static str]) -> Self {
        Self { known, refused: &[], secret: true }
    }
}

/// A map with its scope.
#[derive(Clone)]
pub(crate) struct Fields<'a> {
    pub(crate) scope: Scope<'a>,
    pub(crate) place: Place,
    entries: &'a [Entry],
}

impl<'a> Fields<'a> {
    /// Takes `node` for a map; nothing at all is an empty one. Tells what `keys` do not allow.
    pub(crate) fn open(scope: &Scope<'a>, node: &'a Node, keys: &Keys) -> Option<Self> {
        let entries: &[Entry] = match &node.value {
            Value::Map(entries) => entries,
            Value::Empty => &[],
            other => {
                scope.tell(node.place, wrong_type("a map", other));
                return None;
            }
        };
        for (i, entry) in entries.iter().enumerate() {
            let before = entries.get(..i).unwrap_or_default();
            if let Some(fault) = key_fault(entry, before, keys) {
                scope.tell(entry.place, fault);
            }
        }
        Some(Self { scope: scope.clone(), place: node.place, entries })
    }

    /// An empty map at the same place, for a section that is absent.
    pub(crate) fn without_entries(&self) -> Self {
        Self { entries: &[], ..self.clone() }
    }

    /// The node of a key that is there and not empty.
    pub(crate) fn node(&self, key: &str) -> Option<&'a Node> {
        let entry = self.entry(key)?;
        (!matches!(entry.value.value, Value::Empty)).then_some(&entry.value)
    }

    /// Whether the key is there, even with a mistake in its value.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.node(key).is_some()
    }

    /// Tells a mistake at the value of `key`, or at the whole map when the key is absent.
    pub(crate) fn tell(&self, key: &str, fault: Fault) {
        let place = self.entry(key).map_or(self.place, |entry| entry.value.place);
        self.scope.tell(place, fault);
    }

    /// Tells what is wrong with the value of `key`, with the key before it.
    pub(crate) fn tell_about(&self, key: &str, fault: Fault) {
        self.tell(key, about(key, fault));
    }

    /// Tells when `key` is missing. One that is there without a value is told by whoever reads the value.
    pub(crate) fn require(&self, key: &str, remedy: &str) {
        if self.entry(key).is_none() {
            let fault = Fault::new(format!("`{key}` is missing")).remedy(remedy);
            self.tell(key, fault);
        }
    }

    /// A single value: `${NAME}` is replaced, then `parse` decides.
    pub(crate) fn value<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, Fault>) -> Option<T> {
        self.placed(key, parse).map(|placed| placed.value)
    }

    /// Like [`Self::value`], with the place for checks against other values.
    pub(crate) fn placed<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, Fault>) -> Option<Placed<'a, T>> {
        let environment = self.scope.environment;
        self.raw(key, |text| parse(&expand(text, environment)?))
    }

    /// A single value as written.
    pub(crate) fn raw<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, Fault>) -> Option<Placed<'a, T>> {
        let entry = self.entry(key)?;
        self.scalar(key, &entry.value, parse)
    }

    /// A list of single values. None when the key is absent or is no list; values with mistakes are left out.
    pub(crate) fn list<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, Fault>) -> Option<Vec<Placed<'a, T>>> {
        let environment = self.scope.environment;
        let expanded = |text: &str| parse(&expand(text, environment)?);
        let items = self.items(key)?;
        let read = |item| self.scalar(key, item, expanded);
        Some(items.iter().filter_map(read).collect())
    }

    /// The nodes of a list; an empty value is an empty list.
    pub(crate) fn items(&self, key: &str) -> Option<&'a [Node]> {
        let node = &self.entry(key)?.value;
        match &node.value {
            Value::List(items) => Some(items),
            Value::Empty => Some(&[]),
            other => {
                self.tell_about(key, wrong_type("a list", other));
                None
            }
        }
    }

    /// A map below this one.
    pub(crate) fn map(&self, key: &str, keys: &Keys) -> Option<Fields<'a>> {
        let node = self.node(key)?;
        match &node.value {
            Value::Map(_) => Fields::open(&self.scope, node, keys),
            other => {
                self.tell_about(key, wrong_type("a map", other));
                None
            }
        }
    }

    /// A secret, from where the value points to.
    pub(crate) fn secret(&self, key: &str) -> Option<Secret> {
        Some(self.found(key)?.value.secret)
    }

    /// A secret and how well its file is kept.
    pub(crate) fn found(&self, key: &str) -> Option<Placed<'a, Found>> {
        let environment = self.scope.environment;
        let folder: &Path = self.scope.folder();
        self.raw(key, |text| {
            if let Some(file) = secrets::file(text, folder) {
                self.scope.name(file);
            }
            secrets::fetch(text, folder, environment)
        })
    }

    fn entry(&self, key: &str) -> Option<&'a Entry> {
        let is_it = |entry: &&Entry| entry.key.as_deref() == Some(key);
        self.entries.iter().find(is_it)
    }

    fn scalar<T>(&self, key: &str, node: &Node, parse: impl Fn(&str) -> Result<T, Fault>) -> Option<Placed<'a, T>> {
        let parsed = match &node.value {
            Value::Text(text) => parse(text),
            other => Err(wrong_type("a single value", other)),
        };
        match parsed {
            Ok(value) => Some(Placed { value, scope: self.scope.clone(), place: node.place }),
            Err(fault) => {
                self.scope.tell(node.place, about(key, fault));
                None
            }
        }
    }
}

/// Puts the key before what is wrong with its value.
fn about(key: &str, fault: Fault) -> Fault {
    Fault { message: format!("`{key}`: {}", fault.message), ..fault }
}

fn wrong_type(expected: &str, found: &Value) -> Fault {
    let found = match found {
        Value::Empty => "nothing",
        Value::Text(_) => "a single value",
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
    };
    Fault::new(format!("expected {expected}, found {found}"))
}

fn key_fault(entry: &Entry, before: &[Entry], keys: &Keys) -> Option<Fault> {
    let Some(key) = entry.key.as_deref() else {
        return Some(Fault::new("a key must be a word").remedy(list_of(keys)));
    };
    if keys.known.contains(&key) {
        let first = before.iter().find(|e| e.key.as_deref() == Some(key))?;
        let message = format!("`{key}` is given twice, first in line {}", first.place.line);
        return Some(Fault::new(message).remedy("remove one of them"));
    }
    let refused = keys.refused.iter().find(|(name, _, _)| *name == key);
    if let Some((_, message, remedy)) = refused {
        return Some(Fault::new(*message).remedy(*remedy));
    }
    Some(unknown_key(key, keys))
}

fn unknown_key(key: &str, keys: &Keys) -> Fault {
    if let Some(near) = nearest(key, keys.known.iter().copied()) {
        return Fault::new(format!("unknown key `{key}`")).remedy(format!("write `{near}`"));
    }
    if key.contains(':') {
        return Fault::new("unknown key").remedy("put a blank after the colon");
    }
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if keys.secret || key.len() > 40 || !key.chars().all(word) {
        return Fault::new("unknown key").remedy(list_of(keys));
    }
    Fault::new(format!("unknown key `{key}`")).remedy(list_of(keys))
}

fn list_of(keys: &Keys) -> String {
    format!("the keys here are {}", keys.known.join(", "))
}

/// The known word that somebody may have meant: at most a third of its letters are different.
pub(crate) fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let word = word.to_lowercase();
    let distance = |known: &'k str| (strsim::damerau_levenshtein(&word, known), known);
    let (distance, known) = known.map(distance).min_by_key(|(distance, _)| *distance)?;
    (distance <= (known.len() / 3).max(1)).then_some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_near() {
        let known = ["timeout", "url", "urls", "connect_timeout"];
        let nearest = |word| nearest(word, known.into_iter());
        assert_eq!(nearest("timout"), Some("timeout"));
        assert_eq!(nearest("Url"), Some("url"));
        assert_eq!(nearest("connect-timeout"), Some("connect_timeout"));
        assert_eq!(nearest("colour"), None);
        assert_eq!(nearest("xy"), None);
    }

    #[test]
    fn a_secret_in_a_key_is_not_shown() {
        let keys = Keys::of_secrets(&["token", "user"]);
        for key in ["token:hunter2", "hunter2", "hunter 2"] {
            assert!(!format!("{:?}", unknown_key(key, &keys)).contains("hunter"));
        }
        assert!(unknown_key("tokn", &keys).message.contains("`tokn`"));
    }
}
