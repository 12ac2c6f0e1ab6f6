//! What must be seen, said a second time: the contract as plain data and arithmetic in whole milliseconds. Shares
//! nothing with the code under test but its public words.

use metaconsole::domain::{Contribution, ErrorCode, Status};
use metaconsole::federation::{Report, SiteAnswer, Wanted};
use metaconsole::inventory::Order;

use super::fake::{Agent, Behaviour, End, of_wall};
use super::schedule::{Ask, Schedule, Settings, Step};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    site: String,
    agent: Agent,
    as_of: u64,
    stale: bool,
}

/// One site's answer, as far as it can be predicted, which is all of it but sentences for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) at: u64,
    pub(crate) site: String,
    pub(crate) contribution: Contribution,
    pub(crate) matched: usize,
    pub(crate) critical: usize,
    pub(crate) asked: bool,
    pub(crate) pending: bool,
    pub(crate) age: Option<u64>,
    pub(crate) took: u64,
    pub(crate) error: Option<(ErrorCode, u64)>,
    pub(crate) rows: Vec<Row>,
}

impl Line {
    pub(crate) fn seen(at: u64, answer: &SiteAnswer) -> Self {
        let outcome = &answer.outcome;
        let ms = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap();
        Self {
            at,
            site: outcome.site.to_string(),
            contribution: outcome.contribution,
            matched: outcome.rows,
            critical: answer.counts.critical as usize,
            asked: outcome.asked,
            pending: answer.pending,
            age: outcome.age.map(ms),
            took: ms(outcome.took),
            error: outcome.failure.as_ref().map(|failure| (failure.error.code, of_wall(failure.since))),
            rows: answer.rows.iter().map(row).collect(),
        }
    }
}

fn row(row: &metaconsole::federation::Row) -> Row {
    let shown = &row.hit.agent;
    let agent = Agent { id: shown.id.parse().unwrap(), alias: shown.alias.clone(), status: shown.status };
    Row { site: row.site.to_string(), agent, as_of: of_wall(row.as_of), stale: row.stale }
}

/// A merged answer: total, stale rows, rows in order, and each site's contribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    pub(crate) total: usize,
    pub(crate) stale_rows: usize,
    pub(crate) rows: Vec<Row>,
    pub(crate) sites: Vec<(String, Contribution)>,
}

impl Whole {
    pub(crate) fn seen(report: &Report) -> Self {
        let sites = report.sites.iter().map(|outcome| (outcome.site.to_string(), outcome.contribution));
        let rows = report.rows.iter().map(row).collect();
        Self { total: report.total, stale_rows: report.stale_rows, rows, sites: sites.collect() }
    }
}

#[derive(Clone, Debug)]
struct Rows {
    agents: Vec<Agent>,
    as_of: u64,
    read: usize,
}

#[derive(Clone, Debug)]
struct Fails {
    code: ErrorCode,
    since: u64,
    times: u32,
    /// The pause ends between these: the rest is jitter.
    until: (u64, u64),
}

#[derive(Clone, Debug)]
struct Flight {
    start: u64,
    end: u64,
    result: Result<Vec<Agent>, ErrorCode>,
}

/// One slot.
#[derive(Clone, Debug)]
struct Place {
    name: String,
    settings: Settings,
    since: u64,
    rows: Option<Rows>,
    /// End and cost of the last read.
    last: Option<(u64, u64)>,
    fails: Option<Fails>,
    flight: Option<Flight>,
    reads: usize,
    starts: Vec<u64>,
}

impl Place {
    fn new(n: usize, settings: &Settings, since: u64) -> Self {
        let (name, settings) = (format!("s{n}"), settings.clone());
        let (rows, last, fails, flight) = (None, None, None, None);
        Self { name, settings, since, rows, last, fails, flight, reads: 0, starts: Vec::new() }
    }

    fn refused(&self) -> bool {
        self.fails.as_ref().is_some_and(|fails| fails.code == ErrorCode::Auth)
    }

