//! The HTTP server under every demo console: connections that end with it, a request log, faults on the way.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper::body::Frame;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

use super::fault::{Fault, Faults};
use super::php::Parameters;
use super::port::Port;
use super::requests::{Guard, Incoming, Requests};

/// Answers one request.
pub type Handler = Arc<dyn Fn(Arc<Incoming>) -> BoxFuture<'static, Response> + Send + Sync>;

/// A longer body counts as empty, as PHP does beyond its `post_max_size`.
const MAX_REQUEST: usize = 1 << 20;

/// A running server. Everything it started ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    port: Arc<Port>,
    faults: Faults,
    requests: Requests,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Starts on an address (port 0 takes a free one). Needs a tokio runtime.
    pub fn start(listen: SocketAddr, handler: Handler) -> io::Result<Self> {
        let port = Arc::new(Port::open(listen)?);
        let faults = Faults::new(Arc::clone(&port));
        let requests = Requests::default();
        let connection = Connection { handler, faults: faults.clone(), requests: requests.clone() };
        let accepting = tokio::spawn(accept(Arc::clone(&port), connection));
        Ok(Self { port, faults, requests, accepting })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// What goes wrong on purpose.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// What was asked.
    pub fn requests(&self) -> &Requests {
        &self.requests
    }

    /// Stops and waits until every connection is closed.
    pub async fn stop(mut self) {
        self.accepting.abort();
        // The outcome is the cancellation we asked for.
        let _cancelled = (&mut self.accepting).await;
        self.requests.until(|load| load.connections == 0).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        // Somebody may still hold the faults, and the port with them.
        self.port.close();
    }
}

/// Takes connections until it is cancelled; they are cancelled with it.
async fn accept(port: Arc<Port>, connection: Connection) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            stream = port.accept() => {
                if connection.faults.resets_on_accept() {
                    reset(&stream);
                } else {
                    open.spawn(connection.clone().serve(stream));
                }
            }
            Some(_ended) = open.join_next() => {}
        }
    }
}

/// Makes closing the stream a TCP reset. One that cannot be set any more is already dead.
fn reset(stream: &TcpStream) {
    let _dead = stream.set_zero_linger();
}

/// Cuts the connection a request came on.
#[derive(Clone, Debug, Default)]
pub(super) struct Cut(Arc<Notify>);

impl Cut {
    /// Resets the connection.
    pub(super) fn now(&self) {
        self.0.notify_one();
    }
}

#[derive(Clone)]
struct Connection {
    handler: Handler,
    faults: Faults,
    requests: Requests,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        let _open = self.requests.connected();
        let cut = Cut::default();
        let service = service_fn(|request| {
            let (this, cut) = (self.clone(), cut.clone());
            async move { Ok::<_, Infallible>(this.respond(request, cut).await) }
        });
        let mut http = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::select! {
            // First, so that what was written before the cut leaves before it.
            biased;
            // A client that goes away, and an answer that is broken on purpose, are what demo servers are for.
            _closed = &mut http => {}
            () = cut.0.notified() => reset(http.into_parts().io.inner()),
        }
    }

    async fn respond(self, request: hyper::Request<hyper::body::Incoming>, cut: Cut) -> hyper::Response<Watched> {
        let (head, body) = request.into_parts();
        let body = axum::body::to_bytes(Body::new(body), MAX_REQUEST).await.unwrap_or_default();
        let parameters = Parameters::parse(head.uri.query().unwrap_or("").as_bytes(), &body);
        let incoming = Incoming { method: head.method, uri: head.uri, headers: head.headers, parameters, body };
        let in_flight = self.requests.enter(&incoming);
        let faults = self.faults.take(&incoming);
        let response = self.answer(incoming, &faults, &cut).await;
        response.map(|body| Watched { body, _in_flight: in_flight })
    }

    async fn answer(&self, mut incoming: Incoming, faults: &[Fault], cut: &Cut) -> Response {
        for fault in faults {
            if let Some(response) = fault.before(&mut incoming, cut).await {
                return response;
            }
        }
        let mut response = (self.handler)(Arc::new(incoming)).await;
        for fault in faults {
            response = fault.after(response, cut).await;
        }
        response
    }
}

/// A body that counts as in flight until it is sent or given up.
struct Watched {
    body: Body,
    _in_flight: Guard,
}

impl hyper::body::Body for Watched {
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

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}
