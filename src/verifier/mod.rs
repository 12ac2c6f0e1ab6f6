//! What every verifier of ours does over HTTP: `start`, `login`, `probe`, `revoke`. Whoever owns one brings the sessions.
//!
//! - **start** (GET `?p=`): gives the browser a random state for two minutes, in a cookie of its own for each opening, and
//!   sends it back to the gateway of the site's **own** configuration.
//! - **login** (POST `mc_token=`): decides in the order of [`crate::delegation`]; asks the gateway only about a token that
//!   is good by all that is known here, where the site wants it asked; then the owner begins a session, and the browser
//!   goes to the view (303). The same account opened by the same person: their session stays. Somebody else's: the person
//!   is asked first, and nothing changes before they say so. Whose session it is was noted at `start` (`before`).
//! - **probe** and **revoke**: signed calls of the gateway in `X-Mc-Push`, each taken once.
//!
//! Every decision is told to the [`Journal`]; what cannot be written does not happen. A browser is told one thing for all
//! refusals, but for "used" and "expired", which only somebody with a signed text can meet.
//!
//! An owner makes an [`Entrance`] and hands it requests: [`Entrance::answer`], or [`routes()`] for an axum router.

mod asked;
mod before;
mod calls;
mod login;
mod note;
mod owner;
mod pages;
mod routes;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use url::Url;

use crate::clock::Clock;
use crate::delegation::{Claims, Policy, Refusal, Refused, SiteKey, UsedTokens, Verifier};

pub use asked::{Action, Asked, cookies};
pub use note::{Journal, Note, ToLog, Unwritten};
pub use owner::{Confirmed, Entered, Gateway, Live, NoAnswer, Question, Sessions};
pub use routes::routes;

/// What is fixed about one verifier.
#[derive(Clone, Debug)]
pub struct Site {
    /// Site id at the gateway.
    pub id: String,
    /// The gateway, as browsers reach it. From the site's own configuration, never from a request.
    pub gateway: Url,
    /// Ids of gateways whose tokens are taken.
    pub issuers: Vec<String>,
    /// The site's keys, of all four purposes.
    pub keys: Vec<SiteKey>,
    /// Whom it lets in.
    pub policy: Policy,
    /// Path where `login` is posted to, as browsers reach it: `/mc/login`.
    pub login: String,
    /// Its kind, for `probe`: `gate`, `dropin`.
    pub kind: &'static str,
    /// What else `probe` says: names of permits, and the product's own state.
    pub told: Told,
}

/// What `probe` says besides.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// What the site permits although it is refused by default.
    pub permit: Vec<String>,
    /// `loginhash` of a Pandora console: `off`, `weak`, `strong`. None where there is no such thing.
    pub loginhash: Option<&'static str>,
}

/// What a verifier works with. `gateway`: asked about each token; `None` decides alone (offline).
#[derive(Clone)]
pub struct Hands {
    /// Sessions of the product, or of the gate.
    pub sessions: Arc<dyn Sessions>,
    /// Remembers used tokens.
    pub used: Arc<dyn UsedTokens>,
    /// Every decision.
    pub journal: Arc<dyn Journal>,
    /// Asked about each token.
    pub gateway: Option<Arc<dyn Gateway>>,
    /// The time.
    pub clock: Clock,
}

impl std::fmt::Debug for Hands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hands").field("online", &self.gateway.is_some()).finish_non_exhaustive()
    }
}

/// The door of one site.
#[derive(Debug)]
pub struct Entrance {
    site: Site,
    verifier: Verifier,
    hands: Hands,
}

/// A refusal on its way out.
struct No {
    reason: &'static str,
    status: StatusCode,
    claims: Option<Box<Claims>>,
}

impl No {
    fn new(reason: &'static str) -> Self {
        Self { reason, status: StatusCode::FORBIDDEN, claims: None }
    }

    /// Something at the site must be repaired.
    fn broken(reason: &'static str) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, ..Self::new(reason) }
    }

    fn about(self, claims: &Claims) -> Self {
        Self { claims: Some(Box::new(claims.clone())), ..self }
    }
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::StoreUnavailable => Self::broken(refusal.as_str()),
            Refusal::Replayed | Refusal::Expired => Self { status: StatusCode::GONE, ..Self::new(refusal.as_str()) },
            _ => Self::new(refusal.as_str()),
        }
    }
}

impl From<Refused> for No {
    fn from(refused: Refused) -> Self {
        Self { claims: refused.claims, ..Self::from(refused.refusal) }
    }
}

impl Entrance {
    /// The door of this site.
    pub fn new(site: Site, hands: Hands) -> Self {
        let verifier = Verifier::new(&site.id, site.issuers.clone(), site.keys.clone(), site.policy.clone());
        Self { site, verifier, hands }
    }

    /// Answers one request for one of the four actions.
    pub async fn answer(&self, action: Action, asked: &Asked) -> Response {
        let outcome = match action {
            _ if *asked.method() != action.method() => Err(No::from(Refusal::MethodNotAllowed)),
            Action::Start => self.start(asked),
            Action::Login => self.login(asked).await,
            Action::Probe => self.probe(asked).await,
            Action::Revoke => self.revoke(asked).await,
        };
        outcome.unwrap_or_else(|no| self.refuse(action, asked, &no))
    }

    /// Where a person begins anew.
    pub fn again(&self) -> Url {
        let mut url = self.site.gateway.clone();
        url.set_path(&format!("{}/open/{}", self.site.gateway.path().trim_end_matches('/'), self.site.id));
        url.set_query(None);
        url.set_fragment(None);
        url
    }

    fn refuse(&self, action: Action, asked: &Asked, no: &No) -> Response {
        let note = self.note(action, asked, "refused", no.reason, no.claims.as_deref());
        // It is refused either way.
        let _ = self.hands.journal.write(&note);
        pages::refused(no.status, no.reason, self.again().as_str())
    }

    /// Writes down what is about to happen.
    fn record(&self, asked: &Asked, result: &'static str, reason: &str, claims: &Claims) -> Result<(), No> {
        let note = self.note(Action::Login, asked, result, reason, Some(claims));
        self.hands.journal.write(&note).map_err(|Unwritten| No::broken("audit_failed").about(claims))
    }

    fn note(&self, action: Action, asked: &Asked, result: &'static str, reason: &str, claims: Option<&Claims>) -> Note {
        let note = Note::new(self.hands.clock.now(), &self.site.id, action.as_str(), result, reason, asked.client);
        claims.map_or(note.clone(), |claims| note.about(claims))
    }
}
