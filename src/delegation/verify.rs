//! Deciding about a token, in the order that is written down. Every refusal has its word for the audit; the browser sees
//! one page for all of them.

use super::account::{is_account, is_header_account, is_landing_path};
use super::base64url;
use super::claims::{Amr, Claims};
use super::keys::{Purpose, SiteKey, is_kid};
use super::token::{LONGEST, LONGEST_LIFE, state_hash};
use super::used::{Use, UsedTokens};
use crate::clock::Timestamp;

/// What clocks may differ, in seconds.
const SKEW: u64 = 30;

/// Why a token is refused, in the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Not a POST.
    MethodNotAllowed,
    /// The parameter stands there twice, or beside others.
    DuplicateParam,
    /// More than 2048 bytes.
    TooLong,
    /// No token by its structure, or, behind the code, a payload that is not as agreed.
    Malformed,
    /// No active key has this id.
    UnknownKid,
    /// The code does not hold.
    BadMac,
    /// From a gateway that is not on the list.
    WrongIssuer,
    /// For another site.
    WrongAudience,
    /// Expires before it begins.
    BadTimes,
    /// Lives longer than 120 s.
    TtlTooLong,
    /// From the future.
    NotYetValid,
    /// Over.
    Expired,
    /// Used before.
    Replayed,
    /// Whether it was used cannot be known.
    StoreUnavailable,
    /// No account name.
    BadSub,
    /// No path at this site.
    BadDst,
    /// Made for another browser.
    StateMismatch,
    /// The site does not let this account be opened.
    NotAllowed,
    /// The site wants a stronger login.
    LoginTooWeak,
}

impl Refusal {
    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MethodNotAllowed => "method_not_allowed",
            Self::DuplicateParam => "duplicate_param",
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::UnknownKid => "unknown_kid",
            Self::BadMac => "bad_mac",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::BadTimes => "bad_times",
            Self::TtlTooLong => "ttl_too_long",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
            Self::Replayed => "replayed",
            Self::StoreUnavailable => "store_unavailable",
            Self::BadSub => "bad_sub",
            Self::BadDst => "bad_dst",
            Self::StateMismatch => "state_mismatch",
            Self::NotAllowed => "not_allowed",
            Self::LoginTooWeak => "login_too_weak",
        }
    }
}

/// What the site's own file says about whom it lets in.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Accounts that may be opened, exactly as written. Empty: nobody.
    pub allow: Vec<String>,
    /// Only people who logged in with more than one factor.
    pub needs_mfa: bool,
    /// The account goes into a header, which takes fewer characters.
    pub into_header: bool,
}

/// A token that was accepted and is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What it said.
    pub claims: Claims,
    /// The key id it was signed under.
    pub kid: String,
}

/// A token that was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub refusal: Refusal,
    /// What it said, when its code held: for the log.
    pub claims: Option<Box<Claims>>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, claims: None }
    }
}

/// Uses up a number, durably.
pub(super) async fn spend(
    used: &dyn UsedTokens,
    site: &str,
    number: &str,
    exp: u64,
    now: Timestamp,
) -> Result<(), Refusal> {
    match used.consume(site, number, exp, now).await {
        Use::First => Ok(()),
        Use::Replayed => Err(Refusal::Replayed),
        Use::Unavailable => Err(Refusal::StoreUnavailable),
    }
}

/// Whether these times hold now. `late` seconds are added to the end.
pub(super) fn in_time(iat: u64, exp: u64, late: u64, now: Timestamp) -> Result<(), Refusal> {
    let now = u64::try_from(now.as_secs()).map_err(|_| Refusal::NotYetValid)?;
    let life = exp.checked_sub(iat).filter(|life| *life > 0).ok_or(Refusal::BadTimes)?;
    if life > LONGEST_LIFE {
        return Err(Refusal::TtlTooLong);
    }
    if iat > now.saturating_add(SKEW) {
        return Err(Refusal::NotYetValid);
    }
    if now > exp.saturating_add(SKEW).saturating_add(late) {
        return Err(Refusal::Expired);
    }
    Ok(())
}

/// One site's verifier.
#[derive(Debug)]
pub struct Verifier {
    site: String,
    issuers: Vec<String>,
    /// Active ones; a retired key is not here.
    keys: Vec<SiteKey>,
    pub(super) policy: Policy,
}

/// `mc_token` of a request, before anything of it is believed: POST, the one parameter, once, no other.
///
/// # Errors
/// [`Refusal::MethodNotAllowed`], [`Refusal::DuplicateParam`], [`Refusal::Malformed`] when it is not there.
pub fn mc_token<'a>(method: &str, parameters: &'a [(String, String)]) -> Result<&'a str, Refusal> {
    if method != "POST" {
        return Err(Refusal::MethodNotAllowed);
    }
    match parameters {
        [] => Err(Refusal::Malformed),
        [(name, token)] if name == "mc_token" => Ok(token),
        [_] => Err(Refusal::Malformed),
        _ => Err(Refusal::DuplicateParam),
    }
}

