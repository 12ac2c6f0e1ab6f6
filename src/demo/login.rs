//! The console's pages for people: the login page for whoever is not logged in, whatever they asked for, and for the
//! others the page of an agent, which says who they are.

use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use super::desk::Desk;
use super::fleet::{Agent, Fleet, ModuleState};
use super::php::encode_entities;
use super::requests::Incoming;
use crate::verifier::Live;

const STYLE: &str = "body{background:#14524f;color:#fff;font-family:sans-serif;margin:0}a{color:#9fe6d9}\
.login{display:grid;place-items:center;height:100vh}form{display:grid;gap:1rem;width:18rem}\
input{padding:.6rem;border:0;border-radius:4px}header{display:flex;gap:1rem;flex-wrap:wrap;padding:.8rem 1.2rem;background:#0b3d3a}\
header b{flex:1}main{padding:.5rem 1.2rem}td,th{padding:.25rem 1rem .25rem 0;text-align:left}[aria-current]{font-weight:bold}";

const LOGIN: &str = r#"<form method="post" action="index.php?login=1">
<h1>Pandora FMS</h1>
<label for="nick">User</label> <input id="nick" name="nick" autocomplete="username">
<label for="pass">Password</label> <input id="pass" name="pass" type="password" autocomplete="current-password">
<input type="submit" name="login_button" value="Let's go">
</form>"#;

/// Tabs of an agent, by the word in the address.
const TABS: &[(&str, &str)] = &[("", "Main"), ("module", "Modules"), ("alert", "Alerts"), ("graphs", "Graphs")];

/// What a person is shown.
pub(super) fn answer(incoming: &Incoming, desk: &Desk, fleet: &Fleet) -> Response {
    let asked = &incoming.parameters;
    if !asked.get("bye").is_empty() {
        desk.log_out(&incoming.headers);
        return page();
    }
    if incoming.method == Method::POST && !asked.get("nick").is_empty() {
        let Some(cookie) = desk.log_in(&incoming.headers, asked.get("nick"), asked.get("pass")) else { return page() };
        return (StatusCode::SEE_OTHER, [(header::SET_COOKIE, cookie)], [(header::LOCATION, "index.php")])
            .into_response();
    }
    match desk.who(&incoming.headers) {
        Some(live) => document("Pandora FMS", &inside(incoming, &live, fleet)),
        None => page(),
    }
}

/// The login page, with status 200 as on real consoles.
pub(super) fn page() -> Response {
    document("Pandora FMS - the Flexible Monitoring System", &format!("<div class=\"login\">{LOGIN}</div>"))
}

fn document(title: &str, body: &str) -> Response {
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    );
    let mut response = Html(html).into_response();
    let headers = response.headers_mut();
    for (name, value) in super::api::SESSION_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(super::api::TEXT));
    response
}

/// The console from inside: who is logged in, and the view that was asked for.
fn inside(incoming: &Incoming, live: &Live, fleet: &Fleet) -> String {
    let asked = &incoming.parameters;
    let by = live.actor.as_ref().map_or(String::new(), |actor| format!(" (opened by {})", encode_entities(actor)));
    let id = Some(asked.get("id_agente")).filter(|id| !id.is_empty()).unwrap_or_else(|| asked.get("id_agent"));
    let agent = id.parse().ok().and_then(|id: u32| fleet.agents.iter().find(|agent| agent.id == id));
    let view = match agent {
        Some(agent) if asked.get("sec2") == "operation/events/events" => events(agent, fleet),
        Some(agent) => tabs(agent, asked.get("tab")),
        None if id.is_empty() => format!("<h1>Overview</h1><p>{} agents</p>", fleet.agents.len()),
        None => "<h1>There is no such agent</h1>".to_owned(),
    };
    format!(
        "<header><b>Pandora FMS (demo)</b><span>Logged in as <strong id=\"user\">{}</strong>{by}</span>\
         <a href=\"index.php?bye=bye\">Log out</a></header><main>{view}</main>",
        encode_entities(&live.account)
    )
}

fn tabs(agent: &Agent, tab: &str) -> String {
    let link = |(word, name): &(&str, &str)| {
        let current = if *word == tab { " aria-current=\"page\"" } else { "" };
        let address = format!(
            "index.php?sec=estado&amp;sec2=operation/agentes/ver_agente&amp;tab={word}&amp;id_agente={}",
            agent.id
        );
        format!("<a href=\"{address}\"{current}>{name}</a> ")
    };
    let row = |module: &super::fleet::Module| {
        let (name, value) = (encode_entities(&module.name), encode_entities(&module.value));
        format!("<tr><td>{name}</td><td>{}</td><td>{value}</td></tr>", word(module.state))
    };
    format!(
        "<h1 id=\"agent\">{}</h1><nav id=\"tabs\">{}</nav><table><tr><th>Module</th><th>State</th><th>Value</th></tr>{}</table>",
        encode_entities(&agent.alias),
        TABS.iter().map(link).collect::<String>(),
        agent.modules.iter().map(row).collect::<String>()
    )
}

fn events(agent: &Agent, fleet: &Fleet) -> String {
    let own = fleet.events.iter().rev().filter(|event| event.agent == agent.id).take(50);
    let row = |event: &super::fleet::Event| {
        format!("<li>{} {}</li>", fleet.zone.format(event.utimestamp), encode_entities(&event.text))
    };
    format!(
        "<h1 id=\"agent\">{}</h1><h2>Events</h2><ul>{}</ul>",
        encode_entities(&agent.alias),
        own.map(row).collect::<String>()
    )
}

fn word(state: ModuleState) -> &'static str {
    match state {
        ModuleState::Normal => "normal",
        ModuleState::Critical => "critical",
        ModuleState::Warning => "warning",
        ModuleState::Unknown => "unknown",
        ModuleState::NotInit => "not init",
    }
}
