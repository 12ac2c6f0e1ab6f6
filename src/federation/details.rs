//! One agent, live: its modules with values and its newest events, read once for all who look, and kept for seconds.
//!
//! - Rights come first. [`View`] looks the agent up in the inventory as its viewer may see it; only then is anything
//!   taken from what is kept, which holds nothing that depends on who looks: modules and events of that one agent.
//! - A reading belongs to itself, not to who began it: whoever comes while it runs joins it, each with their own
//!   patience, and has what was read until then. Leaving ends nothing; the site's `timeout` does.
//! - A whole reading is good for 10 s, one in which something is missing for 1 s. It is of an adapter (so a site whose
//!   address or account changed begins anew) and an agent.
//! - A site whose last read failed is not asked: the same would happen again, and a refused login costs it 15 s each.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::watch;

use super::call::{Asked, Call};
use super::happenings::{EventPage, EventPlace, walk};
use super::memory::Held;
use super::values::{Key, Values};
use super::{Question, Slot, View, Wanted, failure_told_to};
use crate::clock::{Clock, Deadline, Stopwatch, Timestamp};
use crate::domain::{Agent, Contribution, ErrorCode, Failure, Outcome, Query, SiteError};
use crate::inventory::{Inventory, Order, Visible};
use crate::sites::{Detail, Event, MOST_MODULES, Module, Site, Unread};

/// How long a reading is good.
const WHOLE: Duration = Duration::from_secs(10);
const PARTIAL: Duration = Duration::from_secs(1);

/// Readings that are held, and how long at most.
const KEPT: u64 = 256;
const HELD: Duration = Duration::from_secs(120);

/// Newest events of an agent.
const RECENT: usize = 20;

/// One agent as its viewer may see it.
#[derive(Debug)]
pub struct AgentDetail {
    /// What the inventory knows.
    pub agent: Agent,
    /// How its site contributed.
    pub outcome: Outcome,
    /// When the site was asked for its row.
    pub as_of: Timestamp,
    /// When the site was asked for its modules.
    pub read: Timestamp,
    /// Its modules, worst first.
    pub modules: Vec<Module>,
    /// Those that could not be read, and those that could not be read yet.
    pub unread: Vec<Unread>,
    /// Modules left out because there are too many.
    pub cut: usize,
    /// Its newest events, as far as they were looked for.
    pub events: EventPage,
}

/// Why there is nothing to show.
#[derive(Debug)]
pub enum Missing {
    /// No such site, or none for this viewer.
    Site,
    /// No such agent, or none for this viewer.
    Agent,
    /// No such module of this agent.
    Module,
    /// Nothing is known of the site.
    Unknown(Box<Outcome>),
}

/// Some events of a site or an agent.
#[derive(Debug)]
pub struct SiteEvents {
    /// The events.
    pub page: EventPage,
    /// How the site contributed.
    pub outcome: Outcome,
    /// What is known of its agents.
    pub inventory: Option<Arc<Inventory>>,
}

/// A site as its viewer finds it.
struct Found {
    slot: Arc<Slot>,
    outcome: Outcome,
    held: Option<Held>,
    failure: Option<Failure>,
    deadline: Deadline,
}

impl View {
    /// One agent, live. `viewable`: the agents whose details the viewer may see, besides that of this view.
    ///
    /// # Errors
    /// There is nothing to show.
    pub async fn detail(
        &self,
        site: &str,
        agent: &str,
        viewable: &Visible,
        patience: Duration,
    ) -> Result<AgentDetail, Missing> {
        let (found, held, row) = self.agent(site, agent, viewable, patience).await?;
        let at = self.clock.now();
        let (read, told) = match found.live() {
            Err(error) => {
                (at, Told { end: Some(Err(error.clone())), events: Some(EventPage::failed(error)), ..Told::default() })
            }
            Ok(site) => {
                let reading =
                    self.details.reading(site, agent, &held.inventory, found.slot.plan().policy.timeout, self.clock);
                (reading.began, reading.told(found.deadline).await)
            }
        };
        let Detail { modules, unread, cut } = told.detail(agent, &held.inventory);
        let events = told.events.unwrap_or_else(|| EventPage::failed(late()));
        let events = if self.is_whole(site, viewable) { events } else { events.in_part(RECENT) };
        Ok(AgentDetail { agent: row, outcome: found.outcome, as_of: held.as_of, read, modules, unread, cut, events })
    }

