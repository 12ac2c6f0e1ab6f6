//! A model of one site: its groups, agents, modules, planned downtimes and events, as a console's database holds them.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

/// Everything one demo console knows. Public, so that a test can build or change any of it.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// The data server that feeds this console.
    pub server: String,
    /// The zone of console and server.
    pub zone: Zone,
    /// Up to when data came in at first (epoch seconds): what is added without a time reported then.
    pub now: i64,
    /// The data server runs: what reported once has reported every interval since. When false, times stay as given.
    pub reporting: bool,
    /// Groups in the order of their ids.
    pub groups: Vec<Group>,
    /// Names of operating systems by id.
    pub systems: BTreeMap<u32, String>,
    /// Agents in the order of their ids.
    pub agents: Vec<Agent>,
    /// Planned downtimes.
    pub downtimes: Vec<Downtime>,
    /// Events in the order of their ids.
    pub events: Vec<Event>,
    /// Names of tags by id.
    pub tags: BTreeMap<u32, String>,
}

/// A time zone: the name a console prints, and the rule behind it (no zone database is needed).
#[derive(Clone, Debug)]
pub struct Zone {
    /// As in the IANA database.
    pub name: String,
    rule: TimeZone,
}

impl Zone {
    /// From a name and a POSIX rule such as `CET-1CEST,M3.5.0,M10.5.0/3`; a rule that is none means UTC.
    pub fn new(name: &str, rule: &str) -> Self {
        Self { name: name.to_owned(), rule: TimeZone::posix(rule).unwrap_or(TimeZone::UTC) }
    }

    /// The local time of an instant, as consoles print it.
    pub fn format(&self, epoch: i64) -> String {
        match jiff::Timestamp::from_second(epoch) {
            Ok(instant) => instant.to_zoned(self.rule.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
            Err(_) => "0000-00-00 00:00:00".to_owned(),
        }
    }

    /// The hour of the local day, 0 to 23.
    pub fn hour(&self, epoch: i64) -> i64 {
        jiff::Timestamp::from_second(epoch).map_or(0, |instant| i64::from(instant.to_zoned(self.rule.clone()).hour()))
    }

    /// Reads `YYYYMMDDTHH:MM` as a local time, and `YYYYMMDDTHH:MM:SSZ` as UTC, as PHP does.
    pub fn parse(&self, text: &str) -> Option<i64> {
        if let Some(utc) = text.strip_suffix('Z') {
            let utc = jiff::civil::DateTime::strptime("%Y%m%dT%H:%M:%S", utc);
            return Some(utc.ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second());
        }
        let local = jiff::civil::DateTime::strptime("%Y%m%dT%H:%M", text).ok()?;
        Some(local.to_zoned(self.rule.clone()).ok()?.timestamp().as_second())
    }
}

/// A group of agents.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its id.
    pub id: u32,
    /// Its name, as people read it.
    pub name: String,
    /// The group above; 0 for none.
    pub parent: u32,
}

/// One monitored host.
#[derive(Clone, Debug, Default)]
pub struct Agent {
    /// Its id; 0 until it is added to a fleet.
    pub id: u32,
    /// The unique name, by which data arrives.
    pub name: String,
    /// The name people see.
    pub alias: String,
    /// Main address.
    pub address: String,
    /// Free text.
    pub comment: String,
    /// Primary group.
    pub group: u32,
    /// Further groups.
    pub secondary: Vec<u32>,
    /// Operating system.
    pub os: u32,
    /// Switched off.
    pub disabled: bool,
    /// Seconds between two reports.
    pub interval: u32,
    /// Last contact (epoch seconds).
    pub last_contact: i64,
    /// What is measured.
    pub modules: Vec<Module>,
}

