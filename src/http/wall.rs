//! Screens on walls: the page that shows a code, the form that takes it, and the list of those that are paired.
//!
//! A wallboard reads one saved view and nothing else ([`permits`]); everything it may see is what its roles let it search.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Shared;
use super::cookies::{self, BEFORE, Peer};
use super::doors::Identity;
use super::login::{self, Form};
use super::pages;
use super::parameters::Parameters;
use super::problem::Problem;
use super::search::json;
use super::viewer::Viewer;
use crate::access::rights::Principal;
use crate::access::walls::Shown;
use crate::access::{Denied, secrets::random_id};
use crate::config::access::Permission;

/// A wallboard asks for these besides its view.
const ALSO: &[&str] = &["/api/v1/pulse", "/api/v1/me"];

/// The page for screens that nobody touches.
const SCREEN: &str = "/wall";

/// Whether a wallboard with this view may ask for this.
pub(super) fn permits(view: &str, uri: &Uri) -> bool {
    let mut asked = url::form_urlencoded::parse(uri.query().unwrap_or("").as_bytes()).filter(|(name, _)| name == "q");
    let is_its_view = asked.next().is_some_and(|(_, query)| query == view) && asked.next().is_none();
    ALSO.contains(&uri.path()) || (matches!(uri.path(), "/" | SCREEN | "/api/v1/search") && is_its_view)
}

/// What is said of anything else. The first page leads to the wall with the view.
pub(super) fn elsewhere(view: &str, uri: &Uri, base: &str) -> Response {
    if matches!(uri.path(), "/" | SCREEN) {
        let query: String = url::form_urlencoded::byte_serialize(view.as_bytes()).collect();
        return (StatusCode::SEE_OTHER, [(header::LOCATION, format!("{base}wall?q={query}"))]).into_response();
    }
    Problem::new(StatusCode::FORBIDDEN, "wallboard", "a wallboard reads its own view only")
        .remedy("log in at /login for anything else")
        .into_response()
}

