//! `gate.yaml`, read with the tools of `sites.yaml`: all mistakes at once, each with its place and a remedy.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use crate::config::gate::{GateConfig, Heads, Lengths, Mode, OnLoss, Verification};
use crate::config::mistake::{Fault, Mistakes};
use crate::config::node::{self, Place};
use crate::config::{Environment, files};
use crate::delegation::{self, Purpose, SiteKey};
use crate::domain::SiteId;

use super::fields::{Fields, Keys};
use super::scope::{Notes, Scope};
use super::values::{self, Span};
use super::{address, gateway};

const KEYS: Keys = Keys::of_secrets(&[
    "site",
    "gateway",
    "gateway_ca",
    "issuers",
    "listen",
    "public_url",
    "keys",
    "state_dir",
    "allow",
    "require_mfa",
    "verification",
    "mode",
    "session",
    "on_gateway_loss",
    "heads",
    "audit_file",
    "identity_headers",
    "trusted_proxies",
]);

const SESSION_KEYS: Keys = Keys::of(&["idle", "longest"]);

/// Not above what a person's day takes; not so short that a page cannot be read.
const LENGTHS: Span = Span::millis(60_000, 12 * 3_600_000, "1m to 12h");
const KEPT: Span = Span::millis(60_000, 12 * 3_600_000, "1m to 12h");

const IDLE: Duration = Duration::from_secs(30 * 60);
const LONGEST_ONLINE: Duration = Duration::from_secs(12 * 3600);
const LONGEST_OFFLINE: Duration = Duration::from_secs(3600);

/// A configuration is small; a wrong file name must not fill the memory.
const MOST_BYTES: u64 = 1 << 20;

/// Reads and checks `path`.
///
/// # Errors
/// Every mistake in it.
pub fn load_gate(path: &Path, environment: Environment<'_>) -> Result<GateConfig, Mistakes> {
    let notes = Notes::default();
    let scope = Scope::of_file(path, environment, &notes);
    let root = files::read_text(path, MOST_BYTES).map_err(|fault| (Place::FILE, with_remedy(fault)));
    let root = root.and_then(|text| node::read(&text)).map_err(|(place, fault)| scope.tell(place, fault)).ok();
    let config = root.as_ref().and_then(|root| Fields::open(&scope, root, &KEYS)).and_then(|fields| read(&fields));
    match (config, notes.mistakes.into_inner()) {
        (Some(config), mistakes) if mistakes.is_empty() => Ok(config),
        (_, mistakes) => Err(Mistakes::sorted(mistakes)),
    }
}

fn with_remedy(fault: Fault) -> Fault {
    if fault.remedy.is_some() { fault } else { fault.remedy("name another file with --config") }
}

fn read(fields: &Fields<'_>) -> Option<GateConfig> {
    for (key, remedy) in [
        ("site", "write the site's id at the gateway"),
        ("gateway", "write the gateway's address, as browsers reach it"),
        ("issuers", "write the gateway's id, `gateway.id` in its sites.yaml"),
        ("public_url", "write the site's address, as browsers reach it"),
        ("keys", "write `file:PATH` of what `metaconsole keys derive` made"),
        ("state_dir", "write a folder that only this program uses"),
        ("verification", "write `online` or `offline`"),
    ] {
        fields.require(key, remedy);
    }
    let site = fields.value("site", |text| text.parse::<SiteId>().map_err(|error| Fault::new(error.to_string())));
    let verification = fields.value("verification", |text| {
        one_of(text, &[("online", Verification::Online), ("offline", Verification::Offline)])
    });
    let mode = fields.value("mode", |text| one_of(text, &[("optional", Mode::Optional), ("required", Mode::Required)]));
    let heads = fields.value("heads", |text| one_of(text, &[("one", Heads::One), ("several", Heads::Several)]));
    let loss = fields.value("on_gateway_loss", on_loss);
    check_offline(fields, verification, heads);
    let (gateway, public_url) = addresses(fields);
    let folder = fields.scope.folder();
    let file = |key| fields.value(key, gateway::path).map(|path: PathBuf| folder.join(path));
    let listen = fields.value("listen", address::listen);
    let session = lengths(fields, verification);
    let keys = site.as_ref().and_then(|site| site_keys(fields, site, verification));
    let config = GateConfig {
        gateway_ca: fields.value("gateway_ca", |text| authority(&folder.join(text))),
        issuers: texts(fields, "issuers", issuer)?,
        listen: listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 8090))),
        allow: texts(fields, "allow", account).unwrap_or_default(),
        require_mfa: fields.value("require_mfa", values::flag).unwrap_or(false),
        mode: mode.unwrap_or(Mode::Optional),
        session,
        on_gateway_loss: loss.unwrap_or(OnLoss::Keep(Duration::from_secs(15 * 60))),
        heads: heads.unwrap_or(Heads::One),
        audit_file: file("audit_file"),
        identity_headers: identity_headers(fields),
        trusted_proxies: proxies(fields),
        state_dir: file("state_dir")?,
        site: site?,
        gateway: gateway?,
        public_url: public_url?,
        keys: keys?,
        verification: verification?,
    };
    if config.issuers.is_empty() {
        fields.tell("issuers", Fault::new("`issuers` is empty").remedy("write the gateway's id"));
    }
    Some(config)
}

