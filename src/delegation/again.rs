//! "Continue as …?": a token that was used up, kept by the browser while its person is asked, signed by the verifier for
//! itself (`mcc1`). What the gateway said about the token travels with it, since it is asked once only.

use serde::{Deserialize, Serialize};

use super::claims::Claims;
use super::keys::{Purpose, SiteKey};
use super::sealed::{seal, unseal};
use super::used::UsedTokens;
use super::verify::{Opened, Refusal, Refused, Verifier, spend};
use crate::clock::Timestamp;
use crate::secret::Secret;

/// How much longer than its token the answer is taken, in seconds.
const LATE: u64 = 150;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// The claims, as JSON: read as strictly as a token's.
    claims: String,
    kid: String,
    note: String,
}

impl Verifier {
    /// What the answer to "continue as …?" brings back. `note` comes back with it. None when there is no such key.
    pub fn ask(&self, keys: &[SiteKey], opened: &Opened, note: &str) -> Option<Secret> {
        let key = keys.iter().find(|key| key.purpose() == Purpose::Gate && key.site() == self.site())?;
        let claims = serde_json::to_string(&opened.claims).ok()?;
        let asked = Asked { claims, kid: opened.kid.clone(), note: note.to_owned() };
        Some(seal(key, "mcc1", &serde_json::to_vec(&asked).ok()?))
    }

    /// Decides about the answer, as about a token: it is taken once, from the same browser, by the policy of now.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub async fn answered(
        &self,
        keys: &[SiteKey],
        text: &str,
        browser_states: &[&str],
        now: Timestamp,
        used: &dyn UsedTokens,
    ) -> Result<(Opened, String), Refused> {
        let payload = unseal(keys, Purpose::Gate, "mcc1", text)?;
        let asked: Asked = serde_json::from_slice(&payload).map_err(|_| Refusal::Malformed)?;
        let claims = Claims::read(asked.claims.as_bytes()).ok_or(Refusal::Malformed)?;
        let decided = async {
            self.for_here_and_now(&claims, LATE, now)?;
            let number = format!("c|{}", claims.jti);
            spend(used, self.site(), &number, claims.exp.saturating_add(LATE), now).await?;
            self.admits(&claims, browser_states)
        };
        match decided.await {
            Ok(()) => Ok((Opened { claims, kid: asked.kid }, asked.note)),
            Err(refusal) => Err(Refused { refusal, claims: Some(Box::new(claims)) }),
        }
    }
}
