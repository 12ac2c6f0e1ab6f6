//! Who was let in by a console's own hash and may not be any more. They may have kept it, so that site's secret must change.
//!
//! Two ways to know: two configurations, where one replaces the other; and the audit log, which has everybody who was
//! given a hash with a mark of the secret. A secret that has changed since asks for nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use crate::access::accounts::{Opening, opening};
use crate::access::rights::Principal;
use crate::audit::{Action, Filter, ReadError, newest};
use crate::config::access::Permission;
use crate::config::{Config, Site, Subject, Verifier};
use crate::delegation::secret_mark;
use crate::domain::SiteId;

/// By site, the qualified logins of those who may keep its hash.
pub type Former = BTreeMap<SiteId, BTreeSet<String>>;

/// In words, one site: `change the login-hash secret of madrid: local:ana …`.
pub fn told(site: &SiteId, logins: &BTreeSet<String>) -> String {
    let names: Vec<&str> = logins.iter().map(String::as_str).collect();
    format!(
        "change the login-hash secret of {site}: {} could be logged in there by it, which cannot expire, and may not be \
         any more",
        names.join(", ")
    )
}

/// Those who lose it when `now` replaces `before`. People of `access.users` only: of others the configuration does not
/// know who they are.
pub fn by_change(before: &Config, now: &Config) -> Former {
    let mut former = Former::new();
    for site in before.sites.iter().filter(|site| site.delegation.verifier == Verifier::Direct) {
        let next = now.sites.iter().find(|next| next.id == site.id);
        let secret = next.and_then(|next| next.delegation.secret.as_ref());
        if secret.is_some() && secret != site.delegation.secret.as_ref() {
            continue;
        }
        for user in &before.access.users {
            let was = account(before, site, &user.login);
            if was.is_some() && was != next.and_then(|next| account(now, next, &user.login)) {
                former.entry(site.id.clone()).or_default().insert(format!("local:{}", user.login));
            }
        }
    }
    former
}

/// As whom a user of the configuration is let in.
fn account(config: &Config, site: &Site, login: &str) -> Option<String> {
    let who = Principal::user(&config.access, login)?;
    who.grants.on(Permission::Open, &site.id, &site.tags)?;
    match opening(&site.delegation, &who) {
        Opening::As(account) => Some(account),
        Opening::LogInThere | Opening::NoAccount => None,
    }
}

/// What of a line of the audit log matters.
#[derive(Deserialize)]
struct Handed {
    account: Option<String>,
    result: String,
    detail: Option<String>,
}

/// Those who were given a hash by the audit log in `folder`, under the secret that is still the site's. Blocks while it
/// reads the whole log.
///
/// # Errors
/// The log cannot be read.
pub fn by_log(folder: &Path, config: &Config) -> Result<Former, ReadError> {
    let marked = |site: &Site| {
        let secret = site.delegation.secret.as_ref().filter(|_| site.delegation.verifier == Verifier::Direct)?;
        Some((site.id.as_str().to_owned(), format!("secret {}", secret_mark(site.id.as_str(), secret))))
    };
    let marks: BTreeMap<String, String> = config.sites.iter().filter_map(marked).collect();
    let mut former = Former::new();
    if marks.is_empty() || !folder.is_dir() {
        return Ok(former);
    }
    let filter = Filter { action: Some(Action::OpenIssued.as_str().to_owned()), ..Filter::default() };
    for entry in newest(folder, filter)? {
        let entry = entry?;
        let (Some(name), Ok(handed)) = (entry.site, serde_json::from_str::<Handed>(&entry.line)) else { continue };
        let Some(site) = config.sites.iter().find(|site| site.id.as_str() == name) else { continue };
        let is_current = handed.result == "direct" && handed.detail.as_ref() == marks.get(&name);
        if is_current && !still(config, site, &entry.actor, handed.account.as_deref().unwrap_or_default()) {
            former.entry(site.id.clone()).or_default().insert(entry.actor);
        }
    }
    Ok(former)
}

