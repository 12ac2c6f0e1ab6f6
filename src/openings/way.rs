//! How a site takes people: by tokens, with its verifier's addresses and the key that signs for it, by its console's own
//! hash, or why it takes nobody.

use url::{Origin, Url};

use super::direct::Direct;
use crate::config::{self, Config, Verifier};
use crate::delegation::{KeyError, MasterKey, PandoraRefusal, Purpose, SiteKey, is_landing_path};

/// Why nobody can be handed over to a site.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// Nobody takes a token there.
    #[error("no verifier is configured: people log in at the console")]
    NoVerifier,
    /// `direct` without a secret.
    #[error("the verifier `direct` has no `secret`")]
    NoSecret,
    /// A secret, or an account with it, that no hash is made for.
    #[error("the console's own login hash is refused: {0}")]
    Hash(PandoraRefusal),
    /// `direct` for a product, or a site, that has none.
    #[error("this site has no login hash of its own, or is not asked now")]
    NoHashLogin,
    /// No address of the verifier.
    #[error("the verifier has no `url`")]
    NoAddress,
    /// Nothing to sign with.
    #[error("`gateway.keys` has no key to sign with for this site")]
    NoKey,
    /// A key that is refused.
    #[error("the key `{kid}` is refused: {error}")]
    Key {
        /// Its id.
        kid: String,
        /// Why.
        error: KeyError,
    },
    /// A token would travel in the clear.
    #[error("the site is reached by plain http, where a login could be read on its way")]
    Plain,
    /// A cookie of ours would be sent to the site.
    #[error("the site has the gateway's own host name, so its pages would get the gateway's cookies")]
    OwnHost,
    /// The landing path would be at another host.
    #[error("the verifier is at another origin than the console's `public_url`")]
    OtherOrigin,
    /// A path that no verifier takes.
    #[error("the console's `public_url` gives no landing path")]
    Path,
}

impl Closed {
    /// A word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoVerifier => "no_verifier",
            Self::NoSecret => "no_secret",
            Self::Hash(_) => "hash_refused",
            Self::NoHashLogin => "no_hash_login",
            Self::NoAddress => "no_address",
            Self::NoKey => "no_key",
            Self::Key { .. } => "key_refused",
            Self::Plain => "plain_http",
            Self::OwnHost => "own_host",
            Self::OtherOrigin => "other_origin",
            Self::Path => "path",
        }
    }

    /// What somebody can do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NoVerifier | Self::NoHashLogin => {
                "install the drop-in and write `verifier: dropin` (docs/openings.md)"
            }
            Self::NoSecret => "write where the console's login-hash secret is",
            Self::Hash(_) => "set 15 random letters and digits in the console's setup, and write them as `secret`",
            Self::NoAddress => "write `delegation.url`",
            Self::NoKey => "make one with `metaconsole keys generate`, and write `signing: true` at it",
            Self::Key { .. } => "make another with `metaconsole keys generate`",
            Self::Plain => "give the console https, and write it in `delegation.url` and `public_url`",
            Self::OwnHost => "give the gateway or the console a host name of its own",
            Self::OtherOrigin => "write both with the same scheme, host and port, as browsers reach the console",
            Self::Path => "write `public_url` as browsers reach the console, without `//` and `\\` in its path",
        }
    }
}

/// How a site takes people.
#[derive(Clone, Debug)]
pub enum Route {
    /// By tokens.
    Verifier(Box<Way>),
    /// By the console's own hash.
    Direct(Direct),
}

impl Route {
    /// By the configuration.
    ///
    /// # Errors
    /// Why there is none.
    pub fn of(config: &Config, site: &config::Site) -> Result<Self, Closed> {
        if site.delegation.verifier == Verifier::Direct {
            return Ok(Self::Direct(Direct::of(config, site)?));
        }
        Ok(Self::Verifier(Box::new(Way::of(config, site)?)))
    }

    /// Why there is none, if there is none, without deriving keys: for a list of many sites.
    pub fn closed(config: &Config, site: &config::Site) -> Option<Closed> {
        if site.delegation.verifier == Verifier::Direct {
            return Direct::of(config, site).err();
        }
        Way::closed(config, site)
    }
}

/// Whether something secret may be sent there: encrypted, and not where our own cookies go.
pub(super) fn reachable(config: &Config, site: &config::Site, url: &Url) -> Result<(), Closed> {
    if url.host() == config.gateway.public_url.host() || config.under_own_host().any(|own| own.id == site.id) {
        return Err(Closed::OwnHost);
    }
    if url.scheme() != "https" && !is_loopback(url) {
        return Err(Closed::Plain);
    }
    Ok(())
}

/// How a site takes tokens.
#[derive(Clone, Debug)]
pub struct Way {
    key: SiteKey,
    push: SiteKey,
    verifier: Verifier,
    url: Url,
}

impl Way {
    /// By the configuration.
    ///
    /// # Errors
    /// Why there is none.
    pub fn of(config: &Config, site: &config::Site) -> Result<Self, Closed> {
        let (url, master) = Self::found(config, site)?;
        let refused = |error| Closed::Key { kid: master.kid.clone(), error };
        let read = MasterKey::read(&master.kid, &master.secret).map_err(refused)?;
        let key = read.derive(site.id.as_str(), Purpose::Token).map_err(refused)?;
        let push = read.derive(site.id.as_str(), Purpose::Push).map_err(refused)?;
        Ok(Self { key, push, verifier: site.delegation.verifier, url })
    }

    fn closed(config: &Config, site: &config::Site) -> Option<Closed> {
        let found = Self::found(config, site);
        let read = found.and_then(|(_, master)| {
            let refused = |error| Closed::Key { kid: master.kid.clone(), error };
            MasterKey::read(&master.kid, &master.secret).map(|_| ()).map_err(refused)
        });
        read.err()
    }

