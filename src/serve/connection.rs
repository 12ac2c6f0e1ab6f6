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
use tokio::net::TcpStream;
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
    stream: TcpStream,
    tls: Tls,
    router: Router,
    patience: Patience,
    requests: Requests,
    ending: watch::Receiver<bool>,
) {
    // Small records of a stream leave at once. A socket that refuses is a dead one, which shows below.
    let _ = stream.set_nodelay(true);
    match tls.begin(stream).await {
        Ok(Ok(encrypted)) => answer(encrypted, router, patience, requests, ending).await,
        Ok(Err(plain)) => answer(plain, router, patience, requests, ending).await,
        Err(error) => tracing::debug!(%error, "a connection could not be encrypted"),
    }
}

/// Answers one connection until its end, or until `ending` says true and the request that runs is answered.
async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    router: Router,
    patience: Patience,
    requests: Requests,
    ending: watch::Receiver<bool>,
) {
    let phase = Phase::new();
    let socket = Timed::new(stream, phase.clone(), patience.head, patience.write);
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
