//! A text in an audit line: bounded, nothing in it acts on a terminal, nothing that looks like a credential.

use crate::secret::masked;

/// A short text, at most 512 bytes unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub(super) struct Text(String);

impl Text {
    /// A name, a word, an id.
    pub(super) fn short(text: &str) -> Self {
        Self::bounded(text, 512)
    }

    /// A query, a difference.
    pub(super) fn long(text: &str) -> Self {
        Self::bounded(text, 2048)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    fn bounded(text: &str, most: usize) -> Self {
        // What is cut must not hide the start of something secret, so it is masked first. Hostile sizes are cut before.
        let text: String = text.chars().take(most.saturating_mul(2)).collect();
        let mut shown = String::new();
        for c in masked(&text).chars() {
            let start = shown.len();
            if acts(c) {
                shown.extend(c.escape_unicode())
            } else {
                shown.push(c)
            }
            if shown.len() > most {
                shown.truncate(start);
                shown.push('…');
                break;
            }
        }
        Self(shown)
    }
}

/// Control, format, bidi, zero-width and line-separating characters.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_credential_is_masked() {
        let text =
            Text::short("see mc1.2026a.abc.def and mcv1.x.y.z; eyJhbGciOi.x \"loginhash_data=0123\" $argon2id$v=19");
        assert_eq!(text.as_str(), "see *** and ***; *** \"***\" ***");
    }

    #[test]
    fn what_acts_is_escaped_and_what_is_long_is_cut() {
        assert_eq!(Text::short("a\n\u{1b}[31m\u{202e}ñ").as_str(), "a\\u{a}\\u{1b}[31m\\u{202e}ñ");
        for hostile in ["x".repeat(1_000_000), "\0".repeat(9000), "日".repeat(9000)] {
            let text = Text::short(&hostile);
            assert!(text.as_str().len() <= 512 + '…'.len_utf8() && text.as_str().ends_with('…'));
        }
    }
}
