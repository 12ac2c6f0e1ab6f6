//! Calls from the gateway to a verifier: `mcp1.<kid>.<payload>.<mac>`, made like a token, with a key of their own.

use serde::Serialize;

use super::base64url;
use super::keys::{Purpose, SiteKey};
use super::token::{MintError, random_number};
use crate::clock::Timestamp;
use crate::secret::Secret;

/// A usual life, in seconds.
const LIFE: u64 = 60;

/// What is asked of a verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call<'a> {
    /// Which keys it accepts, its clock, its version, its policy in short.
    Probe,
    /// It ends the sessions that were opened there.
    Revoke {
        /// Of this account; empty: of any.
        account: &'a str,
        /// By this person, as the tokens named them (`act`); empty: by anybody.
        actor: &'a str,
    },
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    op: &'static str,
    iat: u64,
    exp: u64,
    jti: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<&'a str>,
}

/// The text of a call, for the header `X-Mc-Push`. Good for 60 s.
///
/// # Errors
/// The key is for something else, or the system gives no random bytes.
pub fn push(key: &SiteKey, gateway: &str, call: Call<'_>, now: Timestamp) -> Result<Secret, MintError> {
    if key.purpose() != Purpose::Push {
        return Err(MintError::Purpose);
    }
    let (op, sub, act) = match call {
        Call::Probe => ("probe", None, None),
        Call::Revoke { account, actor } => ("revoke", Some(account), Some(actor)),
    };
    let iat = u64::try_from(now.as_secs()).map_err(|_| MintError::System)?;
    let exp = iat.saturating_add(LIFE);
    let claims = Claims { iss: gateway, aud: key.site(), op, iat, exp, jti: random_number()?, sub, act };
    let payload = serde_json::to_vec(&claims).map_err(|_| MintError::System)?;
    let signed = format!("mcp1.{}.{}", key.kid(), base64url::encode(&payload));
    Ok(Secret::new(format!("{signed}.{}", base64url::encode(&key.code(signed.as_bytes())))))
}
