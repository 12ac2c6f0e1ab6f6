//! A site that does what a test says, counts its reads and its reads in progress; and small, repeatable chance.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use metaconsole::clock::{Deadline, Stopwatch, Timestamp};
use metaconsole::domain::{ErrorCode, SiteError, Status};
use metaconsole::inventory::{AgentText, Builder, Fired, Inventory};
use metaconsole::sites::{Detail, FiredReading, PlannedWork, Reading, Series, Site, Step, View};
use tokio::time::Instant;
use url::Url;

/// The wall clock at a run's begin.
pub(crate) const START: i64 = 1_000_000_000_000;

/// A run's time: milliseconds since it began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time(pub(crate) Instant);

impl Time {
    pub(crate) fn begin() -> Self {
        Self(Stopwatch::start().instant())
    }

    pub(crate) fn now(self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap()
    }

    pub(crate) async fn until(self, at: u64) {
        tokio::time::sleep_until(self.0 + Duration::from_millis(at)).await;
    }
}

pub(crate) fn of_wall(at: Timestamp) -> u64 {
    u64::try_from(at.as_millis() - START).unwrap()
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agent {
    pub(crate) id: u32,
    pub(crate) alias: String,
    pub(crate) status: Status,
}

/// How a read ends.
#[derive(Clone, Debug)]
pub(crate) enum End {
    Agents(Vec<Agent>),
    Fail(ErrorCode),
    Panic,
    /// Never by itself.
    Hang,
}

/// What a site does when it is read.
#[derive(Clone, Debug)]
pub(crate) struct Behaviour {
    pub(crate) after: u64,
    pub(crate) end: End,
}

impl Behaviour {
    pub(crate) fn new(after: u64, end: End) -> Self {
        Self { after, end }
    }

    /// One agent, after so long.
    pub(crate) fn well(after: u64) -> Self {
        Self::new(after, End::Agents(vec![Agent { id: 1, alias: "web".into(), status: Status::Normal }]))
    }
}

/// What is behind one slot. `behaviour` may be shared with the slot that replaces it.
#[derive(Debug)]
pub(crate) struct Fake {
    pub(crate) behaviour: Arc<Mutex<Behaviour>>,
    pub(crate) time: Time,
    /// When each read began, and what it was to do.
    pub(crate) reads: Mutex<Vec<(u64, Behaviour)>>,
    /// One more for each read in progress.
    pub(crate) live: Arc<()>,
    /// What its alerts do when they are read; its agents are those with a fired one.
    pub(crate) alerts: Mutex<Behaviour>,
    /// When each read of the alerts began, and how many other reads were in progress.
    pub(crate) alert_reads: Mutex<Vec<(u64, usize)>>,
}

impl Fake {
    pub(crate) fn new(behaviour: Behaviour, time: Time) -> Arc<Self> {
        Self::living(Arc::new(Mutex::new(behaviour)), time, Arc::default())
    }

    /// As part of a run that counts all reads in progress.
    pub(crate) fn living(behaviour: Arc<Mutex<Behaviour>>, time: Time, live: Arc<()>) -> Arc<Self> {
        let (alerts, alert_reads) = (Mutex::new(Behaviour::well(0)), Mutex::default());
        Arc::new(Self { behaviour, time, reads: Mutex::default(), live, alerts, alert_reads })
    }

    pub(crate) fn behave_with_alerts(&self, behaviour: Behaviour) {
        *self.alerts.lock().unwrap() = behaviour;
    }

    /// When its alerts were read.
    pub(crate) fn alert_starts(&self) -> Vec<u64> {
        self.alert_reads.lock().unwrap().iter().map(|(start, _)| *start).collect()
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    pub(crate) fn starts(&self) -> Vec<u64> {
        self.reads.lock().unwrap().iter().map(|(start, _)| *start).collect()
    }

    pub(crate) fn running(&self) -> usize {
        Arc::strong_count(&self.live) - 1
    }

    async fn read(&self, behaviour: Behaviour) -> Result<Reading, SiteError> {
        let agents = self.agents(behaviour).await?;
        Ok(Reading { inventory: Arc::new(inventory(&agents)), bytes: 0, skew_ms: None })
    }

    async fn agents(&self, behaviour: Behaviour) -> Result<Vec<Agent>, SiteError> {
        let _live = Arc::clone(&self.live);
        if behaviour.after > 0 {
            self.time.until(self.time.now() + behaviour.after).await;
        }
        match behaviour.end {
            End::Hang => std::future::pending().await,
            End::Agents(agents) => Ok(agents),
            End::Fail(code) => Err(SiteError::new(code, "as told")),
            // As a panic, without its words on standard error.
            End::Panic => std::panic::resume_unwind(Box::new("as told")),
        }
    }
}

fn inventory(agents: &[Agent]) -> Inventory {
    let mut builder = Builder::new(10_000);
    for agent in agents {
        let id = agent.id.to_string();
        let text = AgentText { id: &id, alias: &agent.alias, name: &agent.alias, address: "", system: "" };
        let number = builder.agent(text).unwrap();
        builder.module(number, u64::from(agent.id), agent.status, 0).unwrap();
    }
    builder.finish(|_| None).unwrap()
}

impl Site for Fake {
    fn inventory(&self, _: Deadline) -> BoxFuture<'_, Result<Reading, SiteError>> {
        let behaviour = self.behaviour.lock().unwrap().clone();
        self.reads.lock().unwrap().push((self.time.now(), behaviour.clone()));
        self.read(behaviour).boxed()
    }

    fn fired_alerts(&self, _: Deadline) -> BoxFuture<'_, Result<FiredReading, SiteError>> {
        let behaviour = self.alerts.lock().unwrap().clone();
        self.alert_reads.lock().unwrap().push((self.time.now(), self.running()));
        async move {
            let ids = self.agents(behaviour).await?.into_iter().map(|agent| agent.id.to_string());
            Ok(FiredReading { fired: Arc::new(Fired::new(ids)) })
        }
        .boxed()
    }

    fn detail<'a>(
        &'a self,
        _: &'a str,
        _: &'a Inventory,
        _: metaconsole::sites::Tell<'a>,
        _: Deadline,
    ) -> BoxFuture<'a, Result<Detail, SiteError>> {
        unreachable!("a slot reads inventories and alerts only")
    }

    fn series<'a>(
        &'a self,
        _: &'a str,
        _: Timestamp,
        _: Timestamp,
        _: Deadline,
    ) -> BoxFuture<'a, Result<Series, SiteError>> {
        unreachable!("a slot reads inventories and alerts only")
    }

    fn planned_work(&self, _: Deadline) -> BoxFuture<'_, Result<Arc<[PlannedWork]>, SiteError>> {
        unreachable!("a slot reads inventories and alerts only")
    }

    fn probe<'a>(&'a self, _: &'a mut (dyn FnMut(Step) + Send), _: Deadline) -> BoxFuture<'a, ()> {
        unreachable!("a slot reads inventories and alerts only")
    }

    fn link(&self, _: View<'_>) -> Url {
        unreachable!("a slot reads inventories and alerts only")
    }
}

/// Lets everything run that can without time passing.
pub(crate) async fn settle() {
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
}

/// Runs in time of its own, which passes only when nothing else can happen.
pub(crate) fn in_paused_time<T>(run: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(run)
}

/// The same numbers for the same seed.
#[derive(Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// Below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (word ^ (word >> 31)) % end
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize].clone()
    }

    /// So many times in a hundred.
    pub(crate) fn percent(&mut self, times: u64) -> bool {
        self.below(100) < times
    }
}
