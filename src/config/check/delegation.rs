//! `delegation:` of a site: who takes the token there, and who may become which account.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::is_nfc;
use url::Url;

use crate::config::mistake::Fault;
use crate::config::{AccountRule, Actor, Delegation, Subject, Verifier};
use crate::delegation::{PandoraRefusal, pandora_login, strong_secret};
use crate::domain::fold;
use crate::secret::Secret;

use super::address;
use super::fields::{Fields, Keys, nearest};
use super::gateway::{self, Surroundings};
use super::values::flag;

pub(crate) const KEYS: Keys =
    Keys::of_secrets(&["verifier", "url", "kid", "secret", "accounts", "never", "actor", "revoke"]);

pub(crate) const ACCOUNT_KEYS: Keys = Keys::of(&["user", "group", "account"]);

const VERIFIERS: &[(&str, Verifier)] =
    &[("dropin", Verifier::Dropin), ("gate", Verifier::Gate), ("direct", Verifier::Direct), ("none", Verifier::None)];

/// Where people come from.
const SOURCES: &[&str] = &["local:", "oidc:", "header:"];

/// Characters that change how an account looks without being seen: soft hyphen, zero-width, direction, tags.
const UNSEEN: &[std::ops::RangeInclusive<char>] = &[
    '\u{ad}'..='\u{ad}',
    '\u{600}'..='\u{605}',
    '\u{61c}'..='\u{61c}',
    '\u{6dd}'..='\u{6dd}',
    '\u{70f}'..='\u{70f}',
    '\u{180e}'..='\u{180e}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{feff}'..='\u{feff}',
    '\u{fff9}'..='\u{fffb}',
    '\u{e0000}'..='\u{e007f}',
];

/// Reads the map. `public_url` is the site's, for `direct`, which is for https only.
pub(crate) fn read(site: &Fields<'_>, surroundings: &Surroundings<'_>, public_url: Option<&Url>) -> Option<Delegation> {
    if !site.has("delegation") {
        return Some(Delegation::default());
    }
    let fields = site.map("delegation", &KEYS)?;
    fields.require("verifier", "write `dropin`, `gate`, `direct` or `none`");
    let verifier = fields.value("verifier", verifier);
    let url = fields.value("url", address::verifier_url);
    let kid = fields.value("kid", |text| known_kid(text, &surroundings.kids));
    let secret = read_secret(&fields);
    let never = read_never(&fields);
    let takes = Takes { verifier, never: &never, secret: secret.as_ref() };
    let accounts = read_accounts(&fields, &takes);
    match verifier {
        Some(Verifier::Dropin | Verifier::Gate) => check_verifier(&fields),
        Some(Verifier::Direct) => check_direct(&fields, public_url),
        Some(Verifier::None) | None => {}
    }
    let actor = fields.value("actor", actor).unwrap_or_default();
    let revoke = fields.value("revoke", flag).unwrap_or_default();
    Some(Delegation { verifier: verifier?, url, kid, secret, accounts, never, actor, revoke })
}

fn verifier(text: &str) -> Result<Verifier, Fault> {
    let known = VERIFIERS.iter().find(|(name, _)| *name == text);
    if let Some((_, verifier)) = known {
        return Ok(*verifier);
    }
    let near = nearest(text, VERIFIERS.iter().map(|(name, _)| *name));
    let remedy = match near {
        Some(near) => format!("write `{near}`"),
        None => "write `dropin`, `gate`, `direct` or `none`".to_owned(),
    };
    Err(Fault::new("not known").remedy(remedy))
}

fn actor(text: &str) -> Result<Actor, Fault> {
    match text {
        "login" => Ok(Actor::Login),
        "opaque" => Ok(Actor::Opaque),
        _ => Err(Fault::new("not known").remedy("write `login` or `opaque`")),
    }
}

fn known_kid(text: &str, kids: &[String]) -> Result<String, Fault> {
    let kid = gateway::kid(text)?;
    if kids.contains(&kid) {
        return Ok(kid);
    }
    let fault = Fault::new("no key of `gateway.keys` has this id");
    Err(match kids {
        [] => fault.remedy("add the key to `gateway.keys`, or remove `kid`"),
        _ => fault.remedy(format!("the ids are {}", kids.join(", "))),
    })
}

fn check_verifier(fields: &Fields<'_>) {
    fields.require("url", "write where the verifier answers");
    if fields.has("secret") {
        let fault = Fault::new("`secret` is for the verifier `direct` only");
        fields.tell("secret", fault.remedy("remove it"));
    }
}

fn check_direct(fields: &Fields<'_>, public_url: Option<&Url>) {
    fields.require("secret", "write where the console's login-hash secret is");
    if public_url.is_some_and(|url| url.scheme() != "https" && !is_on_this_machine(url)) {
        let fault = Fault::new("the verifier `direct` needs an https `public_url`");
        fields.tell("verifier", fault.remedy("use `dropin`, or give the console https"));
    }
    for key in ["url", "kid", "actor", "revoke"] {
        if fields.has(key) {
            let fault = Fault::new(format!("`{key}` is not used by the verifier `direct`"));
            fields.tell(key, fault.remedy("remove it"));
        }
    }
}

/// Where nobody listens on the way.
fn is_on_this_machine(url: &Url) -> bool {
    address::is_loopback(url) || url.host_str().is_some_and(|host| host.ends_with(".localhost"))
}

fn read_secret(fields: &Fields<'_>) -> Option<Secret> {
    let found = fields.found("secret")?;
    if let Err(refusal) = strong_secret(&found.value.secret) {
        let told = refusal.to_string();
        let (what, remedy) = told.split_once("; ").unwrap_or((&told, ""));
        found.tell(Fault::new(format!("`secret`: {what}")).remedy(remedy));
    }
    Some(found.value.secret)
}

