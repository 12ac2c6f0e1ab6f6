//! Assembly: a checked configuration to a federation. The only file that names concrete adapters.
//!
//! A changed configuration makes a new [`App`] from the old one: sites whose settings are the same keep their slot, and
//! with it their rows, their read in flight and their pauses. Whoever still holds the old one finishes with it.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::clock::Clock;
use crate::config::{self, Config};
use crate::domain::{ErrorCode, SiteError, SiteId, SiteKind};
use crate::federation::{FIRST_LIFE, Federation, Plan, Policy, Slot};
use crate::sites::decoding::Decoding;
use crate::sites::http::Clients;
use crate::sites::pandora::Pandora;
use crate::sites::{Site, View};
use crate::wire::Linker;

/// The program's parts, put together.
#[derive(Clone, Debug)]
pub struct App {
    /// All sites.
    pub federation: Federation,
    /// What it was made from.
    pub config: Arc<Config>,
    shared: Arc<Shared>,
}

/// What a changed configuration changed, by site id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// New sites.
    pub added: Vec<SiteId>,
    /// Sites with other settings; what was known of them is forgotten.
    pub changed: Vec<SiteId>,
    /// Sites that are gone.
    pub removed: Vec<SiteId>,
}

/// What all sites share.
#[derive(Debug)]
struct Shared {
    clients: Clients,
    decoding: Arc<Decoding>,
    clock: Clock,
    /// Reads live no longer than this: nobody would be there to hear of them.
    patience: Option<Duration>,
}

impl App {
    /// For as long as the program runs.
    pub fn new(config: Config, clock: Clock) -> Self {
        Self::with_patience(config, clock, None)
    }

    /// For one question, whose asker waits so long.
    pub fn for_one_question(config: Config, clock: Clock, patience: Duration) -> Self {
        Self::with_patience(config, clock, Some(patience))
    }

    fn with_patience(config: Config, clock: Clock, patience: Option<Duration>) -> Self {
        let clients = Clients::new(&config.gateway.id);
        let places = std::thread::available_parallelism().map_or(1, usize::from).saturating_sub(1);
        let shared = Arc::new(Shared { clients, decoding: Arc::new(Decoding::new(places)), clock, patience });
        let slots = config.sites.iter().map(|site| shared.slot(site)).collect();
        Self { federation: Federation::new(slots, clock), config: Arc::new(config), shared }
    }

    /// With another configuration. Slots of unchanged sites are taken over.
    pub fn with(&self, config: Config) -> (Self, Changes) {
        let mut changes = Changes::default();
        let before = |id: &SiteId| self.config.sites.iter().find(|site| site.id == *id);
        let mut slots = Vec::new();
        for site in &config.sites {
            let kept = self.federation.slot(&site.id).filter(|_| before(&site.id) == Some(site));
            match (kept, before(&site.id)) {
                (Some(slot), _) => slots.push(Arc::clone(slot)),
                (None, known) => {
                    let list = if known.is_some() { &mut changes.changed } else { &mut changes.added };
                    list.push(site.id.clone());
                    slots.push(self.shared.slot(site));
                }
            }
        }
        let stays = |id: &SiteId| config.sites.iter().any(|site| site.id == *id);
        changes.removed = self.config.sites.iter().map(|site| site.id.clone()).filter(|id| !stays(id)).collect();
        let federation = Federation::new(slots, self.shared.clock);
        (Self { federation, config: Arc::new(config), shared: Arc::clone(&self.shared) }, changes)
    }

    /// The clock that everything here goes by.
    pub fn clock(&self) -> Clock {
        self.shared.clock
    }
}

impl Shared {
    fn slot(&self, site: &config::Site) -> Arc<Slot> {
        let capped = |life: Duration| self.patience.map_or(life, |patience| life.min(patience));
        let policy = Policy {
            timeout: capped(site.timeout),
            first_life: capped(site.timeout.max(FIRST_LIFE)),
            refresh_after: site.refresh_after,
            max_age: site.max_age,
            forget_after: site.forget_after,
            max_load: site.max_load,
        };
        let plan = Plan {
            id: site.id.clone(),
            name: site.name.clone(),
            tags: site.tags.clone(),
            policy,
            site: if site.paused { Err(paused()) } else { self.adapter(site) },
        };
        Slot::new(plan, self.clock)
    }

    fn adapter(&self, site: &config::Site) -> Result<Arc<dyn Site>, SiteError> {
        match site.kind {
            SiteKind::Pandora => {
                Ok(Arc::new(Pandora::new(site, &self.clients, Arc::clone(&self.decoding), self.clock)?))
            }
        }
    }
}

fn paused() -> SiteError {
    SiteError::new(ErrorCode::Paused, "paused in the configuration").remedy("remove `paused: true`")
}

impl Linker for App {
    fn console(&self, site: &SiteId, agent: &str) -> Option<Url> {
        let site = self.federation.slot(site)?.plan().site.as_ref().ok()?;
        Some(site.link(View::Agent(agent)))
    }

    fn base(&self) -> &str {
        self.config.gateway.public_url.as_str()
    }
}
