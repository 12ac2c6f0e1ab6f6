//! The HTTP edge: the federation for any number of viewers. It translates; it does not decide.
//!
//! [`router`] answers from the configuration in force at each request's begin, so a reload is seen by the next request
//! and disturbs none that runs. Who may see what is decided in `viewer.rs` alone. Everything that holds for every
//! request (its id, the host it names, sizes, headers, the log) is in `edge.rs`.

mod accept;
mod agents;
mod audit;
mod cookies;
mod delegation;
mod doors;
mod edge;
mod export;
mod gate;
mod health;
mod leaving;
mod login;
mod me;
mod metrics;
mod open;
mod open_direct;
mod open_pages;
mod pages;
mod parameters;
mod planned;
mod problem;
mod search;
mod sites;
mod states;
mod stream;
mod suggest;
mod viewer;
mod wall;

use std::any::Any;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate};
use tower_http::compression::{CompressionLayer, DefaultPredicate};

pub use self::cookies::Peer;
pub use self::leaving::tell;
use self::metrics::Tally;
use self::problem::Problem;
use crate::access::People;
use crate::access::journal::Journal;
use crate::app::App;
use crate::openings::Openings;

/// What the edge needs of the running program.
#[derive(Debug)]
pub struct Gateway {
    /// The configuration in force. Whoever reloads it stores another one here.
    pub app: Arc<ArcSwap<App>>,
    /// Whether the program is about to end.
    pub draining: watch::Receiver<bool>,
    /// Why the newest configuration is not in force, if it is not.
    pub reload_error: Arc<ArcSwapOption<String>>,
    /// Who may log in; nobody where the configuration has no login.
    pub people: Option<Arc<People>>,
    /// Openings of consoles that are under way.
    pub openings: Arc<Openings>,
    /// Where it is recorded what they do; there wherever there is a login.
    pub journal: Option<Arc<Journal>>,
}

/// What every request shares.
#[derive(Debug)]
struct Shared {
    gateway: Arc<Gateway>,
    tally: Tally,
}

/// All routes.
pub fn router(gateway: Arc<Gateway>) -> Router {
    let shared = Arc::new(Shared { gateway, tally: Tally::default() });
    pages::in_front(dressed(routes(), &shared), &shared)
}

fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .merge(pages::routes())
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/api/v1/search", get(search::search))
        .route("/api/v1/where", get(search::locate))
        .route("/api/v1/suggest", get(suggest::suggest))
        .route("/api/v1/sites", get(sites::all))
        .route("/api/v1/sites/{site}", get(sites::one))
        .route("/api/v1/sites/{site}/probe", post(sites::probe))
        .route("/api/v1/sites/{site}/events", get(agents::site_events))
        .route("/api/v1/sites/{site}/agents/{agent}", get(agents::detail))
        .route("/api/v1/sites/{site}/agents/{agent}/events", get(agents::events))
        .route("/api/v1/sites/{site}/agents/{agent}/modules/{module}/data", get(agents::series))
        .route("/api/v1/pulse", get(sites::pulse))
        .route("/api/v1/me", get(me::me))
        .route("/api/v1/delegation/verify", post(delegation::verify))
        .route("/api/v1/delegation/status", post(delegation::status))
        .route("/open/{site}", get(open::show).post(open::begin))
        .route("/open/{site}/finish", get(open::back).post(open::finish))
        .route("/assets/open.js", get(open_pages::script))
        .route("/api/v1/audit", get(audit::audit))
        .route("/api/v1/wallboards", get(wall::all))
        .route("/api/v1/wallboards/{name}/end", post(wall::end))
        .route("/wall/pair", get(wall::show))
        .route("/pair", get(wall::show_pair).post(wall::pair))
        .route("/login", get(login::show).post(login::log_in))
        .route("/logout", get(login::show_out).post(login::log_out))
}

/// Routes with what holds for all of them; the last layer is the outermost.
fn dressed(routes: Router<Arc<Shared>>, shared: &Arc<Shared>) -> Router {
    // A stream's records would wait in the compressor.
    let small = DefaultPredicate::new().and(NotForContentType::const_new(stream::CONTENT_TYPE));
    routes
        .fallback(nowhere)
        .method_not_allowed_fallback(wrong_method)
        .layer(CompressionLayer::new().compress_when(small))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(Arc::clone(shared), doors::pass))
        .layer(middleware::from_fn_with_state(Arc::clone(shared), edge::pass))
        .with_state(Arc::clone(shared))
}

async fn nowhere(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    Problem::new(StatusCode::NOT_FOUND, "not_found", format!("there is nothing at {path}"))
        .remedy("begin with the search, or look whether the address is whole")
}

async fn wrong_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this address does not take that method")
        .remedy("use one of those in the header `Allow`")
}

/// A fault of ours ends one request, not the program. What it says may be about anything, so it goes to the log only.
fn panicked(fault: Box<dyn Any + Send + 'static>) -> Response {
    let words = fault.downcast_ref::<&str>().copied().or_else(|| fault.downcast_ref::<String>().map(String::as_str));
    tracing::error!(fault = words.unwrap_or("unknown"), "a request failed by a fault of this program");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "this request failed by a fault of the gateway")
        .remedy("please report it with the request id")
        .into_response()
}

#[cfg(test)]
mod tests;
