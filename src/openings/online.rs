//! A verifier that asks: whether a token is good now, once, and whether its person still is who they were.
//!
//! Who asks shows the key of their site (`mcv1.<site>.<kid>.<key>`), and is answered about their own site only. The
//! token's number is used up in the gateway's own store, durably; whatever is wrong with a token, the answer is the same.

use std::fmt;
use std::sync::Arc;

use crate::access::accounts::{Opening, opening};
use crate::access::rights::Principal;
use crate::config::access::Permission;
use crate::config::{self, Config};
use crate::delegation::{Claims, MasterKey, Policy, Purpose, Refusal, SiteKey, UsedTokens, Verifier};

use super::witness::{Event, Told};
use super::{NotNow, Openings, locked};

/// Remembers used tokens.
#[derive(Clone)]
pub(super) struct Used(pub(super) Arc<dyn UsedTokens>);

impl fmt::Debug for Used {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Used")
    }
}

/// Why a verifier is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnswered {
    /// It is none of ours.
    #[error("this is no verifier of a site here")]
    Stranger,
    /// Too many questions of one site.
    #[error("{0}")]
    NotNow(#[from] NotNow),
    /// Nothing may be accepted.
    #[error("used tokens cannot be remembered, so none is accepted")]
    NoStore,
}

impl Openings {
    /// The site of a verifier, by what it shows.
    ///
    /// # Errors
    /// It is none of ours, or asks too often.
    pub fn verifier<'c>(&self, config: &'c Config, bearer: &str) -> Result<&'c config::Site, NotAnswered> {
        let mut parts = bearer.split('.');
        let (Some("mcv1"), Some(site), Some(kid)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NotAnswered::Stranger);
        };
        let site = config.sites.iter().find(|known| known.id.as_str() == site).ok_or(NotAnswered::Stranger)?;
        let key = keys(config, site, Purpose::Verify).into_iter().find(|key| key.kid() == kid);
        if !key.is_some_and(|key| key.is_bearer(bearer)) {
            return Err(NotAnswered::Stranger);
        }
        let pace = locked(&self.asked).step(site.id.as_str(), self.clock.now());
        pace.map_err(NotNow::TooMany)?;
        Ok(site)
    }

    /// Whether a token for this site is good now. It is used up by the question.
    ///
    /// # Errors
    /// It cannot be found out, so the token is not good.
    pub async fn verify(
        &self,
        config: &Config,
        site: &config::Site,
        token: &str,
        state: Option<&str>,
    ) -> Result<Option<Claims>, NotAnswered> {
        let used = self.used.as_ref().ok_or(NotAnswered::NoStore)?;
        let allow = site.delegation.accounts.iter().map(|rule| rule.account.clone()).collect();
        let policy = Policy { allow, ..Policy::default() };
        let keys = keys(config, site, Purpose::Token);
        let verifier = Verifier::new(site.id.as_str(), vec![config.gateway.id.clone()], keys, policy);
        match verifier.verify(token, state, self.clock.now(), used.0.as_ref()).await {
            Ok(opened) if still(config, site, &opened.claims) => Ok(Some(opened.claims)),
            Ok(_) => Ok(None),
            Err(Refusal::StoreUnavailable) => Err(NotAnswered::NoStore),
            Err(refusal) => {
                tracing::warn!(site = %site.id, ?refusal, "a verifier asked about a token that is not good");
                Ok(None)
            }
        }
    }

    /// Records that a token was taken. May wait for a disk.
    ///
    /// # Errors
    /// It is not recorded, so nothing may be opened with it.
    pub fn consumed(&self, site: &config::Site, claims: &Claims) -> Result<(), super::witness::Unrecorded> {
        let told =
            Told { login: claims.act.clone(), site: site.id.clone(), account: claims.sub.clone(), view: String::new() };
        self.witness.record(&Event::Consumed { told, number: claims.jti.clone() })
    }
}

/// A site's keys for one purpose, of every master. A master that is refused gives none.
fn keys(config: &Config, site: &config::Site, purpose: Purpose) -> Vec<SiteKey> {
    let derived = |key: &config::MasterKey| MasterKey::read(&key.kid, &key.secret)?.derive(site.id.as_str(), purpose);
    config.gateway.keys.iter().filter_map(|key| derived(key).ok()).collect()
}

/// Whether the person is still let in as this account, by the configuration in force.
fn still(config: &Config, site: &config::Site, claims: &Claims) -> bool {
    let who = claims.act.strip_prefix("local:").and_then(|login| Principal::user(&config.access, login));
    who.is_some_and(|who| {
        who.grants.on(Permission::Open, &site.id, &site.tags).is_some()
            && opening(&site.delegation, &who) == Opening::As(claims.sub.clone())
    })
}
