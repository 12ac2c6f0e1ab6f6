//! What a site and `defaults:` both may say. A site's own key wins, then `defaults:`, then `gateway:`.

use std::time::Duration;

use crate::config::Tls;
use crate::config::mistake::Fault;
use crate::config::secrets::is_reference;
use crate::domain::SiteKind;
use crate::secret::SecretUrl;

use super::address;
use super::fields::{Fields, Keys, nearest};
use super::scope::Placed;
use super::tls;
use super::values::{self, Span};

pub(crate) const DEFAULTS_KEYS: Keys = Keys {
    known: &[
        "kind",
        "tags",
        "tls",
        "proxy",
        "timeout",
        "connect_timeout",
        "refresh_after",
        "max_age",
        "forget_after",
        "max_load",
        "max_agents",
        "max_body",
        "paused",
    ],
    refused: &[
        ("id", "`id` is of one site only", "move it to the site"),
        ("name", "`name` is of one site only", "move it to the site"),
        ("url", "`url` is of one site only", "move it to the site"),
        ("urls", "`urls` are of one site only", "move them to the site"),
        ("public_url", "`public_url` is of one site only", "move it to the site"),
        ("credentials", "`credentials` are of one site only", "move them to the sites"),
        ("delegation", "`delegation` is of one site only", "move it to the sites"),
        ("connect_to", "`connect_to` is of one site only", "move it to the site"),
    ],
    secret: false,
};

const TIMEOUT: Span = Span::millis(1_000, 600_000, "1s to 10m");
const CONNECT_TIMEOUT: Span = Span::millis(100, 60_000, "100ms to 1m");
const REFRESH_AFTER: Span = Span::millis(0, 86_400_000, "0s to 1d");
const MAX_AGE: Span = Span::millis(0, 604_800_000, "0s to 7d");
const FORGET_AFTER: Span = Span::millis(60_000, 31_536_000_000, "1m to 365d");

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const DEFAULT_REFRESH_AFTER: Duration = Duration::from_secs(30);
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(60);
const DEFAULT_FORGET_AFTER: Duration = Duration::from_secs(24 * 3600);

const MOST_AGENTS: usize = 10_000_000;

/// A duration with its place, for the checks between two of them.
type Period<'a> = Option<Placed<'a, Duration>>;

/// The values of one level; None where it says nothing.
#[derive(Clone, Default)]
pub(crate) struct Shared<'a> {
    pub(crate) kind: Option<SiteKind>,
    pub(crate) tags: Option<Vec<String>>,
    pub(crate) tls: Option<Tls>,
    /// `Some(None)` is `proxy: none`, which overrules `defaults:`.
    pub(crate) proxy: Option<Option<SecretUrl>>,
    pub(crate) timeout: Period<'a>,
    pub(crate) connect_timeout: Period<'a>,
    pub(crate) refresh_after: Period<'a>,
    pub(crate) max_age: Period<'a>,
    pub(crate) forget_after: Period<'a>,
    pub(crate) max_load: Option<f64>,
    pub(crate) max_agents: Option<usize>,
    pub(crate) max_body: Option<u64>,
    pub(crate) paused: Option<bool>,
}

/// The durations of a site, settled.
pub(crate) struct Times {
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) refresh_after: Duration,
    pub(crate) max_age: Duration,
    pub(crate) forget_after: Duration,
}

/// Reads every shared key of a site or of `defaults:`.
pub(crate) fn read<'a>(fields: &Fields<'a>) -> Shared<'a> {
    let period = |key, span| fields.placed(key, |text| values::duration(text, span));
    let most_agents = |text: &str| values::count(text, MOST_AGENTS);
    Shared {
        kind: fields.value("kind", kind),
        tags: read_tags(fields),
        tls: tls::read(fields),
        proxy: read_proxy(fields),
        timeout: period("timeout", &TIMEOUT),
        connect_timeout: period("connect_timeout", &CONNECT_TIMEOUT),
        max_load: fields.value("max_load", values::share),
        max_agents: fields.value("max_agents", most_agents),
        max_body: fields.value("max_body", values::size),
        paused: fields.value("paused", values::flag),
        ..read_ages(fields)
    }
}

