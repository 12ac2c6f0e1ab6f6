//! A port that stays ours while nothing listens on it: connections are refused, and no other program can take it.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

const BACKLOG: u32 = 1024;

/// A bound port. It can be closed and opened again.
#[derive(Debug)]
pub(super) struct Port {
    address: SocketAddr,
    /// Bound but never listening: it holds the number while the listener is away.
    _held: TcpSocket,
    door: Mutex<Door>,
}

#[derive(Debug, Default)]
struct Door {
    listener: Option<TcpListener>,
    /// Who waits for connections.
    waiting: Option<Waker>,
}

impl Port {
    /// Binds and listens; port 0 takes a free one. Needs a tokio runtime.
    pub(super) fn open(address: SocketAddr) -> io::Result<Self> {
        let port = Self::closed(address)?;
        port.listen()?;
        Ok(port)
    }

    /// Binds without listening: every connection is refused.
    pub(super) fn closed(address: SocketAddr) -> io::Result<Self> {
        let held = bind(address)?;
        Ok(Self { address: held.local_addr()?, _held: held, door: Mutex::default() })
    }

    /// Where it is bound.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens, if it does not yet. Needs a tokio runtime.
    pub(super) fn listen(&self) -> io::Result<()> {
        let mut door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
        if door.listener.is_none() {
            door.listener = Some(bind(self.address)?.listen(BACKLOG)?);
            door.waiting.take().into_iter().for_each(Waker::wake);
        }
        Ok(())
    }

    /// Stops listening: connections are refused from now on.
    pub(super) fn close(&self) {
        self.door.lock().unwrap_or_else(PoisonError::into_inner).listener = None;
    }

    /// The next connection; while the port is closed, waits for it to be opened.
    pub(super) async fn accept(&self) -> TcpStream {
        loop {
            let accepted = poll_fn(|context| {
                let mut door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
                door.waiting = Some(context.waker().clone());
                match &door.listener {
                    Some(listener) => listener.poll_accept(context),
                    None => Poll::Pending,
                }
            });
            match accepted.await {
                Ok((stream, _peer)) => return stream,
                // Out of file descriptors, mostly. Trying again at once would only burn the processor.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Lets the listener share the number with the holder; it does not let a second listener in.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_port_refuses_stays_ours_and_opens_again() {
        let port = Port::open(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        assert!(std::net::TcpListener::bind(port.address()).is_err());
        port.close();
        let refused = TcpStream::connect(port.address()).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        port.listen().unwrap();
        let (client, _server) = tokio::join!(TcpStream::connect(port.address()), port.accept());
        client.unwrap();
    }
}
