//! `start` and `login`: from a browser without a state to a session at the right view.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::asked::{BEFORE, Text};
use super::owner::{Confirmed, Entered, NoAnswer, Question};
use super::{Asked, Entrance, No, before, pages};
use crate::delegation::{Opened, Refusal, random_number, state_hash};

/// Seconds a browser keeps the state of an opening.
const STATE_SECONDS: u64 = 120;
/// The same while its person is asked "continue as …?".
const ASKED_SECONDS: u64 = 150;

/// What the gateway said, while the person is asked.
#[derive(Serialize, Deserialize)]
struct Kept {
    grant: Option<String>,
    longest: Option<u64>,
}

impl Entrance {
    /// Gives the browser its state and sends it back to the gateway of our own configuration.
    pub(super) fn start(&self, asked: &Asked) -> Result<Response, No> {
        let number = asked.number()?;
        let random = || random_number().map_err(|_| No::broken("no_random"));
        let state = format!("{}{}", random()?, random()?);
        let name = format!("{BEFORE}{}", number.get(..8).unwrap_or(&number));
        let mut back = self.again();
        back.set_path(&format!("{}/finish", back.path()));
        back.set_query(Some(&format!("p={number}&st={}", state_hash(&state))));
        let cookie = state_cookie(&name, &state, STATE_SECONDS)?;
        let was = before::note(asked.headers(), self.hands.sessions.cookie());
        let cookies = std::iter::once(cookie).chain(was).collect();
        pages::go(back.as_str(), cookies).ok_or_else(|| No::broken("config"))
    }

    /// Takes a token, or the answer to "continue as …?".
    pub(super) async fn login(&self, asked: &Asked) -> Result<Response, No> {
        let asked = &asked.with(before::with(asked.headers(), self.hands.sessions.cookie()));
        let text = asked.text()?;
        let states: Vec<&str> = asked.states().iter().map(|(_, state)| *state).collect();
        let (now, used) = (self.hands.clock.now(), self.hands.used.as_ref());
        match text {
            Text::Token(token) => {
                let opened = self.verifier.verify_from(&token, &states, now, used).await?;
                let confirmed = self.confirm(&token, &opened, &states, asked).await?;
                self.enter(asked, &opened, confirmed, false).await
            }
            Text::Continued(text) => {
                // A token comes from the gateway's page; this form is our own.
                if !matches!(asked.header("sec-fetch-site"), None | Some("same-origin" | "none")) {
                    return Err(No::new("cross_site"));
                }
                let answered = self.verifier.answered(&self.site.keys, &text, &states, now, used).await?;
                let (opened, note) = answered;
                let kept: Option<Kept> = serde_json::from_str(&note).ok();
                let confirmed = kept.map(|kept| Confirmed {
                    account: opened.claims.sub.clone(),
                    path: opened.claims.dst.clone(),
                    grant: kept.grant,
                    longest: kept.longest.map(std::time::Duration::from_secs),
                    fresh: false,
                });
                if confirmed.is_none() && self.hands.gateway.is_some() {
                    return Err(No::new("gateway_refused").about(&opened.claims));
                }
                self.enter(asked, &opened, confirmed, true).await
            }
        }
    }

    /// Asks the gateway, where the site wants it, about a token that is good by everything that is known here.
    async fn confirm(
        &self,
        token: &str,
        opened: &Opened,
        states: &[&str],
        asked: &Asked,
    ) -> Result<Option<Confirmed>, No> {
        let Some(gateway) = &self.hands.gateway else { return Ok(None) };
        let claims = &opened.claims;
        let state = states.iter().find(|state| state_hash(state) == claims.st).ok_or(Refusal::StateMismatch)?;
        let question = Question { kid: &opened.kid, token, state, client: asked.client };
        match gateway.confirm(question).await {
            Ok(Some(said)) if said.account == claims.sub && said.path == claims.dst => Ok(Some(said)),
            Ok(_) => Err(No::new("gateway_refused").about(claims)),
            Err(NoAnswer) => Err(No::broken("gateway_unreachable").about(claims)),
        }
    }

    /// Everything was decided but for what the product itself says.
    async fn enter(
        &self,
        asked: &Asked,
        opened: &Opened,
        confirmed: Option<Confirmed>,
        continued: bool,
    ) -> Result<Response, No> {
        let claims = &opened.claims;
        let sessions = &self.hands.sessions;
        let told = |reason: &'static str| No::new(reason).about(claims);
        sessions.admits(&claims.sub).await.map_err(told)?;
        let live = sessions.live(asked.headers()).await.map_err(told)?;
        let entered = Entered { claims, confirmed: confirmed.as_ref(), headers: asked.headers() };
        match live {
            Some(live) if live.account == claims.sub && live.actor.as_deref() == Some(&claims.act) => {
                self.record(asked, "opened", "kept session", claims)?;
                let cookies = sessions.keep(entered).await.map_err(told)?;
                self.land(asked, opened, cookies)
            }
            Some(live) if live.account != claims.sub && !continued => {
                self.ask(asked, opened, confirmed.as_ref(), &live.account)
            }
            _ => {
                self.record(asked, "opened", "new session", claims)?;
                let cookies = sessions.begin(entered).await.map_err(told)?;
                self.land(asked, opened, cookies)
            }
        }
    }

    /// To the view. The state of this opening is no longer needed.
    fn land(&self, asked: &Asked, opened: &Opened, mut cookies: Vec<HeaderValue>) -> Result<Response, No> {
        let states = asked.states();
        for (name, _) in states.iter().filter(|(_, state)| state_hash(state) == opened.claims.st) {
            cookies.push(state_cookie(name, "", 0)?);
        }
        pages::go(&opened.claims.dst, cookies).ok_or_else(|| No::new("bad_dst").about(&opened.claims))
    }

    /// Somebody else is logged in here.
    fn ask(&self, asked: &Asked, opened: &Opened, confirmed: Option<&Confirmed>, live: &str) -> Result<Response, No> {
        let claims = &opened.claims;
        let kept = confirmed
            .map(|said| Kept { grant: said.grant.clone(), longest: said.longest.map(|longest| longest.as_secs()) });
        let note = kept.and_then(|kept| serde_json::to_string(&kept).ok()).unwrap_or_default();
        let brought = self.verifier.ask(&self.site.keys, opened, &note);
        let brought = brought.ok_or_else(|| No::broken("config").about(claims))?;
        self.record(asked, "asked", "somebody else is logged in", claims)?;
        let page = pages::ask(&self.site.login, live, &claims.sub, &claims.dst, brought.expose());
        let mut response = pages::answer(StatusCode::OK, "text/html; charset=utf-8", page);
        for (name, state) in asked.states().iter().filter(|(_, state)| state_hash(state) == claims.st) {
            response.headers_mut().append(header::SET_COOKIE, state_cookie(name, state, ASKED_SECONDS)?);
        }
        Ok(response)
    }
}

/// The cookie of one opening. It comes back with a form of another origin, so it is `SameSite=None`.
fn state_cookie(name: &str, state: &str, seconds: u64) -> Result<HeaderValue, No> {
    let text = format!("{name}={state}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=None");
    HeaderValue::from_str(&text).map_err(|_| No::from(Refusal::Malformed))
}