    /// The rest that the last read's cost asks for. Of these sites nothing has come when they are given up.
    fn by_load(&self) -> u64 {
        let cost = self.last.map_or(0, |(_, cost)| cost);
        let fair = (cost as f64 / self.settings.max_load).round() as u64;
        match &self.fails {
            Some(fails) if fails.code == ErrorCode::Timeout => fair.min((10 * cost).max(60_000)),
            _ => fair,
        }
    }

    fn max_age(&self) -> u64 {
        self.settings.max_age.max(2 * self.settings.refresh_after.max(self.by_load()))
    }

    /// Earliest and latest moment from which a read so wanted must be let through.
    fn may_start(&self, forced: bool, probe: bool) -> (u64, u64) {
        let Some((ended, cost)) = self.last else { return (0, 0) };
        let load = ended + self.by_load();
        let near = ended + (10 * cost).max(2000);
        let least = |a: (u64, u64), b: (u64, u64)| (a.0.min(b.0), a.1.min(b.1));
        let paused = |moment: u64, pause: (u64, u64)| (moment.max(pause.0), moment.max(pause.1));
        let at = |moment| (moment, moment);
        let (ordinary, forced_from) = match &self.fails {
            None => (at(load.max(ended + self.settings.refresh_after)), at(near)),
            Some(fails) => (paused(load, fails.until), paused(near, fails.until)),
        };
        match (probe, forced) {
            (true, _) if self.refused() => least(ordinary, at(ended + 2000)),
            (true, _) => least(ordinary, at(near)),
            (_, true) => least(ordinary, forced_from),
            _ => ordinary,
        }
    }

    fn advance(&mut self, now: u64) {
        if self.flight.as_ref().is_some_and(|flight| flight.end <= now) {
            self.end_read();
        }
    }

    fn end_read(&mut self) {
        let Some(Flight { start, end, result }) = self.flight.take() else { return };
        self.reads += 1;
        self.last = Some((end, end - start));
        match result {
            Ok(agents) => {
                self.fails = None;
                self.rows = Some(Rows { agents, as_of: start, read: self.reads });
            }
            Err(code) => {
                let (since, times) = self.fails.as_ref().map_or((end, 1), |fails| (fails.since, fails.times + 1));
                let doubled = if times > 6 { 60_000 } else { 1000 << (times - 1) };
                let pause = if code == ErrorCode::Auth { 900_000 } else { doubled };
                self.fails =
                    Some(Fails { code, since, times, until: (end + pause, end + pause + (pause / 4).min(60_000)) });
            }
        }
    }

    fn start(&mut self, now: u64, behaviour: &Behaviour) {
        let life =
            if self.refused() || self.last.is_none() { self.settings.first_life() } else { self.settings.timeout };
        let (after, result) = match &behaviour.end {
            End::Hang => (u64::MAX, Err(ErrorCode::Timeout)),
            End::Agents(agents) => (behaviour.after, Ok(agents.clone())),
            End::Fail(code) => (behaviour.after, Err(*code)),
            End::Panic => (behaviour.after, Err(ErrorCode::BadAnswer)),
        };
        let result = if after < life { result } else { Err(ErrorCode::Timeout) };
        self.flight = Some(Flight { start: now, end: now + after.min(life), result });
        self.starts.push(now);
    }

    /// Rows that are shown at all.
    fn shown(&self, now: u64) -> Option<&Rows> {
        let failing = self.fails.is_some();
        self.rows.as_ref().filter(|rows| !failing || now - rows.as_of <= self.settings.forget_after)
    }

    fn current(&self, now: u64) -> bool {
        let works = self.fails.is_none() && self.settings.unusable.is_none();
        works && self.rows.as_ref().is_some_and(|rows| now - rows.as_of <= self.max_age())
    }