    fn found<'c>(config: &'c Config, site: &config::Site) -> Result<(Url, &'c config::MasterKey), Closed> {
        let delegation = &site.delegation;
        match delegation.verifier {
            Verifier::None | Verifier::Direct => return Err(Closed::NoVerifier),
            Verifier::Dropin | Verifier::Gate => {}
        }
        let url = delegation.url.clone().ok_or(Closed::NoAddress)?;
        reachable(config, site, &url)?;
        if url.origin() != site.public_url.origin() {
            return Err(Closed::OtherOrigin);
        }
        let wanted = |key: &&config::MasterKey| match &delegation.kid {
            Some(kid) => key.kid == *kid,
            None => key.signing,
        };
        let master = config.gateway.keys.iter().find(wanted).ok_or(Closed::NoKey)?;
        Ok((url, master))
    }

    /// What signs tokens for it.
    pub fn key(&self) -> &SiteKey {
        &self.key
    }

    /// What signs our own calls to it.
    pub fn push_key(&self) -> &SiteKey {
        &self.push
    }

    /// Its kind.
    pub fn verifier(&self) -> Verifier {
        self.verifier
    }

    /// Its kind as a word.
    pub fn word(&self) -> &'static str {
        if self.verifier == Verifier::Gate { "gate" } else { "dropin" }
    }

    /// The only origin that a token for it is sent to.
    pub fn origin(&self) -> Origin {
        self.url.origin()
    }

    /// Where the verifier gives the browser its state.
    pub fn start(&self, number: &str) -> Url {
        let mut url = self.action("start");
        url.query_pairs_mut().append_pair("p", number);
        url
    }

    /// Where a token is sent to.
    pub fn login(&self) -> Url {
        self.action("login")
    }

    /// An action of the verifier: of the drop-in a parameter, since many web servers pass on nothing behind `.php`.
    pub fn action(&self, action: &str) -> Url {
        let mut url = self.url.clone();
        url.set_query(None);
        if self.verifier == Verifier::Dropin {
            url.query_pairs_mut().append_pair("a", action);
        } else {
            let path = format!("{}/{action}", url.path().trim_end_matches('/'));
            url.set_path(&path);
        }
        url
    }
}

/// Loopback, where nobody listens on the way; browsers take it for as good as https.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The path of a view's link, as a token carries it. The host is not in it: a verifier lands on its own.
///
/// # Errors
/// It is no path that stays at the site.
pub fn landing(link: &Url) -> Result<String, Closed> {
    let path = link.query().map_or_else(|| link.path().to_owned(), |query| format!("{}?{query}", link.path()));
    if is_landing_path(&path) { Ok(path) } else { Err(Closed::Path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(sites: &str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let yaml = folder.path().join("sites.yaml");
        let key = "6a09e667f3bcc908b2fb1366ea957d3e3adec17512775099da2f590b0667322a";
        let text = format!(
            "gateway: {{public_url: \"https://hq.example/\", keys: [{{kid: a, secret: \"${{KEY}}\", signing: true}}]}}\nsites: [{{id: m, {sites}}}]\n"
        );
        std::fs::write(&yaml, text).unwrap();
        crate::config::load(&yaml, &|_| Some(key.to_owned())).unwrap()
    }

    fn way(url: &str, delegation: &str) -> Result<Way, Closed> {
        let config = load(&format!(
            "url: \"{url}\", credentials: {{token: \"${{T}}\"}}, delegation: {{accounts: [{{user: \"local:a\", account: a}}], {delegation}}}"
        ));
        Way::of(&config, &config.sites[0])
    }

    #[test]
    fn addresses_are_those_of_the_kind_of_verifier() {
        let dropin = way("https://m.example/p/", "verifier: dropin, url: \"https://m.example/p/mc.php\"").unwrap();
        assert_eq!(dropin.start("N").as_str(), "https://m.example/p/mc.php?a=start&p=N");
        assert_eq!(dropin.login().as_str(), "https://m.example/p/mc.php?a=login");
        let gate = way("https://m.example/p/", "verifier: gate, url: \"https://m.example/mc\"").unwrap();
        assert_eq!(gate.start("N").as_str(), "https://m.example/mc/start?p=N");
        assert_eq!(gate.login().as_str(), "https://m.example/mc/login");
    }

    #[test]
    fn what_would_harm_is_closed() {
        for (url, delegation, why) in [
            ("https://m.example/", "verifier: none", Closed::NoVerifier),
            ("http://m.example/", "verifier: dropin, url: \"http://m.example/mc.php\"", Closed::Plain),
            ("https://m.example/", "verifier: dropin, url: \"https://hq.example/mc.php\"", Closed::OwnHost),
            ("https://m.example/", "verifier: gate, url: \"https://other.example/mc\"", Closed::OtherOrigin),
        ] {
            assert_eq!(way(url, delegation).unwrap_err(), why, "{delegation}");
        }
        assert!(way("http://m.localhost:8/", "verifier: dropin, url: \"http://m.localhost:8/mc.php\"").is_ok());
    }

    #[test]
    fn a_landing_path_never_names_a_host() {
        let landing = |url: &str| landing(&Url::parse(url).unwrap());
        assert_eq!(landing("https://m.example/p/index.php?sec=a&id=4").unwrap(), "/p/index.php?sec=a&id=4");
        assert_eq!(landing("https://m.example//evil.example/").unwrap_err(), Closed::Path);
        assert_eq!(landing("https://m.example/\\evil.example/"), Err(Closed::Path), "`\\` is a slash to browsers");
    }
}
