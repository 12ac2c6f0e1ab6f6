//! Assembly: a checked configuration to a federation. The only file that names concrete adapters.

use std::collections::HashMap;
use std::sync::Arc;

use url::Url;

use crate::clock::Clock;
use crate::config::{self, Config};
use crate::domain::{ErrorCode, SiteError, SiteId, SiteKind};
use crate::federation::{Federation, Member};
use crate::sites::decoding::Decoding;
use crate::sites::http::Clients;
use crate::sites::pandora::Pandora;
use crate::sites::{Site, View};
use crate::wire::Linker;

/// The program's parts, put together.
#[derive(Debug)]
pub struct App {
    /// All sites.
    pub federation: Federation,
    sites: HashMap<SiteId, Arc<dyn Site>>,
    public_url: String,
}

impl App {
    /// From a checked configuration.
    pub fn new(config: &Config, clock: Clock) -> Self {
        let clients = Clients::new(&config.gateway.id);
        let places = std::thread::available_parallelism().map_or(1, usize::from).saturating_sub(1);
        let decoding = Arc::new(Decoding::new(places));
        let members: Vec<Member> = config.sites.iter().map(|site| member(site, &clients, &decoding, clock)).collect();
        let sites = members.iter().filter_map(|m| Some((m.id.clone(), m.site.clone().ok()?))).collect();
        let federation = Federation::new(members, clock);
        Self { federation, sites, public_url: config.gateway.public_url.to_string() }
    }
}

fn member(site: &config::Site, clients: &Clients, decoding: &Arc<Decoding>, clock: Clock) -> Member {
    let adapter = || -> Result<Arc<dyn Site>, SiteError> {
        match site.kind {
            SiteKind::Pandora => Ok(Arc::new(Pandora::new(site, clients, Arc::clone(decoding), clock)?)),
        }
    };
    let paused = || SiteError::new(ErrorCode::Paused, "paused in the configuration").remedy("remove `paused: true`");
    Member {
        id: site.id.clone(),
        name: site.name.clone(),
        tags: site.tags.clone(),
        timeout: site.timeout,
        site: if site.paused { Err(paused()) } else { adapter() },
    }
}

impl Linker for App {
    fn console(&self, site: &SiteId, agent: &str) -> Option<Url> {
        Some(self.sites.get(site)?.link(View::Agent(agent)))
    }

    fn base(&self) -> &str {
        &self.public_url
    }
}
