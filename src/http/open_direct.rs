//! Openings by a console's own hash, over HTTP: what is said of them, and the page that hands the hash over.
//!
//! Steps as with a verifier ([`super::open`]), but there is nobody at the site who could give the browser a state, so the
//! confirming page follows the button at once. The hash stands in that one page which sends it, in the body of a form; the
//! console's answer to it is chosen by the site's adapter so that nothing of the form is repeated there.
//!
//! Where that answer is not the view that was wanted, a plain link goes on to it. No page of ours runs at the console's
//! origin, and a page here can neither see when the console has answered nor reach its window. So that link is for the
//! person: the login opens in a tab of its own, and the page that holds the link stays.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;

use super::Gateway;
use super::open::{Asker, broken};
use super::open_pages as pages;
use super::pages as frame;
use super::problem::Problem;
pub(super) use crate::openings::direct::BADGE;
use crate::openings::{Closed, Direct, NotIssued, Wanted, view};
use crate::sites::{HashLogin, View};

/// Where a login for this view is sent to; `None`: there is no such login.
pub(super) fn landing(asker: &Asker<'_>, view: View<'_>) -> Option<HashLogin> {
    asker.slot.plan().site.as_ref().ok()?.hash_login(view)
}

/// After the button: the page that sends the last form.
pub(super) fn confirm(asker: &Asker<'_>, gateway: &Gateway, number: &str, account: &str, wish: &str) -> Response {
    let (name, form) = (&asker.site.name, asker.form_token(gateway));
    let action = format!("{}/finish", asker.address());
    let login = landing(asker, view(wish).unwrap_or(View::Home));
    let Some(onward) = login.and_then(|login| login.onward) else {
        let fields = [pages::field("form", &form), pages::field("p", number)].concat();
        return pages::finishing(asker.base(), name, &action, &fields);
    };
    let steps =
        frame::TwoSteps { name, account, badge: BADGE, action: &action, form: &form, number, onward: onward.as_str() };
    frame::two_steps(asker.viewer, &steps)
}

/// Records it, and hands the hash over.
pub(super) async fn issue(
    asker: &Asker<'_>,
    gateway: &Gateway,
    way: Direct,
    wanted: Wanted,
) -> Result<Response, Problem> {
    let login = landing(asker, view(&wanted.view).unwrap_or(View::Home)).ok_or_else(|| {
        let closed = Closed::NoHashLogin;
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "closed", closed.to_string()).remedy(closed.remedy())
    })?;
    let openings = Arc::clone(&gateway.openings);
    let session = asker.live()?.1.began_as.clone();
    let made = tokio::task::spawn_blocking(move || openings.issue_direct(&way, &wanted, &session)).await;
    let made = made.map_err(|_| broken())?;
    let made = made.map_err(|error: NotIssued| {
        tracing::error!(site = %asker.site.id, "no login was handed over: {error}");
        broken()
    })?;
    let fields = [
        pages::field("loginhash", "auto"),
        pages::field("loginhash_data", made.data.expose()),
        pages::field("loginhash_user", &made.user),
    ];
    let origin = login.action.origin().ascii_serialization();
    pages::handover(asker.base(), &asker.site.name, login.action.as_str(), &origin, &fields.concat())
}
