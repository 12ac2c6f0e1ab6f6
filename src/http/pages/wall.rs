//! `GET /wall`: for a screen that nobody touches. The worst agents of all sites, and a map of sites and states.
//!
//! What nobody can see is never well: sites that fail, have old rows only or were not read are told in the headline, and so
//! are those that answer and warn of what they answer. A paused site is planned work: grey, and told apart. Work that a
//! console has announced is told beside its site's problems, and hides none: nobody knows which agents it is about.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::response::Response;

use super::super::parameters::Parameters;
use super::super::planned::planned;
use super::super::problem::Problem;
use super::super::search::somewhere;
use super::super::states::{State, Word};
use super::super::viewer::Viewer;
use super::home::Line;
use super::{Frame, page, shown};
use crate::clock::Timestamp;
use crate::domain::{Query, StatusCounts};
use crate::federation::{Merge, Question, Report, Slot, Wanted};

/// So many rows fit on a screen.
const WORST: usize = 40;

/// More sites than this have small tiles.
const LARGE: usize = 20;

/// Of more sites than this, those without a problem are only counted.
const TILES: usize = 60;

/// A wall has room for so many tiles; of more, the worst are shown.
const MOST_TILES: usize = 120;

/// What is not known by then comes with the next turn.
const PATIENCE: Duration = Duration::from_secs(1);

/// One site of the map.
#[derive(Debug)]
struct Tile {
    id: String,
    name: String,
    class: &'static str,
    word: &'static str,
    trouble: String,
    counts: StatusCounts,
    /// It answers, but not everything it says can be relied on.
    doubtful: bool,
    /// Planned work that runs at it.
    work: Option<Work>,
}

/// Planned work that runs.
#[derive(Debug)]
struct Work {
    /// Not for whoever sees a part of the site.
    name: Option<String>,
    until: String,
}

impl Tile {
    /// Nobody knows how its agents are now.
    fn is_blind(&self) -> bool {
        matches!(self.class, "failed" | "stale" | "unread")
    }

    /// Not asked, as somebody has decided.
    fn is_planned(&self) -> bool {
        self.class == "paused"
    }

    fn is_trouble(&self) -> bool {
        let counts = self.counts;
        self.is_blind() || self.is_planned() || self.doubtful || counts.critical + counts.warning + counts.unknown > 0
    }
}

#[derive(Debug, Template)]
#[template(path = "wall.html")]
struct Wall<'a> {
    frame: Frame,
    tiles: Vec<Tile>,
    many: bool,
    /// Sites that are well and have no tile.
    calm: usize,
    /// Sites with trouble that have none either, being too many.
    cut: usize,
    all: StatusCounts,
    lines: Vec<Line<'a>>,
    /// The oldest of what is shown.
    as_of: Option<Timestamp>,
    /// Sites that the wall is about.
    sites: usize,
    /// Sites that fail, have old rows only, or were not read: nobody knows how they are now.
    blind: usize,
    /// Sites that are not asked, as planned.
    planned: usize,
    /// Sites that warn of what they answer.
    doubtful: usize,
    /// Sites where planned work runs.
    in_work: BTreeSet<String>,
}

impl Wall<'_> {
    fn problems(&self) -> u32 {
        self.all.critical + self.all.warning + self.all.unknown
    }

    /// What is not seen, or not surely.
    fn lacks(&self) -> String {
        let of = |count: usize, one: &str, more: &str| match count {
            0 => None,
            1 => Some(format!("1 of {} sites {one}", self.sites)),
            _ => Some(format!("{count} of {} sites {more}", self.sites)),
        };
        let lacks = [
            of(self.blind, "cannot be seen now", "cannot be seen now"),
            of(self.doubtful, "has a warning", "have warnings"),
            of(self.planned, "is paused, as planned", "are paused, as planned"),
        ];
        lacks.into_iter().flatten().collect::<Vec<_>>().join(", and ")
    }

    /// "All well" only where everything is seen.
    fn headline(&self) -> String {
        let lacks = self.lacks();
        let said = match (self.problems(), lacks.is_empty()) {
            (0, true) if self.sites == 0 => "No site is yours to see".to_owned(),
            (0, true) => format!("All well on {} {}", self.sites, if self.sites == 1 { "site" } else { "sites" }),
            (0, false) => format!("No problems seen, but {lacks}"),
            (1, _) => "1 problem".to_owned(),
            (problems, _) => format!("{problems} problems"),
        };
        match self.in_work.len() {
            0 => said,
            1 => format!("{said}; 1 site in planned work"),
            sites => format!("{said}; {sites} sites in planned work"),
        }
    }

    fn is_in_work(&self, line: &Line<'_>) -> bool {
        self.in_work.contains(line.agent.site.as_str())
    }

    fn oldest(&self) -> Option<(Timestamp, String)> {
        self.as_of.map(|at| (at, shown::clock(at)))
    }

    fn more(&self) -> u32 {
        self.problems().saturating_sub(u32::try_from(self.lines.len()).unwrap_or(u32::MAX))
    }
}

