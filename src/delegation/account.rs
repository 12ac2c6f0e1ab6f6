//! What may stand in a token as account and as landing path.

use unicode_normalization::UnicodeNormalization as _;

/// Most bytes of an account.
const ACCOUNT_BYTES: usize = 128;
/// Most bytes of a landing path.
const PATH_BYTES: usize = 512;

/// An account at a site: NFC, 1 to 128 bytes, nothing that is not seen, no blank at either end.
pub fn is_account(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= ACCOUNT_BYTES
        && !text.chars().any(is_unseen)
        && !text.starts_with(char::is_whitespace)
        && !text.ends_with(char::is_whitespace)
        && text.nfc().eq(text.chars())
}

/// An account that a verifier may put into a header: `[A-Za-z0-9._@-]{1,64}`.
pub fn is_header_account(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'@' | b'-');
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

/// A path on the site's own origin: one `/`, then neither `/` nor `\`, printable ASCII without blanks and `\`, 1 to 512
/// bytes.
pub fn is_landing_path(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= PATH_BYTES
        && bytes.next() == Some(b'/')
        && bytes.next() != Some(b'/')
        && text.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b'\\')
}

/// Control, format (Unicode's Cf), bidi, zero-width, line and paragraph separators, fillers and variation selectors that
/// are not seen, surrogate-like noncharacters.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}')
        || matches!(c, '\u{890}' | '\u{891}' | '\u{8e2}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}')
        || matches!(c, '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
        || matches!(c, '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}')
        || matches!(c, '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
        || u32::from(c) & 0xfffe == 0xfffe
        || matches!(c, '\u{fdd0}'..='\u{fdef}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts() {
        for good in ["a", "josé.nuñez", "管理者", "o'brien", "DOMAIN\\jane", "a b", &"x".repeat(128)] {
            assert!(is_account(good), "{good:?}");
        }
        let long = "x".repeat(129);
        for bad in [
            "",
            " a",
            "a\u{a0}",
            "a\u{3000}",
            "a\0",
            "a\nb",
            "\u{202e}a",
            "jose\u{301}",
            "a\u{200b}",
            "a\u{2028}b",
            &long,
        ] {
            assert!(!is_account(bad), "{bad:?}");
        }
        assert!(
            is_header_account("jane.doe@example.org")
                && !is_header_account("josé")
                && !is_header_account(&"x".repeat(65))
        );
        assert!(!is_header_account(""));
    }

    #[test]
    fn landing_paths() {
        for good in ["/", "/a", "/a//b", "/?x=//y", "/%2F%2Fevil", &format!("/{}", "x".repeat(511))] {
            assert!(is_landing_path(good), "{good:?}");
        }
        let long = format!("/{}", "x".repeat(512));
        for bad in ["", "a", "//a", "/\\a", "/a\\b", "/a b", "/a\r\n", "\t/a", "/ñ", "/a\u{7f}", "https://x/", &long] {
            assert!(!is_landing_path(bad), "{bad:?}");
        }
    }
}
