//! The pages people live in, written by the server so that they work before any script has run, and without one.
//!
//! Every page is a template of `templates/` in one frame (`frame.html`): navigation, the sites' pill, the place where a
//! lost gateway is told. Whatever a site sent passes through `shown.rs` and the templates' escaping. Nothing on a page
//! is from elsewhere, and no script or style stands in it: `assets.rs` serves both, and the policy below allows no other.
//!
//! Links begin with the path of `gateway.public_url`, so that pages work under a sub-path. Whether the proxy in front
//! takes that path away or not makes no difference: `front.rs`.

mod agent;
mod assets;
mod audit;
mod front;
mod home;
mod opening;
mod people;
mod shown;
mod sites;
mod spark;
mod wall;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::Shared;
use super::problem::Problem;
use super::states::Word;
use super::viewer::Viewer;
use crate::app::App;
use crate::clock::Timestamp;

pub(super) use front::in_front;
pub(super) use opening::{Case, Opening, TwoSteps, opening, style, two_steps};
pub(super) use people::{code, log_in, log_out, logged_out, pair};

/// What a page of ours may load and do: our own files, and nothing that stands in the page itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The pages and what they load.
pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/", get(home::home))
        .route("/sites", get(sites::all))
        .route("/sites/{site}", get(sites::one))
        .route("/sites/{site}/probe", post(sites::probe))
        .route("/agents/{site}/{agent}", get(agent::agent))
        .route("/wall", get(wall::wall))
        .route("/me", get(people::me))
        .route("/audit", get(audit::audit))
        .route("/assets/{version}/{name}", get(assets::asset))
}

/// What surrounds every page.
#[derive(Debug)]
struct Frame {
    /// Where our pages begin: a path with a slash at its end.
    base: String,
    /// Changes when any script or style does.
    version: &'static str,
    /// What the window is called.
    title: String,
    /// Which part of the navigation this is, and which script runs.
    page: &'static str,
    /// The sites' pill.
    pill: Pill,
    now: Timestamp,
    /// How often a visible page asks again.
    refresh_ms: u64,
    /// Who is signed in, and what their forms carry.
    who: Option<(String, String)>,
    /// Whether they may read the audit log.
    audits: bool,
}

/// How many sites are live.
#[derive(Debug, Default)]
struct Pill {
    live: usize,
    total: usize,
    /// `ok`, `stale`, `failed`, `unread` or `none`: the class of its sign.
    state: &'static str,
    /// The same as a word.
    word: &'static str,
}

impl Frame {
    /// For a viewer.
    fn of(viewer: &Viewer, page: &'static str, title: impl Into<String>) -> Self {
        let words: Vec<Word> = viewer.view.slots().map(|slot| viewer.state(slot).state).collect();
        let refresh = viewer.view.slots().map(|slot| slot.plan().policy.refresh_after.as_millis()).min();
        let refresh_ms = u64::try_from(refresh.unwrap_or(30_000)).unwrap_or(30_000).clamp(5_000, 300_000);
        let who = viewer.signed_in().map(|(login, token)| (login.to_owned(), token));
        Self {
            pill: Pill::of(&words),
            refresh_ms,
            who,
            audits: viewer.audits(),
            ..Self::bare(&viewer.app, page, title)
        }
    }

    /// For whoever it is.
    fn bare(app: &App, page: &'static str, title: impl Into<String>) -> Self {
        Self {
            base: app.config.gateway.public_url.path().to_owned(),
            version: assets::version(),
            title: title.into(),
            page,
            pill: Pill { state: "none", word: "no sites", ..Pill::default() },
            now: app.clock().now(),
            refresh_ms: 30_000,
            who: None,
            audits: false,
        }
    }
}

impl Pill {
    fn of(words: &[Word]) -> Self {
        let count = |of: &[Word]| words.iter().filter(|word| of.contains(word)).count();
        let (state, word) = match () {
            () if words.is_empty() => ("none", "no sites"),
            () if count(&[Word::Failed]) > 0 => ("failed", "some failed"),
            () if count(&[Word::Stale]) > 0 => ("stale", "some stale"),
            () if count(&[Word::Unread]) > 0 => ("unread", "some not read yet"),
            () if count(&[Word::Paused]) > 0 => ("paused", "some paused"),
            () => ("ok", "all live"),
        };
        Self { live: count(&[Word::Ok, Word::Idle]), total: words.len(), state, word }
    }
}

/// A page as an answer.
fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => {
            let headers = [
                (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
                (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
            ];
            (status, headers, text).into_response()
        }
        Err(_) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the page could not be written")
            .remedy("please report it with the request id")
            .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pill_is_green_only_when_every_site_is_live() {
        let pill = |words: &[Word]| {
            let pill = Pill::of(words);
            (pill.live, pill.total, pill.state)
        };
        assert_eq!(pill(&[]), (0, 0, "none"));
        assert_eq!(pill(&[Word::Ok, Word::Idle]), (2, 2, "ok"));
        assert_eq!(pill(&[Word::Ok, Word::Unread]), (1, 2, "unread"));
        assert_eq!(pill(&[Word::Ok, Word::Paused]), (1, 2, "paused"));
        assert_eq!(pill(&[Word::Unread, Word::Stale]), (0, 2, "stale"));
        assert_eq!(pill(&[Word::Ok, Word::Stale, Word::Failed]), (1, 3, "failed"));
    }
}
