//! Who asks, and what exists for them. The one place that turns a request into the view it may see.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::doors::{Identity, Somebody, wants_page};
use super::problem::Problem;
use super::states::{State, state};
use super::{Gateway, Shared, login, wall};
use crate::access::People;
use crate::access::accounts::{Opening, opening};
use crate::app::App;
use crate::config::access::Permission;
use crate::domain::SiteId;
use crate::federation::{Slot, View};
use crate::inventory::Visible;
use crate::wire::Linker;

/// A request's viewer, with the configuration that was in force when it began.
#[derive(Debug)]
pub(super) struct Viewer {
    pub(super) app: Arc<App>,
    pub(super) view: View,
    pub(super) identity: Identity,
    people: Option<Arc<People>>,
    /// Sites whose consoles this viewer can be handed over to, once somebody asked.
    opens: OnceLock<BTreeSet<SiteId>>,
}

/// The sites that may be searched.
fn view(app: &App, identity: &Identity) -> Result<View, Problem> {
    let Some(somebody) = identity.somebody()? else { return Ok(app.federation.everything()) };
    let grants = &somebody.principal.grants;
    Ok(app.federation.view(|plan| grants.on(Permission::Search, &plan.id, &plan.tags)))
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

    /// A place in a list of which this viewer sees a part.
    pub(super) fn hidden_place(&self, place: &str) -> Option<String> {
        self.people.as_ref()?.hidden_place(place)
    }

    /// Such a place as it came back.
    pub(super) fn shown_place(&self, hidden: &str) -> Option<String> {
        self.people.as_ref()?.shown_place(hidden)
    }

    /// How a site is, as far as this viewer may know.
    pub(super) fn state(&self, slot: &Arc<Slot>) -> State {
        let nothing = || Visible::Groups(BTreeSet::new());
        match self.view.seat(slot.plan().id.as_str()) {
            Some((_, visible)) => state(slot, &self.app).told_to(visible),
            None => state(slot, &self.app).told_to(&nothing()),
        }
    }

    /// A site by its id, if this viewer may do that there. One that they cannot see does not exist.
    pub(super) fn site_for(&self, permission: Permission, id: &str) -> Result<&Arc<Slot>, Problem> {
        let slot = self.site(id)?;
        let plan = slot.plan();
        match self.identity.somebody()? {
            Some(somebody) if somebody.principal.grants.on(permission, &plan.id, &plan.tags).is_none() => {
                let word = permission.as_str();
                let sentence = format!("you do not have the right `{word}` on site `{id}`");
                Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", sentence).remedy("ask whoever runs the gateway"))
            }
            _ => Ok(slot),
        }
    }

    /// Who this is, in a browser: their login, and what their forms carry.
    pub(super) fn signed_in(&self) -> Option<(&str, String)> {
        let Identity::Somebody(somebody) = &self.identity else { return None };
        let live = somebody.live.as_ref()?;
        Some((&live.login, self.people.as_ref()?.form_token(&live.id)))
    }

    /// Whether a form is one of this viewer's own. Without a session there is nothing that another page could use.
    pub(super) fn form_fits(&self, token: &str) -> bool {
        let Identity::Somebody(somebody) = &self.identity else { return true };
        let Some(live) = &somebody.live else { return true };
        self.people.as_ref().is_some_and(|people| people.form_fits(&live.id, token))
    }

    /// Notes what this viewer searches for.
    pub(super) fn searched(&self, gateway: &Gateway, query: &str) {
        if let (Some(journal), Identity::Somebody(somebody)) = (&gateway.journal, &self.identity) {
            journal.searched(&somebody.principal.login, query);
        }
    }

    /// Whether this viewer may read the audit log.
    pub(super) fn audits(&self) -> bool {
        let Identity::Somebody(somebody) = &self.identity else { return false };
        somebody.wall.is_none() && somebody.principal.grants.anywhere(Permission::Audit)
    }

    /// The agents of a site that this viewer may do that with.
    pub(super) fn agents_for(&self, permission: Permission, id: &str) -> Result<Arc<Visible>, Problem> {
        let plan = self.site_for(permission, id)?.plan();
        let granted = |somebody: &Arc<Somebody>| somebody.principal.grants.on(permission, &plan.id, &plan.tags);
        let nothing = || Arc::new(Visible::Groups(BTreeSet::new()));
        Ok(match self.identity.somebody()? {
            None => Arc::new(Visible::All),
            Some(somebody) => granted(somebody).unwrap_or_else(nothing),
        })
    }

    /// Whether this viewer sees every agent of every site: what is of the gateway as a whole is for them only.
    pub(super) fn sees_everything(&self) -> Result<bool, Problem> {
        let everywhere = |somebody: &Arc<_>| somebody_sees_everything(somebody);
        Ok(self.identity.somebody()?.is_none_or(everywhere))
    }

    /// Whether all that is in this view may still be seen, by the configuration in force now.
    pub(super) async fn still(&self, gateway: &Gateway) -> bool {
        let app = gateway.app.load_full();
        let identity = self.identity.again(gateway, &app).await;
        let Ok(now) = view(&app, &identity) else { return false };
        let same = |slot: &Arc<Slot>| {
            let id = slot.plan().id.as_str();
            match (self.view.seat(id), now.seat(id)) {
                (Some((_, before)), Some((_, now))) => before == now,
                _ => false,
            }
        };
        self.view.slots().all(same)
    }
}

