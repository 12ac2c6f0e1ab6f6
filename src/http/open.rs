//! Openings over HTTP: the page that says who somebody will be at a site, and the steps from its button to the token.
//!
//! A GET says something and changes nothing, whoever sends it and however often: it neither takes a pending opening nor
//! makes a token. Both POSTs need the session and its form token, and look again at rights and accounts by the
//! configuration in force. A program with a token opens nothing. What is decided is in [`crate::openings`].

use std::sync::Arc;

use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use super::login::Form;
use super::open_direct as direct;
use super::open_pages as pages;
use super::pages as frame;
use super::parameters::Parameters;
use super::problem::Problem;
use super::viewer::Viewer;
use super::{Gateway, Shared};
use crate::access::accounts::{Opening, opening};
use crate::access::rights::Principal;
use crate::access::sessions::Live;
use crate::config::access::Permission;
use crate::config::{self, Actor};
use crate::delegation::Amr;
use crate::federation::{Slot, Wanted as Read};
use crate::openings::{
    Closed, Gone, Granted, NotIssued, NotNow, Route, Wanted, Way, is_number, is_state, landing, view,
};
use crate::sites::View;

/// Somebody at a site that exists for them.
pub(super) struct Asker<'v> {
    pub(super) viewer: &'v Viewer,
    pub(super) slot: &'v Arc<Slot>,
    pub(super) site: &'v config::Site,
    /// Nobody has to log in where there is none.
    who: Option<(&'v Principal, &'v Live)>,
}

/// What an opening would be.
enum Case {
    /// As this account, this way.
    As(String, Route),
    /// The site takes nobody from us.
    LogInThere,
    /// Not for this person.
    Denied(&'static str, &'static str),
    /// It would be, if somebody set it right.
    Closed(Closed),
}

