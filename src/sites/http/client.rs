//! Connection settings of a site to `reqwest` clients. Sites with the same plain settings share one.
//!
//! `tls.server_name` and `connect_to` are made of two things every client can do: the URL that is connected to
//! carries the name the certificate must have and the port to use, a resolver of our own leads that one name to the
//! host meant, and the `Host` header says what the configured URL said.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::HeaderValue;
use url::Url;

use crate::config::{self, HostPort};
use crate::domain::{ErrorCode, SiteError};

/// Connections kept open to a site between requests.
const IDLE_PER_SITE: usize = 4;
const IDLE_FOR: Duration = Duration::from_secs(60);

/// One address of a site, and the client that reaches it.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) client: reqwest::Client,
    /// As configured.
    pub(super) url: Url,
    /// As connected to.
    pub(super) connect: Url,
    /// The `Host` to send, where `connect` is another.
    pub(super) host_header: Option<HeaderValue>,
    /// `connect_to`.
    leads_to: Option<HostPort>,
    /// The egress proxy, without its credentials.
    pub(super) through: Option<String>,
}

impl Root {
    /// `host:port` as configured, and where that leads when it is another place; for messages.
    pub(super) fn host(&self) -> String {
        match &self.leads_to {
            Some(to) => format!("{} (at {}:{})", self.url.authority(), to.host, to.port),
            None => self.url.authority().to_owned(),
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

    pub(super) fn roots(&self, site: &config::Site) -> Result<Vec<Root>, SiteError> {
        site.urls.iter().map(|url| self.root(url, site)).collect()
    }

    fn root(&self, url: &Url, site: &config::Site) -> Result<Root, SiteError> {
        let connect = connect_url(url, site)?;
        let authority = url.authority();
        let host_header = if authority == connect.authority() {
            None
        } else {
            Some(HeaderValue::from_str(authority).map_err(|error| bad_root(url, &error.to_string()))?)
        };
        // The name in `connect` is another's, or it is to lead elsewhere.
        let host = site.connect_to.as_ref().map(|to| to.host.clone()).or_else(|| host_of(url));
        let name = host_of(&connect);
        let leads = host.filter(|host| name.as_ref() != Some(host));
        let client = match (leads, name) {
            (Some(host), Some(name)) => build(self.own_settings(site)?.dns_resolver(Names::leading(name, host)))?,
            _ if is_plain(site) => self.shared_client(site)?,
            _ => build(self.own_settings(site)?)?,
        };
        let through = site.proxy.as_ref().map(ToString::to_string);
        Ok(Root { client, url: url.clone(), connect, host_header, leads_to: site.connect_to.clone(), through })
    }

    fn shared_client(&self, site: &config::Site) -> Result<reqwest::Client, SiteError> {
        // A poisoned lock only means that building panicked elsewhere; the map is whole.
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = shared.get(&site.connect_timeout) {
            return Ok(client.clone());
        }
        let client = build(self.builder(site))?;
        shared.insert(site.connect_timeout, client.clone());
        Ok(client)
    }

    fn builder(&self, site: &config::Site) -> reqwest::ClientBuilder {
        reqwest::Client::builder()
            .user_agent(&self.user_agent)
            .connect_timeout(site.connect_timeout)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .tls_info(true)
            .no_proxy()
            .pool_max_idle_per_host(IDLE_PER_SITE)
            .pool_idle_timeout(IDLE_FOR)
            .dns_resolver(Names::default())
    }

    fn own_settings(&self, site: &config::Site) -> Result<reqwest::ClientBuilder, SiteError> {
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
        Ok(builder)
    }
}

/// Whether a site has no connection settings but its timeout.
fn is_plain(site: &config::Site) -> bool {
    let tls = &site.tls;
    tls.ca_pem.is_none() && tls.client_pem.is_none() && !tls.insecure && site.proxy.is_none()
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

/// The URL with the name the certificate must have and the port to use.
fn connect_url(url: &Url, site: &config::Site) -> Result<Url, SiteError> {
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
    Ok(connect)
}

fn bad_root(url: &Url, why: &str) -> SiteError {
    SiteError::new(ErrorCode::Unreachable, format!("{url} cannot be connected to: {why}"))
        .remedy("look at `url`, `connect_to` and `tls.server_name`")
}

fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, SiteError> {
    builder.build().map_err(|error| unusable(&error))
}

fn unusable(error: &reqwest::Error) -> SiteError {
    // A builder's error holds no URL; its sources say which certificate or proxy is meant.
    let message = format!("the connection settings cannot be used: {}", super::classify::cause(error));
    SiteError::new(ErrorCode::Unreachable, message).remedy("look at `tls` and `proxy`")
}

/// Looks names up, one of them as another. Its errors are told apart from those of connections.
#[derive(Default)]
struct Names {
    led: Option<(String, String)>,
}

/// A name that could not be looked up.
#[derive(Debug, thiserror::Error)]
#[error("the name is not known: {0}")]
pub(super) struct UnknownName(std::io::Error);

impl Names {
    fn leading(name: String, host: String) -> Self {
        Self { led: Some((name, host)) }
    }
}

impl Resolve for Names {
    fn resolve(&self, asked: Name) -> Resolving {
        let led = self.led.as_ref().filter(|(name, _)| asked.as_str().eq_ignore_ascii_case(name));
        let host = led.map_or_else(|| asked.as_str().to_owned(), |(_, host)| host.clone());
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await.map_err(UnknownName)?;
            Ok(Box::new(found.collect::<Vec<SocketAddr>>().into_iter()) as Addrs)
        })
    }
}
