//! What differs between two configurations, by names alone: nothing of a value, since values may be secrets.

use crate::config::Config;

/// In words, such as `sites: +lyon ~madrid; users: -ana; roles changed`.
pub(super) fn difference(before: &Config, now: &Config) -> String {
    let (old, new) = (&before.access, &now.access);
    let mut parts = vec![
        listed("sites", &before.sites, &now.sites, |site| site.id.as_str()),
        listed("users", &old.users, &new.users, |user| &user.login),
        listed("roles", &old.roles, &new.roles, |role| &role.name),
        listed("api_tokens", &old.api_tokens, &new.api_tokens, |token| &token.name),
        listed("wallboards", &old.wallboards, &new.wallboards, |wall| &wall.name),
    ];
    parts.push((old.session != new.session).then(|| "session changed".to_owned()));
    parts.push((before.gateway != now.gateway).then(|| "gateway changed".to_owned()));
    let said: Vec<String> = parts.into_iter().flatten().collect();
    if said.is_empty() { "files changed".to_owned() } else { said.join("; ") }
}

/// Those that came (`+`), changed (`~`) and went (`-`).
fn listed<T: PartialEq>(what: &str, before: &[T], now: &[T], name: impl Fn(&T) -> &str) -> Option<String> {
    let find = |all: &[T], wanted: &str| all.iter().position(|one| name(one) == wanted);
    let mut said = String::new();
    for one in now {
        let sign = match find(before, name(one)).and_then(|at| before.get(at)) {
            None => '+',
            Some(earlier) if earlier != one => '~',
            Some(_) => continue,
        };
        said.extend([' ', sign]);
        said.push_str(name(one));
    }
    for one in before.iter().filter(|one| find(now, name(one)).is_none()) {
        said.push_str(" -");
        said.push_str(name(one));
    }
    (!said.is_empty()).then(|| format!("{what}:{said}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_and_no_values() {
        let (before, now) = ([("a", 1), ("b", 1), ("c", 1)], [("b", 2), ("c", 1), ("d", 1)]);
        assert_eq!(listed("sites", &before, &now, |(name, _)| name), Some("sites: ~b +d -a".to_owned()));
        assert_eq!(listed("sites", &before, &before, |(name, _)| name), None);
    }
}