impl<'v> Asker<'v> {
    fn of(viewer: &'v Viewer, id: &str) -> Result<Self, Problem> {
        let who = match viewer.identity.somebody()? {
            None => None,
            Some(somebody) => {
                let live = somebody.live.as_ref().ok_or_else(|| {
                    let problem = Problem::new(StatusCode::FORBIDDEN, "no_session", "a token opens no console");
                    problem.remedy("log in at /login")
                })?;
                Some((&somebody.principal, live))
            }
        };
        let slot = viewer.site(id)?;
        let site = viewer.app.config.sites.iter().find(|site| site.id == slot.plan().id);
        let site = site.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "unknown_site", "there is no such site"))?;
        Ok(Self { viewer, slot, site, who })
    }

    pub(super) fn live(&self) -> Result<(&'v Principal, &'v Live), Problem> {
        let none = || {
            Problem::new(StatusCode::FORBIDDEN, "no_session", "nobody logs in here, so nobody can be handed over")
                .remedy("write `access.users`, or log in at the console")
        };
        self.who.ok_or_else(none)
    }

    fn case(&self) -> Case {
        let Some((who, _)) = self.who else { return Case::LogInThere };
        let account = match opening(&self.site.delegation, who) {
            Opening::LogInThere => return Case::LogInThere,
            _ if who.grants.on(Permission::Open, &self.site.id, &self.site.tags).is_none() => {
                return Case::Denied("not_granted", "You do not have the right to open this console.");
            }
            Opening::NoAccount => return Case::Denied("no_account", "No account there is linked to you."),
            Opening::As(account) => account,
        };
        match Route::of(&self.viewer.app.config, self.site) {
            Ok(Route::Direct(_)) if direct::landing(self, View::Home).is_none() => Case::Closed(Closed::NoHashLogin),
            Ok(route) => Case::As(account, route),
            Err(closed) => Case::Closed(closed),
        }
    }

    pub(super) fn base(&self) -> &str {
        self.viewer.app.config.gateway.public_url.path()
    }

    pub(super) fn address(&self) -> String {
        format!("{}open/{}", self.base(), self.site.id)
    }

    /// Where the view is at the console, for whoever logs in there.
    fn console(&self, view: View<'_>) -> String {
        let link = self.slot.plan().site.as_ref().map(|site| site.link(view));
        link.unwrap_or_else(|_| self.site.public_url.clone()).into()
    }

    /// The page with the button, or why there is none. `said` stands above it.
    fn page(&self, gateway: &Gateway, status: StatusCode, said: &str, wish: &str) -> Response {
        let wish = view(wish).map_or(("", View::Home), |view| (wish, view));
        let name = &self.site.name;
        let (status, case) = match self.case() {
            Case::LogInThere => {
                let sentence = "This console asks for a login of its own.";
                (status, frame::Case::Not { sentence, advice: "" })
            }
            Case::Denied(_, sentence) => {
                let advice = "Ask whoever runs the gateway, or log in there.";
                (StatusCode::FORBIDDEN, frame::Case::Not { sentence, advice })
            }
            Case::Closed(closed) => {
                tracing::warn!(site = %self.site.id, "no console is opened: {closed}; {}", closed.remedy());
                let sentence = "This console cannot be opened from here now.";
                let advice = "Whoever runs the gateway finds the reason with `metaconsole check`.";
                (StatusCode::SERVICE_UNAVAILABLE, frame::Case::Not { sentence, advice })
            }
            Case::As(account, route) => {
                let failure = self.slot.look(Read::Known).failure;
                let trouble = failure.map(|failure| failure.error.code.as_str());
                let open = format!("Open in {name} as {account}");
                let button = if trouble.is_some() { "Try anyway".to_owned() } else { open };
                let badge = if matches!(route, Route::Direct(_)) { direct::BADGE } else { "" };
                (status, frame::Case::As { account, trouble, button, badge })
            }
        };
        let (action, form, there) = (self.address(), self.form_token(gateway), self.console(wish.1));
        let page = frame::Opening { name, said, case, action: &action, form: &form, view: wish.0, there: &there };
        frame::opening(self.viewer, status, &page)
    }

    pub(super) fn form_token(&self, gateway: &Gateway) -> String {
        let token = self.who.zip(gateway.people.as_ref()).map(|((_, live), people)| people.form_token(&live.id));
        token.unwrap_or_default()
    }

    /// That the form is of this session.
    fn form_fits(&self, gateway: &Gateway, form: &Form) -> Result<(), Problem> {
        let (_, live) = self.live()?;
        let fits = gateway.people.as_ref().is_some_and(|people| people.form_fits(&live.id, form.get("form")));
        let problem = || {
            Problem::new(StatusCode::FORBIDDEN, "no_form_token", "this form is not of this session")
                .remedy("begin again at /open/{site}")
        };
        if fits { Ok(()) } else { Err(problem()) }
    }

    fn wanted(&self, who: &Principal, account: &str, view: &str) -> Wanted {
        let (login, account, view) = (who.login.clone(), account.to_owned(), view.to_owned());
        Wanted { login, site: self.site.id.clone(), account, view }
    }

    /// The page for somebody whose pending opening is none any more.
    fn gone(&self, gateway: &Gateway, status: StatusCode, gone: &Gone) -> Response {
        let (said, view) = match gone {
            Gone::Used(wanted) => ("This opening was used already. Open it again:", wanted.view.as_str()),
            Gone::Expired(wanted) => ("That took longer than a minute. Open it again:", wanted.view.as_str()),
            Gone::Unknown => ("Nothing was begun here that could go on. Begin anew:", ""),
        };
        self.page(gateway, status, said, view)
    }

    fn not_now(&self, gateway: &Gateway, why: NotNow, wish: &str) -> Response {
        tracing::warn!(site = %self.site.id, "an opening does not go on: {why}");
        let (status, said, wait) = match why {
            NotNow::TooMany(wait) => {
                let said = "You have opened very many consoles within a minute. Please wait a moment.";
                (StatusCode::TOO_MANY_REQUESTS, said, Some(wait.as_secs().max(1)))
            }
            NotNow::Full | NotNow::NoRandom => {
                (StatusCode::SERVICE_UNAVAILABLE, "The gateway cannot open anything now.", None)
            }
        };
        let mut response = self.page(gateway, status, said, wish);
        if let Some(wait) = wait {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
        }
        response
    }
}

