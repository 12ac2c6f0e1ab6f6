//! Which ways to reach a site go together. What could only be half obeyed is refused, for half is the wrong host.

use url::Host;

use crate::config::Site;
use crate::config::mistake::Fault;

use super::fields::Fields;

/// Tells the settings of one site that contradict each other.
pub(crate) fn tell_contradictions(fields: &Fields<'_>, site: &Site) {
    let tell = |key: &str, message: &str, remedy: &str| fields.tell(key, Fault::new(message).remedy(remedy));
    let named = site.tls.server_name.is_some();
    if site.connect_to.is_some() && site.urls.len() > 1 {
        tell("connect_to", "`connect_to` leads all of `urls` to one place", "write one `url`");
    }
    if site.proxy.is_some() && site.connect_to.is_some() {
        let remedy = "leave out one of them, or write `proxy: none`";
        tell("connect_to", "with a `proxy`, it is the proxy that connects, so `connect_to` has no effect", remedy);
    }
    if site.proxy.is_some() && named {
        let remedy = "write `url` with the name in the certificate, or `proxy: none`";
        tell("tls", "`tls.server_name` does not work through a `proxy`", remedy);
    }
    let is_address = |url: &url::Url| !matches!(url.host(), Some(Host::Domain(_)));
    if site.connect_to.is_some() && !named && site.urls.iter().any(|url| url.scheme() == "https" && is_address(url)) {
        let remedy = "write `url` with the name in its certificate, or that name as `tls.server_name`";
        tell("connect_to", "an encrypted site is known by its name, and this `url` has an address instead", remedy);
    }
}
