//! A federation to try things on: real HTTP servers that answer as Pandora FMS consoles do, over invented hosts.
//!
//! [`Demo`] starts the sites of `metaconsole demo` on loopback. [`Console`] is one of them, for tests: its [`Fleet`] can
//! be changed between two reads, its [`Fault`]s switched while it runs, and its [`Requests`] counted. Nothing here is
//! used when a gateway serves real sites.

mod api;
mod bulk;
mod console;
mod desk;
mod door;
mod fault;
mod fleet;
mod generate;
mod history;
mod login;
mod php;
mod port;
mod random;
mod requests;
mod server;

use std::fmt::Write;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

pub use console::{Account, Console, Settings, Version};
pub use desk::Person;
pub use door::Door;
pub use fault::{Fault, Faults, Rule};
pub use fleet::{Agent, Downtime, Event, EventKind, Fleet, Group, Module, ModuleKind, ModuleState, Zone};
pub use generate::Profile;
pub use php::Parameters;
pub use requests::{Incoming, Load, Requests, Seen};
pub use server::{Handler, Server};

use port::Port;
use url::Url;

use crate::delegation::{KeyError, MasterKey, Purpose, new_master};
use crate::secret::Secret;

/// The site where planned work runs.
const IN_WORK: &str = "lyon";

/// Key id of the keys that every start of the demo makes anew.
const KID: &str = "demo";

/// The id of the demo's gateway.
const GATEWAY: &str = "demo";

/// What everybody's password at the demo consoles is.
const PASSWORD: &str = "demo";

/// The gateway's people of the demo. The second is mapped to an administrator of one console, who is not let in.
pub const PEOPLE: [&str; 2] = ["demo", "chief"];

/// What reads every demo console.
const TOKEN: &str = "demo-token-read-only";

/// As whom most consoles take the demo's people.
const READER: &[(&str, &str)] = &[("demo", "ops.reader")];

/// What a demo site is.
struct Plan {
    id: &'static str,
    name: &'static str,
    tags: &'static [&'static str],
    version: Version,
    cost_per_agent: Duration,
    /// Who of the gateway becomes whom there; nobody where people have to log in.
    accounts: &'static [(&'static str, &'static str)],
    /// Absent for a site that is down.
    profile: Option<Profile>,
}

/// The sites in the order of their ports.
const PLANS: &[Plan] = &[
    Plan {
        id: "madrid",
        name: "Madrid",
        tags: &["emea", "production"],
        version: Version::V776,
        cost_per_agent: Duration::ZERO,
        accounts: READER,
        profile: Some(Profile {
            city: "Madrid",
            prefix: "mad",
            network: 1,
            agents: 1200,
            zone: ("Europe/Madrid", "CET-1CEST,M3.5.0,M10.5.0/3"),
            specials: &["web-01", "db-master", "sw-core-2", "vpn-gateway", "L'Hospitalet", "Ñandú", "R&D <lab> & co"],
            silent_for: Duration::ZERO,
        }),
    },
    Plan {
        id: "lyon",
        name: "Lyon",
        tags: &["emea", "production"],
        version: Version::V776,
        cost_per_agent: Duration::ZERO,
        accounts: &[("demo", "lyon.operator"), ("chief", "sysop")],
        profile: Some(Profile {
            city: "Lyon",
            prefix: "lyo",
            network: 2,
            agents: 700,
            zone: ("Europe/Paris", "CET-1CEST,M3.5.0,M10.5.0/3"),
            specials: &["web-02", "vpn-gateway", "Hôtel de Ville", "two  spaces", "comma,host", "semi;colon;host"],
            silent_for: Duration::ZERO,
        }),
    },
    Plan {
        id: "nairobi",
        name: "Nairobi",
        tags: &["emea"],
        version: Version::V776,
        cost_per_agent: Duration::ZERO,
        accounts: READER,
        profile: Some(Profile {
            city: "Nairobi",
            prefix: "nbo",
            network: 3,
            agents: 900,
            zone: ("Africa/Nairobi", "EAT-3"),
            specials: &["<script>alert(1)</script>", "\"quoted\"", "db-replica", "100% uptime", "back\\slash"],
            silent_for: Duration::ZERO,
        }),
    },
    Plan {
        id: "lima",
        name: "Lima (slow)",
        tags: &["latam", "production"],
        version: Version::V776,
        // An inventory of 400 agents, some of them in several groups, takes about four seconds.
        cost_per_agent: Duration::from_millis(7),
        accounts: READER,
        profile: Some(Profile {
            city: "Lima",
            prefix: "lim",
            network: 4,
            agents: 400,
            zone: ("America/Lima", "<-05>5"),
            specials: &["web-lima", "Cañete", "printer-planta-1"],
            silent_for: Duration::ZERO,
        }),
    },
    Plan {
        id: "oslo",
        name: "Oslo (down)",
        tags: &["emea"],
        version: Version::V776,
        cost_per_agent: Duration::ZERO,
        accounts: &[],
        profile: None,
    },
    Plan {
        id: "kyoto",
        name: "Kyoto (old data)",
        tags: &["apac"],
        version: Version::V772,
        cost_per_agent: Duration::ZERO,
        accounts: READER,
        profile: Some(Profile {
            city: "Kyoto",
            prefix: "kyo",
            network: 6,
            agents: 500,
            zone: ("Asia/Tokyo", "JST-9"),
            specials: &["日本サーバ-01", "京都ゲートウェイ", "web-kyoto"],
            silent_for: Duration::from_secs(9 * 3600),
        }),
    },
];