    /// A module's values. The error within: the site did not give them.
    ///
    /// # Errors
    /// There is nothing to ask.
    pub async fn series(
        &self,
        site: &str,
        (agent, module): (&str, &str),
        viewable: &Visible,
        (from, to): (Timestamp, Timestamp),
        patience: Duration,
    ) -> Result<(Outcome, Values), Missing> {
        let (found, held, _) = self.agent(site, agent, viewable, patience).await?;
        let number = module.parse::<u64>().ok().filter(|number| number.to_string() == module);
        if number.is_none_or(|number| held.inventory.module_state(agent, number).is_none()) {
            return Err(Missing::Module);
        }
        let points = match found.live() {
            Err(error) => Err(error),
            Ok(site) => {
                let (key, life) = (Key { site, module: module.into(), from, to }, found.slot.plan().policy.timeout);
                self.values.ask(key, life, found.deadline).await.unwrap_or_else(|| Err(late()))
            }
        };
        Ok((found.outcome, points))
    }

    /// Events of a site, or of one of its agents, newest first.
    ///
    /// # Errors
    /// There is nothing to ask.
    pub async fn events(
        &self,
        site: &str,
        agent: Option<&str>,
        viewable: &Visible,
        (after, limit): (Option<EventPlace>, usize),
        patience: Duration,
    ) -> Result<SiteEvents, Missing> {
        let (_, visible) = self.seat(site).ok_or(Missing::Site)?;
        let found = match agent {
            Some(agent) => self.agent(site, agent, viewable, patience).await?.0,
            None => self.find(site, patience, |_| true).await?,
        };
        let all = self.is_whole(site, viewable);
        if found.held.is_none() && !all {
            return Err(Missing::Unknown(Box::new(found.outcome)));
        }
        let inventory = found.held.as_ref().map(|held| Arc::clone(&held.inventory));
        let seen = |id: &str| {
            inventory.as_ref().is_some_and(|held| held.agent(id, visible).and(held.agent(id, viewable)).is_some())
        };
        let wanted = |event: &Event| match (agent, event.agent.as_deref()) {
            (Some(agent), of) => of == Some(agent),
            // Of the site itself, or of an agent that is gone: for those who may see everything there.
            (None, of) => all || of.is_some_and(seen),
        };
        let page = match found.live() {
            Err(error) => EventPage { next: after, ..EventPage::failed(error) },
            Ok(site) => walk(site.as_ref(), after, limit, wanted, found.deadline).await,
        };
        let page = if all { page } else { page.in_part(limit) };
        Ok(SiteEvents { page, outcome: found.outcome, inventory })
    }

    /// An agent that exists for the viewer. If it is not known, the read that runs may bring it.
    async fn agent(
        &self,
        site: &str,
        agent: &str,
        viewable: &Visible,
        patience: Duration,
    ) -> Result<(Found, Held, Agent), Missing> {
        let (_, visible) = self.seat(site).ok_or(Missing::Site)?;
        let row = |inventory: &Inventory| {
            inventory.agent(agent, visible).filter(|_| inventory.agent(agent, viewable).is_some())
        };
        let mut found = self.find(site, patience, |inventory| row(inventory).is_some()).await?;
        let Some(held) = found.held.clone() else { return Err(Missing::Unknown(Box::new(found.outcome))) };
        let mut row = row(&held.inventory).ok_or(Missing::Agent)?;
        // What is known of alerts: looking at an agent does not ask for them.
        let alerts = self.seat(site).map(|(slot, _)| slot.look_alerts(false));
        row.alert_fired = alerts.as_ref().and_then(|alerts| alerts.shown()).map(|known| known.fired.contains(agent));
        found.outcome.rows = 1;
        Ok((found, held, row))
    }

    async fn find(
        &self,
        site: &str,
        patience: Duration,
        enough: impl Fn(&Inventory) -> bool,
    ) -> Result<Found, Missing> {
        let (slot, visible) = self.seat(site).ok_or(Missing::Site)?;
        let (query, wanted, now) = (Query::default(), Wanted::Current, self.clock.now());
        let question = Question { query: query.clone(), order: Order::RANK, limit: 0, patience, wanted };
        let deadline = Deadline::after(patience);
        let call = Call {
            slot: Arc::clone(slot),
            visible: Arc::clone(visible),
            asked: Arc::new(Asked { query: Arc::new(query), question, after: None, now }),
            deadline,
            clock: self.clock,
            found: self.found.clone(),
            watch: Stopwatch::start(),
        };
        let (outcome, look) = call.knowing(enough).await;
        let failure = look.failure.map(|failure| failure_told_to(visible, failure));
        Ok(Found { slot: Arc::clone(slot), outcome, held: look.held, failure, deadline })
    }
}

impl Found {
    /// What answers for the site, if it may be asked now.
    fn live(&self) -> Result<Arc<dyn Site>, SiteError> {
        if let Some(Failure { error, .. }) = &self.failure {
            let message = format!("not asked, because its last read failed with {}: {}", error.code, error.message);
            let code = if self.outcome.contribution == Contribution::Failed { error.code } else { ErrorCode::Backoff };
            return Err(SiteError { remedy: error.remedy.clone(), ..SiteError::new(code, message) });
        }
        self.slot.plan().site.clone()
    }
}

pub(super) fn late() -> SiteError {
    SiteError::new(ErrorCode::Timeout, "it did not come in time").remedy("allow more time, or ask again in a moment")
}

