//! Connections of the gateway: taken while it runs, brought to their end when it is to stop.

use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::tls::Tls;
use crate::http::Peer;

/// Open at once; whoever comes then waits in the system's queue. Where the system allows fewer descriptors,
/// [`breathe`] waits for one.
const MOST: usize = 8192;

/// Until a request's head is there, on a new connection and on one that is kept. Longer than the 60 s for which nginx
/// keeps a connection to us, so that it is never us who close under a request.
const HEAD: Duration = Duration::from_secs(75);

/// For running requests, once asked to end.
const DRAIN: Duration = Duration::from_secs(10);

/// Pause when the system has no more descriptors, unless a connection ends before.
const PAUSE: Duration = Duration::from_secs(1);

/// Serves until `draining` says true and running requests are answered, or their time is over.
pub(super) async fn serve(listener: TcpListener, router: Router, draining: watch::Receiver<bool>, tls: Tls) {
    let mut open = JoinSet::new();
    let mut end = pin!(until(draining.clone()));
    loop {
        tokio::select! {
            () = &mut end => break,
            Some(_ended) = open.join_next() => {}
            accepted = listener.accept(), if open.len() < MOST => match accepted {
                Ok((stream, peer)) => {
                    let router = router.clone().layer(Extension(Peer(peer)));
                    open.spawn(begin(stream, tls.clone(), router, draining.clone()));
                }
                Err(error) => breathe(&error, &mut open).await,
            },
        }
    }
    // From here on connections are refused, so that whoever asks for the first time goes elsewhere.
    drop(listener);
    let all = async { while open.join_next().await.is_some() {} };
    if timeout(DRAIN, all).await.is_err() {
        let cut = open.len();
        tracing::warn!(connections = cut, "{cut} connections did not end within {} s and are cut", DRAIN.as_secs());
    }
}

async fn until(mut draining: watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = draining.wait_for(|draining| *draining).await;
}

/// A connection that was gone before it was taken is nothing; a lack of descriptors passes when one is given back.
async fn breathe(error: &io::Error, open: &mut JoinSet<()>) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        return;
    }
    tracing::error!(%error, "no connection can be taken; raise the limit of open files if this goes on");
    let ended = async {
        if open.join_next().await.is_none() {
            std::future::pending::<()>().await;
        }
    };
    let _ = timeout(PAUSE, ended).await;
}

async fn begin(stream: TcpStream, tls: Tls, router: Router, draining: watch::Receiver<bool>) {
    // Small records of a stream leave at once. A socket that refuses is a dead one, which shows below.
    let _ = stream.set_nodelay(true);
    match tls.begin(stream).await {
        Ok(Ok(encrypted)) => connection(encrypted, router, draining).await,
        Ok(Err(plain)) => connection(plain, router, draining).await,
        Err(error) => tracing::debug!(%error, "a connection could not be encrypted"),
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    router: Router,
    draining: watch::Receiver<bool>,
) {
    let service = TowerToHyperService::new(router);
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut http = pin!(http);
    let ended = tokio::select! {
        ended = &mut http => ended,
        () = until(draining) => {
            http.as_mut().graceful_shutdown();
            http.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::Notify;

    use super::*;
    use crate::clock::Stopwatch;

    /// A server whose one answer takes until it is let go.
    struct Held {
        entered: Arc<Notify>,
        go: Arc<Notify>,
        draining: watch::Sender<bool>,
        address: std::net::SocketAddr,
        serving: tokio::task::JoinHandle<()>,
    }

    async fn held() -> Held {
        let (entered, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let answer = {
            let (entered, go) = (Arc::clone(&entered), Arc::clone(&go));
            move || async move {
                entered.notify_one();
                go.notified().await;
                "whole answer"
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (draining, is_draining) = watch::channel(false);
        let router = Router::new().route("/", get(answer)).route("/quick", get(|| async { "quick" }));
        Held {
            entered,
            go,
            draining,
            address,
            serving: tokio::spawn(serve(listener, router, is_draining, Tls::default())),
        }
    }

    async fn ask(held: &Held, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(held.address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.unwrap();
        stream
    }

    async fn rest(mut stream: TcpStream) -> String {
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn draining_refuses_new_connections_closes_idle_ones_and_finishes_running_requests() {
        let held = held().await;
        let mut idle = ask(&held, "/quick").await;
        let mut head = [0; 15];
        idle.read_exact(&mut head).await.unwrap();
        let running = ask(&held, "/").await;
        held.entered.notified().await;
        held.draining.send_replace(true);
        assert!(rest(idle).await.ends_with("quick"), "the idle connection is closed, whole");
        while TcpStream::connect(held.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        assert!(!held.serving.is_finished());
        held.go.notify_one();
        let answer = rest(running).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("whole answer"), "{answer}");
        held.serving.await.unwrap();
    }

    #[tokio::test]
    async fn a_request_that_goes_on_is_cut_after_ten_seconds() {
        let held = held().await;
        let running = ask(&held, "/").await;
        held.entered.notified().await;
        tokio::time::pause();
        let watch = Stopwatch::start();
        held.draining.send_replace(true);
        held.serving.await.unwrap();
        assert!(watch.elapsed() >= DRAIN && watch.elapsed() < 2 * DRAIN, "{:?}", watch.elapsed());
        tokio::time::resume();
        assert_eq!(rest(running).await, "");
    }
}