fn one_of<T: Copy>(text: &str, known: &[(&str, T)]) -> Result<T, Fault> {
    let found = known.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    let words: Vec<String> = known.iter().map(|(word, _)| format!("`{word}`")).collect();
    found.ok_or_else(|| Fault::new("not known").remedy(format!("write {}", words.join(" or "))))
}

fn on_loss(text: &str) -> Result<OnLoss, Fault> {
    match text.split_once(' ') {
        None if text == "close" => Ok(OnLoss::Close),
        Some(("keep", time)) => values::duration(time.trim(), &KEPT).map(OnLoss::Keep),
        _ => Err(Fault::new("not known").remedy("write `keep 15m` or `close`")),
    }
}

/// What only an online gate has.
fn check_offline(fields: &Fields<'_>, verification: Option<Verification>, heads: Option<Heads>) {
    if verification != Some(Verification::Offline) {
        return;
    }
    if fields.has("on_gateway_loss") {
        let fault = Fault::new("`on_gateway_loss` means nothing with `verification: offline`");
        fields.tell("on_gateway_loss", fault.remedy("remove it"));
    }
    if heads == Some(Heads::Several) {
        let fault = Fault::new("`heads: several` needs `verification: online`: only the gateway knows what was used");
        fields.tell("heads", fault.remedy("write `one`, or `verification: online`"));
    }
}

fn addresses(fields: &Fields<'_>) -> (Option<Url>, Option<Url>) {
    let secure = |url: Url| {
        if url.scheme() == "https" || address::is_loopback(&url) || is_local_name(&url) {
            return Ok(url);
        }
        Err(Fault::new("plain http is for loopback only").remedy("write an https address"))
    };
    let gateway = fields.placed("gateway", |text| address::gateway_url(text).and_then(secure));
    let public_url = fields.placed("public_url", |text| address::gateway_url(text).and_then(secure));
    if let Some((gateway, public_url)) = gateway.as_ref().zip(public_url.as_ref())
        && address::same_host(&gateway.value, &public_url.value)
    {
        let fault = Fault::new("`public_url` has the gateway's own host name: cookies of the one go to the other");
        public_url.tell(fault.remedy("give the gateway or the site a name of its own"));
    }
    (gateway.map(|placed| placed.value), public_url.map(|placed| placed.value))
}

fn is_local_name(url: &Url) -> bool {
    url.host_str().is_some_and(|host| host.ends_with(".localhost"))
}

fn lengths(fields: &Fields<'_>, verification: Option<Verification>) -> Lengths {
    let most = match verification {
        Some(Verification::Offline) => LONGEST_OFFLINE,
        _ => LONGEST_ONLINE,
    };
    let session = fields.map("session", &SESSION_KEYS).unwrap_or_else(|| fields.without_entries());
    let time = |key| session.placed(key, |text| values::duration(text, &LENGTHS));
    let (idle, longest) = (time("idle"), time("longest"));
    let said = longest.as_ref().map_or(most, |longest| longest.value);
    if said > most {
        let fault = Fault::new("`longest`: at most 1h with `verification: offline`, since nothing else ends a session");
        session.tell("longest", fault.remedy("write `1h` or less"));
    }
    if idle.as_ref().is_some_and(|idle| idle.value > said) {
        session.tell("idle", Fault::new("`idle` must not be above `longest`").remedy("lower it"));
    }
    Lengths { idle: idle.map_or(IDLE.min(said), |idle| idle.value), longest: said }
}

fn texts(fields: &Fields<'_>, key: &str, parse: impl Fn(&str) -> Result<String, Fault>) -> Option<Vec<String>> {
    fields.list(key, parse).map(|all| all.into_iter().map(|placed| placed.value).collect())
}

