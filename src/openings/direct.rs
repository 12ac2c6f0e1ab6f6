//! Openings by a console's own login hash: nothing is installed at the site, and what is handed over never expires.
//!
//! The hash is the same each time, good for any page, from any browser, until the site's secret changes: none of the
//! gateway's rules holds once it has left. So it is said wherever it is offered ([`BADGE`]), the audit log has `direct`, and
//! each record carries a mark of the secret ([`Direct::mark`]): by it [`super::former`] names the sites whose secret must
//! change when somebody who was let in may not open them any more.

use crate::config::{self, Config};
use crate::delegation::{PandoraLogin, PandoraRefusal, pandora_login, secret_mark, strong_secret};
use crate::secret::Secret;

use super::way::{Closed, reachable};

/// What people are told of it.
pub const BADGE: &str = "this login cannot expire";

/// How a site takes people by its console's own hash.
#[derive(Clone, Debug)]
pub struct Direct {
    secret: Secret,
    mark: String,
}

impl Direct {
    /// By the configuration.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn of(config: &Config, site: &config::Site) -> Result<Self, Closed> {
        let secret = site.delegation.secret.clone().ok_or(Closed::NoSecret)?;
        reachable(config, site, &site.public_url)?;
        strong_secret(&secret).map_err(Closed::Hash)?;
        let mark = secret_mark(site.id.as_str(), &secret);
        Ok(Self { secret, mark })
    }

    /// The form that logs in as this account.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn login(&self, account: &str) -> Result<PandoraLogin, PandoraRefusal> {
        pandora_login(account, &self.secret)
    }

    /// Tells whether the secret is still the same.
    pub fn mark(&self) -> &str {
        &self.mark
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::openings::Route;

    fn load(url: &str, gateway: &str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let yaml = folder.path().join("sites.yaml");
        let text = format!(
            "gateway: {{public_url: \"{gateway}\"}}\nsites: [{{id: m, url: \"{url}\", credentials: {{token: \"${{T}}\"}}, \
             delegation: {{verifier: direct, secret: \"${{T}}\", accounts: [{{user: \"local:a\", account: a}}]}}}}]\n"
        );
        std::fs::write(&yaml, text).unwrap();
        crate::config::load(&yaml, &|_| Some("Ab3dEf6hIj9kLm2".to_owned())).unwrap()
    }

    #[test]
    fn a_hash_goes_where_nobody_reads_it() {
        let closed = |url: &str, gateway: &str| {
            let config = load(url, gateway);
            Route::of(&config, &config.sites[0]).err()
        };
        assert_eq!(closed("https://m.example/p/", "https://hq.example/"), None);
        assert_eq!(closed("http://m.localhost:8/p/", "https://hq.example/"), None, "on this machine");
    }

    #[test]
    fn nothing_of_it_is_printed() {
        let config = load("https://m.example/p/", "https://hq.example/");
        let Ok(Route::Direct(direct)) = Route::of(&config, &config.sites[0]) else { panic!("closed") };
        let login = direct.login("a").unwrap();
        let said = format!("{direct:?} {login:?} {config:?}");
        assert!(!said.contains("Ab3dEf6hIj9kLm2") && !said.contains(login.data.expose()), "{said}");
    }
}
