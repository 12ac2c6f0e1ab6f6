//! Random schedules of sites and callers, and running one.
//!
//! No two causes fall on one instant, so that what must be seen is certain: steps come at whole tens of
//! milliseconds, reads end 3 after (their life 5 after), patience ends 7 after, and who leaves early leaves 1 after.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use metaconsole::clock::{Clock, Timestamp};
use metaconsole::domain::{ErrorCode, Query, SiteError, Status};
use metaconsole::federation::{Answers, Federation, Merge, Plan, Policy, Question, Report, SiteAnswer, Slot, Wanted};
use metaconsole::inventory::Order;
use metaconsole::sites::Site;

use super::fake::{Agent, Behaviour, Chance, End, Fake, START, Time, settle};

/// How a slot is configured; times in milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) timeout: u64,
    pub(crate) refresh_after: u64,
    pub(crate) max_age: u64,
    pub(crate) forget_after: u64,
    pub(crate) max_load: f64,
    pub(crate) unusable: Option<ErrorCode>,
}

impl Settings {
    /// The defaults of a configuration.
    pub(crate) const USUAL: Self = Self {
        timeout: 60_000,
        refresh_after: 30_000,
        max_age: 60_000,
        forget_after: 86_400_000,
        max_load: 0.02,
        unusable: None,
    };

    pub(crate) fn first_life(&self) -> u64 {
        self.timeout.max(20_005)
    }

    /// These, with the times of others. Whether the site can be read at all stays, and what is forgotten: whoever
    /// asked before the change must find what they would have found.
    pub(crate) fn retuned(&self, by: &Self) -> Self {
        Self { unusable: self.unusable, forget_after: self.forget_after, ..by.clone() }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) wanted: Wanted,
    pub(crate) patience: u64,
    pub(crate) stream: bool,
    pub(crate) leaves_after: Option<u64>,
    pub(crate) query: &'static str,
    pub(crate) order: Order,
    pub(crate) limit: usize,
}

impl Ask {
    /// All agents, with so much patience.
    pub(crate) fn all(wanted: Wanted, patience: u64) -> Self {
        Self { wanted, patience, stream: false, leaves_after: None, query: "", order: Order::ALIAS, limit: 100 }
    }

    pub(crate) fn question(&self) -> Question {
        let query = Query::parse(self.query).unwrap();
        let patience = Duration::from_millis(self.patience);
        Question { query, order: self.order, limit: self.limit, patience, wanted: self.wanted }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// From now on the site does this.
    Behave(usize, Behaviour),
    /// The site's configuration changes: a new slot.
    Replace(usize, Settings),
    /// As above, but only in when it is read: see [`Settings::retuned`].
    Retune(usize, Settings),
    Ask(Ask),
}

/// Sites s0, s1, …, each with its first settings and behaviour; then what happens when.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pub(crate) sites: Vec<(Settings, Behaviour)>,
    pub(crate) steps: Vec<(u64, Step)>,
}

impl std::fmt::Display for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (n, (settings, behaviour)) in self.sites.iter().enumerate() {
            writeln!(f, "s{n}: {settings:?}\n    {behaviour:?}")?;
        }
        let mut asks = 0..;
        for (at, step) in &self.steps {
            match step {
                Step::Ask(ask) => writeln!(f, "{at:>9} ms  ask {}: {ask:?}", asks.next().unwrap_or(0))?,
                other => writeln!(f, "{at:>9} ms  {other:?}")?,
            }
        }
        Ok(())
    }
}

impl Schedule {
    pub(crate) fn random(seed: u64) -> Self {
        let chance = &mut Chance::new(seed);
        let sites: Vec<_> = (0..=chance.below(3)).map(|_| (settings(chance), behaviour(chance))).collect();
        let (mut at, mut steps) = (0, Vec::new());
        for _ in 0..5 + chance.below(30) {
            at += chance.pick(&[0, 0, 10, 200, 1000, 1500, 4000, 20_000, 70_000, 400_000, 1_000_000]);
            let site = chance.below(sites.len() as u64) as usize;
            let step = match chance.below(10) {
                0 | 1 => Step::Behave(site, behaviour(chance)),
                2 if chance.percent(40) => Step::Replace(site, settings(chance)),
                2 if chance.percent(40) => Step::Retune(site, settings(chance)),
                _ => Step::Ask(ask(chance)),
            };
            steps.push((at, step));
        }
        Self { sites, steps }
    }
}

