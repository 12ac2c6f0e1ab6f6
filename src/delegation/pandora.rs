//! Pandora's own login hash: `md5(account || secret)`, with `ROT13(account)` beside it.
//!
//! Whoever sees one can log in with it until the site's secret changes. What makes that worse is refused: secrets that
//! can be found by trying, accounts that the console writes in another way, and digests that its comparison with `==`
//! takes for the number zero (`0e…`, seen in 7.0NG.776).

use md5::{Digest as _, Md5};

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
    /// The digest is taken for zero.
    #[error("the console would accept the number 0 instead of this hash; set another secret in the console's setup")]
    Zero,
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
    let digits = secret.strip_suffix("pandorahash");
    if digits.is_some_and(|digits| (1..=7).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()))
    {
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
