//! The section `gateway:`.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::config::mistake::Fault;
use crate::config::{Gateway, MasterKey};
use crate::delegation::{self, KeyError};
use crate::secret::Secret;

use super::address;
use super::fields::{Fields, Keys};
use super::scope::Placed;
use super::shared::{Shared, read_ages};
use super::tls;
use super::values::{self, Span};

pub(crate) const KEYS: Keys = Keys::of(&[
    "id",
    "listen",
    "public_url",
    "state_dir",
    "trusted_proxies",
    "deadline",
    "max_deadline",
    "refresh_after",
    "max_age",
    "forget_after",
    "allow_anonymous",
    "last_known",
    "keys",
    "tls",
]);

pub(crate) const KEY_KEYS: Keys = Keys::of_secrets(&["kid", "secret", "signing"]);

const DEADLINES: Span = Span::millis(50, 600_000, "50ms to 10m");
const DEADLINE: Duration = Duration::from_secs(2);
const MAX_DEADLINE: Duration = Duration::from_secs(60);

/// Shorter keys could be guessed.
const LEAST_KEY_BYTES: usize = 32;

/// What the sites need to know of the gateway.
pub(crate) struct Surroundings<'a> {
    /// Ages that hold where neither the site nor `defaults:` says otherwise.
    pub(crate) ages: Shared<'a>,
    /// Where browsers reach the gateway. None when nobody said (then nothing is served under it yet, only searched
    /// from the command line), or when it could not be read.
    pub(crate) public_url: Option<Url>,
    /// Every key id, even of a key whose secret has a mistake.
    pub(crate) kids: Vec<String>,
}

/// Reads the section. The gateway is None when it has a mistake that leaves no value.
pub(crate) fn read<'a>(fields: &Fields<'a>) -> (Option<Gateway>, Surroundings<'a>) {
    let listen = read_listen(fields);
    let public_url = read_public_url(fields, listen);
    let (deadline, max_deadline) = read_deadlines(fields);
    let keys = read_keys(fields);
    let surroundings = Surroundings {
        ages: read_ages(fields),
        public_url: public_url.clone().filter(|_| fields.has("public_url")),
        kids: keys.iter().map(|key| key.kid.value.clone()).collect(),
    };
    let proxies = fields.list("trusted_proxies", address::network);
    let values = |placed: Vec<Placed<'_, _>>| placed.into_iter().map(|p| p.value).collect();
    let flag = |key| fields.value(key, values::flag).unwrap_or(false);
    let id = fields.value("id", gateway_id);
    let state_dir = fields.value("state_dir", path).map(|path| fields.scope.folder().join(path));
    let allow_anonymous = flag("allow_anonymous");
    let last_known = flag("last_known");
    if last_known && !fields.has("state_dir") {
        let fault = Fault::new("`last_known` needs `gateway.state_dir`, where the rows are kept");
        fields.tell("last_known", fault.remedy("write it, for example `state_dir: /var/lib/metaconsole`"));
    }
    let gateway = listen.zip(public_url).map(|(listen, public_url)| Gateway {
        id: id.unwrap_or_else(|| "gateway".to_owned()),
        listen,
        public_url,
        state_dir,
        trusted_proxies: proxies.map(values).unwrap_or_default(),
        deadline,
        max_deadline,
        allow_anonymous,
        last_known,
        keys: keys.into_iter().filter_map(Key::finished).collect(),
        tls: tls::read_own(fields),
    });
    (gateway, surroundings)
}

fn read_listen(fields: &Fields<'_>) -> Option<SocketAddr> {
    let said = fields.value("listen", address::listen);
    let unless_said = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
    if fields.has("listen") { said } else { Some(unless_said) }
}

fn read_public_url(fields: &Fields<'_>, listen: Option<SocketAddr>) -> Option<Url> {
    let said = fields.value("public_url", address::gateway_url);
    let scheme = if fields.has("tls") { "https" } else { "http" };
    let unless_said = || Url::parse(&format!("{scheme}://{}/", listen?)).ok();
    if fields.has("public_url") { said } else { unless_said() }
}

