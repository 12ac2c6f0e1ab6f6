//! A verifier that asks: whether a token is good now, once, and later, by the grant it was given for it, whether the person
//! still is who they were.
//!
//! Who asks shows the key of their site (`mcv1.<site>.<kid>.<key>`), and is answered about their own site only. The
//! token's number is used up in the gateway's own store, durably; whatever is wrong with a token, the answer is the same.
//!
//! "Still" is all of it, now: the session at the gateway that asked for the opening goes on; its user is configured and
//! has the right `open` there; the rules give exactly this account; the site still has a verifier.
//!
//! A token whose signature holds and that was never issued here can only come from somebody who has the site's key:
//! that is told as an alarm, and nothing is opened.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::access::People;
use crate::access::accounts::still;
use crate::access::store::StoreError;
use crate::config::{self, Config};
use crate::delegation::{Claims, MasterKey, Policy, Purpose, Refusal, SiteKey, UsedTokens, Verifier};

use super::ledger::{LedgerError, Row};
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
    /// It cannot be found out now.
    #[error("it cannot be found out now who still is signed in")]
    Unknown,
    /// The site has too many grants.
    #[error("this site has too many openings that go on")]
    Full,
}

impl From<LedgerError> for NotAnswered {
    fn from(_: LedgerError) -> Self {
        Self::Unknown
    }
}

impl From<StoreError> for NotAnswered {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a verifier cannot be told who still is signed in");
        Self::Unknown
    }
}

/// What a verifier asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// About a token.
    Token,
    /// About its grants.
    Grants,
}

impl Openings {
    /// The site of a verifier, by what it shows.
    ///
    /// # Errors
    /// It is none of ours, or asks too often.
    pub fn verifier<'c>(&self, config: &'c Config, bearer: &str, asks: Asks) -> Result<&'c config::Site, NotAnswered> {
        let mut parts = bearer.split('.');
        let (Some("mcv1"), Some(site), Some(kid)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NotAnswered::Stranger);
        };
        let site = config.sites.iter().find(|known| known.id.as_str() == site).ok_or(NotAnswered::Stranger)?;
        let key = keys(config, site, Purpose::Verify).into_iter().find(|key| key.kid() == kid);
        if !key.is_some_and(|key| key.is_bearer(bearer)) {
            return Err(NotAnswered::Stranger);
        }
        let pace = match asks {
            Asks::Token => &self.asked,
            Asks::Grants => &self.asked_again,
        };
        locked(pace).step(site.id.as_str(), self.clock.now()).map_err(NotNow::TooMany)?;
        Ok(site)
    }

    /// Whether a token for this site is good now. It is used up by the question. Whoever hears that it is goes on with
    /// [`Openings::admit`].
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
            Ok(opened) => Ok(Some(opened.claims)),
            Err(Refusal::StoreUnavailable) => Err(NotAnswered::NoStore),
            Err(refusal) => {
                tracing::warn!(site = %site.id, ?refusal, "a verifier asked about a token that is not good");
                Ok(None)
            }
        }
    }

    /// Lets in whoever brought this good token: recorded, and with a grant for the verifier. None: not any more, or it
    /// is not a token of ours. May wait for a disk.
    ///
    /// # Errors
    /// It cannot be found out or recorded, so nothing may be opened.
    pub fn admit(
        &self,
        config: &Config,
        site: &config::Site,
        people: Option<&People>,
        claims: &Claims,
    ) -> Result<Option<String>, NotAnswered> {
        let ledger = self.ledger()?;
        let says = |row: &Row| row.site == site.id && row.account == claims.sub && row.actor == claims.act;
        let Some(row) = ledger.issued(&claims.jti)?.filter(says) else {
            self.alarm(site, claims);
            return Ok(None);
        };
        if !is_live(config, site, people, &row, &mut HashMap::new())? {
            return Ok(None);
        }
        let told = Told { login: row.login.clone(), ..told(site, claims) };
        let consumed = Event::Consumed { told, number: claims.jti.clone() };
        self.witness.record(&consumed).map_err(|_| NotAnswered::NoStore)?;
        ledger.grant(&row, self.clock.now())?.ok_or(NotAnswered::Full).map(Some)
    }

    /// Whether each of these grants of a site is active, in their order. May wait for a disk.
    ///
    /// # Errors
    /// It cannot be found out.
    pub fn status(
        &self,
        config: &Config,
        site: &config::Site,
        people: Option<&People>,
        grants: &[String],
    ) -> Result<Vec<bool>, NotAnswered> {
        let rows = self.ledger()?.granted(&site.id, grants, self.clock.now())?;
        let mut sessions = HashMap::new();
        let live = |row: Option<Row>| match row {
            Some(row) => Ok(is_live(config, site, people, &row, &mut sessions)?),
            None => Ok(false),
        };
        rows.into_iter().map(live).collect()
    }

    /// Somebody else signs with this site's key.
    fn alarm(&self, site: &config::Site, claims: &Claims) {
        self.unissued.fetch_add(1, Ordering::Relaxed);
        let unissued = Event::Unissued { told: told(site, claims), number: claims.jti.clone() };
        if self.witness.record(&unissued).is_err() {
            tracing::error!(site = %site.id, "ALARM: a token that was never signed here, and that cannot be recorded");
        }
    }
}

