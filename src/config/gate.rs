//! `gate.yaml`: what one verifier beside a site's reverse proxy does, and whom it lets in. Checked whole, like `sites.yaml`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use crate::delegation::SiteKey;
use crate::domain::SiteId;

/// Everything `gate.yaml` says, checked.
#[derive(Clone, Debug)]
pub struct GateConfig {
    /// The site's id at the gateway.
    pub site: SiteId,
    /// The gateway as browsers, and we, reach it; ends with `/`.
    pub gateway: Url,
    /// PEM of the only authorities believed for the gateway.
    pub gateway_ca: Option<Vec<u8>>,
    /// Ids of gateways whose tokens are taken; at least one.
    pub issuers: Vec<String>,
    /// Where the gate listens. Default `127.0.0.1:8090`.
    pub listen: SocketAddr,
    /// The site as browsers reach it.
    pub public_url: Url,
    /// The site's keys.
    pub keys: Vec<SiteKey>,
    /// Used tokens and sessions.
    pub state_dir: PathBuf,
    /// Accounts that may be opened. Empty: nobody.
    pub allow: Vec<String>,
    /// Only people who logged in at the gateway with a second factor.
    pub require_mfa: bool,
    /// Who decides.
    pub verification: Verification,
    /// Whether the product may be seen without a session.
    pub mode: Mode,
    /// How long sessions last.
    pub session: Lengths,
    /// Online: what becomes of sessions while the gateway cannot be asked.
    pub on_gateway_loss: OnLoss,
    /// Whether other gates of this site have sessions of their own that count here.
    pub heads: Heads,
    /// One line for each decision. None: the process's own log.
    pub audit_file: Option<PathBuf>,
    /// Headers in which the proxy gets the account.
    pub identity_headers: Vec<String>,
    /// Who may ask us: the proxy. Default: loopback.
    pub trusted_proxies: Vec<IpNet>,
}

/// Who decides about a token. Never switched by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// The gateway is asked, once for each token and every minute for each session.
    Online,
    /// The gate alone.
    Offline,
}

/// What the gate says of somebody without a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They come through, as nobody: the product's own login applies.
    Optional,
    /// They do not.
    Required,
}

/// How long sessions last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lengths {
    /// Without a request.
    pub idle: Duration,
    /// Altogether.
    pub longest: Duration,
}

/// What becomes of sessions while the gateway cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLoss {
    /// They go on so long after the last answer.
    Keep(Duration),
    /// They are not taken until it answers again.
    Close,
}

/// How many gates of a site there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heads {
    /// This one.
    One,
    /// Several with the same keys; each takes the other's cookies when the gateway says that they hold.
    Several,
}