/// A site of the demo, as a configuration describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoSite {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The console's root for us.
    pub url: String,
    /// The console's root for browsers. Cookies do not separate ports, so every site has a host name of its own.
    pub public_url: String,
    /// Labels.
    pub tags: Vec<String>,
    /// The token of its read-only API account.
    pub token: String,
    /// Who of the gateway's people becomes whom there.
    pub accounts: Vec<(String, String)>,
}

/// The console's own people. The names are those that every demo console has.
fn people() -> Vec<Person> {
    let mut people: Vec<Person> =
        ["ops.reader", "lyon.operator", "night.shift"].iter().map(|name| Person::new(name, PASSWORD)).collect();
    people.push(Person { administrator: true, ..Person::new("sysop", PASSWORD) });
    people
}

/// The verifier of a site, which lets in whoever the gateway may map to, administrators included: those the console
/// itself refuses.
fn door(plan: &Plan, keys: &MasterKey, gateway: &str) -> Result<Option<Door>, KeyError> {
    let Some(gateway) = Url::parse(gateway).ok().filter(|_| !plan.accounts.is_empty()) else { return Ok(None) };
    let keys = Purpose::ALL.iter().map(|(_, purpose)| keys.derive(plan.id, *purpose)).collect::<Result<_, _>>()?;
    let allow = plan.accounts.iter().map(|(_, account)| (*account).to_owned()).collect();
    Ok(Some(Door { site: plan.id.to_owned(), gateway, issuers: vec![GATEWAY.to_owned()], keys, allow }))
}

/// How this machine reaches what listens on `address`, as it stands in a URL.
fn near(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) if !address.is_unspecified() => address.to_string(),
        IpAddr::V6(address) if !address.is_unspecified() => format!("[{address}]"),
        // All of them: loopback is one.
        IpAddr::V4(_) => "127.0.0.1".to_owned(),
        IpAddr::V6(_) => "[::1]".to_owned(),
    }
}

/// The running demo sites. They stop when this is dropped.
#[derive(Debug)]
pub struct Demo {
    sites: Vec<DemoSite>,
    consoles: Vec<Console>,
    /// Where nothing answers, and nobody else can either.
    held: Vec<Port>,
    master: Secret,
}

/// Why the demo did not start.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A port cannot be had.
    #[error("the demo site {site} cannot listen on {address} ({source}); choose other ports with --port")]
    Port {
        /// The site.
        site: &'static str,
        /// Its address.
        address: SocketAddr,
        /// The reason.
        source: io::Error,
    },
    /// There is nothing to sign openings with.
    #[error("the demo's keys cannot be made: {0}")]
    Keys(#[from] KeyError),
    /// The ports after this one do not exist.
    #[error("the demo needs the {needed} ports after {port}; choose a lower one with --port")]
    Range {
        /// The gateway's port.
        port: u16,
        /// How many sites there are.
        needed: usize,
    },
}

impl Demo {
    /// Starts the sites on the ports after `port`, on loopback. Needs a tokio runtime.
    pub fn start(port: u16) -> Result<Self, DemoError> {
        Self::start_on(Ipv4Addr::LOCALHOST.into(), port)
    }