/// `GET /open/{site}?view=`
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    viewer: Viewer,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let asker = Asker::of(&viewer, &id)?;
    let parameters = Parameters::read(query.as_deref(), &["view"])?;
    let wish = known_view(parameters.get("view").unwrap_or(""))?;
    Ok(asker.page(&shared.gateway, StatusCode::OK, "", wish))
}

fn known_view(text: &str) -> Result<&str, Problem> {
    let unknown = || {
        Problem::parameter("there is no such view")
            .remedy("write `agent:ID`, `modules:ID`, `alerts:ID`, `events:ID`, `graphs:ID`, or nothing")
    };
    view(text).map(|_| text).ok_or_else(unknown)
}

/// `POST /open/{site}`: keeps a pending opening and leads to the verifier.
pub(super) async fn begin(
    State(shared): State<Arc<Shared>>,
    viewer: Viewer,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (asker, gateway) = (Asker::of(&viewer, &id)?, &shared.gateway);
    let form = Form::read(request).await?;
    asker.form_fits(gateway, &form)?;
    let wish = known_view(form.get("view"))?;
    let (who, live) = asker.live()?;
    let (account, route) = match asker.case() {
        Case::As(account, route) => (account, route),
        other => return refused(&asker, gateway, other, asker.wanted(who, "", wish)).await,
    };
    match gateway.openings.begin(&live.id, asker.wanted(who, &account, wish)) {
        Ok(number) => Ok(match route {
            Route::Verifier(way) => pages::leading(asker.base(), &asker.site.name, way.start(&number).as_str()),
            Route::Direct(_) => direct::confirm(&asker, gateway, &number, &account, wish),
        }),
        Err(why) => Ok(asker.not_now(gateway, why, wish)),
    }
}

/// Nobody is handed over: recorded where somebody tried what is not theirs, and told.
async fn refused(asker: &Asker<'_>, gateway: &Gateway, case: Case, wanted: Wanted) -> Result<Response, Problem> {
    let why = match case {
        Case::Denied(why, _) => why,
        Case::Closed(_) => "closed",
        Case::LogInThere | Case::As(..) => return Ok(asker.page(gateway, StatusCode::CONFLICT, "", &wanted.view)),
    };
    record_refusal(gateway, wanted.clone(), why).await?;
    Ok(asker.page(gateway, StatusCode::FORBIDDEN, "", &wanted.view))
}

async fn record_refusal(gateway: &Gateway, wanted: Wanted, why: &'static str) -> Result<(), Problem> {
    let openings = Arc::clone(&gateway.openings);
    let recorded = tokio::task::spawn_blocking(move || openings.refused(&wanted, why)).await;
    recorded.map_err(|_| broken())?.map_err(|_| broken())
}

pub(super) fn broken() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "openings_broken", "nothing can be opened now")
        .remedy("see the gateway's log")
}

/// `GET /open/{site}/finish?p=&st=`: back from the verifier. Takes nothing; whatever `p` and `st` are, they are only
/// put into a form when the pending opening is of this very session and site.
pub(super) async fn back(
    State(shared): State<Arc<Shared>>,
    viewer: Viewer,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let (asker, gateway) = (Asker::of(&viewer, &id)?, &shared.gateway);
    let given = Parameters::read(query.as_deref(), &["p", "st"]).ok();
    let value = |name| given.as_ref().and_then(|given| given.get(name)).unwrap_or("");
    let (number, state) = (value("p"), value("st"));
    let found = match asker.who {
        Some((_, live)) if is_number(number) && is_state(state) => {
            gateway.openings.look(number, &live.id, &asker.site.id)
        }
        _ => Err(Gone::Unknown),
    };
    if let Err(gone) = found {
        return Ok(asker.gone(gateway, StatusCode::OK, &gone));
    }
    let form = pages::field("form", &asker.form_token(gateway));
    let fields = [form, pages::field("p", number), pages::field("st", state)].concat();
    let action = format!("{}/finish", asker.address());
    Ok(pages::finishing(asker.base(), &asker.site.name, &action, &fields))
}

