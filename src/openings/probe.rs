//! Asking a verifier whether it would take our tokens: for `check`, and for a change of keys. What is asked, and what the
//! answer means; the way there is the site's own ([`crate::sites`]).

use serde::Deserialize;
use url::Url;

use super::way::Way;
use crate::clock::Timestamp;
use crate::delegation::{Call, MintError, push};
use crate::domain::{ErrorCode, SiteError};
use crate::secret::Secret;
use crate::sites::StepResult;

/// Where the signed question stands.
pub const HEADER: &str = "x-mc-push";

/// Clocks that differ by more than this lose openings: tokens allow 30 s.
const MOST_SKEW: u64 = 25;

/// More of what it permits is not shown.
const SHOWN_PERMITS: usize = 8;

/// What a verifier says of itself. What it adds is passed over.
#[derive(Debug, Deserialize)]
struct Said {
    version: String,
    site: String,
    now: i64,
    kids: Vec<String>,
    issuers: Vec<String>,
    verification: String,
    policy: Policy,
    console: Option<Console>,
}

#[derive(Debug, Deserialize)]
struct Policy {
    allow: u64,
    #[serde(default)]
    permit: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Console {
    loginhash: String,
}

/// The question: where, and what stands in its [`HEADER`]. Good for a minute.
///
/// # Errors
/// The system gives no random bytes.
pub fn question(way: &Way, gateway: &str, now: Timestamp) -> Result<(Url, Secret), MintError> {
    Ok((way.action("probe"), push(way.push_key(), gateway, Call::Probe, now)?))
}

/// What the answer says about openings through the gateway of this id.
pub fn verdict(status: u16, body: &[u8], way: &Way, gateway: &str, now: Timestamp) -> StepResult {
    let bad = |text: String, remedy: &str| {
        StepResult::Failed(SiteError::new(ErrorCode::BadAnswer, text).remedy(remedy.to_owned()))
    };
    match status {
        200 => match serde_json::from_slice(body) {
            Ok(said) => judge(&said, way, gateway, now.as_secs()),
            Err(_) => {
                bad("what the verifier answers is not its own".to_owned(), "look at what answers at `delegation.url`")
            }
        },
        404 => bad("there is no verifier at `delegation.url` (404)".to_owned(), "install it there (docs/openings.md)"),
        403 => bad(
            "the verifier refuses the gateway's signed question (403)".to_owned(),
            "compare its key file, `site`, `issuers[]` and the clocks; the web server's error log has the reason",
        ),
        503 => bad(
            "the verifier's own files are not right (503)".to_owned(),
            "the web server's error log has the reason, often a file's owner or mode",
        ),
        other => bad(format!("the verifier answers {other}"), "look at what answers at `delegation.url`"),
    }
}

/// A verdict on what a verifier says.
fn judge(said: &Said, way: &Way, gateway: &str, now: i64) -> StepResult {
    let failed = |text: String, remedy: &str| {
        StepResult::Failed(SiteError::new(ErrorCode::Forbidden, text).remedy(remedy.to_owned()))
    };
    let kid = way.key().kid();
    if said.site != way.key().site() || !said.issuers.iter().any(|issuer| issuer == gateway) {
        return failed(
            "the verifier is for another site or gateway".to_owned(),
            "write `site` and `issuers[]` in its file",
        );
    }
    if !said.kids.iter().any(|known| known == kid) {
        let text = format!("the verifier does not know the key `{kid}` that signs");
        return failed(text, "bring it the file of `metaconsole keys derive --site …`, or sign with another `kid`");
    }
    let skew = said.now.abs_diff(now);
    if skew > MOST_SKEW {
        let text = format!("its clock and the gateway's differ by {skew} s, so tokens are refused");
        return failed(text, "let both follow a time server");
    }
    if said.policy.allow == 0 {
        return failed(
            "its `allow[]` is empty: nobody is let in".to_owned(),
            "the site's administrator names accounts",
        );
    }
    let mut text = format!(
        "by verifier {}, {}, key {kid}, {} accounts allowed",
        said.version, said.verification, said.policy.allow
    );
    for permit in said.policy.permit.iter().take(SHOWN_PERMITS) {
        text.push_str(&format!(", permits {permit}"));
    }
    match said.console.as_ref().map(|console| console.loginhash.as_str()) {
        Some("off") => text.push_str(", the console's own hash login is off"),
        Some(strength) => {
            text.push_str(&format!(
                "; but the console's own hash login is on ({strength}), which passes by all of this: empty it in Setup, \
                 General setup"
            ));
            return StepResult::Warning(text);
        }
        None => text.push_str(", whether the console has a hash login of its own is not known"),
    }
    StepResult::Ok(text)
}
