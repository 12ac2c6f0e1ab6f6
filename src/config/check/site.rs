//! One of `sites:`.

use url::Url;

use crate::config::environment::expand;
use crate::config::mistake::Fault;
use crate::config::node::{Node, Value};
use crate::config::{Basic, Credentials, Delegation, HostPort, Site};
use crate::domain::{SiteId, SiteIdError, SiteKind};

use super::fields::{Fields, Keys};
use super::gateway::Surroundings;
use super::reach;
use super::scope::{Placed, Scope};
use super::shared::{self, Shared};
use super::{address, credentials, delegation, values};

pub(crate) const KEYS: Keys = Keys {
    known: &[
        "id",
        "name",
        "kind",
        "url",
        "urls",
        "public_url",
        "tags",
        "credentials",
        "tls",
        "proxy",
        "connect_to",
        "timeout",
        "connect_timeout",
        "refresh_after",
        "max_age",
        "forget_after",
        "max_load",
        "max_agents",
        "max_body",
        "paused",
        "delegation",
    ],
    refused: &[
        ("token", "`token` belongs into `credentials`", "move it there"),
        ("user", "`user` belongs into `credentials`", "move it there"),
        ("password", "`password` belongs into `credentials`", "move it there"),
        ("api_password", "`api_password` belongs into `credentials`", "move it there"),
        ("basic", "`basic` belongs into `credentials`", "move it there"),
        ("ca_file", "`ca_file` belongs into `tls`", "move it there"),
        ("insecure", "`insecure` belongs into `tls`", "move it there"),
    ],
    secret: false,
};

const MOST_AGENTS_UNLESS_SAID: usize = 100_000;
const MAX_BODY_UNLESS_SAID: u64 = 256_000_000;
const MAX_LOAD_UNLESS_SAID: f64 = 0.02;

/// A site as far as it could be read: its id counts for the others even when the rest has a mistake.
pub(crate) struct Read<'a> {
    pub(crate) id: Option<Placed<'a, SiteId>>,
    pub(crate) site: Option<Site>,
}

/// What only a site itself says.
struct Own {
    name: Option<String>,
    urls: Option<Vec<Url>>,
    public_url: Option<Url>,
    credentials: Option<Credentials>,
    basic: Option<Basic>,
    connect_to: Option<HostPort>,
    delegation: Option<Delegation>,
}

/// Reads the `number`th site of a file.
pub(crate) fn read<'a>(
    file: &Scope<'a>,
    node: &'a Node,
    number: usize,
    defaults: &Shared<'a>,
    surroundings: &Surroundings<'a>,
) -> Read<'a> {
    let name = usable_id(node, file).unwrap_or_else(|| format!("#{number}"));
    let Some(fields) = Fields::open(&file.of_site(&name), node, &KEYS) else {
        return Read { id: None, site: None };
    };
    fields.require("id", "write a name of a-z, 0-9 and - that never changes");
    let id = fields.placed("id", site_id);
    let own = read_own(&fields, surroundings);
    let shared = shared::read(&fields).over(defaults).over(&surroundings.ages);
    let site = id.as_ref().and_then(|id| assembled(&id.value, own, shared));
    if let Some(site) = &site {
        reach::tell_contradictions(&fields, site);
    }
    Read { id, site }
}

/// The id, when it is one, to name the site in every message.
fn usable_id(node: &Node, file: &Scope<'_>) -> Option<String> {
    let Value::Map(entries) = &node.value else {
        return None;
    };
    let entry = entries.iter().find(|entry| entry.key.as_deref() == Some("id"))?;
    let Value::Text(text) = &entry.value.value else {
        return None;
    };
    let id = site_id(&expand(text, file.environment).ok()?).ok()?;
    Some(id.to_string())
}

fn site_id(text: &str) -> Result<SiteId, Fault> {
    text.parse().map_err(|error: SiteIdError| match error {
        SiteIdError::Reserved => Fault::new(error.to_string()).remedy("choose another id"),
        SiteIdError::Form => {
            Fault::new(error.to_string()).remedy("write capitals small and dots as -; `name` takes any text")
        }
    })
}

