//! The way to the gateway, online: about a token once (`verify`), about sessions every minute (`status`).
//!
//! No redirect is followed, no cookie kept, no answer believed that is longer than it can be. Who answers 401 does not
//! know our key any more: that is an answer, too.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::{Client, StatusCode, redirect};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::config::gate::GateConfig;
use crate::delegation::{Purpose, SiteKey};
use crate::verifier::{Confirmed, Gateway, NoAnswer, Question};

/// A person waits.
const PATIENCE: Duration = Duration::from_secs(4);
/// The largest answer is that about 1,000 grants.
const MOST_BYTES: usize = 256 << 10;
/// Most grants of one question.
pub(super) const AT_ONCE: usize = 1000;

/// See the module's text.
pub(super) struct Link {
    client: Client,
    verify: Url,
    status: Url,
    keys: Vec<SiteKey>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Link({})", self.verify)
    }
}

#[derive(Deserialize)]
struct Verdict {
    active: bool,
    sub: Option<String>,
    dst: Option<String>,
    grant: Option<String>,
    session_max_s: Option<u64>,
}

#[derive(Deserialize)]
struct Statuses {
    grants: HashMap<String, Status>,
}

impl Statuses {
    fn holding(&self, grants: &[String]) -> Told {
        let holds = |grant: &&String| self.grants.get(*grant).is_some_and(|status| status.active);
        Told::Holding(grants.iter().filter(holds).cloned().collect())
    }
}

#[derive(Deserialize)]
struct Status {
    active: bool,
}

/// What became of a question about grants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Those that still hold.
    Holding(Vec<String>),
    /// This site is not known there any more.
    Stranger,
    /// No answer.
    Lost,
}

impl Link {
    pub(super) fn new(config: &GateConfig) -> Result<Self, String> {
        let mut builder = Client::builder()
            .user_agent(concat!("metaconsole-gate/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(PATIENCE);
        if let Some(pem) = &config.gateway_ca {
            let authorities = reqwest::Certificate::from_pem_bundle(pem).map_err(|error| error.to_string())?;
            builder = builder.tls_certs_only(authorities);
        }
        let at = |path: &str| {
            let mut url = config.gateway.clone();
            url.set_path(&format!("{}api/v1/delegation/{path}", config.gateway.path()));
            url
        };
        let client = builder.build().map_err(|error| error.to_string())?;
        let keys = config.keys.iter().filter(|key| key.purpose() == Purpose::Verify).cloned().collect();
        Ok(Self { client, verify: at("verify"), status: at("status"), keys })
    }

    /// Asks; gives status and body.
    async fn ask(
        &self,
        url: &Url,
        key: &SiteKey,
        question: &serde_json::Value,
    ) -> Result<(StatusCode, Vec<u8>), NoAnswer> {
        let bearer = key.bearer().ok_or(NoAnswer)?;
        let request = self.client.post(url.clone()).bearer_auth(bearer.expose());
        let request = request.header("content-type", "application/json").body(question.to_string());
        let lost = |error: reqwest::Error| {
            tracing::warn!(error = %error.without_url(), "the gateway does not answer");
            NoAnswer
        };
        let mut response = request.send().await.map_err(lost)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if body.len().saturating_add(chunk.len()) > MOST_BYTES {
                return Err(NoAnswer);
            }
            body.extend_from_slice(&chunk);
        }
        Ok((response.status(), body))
    }

    /// Which of these grants hold, at most [`AT_ONCE`]. While keys are being changed the gateway may have taken out one that
    /// we still have: whoever is known by any other is no stranger.
    pub(super) async fn holding(&self, grants: &[String]) -> Told {
        let question = json!({ "grants": grants });
        let mut told = Told::Lost;
        for key in &self.keys {
            told = match self.ask(&self.status, key, &question).await {
                Ok((StatusCode::OK, body)) => match serde_json::from_slice::<Statuses>(&body) {
                    Ok(said) => said.holding(grants),
                    Err(_) => Told::Lost,
                },
                Ok((StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _)) => Told::Stranger,
                Ok((status, _)) => {
                    tracing::warn!(%status, "the gateway does not say whether sessions hold");
                    Told::Lost
                }
                Err(NoAnswer) => Told::Lost,
            };
            if told != Told::Stranger {
                break;
            }
        }
        told
    }

    async fn confirmed(&self, question: Question<'_>) -> Result<Option<Confirmed>, NoAnswer> {
        let Question { kid, token, state, client } = question;
        let asked = json!({ "token": token, "st_state": state, "client_ip": client.to_string() });
        let key = self.keys.iter().find(|key| key.kid() == kid).ok_or(NoAnswer)?;
        let (status, body) = self.ask(&self.verify, key, &asked).await?;
        match status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Ok(None),
            _ => return Err(NoAnswer),
        }
        let said: Verdict = serde_json::from_slice(&body).map_err(|_| NoAnswer)?;
        let Some((account, path)) = said.sub.zip(said.dst).filter(|_| said.active) else { return Ok(None) };
        let grant = said.grant.filter(|grant| grant.len() <= 128);
        Ok(Some(Confirmed { account, path, grant, longest: said.session_max_s.map(Duration::from_secs), fresh: true }))
    }
}

impl Gateway for Link {
    fn confirm<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Result<Option<Confirmed>, NoAnswer>> {
        Box::pin(self.confirmed(question))
    }
}