    /// Like [`Demo::start`], on another address of this machine: in a container, loopback is only the container's own.
    pub fn start_on(listen: IpAddr, port: u16) -> Result<Self, DemoError> {
        let mut demo = Self { sites: Vec::new(), consoles: Vec::new(), held: Vec::new(), master: new_master()? };
        let keys = MasterKey::read(KID, &demo.master)?;
        let gateway = format!("http://{}:{port}/", near(listen));
        let mut next = port;
        for (plan, seed) in PLANS.iter().zip(1..) {
            next = next.checked_add(1).ok_or(DemoError::Range { port, needed: PLANS.len() })?;
            let address = SocketAddr::from((listen, next));
            let door = door(plan, &keys, &gateway)?;
            demo.start_site(plan, seed, address, door).map_err(|source| DemoError::Port {
                site: plan.id,
                address,
                source,
            })?;
            demo.sites.push(DemoSite {
                id: plan.id.to_owned(),
                name: plan.name.to_owned(),
                url: console::root(&near(listen), next),
                public_url: console::root(&format!("{}.localhost", plan.id), next),
                tags: plan.tags.iter().map(|tag| (*tag).to_owned()).collect(),
                token: TOKEN.to_owned(),
                accounts: plan
                    .accounts
                    .iter()
                    .map(|(who, account)| (format!("local:{who}"), (*account).into()))
                    .collect(),
            });
        }
        Ok(demo)
    }

    fn start_site(&mut self, plan: &Plan, seed: u64, address: SocketAddr, door: Option<Door>) -> io::Result<()> {
        let Some(profile) = &plan.profile else {
            self.held.push(Port::closed(address)?);
            return Ok(());
        };
        let settings = Settings {
            version: plan.version,
            accounts: vec![Account::read_only(TOKEN)],
            cost_per_agent: plan.cost_per_agent,
            people: people(),
            door,
            ..Settings::default()
        };
        let now = settings.clock.now().as_secs();
        let mut fleet = Fleet::generate(seed, profile, now);
        // Work that runs is the exception, so that it is seen beside sites where none does.
        fleet.downtimes.retain(|downtime| plan.id == IN_WORK || downtime.from > now);
        self.consoles.push(Console::start(address, fleet, settings)?);
        Ok(())
    }

    /// All sites, the one that is down included.
    pub fn sites(&self) -> &[DemoSite] {
        &self.sites
    }

    /// The consoles that run, in the order of [`Demo::sites`].
    pub fn consoles(&self) -> &[Console] {
        &self.consoles
    }

    /// What the gateway signs openings with: `keys` of its configuration, where `master` is a file that holds
    /// [`Demo::master`].
    pub fn keys_yaml(&self, master: &Path) -> String {
        let secret = serde_json::Value::from(format!("file:{}", master.display()));
        format!("  keys: [{{kid: {KID}, secret: {secret}, signing: true}}]\n")
    }

    /// The key that all of that is made with, new at each start.
    pub fn master(&self) -> &Secret {
        &self.master
    }

    /// The section `sites:` of a configuration for exactly these sites; `token` is a file that holds their token.
    pub fn sites_yaml(&self, token: &Path) -> String {
        // A JSON string is a YAML string, whatever is in it.
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let secret = quoted(&format!("file:{}", token.display()));
        let mut yaml = String::from("sites:\n");
        for site in &self.sites {
            // Writing to a String cannot fail.
            let _done = write!(
                yaml,
                "  - id: {}\n    name: {}\n    kind: pandora\n    url: {}\n    public_url: {}\n    tags: [{}]\n    \
                 credentials: {{token: {secret}}}\n",
                site.id,
                quoted(&site.name),
                site.url,
                site.public_url,
                site.tags.join(", "),
            );
            let rules = site
                .accounts
                .iter()
                .map(|(who, account)| format!("{{user: {}, account: {}}}", quoted(who), quoted(account)));
            let rules: Vec<String> = rules.collect();
            let _done = match rules.as_slice() {
                [] => writeln!(yaml, "    delegation: {{verifier: none}}"),
                rules => writeln!(
                    yaml,
                    "    delegation:\n      verifier: dropin\n      url: {}{}\n      accounts: [{}]",
                    site.public_url,
                    door::FILE,
                    rules.join(", ")
                ),
            };
        }
        yaml
    }
}
