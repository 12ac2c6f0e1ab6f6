//! Encryption of the gateway's own port. A changed certificate is used for the next connection.
//!
//! The files are part of the configuration: they are watched, checked and swapped like everything else in it.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::OwnTls;

/// For both sides to agree. Whoever says nothing must not hold a place.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How connections are encrypted now. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Tls(Arc<ArcSwapOption<ServerConfig>>);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls({})", if self.0.load().is_some() { "on" } else { "off" })
    }
}

impl Tls {
    /// As configured.
    ///
    /// # Errors
    /// When certificate and key cannot be used.
    pub(super) fn new(own: Option<&OwnTls>) -> Result<Self, rustls::Error> {
        let tls = Self::default();
        tls.set(own)?;
        Ok(tls)
    }

    /// From the next connection on.
    ///
    /// # Errors
    /// When certificate and key cannot be used: then it stays as it was.
    pub(super) fn set(&self, own: Option<&OwnTls>) -> Result<(), rustls::Error> {
        self.0.store(own.map(config).transpose()?);
        Ok(())
    }

    /// Begins a connection, where they are encrypted.
    ///
    /// # Errors
    /// When the other side does not agree in time.
    pub(super) async fn begin<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> io::Result<Result<TlsStream<S>, S>> {
        let Some(config) = self.0.load_full() else { return Ok(Err(stream)) };
        let begun = timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await;
        begun.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?.map(Ok)
    }
}

fn config(own: &OwnTls) -> Result<Arc<ServerConfig>, rustls::Error> {
    let unread = |error| rustls::Error::General(format!("not in PEM form: {error}"));
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&own.cert_pem).collect();
    let key = PrivateKeyDer::from_pem_slice(own.key_pem.expose().as_bytes()).map_err(unread)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = builder.with_no_client_auth().with_single_cert(chain.map_err(unread)?, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