impl Verifier {
    /// For `site`, taking tokens of these gateways under these keys. Keys of other sites and purposes are left out.
    pub fn new(site: &str, issuers: Vec<String>, keys: Vec<SiteKey>, policy: Policy) -> Self {
        let own = |key: &SiteKey| key.purpose() == Purpose::Token && key.site() == site;
        let keys = keys.into_iter().filter(own).collect();
        Self { site: site.to_owned(), issuers, keys, policy }
    }

    /// Decides about a token that came by POST, from the browser that holds `browser_state`. Accepted, it is used up;
    /// refused behind that step, too.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub async fn verify(
        &self,
        token: &str,
        browser_state: Option<&str>,
        now: Timestamp,
        used: &dyn UsedTokens,
    ) -> Result<Opened, Refusal> {
        self.verify_from(token, browser_state.as_slice(), now, used).await.map_err(|refused| refused.refusal)
    }

    /// The same, from a browser that holds several states, one for each opening that it has begun.
    ///
    /// # Errors
    /// The first thing that does not hold, with what the token said when its code held.
    pub async fn verify_from(
        &self,
        token: &str,
        browser_states: &[&str],
        now: Timestamp,
        used: &dyn UsedTokens,
    ) -> Result<Opened, Refused> {
        let opened = self.signed(token)?;
        let decided = async {
            self.for_here_and_now(&opened.claims, 0, now)?;
            spend(used, &self.site, &opened.claims.jti, opened.claims.exp, now).await?;
            self.admits(&opened.claims, browser_states)
        };
        match decided.await {
            Ok(()) => Ok(opened),
            Err(refusal) => Err(Refused { refusal, claims: Some(Box::new(opened.claims)) }),
        }
    }

    /// The site it is for.
    pub fn site(&self) -> &str {
        &self.site
    }

    /// Gateways whose texts it takes.
    pub fn issuers(&self) -> &[String] {
        &self.issuers
    }

    /// Length, structure, key id, code; only then what it says.
    pub(super) fn signed(&self, token: &str) -> Result<Opened, Refusal> {
        if token.len() > LONGEST {
            return Err(Refusal::TooLong);
        }
        let (signed, code) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
        let body = signed.strip_prefix("mc1.").ok_or(Refusal::Malformed)?;
        let (kid, payload) = body.split_once('.').ok_or(Refusal::Malformed)?;
        let is_text =
            !payload.is_empty() && payload.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if !is_kid(kid) || !is_text {
            return Err(Refusal::Malformed);
        }
        let code: [u8; 32] = base64url::decode_array(code).ok_or(Refusal::Malformed)?;
        let key = self.keys.iter().find(|key| key.kid() == kid).ok_or(Refusal::UnknownKid)?;
        if !key.holds(signed.as_bytes(), &code) {
            return Err(Refusal::BadMac);
        }
        let payload = base64url::decode(payload).ok_or(Refusal::Malformed)?;
        let claims = Claims::read(&payload).ok_or(Refusal::Malformed)?;
        Ok(Opened { claims, kid: kid.to_owned() })
    }

    /// From whom, to whom, when. `late` seconds are added to the end of its life.
    pub(super) fn for_here_and_now(&self, claims: &Claims, late: u64, now: Timestamp) -> Result<(), Refusal> {
        self.for_us(&claims.iss, &claims.aud)?;
        in_time(claims.iat, claims.exp, late, now)
    }

    pub(super) fn for_us(&self, issuer: &str, audience: &str) -> Result<(), Refusal> {
        if !self.issuers.iter().any(|known| known == issuer) {
            return Err(Refusal::WrongIssuer);
        }
        if audience == self.site { Ok(()) } else { Err(Refusal::WrongAudience) }
    }

    /// The rest, when the number is already spent.
    pub(super) fn admits(&self, claims: &Claims, browser_states: &[&str]) -> Result<(), Refusal> {
        if !is_account(&claims.sub) || (self.policy.into_header && !is_header_account(&claims.sub)) {
            return Err(Refusal::BadSub);
        }
        if !is_landing_path(&claims.dst) {
            return Err(Refusal::BadDst);
        }
        if !browser_states.iter().any(|state| state_hash(state) == claims.st) {
            return Err(Refusal::StateMismatch);
        }
        if !self.policy.allow.contains(&claims.sub) {
            return Err(Refusal::NotAllowed);
        }
        if self.policy.needs_mfa && claims.amr != Amr::Mfa {
            return Err(Refusal::LoginTooWeak);
        }
        Ok(())
    }
}