fn settings(chance: &mut Chance) -> Settings {
    Settings {
        timeout: chance.pick(&[1005, 10_005, 60_005]),
        refresh_after: chance.pick(&[0, 1000, 30_000]),
        max_age: chance.pick(&[0, 2000, 60_000]),
        forget_after: chance.pick(&[3000, 60_000, 86_400_000]),
        max_load: chance.pick(&[0.02, 0.02, 0.5, 1.0]),
        unusable: chance.percent(5).then(|| chance.pick(&[ErrorCode::Paused, ErrorCode::Tls])),
    }
}

fn behaviour(chance: &mut Chance) -> Behaviour {
    let after = chance.pick(&[3, 13, 203, 203, 1503, 5003, 15_003]);
    let end = match chance.below(10) {
        0 => End::Hang,
        1 => End::Panic,
        2..=4 => End::Fail(chance.pick(&[ErrorCode::Unreachable, ErrorCode::Auth, ErrorCode::TooLarge])),
        _ => End::Agents((0..chance.below(5)).map(|n| agent(n as u32, chance)).collect()),
    };
    Behaviour { after, end }
}

fn agent(n: u32, chance: &mut Chance) -> Agent {
    let status = chance.pick(&[Status::Critical, Status::Warning, Status::Normal]);
    // Ids whose order as numbers is not their order as text.
    Agent { id: n * 7 + 2, alias: chance.pick(&["web", "web", "db", "mail"]).into(), status }
}

fn ask(chance: &mut Chance) -> Ask {
    let wanted = match chance.below(10) {
        0 => Wanted::Probe,
        1 => Wanted::Known,
        2..=4 => Wanted::Within(Duration::from_millis(chance.pick(&[0, 0, 1000, 5000, 600_000]))),
        _ => Wanted::Current,
    };
    Ask {
        wanted,
        patience: chance.pick(&[0, 7, 107, 1007, 2007, 2007, 17_007, 100_007]),
        stream: chance.percent(50),
        leaves_after: chance.percent(20).then(|| chance.pick(&[1, 51, 1001, 3001])),
        query: chance.pick(&["", "", "e", "web", "status:critical", "site:s0", "-site:s0"]),
        order: chance.pick(&[Order::ALIAS, Order::STATUS, Order::ID]),
        limit: chance.pick(&[1, 2, 100]),
    }
}

pub(crate) fn slot(n: usize, settings: &Settings, fake: &Arc<Fake>, clock: Clock) -> Arc<Slot> {
    Slot::new(plan(n, settings, fake), clock)
}

fn plan(n: usize, settings: &Settings, fake: &Arc<Fake>) -> Plan {
    let ms = Duration::from_millis;
    let policy = Policy {
        timeout: ms(settings.timeout),
        first_life: ms(settings.first_life()),
        refresh_after: ms(settings.refresh_after),
        max_age: ms(settings.max_age),
        forget_after: ms(settings.forget_after),
        max_load: settings.max_load,
    };
    let site = match settings.unusable {
        Some(code) => Err(SiteError::new(code, "as told")),
        None => Ok(Arc::clone(fake) as Arc<dyn Site>),
    };
    Plan { id: format!("s{n}").parse().unwrap(), name: String::new(), tags: Vec::new(), policy, site }
}

/// Sites with the same settings, and their clock.
pub(crate) fn federation(fakes: &[Arc<Fake>], settings: &Settings) -> Federation {
    let clock = Clock::following(Timestamp::from_millis(START));
    let slots = fakes.iter().enumerate().map(|(n, fake)| slot(n, settings, fake, clock));
    Federation::new(slots.collect(), clock)
}

/// What one caller got.
#[derive(Debug, Default)]
pub(crate) struct Got {
    pub(crate) answers: Vec<(u64, SiteAnswer)>,
    /// Unless it left early.
    pub(crate) report: Option<Report>,
}

