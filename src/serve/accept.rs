//! Connections of the gateway: taken while it runs, brought to their end when it is to stop.
//!
//! The end has two parts. For a moment new connections are still taken, one request each, so that whoever balances load
//! between gateways can read at `/readyz` that this one is about to end. Then they are refused, and what runs is answered.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::connection::{self, Patience, Requests, until};
use super::door::{Door, Places};
use super::tls::Tls;
use crate::http::Peer;

/// Of one address a quarter: generous for an office behind one address, and four such still leave room for others. Where
/// the system allows fewer descriptors, [`breathe`] waits for one.
pub(super) const PLACES: Places = Places { all: 8192, of_one: 2048, kept: 256 };

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) patience: Patience,
    /// Connections are still taken so long, once asked to end.
    pub(super) linger: Duration,
    /// For running requests after that.
    pub(super) drain: Duration,
}

impl Limits {
    /// Of a gateway that others may balance load to. A rest is longer than the 60 s for which nginx keeps a connection to
    /// us, so that it is never us who close under a request.
    pub(super) const USUAL: Self = Self {
        patience: Patience {
            head: Duration::from_secs(10),
            rest: Duration::from_secs(75),
            write: Duration::from_secs(30),
        },
        linger: Duration::from_secs(1),
        drain: Duration::from_secs(10),
    };
}

/// Pause when the system has no more descriptors, unless a connection ends before.
const PAUSE: Duration = Duration::from_secs(1);

/// Serves until `draining` says true and running requests are answered, or their time is over.
///
/// # Errors
/// The listener is broken: no connection can be taken any more.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    draining: watch::Receiver<bool>,
    door: Arc<Door>,
    limits: Limits,
    tls: Tls,
) -> io::Result<()> {
    let mut open = JoinSet::new();
    let closing = watch::Sender::new(false);
    let mut end = pin!(async {
        until(draining.clone()).await;
        sleep(limits.linger).await;
    });
    loop {
        tokio::select! {
            () = &mut end => break,
            Some(_ended) = open.join_next() => {}
            accepted = listener.accept(), if open.len() < door.places.all => match accepted {
                Ok((stream, peer)) => {
                    // Who is not let in is closed by being dropped.
                    let Some(seat) = door.admit(peer.ip()) else { continue };
                    let (requests, ending) = match *draining.borrow() {
                        false => (Requests::Many, draining.clone()),
                        true => (Requests::One, closing.subscribe()),
                    };
                    let (router, tls) = (router.clone().layer(Extension(Peer(peer))), tls.clone());
                    // Small records of a stream leave at once. A socket that refuses is a dead one, which shows later.
                    let _ = stream.set_nodelay(true);
                    open.spawn(async move {
                        connection::begin(stream, tls, router, limits.patience, requests, ending).await;
                        drop(seat);
                    });
                }
                Err(error) if is_broken(&error) => return Err(error),
                Err(error) => breathe(&error, &mut open).await,
            },
        }
    }
    // From here on connections are refused, so that whoever asks for the first time goes elsewhere.
    drop(listener);
    closing.send_replace(true);
    let all = async { while open.join_next().await.is_some() {} };
    if timeout(limits.drain, all).await.is_err() {
        let (cut, seconds) = (open.len(), limits.drain.as_secs());
        tracing::warn!(connections = cut, "{cut} connections did not end within {seconds} s and are cut");
    }
    Ok(())
}

