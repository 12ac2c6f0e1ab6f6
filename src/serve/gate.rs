//! A running gate: from `gate.yaml` to a port that answers its proxy, until the system asks it to end.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::http::Extensions;
use tokio::net::TcpListener;
use tokio::sync::watch as state;

use super::accept::{self, Limits};
use super::door::Door;
use super::signals::{Asked, Hangup, Signals};
use super::tls::Tls;
use super::{Broken, asked_again, listen_reason};
use crate::clock::Clock;
use crate::config::gate::GateConfig;
use crate::config::{self, Environment, Mistakes};
use crate::gate::{Gate, OpenError, router};
use crate::http::Peer;

/// Why a gate did not start.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The configuration has mistakes.
    #[error("{0}")]
    Config(Mistakes),
    /// What it needs cannot be had.
    #[error("{0}")]
    Open(OpenError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {}; write another `listen`", listen_reason(.source))]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The system gives no signals.
    #[error("cannot listen for signals: {0}")]
    Signals(io::Error),
}

/// A gate that has its configuration, its stores and its port.
#[derive(Debug)]
pub struct GateService {
    listener: TcpListener,
    address: SocketAddr,
    signals: Signals,
    gate: Arc<Gate>,
    config: GateConfig,
}

impl GateService {
    /// Reads `file` and takes what it names.
    ///
    /// # Errors
    /// What is wrong, with a remedy.
    pub async fn open(file: &Path, environment: Environment<'_>) -> Result<Self, GateError> {
        let signals = Signals::listen(Hangup::Reload).map_err(GateError::Signals)?;
        let config = config::load_gate(file, environment).map_err(GateError::Config)?;
        let gate = Arc::new(Gate::open(&config, Clock::System).map_err(GateError::Open)?);
        let listen = |source| GateError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        if config.allow.is_empty() {
            tracing::warn!("`allow` is empty: nobody is let in");
        }
        Ok(Self { listener, address, signals, gate, config })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it was told.
    pub fn config(&self) -> &GateConfig {
        &self.config
    }

    /// Answers until the system asks it to end, and until running requests are answered after that.
    ///
    /// # Errors
    /// It ended although nobody asked.
    pub async fn run(self) -> Result<(), Broken> {
        let Self { listener, mut signals, gate, config, .. } = self;
        let peer = |laid: &Extensions| laid.get::<Peer>().map(|peer| peer.0.ip());
        let router = router(&gate, peer);
        let proxies = config.trusted_proxies.clone();
        let door = Door::new(accept::PLACES, move |peer| proxies.iter().any(|known| known.contains(&peer)));
        let (draining, is_draining) = state::channel(false);
        let serving = accept::serve(listener, router, is_draining, door, Limits::USUAL, Tls::default());
        let mut serving = tokio::spawn(serving);
        loop {
            tokio::select! {
                ended = &mut serving => {
                    ended.map_err(Broken::Fault)?.map_err(Broken::Listener)?;
                    return Err(Broken::Listener(io::ErrorKind::NotConnected.into()));
                }
                asked = signals.next() => match asked {
                    Asked::End => break,
                    Asked::Reload => tracing::warn!("the gate reads its file when it starts: start it again; sessions stay"),
                    Asked::Nothing => {}
                },
            }
        }
        draining.send_replace(true);
        tokio::select! {
            ended = &mut serving => ended.map_err(Broken::Fault)?.map_err(Broken::Listener)?,
            () = asked_again(&mut signals) => tracing::warn!("asked again: ended at once"),
        }
        Ok(())
    }
}
