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
use crate::config::{self, Verifier};
use crate::domain::SiteId;
use crate::federation::Slot;
use crate::inventory::Visible;
use crate::openings::{Closed, Route};
use crate::sites::View;

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
pub(super) struct Seen {
    pub(super) id: SiteId,
    pub(super) may: Vec<&'static str>,
    /// Agents of these groups only; `null`: all.
    pub(super) groups: Option<BTreeSet<String>>,
    pub(super) opening: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) account: Option<String>,
    /// Why the console is `closed`, as a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'static str>,
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

/// Each site that the viewer sees.
pub(super) fn sites(viewer: &Viewer, principal: Option<&Principal>) -> Vec<Seen> {
    let seen = |slot: &Arc<Slot>| {
        let plan = slot.plan();
        let groups = viewer.view.seat(plan.id.as_str()).and_then(|(_, visible)| match visible.as_ref() {
            Visible::All => None,
            Visible::Groups(groups) => Some(groups.clone()),
        });
        let may = match principal {
            Some(principal) => principal.grants.permissions(&plan.id, &plan.tags),
            None => vec![Permission::Search, Permission::View],
        };
        let (opening, account, reason) = as_whom(viewer, principal, slot, may.contains(&Permission::Open));
        let may = may.into_iter().map(Permission::as_str).collect();
        Seen { id: plan.id.clone(), may, groups, opening, account, reason }
    };
    viewer.view.slots().map(seen).collect()
}

/// What a click would do: a word, the account, and why it would not work.
pub(super) type Click = (&'static str, Option<String>, Option<&'static str>);

/// The same for one site of a viewer's.
pub(super) fn at(viewer: &Viewer, slot: &Slot) -> Result<Click, Problem> {
    let principal = viewer.identity.somebody()?.map(|somebody| &somebody.principal);
    let plan = slot.plan();
    let may = principal.is_some_and(|who| who.grants.on(Permission::Open, &plan.id, &plan.tags).is_some());
    Ok(as_whom(viewer, principal, slot, may))
}

fn as_whom(viewer: &Viewer, who: Option<&Principal>, slot: &Slot, may: bool) -> Click {
    let site = viewer.app.config.sites.iter().find(|configured| configured.id == slot.plan().id);
    let Some((site, who)) = site.zip(who) else { return ("log_in_there", None, None) };
    match opening(&site.delegation, who) {
        Opening::LogInThere => ("log_in_there", None, None),
        _ if !may => ("not_granted", None, None),
        Opening::NoAccount => ("no_account", None, None),
        Opening::As(account) => match Route::closed(&viewer.app.config, site).or_else(|| no_hash_login(site, slot)) {
            None => ("as", Some(account), None),
            Some(closed) => ("closed", None, Some(closed.code())),
        },
    }
}

/// A console without a hash login of its own, where that is how it would be opened.
fn no_hash_login(site: &config::Site, slot: &Slot) -> Option<Closed> {
    let has_one = || slot.plan().site.as_ref().is_ok_and(|site| site.hash_login(View::Home).is_some());
    (site.delegation.verifier == Verifier::Direct && !has_one()).then_some(Closed::NoHashLogin)
}
