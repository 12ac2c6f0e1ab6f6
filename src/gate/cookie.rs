//! The gate's cookie: `mcg1.KID.PAYLOAD.MAC`, signed with `mc1-gate`. It says who somebody is; whether they still are is
//! decided by the row of their session.

use axum::http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::delegation::{Purpose, SiteKey, seal, unseal};
use crate::verifier::cookies;

/// Its name. `__Host-`: https, this host, every path.
pub(super) const NAME: &str = "__Host-mc_gate";

/// What it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cookie {
    pub(super) id: String,
    pub(super) account: String,
    pub(super) actor: String,
    pub(super) grant: Option<String>,
    /// In ms since 1970.
    pub(super) begun: i64,
    /// The same: not good from here on, whatever else holds.
    pub(super) ends: i64,
}

/// The cookie of a request. One that is there twice is none: one of them was planted.
pub(super) fn read(headers: &HeaderMap, keys: &[SiteKey]) -> Option<Cookie> {
    let mut all = cookies(headers).filter(|(name, _)| *name == NAME);
    let ((_, text), None) = (all.next()?, all.next()) else { return None };
    let payload = unseal(keys, Purpose::Gate, "mcg1", text).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// `Set-Cookie` for a new session. It goes when the browser is closed, or before. `None` when nothing can sign it.
pub(super) fn set(cookie: &Cookie, keys: &[SiteKey]) -> Option<HeaderValue> {
    let key = keys.iter().find(|key| key.purpose() == Purpose::Gate)?;
    let text = seal(key, "mcg1", &serde_json::to_vec(cookie).ok()?);
    HeaderValue::from_str(&format!("{NAME}={}; Path=/; Secure; HttpOnly; SameSite=Lax", text.expose())).ok()
}

/// Takes it away.
pub(super) fn none() -> HeaderValue {
    HeaderValue::from_static("__Host-mc_gate=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax")
}
