//! Assembly: a checked configuration to a federation. The only file that names concrete adapters.
//!
//! A changed configuration makes a new [`App`] from the old one. Whoever still holds the old one finishes with it. What
//! becomes of a site, in one place (`reads_alike`):
//!
//! 1. Its settings are the same: its slot stays.
//! 2. Only how it is called, grouped, linked or opened, how often it is read, how long a read may take and how long rows
//!    count is new: rows, pauses, figures and the read in flight stay.
//! 3. Anything else, and whatever is not known to be harmless: it begins anew, and what was known is forgotten at once.
//!    Another address may be another installation, and another account may see less. Nothing of the pauses stays
//!    either, so that mended credentials are tried by the next search. `paused` is here too: of a paused site nothing
//!    is shown, and rows from before a pause of unknown length and reason are not what is to be shown after it.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::clock::{Clock, Deadline};
use crate::config::{self, Config};
use crate::domain::{ErrorCode, SiteError, SiteId, SiteKind};
use crate::federation::{FIRST_LIFE, Federation, Plan, Policy, Slot};
use crate::secret::Secret;
use crate::sites::decoding::Decoding;
use crate::sites::http::{self, Clients, Method};
use crate::sites::pandora::Pandora;
use crate::sites::{Places, Site, View};
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
    /// Sites with other settings.
    pub changed: Vec<SiteId>,
    /// Those of them that begin anew: what was known is forgotten.
    pub forgotten: Vec<SiteId>,
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

    /// With another configuration. What is known of a site is taken over where the module's text says so.
    pub fn with(&self, config: Config) -> (Self, Changes) {
        let mut changes = Changes::default();
        let before = |id: &SiteId| self.config.sites.iter().find(|site| site.id == *id);
        let mut slots = Vec::new();
        for site in &config.sites {
            let Some((slot, before)) = self.federation.slot(&site.id).zip(before(&site.id)) else {
                changes.added.push(site.id.clone());
                slots.push(self.shared.slot(site));
                continue;
            };
            if before == site {
                slots.push(Arc::clone(slot));
                continue;
            }
            changes.changed.push(site.id.clone());
            if reads_alike(before, site) {
                let mut plan = self.shared.plan(site, slot.plan().site.as_ref().ok().map(|site| site.places()));
                if (&before.public_url, before.connect_timeout) == (&site.public_url, site.connect_timeout) {
                    // The adapter itself has learned what is read seldom.
                    plan.site = slot.plan().site.clone();
                }
                slots.push(slot.with(plan));
            } else {
                changes.forgotten.push(site.id.clone());
                slots.push(self.shared.slot(site));
            }
        }
        let stays = |id: &SiteId| config.sites.iter().any(|site| site.id == *id);
        changes.removed = self.config.sites.iter().map(|site| site.id.clone()).filter(|id| !stays(id)).collect();
        let federation = self.federation.with(slots);
        (Self { federation, config: Arc::new(config), shared: Arc::clone(&self.shared) }, changes)
    }

    /// Asks the verifier of a site's openings: status and body. `header` goes with it and is secret.
    ///
    /// # Errors
    /// No answer.
    pub async fn ask_verifier(
        &self,
        site: &config::Site,
        url: &Url,
        header: (&'static str, &Secret),
        deadline: Deadline,
    ) -> Result<(u16, Vec<u8>), SiteError> {
        http::beside(site, &self.shared.clients, self.shared.clock, Method::Get, url, header, deadline).await
    }

    /// Tells the verifier something that changes it: a POST, else as [`App::ask_verifier`].
    ///
    /// # Errors
    /// No answer.
    pub async fn tell_verifier(
        &self,
        site: &config::Site,
        url: &Url,
        header: (&'static str, &Secret),
        deadline: Deadline,
    ) -> Result<(u16, Vec<u8>), SiteError> {
        http::beside(site, &self.shared.clients, self.shared.clock, Method::Post, url, header, deadline).await
    }

    /// A digest of what a site's rows depend on. The same in another process: the same rows would have come. `None`:
    /// there is no such site.
    pub fn print(&self, id: &SiteId, salt: &[u8; 16]) -> Option<[u8; 32]> {
        core(self.config.sites.iter().find(|site| site.id == *id)?).print(salt)
    }

    /// The clock that everything here goes by.
    pub fn clock(&self) -> Clock {
        self.shared.clock
    }
}

/// Whether two configurations of a site lead to the same rows.
fn reads_alike(before: &config::Site, now: &config::Site) -> bool {
    core(before) == core(now)
}

/// A site without what its rows do not depend on. A setting that is new to this list makes two sites differ.
fn core(site: &config::Site) -> config::Site {
    config::Site {
        name: String::new(),
        tags: Vec::new(),
        // At least one is there, and the same for the same site.
        public_url: site.urls.first().unwrap_or(&site.public_url).clone(),
        delegation: config::Delegation::default(),
        timeout: Duration::ZERO,
        connect_timeout: Duration::ZERO,
        refresh_after: Duration::ZERO,
        max_age: Duration::ZERO,
        forget_after: Duration::ZERO,
        max_load: 0.0,
        ..site.clone()
    }
}

impl Shared {
    fn slot(&self, site: &config::Site) -> Arc<Slot> {
        Slot::new(self.plan(site, None), self.clock)
    }

    /// `places`: those of who is still at work for the same site.
    fn plan(&self, site: &config::Site, places: Option<Arc<Places>>) -> Plan {
        let capped = |life: Duration| self.patience.map_or(life, |patience| life.min(patience));
        let policy = Policy {
            timeout: capped(site.timeout),
            first_life: capped(site.timeout.max(FIRST_LIFE)),
            refresh_after: site.refresh_after,
            max_age: site.max_age,
            forget_after: site.forget_after,
            max_load: site.max_load,
        };
        Plan {
            id: site.id.clone(),
            name: site.name.clone(),
            tags: site.tags.clone(),
            policy,
            site: if site.paused { Err(paused()) } else { self.adapter(site, places.unwrap_or_default()) },
        }
    }

    fn adapter(&self, site: &config::Site, places: Arc<Places>) -> Result<Arc<dyn Site>, SiteError> {
        match site.kind {
            SiteKind::Pandora => {
                let pandora = Pandora::new(site, &self.clients, Arc::clone(&self.decoding), self.clock)?;
                let pandora = pandora.with_places(places);
                Ok(Arc::new(if self.patience.is_some() { pandora.without_version() } else { pandora }))
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