/// Whether this person may still be let in as this account; of people that the configuration does not know, whether
/// anything in it could let them in.
fn still(config: &Config, site: &Site, actor: &str, was: &str) -> bool {
    if let Some(login) = actor.strip_prefix("local:") {
        return account(config, site, login).as_deref() == Some(was);
    }
    site.delegation.accounts.iter().any(|rule| match &rule.subject {
        Subject::User(user) => user == actor && rule.account == was,
        Subject::Group(_) => rule.account == was,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::secret::Secret;

    static HASH: LazyLock<Secret> =
        LazyLock::new(|| crate::access::password::hash(&Secret::new("correct horse battery staple")).unwrap());

    const OTHER: &str = "Zb3dEf6hIj9kLm2";

    fn load(users: &str, delegation: &str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let yaml = folder.path().join("sites.yaml");
        let users = users.replace("HASH", HASH.expose());
        let text = format!(
            "gateway: {{state_dir: state}}\nsites: [{{id: m, url: \"https://m.example/p/\", credentials: {{token: \"${{T}}\"}}, \
             delegation: {{{delegation}}}}}]\naccess:\n  roles: {{noc: {{open: ['*']}}}}\n  users: {users}\n"
        );
        std::fs::write(&yaml, text).unwrap();
        let value = |name: &str| Some(if name == "OTHER" { OTHER } else { "Ab3dEf6hIj9kLm2" }.to_owned());
        crate::config::load(&yaml, &value).unwrap()
    }

    const DIRECT: &str = "verifier: direct, secret: \"${T}\", accounts: [{user: \"local:ana\", account: ops}, {user: \"local:ben\", account: ben}]";
    const BOTH: &str = "[{login: ana, password: 'HASH', roles: [noc]}, {login: ben, password: 'HASH', roles: [noc]}]";
    const BEN: &str = "[{login: ben, password: 'HASH', roles: [noc]}]";

    fn names(former: Former) -> Vec<String> {
        former
            .into_iter()
            .map(|(site, logins)| format!("{site}: {}", logins.into_iter().collect::<Vec<_>>().join(" ")))
            .collect()
    }

    #[test]
    fn who_loses_it_while_the_secret_stays_is_named() {
        let before = load(BOTH, DIRECT);
        let lost = |users: &str, delegation: &str| names(by_change(&before, &load(users, delegation)));
        assert_eq!(lost(BOTH, DIRECT), [""; 0]);
        assert_eq!(lost(BEN, DIRECT), ["m: local:ana"]);
        assert_eq!(lost(BOTH, &DIRECT.replace("account: ops", "account: else")), ["m: local:ana"]);
        assert_eq!(
            lost(&BOTH.replace("ana, password: 'HASH', roles: [noc]", "ana, password: 'HASH', roles: []"), DIRECT),
            ["m: local:ana"]
        );
        assert_eq!(lost(BEN, "verifier: none"), ["m: local:ana local:ben"], "the console takes them all the same");
        assert_eq!(lost(BEN, &DIRECT.replace("${T}", "${OTHER}")), [""; 0], "their hash is good for nothing now");
    }

    #[test]
    fn the_log_names_those_who_were_given_one_under_the_present_secret() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("audit");
        std::fs::create_dir(&log).unwrap();
        let mark = secret_mark("m", &Secret::new("Ab3dEf6hIj9kLm2"));
        let line = |seq: u32, actor: &str, result: &str, account: &str, mark: &str| {
            format!(
                "{{\"seq\":{seq},\"ts\":\"2026-01-01T00:00:01.000Z\",\"replica\":\"g\",\"actor\":\"{actor}\",\"action\":\"open.issued\",\
                 \"site\":\"m\",\"account\":\"{account}\",\"result\":\"{result}\",\"detail\":\"secret {mark}\"}}\n"
            )
        };
        let lines = [
            line(1, "local:ana", "direct", "ops", &mark),
            line(2, "local:ben", "direct", "ben", &mark),
            line(3, "local:old", "direct", "ops", "00000000"),
            line(4, "local:eva", "ok", "ops", &mark),
            line(5, "oidc:max", "direct", "max", &mark),
        ];
        std::fs::write(log.join("audit-00000000000000000001.jsonl"), lines.concat()).unwrap();
        let former = |users: &str, delegation: &str| names(by_log(&log, &load(users, delegation)).unwrap());
        assert_eq!(former(BOTH, DIRECT), ["m: oidc:max"]);
        assert_eq!(former(BEN, DIRECT), ["m: local:ana oidc:max"]);
        assert_eq!(former(BEN, &DIRECT.replace("${T}", "${OTHER}")), [""; 0]);
        assert!(by_log(&folder.path().join("none"), &load(BEN, DIRECT)).unwrap().is_empty());
    }
}