/// What a run showed.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) got: Vec<Got>,
    /// Starts of reads: of each site, of each of its slots.
    pub(crate) starts: Vec<Vec<Vec<u64>>>,
    /// After each ask, how many reads of each site's newest slot had begun.
    pub(crate) begun: Vec<Vec<usize>>,
    /// Reads and tasks that were still there at the end.
    pub(crate) left: usize,
}

/// Runs it; `twins`: each caller asks for the stream and the report, one behind the other in the list.
pub(crate) async fn run(schedule: &Schedule, twins: bool) -> Seen {
    let time = Time::begin();
    let clock = Clock::following(Timestamp::from_millis(START));
    let live = Arc::new(());
    let made = |behaviour: &Arc<Mutex<Behaviour>>| {
        let (behaviour, live) = (Arc::clone(behaviour), Arc::clone(&live));
        Fake::living(behaviour, time, live)
    };
    let behaviours: Vec<_> = schedule.sites.iter().map(|(_, first)| Arc::new(Mutex::new(first.clone()))).collect();
    let mut fakes: Vec<Vec<Arc<Fake>>> = behaviours.iter().map(|behaviour| vec![made(behaviour)]).collect();
    let slots = schedule.sites.iter().enumerate().map(|(n, (settings, _))| slot(n, settings, &fakes[n][0], clock));
    let mut federation = Federation::new(slots.collect(), clock);
    let mut now: Vec<Settings> = schedule.sites.iter().map(|(settings, _)| settings.clone()).collect();
    let (mut callers, mut begun) = (Vec::new(), Vec::new());
    for (at, step) in &schedule.steps {
        time.until(*at).await;
        match step {
            Step::Behave(n, behaviour) => *behaviours[*n].lock().unwrap() = behaviour.clone(),
            Step::Replace(n, settings) => {
                fakes[*n].push(made(&behaviours[*n]));
                let mut slots = federation.slots().to_vec();
                slots[*n] = slot(*n, settings, fakes[*n].last().unwrap(), clock);
                federation = federation.with(slots);
                now[*n] = settings.clone();
            }
            Step::Retune(n, settings) => {
                now[*n] = now[*n].retuned(settings);
                let mut slots = federation.slots().to_vec();
                slots[*n] = slots[*n].with(plan(*n, &now[*n], fakes[*n].last().unwrap()));
                federation = federation.with(slots);
            }
            Step::Ask(ask) => {
                let ways = if twins { vec![ask.stream, !ask.stream] } else { vec![ask.stream] };
                for stream in ways {
                    let (view, question) = (federation.everything(), ask.question());
                    let answers = if stream { view.stream(&question) } else { view.ask(&question) };
                    callers.push(tokio::spawn(caller(answers, question, ask.leaves_after, time)));
                }
            }
        }
        settle().await;
        if matches!(step, Step::Ask(_)) {
            begun.push(fakes.iter().map(|slots| slots.last().map_or(0, |fake| fake.starts().len())).collect());
        }
    }
    let mut got = Vec::new();
    for caller in callers {
        got.push(caller.await.unwrap());
    }
    drop(federation);
    settle().await;
    let starts = fakes.iter().map(|slots| slots.iter().map(|fake| fake.starts()).collect()).collect();
    drop(fakes);
    let left = Arc::strong_count(&live) - 1 + tokio::runtime::Handle::current().metrics().num_alive_tasks();
    Seen { got, starts, begun, left }
}

async fn caller(mut answers: Answers, question: Question, leaves_after: Option<u64>, time: Time) -> Got {
    let mut got = Got::default();
    let leaves = time.now() + leaves_after.unwrap_or(u64::from(u32::MAX));
    let mut merge = Merge::new(&question);
    let collect = async {
        while let Some(answer) = answers.next().await {
            got.answers.push((time.now(), answer.clone()));
            merge.fold(answer);
        }
    };
    tokio::select! {
        () = collect => got.report = Some(merge.finish()),
        () = time.until(leaves) => {}
    }
    got
}
