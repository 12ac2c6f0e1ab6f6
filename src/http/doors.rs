//! Who a request is from: found out once, before its handler, by the configuration in force.
//!
//! Without any login configured everybody who may come here (`gate.rs`) sees everything. With one, a request is from a
//! program that brings its token, from somebody who is signed in, or from nobody. A request with a token never has its
//! cookie looked at. A request with a cookie of ours is taken only from our own pages or as a navigation, and changes
//! something only with the token of a form of ours, so that no other page can act for whoever is signed in.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::cookies::{self, Peer, SESSION, WALL};
use super::problem::Problem;
use super::{Gateway, Shared};
use crate::access::rights::Principal;
use crate::access::sessions::{Live, Out, Use};
use crate::access::{People, bearer};
use crate::app::App;
use crate::secret::Secret;

/// Carries the token of a form where there is no form.
pub(super) const FORM_TOKEN: HeaderName = HeaderName::from_static("x-metaconsole-form");

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Asked by pages on their own; extends no session.
const BY_ITSELF: &[&str] = &["/api/v1/pulse"];

/// Whether a form is sent to this path: it carries its token in its body, and whoever reads that looks at it.
fn takes_a_form(path: &str) -> bool {
    matches!(path, "/login" | "/logout" | "/pair")
        || path.starts_with(OPENINGS)
        || (path.starts_with("/sites/") && path.ends_with("/probe"))
}

/// All that is sent to below it is such a form.
const OPENINGS: &str = "/open/";

