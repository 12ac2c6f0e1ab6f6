//! Asking a verifier whether it would take our tokens: for `check`, and for a change of keys. What is asked, and what the
//! answer means; the way there is the site's own ([`crate::sites`]).

use serde::Deserialize;
use url::Url;

use super::way::Way;
use crate::clock::Timestamp;
use crate::config::{Config, Verifier};
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

/// More key ids, or characters of one, are not shown: what answers may be anybody.
const SHOWN_KIDS: usize = 16;

/// What a verifier says of itself. What it adds is passed over.
#[derive(Debug, Deserialize)]
struct Said {
    /// `dropin` or `gate`. Earlier ones do not say.
    verifier: Option<String>,
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
    #[serde(default)]
    require_mfa: bool,
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

/// What the answer says about openings.
pub fn verdict(status: u16, body: &[u8], way: &Way, config: &Config, now: Timestamp) -> StepResult {
    let bad = |text: String, remedy: &str| {
        StepResult::Failed(SiteError::new(ErrorCode::BadAnswer, text).remedy(remedy.to_owned()))
    };
    let log = match way.verifier() {
        Verifier::Gate => "the gate's `audit_file`, or else its log",
        _ => "the web server's error log",
    };
    match status {
        200 => match serde_json::from_slice(body) {
            Ok(said) => judge(&said, way, config, now.as_secs()),
            Err(_) => {
                bad("what the verifier answers is not its own".to_owned(), "look at what answers at `delegation.url`")
            }
        },
        404 => bad("there is no verifier at `delegation.url` (404)".to_owned(), "install it there (docs/openings.md)"),
        403 => bad(
            "the verifier refuses the gateway's signed question (403)".to_owned(),
            &format!("compare its key file, `site`, `issuers` and the clocks; {log} has the reason"),
        ),
        503 => bad(
            "the verifier's own files are not right (503)".to_owned(),
            &format!("{log} has the reason, often a file's owner or mode"),
        ),
        other => bad(format!("the verifier answers {other}"), "look at what answers at `delegation.url`"),
    }
}

/// Which keys a verifier takes, and which of ours it does not have yet: for a change of keys.
fn keys(said: &Said, signing: &str, config: &Config) -> String {
    let shown = |kid: &String| kid.chars().take(SHOWN_KIDS).collect::<String>();
    let taken: Vec<String> = said.kids.iter().take(SHOWN_KIDS).map(shown).collect();
    let mut text = match taken.as_slice() {
        [one] => format!("takes key {one}"),
        _ => format!("takes keys {} of which {signing} signs", taken.join(", ")),
    };
    let ours = config.gateway.keys.iter().map(|key| &key.kid);
    for missing in ours.filter(|kid| !said.kids.contains(kid)) {
        text.push_str(&format!(", does not have {missing} yet"));
    }
    text
}

/// A verdict on what a verifier says.
fn judge(said: &Said, way: &Way, config: &Config, now: i64) -> StepResult {
    let failed = |text: String, remedy: &str| {
        StepResult::Failed(SiteError::new(ErrorCode::Forbidden, text).remedy(remedy.to_owned()))
    };
    let kid = way.key().kid();
    if said.site != way.key().site() || !said.issuers.contains(&config.gateway.id) {
        return failed(
            "the verifier is for another site or gateway".to_owned(),
            "write `site` and `issuers[]` in its file",
        );
    }
    let expected = way.word();
    if let Some(other) = said.verifier.as_deref().filter(|other| *other != expected) {
        let other: String = other.chars().take(SHOWN_KIDS).collect();
        let text = format!("there is a verifier `{other}` at `delegation.url`, and not `{expected}`");
        return failed(text, "write what is there in `delegation.verifier`, or its address in `delegation.url`");
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
    if said.policy.require_mfa {
        // What is signed here says how somebody logged in, and that is never with a second factor.
        return failed(
            "it lets in only people with a second factor, which this gateway cannot vouch for: everybody is refused"
                .to_owned(),
            "take `require_mfa` out of its file",
        );
    }
    let mut text = format!(
        "by {expected}, version {}, {}, {}, {} accounts allowed",
        said.version,
        said.verification,
        keys(said, kid, config),
        said.policy.allow
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

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict_on(verifier: &str, status: u16, policy: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let yaml = folder.path().join("sites.yaml");
        let text = format!(
            "gateway: {{public_url: \"https://hq.example/\", keys: [{{kid: a, secret: \"${{KEY}}\", signing: true}}]}}\nsites: \
             [{{id: m, url: \"https://m.example/\", credentials: {{token: \"${{KEY}}\"}}, delegation: {{verifier: {verifier}, url: \
             \"https://m.example/mc\", accounts: [{{user: \"local:a\", account: a}}]}}}}]\n"
        );
        std::fs::write(&yaml, text).unwrap();
        let key = "6a09e667f3bcc908b2fb1366ea957d3e3adec17512775099da2f590b0667322a";
        let config = crate::config::load(&yaml, &|_| Some(key.to_owned())).unwrap();
        let way = Way::of(&config, &config.sites[0]).unwrap();
        let said = format!(
            "{{\"verifier\":\"{verifier}\",\"version\":\"1\",\"site\":\"m\",\"now\":1800000000,\"kids\":[\"a\"],\"issuers\":\
             [\"gateway\"],\"verification\":\"offline\",\"policy\":{policy}}}"
        );
        format!("{:?}", verdict(status, said.as_bytes(), &way, &config, Timestamp::from_secs(1_800_000_000)))
    }

    #[test]
    fn a_second_factor_that_nobody_here_has_lets_nobody_in() {
        let policy = |mfa: bool| format!("{{\"allow\":1,\"permit\":[],\"require_mfa\":{mfa}}}");
        assert!(verdict_on("gate", 200, &policy(false)).starts_with("Ok("));
        let said = verdict_on("gate", 200, &policy(true));
        assert!(said.starts_with("Failed(") && said.contains("everybody is refused"), "{said}");
    }

    #[test]
    fn the_reason_is_looked_for_where_that_verifier_writes_it() {
        assert!(verdict_on("gate", 403, "{}").contains("`audit_file`"));
        assert!(verdict_on("dropin", 503, "{}").contains("web server's error log"));
    }
}
