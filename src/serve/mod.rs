//! A running gateway: from a configuration file to a port that answers, until the system asks it to end.
//!
//! [`Service::open`] does everything that can be refused: it reads the configuration, judges who could reach us, takes
//! the port. [`Service::run`] answers, follows the configuration's files, and drains at the end.

mod accept;
mod aside;
mod connection;
mod difference;
mod door;
mod gate;
mod hashes;
mod reload;
mod signals;
mod socket;
mod tls;
mod watch;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch as state};
use tokio::task::{JoinError, JoinHandle};

use crate::access::journal::Journal;
use crate::access::password::Passwords;
use crate::access::{OpenError, People};
use crate::app::App;
use crate::audit;
use crate::clock::Clock;
use crate::config::{Config, Environment, Mistakes};
use crate::delegation::{Embedded, StoreError};
use crate::http::{self, Gateway};
use crate::kept::Keeper;
use crate::openings::{Ledger, Openings, witness};

use accept::Limits;
use door::Door;
use reload::{Cause, Reload};
use signals::{Asked, Signals};
use tls::Tls;
use watch::Watch;

pub use gate::{GateError, GateService};
pub use signals::Hangup;

/// The last known rows may take so long at the end.
const LAST_WRITE: Duration = Duration::from_secs(5);

/// In `state_dir`: tokens that were taken.
pub const USED: &str = "used.redb";

/// In `state_dir`: what was opened.
pub const OPENED: &str = "openings.redb";

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration has mistakes.
    #[error("{0}")]
    Config(Mistakes),
    /// Its files cannot be read: their file system does not answer.
    #[error("cannot read {}, or a file it names: nothing came within {} s; look at the file system they are on", .0.display(), aside::LIMIT.as_secs())]
    Slow(PathBuf),
    /// Anybody could read.
    #[error("{0}")]
    Open(OpenToAll),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {}; {}", listen_reason(.source), listen_remedy(.source))]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// Nobody could log in.
    #[error("{0}")]
    People(OpenError),
    /// Used tokens could not be remembered.
    #[error("{0}")]
    Used(StoreError),
    /// Nothing could be recorded.
    #[error("{0}")]
    Audit(audit::OpenError),
    /// Our own certificate cannot be used.
    #[error("`gateway.tls` cannot be used: {0}; give a certificate and its key in PEM form")]
    Tls(rustls::Error),
    /// The system gives no signals.
    #[error("cannot listen for signals: {0}")]
    Signals(io::Error),
}

fn listen_reason(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another program listens there",
        io::ErrorKind::AddrNotAvailable => "this machine does not have the address",
        io::ErrorKind::PermissionDenied => "permission denied",
        _ => "the system refuses",
    }
}

fn listen_remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "end it, or write another port in `gateway.listen` (demo: --port)",
        io::ErrorKind::PermissionDenied => "write a port from 1024 in `gateway.listen` (demo: --port)",
        _ => "write another address in `gateway.listen` (demo: --listen, --port)",
    }
}

/// Why a running gateway ended although nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The listener gives no connections any more.
    #[error("no connection can be taken any more: {0}; start the gateway again")]
    Listener(io::Error),
    /// A fault of ours.
    #[error("taking connections failed by a fault of this program: {0}; start it again, and please report it")]
    Fault(JoinError),
}

/// Listening beyond loopback without log-in, and nobody said that this is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "nobody has to log in, so everybody who reaches {0} could read; write `gateway.allow_anonymous: true` if that is \
     meant, or `access.users` for a log-in, or a loopback address in `gateway.listen`"
)]
pub struct OpenToAll(SocketAddr);

/// A gateway that has its configuration and its port.
pub struct Service<'a> {
    listener: TcpListener,
    address: SocketAddr,
    signals: Signals,
    draining: state::Sender<bool>,
    limits: Limits,
    gateway: Arc<Gateway>,
    reload: Reload<'a>,
    watch: Watch,
    tls: Tls,
    /// None while its file system hangs.
    keeper: Option<Keeper>,
}