/// Reads the keys that `gateway:` may set for all sites.
pub(crate) fn read_ages<'a>(fields: &Fields<'a>) -> Shared<'a> {
    let period = |key, span| fields.placed(key, |text| values::duration(text, span));
    Shared {
        refresh_after: period("refresh_after", &REFRESH_AFTER),
        max_age: period("max_age", &MAX_AGE),
        forget_after: period("forget_after", &FORGET_AFTER),
        ..Shared::default()
    }
}

impl<'a> Shared<'a> {
    /// What this level says, and below it what `base` says. Lists and maps are not merged.
    pub(crate) fn over(self, base: &Shared<'a>) -> Shared<'a> {
        let base = base.clone();
        Shared {
            kind: self.kind.or(base.kind),
            tags: self.tags.or(base.tags),
            tls: self.tls.or(base.tls),
            proxy: self.proxy.or(base.proxy),
            timeout: self.timeout.or(base.timeout),
            connect_timeout: self.connect_timeout.or(base.connect_timeout),
            refresh_after: self.refresh_after.or(base.refresh_after),
            max_age: self.max_age.or(base.max_age),
            forget_after: self.forget_after.or(base.forget_after),
            max_load: self.max_load.or(base.max_load),
            max_agents: self.max_agents.or(base.max_agents),
            max_body: self.max_body.or(base.max_body),
            paused: self.paused.or(base.paused),
        }
    }

    /// The durations, with what holds when nobody says anything; checked against each other.
    pub(crate) fn times(&self) -> Times {
        let settled = |period: &Period<'a>, unless_said| period.as_ref().map_or(unless_said, |p| p.value);
        let timeout = settled(&self.timeout, DEFAULT_TIMEOUT);
        let times = Times {
            timeout,
            connect_timeout: settled(&self.connect_timeout, DEFAULT_CONNECT_TIMEOUT.min(timeout)),
            refresh_after: settled(&self.refresh_after, DEFAULT_REFRESH_AFTER),
            max_age: settled(&self.max_age, DEFAULT_MAX_AGE),
            forget_after: settled(&self.forget_after, DEFAULT_FORGET_AFTER),
        };
        if times.connect_timeout > times.timeout {
            let fault = Fault::new("`connect_timeout` must not be above `timeout`")
                .remedy("lower it, or raise `timeout` (60s unless said)");
            tell_at(&self.connect_timeout, &self.timeout, fault);
        }
        if times.max_age > times.forget_after {
            let fault = Fault::new("`max_age` must not be above `forget_after`")
                .remedy("lower it, or raise `forget_after` (24h unless said)");
            tell_at(&self.max_age, &self.forget_after, fault);
        }
        times
    }
}

/// Tells it where the site itself speaks, if it does: the same value in `defaults:` may be right for others.
fn tell_at(one: &Period<'_>, other: &Period<'_>, fault: Fault) {
    let both = || one.iter().chain(other.iter());
    let own = both().find(|period| period.scope.site().is_some());
    if let Some(period) = own.or(both().next()) {
        period.tell(fault);
    }
}

fn kind(text: &str) -> Result<SiteKind, Fault> {
    let known = SiteKind::ALL.iter().find(|(name, _)| *name == text);
    if let Some((_, kind)) = known {
        return Ok(*kind);
    }
    let names = || SiteKind::ALL.iter().map(|(name, _)| *name);
    let remedy = match nearest(text, names()) {
        Some(near) => format!("write `{near}`"),
        None => format!("the kinds are {}", names().collect::<Vec<_>>().join(", ")),
    };
    Err(Fault::new("not known").remedy(remedy))
}

fn read_tags(fields: &Fields<'_>) -> Option<Vec<String>> {
    let mut tags: Vec<String> = Vec::new();
    for tag in fields.list("tags", values::tag)? {
        if tags.contains(&tag.value) {
            tag.tell(Fault::new("`tags`: the same tag twice").remedy("remove one"));
        }
        tags.push(tag.value);
    }
    Some(tags)
}

fn read_proxy(fields: &Fields<'_>) -> Option<Option<SecretUrl>> {
    let text = fields.raw("proxy", |text| Ok(text.to_owned()))?.value;
    if is_reference(&text) {
        let secret = fields.secret("proxy")?;
        let url = address::proxy(secret.expose(), true);
        return url.map_err(|fault| fields.tell_about("proxy", fault)).ok().map(Some);
    }
    let url = |text: &str| match text {
        "none" => Ok(None),
        _ => address::proxy(text, false).map(Some),
    };
    fields.value("proxy", url)
}
