//! The key file of a verifier, as `metaconsole keys derive` writes it: `site ID`, then `PURPOSE KID KEY` a line; `#` begins
//! a comment. Files of several key ids may be put behind one another.

use super::keys::{KeyError, Purpose, SiteKey};

/// What is wrong with a key file. Nothing of a key is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// Not such a line.
    #[error("line {0} is neither `site ID` nor `PURPOSE KID KEY`")]
    Line(usize),
    /// A key that is refused.
    #[error("line {line}: {error}")]
    Key {
        /// Where.
        line: usize,
        /// Why.
        error: KeyError,
    },
    /// Keys of another site.
    #[error("line {line}: these are the keys of the site `{site}`")]
    OtherSite {
        /// Where.
        line: usize,
        /// Whose they are.
        site: String,
    },
    /// A key id has two keys for one purpose.
    #[error("line {0}: this purpose and key id, or this key, stand there twice")]
    Twice(usize),
    /// A purpose is missing.
    #[error("there is no key for {0}")]
    Missing(&'static str),
}

/// The keys of `site`: at least one for tokens and one for `mc1-gate`.
///
/// # Errors
/// The first line that does not fit.
pub fn read_key_file(text: &str, site: &str) -> Result<Vec<SiteKey>, KeyFileError> {
    let mut keys: Vec<SiteKey> = Vec::new();
    for (line, content) in (1..).zip(text.lines()) {
        let content = content.split('#').next().unwrap_or("");
        let mut words = content.split_whitespace();
        let (first, second, third) = (words.next(), words.next(), words.next());
        match (first, second, third, words.next()) {
            (None, ..) => {}
            (Some("site"), Some(named), None, _) if named == site => {}
            (Some("site"), Some(named), None, _) => {
                let site = named.chars().take(64).filter(char::is_ascii_graphic).collect();
                return Err(KeyFileError::OtherSite { line, site });
            }
            (Some(purpose), Some(kid), Some(key), None) => {
                let known = Purpose::ALL.into_iter().find(|(word, _)| *word == purpose);
                let (_, purpose) = known.ok_or(KeyFileError::Line(line))?;
                let key = SiteKey::from_text(site, kid, purpose, key);
                let key = key.map_err(|error| KeyFileError::Key { line, error })?;
                let same = |known: &SiteKey| {
                    (known.purpose() == key.purpose() && known.kid() == key.kid()) || known.text() == key.text()
                };
                if keys.iter().any(same) {
                    return Err(KeyFileError::Twice(line));
                }
                keys.push(key);
            }
            _ => return Err(KeyFileError::Line(line)),
        }
    }
    for needed in [Purpose::Token, Purpose::Gate] {
        if !keys.iter().any(|key| key.purpose() == needed) {
            return Err(KeyFileError::Missing(needed.as_str()));
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delegation::MasterKey;
    use crate::secret::Secret;

    fn file(site: &str, kid: &str) -> String {
        let hex = if kid == "a" { "6a09e667f3bcc908b2fb1366ea957d3e" } else { "bb67ae8584caa73b3c6ef372fe94f82b" };
        let master = MasterKey::read(kid, &Secret::new(hex.repeat(2))).unwrap();
        let mut text = format!("# of the gateway\nsite {site}\n\n");
        for (word, purpose) in Purpose::ALL {
            text.push_str(&format!("{word} {kid} {} # x\n", master.derive(site, purpose).unwrap().text().expose()));
        }
        text
    }

    #[test]
    fn what_keys_derive_writes_is_read() {
        let both = [file("madrid", "a"), file("madrid", "b")].concat();
        let keys = read_key_file(&both, "madrid").unwrap();
        assert_eq!(keys.len(), 8);
        assert!(keys.iter().all(|key| both.contains(key.text().expose())));
    }

    #[test]
    fn what_does_not_fit_is_named_by_its_line_and_never_shown() {
        let good = file("madrid", "a");
        let read = |text: &str| read_key_file(text, "madrid").unwrap_err();
        assert_eq!(read(&file("lyon", "a")), KeyFileError::OtherSite { line: 2, site: "lyon".to_owned() });
        assert_eq!(read(&format!("{good}{good}")), KeyFileError::Twice(11));
        assert_eq!(read(&format!("{good}mc1 x\n")), KeyFileError::Line(8));
        assert_eq!(read(&format!("{good}mc2 x {}\n", "A".repeat(43))), KeyFileError::Line(8));
        assert_eq!(
            read(&format!("{good}mc1 x {}\n", "A".repeat(43))),
            KeyFileError::Key { line: 8, error: KeyError::Weak }
        );
        assert_eq!(read(&format!("{good}mc1 x hunter2\n")), KeyFileError::Key { line: 8, error: KeyError::Short });
        assert_eq!(read("site madrid\n"), KeyFileError::Missing("mc1"));
    }
}
