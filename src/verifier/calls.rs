//! `probe` and `revoke`: signed calls of the gateway, each taken once.

use axum::response::Response;
use serde_json::json;

use super::{Action, Asked, Entrance, No, Unwritten, pages};
use crate::delegation::{Called, Purpose, Refusal, called};

/// Where the signed text stands.
const HEADER: &str = "x-mc-push";

impl Entrance {
    async fn called(&self, asked: &Asked, action: Action) -> Result<Called, No> {
        asked.without_query()?;
        let text = asked.header(HEADER).ok_or(Refusal::Malformed)?;
        let (now, used) = (self.hands.clock.now(), self.hands.used.as_ref());
        Ok(called(&self.verifier, &self.site.keys, text, action.as_str(), now, used).await?)
    }

    /// Keys, clock, version, policy in short. No secret, and no name of an account.
    pub(super) async fn probe(&self, asked: &Asked) -> Result<Response, No> {
        self.called(asked, Action::Probe).await?;
        let tokens = self.site.keys.iter().filter(|key| key.purpose() == Purpose::Token);
        let kids: Vec<&str> = tokens.map(|key| key.kid()).collect();
        let mut said = json!({
            "verifier": self.site.kind,
            "version": env!("CARGO_PKG_VERSION"),
            "site": self.site.id,
            "now": self.hands.clock.now().as_secs(),
            "kids": kids,
            "issuers": self.site.issuers,
            "verification": if self.hands.gateway.is_some() { "online" } else { "offline" },
            "policy": {
                "allow": self.site.policy.allow.len(),
                "permit": self.site.told.permit,
                "require_mfa": self.site.policy.needs_mfa,
            },
        });
        if let (Some(loginhash), Some(members)) = (self.site.told.loginhash, said.as_object_mut()) {
            members.insert("console".to_owned(), json!({ "loginhash": loginhash }));
        }
        Ok(pages::json(&said))
    }

    /// Ends sessions that were begun here: of an account, of an actor, of both; an empty text means any.
    pub(super) async fn revoke(&self, asked: &Asked) -> Result<Response, No> {
        let called = self.called(asked, Action::Revoke).await?;
        let named = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let (account, actor) = (named(&called.account), named(&called.actor));
        let ended = self.hands.sessions.end(account.as_deref(), actor.as_deref()).await.map_err(No::broken)?;
        let mut note = self.note(Action::Revoke, asked, "revoked", &format!("ended {ended} sessions"), None);
        (note.account, note.actor, note.iss) = (account, actor, Some(called.issuer));
        // They have ended, whether it can be written or not.
        if self.hands.journal.write(&note) == Err(Unwritten) {
            tracing::error!("the end of sessions could not be written down");
        }
        Ok(pages::json(&json!({ "ended": ended })))
    }
}