/// `GET /wall/pair`: asks again by itself, until somebody has entered the code.
pub(super) async fn show(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, Problem> {
    let (people, app) = login::people(&shared)?;
    let headers = request.headers();
    let known = cookies::cookie(headers, BEFORE).filter(|id| id.len() == 32).map(str::to_owned);
    let browser = match known {
        Some(id) => id,
        None => random_id().map_err(|_| login::broken())?,
    };
    let peer = request.extensions().get::<Peer>().copied();
    let from = cookies::client(peer, headers, &app.config.gateway.trusted_proxies);
    let shown = people.wall_code(&browser, from).ok_or_else(|| {
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_codes", "too many screens wait for a code")
            .remedy("try again in five minutes")
            .header(header::RETRY_AFTER, HeaderValue::from_static("300"))
    })?;
    let mut response = match shown {
        Shown::Paired(cookie) => {
            let to = app.config.gateway.public_url.path().to_owned();
            let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response();
            response.headers_mut().append(header::SET_COOKIE, cookies::wall(&cookie));
            response
        }
        Shown::Code(code) => {
            let mut response = pages::code(&app, &code);
            response.headers_mut().insert("refresh", HeaderValue::from_static("5"));
            response
        }
    };
    response.headers_mut().append(header::SET_COOKIE, cookies::before(&browser));
    Ok(response)
}

/// Only those who run the gateway.
fn administrator(identity: &Identity) -> Result<&Principal, Problem> {
    let somebody = identity.somebody()?;
    let principal = somebody.map(|somebody| &somebody.principal);
    principal.filter(|principal| principal.grants.everywhere(Permission::Admin)).ok_or_else(|| {
        Problem::new(StatusCode::FORBIDDEN, "forbidden", "you do not have the right `admin` on all sites")
            .remedy("ask whoever runs the gateway")
    })
}

/// `GET /pair`
pub(super) async fn show_pair(
    State(shared): State<Arc<Shared>>,
    viewer: Viewer,
    request: Request,
) -> Result<Response, Problem> {
    login::people(&shared)?;
    login::live(&request)?;
    administrator(&viewer.identity)?;
    Ok(pages::pair(&viewer, StatusCode::OK, ""))
}

/// `POST /pair`
pub(super) async fn pair(
    State(shared): State<Arc<Shared>>,
    viewer: Viewer,
    request: Request,
) -> Result<Response, Problem> {
    login::live(&request)?;
    let by = administrator(&viewer.identity)?.login.clone();
    let (people, app) = login::people(&shared)?;
    let peer = request.extensions().get::<Peer>().copied();
    let from = cookies::client(peer, request.headers(), &app.config.gateway.trusted_proxies);
    let fields = Form::read(request).await?;
    if !viewer.form_fits(fields.get("form")) {
        let sentence = "this form is not of this session";
        return Err(Problem::new(StatusCode::FORBIDDEN, "no_form_token", sentence).remedy("open /pair again"));
    }
    let (code, wall) = (fields.get("code").to_owned(), fields.get("wallboard").to_owned());
    let pairing = async move { people.pair(&app.config.access, &by, &code, &wall, from).await };
    let answer = |status, said: &str| pages::pair(&viewer, status, said);
    // To its end, even when the browser does not wait.
    match tokio::spawn(pairing).await.unwrap_or_else(|_| Err(Denied::Broken("a fault of this program".to_owned()))) {
        Ok(()) => Ok(answer(StatusCode::OK, "Paired. The screen goes on by itself.")),
        Err(Denied::Wrong) => {
            let said = "There is no such code or wallboard. Codes are good for five minutes.";
            Ok(answer(StatusCode::UNPROCESSABLE_ENTITY, said))
        }
        Err(Denied::Later(wait)) => {
            let seconds = wait.as_secs().max(1);
            let said = format!("Too many tries. Please try again in {seconds} s.");
            let mut response = answer(StatusCode::TOO_MANY_REQUESTS, &said);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            Ok(response)
        }
        Err(Denied::Unrecorded) => Err(login::unrecorded()),
        Err(Denied::Broken(fault)) => {
            tracing::error!(fault, "a wallboard could not be paired");
            Err(login::broken())
        }
    }
}

#[derive(Debug, Serialize)]
struct Walls {
    wallboards: Vec<Wall>,
}

/// A wallboard of the configuration.
#[derive(Debug, Serialize)]
struct Wall {
    name: String,
    view: String,
    /// How many screens are paired as it.
    screens: usize,
}

/// `GET /api/v1/wallboards`
pub(super) async fn all(
    State(shared): State<Arc<Shared>>,
    viewer: Viewer,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    administrator(&viewer.identity)?;
    Parameters::read(query.as_deref(), &[])?;
    let (people, _) = login::people(&shared)?;
    let walls = viewer.app.config.access.wallboards.iter();
    let seen = walls.map(|wall| {
        let screens = people.screens(&wall.name).map_err(|fault| {
            tracing::error!(%fault, "wallboards cannot be counted");
            login::broken()
        })?;
        Ok(Wall { name: wall.name.clone(), view: wall.view.clone(), screens })
    });
    Ok(json(&Walls { wallboards: seen.collect::<Result<_, Problem>>()? }))
}

/// `POST /api/v1/wallboards/{name}/end`: ends every screen that is paired as it.
pub(super) async fn end(
    State(shared): State<Arc<Shared>>,
    viewer: Viewer,
    _headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let by = administrator(&viewer.identity)?.login.clone();
    let (people, _) = login::people(&shared)?;
    if !viewer.app.config.access.wallboards.iter().any(|wall| wall.name == name) {
        let problem = Problem::new(StatusCode::NOT_FOUND, "unknown_wallboard", "there is no such wallboard");
        return Err(problem.remedy("see /api/v1/wallboards for those there are"));
    }
    let ending = async move { people.end_wall(&by, &name).await };
    match tokio::spawn(ending).await {
        Ok(Ok(())) => Ok(StatusCode::NO_CONTENT.into_response()),
        Ok(Err(Denied::Unrecorded)) => Err(login::unrecorded()),
        fault => {
            tracing::error!(?fault, "a wallboard could not be ended");
            Err(login::broken())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wallboard_reads_its_view_and_nothing_else() {
        let may = |path: &str| permits("status:critical", &path.parse().unwrap());
        for yes in [
            "/?q=status:critical",
            "/api/v1/search?limit=9&q=status%3Acritical",
            "/api/v1/pulse",
            "/api/v1/me",
            "/wall?q=status:critical",
        ] {
            assert!(may(yes), "{yes}");
        }
        for no in [
            "/",
            "/?q=web",
            "/wall",
            "/wall?q=web",
            "/api/v1/search",
            "/api/v1/search?q=status:critical&q=web",
            "/api/v1/search?q=",
            "/api/v1/where?name=web&q=status:critical",
            "/api/v1/suggest?q=status:critical",
            "/api/v1/sites",
            "/api/v1/audit",
            "/metrics",
        ] {
            assert!(!may(no), "{no}");
        }
    }
}