/// As the token has it.
fn told(site: &config::Site, claims: &Claims) -> Told {
    Told { login: claims.act.clone(), site: site.id.clone(), account: claims.sub.clone(), view: String::new() }
}

/// A site's keys for one purpose, of every master. A master that is refused gives none.
fn keys(config: &Config, site: &config::Site, purpose: Purpose) -> Vec<SiteKey> {
    let derived = |key: &config::MasterKey| MasterKey::read(&key.kid, &key.secret)?.derive(site.id.as_str(), purpose);
    config.gateway.keys.iter().filter_map(|key| derived(key).ok()).collect()
}

/// Whether what was opened still holds. `sessions`: what was found out about sessions for the same question.
fn is_live(
    config: &Config,
    site: &config::Site,
    people: Option<&People>,
    row: &Row,
    sessions: &mut HashMap<(String, String), bool>,
) -> Result<bool, StoreError> {
    let has_verifier = matches!(site.delegation.verifier, config::Verifier::Dropin | config::Verifier::Gate);
    let Some(people) = people.filter(|_| has_verifier && still(&config.access, site, &row.login, &row.account)) else {
        return Ok(false);
    };
    let session = (row.login.clone(), row.session.clone());
    if let Some(known) = sessions.get(&session) {
        return Ok(*known);
    }
    let lives = people.lives(&config.access, &row.login, &row.session)?;
    sessions.insert(session, lives);
    Ok(lives)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Timestamp};
    use crate::openings::witness::TellLog;

    #[tokio::test(start_paused = true)]
    async fn each_site_has_limits_of_its_own_for_each_question() {
        let folder = tempfile::tempdir().unwrap();
        let yaml = folder.path().join("sites.yaml");
        let key = "6a09e667f3bcc908b2fb1366ea957d3e3adec17512775099da2f590b0667322a";
        let site = |id: &str| {
            format!("  - {{id: {id}, url: \"https://{id}.example/\", credentials: {{token: \"${{T}}\"}}}}\n")
        };
        let keys = "gateway: {keys: [{kid: a, secret: \"${KEY}\", signing: true}]}\nsites:\n";
        std::fs::write(&yaml, format!("{keys}{}{}", site("madrid"), site("lyon"))).unwrap();
        let config = config::load(&yaml, &|_| Some(key.to_owned())).unwrap();
        let openings = Openings::new(Arc::new(TellLog), Clock::following(Timestamp::from_secs(1_800_000_000)));
        let bearers: Vec<_> = config.sites.iter().map(|site| keys_of(&config, site)).collect();
        let ask =
            |site: usize, asks| openings.verifier(&config, bearers[site].expose(), asks).map(|site| site.id.clone());
        for (asks, most) in [(Asks::Grants, 120), (Asks::Token, 600)] {
            for _ in 0..most {
                assert_eq!(ask(0, asks), Ok("madrid".parse().unwrap()));
            }
            assert!(matches!(ask(0, asks), Err(NotAnswered::NotNow(NotNow::TooMany(_)))), "{asks:?}");
            assert_eq!(ask(1, asks), Ok("lyon".parse().unwrap()));
        }
        assert_eq!(openings.verifier(&config, "mcv1.madrid.a.x", Asks::Grants), Err(NotAnswered::Stranger));
        tokio::time::advance(std::time::Duration::from_secs(60)).await;
        assert!(ask(0, Asks::Grants).is_ok() && ask(0, Asks::Token).is_ok());
    }

    fn keys_of(config: &Config, site: &config::Site) -> crate::secret::Secret {
        keys(config, site, Purpose::Verify).first().unwrap().bearer().unwrap()
    }
}