/// Administrators, unless somebody says otherwise.
const NEVER: &[&str] = &["admin", "root"];

fn read_never(fields: &Fields<'_>) -> Vec<String> {
    if !fields.has("never") {
        return NEVER.iter().map(|name| (*name).to_owned()).collect();
    }
    let names = fields.list("never", account).unwrap_or_default();
    names.into_iter().map(|name| name.value).collect()
}

/// What decides which accounts a site's rules may name.
struct Takes<'a> {
    verifier: Option<Verifier>,
    never: &'a [String],
    secret: Option<&'a Secret>,
}

fn read_accounts(fields: &Fields<'_>, takes: &Takes<'_>) -> Vec<AccountRule> {
    let rows = fields.items("accounts").unwrap_or_default();
    let open = |row| Fields::open(&fields.scope, row, &ACCOUNT_KEYS);
    let rules = rows.iter().filter_map(open);
    rules.filter_map(|row| read_rule(&row, takes)).collect()
}

fn read_rule(row: &Fields<'_>, takes: &Takes<'_>) -> Option<AccountRule> {
    let user = row.value("user", qualified).map(Subject::User);
    let group = row.value("group", qualified).map(Subject::Group);
    if row.has("user") == row.has("group") {
        let fault = Fault::new("an account rule is for exactly one `user` or one `group`");
        row.scope.tell(row.place, fault);
    }
    row.require("account", "write the account at the site");
    let account = row.value("account", |text| {
        let account = account(text)?;
        if takes.never.iter().any(|name| folded(name) == folded(&account)) {
            let fault = Fault::new("this account is on the list `never`");
            return Err(fault.remedy("remove the rule, or write `never` without it (unless said: admin, root)"));
        }
        match takes.verifier {
            Some(Verifier::Gate) => plain_account(account),
            Some(Verifier::Direct) => hashable(plain_account(account)?, takes.secret),
            Some(Verifier::Dropin | Verifier::None) | None => Ok(account),
        }
    });
    Some(AccountRule { subject: user.or(group)?, account: account? })
}

/// A person or group, with where it comes from.
fn qualified(text: &str) -> Result<String, Fault> {
    let name = SOURCES.iter().find_map(|source| text.strip_prefix(source));
    match name {
        Some(name) if is_clean(name) => Ok(text.to_owned()),
        _ => Err(Fault::new("must say where it comes from")
            .remedy("write it like `local:alice`, `oidc:noc` or `header:alice`")),
    }
}

/// An account at a site, as a token may carry it.
fn account(text: &str) -> Result<String, Fault> {
    if is_clean(text) && text.len() <= 128 && is_nfc(text) {
        return Ok(text.to_owned());
    }
    Err(Fault::new("an account is 1 to 128 bytes in normal form C, without unseen characters or blanks at either end"))
}

fn is_clean(text: &str) -> bool {
    let unseen = |c: char| c.is_control() || UNSEEN.iter().any(|range| range.contains(&c));
    !text.is_empty() && text.trim() == text && !text.contains(unseen)
}

/// The gate writes the account into a header, `direct` into a hash: neither takes more than these.
fn plain_account(account: String) -> Result<String, Fault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'@' | b'-');
    if account.len() <= 64 && account.bytes().all(plain) {
        return Ok(account);
    }
    Err(Fault::new("this verifier takes accounts of 1 to 64 characters of A-Z, a-z, 0-9 and ._@- only"))
}

/// An account whose hash with this secret is no number to the console.
fn hashable(account: String, secret: Option<&Secret>) -> Result<String, Fault> {
    match secret.map(|secret| pandora_login(&account, secret)) {
        Some(Err(refusal @ PandoraRefusal::Zero)) => Err(Fault::new(refusal.to_string())),
        _ => Ok(account),
    }
}

/// An account as a database may compare it: without case and accents, wide letters like plain ones.
pub fn folded(account: &str) -> String {
    fold(&account.nfkc().collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_show_every_character() {
        for good in ["alice", "ops.reader", "Ana García", "x@y.org"] {
            assert!(account(good).is_ok(), "{good}");
        }
        for bad in ["", " a", "a ", "a\nb", "a\u{200b}b", "a\u{202e}b", "a\u{feff}", "e\u{301}", &"x".repeat(129)] {
            assert!(account(bad).is_err(), "{bad:?}");
        }
        assert!(plain_account("Ana".to_owned()).is_ok());
        assert!(plain_account("José".to_owned()).is_err());
    }

    #[test]
    fn a_hash_that_is_a_number_to_the_console_is_refused() {
        let secret = |text: &str| Some(Secret::new(text));
        assert!(hashable("2406".to_owned(), secret("10708").as_ref()).is_err(), "LW01 of the vectors");
        assert!(hashable("2406".to_owned(), secret("Ab3dEf6hIj9kLm2").as_ref()).is_ok());
        assert!(hashable("2406".to_owned(), None).is_ok(), "another mistake, which is told elsewhere");
    }

    #[test]
    fn people_are_qualified() {
        for good in ["local:alice", "oidc:https://id.example.org/#42", "header:a b"] {
            assert!(qualified(good).is_ok(), "{good}");
        }
        for bad in ["alice", "local:", "ldap:alice", "Local:alice", "local: a", "oidc:a\u{0}"] {
            assert!(qualified(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn never_is_compared_folded() {
        assert_eq!(folded("ÁDMIN"), folded("admin"));
        assert_eq!(folded("ａｄｍｉｎ"), "admin");
        assert_ne!(folded("admin"), folded("admin2"));
    }
}
