//! `sites.yaml`: who we read, how, and who may see it. Checked whole; all mistakes are told at once.
//!
//! [`load`] reads the file, the `sites.d/*.yaml` beside it and every secret they name. It returns either a
//! [`Config`] in which everything holds (ids unique, URLs normalised, secrets present) or every [`Mistake`]
//! with file, line, site and remedy. Nothing of a secret is ever part of a message.
//!
//! Rules, in the order they are applied:
//!
//! 1. Each file is parsed with the place of every value; a syntax error is the only mistake of that file.
//! 2. `defaults:` is laid under every site (a site's own key wins; maps are not merged deeper).
//! 3. `${NAME}` in a text is replaced from the environment handed in; a secret must be exactly one
//!    `${NAME}` or `file:PATH` (relative to the file that names it, last newline trimmed).
//! 4. Unknown keys are refused with the nearest known one.
//! 5. What several sites decide together: unique ids, no site under the gateway's own host name.

pub mod access;
mod check;
mod environment;
mod files;
pub mod gate;
mod mistake;
mod node;
mod print;
mod secrets;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

pub use check::{folded, load, load_gate};
pub use mistake::{Mistake, Mistakes};

use crate::domain::{SiteId, SiteKind};
use crate::secret::{Secret, SecretUrl};

/// Looks up an environment variable. Handed in, so that tests bring their own.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A duration as the configuration writes it (`2s`, `1m30s`), for the command line: 1 ms to 1 h.
///
/// # Errors
/// What is wrong and what to write instead.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let span = check::Span::millis(1, 3_600_000, "1ms to 1h");
    check::duration(text, &span).map_err(|fault| fault.to_string())
}

/// How long somebody says they wait: any duration, 0 too. What is too long is for the caller to cut.
///
/// # Errors
/// As [`parse_duration`].
pub fn parse_patience(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let span = check::Span::millis(0, u64::MAX, "0s or more");
    check::duration(text, &span).map_err(|fault| fault.to_string())
}

/// Everything `sites.yaml` says, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The gateway itself.
    pub gateway: Gateway,
    /// The sites, in the order of the file, then of `sites.d/*.yaml` by file name.
    pub sites: Vec<Site>,
    /// Who may log in, and what they may see.
    pub access: access::Access,
    /// Every file that was read, the main one first.
    pub files: Vec<PathBuf>,
    /// Every file these name: secrets and certificates.
    pub named: Vec<PathBuf>,
}

impl Config {
    /// Sites that browsers reach under the gateway's own host name, so that cookies of the one go to the other.
    /// [`load`] refuses them where `gateway.public_url` is said; where it is not, nothing may be served there at all.
    pub fn under_own_host(&self) -> impl Iterator<Item = &Site> {
        self.sites.iter().filter(|site| self.is_under_own_host(site))
    }

    /// Whether this is one of them.
    pub fn is_under_own_host(&self, site: &Site) -> bool {
        check::same_host(&site.public_url, &self.gateway.public_url)
    }
}

/// The section `gateway:`.
#[derive(Clone, Debug, PartialEq)]
pub struct Gateway {
    /// Name of this gateway, as sites see it in `User-Agent` and in delegations. Default `gateway`.
    pub id: String,
    /// Where `serve` listens. Default `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// As browsers reach us; may carry a sub-path; ends with `/`. Default `http://<listen>/`.
    pub public_url: Url,
    /// Sessions, revocations, used tokens, audit, generated keys.
    pub state_dir: Option<PathBuf>,
    /// Proxies whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How long a request waits unless it says otherwise. Default 2 s.
    pub deadline: Duration,
    /// The most a request may ask to wait. Default 60 s.
    pub max_deadline: Duration,
    /// Listen beyond loopback although nobody has to log in.
    pub allow_anonymous: bool,
    /// Keep the last known rows over a restart.
    pub last_known: bool,
    /// Master keys for openings.
    pub keys: Vec<MasterKey>,
    /// Encryption of our own port; `None`: plain http, for a proxy in front.
    pub tls: Option<OwnTls>,
}

/// `gateway.tls`, as read from its files. They fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnTls {
    /// Our certificate and those between it and its authority, in PEM form.
    pub cert_pem: Vec<u8>,
    /// Its key, in PEM form.
    pub key_pem: Secret,
}

/// One of `gateway.keys`.
#[derive(Clone, Debug, PartialEq)]
pub struct MasterKey {
    /// Key id, `[A-Za-z0-9_-]{1,16}`.
    pub kid: String,
    /// At least 32 bytes.
    pub secret: Secret,
    /// New tokens are signed with it.
    pub signing: bool,
}

