//! `include/api.php` of a demo console: who asks, what they ask for, and the answer in the form real consoles send it.
//!
//! An answer's status and content type say little, as on real consoles: known sentences come with status 200, an empty
//! search is a 500 without a body, and wrong credentials are told after a long pause.

mod agents;
mod events;
mod modules;
mod site;
mod tree;

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::console::{Account, Settings};
use super::fleet::{Agent, Fleet};
use super::php::{self, Cell, Row};
use super::requests::Incoming;

/// Content type of everything that is not JSON.
pub(super) const TEXT: &str = "text/html; charset=UTF-8";
const JSON: &str = "application/json";

/// What PHP's sessions add to every answer.
pub(super) const SESSION_HEADERS: [(HeaderName, &str); 3] = [
    (header::EXPIRES, "Thu, 19 Nov 1981 08:52:00 GMT"),
    (header::CACHE_CONTROL, "no-store, no-cache, must-revalidate"),
    (header::PRAGMA, "no-cache"),
];

const FORBIDDEN: &str = "The user has not enough permissions for perform this action.";
const NO_SUCH_ID: &str = "The Id does not exist in database.";
const NO_SUCH_OPERATION: &str = "This operation does not exist.";

/// PHP hands its headers out when this many bytes are written; the console takes back its cookie only before.
const OUTPUT_BUFFER: usize = 4096;

/// One call, with all it needs to be answered.
struct Call<'a> {
    incoming: &'a Incoming,
    fleet: &'a Fleet,
    settings: &'a Settings,
    account: &'a Account,
    now: i64,
}

/// What is sent back, and how long the console works on it.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    content_type: &'static str,
    body: String,
    /// The cookie of the session slips out.
    cookie: bool,
    pub(super) cost: Duration,
}

/// The parameter `return_type`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Csv,
    CsvHead,
    Json,
    Unsupported,
}

/// The account that a request logs in as.
pub(super) fn authenticate<'a>(incoming: &Incoming, settings: &'a Settings) -> Option<&'a Account> {
    if let Some(token) = incoming.header(header::AUTHORIZATION).strip_prefix("Bearer ") {
        return settings.accounts.iter().find(|account| account.token.expose() == token);
    }
    let given = |name| incoming.parameters.get(name);
    if given("apipass") != settings.api_password.expose() || given("pass").is_empty() {
        return None;
    }
    let matches = |account: &&Account| account.user == given("user") && account.password.expose() == given("pass");
    settings.accounts.iter().find(matches)
}

/// `info=version`, which needs no login.
pub(super) fn version(settings: &Settings) -> Answer {
    let version = &settings.version;
    Answer { cookie: true, ..Answer::text(format!("Pandora FMS {} - {} MR64", version.number, version.build)) }
}

/// What wrong credentials get, after [`Settings::auth_delay`].
pub(super) fn refused(settings: &Settings) -> Answer {
    Answer { cost: settings.auth_delay, ..Answer::text("auth error") }
}

/// Answers somebody who is logged in.
pub(super) fn answer(incoming: &Incoming, fleet: &Fleet, settings: &Settings, account: &Account) -> Answer {
    let now = settings.clock.now().as_secs();
    let call = Call { incoming, fleet, settings, account, now };
    let answer = match call.parameter("op") {
        "get" => call.get(),
        // Nothing that is demonstrated writes, so every account is refused.
        "set" => call.sentence(FORBIDDEN),
        "help" => call.sentence(NO_SUCH_OPERATION),
        _ => Answer::text("Not `set`, `get` or `help` operation selected."),
    };
    match call.form() {
        Form::Unsupported => Answer { body: String::new(), ..answer },
        _ => answer,
    }
}