fn issuer(text: &str) -> Result<String, Fault> {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=63).contains(&text.len()) && text.bytes().all(is_word) {
        return Ok(text.to_owned());
    }
    Err(Fault::new("a gateway's id is 1 to 63 characters of a-z, 0-9 and -"))
}

/// It goes into a header.
fn account(text: &str) -> Result<String, Fault> {
    if delegation::is_header_account(text) {
        return Ok(text.to_owned());
    }
    let fault = Fault::new("an account in a header is 1 to 64 characters of A-Z, a-z, 0-9 and . _ @ -");
    Err(fault.remedy("map people to another account"))
}

fn identity_headers(fields: &Fields<'_>) -> Vec<String> {
    let names = texts(fields, "identity_headers", header).unwrap_or_default();
    let repeated =
        names.iter().enumerate().any(|(at, name)| names.iter().skip(at + 1).any(|n| n.eq_ignore_ascii_case(name)));
    if repeated {
        fields.tell("identity_headers", Fault::new("the same header twice").remedy("remove one of them"));
    }
    if fields.has("identity_headers") && names.is_empty() {
        fields.tell("identity_headers", Fault::new("no header").remedy("write `[X-Mc-User]`, or leave it out"));
    }
    if names.is_empty() { vec!["X-Mc-User".to_owned()] } else { names }
}

/// Names that our own answers and those of HTTP have are not for an account.
const TAKEN: &[&str] =
    &["connection", "location", "set-cookie", "x-mc-location", "x-mc-push", "host", "cookie", "date"];

fn header(text: &str) -> Result<String, Fault> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let fits = (1..=64).contains(&text.len()) && text.bytes().all(is_word) && !text.starts_with('-');
    let lower = text.to_ascii_lowercase();
    if !fits {
        // `_` is the same as `-` to many programs behind a proxy, which is how identities are forged.
        return Err(Fault::new("a header's name is letters, digits and -").remedy("write it like `X-Mc-User`"));
    }
    if TAKEN.contains(&lower.as_str()) || lower.starts_with("content-") || lower.starts_with("sec-") {
        return Err(Fault::new("this header means something else").remedy("write it like `X-Mc-User`"));
    }
    Ok(text.to_owned())
}

fn proxies(fields: &Fields<'_>) -> Vec<IpNet> {
    let said = fields.list("trusted_proxies", address::network);
    let said: Option<Vec<IpNet>> = said.map(|all| all.into_iter().map(|placed| placed.value).collect());
    said.unwrap_or_else(|| ["127.0.0.0/8", "::1/128"].iter().filter_map(|text| text.parse().ok()).collect())
}

fn authority(path: &Path) -> Result<Vec<u8>, Fault> {
    let bytes = files::read(path, MOST_BYTES)?.bytes;
    let is_pem = bytes.windows(27).any(|window| window == b"-----BEGIN CERTIFICATE-----");
    let fault = || Fault::new(format!("{} holds no certificate", path.display())).remedy("give a file in PEM form");
    if is_pem { Ok(bytes) } else { Err(fault()) }
}

/// The key file. Several lines, so it is not one secret; nothing of it is ever told.
fn site_keys(fields: &Fields<'_>, site: &SiteId, verification: Option<Verification>) -> Option<Vec<SiteKey>> {
    let found = fields.raw("keys", |text| {
        let no =
            || Fault::new("expected `file:PATH`").remedy("write `file:PATH` of what `metaconsole keys derive` made");
        let path = text.strip_prefix("file:").filter(|path| !path.is_empty()).ok_or_else(no)?;
        let path = fields.scope.folder().join(path);
        fields.scope.name(path.clone());
        let content = files::read(&path, MOST_BYTES)?;
        if content.open_to_others {
            return Err(Fault::new("the file is open to group or others").remedy("run `chmod 600` on it"));
        }
        let text = zeroize::Zeroizing::new(String::from_utf8(content.bytes).unwrap_or_default());
        delegation::read_key_file(&text, site.as_str()).map_err(|error| {
            let fault = Fault::new(format!("{}: {error}", path.display()));
            fault.remedy("bring the file of `metaconsole keys derive --site …` unchanged")
        })
    })?;
    let verifies = found.value.iter().any(|key| key.purpose() == Purpose::Verify);
    if verification == Some(Verification::Online) && !verifies {
        let fault = Fault::new("`keys`: no key for mc1-verify, with which the gateway is asked");
        found.tell(fault.remedy("bring the whole file of `metaconsole keys derive --site …`"));
    }
    Some(found.value)
}