/// `GET /wall`
pub(super) async fn wall(viewer: Viewer, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let parameters = Parameters::read(query.as_deref(), &["q"])?;
    let q = parameters.get("q").unwrap_or("");
    let query = Query::parse(q)?;
    somewhere(&query, &viewer)?;
    let order = Parameters::read(Some("sort=status"), &["sort"])?.order()?;
    // A wall of one site says nothing of the others.
    let about: Vec<_> =
        viewer.view.slots().filter(|slot| query.concerns(slot.plan().id.as_str(), &slot.plan().tags)).collect();
    let question = Question { query, order, limit: WORST, patience: PATIENCE, wanted: Wanted::Current };
    let (report, counts) = asked(&viewer, &question).await;
    let frame = Frame::of(&viewer, "wall", "Wall");
    let now = frame.now;
    let mut tiles: Vec<Tile> = about.iter().map(|slot| tile(&viewer, slot, &counts, now)).collect();
    tiles.sort_by_key(|tile| {
        let counts = tile.counts;
        let worst = std::cmp::Reverse((counts.critical, counts.warning, counts.unknown, tile.doubtful));
        (tile.is_planned(), !tile.is_blind(), worst)
    });
    let mut all = StatusCounts::default();
    for tile in &tiles {
        all.critical += tile.counts.critical;
        all.warning += tile.counts.warning;
        all.unknown += tile.counts.unknown;
        all.normal += tile.counts.normal;
        all.not_init += tile.counts.not_init;
    }
    let sites = tiles.len();
    let count = |is: fn(&Tile) -> bool| tiles.iter().filter(|tile| is(tile)).count();
    let (blind, planned, doubtful) = (count(Tile::is_blind), count(Tile::is_planned), count(|tile| tile.doubtful));
    let in_work = tiles.iter().filter(|tile| tile.work.is_some()).map(|tile| tile.id.clone()).collect();
    if sites > TILES {
        tiles.retain(|tile| tile.is_trouble() || tile.work.is_some());
    }
    let calm = sites - tiles.len();
    let cut = tiles.len().saturating_sub(MOST_TILES);
    tiles.truncate(MOST_TILES);
    let many = tiles.len() > LARGE;
    let problem = |line: &Line<'_>| !matches!(line.status(), "normal" | "not init");
    let lines = report.rows.iter().map(|row| Line::of(row, &viewer, now)).filter(problem).collect();
    let as_of = about.iter().filter_map(|slot| slot.look(Wanted::Known).held).map(|held| held.as_of).min();
    let wall = Wall { frame, tiles, many, calm, cut, all, lines, as_of, sites, blind, planned, doubtful, in_work };
    Ok(page(StatusCode::OK, &wall))
}

/// The worst rows of all, and how many agents of each site are in each state.
async fn asked(viewer: &Viewer, question: &Question) -> (Report, Vec<(String, StatusCounts)>) {
    let (mut answers, mut merge, mut counts) = (viewer.view.ask(question), Merge::new(question), Vec::new());
    while let Some(answer) = answers.next().await {
        counts.push((answer.outcome.site.to_string(), answer.counts));
        merge.fold(answer);
    }
    (merge.finish(), counts)
}

fn tile(viewer: &Viewer, slot: &Arc<Slot>, counts: &[(String, StatusCounts)], now: Timestamp) -> Tile {
    let site: State = viewer.state(slot);
    let (planned, well) = (site.state == Word::Paused, matches!(site.state, Word::Ok | Word::Idle));
    let doubtful = well && !slot.snapshot().warnings.is_empty();
    let failed = site
        .error
        .as_ref()
        .filter(|_| !planned)
        .map(|error| format!("{}, for {}", shown::text(&error.message), shown::span(error.since.until(now))));
    let work = self::planned(viewer, slot, true).and_then(|planned| planned.running);
    let planned_work =
        work.map(|window| Work { name: window.name.as_deref().map(shown::name), until: shown::minute(window.to, now) });
    let warned = || site.warnings.first().filter(|_| doubtful).map(|warning| shown::text(warning));
    Tile {
        name: shown::name(&site.name),
        class: site.state.as_str(),
        word: if planned { "paused, as planned" } else { shown::site_word(site.state) },
        trouble: failed.or_else(warned).unwrap_or_default(),
        counts: counts.iter().find(|(id, _)| *id == site.id.as_str()).map(|(_, counts)| *counts).unwrap_or_default(),
        doubtful,
        work: planned_work,
        id: site.id.to_string(),
    }
}