/// Readings, by adapter and agent.
#[derive(Clone)]
pub(super) struct DetailCache(Cache<AgentKey, Arc<Reading>>);

#[derive(Clone)]
struct AgentKey {
    site: Arc<dyn Site>,
    agent: Box<str>,
}

impl AgentKey {
    /// No other adapter has it as long as this key is there.
    fn place(&self) -> *const () {
        Arc::as_ptr(&self.site).cast()
    }
}

impl PartialEq for AgentKey {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.place(), other.place()) && self.agent == other.agent
    }
}

impl Eq for AgentKey {}

impl Hash for AgentKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.place().hash(state);
        self.agent.hash(state);
    }
}

impl fmt::Debug for DetailCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DetailCache({})", self.0.entry_count())
    }
}

impl Default for DetailCache {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(KEPT).time_to_live(HELD).build())
    }
}

impl DetailCache {
    /// The reading that runs or is good, else a new one.
    fn reading(
        &self,
        site: Arc<dyn Site>,
        agent: &str,
        inventory: &Arc<Inventory>,
        life: Duration,
        clock: Clock,
    ) -> Arc<Reading> {
        let key = AgentKey { site: Arc::clone(&site), agent: agent.into() };
        let begin = || Reading::begin(site, agent.to_owned(), Arc::clone(inventory), life, clock);
        self.0.entry(key).or_insert_with_if(begin, |reading| !reading.is_good()).into_value()
    }
}

/// A reading of one agent, in progress or ended.
struct Reading {
    began: Timestamp,
    told: watch::Receiver<Told>,
}

/// What has been read.
#[derive(Clone, Debug, Default)]
struct Told {
    modules: Vec<Module>,
    end: Option<Result<Detail, SiteError>>,
    events: Option<EventPage>,
    /// Since all is said.
    ended: Option<Stopwatch>,
}

impl Reading {
    fn begin(site: Arc<dyn Site>, agent: String, inventory: Arc<Inventory>, life: Duration, clock: Clock) -> Arc<Self> {
        let (tell, told) = watch::channel(Told::default());
        tokio::spawn(async move {
            let deadline = Deadline::after(life);
            let modules = async {
                let each = |module: &Module| tell.send_modify(|told| told.hear(module));
                let read = site.detail(&agent, &inventory, &each, deadline);
                let end = tokio::time::timeout_at(deadline.instant(), read).await.unwrap_or_else(|_| Err(late()));
                tell.send_modify(|told| told.end = Some(end));
            };
            let events = async {
                let page =
                    walk(site.as_ref(), None, RECENT, |event| event.agent.as_ref() == Some(&agent), deadline).await;
                tell.send_modify(|told| told.events = Some(page));
            };
            tokio::join!(modules, events);
            tell.send_modify(|told| told.ended = Some(Stopwatch::start()));
        });
        Arc::new(Self { began: clock.now(), told })
    }

    fn is_good(&self) -> bool {
        let told = self.told.borrow();
        match &told.ended {
            // Whoever read it is gone, and did not end it.
            None => self.told.has_changed().is_ok(),
            Some(ended) => ended.elapsed() < if told.is_whole() { WHOLE } else { PARTIAL },
        }
    }

    /// All of it, or what there is at the deadline.
    async fn told(&self, deadline: Deadline) -> Told {
        let mut told = self.told.clone();
        let _ = tokio::time::timeout_at(deadline.instant(), told.wait_for(|told| told.ended.is_some())).await;
        let now = told.borrow();
        now.clone()
    }
}

impl Told {
    /// Another address may tell one again.
    fn hear(&mut self, module: &Module) {
        match self.modules.iter_mut().find(|known| known.id == module.id) {
            Some(known) => *known = module.clone(),
            None => self.modules.push(module.clone()),
        }
    }

    fn is_whole(&self) -> bool {
        matches!(&self.end, Some(Ok(detail)) if detail.unread.is_empty())
            && self.events.as_ref().is_some_and(|page| page.error.is_none())
    }

    /// What was read; what was not, with why.
    fn detail(&self, agent: &str, inventory: &Inventory) -> Detail {
        let error = match &self.end {
            Some(Ok(detail)) => return detail.clone(),
            Some(Err(error)) => error.clone(),
            None => late(),
        };
        let mut modules = self.modules.clone();
        modules.sort_by_key(|module| module.status.index());
        let planned = inventory.worst_modules(agent, usize::MAX);
        let cut = planned.len().saturating_sub(MOST_MODULES);
        let planned = planned.into_iter().take(MOST_MODULES).map(|(id, status)| (id.to_string(), status));
        let unread = planned.filter(|(id, _)| !modules.iter().any(|module| module.id == *id));
        let unread = unread.map(|(id, status)| Unread { id, status, error: error.clone() }).collect();
        Detail { modules, unread, cut }
    }
}
