//! Connection settings of a site to a `reqwest` client. Sites with the same plain settings share one.
//!
//! `tls.server_name` and `connect_to` are made of two things every client can do: the URL that is connected to
//! carries the name the certificate must have and the port to use, a resolver of our own leads that name to the
//! host meant, and the `Host` header says what the configured URL said.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::HeaderValue;
use url::Url;

use crate::config::{self, HostPort};
use crate::domain::{ErrorCode, SiteError};

/// Connections kept open to a site between requests.
const IDLE_PER_SITE: usize = 4;
const IDLE_FOR: Duration = Duration::from_secs(60);

/// One address of a site.
#[derive(Debug)]
pub(super) struct Root {
    /// As configured.
    pub(super) url: Url,
    /// As connected to.
    pub(super) connect: Url,
    /// The `Host` to send, where `connect` is another.
    pub(super) host_header: Option<HeaderValue>,
}

impl Root {
    /// `host:port` as connected to, for messages.
    pub(super) fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or("");
        match self.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }
}

/// Makes clients; those without settings of their own are shared, so that a thousand sites cost one.
pub struct Clients {
    user_agent: String,
    shared: Mutex<HashMap<Duration, reqwest::Client>>,
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").field("user_agent", &self.user_agent).finish_non_exhaustive()
    }
}

impl Clients {
    /// For a gateway of this name.
    pub fn new(gateway: &str) -> Self {
        let user_agent = format!("metaconsole/{} ({gateway})", env!("CARGO_PKG_VERSION"));
        Self { user_agent, shared: Mutex::new(HashMap::new()) }
    }

    pub(super) fn for_site(&self, site: &config::Site) -> Result<(reqwest::Client, Vec<Root>), SiteError> {
        let roots = site.urls.iter().map(|url| root(url, site)).collect::<Result<Vec<_>, _>>()?;
        let tls = &site.tls;
        let own = tls.ca_pem.is_some()
            || tls.client_pem.is_some()
            || tls.server_name.is_some()
            || tls.insecure
            || site.proxy.is_some()
            || site.connect_to.is_some();
        if own {
            return Ok((self.own_client(site)?, roots));
        }
        // A poisoned lock only means that building panicked elsewhere; the map is whole.
        let mut shared = self.shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let client = match shared.get(&site.connect_timeout) {
            Some(client) => client.clone(),
            None => {
                let client = self.builder(site).build().map_err(|error| unusable(&error))?;
                shared.insert(site.connect_timeout, client.clone());
                client
            }
        };
        Ok((client, roots))
    }

    fn builder(&self, site: &config::Site) -> reqwest::ClientBuilder {
        reqwest::Client::builder()
            .user_agent(&self.user_agent)
            .connect_timeout(site.connect_timeout)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .pool_max_idle_per_host(IDLE_PER_SITE)
            .pool_idle_timeout(IDLE_FOR)
    }

    fn own_client(&self, site: &config::Site) -> Result<reqwest::Client, SiteError> {
        let mut builder = self.builder(site);
        if let Some(pem) = &site.tls.ca_pem {
            let certificates = reqwest::Certificate::from_pem_bundle(pem).map_err(|error| unusable(&error))?;
            builder = builder.tls_certs_only(certificates);
        }
        if let Some(pem) = &site.tls.client_pem {
            let identity = reqwest::Identity::from_pem(pem.expose().as_bytes());
            builder = builder.identity(identity.map_err(|error| unusable(&error))?);
        }
        if site.tls.insecure {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        if let Some(proxy) = &site.proxy {
            let proxy = reqwest::Proxy::all(proxy.expose().clone()).map_err(|error| unusable(&error))?;
            builder = builder.proxy(proxy);
        }
        if site.tls.server_name.is_some() || site.connect_to.is_some() {
            // HTTP/2 would take the authority from the URL that is connected to.
            builder = builder.http1_only();
            let host = site.connect_to.as_ref().map(|to| to.host.clone());
            let host = host.or_else(|| site.urls.first().and_then(host_of));
            builder = builder.dns_resolver(To { host: host.unwrap_or_default() });
        }
        builder.build().map_err(|error| unusable(&error))
    }
}

/// What is connected to first, when it is not the URL's own host.
pub(super) fn leads_to(site: &config::Site) -> Option<HostPort> {
    match &site.proxy {
        Some(proxy) => {
            let url = proxy.expose();
            // The schemes of `socks5` have no port of their own in the URL standard.
            Some(HostPort { host: host_of(url)?, port: url.port_or_known_default().unwrap_or(1080) })
        }
        None => site.connect_to.clone(),
    }
}

fn host_of(url: &Url) -> Option<String> {
    url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned())
}

fn root(url: &Url, site: &config::Site) -> Result<Root, SiteError> {
    let mut connect = url.clone();
    if let Some(to) = &site.connect_to {
        // Without encryption no name has to match, so the host itself can stand in the URL.
        if url.scheme() == "http" {
            let host = if to.host.contains(':') { format!("[{}]", to.host) } else { to.host.clone() };
            connect.set_host(Some(&host)).map_err(|error| bad_root(url, &error.to_string()))?;
        }
        connect.set_port(Some(to.port)).map_err(|()| bad_root(url, "no port can be set"))?;
    }
    if let Some(name) = site.tls.server_name.as_ref().filter(|_| url.scheme() == "https") {
        connect.set_host(Some(name)).map_err(|error| bad_root(url, &error.to_string()))?;
    }
    let authority = |url: &Url| url.authority().to_owned();
    let host_header = if authority(url) == authority(&connect) {
        None
    } else {
        Some(HeaderValue::from_str(&authority(url)).map_err(|error| bad_root(url, &error.to_string()))?)
    };
    Ok(Root { url: url.clone(), connect, host_header })
}

fn bad_root(url: &Url, why: &str) -> SiteError {
    SiteError::new(ErrorCode::Unreachable, format!("{url} cannot be connected to: {why}"))
}

fn unusable(error: &reqwest::Error) -> SiteError {
    // A builder's error holds no URL; its sources say which certificate or proxy is meant.
    SiteError::new(ErrorCode::Tls, format!("the connection settings cannot be used: {}", super::classify::cause(error)))
}

/// Leads every name to one host.
struct To {
    host: String,
}

impl Resolve for To {
    fn resolve(&self, _asked: Name) -> Resolving {
        let host = self.host.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
