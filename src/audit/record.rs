//! What can be recorded. There is no field for a token, a hash or a password.

use std::net::IpAddr;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::text::Text;
use crate::domain::SiteId;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Somebody logged in.
    LoginOk,
    /// Somebody did not.
    LoginFailed,
    /// Somebody left.
    Logout,
    /// Sessions were ended by somebody.
    SessionRevoked,
    /// A screen was let in.
    WallPaired,
    /// An opening was signed.
    OpenIssued,
    /// A verifier took it.
    OpenConsumed,
    /// It was refused, here or there.
    OpenRefused,
    /// A site showed a good token that was never signed here.
    OpenUnissued,
    /// A site was told to end what was opened there, or could not be told.
    OpenEnded,
    /// No account is linked for this person at this site.
    MapMissing,
    /// Keys changed.
    KeysChanged,
    /// Another configuration is in force.
    ConfigReload,
    /// Somebody searched.
    Search,
    /// A torn end was cut off at the start.
    AuditRepaired,
}

impl Action {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::LoginOk,
        Self::LoginFailed,
        Self::Logout,
        Self::SessionRevoked,
        Self::WallPaired,
        Self::OpenIssued,
        Self::OpenConsumed,
        Self::OpenRefused,
        Self::OpenUnissued,
        Self::OpenEnded,
        Self::MapMissing,
        Self::KeysChanged,
        Self::ConfigReload,
        Self::Search,
        Self::AuditRepaired,
    ];

    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LoginOk => "login.ok",
            Self::LoginFailed => "login.failed",
            Self::Logout => "logout",
            Self::SessionRevoked => "session.revoked",
            Self::WallPaired => "wall.paired",
            Self::OpenIssued => "open.issued",
            Self::OpenConsumed => "open.consumed",
            Self::OpenRefused => "open.refused",
            Self::OpenUnissued => "open.unissued",
            Self::OpenEnded => "open.ended",
            Self::MapMissing => "map.missing",
            Self::KeysChanged => "key.changed",
            Self::ConfigReload => "config.reload",
            Self::Search => "search",
            Self::AuditRepaired => "audit.repaired",
        }
    }
}

/// A token's number as the log shows it: the first 8 bytes of its SHA-256, in hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JtiDigest(String);

impl JtiDigest {
    /// Of the number as it stands in the token.
    pub fn of(jti: &str) -> Self {
        let hash = Sha256::digest(jti.as_bytes());
        Self(hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
    }

    /// 16 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What was, or was not, opened.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// Where.
    pub site: &'a SiteId,
    /// The account there.
    pub account: &'a str,
    /// The view, such as `agent:42`.
    pub view: &'a str,
    /// The token's number.
    pub jti: &'a JtiDigest,
}

/// One thing that happened. Its number, time and place in the chain come when it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    action: Action,
    actor: Text,
    site: Option<SiteId>,
    account: Option<Text>,
    view: Option<Text>,
    jti: Option<JtiDigest>,
    result: Text,
    ip: Option<IpAddr>,
    request: Option<Text>,
    detail: Option<Text>,
    count: Option<u64>,
}

impl Record {
    /// `action` by `actor`, a qualified login such as `local:alice`.
    fn new(action: Action, actor: &str) -> Self {
        let (result, actor) = (Text::short("ok"), Text::short(actor));
        let (site, account, view, jti) = (None, None, None, None);
        Self { action, actor, site, account, view, jti, result, ip: None, request: None, detail: None, count: None }
    }

    /// Logged in.
    pub fn login(actor: &str) -> Self {
        Self::new(Action::LoginOk, actor)
    }

    /// Not logged in. Give the account only when it exists: people type passwords where names belong.
    pub fn login_failed(known_account: Option<&str>, reason: &'static str) -> Self {
        Self::new(Action::LoginFailed, known_account.unwrap_or("unknown")).result(reason)
    }

    /// Left.
    pub fn logout(actor: &str) -> Self {
        Self::new(Action::Logout, actor)
    }

    /// `actor` ended sessions of `whose`.
    pub fn revoked(actor: &str, whose: &str) -> Self {
        Self::new(Action::SessionRevoked, actor).detail(whose)
    }

    /// `actor` let a screen in as this wallboard.
    pub fn paired(actor: &str, wall: &str) -> Self {
        Self::new(Action::WallPaired, actor).detail(wall)
    }

    /// About to be signed. Written before the token exists.
    pub fn issued(actor: &str, opening: Opening<'_>) -> Self {
        Self::new(Action::OpenIssued, actor).opening(opening)
    }

    /// A console's own hash, which cannot expire, is about to be given out. `mark` tells the site's secret from its next.
    pub fn handed(actor: &str, opening: Opening<'_>, mark: &str) -> Self {
        let record = Self::issued(actor, opening).result("direct").detail(&format!("secret {mark}"));
        Self { jti: None, ..record }
    }

