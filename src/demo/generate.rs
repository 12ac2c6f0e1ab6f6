//! Invents the fleet of a site from a seed: believable hosts, mostly well, and the names that break naive programs.

use std::time::Duration;

use super::fleet::{Agent, Downtime, Event, EventKind, Fleet, Module, ModuleKind, ModuleState, Zone};
use super::random::Random;

/// What one site is like.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// Its city: a group, and the name of its server.
    pub city: &'static str,
    /// Start of its host names.
    pub prefix: &'static str,
    /// Second number of its addresses, `10.N.…`.
    pub network: u8,
    /// How many agents, at least the special ones.
    pub agents: usize,
    /// Zone name and POSIX rule.
    pub zone: (&'static str, &'static str),
    /// Hosts with names of their own.
    pub specials: &'static [&'static str],
    /// Its server stopped so long ago; zero for one that runs.
    pub silent_for: Duration,
}

/// A kind of host: part of its name, its group, operating system, and what is measured on it.
struct Role {
    name: &'static str,
    group: u32,
    os: u32,
    /// How many of a hundred hosts are of this kind.
    share: u64,
    measures: &'static [Measure],
}

/// Something measured: name, kind, usual value and how far it strays, start of the warning and critical ranges.
struct Measure {
    name: &'static str,
    kind: ModuleKind,
    usual: f64,
    strays: f64,
    warning: f64,
    critical: f64,
}

const fn data(name: &'static str, usual: f64, strays: f64, warning: f64, critical: f64) -> Measure {
    Measure { name, kind: ModuleKind::Data, usual, strays, warning, critical }
}

const ALIVE: Measure =
    Measure { name: "Host Alive", kind: ModuleKind::Proc, usual: 1.0, strays: 0.0, warning: 0.0, critical: 0.0 };
const LOG: Measure =
    Measure { name: "Log & <errors>", kind: ModuleKind::Text, usual: 0.0, strays: 0.0, warning: 0.0, critical: 0.0 };
const CPU: Measure = data("CPU Load", 24.0, 20.0, 80.0, 95.0);
const MEMORY: Measure = data("Memory Used", 52.0, 20.0, 85.0, 95.0);
const DISK: Measure = data("Disk / Used", 47.0, 25.0, 85.0, 95.0);
const TEMPERATURE: Measure = data("Temp ambiente °C", 21.0, 4.0, 28.0, 35.0);
const TRAFFIC: Measure = data("Net In", 340.0, 300.0, 900.0, 980.0);
const LATENCY: Measure = data("Latency", 12.0, 9.0, 150.0, 400.0);

const SERVERS: u32 = 2;
const FIREWALLS: u32 = 4;
const DATABASES: u32 = 8;
const NETWORK: u32 = 9;
const WORKSTATIONS: u32 = 11;
const WEB: u32 = 13;
const CITY: u32 = 20;
const NORTH: u32 = 21;
const SIGNALS: u32 = 22;
const ANNEX: u32 = 23;

static ROLES: [Role; 8] = [
    Role { name: "web", group: WEB, os: 1, share: 22, measures: &[ALIVE, CPU, MEMORY, DISK, LATENCY] },
    Role { name: "app", group: SERVERS, os: 1, share: 18, measures: &[ALIVE, CPU, MEMORY, DISK, LOG] },
    Role { name: "db", group: DATABASES, os: 1, share: 10, measures: &[ALIVE, CPU, MEMORY, DISK, LATENCY, LOG] },
    Role { name: "vm-win", group: SERVERS, os: 9, share: 14, measures: &[ALIVE, CPU, MEMORY, DISK] },
    Role { name: "sw", group: NETWORK, os: 7, share: 12, measures: &[ALIVE, TRAFFIC, LATENCY, TEMPERATURE] },
    Role { name: "fw", group: FIREWALLS, os: 7, share: 4, measures: &[ALIVE, CPU, TRAFFIC] },
    Role {
        name: "printer",
        group: WORKSTATIONS,
        os: 10,
        share: 8,
        measures: &[ALIVE, data("Toner used", 40.0, 35.0, 85.0, 95.0)],
    },
    Role {
        name: "sensor",
        group: SIGNALS,
        os: APPLIANCE,
        share: 12,
        measures: &[TEMPERATURE, data("Humedad %", 45.0, 8.0, 65.0, 80.0)],
    },
];

