//! Pandora's own login hash: `md5(account || secret)`, with `ROT13(account)` beside it.
//!
//! Whoever sees one can log in with it until the site's secret changes. What makes that worse is refused: secrets that
//! can be found by trying, accounts that the console writes in another way, and digests that its comparison with `==`
//! takes for the number zero (`0e…`, seen in 7.0NG.776). For the same reason a site's configured secret must pass
//! [`strong_secret`]: 15 characters are the most that the console's setup takes.

use std::collections::HashSet;

use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::account::is_header_account;
use crate::secret::Secret;

/// The two fields of the form.
#[derive(Clone, Debug)]
pub struct PandoraLogin {
    /// `loginhash_user`.
    pub user: String,
    /// `loginhash_data`.
    pub data: Secret,
}

/// Why no hash is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PandoraRefusal {
    /// The console would read another name.
    #[error(
        "the console changes this account name before it compares it; map to an account of A-Z, a-z, 0-9, . _ @ and -"
    )]
    Account,
    /// No secret: the console refuses too.
    #[error("the site has no secret for its hash login")]
    NoSecret,
    /// The installer's secret: one of 248,084.
    #[error(
        "the secret is the one the installer made, which can be guessed in a second; set 15 random letters and digits in the console's setup"
    )]
    DefaultSecret,
    /// Shorter than it could be, or with characters that the console changes.
    #[error(
        "must be exactly 15 characters of A-Z, a-z and 0-9; set a new random one in the console's authentication settings"
    )]
    Form,
    /// Hardly any different characters.
    #[error("is no random text; set 15 random letters and digits in the console's setup")]
    Simple,
    /// From the test vectors.
    #[error("is one of the published test secrets; set 15 random letters and digits in the console's setup")]
    Published,
    /// The digest is taken for zero.
    #[error("the console would accept the number 0 instead of this hash; set another secret in the console's setup")]
    Zero,
}

/// Written down in the published test vectors, so known to everybody; the others there have another form.
const PUBLISHED: &str = "plain15charsecr";

/// Whether logins may be made with this secret: 15 random letters and digits.
///
/// # Errors
/// What is weak about it.
pub fn strong_secret(secret: &Secret) -> Result<(), PandoraRefusal> {
    let text = secret.expose();
    if is_default(text) {
        return Err(PandoraRefusal::DefaultSecret);
    }
    if text.len() != 15 || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(PandoraRefusal::Form);
    }
    if text == PUBLISHED {
        return Err(PandoraRefusal::Published);
    }
    // 15 random ones have 13 different characters or so, and fewer than 8 in one of a hundred million.
    let different: HashSet<u8> = text.bytes().collect();
    if different.len() < 8 { Err(PandoraRefusal::Simple) } else { Ok(()) }
}

/// As the console's installer makes them: the product of two small numbers, and a word.
fn is_default(secret: &str) -> bool {
    let digits = secret.strip_suffix("pandorahash");
    digits.is_some_and(|digits| (1..=7).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Eight hex digits that tell whether a site's secret is still the same. Of a strong secret (89 bits) nothing can be found
/// from them.
pub fn secret_mark(site: &str, secret: &Secret) -> String {
    let digest = Sha256::new().chain_update("metaconsole-direct-v1|").chain_update(site).chain_update("|");
    let digest = digest.chain_update(secret.expose()).finalize();
    digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// The login of `account` at a console with this secret.
///
/// # Errors
/// Why it is not made.
pub fn pandora_login(account: &str, secret: &Secret) -> Result<PandoraLogin, PandoraRefusal> {
    if !is_header_account(account) {
        return Err(PandoraRefusal::Account);
    }
    let secret = secret.expose();
    if secret.is_empty() {
        return Err(PandoraRefusal::NoSecret);
    }
    if is_default(secret) {
        return Err(PandoraRefusal::DefaultSecret);
    }
    let digest = Md5::new().chain_update(account).chain_update(secret).finalize();
    let data: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    if is_zero(&data) {
        return Err(PandoraRefusal::Zero);
    }
    Ok(PandoraLogin { user: account.chars().map(rot13).collect(), data: Secret::new(data) })
}

/// `^0+e[0-9]+$`: a number to PHP, and that number is 0.
fn is_zero(data: &str) -> bool {
    let behind = data.trim_start_matches('0');
    let exponent = behind.strip_prefix('e').filter(|_| behind.len() < data.len());
    exponent.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        || data.bytes().all(|byte| byte == b'0')
}

fn rot13(c: char) -> char {
    let turn = |base: u8, c: char| {
        let letter = u8::try_from(c).unwrap_or(base).wrapping_sub(base);
        char::from(base + letter.wrapping_add(13) % 26)
    };
    match c {
        'a'..='z' => turn(b'a', c),
        'A'..='Z' => turn(b'A', c),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_15_random_letters_and_digits_are_strong() {
        let judged = |text: &str| strong_secret(&Secret::new(text));
        assert_eq!(judged("Ab3dEf6hIj9kLm2"), Ok(()));
        for (text, why) in [
            ("1234pandorahash", PandoraRefusal::DefaultSecret),
            ("709401pandorahash", PandoraRefusal::DefaultSecret),
            ("0pandorahash", PandoraRefusal::DefaultSecret),
            ("", PandoraRefusal::Form),
            ("Ab3dEf6hIj9kLm", PandoraRefusal::Form),
            ("Ab3dEf6hIj9kLm2x", PandoraRefusal::Form),
            ("Ab3dEf6hIj9kLm-", PandoraRefusal::Form),
            ("Ab3dEf6hIj9kLñ", PandoraRefusal::Form),
            ("plain15charsecr", PandoraRefusal::Published),
            ("abababababababa", PandoraRefusal::Simple),
        ] {
            assert_eq!(judged(text), Err(why), "{text}");
        }
    }

    #[test]
    fn a_mark_is_of_one_site_and_secret() {
        let mark = |site: &str, text: &str| secret_mark(site, &Secret::new(text));
        assert_eq!(mark("madrid", "Ab3dEf6hIj9kLm2").len(), 8);
        assert_ne!(mark("madrid", "Ab3dEf6hIj9kLm2"), mark("lyon", "Ab3dEf6hIj9kLm2"));
        assert_ne!(mark("madrid", "Ab3dEf6hIj9kLm2"), mark("madrid", "Ab3dEf6hIj9kLm3"));
    }
}
