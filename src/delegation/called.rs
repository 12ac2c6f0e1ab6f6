//! Reading a call of the gateway ([`super::push()`]), at the verifier.

use serde::Deserialize;

use super::base64url;
use super::keys::{Purpose, SiteKey};
use super::sealed::unseal;
use super::used::UsedTokens;
use super::verify::{Refusal, Verifier, in_time, spend};
use crate::clock::Timestamp;

/// A call whose signature, address and times hold, and which is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// The gateway.
    pub issuer: String,
    /// Its number.
    pub number: String,
    /// `revoke`: sessions of this account; empty: of any.
    pub account: String,
    /// `revoke`: sessions of this person at the gateway; empty: of any.
    pub actor: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Strict {
    iss: String,
    aud: String,
    op: String,
    iat: u64,
    exp: u64,
    jti: String,
    sub: Option<String>,
    act: Option<String>,
}

/// Reads the text of `X-Mc-Push` as a call of this kind (`probe` or `revoke`) and uses it up.
///
/// # Errors
/// The first thing that does not hold.
pub async fn called(
    verifier: &Verifier,
    keys: &[SiteKey],
    text: &str,
    op: &str,
    now: Timestamp,
    used: &dyn UsedTokens,
) -> Result<Called, Refusal> {
    let payload = unseal(keys, Purpose::Push, "mcp1", text)?;
    // A struct is also read from a JSON array; an object it must be.
    let is_object = payload.first() == Some(&b'{');
    let read = serde_json::from_slice::<Strict>(&payload).ok().filter(|_| is_object);
    let said = read.filter(|said| said.op == op && base64url::decode_array::<16>(&said.jti).is_some());
    let said = said.ok_or(Refusal::Malformed)?;
    let whom = match (said.sub, said.act) {
        (Some(account), Some(actor)) if op == "revoke" => (account, actor),
        (None, None) if op != "revoke" => (String::new(), String::new()),
        _ => return Err(Refusal::Malformed),
    };
    verifier.for_us(&said.iss, &said.aud)?;
    in_time(said.iat, said.exp, 0, now)?;
    spend(used, verifier.site(), &format!("p|{}", said.jti), said.exp, now).await?;
    Ok(Called { issuer: said.iss, number: said.jti, account: whom.0, actor: whom.1 })
}