/// One measured value.
#[derive(Clone, Debug, Default)]
pub struct Module {
    /// Its id; 0 until its agent is added to a fleet.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// What kind of value.
    pub kind: ModuleKind,
    /// Its state.
    pub state: ModuleState,
    /// The last value, as the database holds it (`17.85000`).
    pub value: String,
    /// When it last reported (epoch seconds); 0 for never.
    pub utimestamp: i64,
    /// Switched off.
    pub disabled: bool,
    /// Deleted by somebody, not yet by the server.
    pub delete_pending: bool,
    /// From and to of the warning range.
    pub warning: (f64, f64),
    /// From and to of the critical range.
    pub critical: (f64, f64),
    /// An alert of it has fired.
    pub alert_fired: bool,
}

/// The type of a module's value, with the number of the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ModuleKind {
    /// A number.
    #[default]
    Data = 1,
    /// 1 for up, 0 for down.
    Proc = 2,
    /// Text.
    Text = 3,
}

/// The state of a module, with the number of the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ModuleState {
    /// All is well.
    #[default]
    Normal = 0,
    /// In the critical range.
    Critical = 1,
    /// In the warning range.
    Warning = 2,
    /// It stopped reporting.
    Unknown = 3,
    /// It has never reported.
    NotInit = 4,
}

/// A planned downtime that happens once.
#[derive(Clone, Debug)]
pub struct Downtime {
    /// Its id.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Start (epoch seconds).
    pub from: i64,
    /// End (epoch seconds).
    pub to: i64,
    /// Whom it concerns.
    pub group: u32,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its id.
    pub id: u32,
    /// The agent; 0 for the site itself.
    pub agent: u32,
    /// The agent's group at that time.
    pub group: u32,
    /// The module; 0 for none.
    pub module: u32,
    /// When (epoch seconds).
    pub utimestamp: i64,
    /// What.
    pub kind: EventKind,
    /// The sentence.
    pub text: String,
    /// The module's value then.
    pub data: String,
}

/// What kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A module became critical.
    Critical,
    /// A module became a warning.
    Warning,
    /// A module stopped reporting.
    Unknown,
    /// An alert fired.
    AlertFired,
    /// An agent was created.
    NewAgent,
}

impl Fleet {
    /// A site with nothing on it but the well-known operating systems.
    pub fn empty(now: i64) -> Self {
        let systems = [(1, "Linux"), (2, "Solaris"), (7, "Cisco"), (9, "Windows"), (10, "Other"), (11, "Network")];
        let tags = [(1, "network"), (2, "critical"), (3, "dmz"), (4, "performance"), (5, "configuration")];
        let named = |(id, name): (u32, &str)| (id, name.to_owned());
        Self {
            server: "pandora".to_owned(),
            zone: Zone::new("UTC", "UTC0"),
            now,
            reporting: false,
            groups: Vec::new(),
            systems: systems.into_iter().map(named).collect(),
            agents: Vec::new(),
            downtimes: Vec::new(),
            events: Vec::new(),
            tags: tags.into_iter().map(named).collect(),
        }
    }

    /// Adds a group, keeping the order of ids.
    #[must_use]
    pub fn group(mut self, id: u32, name: &str, parent: u32) -> Self {
        self.groups.push(Group { id, name: name.to_owned(), parent });
        self.groups.sort_by_key(|group| group.id);
        self
    }

    /// Adds an agent, as [`Fleet::add`] does.
    #[must_use]
    pub fn agent(mut self, agent: Agent) -> Self {
        self.add(agent);
        self
    }

    /// Adds an agent and returns its id. Ids that are 0 become the next free ones; an agent without a contact, and a
    /// module that has reported but does not say when, get the time of the fleet.
    pub fn add(&mut self, mut agent: Agent) -> u32 {
        if agent.id == 0 {
            agent.id = self.agents.iter().map(|other| other.id).max().unwrap_or(0).saturating_add(1);
        }
        if agent.last_contact == 0 {
            agent.last_contact = self.now;
        }
        let mut last = self.modules().map(|(_, module)| module.id).max().unwrap_or(0);
        for module in &mut agent.modules {
            if module.id == 0 {
                module.id = last.saturating_add(1);
            }
            last = last.max(module.id);
            if module.utimestamp == 0 && module.state != ModuleState::NotInit {
                module.utimestamp = self.now;
            }
        }
        let id = agent.id;
        self.agents.push(agent);
        self.agents.sort_by_key(|agent| agent.id);
        id
    }