fn read_own(fields: &Fields<'_>, surroundings: &Surroundings<'_>) -> Own {
    let urls = read_urls(fields);
    let public_url = read_public_url(fields, urls.as_deref(), surroundings);
    let (credentials, basic) = credentials::read(fields);
    Own {
        name: fields.value("name", values::name),
        delegation: delegation::read(fields, surroundings, public_url.as_ref()),
        urls,
        public_url,
        credentials,
        basic,
        connect_to: fields.value("connect_to", address::host_port),
    }
}

fn read_urls(fields: &Fields<'_>) -> Option<Vec<Url>> {
    let url = fields.value("url", address::console_url);
    let urls = fields.list("urls", address::console_url);
    match (fields.has("url"), fields.has("urls")) {
        (true, true) => {
            let fault = Fault::new("both `url` and `urls` are given");
            fields.tell("urls", fault.remedy("keep one of them"));
            None
        }
        (true, false) => Some(vec![url?]),
        (false, true) => distinct(fields, urls?),
        (false, false) => {
            fields.require("url", "write the console's root as we reach it");
            None
        }
    }
}

fn distinct(fields: &Fields<'_>, listed: Vec<Placed<'_, Url>>) -> Option<Vec<Url>> {
    if fields.items("urls").is_some_and(<[Node]>::is_empty) {
        fields.tell("urls", Fault::new("`urls` is empty").remedy("write at least one"));
    }
    let mut urls: Vec<Url> = Vec::new();
    for url in listed {
        if urls.contains(&url.value) {
            url.tell(Fault::new("`urls`: the same address twice").remedy("remove one"));
        }
        urls.push(url.value);
    }
    (!urls.is_empty()).then_some(urls)
}

fn read_public_url(fields: &Fields<'_>, urls: Option<&[Url]>, surroundings: &Surroundings<'_>) -> Option<Url> {
    let own = fields.value("public_url", address::console_url);
    let first = || urls.and_then(<[Url]>::first).cloned();
    let public_url = if fields.has("public_url") { own } else { first() }?;
    let gateway = surroundings.public_url.as_ref();
    if gateway.is_some_and(|gateway| address::same_host(gateway, &public_url)) {
        tell_shared_host(fields, &public_url);
    }
    Some(public_url)
}

/// Cookies ignore ports, so the site's would reach the gateway and the gateway's the site.
fn tell_shared_host(fields: &Fields<'_>, public_url: &Url) {
    let keys = ["public_url", "url", "urls"];
    let key = keys.into_iter().find(|key| fields.has(key)).unwrap_or("url");
    let remedy = match own_name(fields, public_url) {
        Some(example) => format!("give it a name of its own, for example {example}"),
        None => "give it a name of its own in `public_url`".to_owned(),
    };
    let message = "browsers would reach this site under the gateway's own host name and share its cookies";
    fields.tell(key, Fault::new(message).remedy(remedy));
}

/// Browsers lead every name below `localhost` to loopback.
fn own_name(fields: &Fields<'_>, public_url: &Url) -> Option<String> {
    let id = fields.scope.site().filter(|name| !name.starts_with('#'))?;
    if !address::is_loopback(public_url) {
        return None;
    }
    let mut example = public_url.clone();
    example.set_host(Some(&format!("{id}.localhost"))).ok()?;
    Some(format!("`public_url: {example}`"))
}

fn assembled(id: &SiteId, own: Own, shared: Shared<'_>) -> Option<Site> {
    let times = shared.times();
    Some(Site {
        id: id.clone(),
        name: own.name.unwrap_or_else(|| id.to_string()),
        kind: shared.kind.unwrap_or(SiteKind::Pandora),
        urls: own.urls?,
        public_url: own.public_url?,
        tags: shared.tags.unwrap_or_default(),
        credentials: own.credentials?,
        basic: own.basic,
        tls: shared.tls.unwrap_or_default(),
        proxy: shared.proxy.flatten(),
        connect_to: own.connect_to,
        timeout: times.timeout,
        connect_timeout: times.connect_timeout,
        refresh_after: times.refresh_after,
        max_age: times.max_age,
        forget_after: times.forget_after,
        max_load: shared.max_load.unwrap_or(MAX_LOAD_UNLESS_SAID),
        max_agents: shared.max_agents.unwrap_or(MOST_AGENTS_UNLESS_SAID),
        max_body: shared.max_body.unwrap_or(MAX_BODY_UNLESS_SAID),
        paused: shared.paused.unwrap_or(false),
        delegation: own.delegation?,
    })
}
