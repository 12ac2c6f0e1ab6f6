//! The section `access:` as checked: who may log in, what each role grants, and for how long a session lasts.

use std::collections::BTreeSet;
use std::time::Duration;

use ipnet::IpNet;

use crate::domain::SiteId;
use crate::secret::Secret;

/// Who may come in, and what they may do. Empty: nobody logs in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Access {
    /// People with a password here.
    pub users: Vec<User>,
    /// What may be granted, by name.
    pub roles: Vec<Role>,
    /// Programs.
    pub api_tokens: Vec<ApiToken>,
    /// Screens on walls.
    pub wallboards: Vec<Wallboard>,
    /// How long a login lasts.
    pub session: SessionRules,
}

impl Access {
    /// Whether there is anything to log in with. Without, everybody who reaches us may read.
    pub fn has_login(&self) -> bool {
        !self.users.is_empty() || !self.api_tokens.is_empty()
    }

    /// A role by its name.
    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.name == name)
    }

    /// A wallboard by its name.
    pub fn wallboard(&self, name: &str) -> Option<&Wallboard> {
        self.wallboards.iter().find(|wall| wall.name == name)
    }

    /// A user by their login.
    pub fn user(&self, login: &str) -> Option<&User> {
        self.users.iter().find(|user| user.login == login)
    }
}

/// One of `access.users`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// As they type it: `[a-z0-9._@-]{1,64}`.
    pub login: String,
    /// The argon2id hash of their password, as a PHC string.
    pub password: Secret,
    /// Groups for the account rules of sites, without `local:`.
    pub groups: Vec<String>,
    /// Names of roles, all of which exist.
    pub roles: Vec<String>,
}

/// One of `access.roles`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// What it grants. What is not here is denied.
    pub grants: Vec<Grant>,
}

/// One permission on some sites.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Grant {
    /// What may be done.
    pub permission: Permission,
    /// Where.
    pub sites: Target,
    /// With which agents; `None`: all of the site's.
    pub groups: Option<BTreeSet<String>>,
}

/// What a role may grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Rows, counts, and the state of a site.
    Search,
    /// An agent's details.
    View,
    /// Going on to the site's own console.
    Open,
    /// Who did what.
    Audit,
    /// The gateway's own matters.
    Admin,
}

impl Permission {
    /// All of them, with their words.
    pub const ALL: [(&'static str, Permission); 5] = [
        ("search", Self::Search),
        ("view", Self::View),
        ("open", Self::Open),
        ("audit", Self::Audit),
        ("admin", Self::Admin),
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::View => "view",
            Self::Open => "open",
            Self::Audit => "audit",
            Self::Admin => "admin",
        }
    }
}

/// Some sites.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// `"*"`
    All,
    /// One site by its id.
    Site(SiteId),
    /// Those with this tag.
    Tag(String),
}

impl Target {
    /// Whether a site with this id and these tags is one of them.
    pub fn covers(&self, id: &SiteId, tags: &[String]) -> bool {
        match self {
            Self::All => true,
            Self::Site(site) => site == id,
            Self::Tag(tag) => tags.contains(tag),
        }
    }
}

/// One of `access.api_tokens`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    /// As the log calls it.
    pub name: String,
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// Names of roles, all of which exist. `open` is never granted to a token.
    pub roles: Vec<String>,
    /// Refused from then on, in seconds since 1970.
    pub expires: Option<i64>,
}

/// One of `access.wallboards`: a screen that is paired by a code and only reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wallboard {
    /// Its name.
    pub name: String,
    /// The search it shows.
    pub view: String,
    /// Names of roles, of which it gets `search` alone.
    pub roles: Vec<String>,
    /// Where it may stand; empty: anywhere.
    pub addresses: Vec<IpNet>,
}

/// `access.session`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRules {
    /// Signed out after so long without a request. Default 8 h, a shift.
    pub idle: Duration,
    /// Signed out so long after the login, whatever happens. Default 12 h.
    pub absolute: Duration,
    /// A user's oldest session ends when they begin one more. Default 20.
    pub per_user: usize,
    /// What session keys are derived from; one is made in `state_dir` when none is given.
    pub key: Option<Secret>,
}

impl Default for SessionRules {
    fn default() -> Self {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        Self { idle: hours(8), absolute: hours(12), per_user: 20, key: None }
    }
}
