//! The page of an opening that a person reads: who they will be at the site, or why they are not handed over.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::super::viewer::Viewer;
use super::{Frame, assets, page};

/// What the page says.
#[derive(Debug)]
pub(in super::super) enum Case {
    /// One button leads on.
    As {
        /// Who they will be.
        account: String,
        /// Why the site may not answer.
        trouble: Option<&'static str>,
        /// What the button says.
        button: String,
        /// What is said of a login that is not by a token; empty for one that is.
        badge: &'static str,
    },
    /// Nobody is handed over.
    Not {
        /// Why.
        sentence: &'static str,
        /// What else can be done.
        advice: &'static str,
    },
}

/// What is on the page besides.
#[derive(Debug)]
pub(in super::super) struct Opening<'a> {
    /// The site's name.
    pub(in super::super) name: &'a str,
    /// What happened before; empty for nothing.
    pub(in super::super) said: &'a str,
    /// What it is now.
    pub(in super::super) case: Case,
    /// Where the form goes.
    pub(in super::super) action: &'a str,
    /// The session's form token.
    pub(in super::super) form: &'a str,
    /// The view that was asked for.
    pub(in super::super) view: &'a str,
    /// The same at the site, for whoever logs in there.
    pub(in super::super) there: &'a str,
}

#[derive(Debug, Template)]
#[template(path = "open.html")]
struct Page<'a> {
    frame: Frame,
    name: &'a str,
    said: &'a str,
    case: &'a Case,
    action: &'a str,
    form: &'a str,
    view: &'a str,
    there: &'a str,
}

/// As an answer.
pub(in super::super) fn opening(viewer: &Viewer, status: StatusCode, opening: &Opening<'_>) -> Response {
    let Opening { name, said, case, action, form, view, there } = opening;
    let frame = Frame::of(viewer, "open", *name);
    page(status, &Page { frame, name, said, case, action, form, view, there })
}

/// An opening in two steps, for a view where the console's answer to the login cannot land.
#[derive(Debug)]
pub(in super::super) struct TwoSteps<'a> {
    /// The site's name.
    pub(in super::super) name: &'a str,
    /// Who they will be.
    pub(in super::super) account: &'a str,
    /// What is said of the login.
    pub(in super::super) badge: &'static str,
    /// Where the form goes.
    pub(in super::super) action: &'a str,
    /// The session's form token.
    pub(in super::super) form: &'a str,
    /// The pending opening.
    pub(in super::super) number: &'a str,
    /// The view that was asked for, at the site.
    pub(in super::super) onward: &'a str,
}

#[derive(Debug, Template)]
#[template(path = "open-twice.html")]
struct Twice<'a> {
    frame: Frame,
    steps: &'a TwoSteps<'a>,
}

/// As an answer.
pub(in super::super) fn two_steps(viewer: &Viewer, steps: &TwoSteps<'_>) -> Response {
    page(StatusCode::OK, &Twice { frame: Frame::of(viewer, "open", steps.name), steps })
}

/// The style of all pages, for those that stand outside of the frame.
pub(in super::super) fn style(base: &str) -> String {
    // A path of the configuration and a hash: nothing in it needs escaping but what a URL has escaped.
    format!("<link rel=\"stylesheet\" href=\"{base}assets/{}/pane.css\">", assets::version())
}
