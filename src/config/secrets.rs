//! Secrets come from the environment or from a file, never from the configuration itself.
//!
//! A literal one is refused unseen: its text goes into no message, not even its length.

use std::path::{Path, PathBuf};

use super::Environment;
use super::environment::{look_up, whole_name};
use super::files;
use super::mistake::Fault;
use crate::secret::Secret;

/// Far above any key; a wrong file name must not be read whole into memory.
const MAX_BYTES: u64 = 64 * 1024;

/// Where a secret is to be found.
enum Source<'a> {
    Variable(&'a str),
    File(&'a str),
}

/// A secret, and whether its file may be used by others than its owner.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) secret: Secret,
    pub(crate) open_to_others: bool,
}

/// Whether the text says where a secret is, instead of being one.
pub(crate) fn is_reference(text: &str) -> bool {
    source(text).is_some()
}

/// The file that `text` points to, if it is one.
pub(crate) fn file(text: &str, folder: &Path) -> Option<PathBuf> {
    match source(text)? {
        Source::File(path) => Some(folder.join(path)),
        Source::Variable(_) => None,
    }
}

/// Fetches the secret that `text` points to; files are relative to `folder`.
pub(crate) fn fetch(text: &str, folder: &Path, environment: Environment<'_>) -> Result<Found, Fault> {
    match source(text) {
        Some(Source::Variable(name)) => from_variable(name, environment),
        Some(Source::File(path)) => from_file(&folder.join(path)),
        None => {
            Err(Fault::new("a secret must not be written here").remedy("write exactly one `${NAME}` or `file:PATH`"))
        }
    }
}

fn source(text: &str) -> Option<Source<'_>> {
    if let Some(name) = whole_name(text) {
        return Some(Source::Variable(name));
    }
    let path = text.strip_prefix("file:")?;
    (!path.is_empty() && !path.contains(char::is_control)).then_some(Source::File(path))
}

fn from_variable(name: &str, environment: Environment<'_>) -> Result<Found, Fault> {
    let value = look_up(name, environment)?;
    if value.contains(char::is_control) {
        let message = format!("the environment variable `{name}` holds a line break or control character");
        return Err(Fault::new(message));
    }
    Ok(Found { secret: Secret::new(value), open_to_others: false })
}

fn from_file(path: &Path) -> Result<Found, Fault> {
    let content = files::read(path, MAX_BYTES)?;
    let shown = path.display();
    let text = String::from_utf8(content.bytes)
        .map_err(|_| Fault::new(format!("{shown} is not text")).remedy("keep the secret as text, such as base64"))?;
    let value = without_newline(&text);
    if value.is_empty() {
        return Err(Fault::new(format!("{shown} is empty")));
    }
    if value.contains(char::is_control) {
        let message = format!("{shown} holds more than one line, or a control character");
        return Err(Fault::new(message));
    }
    Ok(Found { secret: Secret::new(value), open_to_others: content.open_to_others })
}

fn without_newline(text: &str) -> &str {
    let stripped = text.strip_suffix("\r\n").or(text.strip_suffix('\n'));
    stripped.unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "TOKEN" => Some("from-environment".to_owned()),
            "TWO_LINES" => Some("hunter2\nhunter3".to_owned()),
            _ => None,
        }
    }

    fn fetched(text: &str, folder: &Path) -> Result<String, String> {
        match fetch(text, folder, &environment) {
            Ok(found) => Ok(found.secret.expose().to_owned()),
            Err(fault) => Err(format!("{fault:?}")),
        }
    }

    #[test]
    fn a_secret_comes_whole_from_one_place() {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in [("unix", "hunter2\n"), ("dos", "hunter2\r\n"), ("none", "hunter2")] {
            std::fs::write(folder.path().join(name), content).unwrap();
            let text = format!("file:{name}");
            assert_eq!(fetched(&text, folder.path()).unwrap(), "hunter2", "{name}");
        }
        assert_eq!(fetched("${TOKEN}", folder.path()).unwrap(), "from-environment");
    }

    #[test]
    fn what_is_refused_is_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in
            [("two", "hunter2\n\n"), ("bell", "hunter2\u{7}"), ("empty", "\n"), ("return", "hunter2\r")]
        {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        for bad in [
            "hunter2",
            "",
            "x${TOKEN}",
            "${TOKEN}hunter2",
            "${hunter2-}",
            "${TWO_LINES}",
            "${UNSET}",
            "file:",
            "file:hun\nter2",
            "file:two",
            "file:bell",
            "file:empty",
            "file:return",
            "file:missing",
        ] {
            let told = fetched(bad, folder.path()).unwrap_err();
            assert!(!told.contains("hunter"), "{told}");
        }
    }
}