/// Who a request is from.
#[derive(Clone, Debug)]
pub(super) enum Identity {
    /// There is no login, so it does not matter.
    Anyone,
    /// Nobody we know, with what to answer.
    Nobody(&'static str),
    /// It cannot be found out now.
    Unknown,
    /// Somebody.
    Somebody(Arc<Somebody>),
}

/// Somebody, and how they showed it.
#[derive(Debug)]
pub(super) struct Somebody {
    pub(super) principal: Principal,
    /// Their session; programs and wallboards have none.
    pub(super) live: Option<Live>,
    /// The one view of a wallboard.
    pub(super) wall: Option<String>,
    /// A wallboard's new cookie.
    renewed: Option<String>,
    proof: Proof,
}

/// What was shown.
#[derive(Clone, Debug)]
pub(super) enum Proof {
    /// Nothing.
    None,
    /// `Authorization: Bearer`
    Token(Secret),
    /// The session's cookie.
    Cookie(Secret),
    /// A wallboard's cookie.
    Wall(Secret),
}

impl Proof {
    fn of(headers: &HeaderMap) -> Self {
        if let Some(authorization) = headers.get(header::AUTHORIZATION) {
            let text = authorization.to_str().unwrap_or("");
            let token = text.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            return Self::Token(Secret::new(token.map_or("", |(_, token)| token.trim())));
        }
        let of = |name| cookies::cookie(headers, name).filter(|cookie| !cookie.is_empty()).map(Secret::new);
        let wall = || of(WALL).map_or(Self::None, Self::Wall);
        of(SESSION).map_or_else(wall, Self::Cookie)
    }
}

/// Finds out who a request is from, and lays that to it.
pub(super) async fn pass(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    let app = shared.gateway.app.load_full();
    if !app.config.access.has_login() {
        request.extensions_mut().insert(Identity::Anyone);
        return next.run(request).await;
    }
    let proof = Proof::of(headers);
    if !matches!(proof, Proof::Token(_)) && cookies::has_ours(headers) && from_elsewhere(request.method(), headers) {
        return Problem::new(StatusCode::FORBIDDEN, "foreign_origin", "a page of another site may not ask for this")
            .remedy("ask from our own pages")
            .into_response();
    }
    let used = if BY_ITSELF.contains(&request.uri().path()) { Use::Only } else { Use::Counts };
    let identity = identify(&shared.gateway, &app, &proof, used).await;
    let identity = where_it_stands(identity, &app, &request);
    let unmeant = unmeant(&shared.gateway, &identity, &request);
    let cookie = match &identity {
        Identity::Somebody(somebody) => match &somebody.renewed {
            Some(cookie) => Some(cookies::wall(cookie)),
            None => somebody.live.as_ref().and_then(|live| live.cookie.as_deref()).map(cookies::session),
        },
        _ => None,
    };
    let mut response = match unmeant {
        // With the cookie below even so: the one that was sent may be of no use any more.
        Some(problem) => problem.into_response(),
        None => {
            request.extensions_mut().insert(identity);
            next.run(request).await
        }
    };
    // A handler that sets or takes such a cookie knows better.
    if let Some(cookie) = cookie.filter(|_| !cookies::sets_one(response.headers())) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// A wallboard is one only from its own addresses.
fn where_it_stands(identity: Identity, app: &App, request: &Request) -> Identity {
    let Identity::Somebody(somebody) = &identity else { return identity };
    let name = somebody.principal.login.strip_prefix("wall:").filter(|_| somebody.wall.is_some());
    let Some(wall) = name.and_then(|name| app.config.access.wallboard(name)) else { return identity };
    let peer = request.extensions().get::<Peer>().copied();
    let from = cookies::client(peer, request.headers(), &app.config.gateway.trusted_proxies);
    let may = wall.addresses.is_empty() || wall.addresses.iter().any(|range| range.contains(&from));
    if may { identity } else { Identity::Nobody("this wallboard may not be shown from here") }
}

/// Browsers say where a request that carries our cookie comes from. `gate.rs` judges those that change something; of
/// the others only a navigation of the whole window may come from elsewhere.
fn from_elsewhere(method: &Method, headers: &HeaderMap) -> bool {
    let said = |name: &HeaderName| headers.get(name).map(|value| value.as_bytes());
    match said(&FETCH_SITE) {
        None | Some(b"same-origin" | b"none") => false,
        Some(_) => {
            let window = said(&FETCH_MODE) == Some(b"navigate") && said(&FETCH_DEST) == Some(b"document");
            !(method == Method::GET && window)
        }
    }
}

/// A change that a session's cookie alone asks for: some page may have asked without its user.
fn unmeant(gateway: &Gateway, identity: &Identity, request: &Request) -> Option<Problem> {
    let Identity::Somebody(somebody) = identity else { return None };
    let live = somebody.live.as_ref().filter(|_| !request.method().is_safe())?;
    if takes_a_form(request.uri().path()) {
        return None;
    }
    let token = request.headers().get(FORM_TOKEN).and_then(|token| token.to_str().ok()).unwrap_or("");
    let fits = gateway.people.as_ref().is_some_and(|people| people.form_fits(&live.id, token));
    let problem = || {
        Problem::new(StatusCode::FORBIDDEN, "no_form_token", "this changes something, so it needs the session's token")
            .remedy("send `form_token` of /api/v1/me in the header X-Metaconsole-Form")
    };
    (!fits).then(problem)
}

async fn identify(gateway: &Gateway, app: &Arc<App>, proof: &Proof, used: Use) -> Identity {
    if !app.config.access.has_login() {
        return Identity::Anyone;
    }
    let somebody = |principal, live| {
        let (wall, renewed, proof) = (None, None, proof.clone());
        Identity::Somebody(Arc::new(Somebody { principal, live, wall, renewed, proof }))
    };
    match proof {
        Proof::None => Identity::Nobody("nobody is signed in"),
        Proof::Token(token) => match bearer(&app.config.access, token.expose(), app.clock().now()) {
            Some(principal) => somebody(principal, None),
            None => Identity::Nobody("this token is not known, or has expired"),
        },
        Proof::Wall(cookie) => wallboard(gateway, app, cookie, used, proof).await,
        Proof::Cookie(cookie) => {
            let Some(people) = gateway.people.clone() else { return Identity::Unknown };
            match signed_in(people, Arc::clone(app), cookie.clone(), used).await {
                Ok((principal, live)) => somebody(principal, Some(live)),
                Err(Out::SignedOut | Out::Over { .. }) => Identity::Nobody("the session has ended"),
                Err(fault) => {
                    tracing::error!(%fault, "it cannot be found out who is signed in, so nobody is");
                    Identity::Unknown
                }
            }
        }
    }
}

async fn wallboard(gateway: &Gateway, app: &Arc<App>, cookie: &Secret, used: Use, proof: &Proof) -> Identity {
    let Some(people) = gateway.people.clone() else { return Identity::Unknown };
    let (who, now, cookie) = (Arc::clone(&people), Arc::clone(app), cookie.clone());
    let look = move || who.wall(&now.config.access, cookie.expose(), used);
    match tokio::task::spawn_blocking(look).await.unwrap_or(Err(Out::Unmade("a fault of this program"))) {
        Ok((principal, live)) => {
            let name = principal.login.strip_prefix("wall:").unwrap_or_default();
            let wall = app.config.access.wallboard(name).map(|wall| wall.view.clone());
            let (renewed, proof) = (live.cookie, proof.clone());
            Identity::Somebody(Arc::new(Somebody { principal, live: None, wall, renewed, proof }))
        }
        Err(Out::SignedOut) => Identity::Nobody("this wallboard is not paired any more"),
        Err(Out::Over { login, why }) => {
            over(&people, &login, why).await;
            Identity::Nobody("this wallboard is not paired any more")
        }
        Err(fault) => {
            tracing::error!(%fault, "it cannot be found out which wallboard this is, so it is none");
            Identity::Unknown
        }
    }
}

/// Sessions that the configuration has ended. Refused in any case; where it cannot be recorded now, it is with the next
/// request.
async fn over(people: &People, login: &str, why: &'static str) {
    if people.record_end(login, why).await.is_ok() && people.end_all(login).await.is_err() {
        tracing::error!(login, "sessions could not be ended on disk; they are refused all the same");
    }
}

/// Off the network's threads: noting the use of a session waits for the disk.
async fn signed_in(people: Arc<People>, app: Arc<App>, cookie: Secret, used: Use) -> Result<(Principal, Live), Out> {
    let who = Arc::clone(&people);
    let look = move || who.signed_in(&app.config.access, cookie.expose(), used);
    let found = tokio::task::spawn_blocking(look).await.unwrap_or(Err(Out::Unmade("a fault of this program")));
    if let Err(Out::Over { login, why }) = &found {
        over(&people, login, why).await;
    }
    found
}

impl Identity {
    /// Who this is by the configuration in force now. For answers that take long.
    pub(super) async fn again(&self, gateway: &Gateway, app: &Arc<App>) -> Self {
        let proof = match self {
            Self::Somebody(somebody) => somebody.proof.clone(),
            _ => Proof::None,
        };
        identify(gateway, app, &proof, Use::Only).await
    }

    /// Whom a request is from that needs somebody.
    pub(super) fn somebody(&self) -> Result<Option<&Arc<Somebody>>, Problem> {
        match self {
            Self::Anyone => Ok(None),
            Self::Somebody(somebody) => Ok(Some(somebody)),
            Self::Nobody(why) => {
                let problem = Problem::new(StatusCode::UNAUTHORIZED, "signed_out", *why);
                let kind = header::HeaderValue::from_static("Bearer realm=\"metaconsole\"");
                Err(problem.remedy("log in at /login, or bring an API token").header(header::WWW_AUTHENTICATE, kind))
            }
            Self::Unknown => {
                let sentence = "it cannot be found out now who is signed in";
                let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "sessions_broken", sentence);
                Err(problem.remedy("see the gateway's log"))
            }
        }
    }
}

/// Whether a person's browser wants a page, so that it can be led to the login.
pub(super) fn wants_page(method: &Method, path: &str, headers: &HeaderMap) -> bool {
    if method != Method::GET || path.starts_with("/api/") {
        return false;
    }
    match headers.get(FETCH_MODE) {
        Some(mode) => mode == "navigate",
        None => headers.get(header::ACCEPT).is_some_and(|accept| accept.to_str().unwrap_or("").contains("text/html")),
    }
}