    /// What is answered at `now` to whoever asked at `asked`, when so many `reads` had ended. `waited`: for a read,
    /// until it ended or the caller's patience did.
    fn says(&self, now: u64, asked: u64, reads: usize, ask: &Ask, waited: bool) -> Line {
        let mut line = self.nothing(now, asked);
        let fails = self.fails.as_ref();
        let runs = self.flight.as_ref().map(|flight| flight.start);
        if let Some(rows) = self.shown(now) {
            let current = self.current(now);
            line.error = match (fails, runs) {
                (Some(fails), _) => Some((fails.code, fails.since)),
                // Newer rows were waited for, and did not come. Nobody who did not wait can be told so.
                (None, Some(start)) if !current && waited => Some((ErrorCode::Timeout, start)),
                _ => None,
            };
            line.contribution = match rows.read > reads {
                _ if !current => Contribution::Stale,
                true => Contribution::Fresh,
                false => Contribution::Cached,
            };
            line.age = Some(now - rows.as_of);
            let found = matching(&rows.agents, ask);
            line.matched = found.len();
            line.critical = found.iter().filter(|agent| agent.status == Status::Critical).count();
            let stale = line.contribution == Contribution::Stale;
            let row = |agent| Row { site: self.name.clone(), agent, as_of: rows.as_of, stale };
            line.rows = best(found.into_iter().map(row).collect(), ask);
        } else {
            line.contribution = Contribution::Failed;
            line.error = Some(match (self.settings.unusable, fails) {
                (Some(code), _) => (code, self.since),
                (None, Some(fails)) if self.reads > reads => (fails.code, fails.since),
                (None, Some(fails)) if runs.is_some() => (ErrorCode::Timeout, fails.since),
                (None, Some(fails)) => (ErrorCode::Backoff, fails.since),
                // Since the read that does not end began, or since there was nothing to know.
                (None, None) => (ErrorCode::Timeout, runs.unwrap_or(self.since)),
            });
        }
        line
    }

    /// No rows, nothing wrong, no more to come.
    fn nothing(&self, now: u64, asked: u64) -> Line {
        let (site, contribution) = (self.name.clone(), Contribution::Cached);
        let (matched, critical, age, error, rows) = (0, 0, None, None, Vec::new());
        let (took, pending) = (now - asked, false);
        Line { at: now, site, contribution, matched, critical, asked: true, pending, age, took, error, rows }
    }

    /// All that one caller hears of this site.
    fn asked(&mut self, now: u64, ask: &Ask, behaviour: &Behaviour, begun: usize) -> Vec<Line> {
        if ask.query == "site:s0" && self.name != "s0" || ask.query == "-site:s0" && self.name == "s0" {
            // Left out by the query: however it is, nothing of it is missing.
            return vec![Line { asked: false, ..self.nothing(now, now) }];
        }
        self.advance(now);
        let (satisfied, forced) = match ask.wanted {
            Wanted::Known => (true, false),
            Wanted::Probe => (false, true),
            Wanted::Current => (self.current(now), false),
            Wanted::Within(limit) => {
                let limit = limit.as_millis() as u64;
                // Older rows than the site's own limit allows are enough too, if the caller says so.
                let works = self.fails.is_none() && self.settings.unusable.is_none();
                let enough = works && self.rows.as_ref().is_some_and(|rows| now - rows.as_of <= limit);
                (enough, !enough && limit < self.max_age())
            }
        };
        let (earliest, latest) = self.may_start(forced, ask.wanted == Wanted::Probe);
        let may = self.settings.unusable.is_none() && ask.wanted != Wanted::Known && self.flight.is_none();
        // Between the two only the jitter knows.
        if may && now >= earliest && (now >= latest || begun > self.starts.len()) {
            self.start(now, behaviour);
        }
        let reads = self.reads;
        let Some(flight) = self.flight.as_ref().filter(|_| !satisfied) else {
            return vec![self.says(now, now, reads, ask, false)];
        };
        let mut lines = Vec::new();
        if ask.stream && self.shown(now).is_some() {
            lines.push(Line { pending: true, ..self.says(now, now, reads, ask, false) });
        }
        let mut then = self.clone();
        let at = flight.end.min(now + ask.patience);
        then.advance(at);
        lines.push(then.says(at, now, reads, ask, true));
        lines
    }
}

