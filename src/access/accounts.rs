//! As whom somebody is let into a site's console: the first rule that fits, or nobody.
//!
//! There is no fallback and no account made up from a login. What is on the site's `never` list is not opened, even when
//! a rule came in some other way than through the checked configuration.

use crate::config::access::{Access, Permission};
use crate::config::{Delegation, Site, Subject, Verifier, folded};

use super::rights::Principal;

/// What a click on "open" would mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The site takes nobody from us: people log in there.
    LogInThere,
    /// As this account.
    As(String),
    /// No rule is for this person.
    NoAccount,
}

/// As whom this person is let in.
pub fn opening(delegation: &Delegation, who: &Principal) -> Opening {
    if delegation.verifier == Verifier::None {
        return Opening::LogInThere;
    }
    let fits = |subject: &Subject| match subject {
        Subject::User(user) => *user == who.login,
        Subject::Group(group) => who.groups.contains(group),
    };
    let rule = delegation.accounts.iter().find(|rule| fits(&rule.subject));
    let allowed = |account: &&str| {
        let never = |name: &String| folded(name) == folded(account);
        !delegation.never.iter().any(never)
    };
    // A first match that is not allowed ends the search: the next rule was not meant for this person.
    let account = rule.map(|rule| rule.account.as_str()).filter(allowed);
    account.map_or(Opening::NoAccount, |account| Opening::As(account.to_owned()))
}

/// Whether the person of this qualified login is let into a site as exactly this account, by the configuration in force:
/// they are configured, have the right `open` there, and the first rule that fits gives the account.
pub fn still(access: &Access, site: &Site, login: &str, account: &str) -> bool {
    Principal::of_login(access, login).is_some_and(|who| {
        who.grants.on(Permission::Open, &site.id, &site.tags).is_some()
            && opening(&site.delegation, &who) == Opening::As(account.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::rights::Grants;
    use crate::config::AccountRule;

    fn delegation(rules: &[(&str, &str)], never: &[&str]) -> Delegation {
        let rule = |(subject, account): &(&str, &str)| AccountRule {
            subject: match subject.strip_prefix('@') {
                Some(group) => Subject::Group(group.to_owned()),
                None => Subject::User((*subject).to_owned()),
            },
            account: (*account).to_owned(),
        };
        Delegation {
            verifier: Verifier::Dropin,
            accounts: rules.iter().map(rule).collect(),
            never: never.iter().map(|name| (*name).to_owned()).collect(),
            ..Delegation::default()
        }
    }

    #[test]
    fn the_first_rule_that_fits_decides_and_there_is_no_other_way_in() {
        let alice = Principal {
            login: "local:alice".to_owned(),
            groups: vec!["local:noc".to_owned()],
            grants: Grants::default(),
        };
        let account = |name: &str| Opening::As(name.to_owned());
        for (rules, never, expected) in [
            (&[("local:alice", "a1"), ("@local:noc", "reader")][..], &[][..], account("a1")),
            (&[("@local:noc", "reader"), ("local:alice", "a1")], &[], account("reader")),
            (&[("local:bob", "bob"), ("@oidc:noc", "x"), ("local:Alice", "y")], &[], Opening::NoAccount),
            (&[], &[], Opening::NoAccount),
            (&[("local:alice", "ＡDMÍN"), ("@local:noc", "reader")], &["admin"], Opening::NoAccount),
        ] {
            assert_eq!(opening(&delegation(rules, never), &alice), expected, "{rules:?}");
        }
        let none = Delegation { verifier: Verifier::None, ..delegation(&[("local:alice", "a1")], &[]) };
        assert_eq!(opening(&none, &alice), Opening::LogInThere);
    }
}
