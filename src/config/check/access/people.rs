//! `access.users`, `access.api_tokens` and `access.wallboards`.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Params};

use super::roles::name;
use super::{rows, tell_repeated};
use crate::config::access::{ApiToken, User, Wallboard};
use crate::config::check::address;
use crate::config::check::fields::{Fields, Keys, nearest};
use crate::config::check::scope::Placed;
use crate::config::check::values;
use crate::config::mistake::Fault;
use crate::config::secrets::is_reference;
use crate::secret::Secret;

const USER_KEYS: Keys = Keys {
    known: &["login", "password", "groups", "roles"],
    refused: &[("totp", "`totp` is not in this version", "remove it; the password alone is asked")],
    secret: true,
};

const TOKEN_KEYS: Keys = Keys::of_secrets(&["name", "hash", "roles", "expires"]);

const WALL_KEYS: Keys = Keys::of(&["name", "view", "roles", "addresses"]);

const HOW_TO_HASH: &str = "make the hash with `metaconsole password`";

/// Weaker hashes give a stolen configuration away; stronger ones would take our memory at each login.
const LEAST_COST: u64 = 19_456 * 2;
const MOST_MEMORY_KIB: u32 = 256 * 1024;
const MOST_PASSES: u32 = 16;

pub(super) fn users(access: &Fields<'_>, roles: &[String]) -> Vec<User> {
    let mut logins = Vec::new();
    let mut users = Vec::new();
    for row in rows(access, "users", &USER_KEYS) {
        row.require("login", "write what they type to log in");
        row.require("password", HOW_TO_HASH);
        let login = row.placed("login", login);
        let password = password(&row);
        let groups = row.list("groups", name).unwrap_or_default();
        let roles = known_roles(&row, roles);
        logins.extend(login.clone());
        if let Some((login, password)) = login.zip(password) {
            let groups = groups.into_iter().map(|group| group.value).collect();
            users.push(User { login: login.value, password, groups, roles });
        }
    }
    tell_repeated(&logins, "this login");
    users
}

/// Small letters only, so that no two people look the same.
fn login(text: &str) -> Result<String, Fault> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'@' | b'-');
    if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    Err(Fault::new("a login is 1 to 64 characters of a-z, 0-9 and ._@-").remedy("write capitals small"))
}

/// The one place where a hash may stand literally: `$argon2id$...` is no `${NAME}` and no plain word.
fn password(row: &Fields<'_>) -> Option<Secret> {
    let text = row.raw("password", |text| {
        if is_reference(text) {
            return Ok(None);
        }
        judge_hash(text).map(|()| Some(Secret::new(text)))
    })?;
    if let Some(literal) = text.value {
        return Some(literal);
    }
    let found = row.found("password")?;
    if let Err(fault) = judge_hash(found.value.secret.expose()) {
        row.tell_about("password", fault);
        return None;
    }
    Some(found.value.secret)
}

fn judge_hash(text: &str) -> Result<(), Fault> {
    let no = |message: &str| Err(Fault::new(message).remedy(HOW_TO_HASH));
    let Ok(hash) = PasswordHash::new(text) else { return no("not the hash of a password") };
    if Algorithm::try_from(hash.algorithm.as_str()) != Ok(Algorithm::Argon2id) || hash.hash.is_none() {
        return no("not an argon2id hash");
    }
    let Ok(params) = Params::try_from(&hash) else { return no("not an argon2id hash") };
    if u64::from(params.m_cost()) * u64::from(params.t_cost()) < LEAST_COST {
        return no("a weak hash: less work than 19 MiB in two passes");
    }
    if params.m_cost() > MOST_MEMORY_KIB || params.t_cost() > MOST_PASSES {
        return no("a hash that takes too much at each login: above 256 MiB or 16 passes");
    }
    Ok(())
}

fn known_roles(row: &Fields<'_>, known: &[String]) -> Vec<String> {
    let role = |text: &str| {
        if known.iter().any(|role| role == text) {
            return Ok(text.to_owned());
        }
        let fault = Fault::new("no such role in `access.roles`");
        Err(match nearest(text, known.iter().map(String::as_str)) {
            Some(near) => fault.remedy(format!("write `{near}`")),
            None if known.is_empty() => fault.remedy("write `roles` below `access`"),
            None => fault.remedy(format!("the roles are {}", known.join(", "))),
        })
    };
    row.require("roles", "write at least one role; without, nothing would be shown");
    row.list("roles", role).unwrap_or_default().into_iter().map(|role| role.value).collect()
}

pub(super) fn api_tokens(access: &Fields<'_>, roles: &[String]) -> Vec<ApiToken> {
    let (mut names, mut tokens): (Vec<Placed<'_, String>>, Vec<ApiToken>) = (Vec::new(), Vec::new());
    for row in rows(access, "api_tokens", &TOKEN_KEYS) {
        row.require("name", "write a name for the log");
        row.require("hash", "make a token with `metaconsole password --api-token`");
        let called = row.placed("name", name);
        let hash = row.placed("hash", sha256);
        let roles = known_roles(&row, roles);
        let expires = row.value("expires", instant);
        names.extend(called.clone());
        let Some((called, hash)) = called.zip(hash) else { continue };
        if tokens.iter().any(|token| token.hash == hash.value) {
            hash.tell(Fault::new("`hash`: the same token as an earlier one").remedy("make another"));
        }
        tokens.push(ApiToken { name: called.value, hash: hash.value, roles, expires });
    }
    tell_repeated(&names, "the name of this token");
    tokens
}

/// `sha256:` and 64 hexadecimal digits.
fn sha256(text: &str) -> Result<[u8; 32], Fault> {
    let no = || {
        Fault::new("expected `sha256:` and 64 hexadecimal digits")
            .remedy("make a token with `metaconsole password --api-token`; the token itself must not stand here")
    };
    let hex = text.strip_prefix("sha256:").filter(|hex| hex.len() == 64 && hex.is_ascii()).ok_or_else(no)?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit()));
        *byte = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or_else(no)?;
    }
    Ok(bytes)
}

/// A day (its begin, UTC) or a moment, in seconds since 1970.
fn instant(text: &str) -> Result<i64, Fault> {
    let no = || Fault::new("expected a day").remedy("write it like `2027-01-31` or `2027-01-31T12:00:00Z`");
    let moment = if text.contains('T') { text.to_owned() } else { format!("{text}T00:00:00Z") };
    let moment: jiff::Timestamp = moment.parse().map_err(|_| no())?;
    Ok(moment.as_second())
}

pub(super) fn wallboards(access: &Fields<'_>, roles: &[String]) -> Vec<Wallboard> {
    let (mut names, mut walls) = (Vec::new(), Vec::new());
    for row in rows(access, "wallboards", &WALL_KEYS) {
        row.require("name", "write a name for it");
        let called = row.placed("name", name);
        let view = row.value("view", values::name).unwrap_or_default();
        let roles = known_roles(&row, roles);
        let addresses = row.list("addresses", address::network).unwrap_or_default();
        names.extend(called.clone());
        if let Some(called) = called {
            let addresses = addresses.into_iter().map(|address| address.value).collect();
            walls.push(Wallboard { name: called.value, view, roles, addresses });
        }
    }
    tell_repeated(&names, "the name of this wallboard");
    walls
}