impl<'a> Call<'a> {
    fn get(&self) -> Answer {
        match self.parameter("op2") {
            "test" => site::test(self),
            "timezone" => Answer::text(self.fleet.zone.name.clone()),
            "groups" => site::groups(self),
            "tags" => site::tags(self),
            "all_planned_downtimes" => site::downtimes(self),
            // Consoles answer these only to accounts with a right to write.
            "pandora_servers"
            | "alert_actions"
            | "all_alert_templates"
            | "alert_action_by_group"
            | "user_profiles_info"
            | "module_groups"
                if !self.account.may_write =>
            {
                self.sentence(FORBIDDEN)
            }
            "pandora_servers" => site::servers(self),
            "alert_actions" => site::alert_actions(),
            "all_alert_templates" => site::alert_templates(self),
            "alert_action_by_group" => self.sentence("2"),
            "module_groups" => Answer::text("1;General\n2;Networking\n"),
            "tree_agents" => tree::answer(self),
            "all_agents" => agents::all(self),
            "agents_id_name_by_alias" => agents::by_alias(self),
            "total_agents" => agents::total(self),
            "agent_modules" => modules::of_agent(self),
            "module_properties" => modules::properties(self),
            "module_last_value" => modules::last_value(self),
            "module_data" => modules::data(self),
            "events" => events::answer(self),
            _ => self.sentence(NO_SUCH_OPERATION),
        }
    }

    fn parameter(&self, name: &str) -> &'a str {
        self.incoming.parameters.get(name)
    }

    fn form(&self) -> Form {
        match self.parameter("return_type") {
            "" | "string" => Form::Text,
            "csv" => Form::Csv,
            "csv_head" => Form::CsvHead,
            "json" => Form::Json,
            _ => Form::Unsupported,
        }
    }

    /// An item of the parameter `other`; empty when absent. A list names its separator in `other_mode`; without one
    /// `other` is one text, and PHP takes its n-th character.
    fn other(&self, at: usize) -> String {
        let other = self.parameter("other");
        match self.parameter("other_mode").strip_prefix("url_encode_separator_") {
            Some(separator) if !separator.is_empty() => {
                let encoded = php::encode_entities(other);
                php::raw_url_decode(encoded.split(&php::encode_entities(separator)).nth(at).unwrap_or(""))
            }
            _ => other.chars().nth(at).map(String::from).unwrap_or_default(),
        }
    }

    /// A known sentence, wrapped when JSON is asked.
    fn sentence(&self, text: &str) -> Answer {
        match self.form() {
            Form::Json => Answer::json("string", &text),
            _ => Answer::text(text),
        }
    }

    /// Whether the account may see an agent, by any of its groups.
    fn may_see(&self, agent: &Agent) -> bool {
        agent.groups().any(|group| self.account.may_see(group))
    }

    /// Rows as `return_type` wants them, separated in CSV by `separator` (`;` when empty).
    fn rows(&self, rows: Vec<Row>, separator: &str) -> Answer {
        let separator = if separator.is_empty() { ";" } else { separator };
        let lines = |cell: fn(&str) -> String| {
            let line = |row: &Row| row.0.iter().map(|(_, value)| cell(&value.plain())).collect::<Vec<_>>();
            rows.iter().map(line).collect::<Vec<_>>()
        };
        match self.form() {
            Form::Json => Answer::json("array", &rows),
            Form::Text => Answer::text(lines(php::encode_entities).concat().join(separator)),
            _ => Answer::text(lines(php::csv_cell).iter().map(|line| line.join(separator) + "\n").collect::<String>()),
        }
    }
}

impl Answer {
    fn new(status: StatusCode, content_type: &'static str, body: String) -> Self {
        let cookie = status != StatusCode::OK || body.len() >= OUTPUT_BUFFER;
        Self { status, content_type, body, cookie, cost: Duration::ZERO }
    }

    fn text(body: impl Into<String>) -> Self {
        Self::new(StatusCode::OK, TEXT, body.into())
    }

    fn json(kind: &str, data: &impl serde::Serialize) -> Self {
        let body = format!("{{\"type\":{},\"data\":{}}}", php::json(&kind), php::json(data));
        Self::new(StatusCode::OK, JSON, body)
    }

    /// PHP died: a search without hits, or really an error.
    fn died() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, TEXT, String::new())
    }

    /// As sent. An old console's cookie is on everything.
    pub(super) fn into_response(self, session: &str, old: bool) -> Response {
        let mut response = (self.status, self.body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        for (name, value) in SESSION_HEADERS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Ok(cookie) = HeaderValue::from_str(&format!("PHPSESSID={session}; path=/"))
            && (self.cookie || old)
        {
            headers.insert(header::SET_COOKIE, cookie);
        }
        response
    }
}