impl<'a> Service<'a> {
    /// Reads `file` and takes the port it names. From here on connections wait to be answered, and signals too.
    ///
    /// # Errors
    /// What is wrong, with a remedy.
    pub async fn open(file: &'a Path, environment: Environment<'a>, hangup: Hangup) -> Result<Self, StartError> {
        let limits = match hangup {
            Hangup::Reload => Limits::USUAL,
            // Started by a person at a terminal; nobody balances load to it.
            Hangup::End => Limits { linger: Duration::ZERO, ..Limits::USUAL },
        };
        let signals = Signals::listen(hangup).map_err(StartError::Signals)?;
        let mut watch = Watch::new();
        // Watched before it is read, so that no change falls in between.
        let slow = |_| StartError::Slow(file.to_path_buf());
        watch.on(file.to_path_buf(), Vec::new()).await.map_err(slow)?;
        let config = aside::load(file, environment).await.map_err(slow)?.map_err(StartError::Config)?;
        let wanted = config.gateway.listen;
        permitted(&config, wanted).map_err(StartError::Open)?;
        let listen = |source| StartError::Listen { address: wanted, source };
        let tls = Tls::new(config.gateway.tls.as_ref()).map_err(StartError::Tls)?;
        let journal = journal(&config).map_err(StartError::Audit)?;
        let people = people(&config, journal.as_ref()).map_err(StartError::People)?;
        let openings = Arc::new(openings(&config, journal.as_ref()).map_err(StartError::Used)?);
        let listener = TcpListener::bind(wanted).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let config = bound(config, address);
        warn_of_readers(&config, address);
        warn_of_names(&config);
        let (draining, is_draining) = state::channel(false);
        let gateway = Arc::new(Gateway {
            app: Arc::new(ArcSwap::from_pointee(App::new(config, Clock::System))),
            draining: is_draining,
            reload_error: Arc::new(ArcSwapOption::empty()),
            people,
            openings,
            journal,
        });
        hashes::warn(&gateway);
        let reload = Reload::new(file, environment, Arc::clone(&gateway), address, tls.clone());
        let app = gateway.app.load_full();
        let keeper = aside::run(move || Keeper::begin(&app)).await.ok();
        if keeper.is_none() {
            tracing::warn!(
                "`gateway.state_dir` does not answer, so no rows are kept; look at the file system it is on"
            );
        }
        Ok(Self { listener, address, signals, draining, limits, gateway, reload, watch, tls, keeper })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The configuration it starts with.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.gateway.app.load().config)
    }

    /// Answers until the system asks it to end, and until running requests are answered after that.
    ///
    /// # Errors
    /// It ended although nobody asked.
    pub async fn run(self) -> Result<(), Broken> {
        let journal = self.gateway.journal.clone();
        let ended = self.answer().await;
        if let Some(journal) = journal {
            journal.close().await;
        }
        ended
    }

    async fn answer(self) -> Result<(), Broken> {
        let router = http::router(Arc::clone(&self.gateway));
        let gateway = Arc::clone(&self.gateway);
        self.reload.finish().await;
        let door = Door::new(accept::PLACES, move |peer| {
            let proxies = &gateway.app.load().config.gateway.trusted_proxies;
            peer.is_loopback() || proxies.iter().any(|proxies| proxies.contains(&peer))
        });
        let Self { listener, mut signals, draining, limits, mut reload, mut watch, tls, keeper, gateway, .. } = self;
        let (stop, stopped) = oneshot::channel();
        let app = Arc::clone(&gateway.app);
        let keeping = keeper.map(|keeper| tokio::spawn(keeper.keep(move || app.load_full(), stopped)));
        let mut serving = tokio::spawn(accept::serve(listener, router, draining.subscribe(), door, limits, tls));
        until_asked(&mut serving, &mut signals, &mut reload, &mut watch).await?;
        tracing::info!("asked to end: soon no new connections, running requests are answered");
        draining.send_replace(true);
        tokio::select! {
            ended = &mut serving => ended.map_err(Broken::Fault)?.map_err(Broken::Listener)?,
            () = asked_again(&mut signals) => {
                tracing::warn!("asked again: ended at once");
                return Ok(());
            }
        }
        drop(stop);
        if let Some(keeping) = keeping {
            // What was read since is written, unless the disk hangs.
            let _ = tokio::time::timeout(LAST_WRITE, keeping).await;
        }
        tracing::info!("ended");
        Ok(())
    }
}

