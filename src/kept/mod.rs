//! The last known rows, kept over a restart where the configuration says `last_known: true`.
//!
//! - **One file** in `gateway.state_dir`, for its owner only (`file.rs`). It is a memory, not a source: what is wrong with
//!   it costs the rows, never the start.
//! - **Written beside everything else**, after reads have ended: at most every 30 s, and for at most a fiftieth of the
//!   time; once more at the end of the process. A kill costs what was read since.
//! - **Always stale.** Rows that come out of it keep their time, count as old however young they are, and go when the
//!   site has been read or at `forget_after`.
//! - **Bound to what a site is:** rows of a site whose address, credentials or anything else that matters has changed
//!   meanwhile are not taken, as they would not have been over a reload.
//! - **Gone when it is switched off,** with the file.

mod file;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use crate::app::App;
use crate::clock::{Deadline, Stopwatch, Timestamp};
use crate::config::Config;
use crate::domain::SiteId;
use crate::federation::{Held, Recalled};
use file::{Rows, Salt};

/// It is looked so often whether a read has ended.
const LOOK: Duration = Duration::from_secs(1);

/// Not written more often.
const PAUSE: Duration = Duration::from_secs(30);

/// Nor for more than this part of the time.
const SHARE: u32 = 50;

/// Which rows of a site: the inventory's number, and when it was asked for.
type Mark = (SiteId, u64, Timestamp);

/// Keeps the rows.
#[derive(Debug)]
pub struct Keeper {
    salt: Salt,
    /// Digests of sites under this configuration.
    prints: HashMap<SiteId, Option<[u8; 32]>>,
    of: Option<Arc<Config>>,
    /// Where the file is, if rows are kept.
    folder: Option<PathBuf>,
    /// What is in it.
    written: Vec<Mark>,
    /// Whether the last attempt failed, which is told once.
    fails: bool,
}

impl Keeper {
    /// Gives the sites their last known rows, where they are to be kept; else takes the file away. Blocks.
    pub fn begin(app: &App) -> Self {
        let mut salt = Salt::default();
        // Without a salt of its own a digest is still one; it is only easier to guess by.
        let _ = getrandom::fill(&mut salt);
        let (prints, of, written) = (HashMap::new(), None, Vec::new());
        let mut keeper = Self { salt, prints, of, folder: folder(&app.config), written, fails: false };
        match (&keeper.folder, &app.config.gateway.state_dir) {
            (Some(folder), _) => {
                let folder = folder.clone();
                keeper.recall(app, &folder);
            }
            (None, Some(folder)) => removed(folder),
            (None, None) => {}
        }
        keeper
    }

    fn recall(&mut self, app: &App, folder: &Path) {
        let now = app.clock().now();
        let config = Arc::clone(&app.config);
        let mut same = |salt: &Salt, id: &SiteId, print: &[u8; 32], as_of: Timestamp| {
            let site = config.sites.iter().find(|site| site.id == *id)?;
            // Of a time to come nobody can say how old it is.
            let known = as_of <= now && as_of.until(now) <= site.forget_after;
            (known && app.print(id, salt).as_ref() == Some(print)).then_some(site.max_agents)
        };
        let read = file::read(folder, &mut same);
        let file = folder.join(file::NAME);
        match read {
            Ok(None) => {}
            Ok(Some((salt, sites))) => {
                // The same digests from now on.
                self.salt = salt;
                let (mut agents, mut count) = (0, 0);
                for Rows { site, as_of, warnings, inventory, print: _ } in sites {
                    let Some(slot) = app.federation.slot(&site) else { continue };
                    (agents, count) = (agents + inventory.len(), count + 1);
                    slot.recall(Recalled { inventory: Arc::new(inventory), as_of, warnings });
                }
                tracing::info!(sites = count, agents, "last known rows are shown, as stale, until sites are read");
            }
            Err(why) => {
                let file = file.display();
                tracing::warn!("the last known rows in {file} are not used: {why}; it is written anew after a read");
            }
        }
    }

    /// Writes the rows whenever there are others, until `stop`, and then once more. Takes `current` as the program's
    /// parts at that time.
    pub async fn keep(mut self, current: impl Fn() -> Arc<App>, mut stop: oneshot::Receiver<()>) {
        let mut tick = tokio::time::interval(LOOK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut not_before = Deadline::after(Duration::ZERO);
        loop {
            let ends = tokio::select! {
                _ = &mut stop => true,
                _ = tick.tick() => false,
            };
            let app = current();
            if ends || not_before.remaining().is_zero() || folder(&app.config) != self.folder {
                let watch = Stopwatch::start();
                // A disk may take its time, or hang: then nothing more is written, and nothing else waits for it.
                let Ok((keeper, wrote)) = tokio::task::spawn_blocking(move || self.look(&app)).await else { return };
                self = keeper;
                if wrote {
                    not_before = Deadline::after(PAUSE.max(watch.elapsed().saturating_mul(SHARE)));
                }
            }
            if ends {
                return;
            }
        }
    }

    /// Writes the file if it should say something else. Whether the disk had to do with it.
    fn look(mut self, app: &App) -> (Self, bool) {
        let wanted = folder(&app.config);
        if wanted != self.folder {
            let state = app.config.gateway.state_dir.iter().filter(|_| wanted.is_none());
            self.folder.iter().chain(state).for_each(|folder| removed(folder));
            (self.folder, self.written) = (wanted, Vec::new());
        }
        let Some(folder) = self.folder.clone() else { return (self, false) };
        let slots = app.federation.slots();
        let known: Vec<_> = slots.iter().filter_map(|slot| Some((slot.plan().id.clone(), slot.known()?))).collect();
        let marks: Vec<Mark> = known.iter().map(|(id, held)| (id.clone(), held.inventory.id(), held.as_of)).collect();
        if marks == self.written {
            return (self, false);
        }
        let rows: Vec<_> = known.into_iter().filter_map(|(id, held)| self.rows(app, id, held)).collect();
        match file::write(&folder, &self.salt, &rows) {
            Ok(()) => {
                if std::mem::take(&mut self.fails) {
                    tracing::info!("the last known rows can be kept again");
                }
                self.written = marks;
            }
            Err(error) if !std::mem::replace(&mut self.fails, true) => {
                let file = folder.join(file::NAME);
                tracing::warn!(
                    "the last known rows cannot be kept in {}: {error}; a restart may begin without them",
                    file.display()
                );
            }
            Err(_) => {}
        }
        (self, true)
    }

    fn rows(&mut self, app: &App, site: SiteId, held: Held) -> Option<Rows<Arc<crate::inventory::Inventory>>> {
        if !self.of.as_ref().is_some_and(|config| Arc::ptr_eq(config, &app.config)) {
            (self.prints, self.of) = (HashMap::new(), Some(Arc::clone(&app.config)));
        }
        let salt = self.salt;
        let print = (*self.prints.entry(site.clone()).or_insert_with(|| app.print(&site, &salt)))?;
        Some(Rows { site, print, as_of: held.as_of, warnings: held.warnings.to_vec(), inventory: held.inventory })
    }
}

/// Where rows are kept, if they are.
fn folder(config: &Config) -> Option<PathBuf> {
    config.gateway.state_dir.clone().filter(|_| config.gateway.last_known)
}

fn removed(folder: &Path) {
    let file = folder.join(file::NAME);
    match file::remove(folder) {
        Ok(false) => {}
        Ok(true) => tracing::info!("{} is gone: `gateway.last_known` is not on", file.display()),
        Err(error) => tracing::warn!("{} cannot be removed: {error}; remove it by hand", file.display()),
    }
}
