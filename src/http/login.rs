//! Logging in and out, as plain forms without a script (`pages/people.rs`).
//!
//! The form of a login is bound to the browser it was made for, so that nobody can log somebody else's browser in as
//! themselves. After the login only a path of ours is gone to, never an address. Whatever was wrong, the answer is the
//! same. Forms carry their token in the body; a browser that names no origin of ours is refused before (`gate.rs`).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::Shared;
use super::cookies::{self, BEFORE, DEVICE, Peer};
use super::doors::Identity;
use super::leaving;
use super::pages;
use super::problem::Problem;
use super::viewer::Viewer;
use crate::access::password::Offer;
use crate::access::secrets::random_id;
use crate::access::sessions::Live;
use crate::access::{Denied, People};
use crate::app::App;
use crate::clock::Deadline;
use crate::config::Gateway;
use crate::secret::Secret;

/// Forms are small.
const MOST_BYTES: usize = 8 << 10;

/// A whole form has this time. Who never sends the rest must not hold a place.
const FORM_PATIENCE: Duration = Duration::from_secs(10);

/// Longer paths are not gone to.
const MOST_NEXT: usize = 512;

/// Where a window is led that has to log in first.
pub(super) fn address(gateway: &Gateway, wanted: &Uri) -> String {
    let path = wanted.path_and_query().map_or("/", |path| path.as_str());
    let next: String = url::form_urlencoded::byte_serialize(path.as_bytes()).collect();
    match is_path(path) && path != "/" {
        true => format!("{}login?next={next}", gateway.public_url.path()),
        false => format!("{}login", gateway.public_url.path()),
    }
}

/// Whether a text is a path here and nothing that a browser takes for another host.
fn is_path(text: &str) -> bool {
    let mut bytes = text.bytes();
    let begins = bytes.next() == Some(b'/') && !matches!(bytes.next(), Some(b'/' | b'\\'));
    begins && text.len() <= MOST_NEXT && text.bytes().all(|b| matches!(b, 0x21..=0x7e) && b != b'\\')
}

/// Where to go on after the login, seen from the browser.
fn onward(gateway: &Gateway, next: &str) -> String {
    let base = gateway.public_url.path();
    let next = Some(next).filter(|next| is_path(next)).unwrap_or("/");
    format!("{base}{}", next.trim_start_matches('/'))
}

/// The fields of a form, each at most once.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// From a request's body.
    pub(super) async fn read(request: Request) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
        if kind.split(';').next().is_none_or(|kind| kind.trim() != "application/x-www-form-urlencoded") {
            let sentence = "this address takes a form";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "no_form", sentence)
                .remedy("send application/x-www-form-urlencoded"));
        }
        let body = axum::body::to_bytes(request.into_body(), MOST_BYTES);
        let slow = |_late| {
            Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "the form did not come in time")
                .remedy("send it again")
        };
        let body = tokio::time::timeout_at(Deadline::after(FORM_PATIENCE).instant(), body).await.map_err(slow)?;
        let body =
            body.map_err(|_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the form is too large"))?;
        let mut fields: Vec<(String, String)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(&body) {
            if fields.iter().any(|(known, _)| *known == name) {
                return Err(Problem::parameter("a field of the form is there twice").remedy("send it once"));
            }
            fields.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(fields))
    }

    /// A field; empty where it is not there.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

pub(super) fn people(shared: &Shared) -> Result<(Arc<People>, Arc<App>), Problem> {
    let app = shared.gateway.app.load_full();
    let people = shared.gateway.people.clone().filter(|_| !app.config.access.users.is_empty());
    let none = || Problem::new(StatusCode::NOT_FOUND, "no_login", "nobody has to log in here").remedy("begin at /");
    people.map(|people| (people, app)).ok_or_else(none)
}

/// `GET /login`
pub(super) async fn show(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    let (people, app) = people(&shared)?;
    let mut query = url::form_urlencoded::parse(uri.query().unwrap_or("").as_bytes());
    let next = query.find(|(name, _)| name == "next").map(|(_, next)| next.into_owned()).unwrap_or_default();
    form((&people, &app), &headers, &next, StatusCode::OK, "")
}

/// The page with the form, bound to this browser.
fn form(
    (people, app): (&People, &App),
    headers: &HeaderMap,
    next: &str,
    status: StatusCode,
    said: &str,
) -> Result<Response, Problem> {
    let known = cookies::cookie(headers, BEFORE).filter(|id| id.len() == 32).map(str::to_owned);
    let id = match known {
        Some(id) => id,
        None => random_id().map_err(|_| broken())?,
    };
    let next = Some(next).filter(|next| is_path(next)).unwrap_or("");
    let mut response = pages::log_in(app, status, &people.form_token(&before(&id)), next, said);
    response.headers_mut().append(header::SET_COOKIE, cookies::before(&id));
    Ok(response)
}

/// What the form of a login is bound to: never the id of a session.
fn before(id: &str) -> String {
    format!("login|{id}")
}

