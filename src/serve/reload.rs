//! A changed configuration comes into force whole, or not at all.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use crate::app::Changes;
use crate::config::{self, Config, Environment, Mistakes};
use crate::domain::SiteId;
use crate::http::Gateway;

use super::tls::Tls;
use super::watch::{Files, Watch};
use super::{bound, permitted, warn_of_names};

/// Reads the configuration again.
pub(super) struct Reload<'a> {
    file: &'a Path,
    environment: Environment<'a>,
    gateway: Arc<Gateway>,
    /// Where we listen, whatever the file says now.
    address: SocketAddr,
    tls: Tls,
}

/// Why somebody looks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// A person asked, and wants to hear how it went.
    Asked,
    /// A file changed, or at least something near it.
    Noticed,
}

impl<'a> Reload<'a> {
    pub(super) fn new(
        file: &'a Path,
        environment: Environment<'a>,
        gateway: Arc<Gateway>,
        address: SocketAddr,
        tls: Tls,
    ) -> Self {
        Self { file, environment, gateway, address, tls }
    }

    /// Watches the files of the configuration in force, which were read before.
    pub(super) fn follow(&self, watch: &mut Watch) {
        watch.on(&self.files());
        watch.again();
    }

    /// Somebody sent the signal.
    pub(super) fn asked(&self, watch: &mut Watch) {
        self.look(Cause::Asked, watch);
    }

    /// A file has changed.
    pub(super) fn noticed(&self, watch: &mut Watch) {
        self.look(Cause::Noticed, watch);
    }

    fn look(&self, cause: Cause, watch: &mut Watch) {
        let watched = self.files();
        watch.on(&watched);
        self.read(cause);
        let named = self.files();
        if named != watched {
            // A file that is named only now was read before it was watched.
            watch.on(&named);
            watch.again();
        }
    }

    fn files(&self) -> Files {
        let config = Arc::clone(&self.gateway.app.load().config);
        Files::of(self.file, &[config.files.as_slice(), config.named.as_slice()].concat())
    }

    fn read(&self, cause: Cause) {
        match self.load() {
            Ok(config) => self.apply(config, cause),
            Err(reasons) => self.refuse(&reasons, cause),
        }
    }

    fn load(&self) -> Result<Config, Vec<String>> {
        let each = |mistakes: Mistakes| mistakes.0.iter().map(ToString::to_string).collect::<Vec<_>>();
        let config = bound(config::load(self.file, self.environment).map_err(each)?, self.address);
        permitted(&config, self.address).map_err(|open| vec![open.to_string()])?;
        if config.access.has_login() && self.gateway.people.is_none() {
            let told = "the configuration has its first login now; restart, so that the gateway begins to ask for it";
            return Err(vec![told.to_owned()]);
        }
        if !config.access.has_login() && self.gateway.people.is_some() {
            // A slip of the hand must not open everything to whoever comes through the proxy.
            let told = "the configuration has no login any more; restart, if everybody who comes is to read everything";
            return Err(vec![told.to_owned()]);
        }
        Ok(config)
    }

    /// The same mistakes are told once, unless somebody asks.
    fn refuse(&self, reasons: &[String], cause: Cause) {
        let all = Arc::new(reasons.join("\n"));
        let before = self.gateway.reload_error.swap(Some(Arc::clone(&all)));
        if before.as_ref() == Some(&all) && cause == Cause::Noticed {
            return;
        }
        for reason in reasons {
            tracing::error!("{reason}");
        }
        let mistakes = reasons.len();
        tracing::error!(mistakes, "the changed configuration is refused; the earlier one stays in force");
    }

    fn apply(&self, config: Config, cause: Cause) {
        let was_refused = self.gateway.reload_error.swap(None).is_some();
        let app = self.gateway.app.load_full();
        let config = self.staying(config, &app.config);
        if *app.config == config {
            if was_refused || cause == Cause::Asked {
                tracing::info!("configuration read again: nothing differs from the one in force");
            }
            return;
        }
        if config.gateway.tls != app.config.gateway.tls {
            match self.tls.set(config.gateway.tls.as_ref()) {
                Ok(()) => tracing::info!("new connections use the changed certificate"),
                Err(error) => tracing::error!(%error, "the changed certificate cannot be used; the earlier one stays"),
            }
        }
        let (next, changes) = app.with(config);
        let next = Arc::new(next);
        self.gateway.app.store(Arc::clone(&next));
        self.tell(&app.config, &next.config, &changes);
        warn_of_names(&next.config);
    }

    /// The address that is listened on stays until a restart, and with it the links that follow from it: else they
    /// would lead to where nobody listens.
    fn staying(&self, mut config: Config, before: &Config) -> Config {
        let gateway = &mut config.gateway;
        if gateway.listen != self.address {
            tracing::warn!(
                "`gateway.listen` is {} now; restart to listen there instead of {}",
                gateway.listen,
                self.address
            );
            let scheme = gateway.public_url.scheme();
            if gateway.public_url.as_str() == format!("{scheme}://{}/", gateway.listen) {
                gateway.public_url = before.gateway.public_url.clone();
            }
            gateway.listen = self.address;
        }
        config
    }

    fn tell(&self, before: &Config, now: &Config, changes: &Changes) {
        let (old, new) = (&before.gateway, &now.gateway);
        tracing::info!(
            added = names(&changes.added),
            changed = names(&changes.changed),
            removed = names(&changes.removed),
            forgotten = names(&changes.forgotten),
            gateway = if old == new { "same" } else { "changed" },
            access = if before.access == now.access { "same" } else { "changed" },
            "new configuration in force"
        );
        if new.id != old.id {
            tracing::warn!("`gateway.id` is {} now; sites see the earlier one until a restart", new.id);
        }
    }
}

fn names(sites: &[SiteId]) -> String {
    sites.iter().map(SiteId::as_str).collect::<Vec<_>>().join(", ")
}