/// One of `sites:`.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// Immutable id.
    pub id: SiteId,
    /// As people call it. Default: the id.
    pub name: String,
    /// The product. Default `pandora`.
    pub kind: SiteKind,
    /// Console roots as we reach them, at least one, each ending with `/`; tried in turn.
    pub urls: Vec<Url>,
    /// Console root as browsers reach it; ends with `/`. Default: the first of `urls`.
    pub public_url: Url,
    /// Labels for search, rights and views.
    pub tags: Vec<String>,
    /// How we log in to its API.
    pub credentials: Credentials,
    /// Basic authentication of a proxy in front of it. Never together with a token: both need `Authorization`.
    pub basic: Option<Basic>,
    /// Encryption towards it.
    pub tls: Tls,
    /// Egress proxy: `http`, `https`, `socks5` or `socks5h`.
    pub proxy: Option<SecretUrl>,
    /// Connect to this host and port, whatever the URL says (overlapping networks).
    pub connect_to: Option<HostPort>,
    /// Life of a read, whoever waits. Default 60 s.
    pub timeout: Duration,
    /// Until a connection stands. Default 3 s.
    pub connect_timeout: Duration,
    /// Not asked again sooner than this. Default 30 s.
    pub refresh_after: Duration,
    /// Rows up to this age count as current. Default 60 s.
    pub max_age: Duration,
    /// Rows of a failing site are kept so long. Default 24 h.
    pub forget_after: Duration,
    /// The share of the site's time our reads may take, above 0 up to 1. Default 0.02 (`2%`).
    pub max_load: f64,
    /// More agents than this are refused. Default 100,000.
    pub max_agents: usize,
    /// More bytes than this (after decompression) are refused. Default 256 MB.
    pub max_body: u64,
    /// Not asked at all, and said so.
    pub paused: bool,
    /// How a person is handed over to its console.
    pub delegation: Delegation,
}

/// How we log in to a site's API.
#[derive(Clone, Debug, PartialEq)]
pub enum Credentials {
    /// `Authorization: Bearer`, the normal form.
    Token(Secret),
    /// A user's password and the console's API password, in the body of a POST.
    Password {
        /// The API user.
        user: String,
        /// Their password.
        password: Secret,
        /// The console's API password, an administrator's secret there. Absent where the console asks for none.
        api_password: Option<Secret>,
    },
}

/// Basic authentication.
#[derive(Clone, Debug, PartialEq)]
pub struct Basic {
    /// User name.
    pub user: String,
    /// Password.
    pub password: Secret,
}

/// Encryption towards a site.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tls {
    /// PEM of the only authorities believed for this site.
    pub ca_pem: Option<Vec<u8>>,
    /// Name expected in the certificate, when it is not the URL's.
    pub server_name: Option<String>,
    /// PEM of our certificate and its key.
    pub client_pem: Option<Secret>,
    /// Believe any certificate. Said aloud wherever the site is shown.
    pub insecure: bool,
}

/// `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// Name or address (IPv6 without brackets).
    pub host: String,
    /// Port.
    pub port: u16,
}

/// How a person is handed over (`delegation.md` of the operators' guide).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Delegation {
    /// Who takes the token at the site. Default: nobody, people log in there.
    pub verifier: Verifier,
    /// Where the verifier answers. Required unless `none` or `direct`.
    pub url: Option<Url>,
    /// The key that signs for this site; default: the gateway's signing key.
    pub kid: Option<String>,
    /// The console's own login-hash secret, for `direct` only.
    pub secret: Option<Secret>,
    /// Who becomes which account; the first match wins, no match means no opening.
    pub accounts: Vec<AccountRule>,
    /// Accounts that are never opened, compared case- and accent-folded.
    pub never: Vec<String>,
    /// What the site is told of who the person is.
    pub actor: Actor,
    /// The verifier is told when a person's sessions there are to end.
    pub revoke: bool,
}

/// What a site is told of who the person is at the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Actor {
    /// Their qualified login.
    #[default]
    Login,
    /// A stable text of this site that names nobody.
    Opaque,
}

/// Who takes a token at a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Verifier {
    /// Nobody: the link says "log in there".
    #[default]
    None,
    /// The file in an unmodified console.
    Dropin,
    /// The gate beside a reverse proxy.
    Gate,
    /// The console's own hash login.
    Direct,
}

/// One row of `delegation.accounts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRule {
    /// Whom it is for, qualified: `local:alice`, `oidc:noc`.
    pub subject: Subject,
    /// The account at the site.
    pub account: String,
}

/// Whom an [`AccountRule`] is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// One person.
    User(String),
    /// Everybody of a group.
    Group(String),
}