/// The operating system that only this organisation has.
const APPLIANCE: u32 = 101;

/// How a host fares.
#[derive(Clone, Copy, PartialEq)]
enum Health {
    Well,
    Troubled(ModuleState),
    Silent,
    Empty,
    New,
}

impl Fleet {
    /// The site of a profile as of `now` (epoch seconds). The same seed makes the same site.
    pub fn generate(seed: u64, profile: &Profile, now: i64) -> Self {
        let silent = i64::try_from(profile.silent_for.as_secs()).unwrap_or(0);
        let told = now.saturating_sub(silent);
        let mut fleet = Self::empty(told)
            .group(SERVERS, "Servers", 0)
            .group(FIREWALLS, "Firewalls", NETWORK)
            .group(DATABASES, "Databases", SERVERS)
            .group(NETWORK, "Network", 0)
            .group(WORKSTATIONS, "Workstations", 0)
            .group(WEB, "Web", SERVERS)
            .group(CITY, profile.city, 0)
            .group(NORTH, &format!("{} Norte", profile.city), CITY)
            .group(SIGNALS, "Señalización & Vías", CITY)
            .group(ANNEX, "L'Annexe (CPD)", 0);
        fleet.server = format!("pandora-{}", profile.prefix);
        fleet.zone = Zone::new(profile.zone.0, profile.zone.1);
        fleet.reporting = silent == 0;
        fleet.systems.insert(APPLIANCE, "Appliance «Vía»".to_owned());
        fleet.tags.insert(7, "café".to_owned());
        let mut inventor = Inventor { random: Random::new(seed), profile, told, module: 0 };
        let total = profile.agents.max(profile.specials.len());
        fleet.agents = (0..total).map(|at| inventor.agent(at)).collect();
        fleet.events = inventor.events(&fleet);
        fleet.downtimes = downtimes(now);
        fleet
    }
}

/// What the fleet is invented from.
struct Inventor<'a> {
    random: Random,
    profile: &'a Profile,
    told: i64,
    /// The id given last.
    module: u32,
}

