//! One viewer's connection: requests in, answers out, until it is to end.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::socket::{Phase, Timed};
use super::tls::Tls;

/// What a connection may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Until a head is whole that has begun, and the first one of a connection.
    pub(super) head: Duration,
    /// Between two requests.
    pub(super) rest: Duration,
    /// Until something of an answer is taken.
    pub(super) write: Duration,
}

/// How many requests a connection may bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Requests {
    /// One after the other.
    Many,
    /// One: the gateway is about to end.
    One,
}

/// Agrees on encryption, where connections are encrypted, then answers.
pub(super) async fn begin(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    tls: Tls,
    router: Router,
    patience: Patience,
    requests: Requests,
    ending: watch::Receiver<bool>,
) {
    let phase = Phase::new();
    // Below the encryption, which keeps a last piece of an answer to itself and would wait for ever to pass it on.
    let socket = Timed::new(stream, phase.clone(), patience.head, patience.write);
    match tls.begin(socket).await {
        Ok(Ok(encrypted)) => answer(encrypted, phase, router, patience, requests, ending).await,
        Ok(Err(plain)) => answer(plain, phase, router, patience, requests, ending).await,
        Err(error) => tracing::debug!(%error, "a connection could not be encrypted"),
    }
}

/// Answers one connection until its end, or until `ending` says true and the request that runs is answered.
async fn answer(
    socket: impl AsyncRead + AsyncWrite + Unpin + 'static,
    phase: Phase,
    router: Router,
    patience: Patience,
    requests: Requests,
    ending: watch::Receiver<bool>,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request| {
        phase.answered();
        let (answer, phase) = (router.call(request), phase.clone());
        async move { answer.await.map(|answer| answer.map(|body| Answer { body, phase })) }
    });
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.rest)
        .keep_alive(requests == Requests::Many)
        .serve_connection(TokioIo::new(socket), service);
    let mut http = pin!(http);
    let ended = tokio::select! {
        ended = &mut http => ended,
        () = until(ending) => {
            http.as_mut().graceful_shutdown();
            http.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Until it says true. A sender that is gone means the same.
pub(super) async fn until(mut said: watch::Receiver<bool>) {
    let _ = said.wait_for(|said| *said).await;
}

/// A body that tells when its connection is done with it.
struct Answer {
    body: Body,
    phase: Phase,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.phase.rests();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::routing::get;
    use rustls::RootCertStore;
    use rustls::pki_types::ServerName;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;
    use crate::clock::Stopwatch;
    use crate::config::OwnTls;
    use crate::secret::Secret;

    #[tokio::test(start_paused = true)]
    async fn an_encrypted_answer_that_nobody_takes_is_cut_however_small_its_rest_is() {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let own = OwnTls { cert_pem: made.cert.pem().into(), key_pem: Secret::new(made.signing_key.serialize_pem()) };
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let client = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let client = client.unwrap().with_root_certificates(roots).with_no_client_auth();
        // More than the connection takes, less than the encryption keeps to itself.
        let (ours, theirs) = duplex(16 << 10);
        let router = Router::new().route("/", get(|| async { vec![b'x'; 40 << 10] }));
        let patience =
            Patience { head: Duration::from_secs(10), rest: Duration::from_secs(75), write: Duration::from_secs(30) };
        let (_never, ending) = watch::channel(false);
        let serving = async {
            begin(ours, Tls::new(Some(&own)).unwrap(), router, patience, Requests::Many, ending).await;
        };
        let asking = async {
            let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
            let mut theirs = connector.connect(ServerName::try_from("localhost").unwrap(), theirs).await.unwrap();
            theirs.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
            theirs.read_exact(&mut [0; 15]).await.unwrap();
            (theirs, Stopwatch::start())
        };
        let both = tokio::time::timeout(Duration::from_secs(3600), futures_util::future::join(serving, asking));
        let ((), (_theirs, watch)) = both.await.expect("it is held for ever");
        assert!(watch.elapsed() >= patience.write && watch.elapsed() < 2 * patience.write, "{:?}", watch.elapsed());
    }
}
