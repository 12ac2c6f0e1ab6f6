//! Serves the recorded answers of one real console as a console.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use metaconsole::demo::{Faults, Handler, Incoming, Parameters, Requests, Server};
use serde::Deserialize;

/// One line of `index.json`.
#[derive(Clone, Deserialize)]
struct Case {
    case: String,
    query: String,
    status: u16,
    content_type: String,
    cookie: bool,
    special: bool,
    file: String,
}

/// A running replay. Stops when dropped.
pub(crate) struct Replay(Server);

impl Replay {
    /// Starts the console of `site` (`s1`, `s2`, `s3`). `overrides` names the case that answers an `op2`, whatever else
    /// is asked; or an `op2`, a blank and a part of `other` of those requests only. Panics when there is no such case: that is a mistake of the test.
    pub(crate) fn start(site: &str, overrides: &[(&str, &str)]) -> Self {
        let cases = cases();
        let named = |name: &str| {
            cases.iter().find(|case| case.case == name).unwrap_or_else(|| panic!("no case {name}")).clone()
        };
        let overrides = overrides.iter().map(|(op2, name)| ((*op2).to_owned(), named(name))).collect();
        let site = format!("{site}-");
        let cases = cases.iter().filter(|case| case.case.starts_with(&site) && !case.special).cloned().collect();
        let console = Arc::new(Console { overrides, cases });
        let handler: Handler = Arc::new(move |incoming| {
            let console = Arc::clone(&console);
            Box::pin(async move { console.answer(&incoming) })
        });
        Self(Server::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), handler).unwrap())
    }

    /// The console's root.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/pandora_console/", self.0.address())
    }

    /// What goes wrong on purpose.
    pub(crate) fn faults(&self) -> &Faults {
        self.0.faults()
    }

    /// What was asked.
    pub(crate) fn requests(&self) -> &Requests {
        self.0.requests()
    }
}

/// The recorded body of a case.
pub(crate) fn body(case: &str) -> Vec<u8> {
    let case = cases().into_iter().find(|other| other.case == case).unwrap_or_else(|| panic!("no case {case}"));
    std::fs::read(folder().join(case.file)).unwrap()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pandora")
}

fn cases() -> Vec<Case> {
    serde_json::from_slice(&std::fs::read(folder().join("index.json")).unwrap()).unwrap()
}

struct Console {
    overrides: HashMap<String, Case>,
    cases: Vec<Case>,
}

impl Console {
    fn answer(&self, incoming: &Incoming) -> Response {
        let other = incoming.parameters.get("other");
        let partly =
            |key: &str| key.split_once(' ').is_some_and(|(op2, part)| op2 == incoming.op2() && other.contains(part));
        let partly = self.overrides.iter().find(|(key, _)| partly(key)).map(|(_, case)| case);
        let whole = || self.overrides.get(incoming.op2()).or_else(|| self.nearest(incoming));
        match partly.or_else(whole) {
            Some(case) => case.answer(),
            None => unknown(incoming),
        }
    }

    /// The case of the same operation and id that has most of what is asked.
    fn nearest(&self, incoming: &Incoming) -> Option<&Case> {
        let asked = &incoming.parameters;
        let same =
            |recorded: &Parameters, names: &[&str]| names.iter().all(|name| recorded.get(name) == asked.get(name));
        let fits = |case: &&Case| incoming.is_api() && same(&case.parameters(), &["info", "op", "op2", "id"]);
        self.cases.iter().filter(fits).rev().max_by_key(|case| {
            let recorded = case.parameters();
            let wanted = asked.get("other").split(['|', ',']).collect::<Vec<_>>();
            let common = recorded.get("other").split(['|', ',']).filter(|word| wanted.contains(word)).count();
            (same(&recorded, &["return_type"]), same(&recorded, &["other"]), common)
        })
    }
}

impl Case {
    fn parameters(&self) -> Parameters {
        Parameters::parse(self.query.as_bytes(), &[])
    }

    fn answer(&self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap();
        let content_type = [(header::CONTENT_TYPE, self.content_type.clone())];
        let cookie = self.cookie.then_some([(header::SET_COOKIE, "PHPSESSID=recorded; path=/")]);
        let body = std::fs::read(folder().join(&self.file)).unwrap();
        match cookie {
            Some(cookie) => (status, content_type, cookie, body).into_response(),
            None => (status, content_type, body).into_response(),
        }
    }
}

/// What a console says to an operation it does not have.
fn unknown(incoming: &Incoming) -> Response {
    let sentence = "This operation does not exist.";
    if incoming.parameters.get("return_type") == "json" {
        let body = format!("{{\"type\":\"string\",\"data\":\"{sentence}\"}}");
        return ([(header::CONTENT_TYPE, "application/json")], body).into_response();
    }
    ([(header::CONTENT_TYPE, "text/html; charset=UTF-8")], sentence).into_response()
}