/// `POST /open/{site}/finish`: takes the pending opening, looks at everything again, records it, signs.
pub(super) async fn finish(
    State(shared): State<Arc<Shared>>,
    viewer: Viewer,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (asker, gateway) = (Asker::of(&viewer, &id)?, &shared.gateway);
    let form = Form::read(request).await?;
    asker.form_fits(gateway, &form)?;
    let (who, live) = asker.live()?;
    let (number, state) = (form.get("p"), form.get("st"));
    // Where no verifier is, nobody gives a state.
    if !is_number(number) || !(state.is_empty() || is_state(state)) {
        return Err(Problem::parameter("`p` or `st` is none of ours").remedy("begin again at /open/{site}"));
    }
    let wanted = match gateway.openings.take(number, &live.id, &asker.site.id) {
        Ok(wanted) => wanted,
        Err(gone) => return Ok(asker.gone(gateway, StatusCode::GONE, &gone)),
    };
    let route = match asker.case() {
        Case::As(account, route)
            if account == wanted.account
                && wanted.login == who.login
                && state.is_empty() == matches!(route, Route::Direct(_)) =>
        {
            route
        }
        Case::As(..) | Case::LogInThere => {
            record_refusal(gateway, wanted.clone(), "changed").await?;
            let said = "Meanwhile it was changed who you are there. Look again:";
            return Ok(asker.page(gateway, StatusCode::CONFLICT, said, &wanted.view));
        }
        other => return refused(&asker, gateway, other, wanted).await,
    };
    if let Err(why) = gateway.openings.pace(&who.login) {
        record_refusal(gateway, wanted.clone(), "too_many").await?;
        return Ok(asker.not_now(gateway, why, &wanted.view));
    }
    match route {
        Route::Verifier(way) => issue(&asker, gateway, &way, wanted, state).await,
        Route::Direct(way) => direct::issue(&asker, gateway, way, wanted).await,
    }
}

async fn issue(
    asker: &Asker<'_>,
    gateway: &Gateway,
    way: &Way,
    wanted: Wanted,
    state: &str,
) -> Result<Response, Problem> {
    let aim = view(&wanted.view).unwrap_or(View::Home);
    let link = asker.slot.plan().site.as_ref().map(|site| site.link(aim));
    let path = landing(link.as_ref().unwrap_or(&asker.site.public_url));
    let Ok(path) = path else { return refused(asker, gateway, Case::Closed(Closed::Path), wanted).await };
    let amr = if wanted.login.starts_with("local:") { Amr::Pwd } else { Amr::Ext };
    let id = asker.viewer.app.config.gateway.id.clone();
    let (who, live) = asker.live()?;
    let actor = match (asker.site.delegation.actor, &gateway.people) {
        (Actor::Login, _) => who.login.clone(),
        (Actor::Opaque, Some(people)) => people.pseudonym(&asker.site.id, &who.login),
        (Actor::Opaque, None) => return Err(broken()),
    };
    let (session, key, state) = (live.began_as.clone(), way.key().clone(), state.to_owned());
    let granted = Granted { gateway: id, key, wanted, session, actor, amr, path, state };
    let openings = Arc::clone(&gateway.openings);
    let token = tokio::task::spawn_blocking(move || openings.issue(&granted)).await.map_err(|_| broken())?;
    let token = token.map_err(|error: NotIssued| {
        tracing::error!(site = %asker.site.id, "no token was signed: {error}");
        broken()
    })?;
    let origin = way.origin().ascii_serialization();
    let fields = pages::field("mc_token", token.expose());
    pages::handover(asker.base(), &asker.site.name, way.login().as_str(), &origin, &fields)
}
