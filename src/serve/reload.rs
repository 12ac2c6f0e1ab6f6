//! A changed configuration comes into force whole, or not at all.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use crate::access::People;
use crate::app::{App, Changes};
use crate::audit::Record;
use crate::config::{Config, Environment, Mistakes};
use crate::domain::SiteId;
use crate::http::{Gateway, tell};
use crate::openings::former;

use super::aside::{self, Hangs, LIMIT};
use super::difference::difference;
use super::tls::Tls;
use super::watch::{Files, Watch};
use super::{bound, permitted, warn_of_names};

/// A configuration that could not be recorded is tried again so often.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// Whose change of the configuration it is: whoever writes the file.
const ACTOR: &str = "metaconsole";

/// Reads the configuration again.
pub(super) struct Reload<'a> {
    file: &'a Path,
    environment: Environment<'a>,
    gateway: Arc<Gateway>,
    /// Where we listen, whatever the file says now.
    address: SocketAddr,
    tls: Tls,
    /// Whether the newest configuration waits for the audit log.
    waits: bool,
    /// Files that are still being read.
    hangs: Option<Hangs>,
}

/// Why somebody looks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
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
        Self { file, environment, gateway, address, tls, waits: false, hangs: None }
    }

    /// Watches the files of the configuration in force, which were read before.
    pub(super) async fn follow(&mut self, watch: &mut Watch) {
        if let Err(hangs) = self.watch(watch).await {
            self.wait_for(hangs, Cause::Noticed).await;
        }
        watch.again();
    }

    /// Comes when there is a reason to look again without anybody asking: what could not be recorded should be tried
    /// again, or files can be read again. Else never.
    pub(super) async fn again(&mut self) {
        match &mut self.hangs {
            Some(hangs) => hangs.await,
            None if self.waits => return tokio::time::sleep(TRY_AGAIN).await,
            None => return std::future::pending().await,
        }
        self.hangs = None;
    }

    /// Looks whether the files say something else now. May be dropped at the program's end.
    pub(super) async fn look(&mut self, cause: Cause, watch: &mut Watch) {
        // One thread that hangs is enough; what it reads is looked at when it has ended.
        if self.hangs.as_mut().is_some_and(|hangs| hangs.now_or_never().is_none()) {
            return self.refuse(&[self.slow()], cause).await;
        }
        self.hangs = None;
        if let Err(hangs) = self.read(cause, watch).await {
            self.wait_for(hangs, cause).await;
        }
    }

    async fn wait_for(&mut self, hangs: Hangs, cause: Cause) {
        self.hangs = Some(hangs);
        self.refuse(&[self.slow()], cause).await;
    }

    fn slow(&self) -> String {
        let (file, limit) = (self.file.display(), LIMIT.as_secs());
        format!(
            "cannot read {file}, or a file it names: nothing came within {limit} s; look at the file system they are \
             on; they are read again when it answers"
        )
    }

    async fn read(&mut self, cause: Cause, watch: &mut Watch) -> Result<(), Hangs> {
        let watched = self.watch(watch).await?;
        self.waits = false;
        let loaded = aside::load(self.file, self.environment).await?;
        match self.judged(loaded) {
            Ok(config) => self.apply(config, cause).await,
            Err(reasons) => self.refuse(&reasons, cause).await,
        }
        if self.watch(watch).await? != watched {
            // A file that is named only now was read before it was watched.
            watch.again();
        }
        Ok(())
    }

    async fn watch(&self, watch: &mut Watch) -> Result<Files, Hangs> {
        let config = Arc::clone(&self.gateway.app.load().config);
        watch.on(self.file.to_path_buf(), [config.files.as_slice(), config.named.as_slice()].concat()).await
    }

    fn judged(&self, loaded: Result<Config, Mistakes>) -> Result<Config, Vec<String>> {
        let each = |mistakes: Mistakes| mistakes.0.iter().map(ToString::to_string).collect::<Vec<_>>();
        let config = bound(loaded.map_err(each)?, self.address);
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
    async fn refuse(&self, reasons: &[String], cause: Cause) {
        let all = Arc::new(reasons.join("\n"));
        let before = self.gateway.reload_error.swap(Some(Arc::clone(&all)));
        if before.as_ref() == Some(&all) && cause == Cause::Noticed {
            return;
        }
        for reason in reasons {
            tracing::error!("{reason}");
        }
        let mistakes = reasons.len();
        if let Some(journal) = &self.gateway.journal {
            // Nothing is done, so nothing depends on it.
            let _ = journal.record(Record::configuration_refused(ACTOR, mistakes)).await;
        }
        tracing::error!(mistakes, "the changed configuration is refused; the earlier one stays in force");
    }

    async fn apply(&mut self, config: Config, cause: Cause) {
        let app = self.gateway.app.load_full();
        let config = self.staying(config, &app.config);
        if *app.config == config {
            let was_refused = self.gateway.reload_error.swap(None).is_some();
            if was_refused || cause == Cause::Asked {
                tracing::info!("configuration read again: nothing differs from the one in force");
            }
            return;
        }
        let out = self.people().map(|people| people.out_by(&app.config.access, &config.access)).unwrap_or_default();
        if !self.recorded(&app, &config, &out).await {
            return;
        }
        self.gateway.reload_error.store(None);
        if config.gateway.tls != app.config.gateway.tls {
            match self.tls.set(config.gateway.tls.as_ref()) {
                Ok(()) => tracing::info!("new connections use the changed certificate"),
                Err(error) => tracing::error!(%error, "the changed certificate cannot be used; the earlier one stays"),
            }
        }
        let (next, changes) = app.with(config);
        let next = Arc::new(next);
        self.gateway.app.store(Arc::clone(&next));
        self.sign_out(&out).await;
        self.part(&next, &out).await;
        self.tell(&app.config, &next.config, &changes);
        warn_of_names(&next.config);
    }

    fn people(&self) -> Option<&Arc<People>> {
        self.gateway.people.as_ref()
    }

    /// Whether the change is in the audit log. While it cannot be, the change waits.
    async fn recorded(&mut self, app: &App, config: &Config, out: &[(String, &'static str)]) -> bool {
        let Some((journal, people)) = self.gateway.journal.as_ref().zip(self.people()) else { return true };
        let mut recorded = journal.record(Record::configuration(ACTOR, &difference(&app.config, config))).await.is_ok();
        for (login, why) in out {
            recorded = recorded && people.record_end(login, why).await.is_ok();
        }
        for (site, logins) in &former::by_change(&app.config, config) {
            let told = former::told(site, logins);
            recorded = recorded && journal.record(Record::configuration(ACTOR, &told)).await.is_ok();
        }
        if !recorded {
            self.waits = true;
            let told = "the changed configuration cannot be recorded in the audit log, so the earlier one stays in \
                        force until it can; look at the disk of `gateway.state_dir`";
            if self.gateway.reload_error.swap(Some(Arc::new(told.to_owned()))).is_none() {
                tracing::error!("{told}");
            }
        }
        recorded
    }

    /// At the start: sites that were not told yet, and what another configuration has ended while nothing ran.
    pub(super) async fn finish(&self) {
        let openings = Arc::clone(&self.gateway.openings);
        let left_over = tokio::task::spawn_blocking(move || openings.left_over()).await;
        if let Ok(Ok(errands)) = left_over {
            tell(&self.gateway, errands);
        }
        self.part(&self.gateway.app.load_full(), &[]).await;
    }

    /// Consoles that would not be opened any more, or whose person is signed out: sites that want to know are told.
    async fn part(&self, app: &Arc<App>, out: &[(String, &'static str)]) {
        if self.people().is_none() {
            return;
        }
        let (openings, app) = (Arc::clone(&self.gateway.openings), Arc::clone(app));
        let out: Vec<String> = out.iter().map(|(login, _)| login.clone()).collect();
        let review = move || openings.review(&app.config, &out.iter().map(String::as_str).collect::<Vec<_>>());
        match tokio::task::spawn_blocking(review).await {
            Ok(Ok(errands)) => tell(&self.gateway, errands),
            _ => tracing::error!("sites could not be told of consoles that the configuration ends"),
        }
    }

    async fn sign_out(&self, out: &[(String, &'static str)]) {
        let Some(people) = self.people() else { return };
        for (login, _) in out {
            if let Err(fault) = people.end_all(login).await {
                tracing::error!(login, ?fault, "sessions could not be ended on disk; they are refused all the same");
            }
        }
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
        for (site, logins) in &former::by_change(before, now) {
            tracing::warn!(%site, "{}", former::told(site, logins));
        }
        if new.id != old.id {
            tracing::warn!("`gateway.id` is {} now; sites see the earlier one until a restart", new.id);
        }
    }
}

fn names(sites: &[SiteId]) -> String {
    sites.iter().map(SiteId::as_str).collect::<Vec<_>>().join(", ")
}