/// `POST /login`
pub(super) async fn log_in(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, Problem> {
    let (people, app) = people(&shared)?;
    let headers = request.headers().clone();
    let peer = request.extensions().get::<Peer>().copied();
    let before_this = live(&request).ok();
    let form = Form::read(request).await?;
    let next = form.get("next");
    let bound = cookies::cookie(&headers, BEFORE).is_some_and(|id| people.form_fits(&before(id), form.get("form")));
    if !bound {
        let said = "This form was too old, or cookies are off. Please try again.";
        return self::form((&people, &app), &headers, next, StatusCode::FORBIDDEN, said);
    }
    let from = cookies::client(peer, &headers, &app.config.gateway.trusted_proxies);
    let offer = Offer { login: form.get("login").to_owned(), password: Secret::new(form.get("password")) };
    let device = cookies::cookie(&headers, DEVICE);
    match people.log_in(&app.config.access, offer, from, device).await {
        Ok(welcome) => {
            if let Some(earlier) = before_this {
                // Its cookie is replaced, so nobody would ever end it.
                leave(&people, earlier.clone(), false).await?;
                leaving::leave(&shared.gateway, &app, &earlier, false).await;
            }
            let to = onward(&app.config.gateway, next);
            let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response();
            let cookie = welcome.live.cookie.as_deref().unwrap_or_default();
            response.headers_mut().append(header::SET_COOKIE, cookies::session(cookie));
            response.headers_mut().append(header::SET_COOKIE, cookies::device(&welcome.device));
            Ok(response)
        }
        Err(Denied::Wrong) => {
            let said = "Name or password is wrong.";
            self::form((&people, &app), &headers, next, StatusCode::UNAUTHORIZED, said)
        }
        Err(Denied::Later(wait)) => {
            let seconds = wait.as_secs().max(1);
            let said = format!("Too many tries. Please try again in {seconds} s.");
            let answer = self::form((&people, &app), &headers, next, StatusCode::TOO_MANY_REQUESTS, &said);
            answer.map(|mut response| {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                response
            })
        }
        Err(Denied::Unrecorded) => Err(unrecorded()),
        Err(Denied::Broken(fault)) => {
            tracing::error!(fault, "nobody can log in");
            Err(broken())
        }
    }
}

/// `GET /logout`
pub(super) async fn show_out(
    State(shared): State<Arc<Shared>>,
    viewer: Viewer,
    request: Request,
) -> Result<Response, Problem> {
    let (_, app) = people(&shared)?;
    let live = live(&request)?;
    let consoles = leaving::open_still(&shared.gateway, &app, &live).await;
    Ok(pages::log_out(&viewer, &consoles))
}

/// `POST /logout`
pub(super) async fn log_out(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, Problem> {
    let (people, app) = people(&shared)?;
    let live = live(&request)?;
    let form = Form::read(request).await?;
    if !people.form_fits(&live.id, form.get("form")) {
        let sentence = "this form is not of this session";
        return Err(Problem::new(StatusCode::FORBIDDEN, "no_form_token", sentence).remedy("open /logout again"));
    }
    let everywhere = form.get("everywhere") == "1";
    leave(&people, live.clone(), everywhere).await?;
    let consoles = leaving::leave(&shared.gateway, &app, &live, everywhere).await;
    let to = format!("{}login", app.config.gateway.public_url.path());
    let out = [(header::SET_COOKIE, cookies::no_session())];
    if consoles.is_empty() {
        return Ok((StatusCode::SEE_OTHER, [(header::LOCATION, to.as_str())], out).into_response());
    }
    Ok((out, pages::logged_out(&app, &consoles, &to)).into_response())
}

/// Ends sessions. It is done to its end even when the browser does not wait for it: else it would be recorded only.
async fn leave(people: &Arc<People>, live: Live, everywhere: bool) -> Result<(), Problem> {
    let people = Arc::clone(people);
    match tokio::spawn(async move { people.log_out(live, everywhere).await }).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(Denied::Unrecorded)) => Err(unrecorded()),
        fault => {
            tracing::error!(?fault, "a session could not be ended");
            Err(broken())
        }
    }
}

/// The session of a request that must have one.
pub(super) fn live(request: &Request) -> Result<Live, Problem> {
    let nobody =
        || Problem::new(StatusCode::UNAUTHORIZED, "signed_out", "nobody is signed in").remedy("log in at /login");
    let identity = request.extensions().get::<Identity>().ok_or_else(nobody)?;
    let somebody = identity.somebody()?.ok_or_else(nobody)?;
    somebody.live.clone().ok_or_else(nobody)
}

pub(super) fn unrecorded() -> Problem {
    let sentence = "nobody can log in or out now: it cannot be recorded in the audit log";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_recorded", sentence)
        .remedy("try again in a moment; whoever runs the gateway should look at the disk of its state_dir")
        .header(header::RETRY_AFTER, HeaderValue::from_static("10"))
}

pub(super) fn broken() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "sessions_broken", "nobody can log in or out now")
        .remedy("see the gateway's log")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use futures_util::StreamExt as _;

    use super::*;

    #[test]
    fn only_a_path_of_ours_is_gone_to() {
        for good in ["/", "/sites", "/?q=web+status:critical&limit=5", "/agents/madrid/42", "/a//b"] {
            assert!(is_path(good), "{good}");
        }
        let long = format!("/{}", "a".repeat(MOST_NEXT));
        for bad in [
            "",
            "sites",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example/",
            "javascript:alert(1)",
            "/a\\b",
            "/a b",
            "/a\r\nSet-Cookie: x=y",
            "/\t/evil.example",
            "/é",
            "/a\u{0}",
            &long,
        ] {
            assert!(!is_path(bad), "{bad:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_form_whose_rest_never_comes_is_not_waited_for() {
        let begun = futures_util::stream::iter([Ok::<_, std::io::Error>("login=ana")]);
        let body = Body::from_stream(begun.chain(futures_util::stream::pending()));
        let request = Request::post("/login").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let read = Form::read(request.body(body).unwrap());
        let read = tokio::time::timeout(3 * FORM_PATIENCE, read).await.expect("it is waited for");
        assert_eq!(read.err().map(|problem| problem.status()), Some(StatusCode::REQUEST_TIMEOUT));
    }
}