fn read_deadlines(fields: &Fields<'_>) -> (Duration, Duration) {
    let read = |key| fields.placed(key, |text| values::duration(text, &DEADLINES));
    let (deadline, most) = (read("deadline"), read("max_deadline"));
    let max_deadline = most.map_or(MAX_DEADLINE, |most| most.value);
    let Some(deadline) = deadline else {
        return (DEADLINE.min(max_deadline), max_deadline);
    };
    if deadline.value > max_deadline {
        let fault = Fault::new("`deadline` must not be above `max_deadline`");
        deadline.tell(fault.remedy("lower it, or raise `max_deadline` (60s unless said)"));
    }
    (deadline.value, max_deadline)
}

fn gateway_id(text: &str) -> Result<String, Fault> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if (1..=63).contains(&text.len()) && text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    Err(Fault::new("an id is 1 to 63 characters of a-z, 0-9 and -"))
}

/// The name of a file or folder.
pub(crate) fn path(text: &str) -> Result<PathBuf, Fault> {
    // What begins like this is the content of a file, pasted instead of its name.
    if text.is_empty() || text.starts_with("-----") || text.contains(char::is_control) {
        return Err(Fault::new("expected the name of a file or folder"));
    }
    Ok(PathBuf::from(text))
}

/// A row of `keys:`; its id counts even when its secret has a mistake.
struct Key<'a> {
    kid: Placed<'a, String>,
    secret: Option<Secret>,
    signing: bool,
}

impl Key<'_> {
    fn finished(self) -> Option<MasterKey> {
        Some(MasterKey { kid: self.kid.value, secret: self.secret?, signing: self.signing })
    }
}

fn read_keys<'a>(fields: &Fields<'a>) -> Vec<Key<'a>> {
    let rows = fields.items("keys").unwrap_or_default();
    let open = |row| Fields::open(&fields.scope, row, &KEY_KEYS);
    let keys: Vec<Key<'a>> = rows.iter().filter_map(open).filter_map(|row| read_key(&row)).collect();
    tell_repeated(&keys);
    let signing = keys.iter().filter(|key| key.signing).count();
    if signing != 1 && !rows.is_empty() && keys.len() == rows.len() {
        let message = format!("exactly one key signs, but {signing} do");
        fields.tell("keys", Fault::new(message).remedy("write `signing: true` at one key only"));
    }
    keys
}

fn read_key<'a>(row: &Fields<'a>) -> Option<Key<'a>> {
    let secret = read_master(row);
    let signing = row.value("signing", values::flag).unwrap_or(false);
    row.require("kid", "write a name for the key, such as `2026a`");
    let kid = row.placed("kid", kid)?;
    Some(Key { kid, secret, signing })
}

fn read_master(row: &Fields<'_>) -> Option<Secret> {
    row.require("secret", "write `${NAME}` or `file:PATH`");
    let found = row.found("secret")?;
    if found.value.open_to_others {
        let fault = Fault::new("`secret`: the file is open to group or others");
        found.tell(fault.remedy("run `chmod 600` on it"));
    }
    if found.value.secret.expose().len() < LEAST_KEY_BYTES {
        let fault = Fault::new("`secret`: shorter than 32 bytes");
        found.tell(fault.remedy("make one with `openssl rand -hex 32`"));
    }
    let fault = match delegation::MasterKey::read("key", &found.value.secret) {
        Err(KeyError::Weak) => Some("`secret`: no random key"),
        Err(KeyError::Published) => Some("`secret`: one of the published test keys"),
        Ok(_) | Err(_) => None,
    };
    if let Some(fault) = fault {
        found.tell(Fault::new(fault).remedy("make one with `metaconsole keys generate`"));
    }
    Some(found.value.secret)
}

/// A key id. It travels in every token.
pub(crate) fn kid(text: &str) -> Result<String, Fault> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if (1..=16).contains(&text.len()) && text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    Err(Fault::new("a key id is 1 to 16 characters of A-Z, a-z, 0-9, _ and -"))
}

fn tell_repeated(keys: &[Key<'_>]) {
    let (mut kids, mut secrets) = (HashSet::new(), HashSet::new());
    for key in keys {
        if !kids.insert(&key.kid.value) {
            let fault = Fault::new("the same `kid` as an earlier key");
            key.kid.tell(fault.remedy("give every key an id of its own"));
        }
        let Some(secret) = &key.secret else { continue };
        if !secrets.insert(secret.expose()) {
            let fault = Fault::new("the same secret as an earlier key");
            key.kid.tell(fault.remedy("make a new one with `openssl rand -hex 32`"));
        }
    }
}
