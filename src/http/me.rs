//! `GET /api/v1/me`: who I am here, what I may do on which site, and as whom I would open its console.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::Serialize;

use super::Shared;
use super::parameters::Parameters;
use super::problem::Problem;
use super::search::json;
use super::viewer::Viewer;
use crate::access::accounts::{Opening, opening};
use crate::access::rights::Principal;
use crate::config::access::Permission;
use crate::domain::SiteId;
use crate::inventory::Visible;

#[derive(Debug, Serialize)]
struct Me {
    /// Nothing where nobody has to log in.
    login: Option<String>,
    groups: Vec<String>,
    /// For requests of one's own pages that change something.
    #[serde(skip_serializing_if = "Option::is_none")]
    form_token: Option<String>,
    sites: Vec<Seen>,
}

/// A site as this viewer has it.
#[derive(Debug, Serialize)]
struct Seen {
    id: SiteId,
    may: Vec<&'static str>,
    /// Agents of these groups only; `null`: all.
    groups: Option<BTreeSet<String>>,
    opening: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
}

/// `GET /api/v1/me`
pub(super) async fn me(
    State(shared): State<Arc<Shared>>,
    viewer: Viewer,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    Parameters::read(query.as_deref(), &[])?;
    let somebody = viewer.identity.somebody()?;
    let principal = somebody.map(|somebody| &somebody.principal);
    let form_token = somebody.and_then(|somebody| {
        let live = somebody.live.as_ref()?;
        Some(shared.gateway.people.as_ref()?.form_token(&live.id))
    });
    Ok(json(&Me {
        login: principal.map(|principal| principal.login.clone()),
        groups: principal.map(|principal| principal.groups.clone()).unwrap_or_default(),
        form_token,
        sites: sites(&viewer, principal),
    }))
}

fn sites(viewer: &Viewer, principal: Option<&Principal>) -> Vec<Seen> {
    let seen = |slot: &Arc<crate::federation::Slot>| {
        let plan = slot.plan();
        let groups = viewer.view.seat(plan.id.as_str()).and_then(|(_, visible)| match visible.as_ref() {
            Visible::All => None,
            Visible::Groups(groups) => Some(groups.clone()),
        });
        let may = match principal {
            Some(principal) => principal.grants.permissions(&plan.id, &plan.tags),
            None => vec![Permission::Search, Permission::View],
        };
        let (opening, account) = as_whom(viewer, principal, &plan.id, may.contains(&Permission::Open));
        Seen { id: plan.id.clone(), may: may.into_iter().map(Permission::as_str).collect(), groups, opening, account }
    };
    viewer.view.slots().map(seen).collect()
}

fn as_whom(viewer: &Viewer, who: Option<&Principal>, site: &SiteId, may: bool) -> (&'static str, Option<String>) {
    let site = viewer.app.config.sites.iter().find(|configured| configured.id == *site);
    let Some((site, who)) = site.zip(who) else { return ("log_in_there", None) };
    match opening(&site.delegation, who) {
        Opening::LogInThere => ("log_in_there", None),
        _ if !may => ("not_granted", None),
        Opening::NoAccount => ("no_account", None),
        Opening::As(account) => ("as", Some(account)),
    }
}