impl Inventor<'_> {
    fn agent(&mut self, at: usize) -> Agent {
        let number = u32::try_from(at).unwrap_or(u32::MAX).saturating_add(1);
        let special = self.profile.specials.get(at).copied();
        let role = self.role(special);
        let alias = special.map_or_else(|| format!("{}-{}-{number:04}", self.profile.prefix, role.name), str::to_owned);
        // People search for the hosts with names of their own first, so these have something to show.
        let health = match self.health() {
            Health::Empty | Health::New if special.is_some() => Health::Well,
            health => health,
        };
        let address = format!("10.{}.{}.{}", self.profile.network, number / 250, number % 250 + 1);
        let mut agent = Agent {
            id: number,
            name: self.unique_name(&alias),
            address,
            os: role.os,
            disabled: self.random.per_mille(12),
            interval: *self.random.pick(&[300, 300, 300, 60, 600]).unwrap_or(&300),
            comment: format!("{} of {}", role.name, self.profile.city),
            ..Agent::new(&alias, role.group)
        };
        agent.secondary = self.secondary();
        agent.last_contact = self.last_contact(&agent, health);
        let measures = if health == Health::Empty { &[] } else { role.measures };
        let worst = self.random.below(measures.len() as u64);
        for (measure, at) in measures.iter().zip(0_u64..) {
            let module = self.measured(&agent, measure, health, at == worst);
            agent.modules.push(module);
        }
        agent
    }

    /// A special host takes its kind from its name where that says one.
    fn role(&mut self, special: Option<&str>) -> &'static Role {
        if let Some(alias) = special
            && let Some(role) = ROLES.iter().find(|role| alias.starts_with(role.name))
        {
            return role;
        }
        let mut left = self.random.below(ROLES.iter().map(|role| role.share).sum());
        let [first, ..] = &ROLES;
        let drawn = ROLES.iter().find(|role| {
            let here = left < role.share;
            left = left.saturating_sub(role.share);
            here
        });
        drawn.unwrap_or(first)
    }

    fn health(&mut self) -> Health {
        match self.random.below(1000) {
            0..45 => Health::Troubled(ModuleState::Warning),
            45..75 => Health::Troubled(ModuleState::Critical),
            75..95 => Health::Silent,
            95..105 => Health::Empty,
            105..115 => Health::New,
            _ => Health::Well,
        }
    }

    /// Installers give names that are no host names a random one, and show the alias.
    fn unique_name(&mut self, alias: &str) -> String {
        let plain = alias.chars().all(|c| c.is_ascii_alphanumeric() || "-_. ".contains(c));
        if plain {
            return alias.to_owned();
        }
        (0..4).map(|_| format!("{:016x}", self.random.next())).collect()
    }

    fn secondary(&mut self) -> Vec<u32> {
        let mut groups = Vec::new();
        for (group, part) in [(CITY, 250), (NORTH, 80), (ANNEX, 60)] {
            if self.random.per_mille(part) {
                groups.push(group);
            }
        }
        groups
    }

    fn last_contact(&mut self, agent: &Agent, health: Health) -> i64 {
        let ago = match health {
            Health::Silent => 3_600 + self.random.below(400_000),
            _ => self.random.below(u64::from(agent.interval)),
        };
        self.told.saturating_sub(i64::try_from(ago).unwrap_or(0))
    }

    fn measured(&mut self, agent: &Agent, measure: &Measure, health: Health, worst: bool) -> Module {
        let state = match health {
            Health::Troubled(state) if worst => state,
            Health::Silent => ModuleState::Unknown,
            Health::New => ModuleState::NotInit,
            _ => ModuleState::Normal,
        };
        // A host is up or down, and a line of a log is either well or an error: neither has a warning.
        let state = match (measure.kind, state) {
            (ModuleKind::Proc | ModuleKind::Text, ModuleState::Warning) => ModuleState::Critical,
            (_, state) => state,
        };
        self.module = self.module.saturating_add(1);
        let never = state == ModuleState::NotInit;
        Module {
            id: self.module,
            kind: measure.kind,
            utimestamp: if never { 0 } else { agent.last_contact },
            disabled: self.random.per_mille(8),
            delete_pending: self.random.per_mille(4),
            warning: (measure.warning, measure.critical),
            critical: (measure.critical, 0.0),
            alert_fired: state == ModuleState::Critical && self.random.per_mille(300),
            ..Module::new(measure.name, state, &if never { String::new() } else { self.value(measure, state) })
        }
    }

    fn value(&mut self, measure: &Measure, state: ModuleState) -> String {
        let part = self.random.fraction();
        match (measure.kind, state) {
            (ModuleKind::Proc, state) => format!("{}.00000", u8::from(state != ModuleState::Critical)),
            (ModuleKind::Text, ModuleState::Critical) => "ERROR; can't connect".to_owned(),
            (ModuleKind::Text, _) => "OK; all \"fine\" <b>ñ</b> & well".to_owned(),
            (ModuleKind::Data, ModuleState::Warning) => {
                format!("{:.5}", measure.warning + part * (measure.critical - measure.warning) * 0.9)
            }
            (ModuleKind::Data, ModuleState::Critical) => format!("{:.5}", measure.critical * (1.0 + part * 0.04)),
            (ModuleKind::Data, _) => format!("{:.5}", measure.usual + (part * 2.0 - 1.0) * measure.strays),
        }
    }

    /// One event for every module that is not well, one for every alert, one for every new agent; the oldest first.
    fn events(&mut self, fleet: &Fleet) -> Vec<Event> {
        let mut events = Vec::new();
        for agent in &fleet.agents {
            let event = |module: &Module, at: i64, kind, text: String| Event {
                id: 0,
                agent: agent.id,
                group: agent.group,
                module: module.id,
                utimestamp: at,
                kind,
                text,
                data: module.value.clone(),
            };
            if !agent.modules.is_empty() && agent.modules.iter().all(|module| module.state == ModuleState::NotInit) {
                let text = format!("Agent [{}] created by {}", agent.alias, fleet.server);
                events.push(event(&Module::default(), agent.last_contact, EventKind::NewAgent, text));
            }
            for module in agent.modules.iter().filter(|module| !module.disabled && !agent.disabled) {
                let (kind, word) = match module.state {
                    ModuleState::Critical => (EventKind::Critical, "CRITICAL"),
                    ModuleState::Warning => (EventKind::Warning, "WARNING"),
                    ModuleState::Unknown => (EventKind::Unknown, "UNKNOWN"),
                    ModuleState::Normal | ModuleState::NotInit => continue,
                };
                let ago = i64::try_from(self.random.below(86_400)).unwrap_or(0);
                let at = if kind == EventKind::Unknown { module.utimestamp + 600 } else { self.told - ago };
                events.push(event(module, at, kind, format!("Module '{}' is going to {word}", module.name)));
                if module.alert_fired {
                    let text = format!("fired (Critical condition) assigned to ({})", module.name);
                    events.push(event(module, at, EventKind::AlertFired, text));
                }
            }
        }
        events.sort_by_key(|event| event.utimestamp);
        for (event, id) in events.iter_mut().zip(1..) {
            event.id = id;
        }
        events
    }
}

