//! Pages of people: logging in and out, who they are here, and pairing a wallboard. Plain forms, none needs a script.
//!
//! Whoever is not logged in sees the frame without its links and without the sites' pill (`outside.html`).

use askama::Template;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::response::Response;

use super::super::me;
use super::super::parameters::Parameters;
use super::super::problem::Problem;
use super::super::viewer::Viewer;
use super::{Frame, page};
use crate::app::App;

#[derive(Debug, Template)]
#[template(path = "login.html")]
struct LogIn<'a> {
    frame: Frame,
    form: &'a str,
    next: &'a str,
    said: &'a str,
}

/// The form to log in with: its token, where to go on, and what went wrong before.
pub(in crate::http) fn log_in(app: &App, status: StatusCode, form: &str, next: &str, said: &str) -> Response {
    page(status, &LogIn { frame: Frame::bare(app, "login", "Log in"), form, next, said })
}

#[derive(Debug, Template)]
#[template(path = "logout.html")]
struct LogOut<'a> {
    frame: Frame,
    consoles: &'a str,
}

/// The way out, with the markup of the consoles that are open still.
pub(in crate::http) fn log_out(viewer: &Viewer, consoles: &str) -> Response {
    page(StatusCode::OK, &LogOut { frame: Frame::of(viewer, "logout", "Log out"), consoles })
}

#[derive(Debug, Template)]
#[template(path = "left.html")]
struct Left<'a> {
    frame: Frame,
    consoles: &'a str,
    login: &'a str,
}

/// Outside, with the markup of the consoles that were open.
pub(in crate::http) fn logged_out(app: &App, consoles: &str, login: &str) -> Response {
    page(StatusCode::OK, &Left { frame: Frame::bare(app, "login", "Logged out"), consoles, login })
}

#[derive(Debug, Template)]
#[template(path = "code.html")]
struct Code<'a> {
    frame: Frame,
    code: &'a str,
    at: &'a str,
}

/// A screen that waits for somebody to enter its code.
pub(in crate::http) fn code(app: &App, code: &str) -> Response {
    let (left, right) = code.split_at_checked(4).unwrap_or((code, ""));
    let (code, at) = (format!("{left} {right}"), format!("{}pair", app.config.gateway.public_url));
    page(StatusCode::OK, &Code { frame: Frame::bare(app, "code", "Wallboard"), code: &code, at: &at })
}

#[derive(Debug, Template)]
#[template(path = "pair.html")]
struct Pair<'a> {
    frame: Frame,
    walls: Vec<&'a str>,
    at: &'a str,
    done: bool,
    said: &'a str,
}

/// The form that takes a screen's code.
pub(in crate::http) fn pair(viewer: &Viewer, status: StatusCode, said: &str) -> Response {
    let access = &viewer.app.config.access;
    let walls = access.wallboards.iter().map(|wall| wall.name.as_str()).collect();
    let at = format!("{}wall/pair", viewer.app.config.gateway.public_url);
    let frame = Frame::of(viewer, "pair", "Pair a wallboard");
    page(status, &Pair { frame, walls, at: &at, done: status.is_success(), said })
}

#[derive(Debug, Template)]
#[template(path = "me.html")]
struct Me {
    frame: Frame,
    /// Empty where nobody has to log in.
    login: String,
    groups: String,
    sites: Vec<Site>,
}

/// A site, in words.
#[derive(Debug)]
struct Site {
    id: String,
    may: String,
    agents: String,
    opening: String,
}

impl Site {
    fn of(seen: me::Seen) -> Self {
        let opening = match (seen.opening, seen.account) {
            ("as", Some(account)) => account,
            ("no_account", _) => "not at all: no account is linked for you there".to_owned(),
            ("not_granted", _) => "not at all: you do not have the right `open` there".to_owned(),
            ("closed", _) => "nobody can be handed over now; the administrator of this gateway can see why".to_owned(),
            _ => "whoever you log in as there".to_owned(),
        };
        let agents = match seen.groups {
            None => "all".to_owned(),
            Some(groups) if groups.is_empty() => "none".to_owned(),
            Some(groups) => format!("of {}", groups.into_iter().collect::<Vec<_>>().join(", ")),
        };
        Self { id: seen.id.to_string(), may: seen.may.join(", "), agents, opening }
    }
}

/// `GET /me`
pub(super) async fn me(viewer: Viewer, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    Parameters::read(query.as_deref(), &[])?;
    let principal = viewer.identity.somebody()?.map(|somebody| somebody.principal.clone());
    let sites = me::sites(&viewer, principal.as_ref()).into_iter().map(Site::of).collect();
    let (login, groups) = principal.map(|who| (who.login, who.groups.join(", "))).unwrap_or_default();
    Ok(page(StatusCode::OK, &Me { frame: Frame::of(&viewer, "me", "You"), login, groups, sites }))
}
