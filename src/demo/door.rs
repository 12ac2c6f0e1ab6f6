//! The verifier of a demo console: what `mc.php` is at a real one. It decides alone (`offline`), by its own list.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use url::Url;

use super::desk::Desk;
use super::requests::Incoming;
use crate::clock::{Clock, Timestamp};
use crate::delegation::{Policy, SiteKey, Use, UsedTokens};
use crate::verifier::{Action, Asked, Entrance, Hands, Site, ToLog, Told};

/// The file of a real console that this stands for.
pub(super) const FILE: &str = "mc.php";

/// Numbers are kept so long after their token: longer than any of them is taken.
const KEPT_AFTER: u64 = 600;

/// What a demo console's verifier is told, as a site's administrator would write it into its files.
#[derive(Clone, Debug)]
pub struct Door {
    /// Site id at the gateway.
    pub site: String,
    /// The gateway, as browsers reach it.
    pub gateway: Url,
    /// Ids of gateways whose tokens are taken.
    pub issuers: Vec<String>,
    /// The site's keys.
    pub keys: Vec<SiteKey>,
    /// Accounts that may be opened.
    pub allow: Vec<String>,
}

/// Used tokens of a console that ends with its process, and whose keys do too.
#[derive(Debug, Default)]
struct Spent(Mutex<HashMap<String, u64>>);

impl UsedTokens for Spent {
    fn consume<'a>(&'a self, site: &'a str, jti: &'a str, exp: u64, now: Timestamp) -> BoxFuture<'a, Use> {
        Box::pin(async move {
            let mut spent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let Ok(now) = u64::try_from(now.as_secs()) else { return Use::Unavailable };
            spent.retain(|_, until| *until > now);
            match spent.insert(format!("{site}|{jti}"), exp.saturating_add(KEPT_AFTER)) {
                None => Use::First,
                Some(_) => Use::Replayed,
            }
        })
    }
}

impl Door {
    /// The door, with this console's sessions behind it. `root` is the console's path.
    pub(super) fn entrance(&self, desk: &Arc<Desk>, root: &str, clock: Clock) -> Entrance {
        let site = Site {
            id: self.site.clone(),
            gateway: self.gateway.clone(),
            issuers: self.issuers.clone(),
            keys: self.keys.clone(),
            policy: Policy { allow: self.allow.clone(), ..Policy::default() },
            login: format!("/{root}{FILE}?a=login"),
            kind: "dropin",
            told: Told { permit: Vec::new(), loginhash: Some("off") },
        };
        let sessions: Arc<Desk> = Arc::clone(desk);
        let hands =
            Hands { sessions, used: Arc::new(Spent::default()), journal: Arc::new(ToLog), gateway: None, clock };
        Entrance::new(site, hands)
    }
}

/// Answers `mc.php?a=ACTION`.
pub(super) async fn answer(entrance: Option<&Entrance>, incoming: &Incoming) -> Response {
    let query = incoming.uri.query().unwrap_or("");
    let mut pairs = query.split('&').filter(|pair| !pair.is_empty());
    let action = pairs.next().and_then(|first| first.strip_prefix("a=")).and_then(Action::of);
    let Some((entrance, action)) = entrance.zip(action) else {
        return (StatusCode::NOT_FOUND, [(header::CACHE_CONTROL, "no-store")], "Not found").into_response();
    };
    let rest: Vec<&str> = pairs.collect();
    // Demo consoles do not ask where a browser is.
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let (method, headers, body) = (incoming.method.clone(), incoming.headers.clone(), incoming.body.clone());
    entrance.answer(action, &Asked::new(method, &rest.join("&"), headers, body, client)).await
}