/// Sites that have an account for this person, whom a session brings, and where they have the right.
fn opens(app: &App, identity: &Identity) -> BTreeSet<SiteId> {
    let Identity::Somebody(somebody) = identity else { return BTreeSet::new() };
    let (who, is_person) = (&somebody.principal, somebody.live.is_some());
    let can = |site: &&crate::config::Site| {
        is_person
            && who.grants.on(Permission::Open, &site.id, &site.tags).is_some()
            && matches!(opening(&site.delegation, who), Opening::As(_))
    };
    app.config.sites.iter().filter(can).map(|site| site.id.clone()).collect()
}

/// Links as they are for this viewer.
impl Linker for Viewer {
    fn console(&self, site: &SiteId, agent: &str) -> Option<url::Url> {
        self.app.console(site, agent)
    }

    fn base(&self) -> &str {
        self.app.base()
    }

    fn opens(&self, site: &SiteId) -> bool {
        self.opens.get_or_init(|| opens(&self.app, &self.identity)).contains(site)
    }
}

fn somebody_sees_everything(somebody: &Arc<Somebody>) -> bool {
    somebody.principal.grants.everywhere(Permission::Search)
}

/// Nobody: a browser's window is led to the login, everything else is told.
fn turned_away(problem: Problem, method: &Method, uri: &Uri, headers: &HeaderMap, app: &App) -> Response {
    let signed_out = problem.status() == StatusCode::UNAUTHORIZED;
    if signed_out && wants_page(method, uri.path(), headers) {
        let to = login::address(&app.config.gateway, uri);
        if let Ok(to) = HeaderValue::from_str(&to) {
            return (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response();
        }
    }
    problem.into_response()
}

impl FromRequestParts<Arc<Shared>> for Viewer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Response> {
        let app = shared.gateway.app.load_full();
        let identity = match parts.extensions.get::<Identity>() {
            // Found out before a reload that brought the first login: then it is nobody's.
            Some(Identity::Anyone) | None if app.config.access.has_login() => Identity::Nobody("nobody is signed in"),
            Some(identity) => identity.clone(),
            None => Identity::Anyone,
        };
        if let Identity::Somebody(somebody) = &identity
            && let Some(of) = somebody.wall.as_deref().filter(|of| !wall::permits(of, &parts.uri))
        {
            return Err(wall::elsewhere(of, &parts.uri, app.config.gateway.public_url.path()));
        }
        match view(&app, &identity) {
            Ok(view) => {
                let people = shared.gateway.people.clone();
                Ok(Self { app, view, identity, people, opens: OnceLock::new() })
            }
            Err(problem) => Err(turned_away(problem, &parts.method, &parts.uri, &parts.headers, &app)),
        }
    }
}