/// Follows the configuration until the system asks to end. That connections are no longer taken is an error.
async fn until_asked(
    serving: &mut JoinHandle<io::Result<()>>,
    signals: &mut Signals,
    reload: &mut Reload<'_>,
    watch: &mut Watch,
) -> Result<(), Broken> {
    // Now the files are known that the configuration names.
    let mut next = unless_ended(reload.follow(watch), signals).await;
    loop {
        if next == Asked::Nothing {
            next = tokio::select! {
                ended = &mut *serving => {
                    ended.map_err(Broken::Fault)?.map_err(Broken::Listener)?;
                    return Err(Broken::Listener(io::ErrorKind::NotConnected.into()));
                }
                asked = signals.next() => asked,
                () = watch.changed() => Asked::Nothing,
                () = reload.again() => Asked::Nothing,
            };
        }
        let cause = match next {
            Asked::End => return Ok(()),
            Asked::Reload => Cause::Asked,
            Asked::Nothing => Cause::Noticed,
        };
        next = unless_ended(reload.look(cause, watch), signals).await;
    }
}

/// Does this, unless the system asks to end meanwhile. What it asks besides is said afterwards.
async fn unless_ended(work: impl Future<Output = ()>, signals: &mut Signals) -> Asked {
    let (mut work, mut besides) = (std::pin::pin!(work), Asked::Nothing);
    loop {
        tokio::select! {
            () = &mut work => return besides,
            asked = signals.next() => match asked {
                Asked::End => return Asked::End,
                other => besides = other,
            },
        }
    }
}

impl std::fmt::Debug for Service<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("address", &self.address).finish_non_exhaustive()
    }
}

async fn asked_again(signals: &mut Signals) {
    while signals.next().await != Asked::End {}
}

/// Whether this configuration may be served at this address.
fn permitted(config: &Config, address: SocketAddr) -> Result<(), OpenToAll> {
    let meant = config.gateway.allow_anonymous || config.access.has_login();
    if address.ip().is_loopback() || meant { Ok(()) } else { Err(OpenToAll(address)) }
}

/// The audit log: wherever there is a login.
fn journal(config: &Config) -> Result<Option<Arc<Journal>>, audit::OpenError> {
    let folder = config.gateway.state_dir.as_deref().filter(|_| config.access.has_login());
    let open = |folder: &Path| Journal::open(&folder.join("audit"), &config.gateway.id, Clock::System).map(Arc::new);
    folder.map(open).transpose()
}

/// Those who may log in, where the configuration has anybody. Their state must be there before the port is taken.
fn people(config: &Config, journal: Option<&Arc<Journal>>) -> Result<Option<Arc<People>>, OpenError> {
    let Some((folder, journal)) = config.gateway.state_dir.as_deref().zip(journal) else { return Ok(None) };
    let (login, witness) = (Box::new(Passwords::default()), Arc::clone(journal) as _);
    let people = People::open(folder, &config.gateway.id, &config.access, login, witness, Clock::System)?;
    Ok(Some(Arc::new(people)))
}

/// With their files wherever somebody can log in, since keys may come with another configuration. A file that cannot be
/// used closes openings and nothing else. [`people`] made the folder.
fn openings(config: &Config, journal: Option<&Arc<Journal>>) -> Result<Openings, StoreError> {
    let openings = match journal {
        Some(journal) => Openings::new(Arc::new(witness::Journaled::new(Arc::clone(journal))), Clock::System),
        // Nobody can log in, so nothing can be opened.
        None => Openings::new(Arc::new(witness::TellLog), Clock::System),
    };
    let Some(folder) = config.gateway.state_dir.as_deref().filter(|_| config.access.has_login()) else {
        return Ok(openings);
    };
    let used = Embedded::open_whenever(&folder.join(USED))?;
    Ok(openings.with_used(Arc::new(used)).with_ledger(Ledger::at(&folder.join(OPENED))))
}

/// With the port that was taken where the configuration left the choice to the system (`:0`).
fn bound(mut config: Config, address: SocketAddr) -> Config {
    let gateway = &mut config.gateway;
    if gateway.listen.port() == 0 && gateway.listen.ip() == address.ip() {
        gateway.listen = address;
        if gateway.public_url.port() == Some(0) {
            // An http address with a host takes any port.
            let _ = gateway.public_url.set_port(Some(address.port()));
        }
    }
    config
}

