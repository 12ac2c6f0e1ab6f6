//! `/sites` and `/sites/{id}`: how each site is, worst first, in words. Looking reads no agents; the probe's button does.
//!
//! Few sites have a card each, more a line. Many stand in groups of their state, a page at a time, with a box that looks
//! for a part of their names: so a page is as light for 1,000 sites as for 100.

use askama::Template;
use axum::extract::{Path, RawQuery, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::super::login::Form;
use super::super::parameters::Parameters;
use super::super::planned::{Planned, Window, planned};
use super::super::problem::Problem;
use super::super::sites::{Probed, wait};
use super::super::states::{State, Word};
use super::super::viewer::Viewer;
use super::spark::Spark;
use super::{Frame, page, shown};
use crate::clock::{Deadline, Timestamp};
use crate::config::access::Permission;
use crate::federation::PastRead;

/// Up to so many sites each has its card; more are lines.
const CARDS: usize = 12;

/// Up to so many lines stand together, each with the picture of its last reads; more stand in groups.
const LINES: usize = 40;

/// Lines of a page.
const PAGE: usize = 100;

/// A certificate that ends within so many days is worth a word.
const CERTIFICATE_DAYS: i64 = 21;

/// A site as the page shows it.
#[derive(Debug)]
pub(super) struct Shown {
    state: State,
    now: Timestamp,
    base: String,
    /// Its last reads, where they are shown.
    reads: Vec<PastRead>,
}

impl Shown {
    fn of(state: State, reads: Vec<PastRead>, frame: &Frame) -> Self {
        Self { state, now: frame.now, base: frame.base.clone(), reads }
    }

    fn spark(&self) -> Option<Spark> {
        Spark::of(&self.reads)
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

    /// For how long it is so, and since when.
    fn began(&self) -> Option<(String, Timestamp)> {
        self.state.since.map(|since| (shown::span(since.until(self.now)), since))
    }

    /// Why it rests longer than others, and until when.
    fn rests(&self) -> Option<String> {
        self.state.rests.as_deref().map(shown::sentence)
    }

    /// What its product says that it is.
    fn version(&self) -> Option<String> {
        self.state.version.as_deref().map(shown::text)
    }

    fn as_of(&self) -> String {
        self.state.as_of.map_or_else(|| "never read".to_owned(), |at| shown::ago(at, self.now))
    }

    fn rows(&self) -> String {
        self.state.rows.map_or_else(|| "–".to_owned(), |rows| rows.to_string())
    }

    fn latency(&self) -> Option<(String, String)> {
        let latency = self.state.latency.as_ref()?;
        Some((shown::millis(latency.p50_ms), shown::millis(latency.p95_ms)))
    }

    fn next(&self) -> String {
        match (self.state.reading, self.state.next_read_ms) {
            _ if self.state.state == Word::Paused => "never, while it is paused".to_owned(),
            (true, _) => "being read now".to_owned(),
            (false, 0) => "as soon as somebody asks".to_owned(),
            (false, ms) => {
                let at = self.now.after(std::time::Duration::from_millis(ms));
                format!("not before {} ({} from now)", shown::clock(at), shown::millis(ms))
            }
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

    /// Days of its certificate, and whether that matters.
    fn certificate(&self) -> Option<(String, &'static str)> {
        let days = self.state.certificate_days?;
        let grave = match days {
            ..3 => "bad",
            3..CERTIFICATE_DAYS => "warn",
            _ => "",
        };
        let words = match days {
            ..0 => format!("ended {} days ago", days.unsigned_abs()),
            0 => "ends today".to_owned(),
            1 => "ends in 1 day".to_owned(),
            _ => format!("ends in {days} days"),
        };
        Some((words, grave))
    }

    /// What else should be looked at: its clock and its certificate, where they matter.
    fn cares(&self) -> Vec<(String, &'static str)> {
        let grave = |of: Option<(String, &'static str)>| of.filter(|(_, grave)| !grave.is_empty());
        let clock = grave(self.skew()).map(|(words, grave)| (format!("its clock is {words}"), grave));
        let certificate = grave(self.certificate()).map(|(words, grave)| (format!("its certificate {words}"), grave));
        clock.into_iter().chain(certificate).collect()
    }

    /// Worst first: its state, then what is worth a word, then its name.
    fn rank(&self) -> (usize, std::cmp::Reverse<usize>, &str) {
        let words = self.state.warnings.len() + self.cares().len();
        (badness(self.state.state), std::cmp::Reverse(words), self.state.name.as_str())
    }

    fn error(&self) -> Option<(String, String, String, String)> {
        let error = self.state.error.as_ref()?;
        let remedy = error.remedy.as_deref().map(|remedy| shown::sentence(&shown::text(remedy))).unwrap_or_default();
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

/// Sites of one state.
#[derive(Debug)]
struct Group {
    class: &'static str,
    word: &'static str,
    /// How many there are, shown or not.
    count: usize,
    sites: Vec<Shown>,
}

#[derive(Debug, Template)]
#[template(path = "sites.html")]
struct All {
    frame: Frame,
    cards: bool,
    /// Whether each state has its heading.
    headed: bool,
    /// Whether there are so many that looking for some makes sense.
    many: bool,
    wanted: Wanted,
    /// How many have each state, whichever of them is wanted.
    counts: Vec<(&'static str, &'static str, usize)>,
    groups: Vec<Group>,
    /// How many are looked at, before pages.
    found: usize,
    /// How many this viewer sees.
    total: usize,
    pages: usize,
    /// Nobody logs in here.
    open: bool,
}

impl All {
    fn address(&self, state: &str, number: usize) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("q", self.wanted.q.as_str()), ("state", state)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        if number > 1 {
            query.append_pair("page", &number.to_string());
        }
        let query = query.finish();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}sites{mark}{query}", self.frame.base)
    }

    fn is_state(&self, class: &str) -> bool {
        self.wanted.state == class
    }

    /// Numbers of the first and the last one of this page.
    fn range(&self) -> (usize, usize) {
        let first = (self.wanted.page - 1) * PAGE + 1;
        (first, (first + PAGE - 1).min(self.found))
    }
}

/// Which sites are to be shown.
#[derive(Debug)]
struct Wanted {
    q: String,
    /// A state's word, or nothing.
    state: String,
    /// From 1.
    page: usize,
}

impl Wanted {
    fn read(query: Option<&str>) -> Result<Self, Problem> {
        let parameters = Parameters::read(query, &["q", "state", "page"])?;
        let text = |name| parameters.get(name).unwrap_or("").trim().to_owned();
        let (q, state) = (text("q"), text("state"));
        if !state.is_empty() && !Word::ALL.iter().any(|word| word.as_str() == state) {
            let words = Word::ALL.map(Word::as_str).join(", ");
            return Err(Problem::parameter("`state` is no state of a site").remedy(format!("write one of {words}")));
        }
        let number = parameters.get("page").unwrap_or("1").parse().ok().filter(|number| (1..=100_000).contains(number));
        let no = || Problem::parameter("`page` is no number of a page").remedy("begin at /sites");
        Ok(Self { q, state, page: number.ok_or_else(no)? })
    }

    /// Whether each word stands in its id, its name or a tag.
    fn names(&self, state: &State) -> bool {
        let has = |text: &str, word: &str| text.to_lowercase().contains(word);
        self.q.to_lowercase().split_whitespace().all(|word| {
            has(state.id.as_str(), word) || has(&state.name, word) || state.tags.iter().any(|tag| has(tag, word))
        })
    }
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
    let mut wanted = Wanted::read(query.as_deref())?;
    let frame = Frame::of(&viewer, "sites", "Sites");
    let states = viewer.view.slots().map(|slot| viewer.state(slot));
    let mut sites: Vec<_> = states.map(|state| Shown::of(state, Vec::new(), &frame)).collect();
    let total = sites.len();
    sites.retain(|site| wanted.names(&site.state));
    let of = |word: Word| sites.iter().filter(|site| site.state.state == word).count();
    let mut words = Word::ALL;
    words.sort_by_key(|word| badness(*word));
    let counts = words.map(|word| (word.as_str(), shown::site_word(word), of(word)));
    let counts: Vec<_> = counts.into_iter().filter(|(_, _, count)| *count > 0).collect();
    sites.retain(|site| wanted.state.is_empty() || site.class() == wanted.state);
    sites.sort_by(|a, b| a.rank().cmp(&b.rank()));
    let (found, pages) = (sites.len(), sites.len().div_ceil(PAGE).max(1));
    wanted.page = wanted.page.min(pages);
    let mut shown: Vec<_> = sites.into_iter().skip((wanted.page - 1) * PAGE).take(PAGE).collect();
    let headed = total > LINES;
    if !headed {
        for site in &mut shown {
            site.reads = viewer.site(site.state.id.as_str())?.past();
        }
    }
    let groups = groups(shown, &counts);
    let (cards, many, open) = (total <= CARDS, total > CARDS, viewer.identity.somebody()?.is_none());
    Ok(page(StatusCode::OK, &All { frame, cards, headed, many, wanted, counts, groups, found, total, pages, open }))
}

/// Sites that stand in order, by their states.
fn groups(sites: Vec<Shown>, counts: &[(&'static str, &'static str, usize)]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for site in sites {
        match groups.last_mut().filter(|group| group.class == site.class()) {
            Some(group) => group.sites.push(site),
            None => {
                let (class, word) = (site.class(), site.word());
                let count = counts.iter().find(|(known, _, _)| *known == class).map_or(0, |(_, _, count)| *count);
                groups.push(Group { class, word, count, sites: vec![site] });
            }
        }
    }
    groups
}

#[derive(Debug, Template)]
#[template(path = "site.html")]
struct One {
    frame: Frame,
    site: Shown,
    /// Why its reads are as far apart as they are.
    because: String,
    probed: &'static str,
    planned: Option<Planned>,
}

impl One {
    /// Planned work in words: each piece's name, and when it is.
    fn work(&self) -> Vec<(String, String)> {
        let Some(planned) = &self.planned else { return Vec::new() };
        let (now, name) =
            (self.frame.now, |name: &Option<String>| name.as_deref().map_or_else(String::new, shown::name));
        let when = |window: &Window| {
            let (from, to) = (shown::minute(window.from, now), shown::minute(window.to, now));
            if window.from <= now { format!("runs until {to}") } else { format!("from {from} to {to}") }
        };
        let once = planned.windows.iter().map(|window| (name(&window.name), when(window)));
        once.chain(planned.recurring.iter().map(|work| (name(work), "recurring, see the console".to_owned()))).collect()
    }
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
    let slot = viewer.site(&id)?;
    let state = viewer.state(slot);
    let frame = Frame::of(&viewer, "site", shown::name(&state.name));
    let site = Shown::of(state, slot.past(), &frame);
    let planned = planned(&viewer, slot, true);
    Ok(page(StatusCode::OK, &One { frame, site, because: slot.pace(), probed, planned }))
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
