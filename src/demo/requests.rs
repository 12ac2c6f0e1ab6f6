//! What a demo server was asked: every request without its secrets, and how much is still going on.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{HeaderMap, Method, Uri, header};
use bytes::Bytes;
use tokio::sync::watch;

use super::php::Parameters;

/// Parameters that carry secrets.
const SECRETS: &[&str] = &["apipass", "pass", "mc_token", "mc_continue"];

/// Older entries are dropped, so that a demo may run for weeks.
const KEPT: usize = 10_000;

/// A request as it arrived, body read.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// `GET`, `POST`, …
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// All headers.
    pub headers: HeaderMap,
    /// Of URL and form body.
    pub parameters: Parameters,
    /// The body as it came.
    pub body: Bytes,
}

impl Incoming {
    /// Whether it goes to the console's API.
    pub fn is_api(&self) -> bool {
        self.uri.path().ends_with("/include/api.php")
    }

    /// What it asks for: the parameter `op2`, or `version` for `info=version`; empty for pages.
    pub fn op2(&self) -> &str {
        match (self.is_api(), self.parameters.get("info")) {
            (false, _) => "",
            (true, "version") => "version",
            (true, _) => self.parameters.get("op2"),
        }
    }

    /// A header as text; empty when absent.
    pub fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }
}

/// One request in the log. Holds no secret.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `GET`, `POST`, …
    pub method: Method,
    /// The path.
    pub path: String,
    /// The raw query of the URL; empty when it carried a secret.
    pub query: String,
    /// The parameter `op`.
    pub op: String,
    /// As [`Incoming::op2`].
    pub op2: String,
    /// All parameters but the secret ones.
    pub parameters: Parameters,
    /// All headers but `Authorization` and `Cookie`.
    pub headers: HeaderMap,
    /// The scheme of `Authorization` (`Bearer`, `Basic`); empty without one.
    pub authorization: String,
    /// A secret was in the URL, where access logs keep it.
    pub secret_in_query: bool,
    /// A secret was in the body.
    pub secret_in_body: bool,
}

impl Seen {
    fn of(incoming: &Incoming) -> Self {
        let secret_in_query = incoming.parameters.in_query(SECRETS);
        let authorization = incoming.header(header::AUTHORIZATION);
        let mut headers = incoming.headers.clone();
        headers.remove(header::AUTHORIZATION);
        headers.remove(header::COOKIE);
        Self {
            method: incoming.method.clone(),
            path: incoming.uri.path().to_owned(),
            query: if secret_in_query { String::new() } else { incoming.uri.query().unwrap_or("").to_owned() },
            op: incoming.parameters.get("op").to_owned(),
            op2: incoming.op2().to_owned(),
            authorization: authorization.split(' ').next().unwrap_or("").to_owned(),
            secret_in_query,
            secret_in_body: incoming.parameters.in_body(SECRETS),
            parameters: incoming.parameters.clone().without(SECRETS),
            headers,
        }
    }
}

/// How much there was and is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Requests since the start.
    pub total: u64,
    /// Those of them that wanted to change something (`op=set`).
    pub sets: u64,
    /// Requests whose answer has not been sent whole.
    pub in_flight: usize,
    /// Connections that are open.
    pub connections: usize,
}

/// The log of a server. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    seen: Arc<Mutex<VecDeque<Seen>>>,
    load: Arc<watch::Sender<Load>>,
}

impl Requests {
    /// The requests seen, oldest first (the latest 10,000).
    pub fn all(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// How many requests asked for `op2`.
    pub fn count(&self, op2: &str) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(|seen| seen.op2 == op2).count()
    }

    /// How much there was and is.
    pub fn load(&self) -> Load {
        *self.load.borrow()
    }

    /// Waits until the load is as wanted.
    pub async fn until(&self, wanted: impl FnMut(&Load) -> bool) -> Load {
        let mut changes = self.load.subscribe();
        // The sender lives in `self`, so the channel is open.
        changes.wait_for(wanted).await.map_or_else(|_| self.load(), |load| *load)
    }

    /// Notes a request, which is in flight until the guard is dropped.
    pub(super) fn enter(&self, incoming: &Incoming) -> Guard {
        let seen = Seen::of(incoming);
        let set = u64::from(seen.op == "set");
        {
            let mut log = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if log.len() == KEPT {
                log.pop_front();
            }
            log.push_back(seen);
        }
        self.guard(
            |load| {
                load.total = load.total.saturating_add(1);
                load.sets = load.sets.saturating_add(set);
                load.in_flight = load.in_flight.saturating_add(1);
            },
            |load| load.in_flight = load.in_flight.saturating_sub(1),
        )
    }

    /// Notes a connection, which is open until the guard is dropped.
    pub(super) fn connected(&self) -> Guard {
        self.guard(
            |load| load.connections = load.connections.saturating_add(1),
            |load| load.connections = load.connections.saturating_sub(1),
        )
    }

    fn guard(&self, enter: impl FnOnce(&mut Load), leave: fn(&mut Load)) -> Guard {
        self.load.send_modify(enter);
        Guard { load: Arc::clone(&self.load), leave }
    }
}

/// Something that goes on; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Guard {
    load: Arc<watch::Sender<Load>>,
    leave: fn(&mut Load),
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.load.send_modify(self.leave);
    }
}