/// Who can read is told at every start.
fn warn_of_readers(config: &Config, address: SocketAddr) {
    if config.access.has_login() {
        let (users, tokens) = (config.access.users.len(), config.access.api_tokens.len());
        return tracing::info!("{users} users and {tokens} API tokens may come in");
    }
    if address.ip().is_loopback() {
        tracing::warn!(
            "nobody has to log in: every local user can read everything that the sites' accounts see; to change that, \
             run `metaconsole password` and write `access.users` (docs/access.md)"
        );
    } else {
        tracing::warn!(
            "nobody has to log in: everybody who reaches {address} can read everything that the sites' accounts see"
        );
    }
}

/// Names that work, but not as anybody would want.
fn warn_of_names(config: &Config) {
    let public_url = &config.gateway.public_url;
    if config.gateway.listen.ip().is_unspecified()
        && public_url.host_str() == Some(&config.gateway.listen.ip().to_string())
    {
        tracing::warn!("links will begin with {public_url}, which leads nowhere; write `gateway.public_url`");
    }
    let shared: Vec<&str> = config.under_own_host().map(|site| site.id.as_str()).collect();
    if let Some(host) = public_url.host_str().filter(|_| !shared.is_empty()) {
        tracing::warn!(
            sites = shared.join(", "),
            "browsers reach these sites under the gateway's own host name {host}, so cookies of the one go to the \
             other; give the gateway or the sites a name of their own in `public_url`"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::config;

    fn config(gateway: &str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sites.yaml");
        let site = "{id: a, url: \"http://10.0.0.1/\", credentials: {token: \"${T}\"}}";
        std::fs::write(&file, format!("gateway: {{{gateway}}}\nsites: [{site}]\n")).unwrap();
        config::load(&file, &|_| Some("x".to_owned())).unwrap()
    }

    #[test]
    fn beyond_loopback_somebody_must_have_meant_it() {
        let near: SocketAddr = "127.0.0.9:80".parse().unwrap();
        let far: SocketAddr = "[::]:80".parse().unwrap();
        assert_eq!(permitted(&config("id: a"), near), Ok(()));
        assert_eq!(permitted(&config("id: a"), far), Err(OpenToAll(far)));
        assert_eq!(permitted(&config("allow_anonymous: true"), far), Ok(()));
    }

    #[test]
    fn a_port_that_the_system_chose_is_in_every_link() {
        let address: SocketAddr = "127.0.0.1:4711".parse().unwrap();
        let chosen = bound(config("listen: \"127.0.0.1:0\""), address);
        assert_eq!(chosen.gateway.public_url.as_str(), "http://127.0.0.1:4711/");
        assert_eq!(chosen.gateway.listen, address);
        let said = bound(config("listen: \"127.0.0.1:0\", public_url: \"https://meta.example.org/\""), address);
        assert_eq!(said.gateway.public_url.as_str(), "https://meta.example.org/");
        let fixed = config("listen: \"127.0.0.1:9\"");
        assert_eq!(bound(fixed.clone(), address), fixed);
    }

    #[tokio::test]
    async fn a_gateway_that_takes_no_connections_any_more_does_not_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sites.yaml");
        let site = "{id: a, url: \"http://10.0.0.1/\", credentials: {token: \"${T}\"}}";
        std::fs::write(&file, format!("gateway: {{listen: \"127.0.0.1:0\"}}\nsites: [{site}]\n")).unwrap();
        let environment = |_: &str| Some("x".to_owned());
        let service = Service::open(&file, &environment, Hangup::Reload).await.unwrap();
        let Service { mut signals, mut reload, mut watch, .. } = service;
        let mut broken = tokio::spawn(async { Err(io::ErrorKind::InvalidInput.into()) });
        let ended = until_asked(&mut broken, &mut signals, &mut reload, &mut watch).await;
        assert!(matches!(ended, Err(Broken::Listener(_))), "{ended:?}");
        let mut gone = tokio::spawn(std::future::pending());
        gone.abort();
        let ended = until_asked(&mut gone, &mut signals, &mut reload, &mut watch).await;
        assert!(matches!(ended, Err(Broken::Fault(_))), "{ended:?}");
    }
}
