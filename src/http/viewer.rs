//! Who asks, and what exists for them. The one place that turns a request into the view it may see.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;

use super::Shared;
use super::problem::Problem;
use crate::app::App;
use crate::federation::{Slot, View};

/// A request's viewer, with the configuration that was in force when it began.
#[derive(Debug)]
pub(super) struct Viewer {
    pub(super) app: Arc<App>,
    pub(super) view: View,
}

/// Nobody logs in yet, so everybody who may come here (`gate.rs`) sees everything.
fn view(app: &App, _request: &Parts) -> Result<View, Problem> {
    Ok(app.federation.everything())
}

impl Viewer {
    /// A site by its id, if it exists for this viewer.
    pub(super) fn site(&self, id: &str) -> Result<&Arc<Slot>, Problem> {
        let unknown = || {
            let id: String = id.chars().take(63).collect();
            Problem::new(StatusCode::NOT_FOUND, "unknown_site", format!("there is no site `{id}`"))
                .remedy("see /api/v1/sites for those there are")
        };
        self.view.seat(id).map(|(slot, _)| slot).ok_or_else(unknown)
    }
}

impl FromRequestParts<Arc<Shared>> for Viewer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Problem> {
        let app = shared.gateway.app.load_full();
        let view = view(&app, parts)?;
        Ok(Self { app, view })
    }
}
