//! Making a token.

use sha2::{Digest, Sha256};

use super::account::{is_account, is_landing_path};
use super::base64url;
use super::claims::{Amr, Claims};
use super::keys::{Purpose, SiteKey};
use crate::clock::Timestamp;
use crate::secret::Secret;

/// Longest token, in bytes.
pub(super) const LONGEST: usize = 2048;
/// Longest life, in seconds.
pub(super) const LONGEST_LIFE: u64 = 120;
/// A usual life, in seconds.
const LIFE: u64 = 60;

/// What a token is to say. Site and key id come from the key; number and times from [`mint`].
#[derive(Clone, Debug)]
pub struct NewToken<'a> {
    /// This gateway's id.
    pub gateway: &'a str,
    /// The account at the site.
    pub account: &'a str,
    /// The person, for the site's log.
    pub actor: &'a str,
    /// How they logged in.
    pub amr: Amr,
    /// Landing path.
    pub path: &'a str,
    /// The hash the verifier gave for this browser: see [`state_hash`].
    pub state: &'a str,
}

/// Why no token is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// The key is for something else.
    #[error("this key does not sign tokens")]
    Purpose,
    /// The account cannot stand in a token.
    #[error(
        "the account name has characters that are not seen, is not in Unicode's form NFC, or is too long; map to another account"
    )]
    Account,
    /// The path cannot.
    #[error("the landing path does not stay at the site")]
    Path,
    /// The state is no hash.
    #[error("the browser's state is no hash")]
    State,
    /// Together they are too long.
    #[error("the token would be longer than 2048 bytes")]
    TooLong,
    /// No time or no randomness.
    #[error("the system gives no time or no random bytes")]
    System,
}

/// 16 random bytes as 22 characters.
///
/// # Errors
/// The system gives none.
pub fn random_number() -> Result<String, MintError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| MintError::System)?;
    Ok(base64url::encode(&bytes))
}

/// `st` of a browser's state: base64url of its SHA-256.
pub fn state_hash(state: &str) -> String {
    base64url::encode(&Sha256::digest(state.as_bytes()))
}

/// A token, valid for 60 s from now, once.
///
/// # Errors
/// Why none is made: nothing that a verifier would refuse leaves here.
pub fn mint(key: &SiteKey, new: &NewToken<'_>, number: &str, now: Timestamp) -> Result<Secret, MintError> {
    if key.purpose() != Purpose::Token {
        return Err(MintError::Purpose);
    }
    if !is_account(new.account) {
        return Err(MintError::Account);
    }
    if !is_landing_path(new.path) {
        return Err(MintError::Path);
    }
    if base64url::decode_array::<32>(new.state).is_none() {
        return Err(MintError::State);
    }
    base64url::decode_array::<16>(number).ok_or(MintError::System)?;
    let iat = u64::try_from(now.as_secs()).map_err(|_| MintError::System)?;
    let claims = Claims {
        iss: new.gateway.to_owned(),
        aud: key.site().to_owned(),
        sub: new.account.to_owned(),
        act: new.actor.to_owned(),
        amr: new.amr,
        iat,
        exp: iat.saturating_add(LIFE),
        jti: number.to_owned(),
        dst: new.path.to_owned(),
        st: new.state.to_owned(),
    };
    let payload = serde_json::to_vec(&claims).map_err(|_| MintError::System)?;
    let signed = format!("mc1.{}.{}", key.kid(), base64url::encode(&payload));
    let token = format!("{signed}.{}", base64url::encode(&key.code(signed.as_bytes())));
    if token.len() > LONGEST { Err(MintError::TooLong) } else { Ok(Secret::new(token)) }
}