fn matching(agents: &[Agent], ask: &Ask) -> Vec<Agent> {
    let fits = |agent: &&Agent| match ask.query {
        "e" => agent.alias.contains('e'),
        "web" => agent.alias == "web",
        "status:critical" => agent.status == Status::Critical,
        _ => true,
    };
    agents.iter().filter(fits).cloned().collect()
}

/// In order, and cut.
fn best(mut rows: Vec<Row>, ask: &Ask) -> Vec<Row> {
    rows.sort_by_key(|Row { site, agent, .. }| {
        let (severity, alias) = match ask.order {
            Order::STATUS => (agent.status, agent.alias.as_str()),
            Order::ALIAS => (Status::NotInit, agent.alias.as_str()),
            Order::ID => (Status::NotInit, ""),
            other => unreachable!("no schedule sorts by {other:?}"),
        };
        (std::cmp::Reverse(severity), alias.to_owned(), site.clone(), agent.id)
    });
    rows.truncate(ask.limit);
    rows
}

/// What one caller must hear, and the whole at its end, unless it leaves before.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) lines: Vec<Line>,
    pub(crate) whole: Option<Whole>,
}

/// What must be seen of a schedule.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) heard: Vec<Heard>,
    pub(crate) starts: Vec<Vec<Vec<u64>>>,
}

/// How many reads had `begun` after each ask is consulted only where jitter leaves it open.
pub(crate) fn expect(schedule: &Schedule, begun: &[Vec<usize>]) -> Expected {
    let mut behaviours: Vec<Behaviour> = schedule.sites.iter().map(|(_, first)| first.clone()).collect();
    let mut places: Vec<Vec<Place>> =
        schedule.sites.iter().enumerate().map(|(n, (settings, _))| vec![Place::new(n, settings, 0)]).collect();
    let mut heard = Vec::new();
    for (at, step) in &schedule.steps {
        match step {
            Step::Behave(n, behaviour) => behaviours[*n] = behaviour.clone(),
            Step::Replace(n, settings) => places[*n].push(Place::new(*n, settings, *at)),
            Step::Retune(n, settings) => {
                let place = places[*n].last_mut().unwrap();
                place.settings = place.settings.retuned(settings);
            }
            Step::Ask(ask) => {
                let mut lines = Vec::new();
                for (n, slots) in places.iter_mut().enumerate() {
                    let place = slots.last_mut().unwrap();
                    lines.extend(place.asked(*at, ask, &behaviours[n], begun[heard.len()][n]));
                }
                heard.push(hears(lines, ask, *at));
            }
        }
    }
    let starts = places.into_iter().map(|slots| slots.into_iter().map(|place| place.starts).collect());
    Expected { heard, starts: starts.collect() }
}

fn hears(mut lines: Vec<Line>, ask: &Ask, at: u64) -> Heard {
    in_order(&mut lines);
    let leaves = at + ask.leaves_after.unwrap_or(u64::MAX / 2);
    let stays = lines.iter().all(|line| line.at <= leaves);
    lines.retain(|line| line.at <= leaves);
    let whole = stays.then(|| whole(&lines, ask));
    Heard { lines, whole }
}

/// By time; who comes first at one instant is left open, but not what one site says first.
pub(crate) fn in_order(lines: &mut [Line]) {
    lines.sort_by_key(|line| (line.at, line.site.clone()));
}

fn whole(lines: &[Line], ask: &Ask) -> Whole {
    let mut last = std::collections::BTreeMap::new();
    for line in lines {
        last.insert(line.site.clone(), line.clone());
    }
    let stale = last.values().filter(|line| line.contribution == Contribution::Stale);
    let stale_rows = stale.map(|line| line.matched).sum();
    let total = last.values().map(|line| line.matched).sum();
    let sites = last.values().map(|line| (line.site.clone(), line.contribution)).collect();
    let rows = best(last.into_values().flat_map(|line| line.rows).collect(), ask);
    Whole { total, stale_rows, rows, sites }
}
