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
pub enum Call {
    /// Which keys it accepts, its clock, its version, its policy in short.
    Probe,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    op: &'static str,
    iat: u64,
    exp: u64,
    jti: String,
}

/// The text of a call, for the header `X-Mc-Push`. Good for 60 s.
///
/// # Errors
/// The key is for something else, or the system gives no random bytes.
pub fn push(key: &SiteKey, gateway: &str, call: Call, now: Timestamp) -> Result<Secret, MintError> {
    if key.purpose() != Purpose::Push {
        return Err(MintError::Purpose);
    }
    let op = match call {
        Call::Probe => "probe",
    };
    let iat = u64::try_from(now.as_secs()).map_err(|_| MintError::System)?;
    let exp = iat.saturating_add(LIFE);
    let claims = Claims { iss: gateway, aud: key.site(), op, iat, exp, jti: random_number()? };
    let payload = serde_json::to_vec(&claims).map_err(|_| MintError::System)?;
    let signed = format!("mcp1.{}.{}", key.kid(), base64url::encode(&payload));
    Ok(Secret::new(format!("{signed}.{}", base64url::encode(&key.code(signed.as_bytes())))))
}