/// Whether it is the listener itself that fails, and will for ever. 9 is `EBADF` wherever there are such numbers.
fn is_broken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
        || (cfg!(unix) && error.raw_os_error() == Some(9))
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

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpSocket, TcpStream};
    use tokio::sync::Notify;

    use super::*;
    use crate::clock::Stopwatch;

    /// A server whose one answer takes until it is let go.
    struct Held {
        entered: Arc<Notify>,
        go: Arc<Notify>,
        draining: watch::Sender<bool>,
        address: SocketAddr,
        serving: tokio::task::JoinHandle<io::Result<()>>,
    }

    const NO_LINGER: Limits = Limits { linger: Duration::ZERO, ..Limits::USUAL };

    async fn held(limits: Limits) -> Held {
        held_behind(limits, Door::new(PLACES, |_| true)).await
    }

    async fn held_behind(limits: Limits, door: Arc<Door>) -> Held {
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
        let told = is_draining.clone();
        let ready = move || async move { if *told.borrow() { "draining" } else { "ready" } };
        let large = || async { vec![b'x'; 64 << 20] };
        let router = Router::new().route("/", get(answer)).route("/quick", get(|| async { "quick" }));
        let router = router.route("/ready", get(ready)).route("/large", get(large));
        let serving = tokio::spawn(serve(listener, router, is_draining, door, limits, Tls::default()));
        Held { entered, go, draining, address, serving }
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
        let held = held(NO_LINGER).await;
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
        held.serving.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_request_that_goes_on_is_cut_after_ten_seconds() {
        let held = held(NO_LINGER).await;
        let running = ask(&held, "/").await;
        held.entered.notified().await;
        tokio::time::pause();
        let watch = Stopwatch::start();
        held.draining.send_replace(true);
        held.serving.await.unwrap().unwrap();
        assert!(watch.elapsed() >= NO_LINGER.drain && watch.elapsed() < 2 * NO_LINGER.drain, "{:?}", watch.elapsed());
        tokio::time::resume();
        assert_eq!(rest(running).await, "");
    }

    #[tokio::test]
    async fn before_it_refuses_connections_it_tells_new_ones_that_it_is_about_to_end() {
        let hour = Duration::from_secs(3600);
        let held = held(Limits { linger: hour, ..Limits::USUAL }).await;
        held.draining.send_replace(true);
        for _ in 0..2 {
            let answer = rest(ask(&held, "/ready").await).await;
            assert!(answer.ends_with("draining") && answer.contains("connection: close"), "{answer}");
        }
        // One that never asks does not hold up the end.
        let silent = TcpStream::connect(held.address).await.unwrap();
        assert!(rest(ask(&held, "/ready").await).await.ends_with("draining"));
        tokio::time::pause();
        tokio::time::advance(hour).await;
        let watch = Stopwatch::start();
        held.serving.await.unwrap().unwrap();
        assert!(watch.elapsed() < Limits::USUAL.drain, "{:?}", watch.elapsed());
        drop(silent);
        tokio::time::resume();
        assert!(TcpStream::connect(held.address).await.is_err());
    }

    #[tokio::test]
    async fn an_answer_that_nobody_reads_is_cut_and_one_that_is_read_is_not() {
        let held = held(NO_LINGER).await;
        let mut unread = ask(&held, "/large").await;
        let mut begin = [0; 15];
        unread.read_exact(&mut begin).await.unwrap();
        tokio::time::pause();
        // While all is idle, paused time runs to the next timer: the one of the write that waits.
        let watch = Stopwatch::start();
        tokio::time::sleep(2 * Limits::USUAL.patience.write).await;
        tokio::time::resume();
        let mut taken = Vec::new();
        let ended = unread.read_to_end(&mut taken).await;
        assert!(ended.is_err() || taken.len() < 64 << 20, "{} bytes after {:?}", taken.len(), watch.elapsed());
        let read = rest(ask_once(&held, "/large").await).await;
        assert!(read.len() > 64 << 20);
    }

    async fn ask_once(held: &Held, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(held.address).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    #[tokio::test]
    async fn half_a_head_is_cut_and_a_resting_connection_is_kept_longer() {
        let held = held(NO_LINGER).await;
        let patience = Limits::USUAL.patience;
        let mut resting = ask(&held, "/quick").await;
        let mut silent = TcpStream::connect(held.address).await.unwrap();
        let mut half = TcpStream::connect(held.address).await.unwrap();
        half.write_all(b"GET /quick HTTP/1.1\r\n").await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"quick") {
            resting.read_buf(&mut answer).await.unwrap();
        }
        tokio::time::pause();
        let watch = Stopwatch::start();
        let _ = silent.read_to_end(&mut Vec::new()).await;
        let _ = half.read_to_end(&mut Vec::new()).await;
        assert!(watch.elapsed() >= patience.head - Duration::from_secs(1), "{:?}", watch.elapsed());
        assert!(watch.elapsed() < patience.rest - Duration::from_secs(1), "{:?}", watch.elapsed());
        tokio::time::resume();
        resting.write_all(b"GET /quick HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        assert_eq!(rest(resting).await.matches("quick").count(), 1, "it may rest longer than a head may take");
    }

    #[tokio::test]
    async fn while_one_address_holds_all_it_can_others_are_answered() {
        let near = IpAddr::from(Ipv4Addr::LOCALHOST);
        let door = Door::new(Places { all: 60, of_one: 40, kept: 10 }, move |peer| peer == near);
        let held = held_behind(NO_LINGER, Arc::clone(&door)).await;
        let mut halves = Vec::new();
        for _ in 0..80 {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
            let mut stream = socket.connect(held.address).await.unwrap();
            // Those beyond the limit may be closed already.
            let _ = stream.write_all(b"GET /quick HTTP/1.1\r\n").await;
            halves.push(stream);
        }
        let answer = rest(ask_once(&held, "/quick").await).await;
        assert!(answer.ends_with("quick"), "{answer}");
        let mut closed = 0;
        for half in &mut halves[40..] {
            closed += usize::from(!matches!(half.read(&mut [0; 1]).await, Ok(1..)));
        }
        assert_eq!(closed, 40, "whoever is beyond the limit is closed at once");
        let other: IpAddr = "127.0.0.3".parse().unwrap();
        assert!(door.admit(other).is_some(), "another address still gets a place");
    }
}
