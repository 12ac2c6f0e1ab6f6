//! The section `access:`: people, roles, API tokens, wallboards, sessions.

mod people;
mod roles;

use std::time::Duration;

use crate::config::Gateway;
use crate::config::access::{Access, SessionRules};
use crate::config::mistake::Fault;
use crate::config::node::Node;
use crate::secret::Secret;

use super::address;
use super::fields::{Fields, Keys};
use super::scope::Placed;
use super::values::{self, Span};

pub(crate) const KEYS: Keys =
    Keys::of(&["users", "roles", "api_tokens", "wallboards", "session", "oidc", "trusted_header"]);

const SESSION_KEYS: Keys = Keys::of_secrets(&["idle", "absolute", "per_user", "key"]);

const OIDC_KEYS: Keys = Keys::of_secrets(&["issuer", "client_id", "client_secret", "groups_claim", "account_claim"]);

const HEADER_KEYS: Keys = Keys::of_secrets(&["user_header", "groups_header", "peers", "secret_header", "secret"]);

const IDLE: Span = Span::millis(60_000, 7 * 86_400_000, "1m to 7d");
const ABSOLUTE: Span = Span::millis(300_000, 30 * 86_400_000, "5m to 30d");
const MOST_SESSIONS: usize = 1000;

/// Shorter keys could be guessed.
const LEAST_KEY_BYTES: usize = 32;

/// Reads the section. Roles may name these sites; `None`: it is not known which there are.
pub(crate) fn read(fields: &Fields<'_>, sites: Option<&[&str]>) -> Access {
    let roles = roles::read(fields, sites);
    let names: Vec<String> = roles.iter().map(|role| role.name.clone()).collect();
    let users = people::users(fields, &names);
    let api_tokens = people::api_tokens(fields, &names);
    let wallboards = people::wallboards(fields, &names);
    for (key, keys, word) in
        [("oidc", OIDC_KEYS, "OpenID Connect"), ("trusted_header", HEADER_KEYS, "a trusted header")]
    {
        // Its keys are judged, so that whoever writes it now need not write it again.
        if fields.map(key, &keys).is_some() {
            let fault = Fault::new(format!("`{key}`: login by {word} is not in this version"));
            fields.tell(key, fault.remedy("remove it and write `users`"));
        }
    }
    if !wallboards.is_empty() && users.is_empty() {
        let fault = Fault::new("`wallboards`: nobody could pair them without `users`");
        fields.tell("wallboards", fault.remedy("write `users`, or give the screen an API token"));
    }
    Access { users, roles, api_tokens, wallboards, session: session(fields) }
}

/// What a login needs of the gateway: a place for sessions, and an address whose cookies browsers keep.
pub(crate) fn check_gateway(fields: &Fields<'_>, access: &Access, gateway: Option<&Gateway>) {
    let Some(gateway) = gateway.filter(|_| access.has_login()) else { return };
    let key = if access.users.is_empty() { "api_tokens" } else { "users" };
    if gateway.state_dir.is_none() {
        let fault = Fault::new("a login needs `gateway.state_dir`, where sessions survive a restart");
        fields.tell(key, fault.remedy("write it, for example `state_dir: /var/lib/metaconsole`"));
    }
    if gateway.public_url.scheme() == "http" && !address::is_loopback(&gateway.public_url) {
        let fault =
            Fault::new("a login needs an https `gateway.public_url`: browsers keep no `__Host-` cookie otherwise");
        fields.tell(
            key,
            fault.remedy("write `gateway.tls`, or put a proxy with TLS in front, and an https address in `public_url`"),
        );
    }
    let is_behind = gateway.tls.is_some() || !gateway.trusted_proxies.is_empty();
    if gateway.public_url.scheme() == "https" && !gateway.listen.ip().is_loopback() && !is_behind {
        let listen = gateway.listen;
        let fault = Fault::new(format!("passwords and tokens would come to {listen} on plain http, from anybody"));
        let remedy = "write `gateway.tls`, list the proxy with TLS in `gateway.trusted_proxies`, or listen on loopback";
        fields.tell(key, fault.remedy(remedy));
    }
    if gateway.allow_anonymous {
        let fault = Fault::new("`gateway.allow_anonymous: true` and a login contradict each other");
        fields.tell(key, fault.remedy("remove one of them"));
    }
}

/// Rows of a list of maps.
fn rows<'a>(fields: &Fields<'a>, key: &str, keys: &Keys) -> Vec<Fields<'a>> {
    let nodes: &[Node] = fields.items(key).unwrap_or_default();
    nodes.iter().filter_map(|node| Fields::open(&fields.scope, node, keys)).collect()
}

/// Tells each name that an earlier row has.
fn tell_repeated(names: &[Placed<'_, String>], what: &str) {
    for (i, name) in names.iter().enumerate() {
        let before = names.get(..i).unwrap_or_default();
        if let Some(first) = before.iter().find(|first| first.value == name.value) {
            let fault = Fault::new(format!("{what} is already used at {}", first.line()));
            name.tell(fault.remedy("give each its own"));
        }
    }
}

fn session(access: &Fields<'_>) -> SessionRules {
    let unless_said = SessionRules::default();
    let Some(fields) = access.map("session", &SESSION_KEYS) else { return unless_said };
    let read = |key, span: &'static Span| fields.placed(key, |text| values::duration(text, span));
    let idle = read("idle", &IDLE);
    let absolute = read("absolute", &ABSOLUTE);
    let most: Duration = absolute.map_or(unless_said.absolute, |placed| placed.value);
    if let Some(idle) = idle.as_ref().filter(|idle| idle.value > most) {
        let fault = Fault::new("`idle` must not be above `absolute`");
        idle.tell(fault.remedy("lower it, or raise `absolute` (12h unless said)"));
    }
    SessionRules {
        idle: idle.map_or(unless_said.idle.min(most), |placed| placed.value),
        absolute: most,
        per_user: fields.value("per_user", |text| values::count(text, MOST_SESSIONS)).unwrap_or(unless_said.per_user),
        key: session_key(&fields),
    }
}

fn session_key(fields: &Fields<'_>) -> Option<Secret> {
    let found = fields.found("key")?;
    if found.value.open_to_others {
        found.tell(Fault::new("`key`: the file is open to group or others").remedy("run `chmod 600` on it"));
    }
    if found.value.secret.expose().len() < LEAST_KEY_BYTES {
        let fault = Fault::new("`key`: shorter than 32 bytes");
        found.tell(fault.remedy("make one with `openssl rand -hex 32`"));
    }
    Some(found.value.secret)
}
