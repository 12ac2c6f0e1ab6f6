//! `GET /wall`: for a screen that nobody touches. The worst agents of all sites, and a map of sites and states.

use std::time::Duration;

use askama::Template;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::response::Response;

use super::super::parameters::Parameters;
use super::super::problem::Problem;
use super::super::search::somewhere;
use super::super::states::Word;
use super::super::viewer::Viewer;
use super::home::Line;
use super::{Frame, page, shown};
use crate::clock::Timestamp;
use crate::domain::{Query, StatusCounts};
use crate::federation::{Merge, Question, Report, Wanted};

/// So many rows fit on a screen.
const WORST: usize = 40;

/// More sites than this have small tiles.
const LARGE: usize = 20;

/// Of more sites than this, those without a problem are only counted.
const TILES: usize = 60;

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
}

impl Tile {
    fn is_trouble(&self) -> bool {
        let counts = self.counts;
        !matches!(self.class, "ok" | "idle") || counts.critical + counts.warning + counts.unknown > 0
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
    all: StatusCounts,
    lines: Vec<Line<'a>>,
    /// The oldest of what is shown.
    as_of: Option<Timestamp>,
    /// Sites that fail, have old rows only, or are not asked: nobody knows how they are now.
    blind: usize,
}

impl Wall<'_> {
    fn problems(&self) -> u32 {
        self.all.critical + self.all.warning + self.all.unknown
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
    let question = Question { query, order, limit: WORST, patience: PATIENCE, wanted: Wanted::Current };
    let (report, counts) = asked(&viewer, &question).await;
    let frame = Frame::of(&viewer, "wall", "Wall");
    let now = frame.now;
    let mut tiles = tiles(&viewer, &counts, now);
    tiles.sort_by_key(|tile| {
        let counts = tile.counts;
        (tile.class != "failed", std::cmp::Reverse((counts.critical, counts.warning, counts.unknown)))
    });
    let mut all = StatusCounts::default();
    for tile in &tiles {
        all.critical += tile.counts.critical;
        all.warning += tile.counts.warning;
        all.unknown += tile.counts.unknown;
        all.normal += tile.counts.normal;
        all.not_init += tile.counts.not_init;
    }
    let (sites, many) = (tiles.len(), tiles.len() > LARGE);
    if sites > TILES {
        tiles.retain(Tile::is_trouble);
    }
    let calm = sites - tiles.len();
    let problem = |line: &Line<'_>| !matches!(line.status(), "normal" | "not init");
    let lines = report.rows.iter().map(|row| Line::of(row, &viewer, now)).filter(problem).collect();
    let as_of = viewer.view.slots().filter_map(|slot| slot.look(Wanted::Known).held).map(|held| held.as_of).min();
    let blind = tiles.iter().filter(|tile| !matches!(tile.class, "ok" | "idle")).count();
    Ok(page(StatusCode::OK, &Wall { frame, tiles, many, calm, all, lines, as_of, blind }))
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

fn tiles(viewer: &Viewer, counts: &[(String, StatusCounts)], now: Timestamp) -> Vec<Tile> {
    let tile = |site: super::super::states::State| Tile {
        name: shown::name(&site.name),
        class: site.state.as_str(),
        word: shown::site_word(site.state),
        trouble: site.error.as_ref().filter(|_| site.state != Word::Paused).map_or_else(String::new, |error| {
            format!("{}, for {}", shown::text(&error.message), shown::span(error.since.until(now)))
        }),
        counts: counts.iter().find(|(id, _)| *id == site.id.as_str()).map(|(_, counts)| *counts).unwrap_or_default(),
        id: site.id.to_string(),
    };
    viewer.view.slots().map(|slot| tile(viewer.state(slot))).collect()
}