    /// Taken at the site.
    pub fn consumed(actor: &str, opening: Opening<'_>) -> Self {
        Self::new(Action::OpenConsumed, actor).opening(opening)
    }

    /// Refused, with the stable word of the reason.
    pub fn refused(actor: &str, opening: Opening<'_>, reason: &'static str) -> Self {
        Self::new(Action::OpenRefused, actor).opening(opening).result(reason)
    }

    /// Refused before there was a token.
    pub fn not_begun(actor: &str, opening: Opening<'_>, reason: &'static str) -> Self {
        Self { jti: None, ..Self::refused(actor, opening, reason) }
    }

    /// Refused before anything about it could be believed.
    pub fn refused_unread(site: &SiteId, reason: &'static str) -> Self {
        Self { site: Some(site.clone()), ..Self::new(Action::OpenRefused, "unknown").result(reason) }
    }

    /// Signed with a key of the site, and not by us. Who it claims to be is not believed, so it stands in the detail.
    pub fn unissued(opening: Opening<'_>, claimed: &str) -> Self {
        Self::new(Action::OpenUnissued, "unknown").opening(opening).result("alarm").detail(claimed)
    }

    /// What `actor` opened at a site is to end: whether the site was told, and what it said.
    pub fn ended(actor: &str, site: &SiteId, account: &str, told: bool, detail: &str) -> Self {
        let record = Self::new(Action::OpenEnded, actor).result(if told { "sent" } else { "not delivered" });
        Self { site: Some(site.clone()), account: Some(Text::short(account)), ..record.detail(detail) }
    }

    /// No rule gives this person an account at this site.
    pub fn unmapped(actor: &str, site: &SiteId) -> Self {
        Self { site: Some(site.clone()), ..Self::new(Action::MapMissing, actor).result("no account") }
    }

    /// Keys changed: which ids, never which keys.
    pub fn keys(actor: &str, difference: &str) -> Self {
        Self::new(Action::KeysChanged, actor).detail(difference)
    }

    /// Another configuration: what differs.
    pub fn configuration(actor: &str, difference: &str) -> Self {
        Self::new(Action::ConfigReload, actor).detail(difference)
    }

    /// A configuration that was refused for so many mistakes.
    pub fn configuration_refused(actor: &str, mistakes: usize) -> Self {
        Self::new(Action::ConfigReload, actor).result("refused").detail(&format!("{mistakes} mistakes"))
    }

    /// A search, asked `count` times.
    pub fn search(viewer: &str, query: &str, count: u64) -> Self {
        Self { count: Some(count), ..Self::new(Action::Search, viewer).detail(query) }
    }

    pub(super) fn repaired(bytes: u64, kept_in: &str) -> Self {
        Self::new(Action::AuditRepaired, "metaconsole")
            .detail(&format!("{bytes} bytes of a torn line, kept in {kept_in}"))
    }

    /// From this address.
    #[must_use]
    pub fn from(mut self, ip: IpAddr) -> Self {
        self.ip = Some(ip);
        self
    }

    /// In this request.
    #[must_use]
    pub fn request(mut self, id: &str) -> Self {
        self.request = Some(Text::short(id));
        self
    }

    fn result(mut self, word: &'static str) -> Self {
        self.result = Text::short(word);
        self
    }

    fn detail(mut self, text: &str) -> Self {
        self.detail = Some(Text::long(text));
        self
    }

    fn opening(mut self, opening: Opening<'_>) -> Self {
        self.site = Some(opening.site.clone());
        self.account = Some(Text::short(opening.account));
        self.view = Some(Text::short(opening.view));
        self.jti = Some(opening.jti.clone());
        self
    }

    /// The members of its line, in their order.
    pub(super) fn line<'a>(&'a self, seq: u64, ts: &'a str, replica: &'a str, prev: &'a str) -> Line<'a> {
        let word = |text: &'a Option<Text>| text.as_ref().map(Text::as_str);
        Line {
            seq,
            ts,
            replica,
            actor: self.actor.as_str(),
            action: self.action.as_str(),
            site: self.site.as_ref().map(SiteId::as_str),
            account: word(&self.account),
            view: word(&self.view),
            jti_sha256: self.jti.as_ref().map(JtiDigest::as_str),
            result: self.result.as_str(),
            ip: self.ip,
            req: word(&self.request),
            detail: word(&self.detail),
            count: self.count,
            prev,
        }
    }
}

/// A line as it is written.
#[derive(Debug, Serialize)]
pub(super) struct Line<'a> {
    seq: u64,
    ts: &'a str,
    replica: &'a str,
    actor: &'a str,
    action: &'a str,
    site: Option<&'a str>,
    account: Option<&'a str>,
    view: Option<&'a str>,
    jti_sha256: Option<&'a str>,
    result: &'a str,
    ip: Option<IpAddr>,
    req: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    prev: &'a str,
}