/// One that runs and one that comes.
fn downtimes(now: i64) -> Vec<Downtime> {
    let downtime = |id, name: &str, description: &str, from: i64, group| Downtime {
        id,
        name: name.to_owned(),
        description: description.to_owned(),
        from: now.saturating_add(from),
        to: now.saturating_add(from).saturating_add(7_800),
        group,
    };
    vec![
        downtime(1, "Ventana cañón", "monthly; switches & firewalls", -600, NETWORK),
        downtime(2, "Night patch", "", 86_400, WEB),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const NOW: i64 = 1_795_404_681;

    fn profile() -> Profile {
        Profile {
            city: "Madrid",
            prefix: "mad",
            network: 1,
            agents: 800,
            zone: ("Europe/Madrid", "CET-1CEST,M3.5.0,M10.5.0/3"),
            specials: &["web-01", "sw-core-2", "Ñandú", "vpn-gateway"],
            silent_for: Duration::ZERO,
        }
    }

    #[test]
    fn a_fleet_is_the_same_for_the_same_seed() {
        let debug = |seed| format!("{:?}", Fleet::generate(seed, &profile(), NOW));
        assert_eq!(debug(7), debug(7));
        assert_ne!(debug(7), debug(8));
    }

    #[test]
    fn a_fleet_has_every_kind_of_trouble_and_is_mostly_well() {
        let fleet = Fleet::generate(1, &profile(), NOW);
        let statuses: Vec<i64> = fleet.agents.iter().map(|agent| fleet.status(agent, NOW)).collect();
        let seen: BTreeSet<i64> = statuses.iter().copied().collect();
        assert!(seen.is_superset(&BTreeSet::from([0, 1, 2, 3, 5, 100])), "{seen:?}");
        assert!(statuses.iter().filter(|status| **status == 0).count() > 600);
        assert!(
            fleet.agents.iter().any(|agent| agent.disabled)
                && fleet.agents.iter().any(|agent| agent.modules.is_empty())
        );
        assert!(
            fleet.modules().any(|(_, module)| module.disabled)
                && fleet.modules().any(|(_, module)| module.delete_pending)
        );
        assert!(
            fleet.agents.iter().any(|agent| agent.os == APPLIANCE)
                && fleet.agents.iter().any(|agent| !agent.secondary.is_empty())
        );
        let ids: BTreeSet<u32> = fleet.modules().map(|(_, module)| module.id).collect();
        assert_eq!(ids.len(), fleet.modules().count());
        assert!(!fleet.events.is_empty());
    }

    #[test]
    fn a_running_site_stays_fresh_and_a_stopped_one_ages() {
        let later = NOW + 86_400;
        let fleet = Fleet::generate(1, &profile(), NOW);
        let fresh = fleet.agents.iter().filter(|agent| fleet.status(agent, later) == 3).count();
        assert!(fresh < 50, "{fresh}");
        let stopped = Profile { silent_for: Duration::from_secs(9 * 3600), ..profile() };
        let fleet = Fleet::generate(1, &stopped, NOW);
        let newest = fleet.modules().map(|(agent, module)| fleet.last_value_at(agent, module, later)).max().unwrap();
        assert!((NOW - 9 * 3600 - 600..=NOW - 9 * 3600).contains(&newest));
    }
}
