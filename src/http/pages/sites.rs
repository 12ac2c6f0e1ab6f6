//! `/sites` and `/sites/{id}`: how each site is, worst first, in words. Looking reads no site; the probe's button does.

use askama::Template;
use axum::extract::{Path, RawQuery, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::super::login::Form;
use super::super::parameters::Parameters;
use super::super::problem::Problem;
use super::super::sites::{Probed, wait};
use super::super::states::{State, Word};
use super::super::viewer::Viewer;
use super::{Frame, page, shown};
use crate::clock::{Deadline, Timestamp};
use crate::config::access::Permission;

/// Up to so many sites each has its card; more are lines.
const CARDS: usize = 12;

/// A site as the page shows it.
#[derive(Debug)]
pub(super) struct Shown {
    state: State,
    now: Timestamp,
    base: String,
}

impl Shown {
    fn of(state: State, frame: &Frame) -> Self {
        Self { state, now: frame.now, base: frame.base.clone() }
    }

    fn word(&self) -> &'static str {
        shown::site_word(self.state.state)
    }

    fn class(&self) -> &'static str {
        self.state.state.as_str()
    }

    fn page(&self) -> String {
        format!("{}sites/{}", self.base, self.state.id)
    }

    fn agents(&self) -> String {
        format!("{}?q=site%3A{}", self.base, self.state.id)
    }

    fn since(&self) -> String {
        self.state.since.map_or_else(String::new, |since| shown::span(since.until(self.now)))
    }

    fn as_of(&self) -> String {
        self.state.as_of.map_or_else(|| "never read".to_owned(), |at| shown::ago(at, self.now))
    }

    fn rows(&self) -> String {
        self.state.rows.map_or_else(|| "–".to_owned(), |rows| rows.to_string())
    }

    fn latency(&self) -> Option<(String, String, u64, u64)> {
        let latency = self.state.latency.as_ref()?;
        // Bars on a scale that shows 10 ms and 10 s: each factor of ten is as wide as the next.
        let width = |ms: u64| u64::from(ms.max(1).ilog2()) * 100 / 14;
        let (p50, p95) = (latency.p50_ms, latency.p95_ms);
        Some((shown::millis(p50), shown::millis(p95), width(p50).min(100), width(p95).min(100)))
    }

    fn next(&self) -> String {
        match (self.state.reading, self.state.next_read_ms) {
            (true, _) => "being read now".to_owned(),
            (false, 0) => "as soon as somebody asks".to_owned(),
            (false, ms) => format!("not before {} from now", shown::millis(ms)),
        }
    }

    fn interval(&self) -> String {
        shown::millis(self.state.interval_ms)
    }

    fn max_age(&self) -> String {
        shown::millis(self.state.max_age_ms)
    }

    /// How far its clock is off, and whether that matters.
    fn skew(&self) -> Option<(String, &'static str)> {
        let ms = self.state.clock_skew_ms?;
        let off = ms.unsigned_abs();
        let side = if ms >= 0 { "ahead" } else { "behind" };
        let grave = match off {
            0..2_000 => return Some(("right".to_owned(), "")),
            2_000..10_000 => "",
            10_000..60_000 => "warn",
            _ => "bad",
        };
        Some((format!("{} {side}", shown::millis(off)), grave))
    }

    fn error(&self) -> Option<(String, String, String, String)> {
        let error = self.state.error.as_ref()?;
        let remedy = error.remedy.as_deref().map(shown::text).unwrap_or_default();
        let since = shown::span(error.since.until(self.now));
        Some((shown::error_word(error.code), shown::text(&error.message), remedy, since))
    }

    fn warnings(&self) -> Vec<String> {
        self.state.warnings.iter().map(|warning| shown::text(warning)).collect()
    }

    fn name(&self) -> String {
        shown::name(&self.state.name)
    }
}

#[derive(Debug, Template)]
#[template(path = "sites.html")]
struct All {
    frame: Frame,
    cards: bool,
    counts: Vec<(&'static str, &'static str, usize)>,
    sites: Vec<Shown>,
}

/// How bad a state is; worst first.
fn badness(word: Word) -> usize {
    match word {
        Word::Failed => 0,
        Word::Stale => 1,
        Word::Unread => 2,
        Word::Paused => 3,
        Word::Idle => 4,
        Word::Ok => 5,
    }
}

/// `GET /sites`
pub(super) async fn all(viewer: Viewer, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    Parameters::read(query.as_deref(), &[])?;
    let frame = Frame::of(&viewer, "sites", "Sites");
    let states = viewer.view.slots().map(|slot| viewer.state(slot));
    let mut sites: Vec<_> = states.map(|state| Shown::of(state, &frame)).collect();
    sites.sort_by(|a, b| {
        let of = |site: &Shown| (badness(site.state.state), std::cmp::Reverse(site.state.warnings.len()));
        of(a).cmp(&of(b)).then_with(|| a.state.name.cmp(&b.state.name))
    });
    let of = |word: Word| sites.iter().filter(|site| site.state.state == word).count();
    let mut words = Word::ALL;
    words.sort_by_key(|word| badness(*word));
    let counts = words.into_iter().map(|word| (word.as_str(), shown::site_word(word), of(word)));
    let counts = counts.filter(|(_, _, count)| *count > 0).collect();
    Ok(page(StatusCode::OK, &All { cards: sites.len() <= CARDS, frame, counts, sites }))
}

#[derive(Debug, Template)]
#[template(path = "site.html")]
struct One {
    frame: Frame,
    site: Shown,
    probed: &'static str,
}

/// `GET /sites/{site}`
pub(super) async fn one(
    viewer: Viewer,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let parameters = Parameters::read(query.as_deref(), &["probe"])?;
    let probed = match parameters.get("probe") {
        Some("read") => "Asked: it was read just now.",
        Some("running") => "Asked: the read has not ended yet. This page follows it.",
        Some("not_started") => "Not asked: the last read ended too short a time ago, or the site is paused.",
        _ => "",
    };
    let state = viewer.state(viewer.site(&id)?);
    let frame = Frame::of(&viewer, "site", shown::name(&state.name));
    let site = Shown::of(state, &frame);
    Ok(page(StatusCode::OK, &One { frame, site, probed }))
}

/// `POST /sites/{site}/probe`: the button. Reads the site if that may be, and leads back to its page.
pub(super) async fn probe(viewer: Viewer, Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let slot = viewer.site_for(Permission::View, &id)?;
    if viewer.signed_in().is_some() && !viewer.form_fits(Form::read(request).await?.get("form")) {
        let sentence = "this form is not of this session";
        return Err(Problem::new(StatusCode::FORBIDDEN, "no_form_token", sentence).remedy("open the site's page again"));
    }
    let gateway = &viewer.app.config.gateway;
    let word = match wait(slot, Deadline::after(gateway.deadline)).await {
        Probed::Read => "read",
        Probed::Running => "running",
        Probed::NotStarted => "not_started",
    };
    let to = format!("{}sites/{}?probe={word}", gateway.public_url.path(), slot.plan().id);
    let to = HeaderValue::from_str(&to).unwrap_or(HeaderValue::from_static("/sites"));
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response())
}
