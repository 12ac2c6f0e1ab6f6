//! A mistake in the configuration: where it stands, what is wrong, what to write instead.

use std::fmt;
use std::path::PathBuf;

/// One mistake. Holds nothing of a secret, so it may be shown, kept and repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file, as the caller named it (files of `sites.d` below the same folder).
    pub file: PathBuf,
    /// Line, from 1. 0 when the whole file is meant.
    pub line: u64,
    /// Column in characters, from 1. 0 when the whole file is meant.
    pub column: u64,
    /// The site it belongs to: its id, or `#3` for the third of the file when it has no usable one.
    pub site: Option<String>,
    /// What is wrong: lower-case, no full stop.
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if let Some(site) = &self.site {
            write!(f, ": site {site}")?;
        }
        write!(f, ": {}", self.message)?;
        write_remedy(self.remedy.as_deref(), f)
    }
}

fn write_remedy(remedy: Option<&str>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match remedy {
        Some(remedy) => write!(f, "; {remedy}"),
        None => Ok(()),
    }
}

/// Every mistake of a configuration, by file, line and column; shown one per line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl Mistakes {
    /// Sorted, and each told once: several sites can run into the same line of `defaults:`.
    pub(crate) fn sorted(mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort_by(|a, b| (&a.file, a.line, a.column, &a.message).cmp(&(&b.file, b.line, b.column, &b.message)));
        mistakes.dedup();
        Self(mistakes)
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, mistake) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// What is wrong with one value, before anybody says where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) remedy: Option<String>,
}

impl Fault {
    /// Without a remedy.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: None }
    }

    /// With what to write instead.
    #[must_use]
    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        write_remedy(self.remedy.as_deref(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(file: &str, line: u64, column: u64) -> Mistake {
        Mistake {
            file: PathBuf::from(file),
            line,
            column,
            site: None,
            message: "unknown key `timout`".to_owned(),
            remedy: Some("write `timeout`".to_owned()),
        }
    }

    #[test]
    fn a_mistake_is_one_line() {
        let mut one = mistake("sites.yaml", 12, 5);
        assert_eq!(one.to_string(), "sites.yaml:12:5: unknown key `timout`; write `timeout`");
        one.site = Some("madrid".to_owned());
        one.remedy = None;
        assert_eq!(one.to_string(), "sites.yaml:12:5: site madrid: unknown key `timout`");
        one.line = 0;
        assert_eq!(one.to_string(), "sites.yaml: site madrid: unknown key `timout`");
    }

    #[test]
    fn they_are_sorted_and_told_once() {
        let many = vec![
            mistake("b.yaml", 1, 1),
            mistake("a.yaml", 10, 1),
            mistake("a.yaml", 9, 7),
            mistake("a.yaml", 9, 3),
            mistake("a.yaml", 9, 3),
        ];
        let sorted = Mistakes::sorted(many).0;
        let places: Vec<_> = sorted.iter().map(|m| (m.file.to_str().unwrap(), m.line, m.column)).collect();
        assert_eq!(places, [("a.yaml", 9, 3), ("a.yaml", 9, 7), ("a.yaml", 10, 1), ("b.yaml", 1, 1)]);
    }
}