    /// All modules, each with its agent.
    pub fn modules(&self) -> impl Iterator<Item = (&Agent, &Module)> {
        self.agents.iter().flat_map(|agent| agent.modules.iter().map(move |module| (agent, module)))
    }

    /// The agent with this alias, to change it.
    pub fn agent_mut(&mut self, alias: &str) -> Option<&mut Agent> {
        self.agents.iter_mut().find(|agent| agent.alias == alias)
    }

    /// The time of the last report at `now` of something that had reported at `reported`.
    pub fn last_report(&self, reported: i64, interval: u32, now: i64) -> i64 {
        let interval = i64::from(interval.max(1));
        if !self.reporting || now <= reported {
            return reported;
        }
        now.saturating_sub((now.saturating_sub(reported)).rem_euclid(interval))
    }

    /// When a module last reported, as of `now`. A silent one stays where it was.
    pub fn last_value_at(&self, agent: &Agent, module: &Module, now: i64) -> i64 {
        match module.state {
            ModuleState::Unknown | ModuleState::NotInit => module.utimestamp,
            _ if agent.disabled || module.disabled => module.utimestamp,
            _ => self.last_report(module.utimestamp, agent.interval, now),
        }
    }

    /// When an agent was last in contact, as of `now`. One whose modules are all silent is silent itself.
    pub fn last_contact_at(&self, agent: &Agent, now: i64) -> i64 {
        let silent = agent.modules.iter().all(|module| module.state == ModuleState::Unknown);
        if agent.disabled || (silent && !agent.modules.is_empty()) {
            return agent.last_contact;
        }
        self.last_report(agent.last_contact, agent.interval, now)
    }

    /// The status a console computes for its agent list. It differs from the worst module's state: modules that are
    /// disabled or to be deleted do not count, alerts have numbers of their own, and an old contact overrides it all.
    pub fn status(&self, agent: &Agent, now: i64) -> i64 {
        let counted = || agent.modules.iter().filter(|module| !module.disabled && !module.delete_pending);
        let any = |state| counted().any(|module| module.state == state);
        if counted().all(|module| module.state == ModuleState::NotInit) {
            return 5;
        }
        let silence = now.saturating_sub(self.last_contact_at(agent, now));
        if silence >= i64::from(agent.interval).saturating_mul(2) {
            return 3;
        }
        let fired = counted().any(|module| module.alert_fired);
        if any(ModuleState::Critical) {
            if fired { 100 } else { 1 }
        } else if any(ModuleState::Warning) {
            if fired { 200 } else { 2 }
        } else if any(ModuleState::Unknown) {
            if fired { 4 } else { 3 }
        } else if fired {
            300
        } else {
            0
        }
    }
}

impl Agent {
    /// A Linux host in a group, reporting every five minutes.
    pub fn new(alias: &str, group: u32) -> Self {
        Self { name: alias.to_owned(), alias: alias.to_owned(), group, os: 1, interval: 300, ..Self::default() }
    }

    /// Adds a module.
    #[must_use]
    pub fn module(mut self, module: Module) -> Self {
        self.modules.push(module);
        self
    }

    /// Its groups, the primary one first.
    pub fn groups(&self) -> impl Iterator<Item = u32> {
        std::iter::once(self.group).chain(self.secondary.iter().copied().filter(|group| *group != self.group))
    }
}

impl Module {
    /// A module with a state and a last value.
    pub fn new(name: &str, state: ModuleState, value: &str) -> Self {
        Self { name: name.to_owned(), state, value: value.to_owned(), ..Self::default() }
    }
}

impl ModuleState {
    /// The number of the database.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl ModuleKind {
    /// The number of the database.
    pub const fn number(self) -> u8 {
        self as u8
    }
}
