//! `access.roles`: a map from a name to what it grants where.
//!
//! A permission holds a list: `"*"`, a site's id, `tag:x`, or `{sites: [...], groups: [...]}` for some agents only.

use std::collections::BTreeSet;

use crate::config::access::{Grant, Permission, Role, Target};
use crate::config::check::fields::{Fields, Keys, nearest};
use crate::config::check::scope::Placed;
use crate::config::check::values;
use crate::config::mistake::Fault;
use crate::config::node::{Entry, Node, Value};
use crate::domain::SiteId;

const KEYS: Keys = Keys::of(&["search", "view", "open", "audit", "admin"]);

const PART_KEYS: Keys = Keys::of(&["sites", "groups"]);

pub(super) fn read(access: &Fields<'_>, sites: Option<&[&str]>) -> Vec<Role> {
    let Some(node) = access.node("roles") else { return Vec::new() };
    let Value::Map(entries) = &node.value else {
        let fault = Fault::new("`roles`: expected a map from each role's name to what it grants");
        access.tell("roles", fault.remedy("write it like `noc: {search: [\"*\"], view: [\"*\"]}`"));
        return Vec::new();
    };
    let names: Vec<Placed<'_, String>> = entries.iter().filter_map(|entry| name_of(access, entry)).collect();
    super::tell_repeated(&names, "the name of this role");
    entries.iter().filter_map(|entry| role(access, entry, sites)).collect()
}

fn name_of<'a>(access: &Fields<'a>, entry: &'a Entry) -> Option<Placed<'a, String>> {
    let key = entry.key.as_deref().map(name);
    let told = |fault| access.scope.tell(entry.place, fault);
    let value = match key {
        Some(Ok(value)) => value,
        Some(Err(fault)) => return told_none(told, fault),
        None => return told_none(told, Fault::new("the name of a role must be a word")),
    };
    Some(Placed { value, scope: access.scope.clone(), place: entry.place })
}

fn told_none<T>(tell: impl Fn(Fault), fault: Fault) -> Option<T> {
    tell(fault);
    None
}

/// The name of a role, token or wallboard.
pub(super) fn name(text: &str) -> Result<String, Fault> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    Err(Fault::new("a name is 1 to 64 characters of A-Z, a-z, 0-9 and ._-"))
}

fn role(access: &Fields<'_>, entry: &Entry, known: Option<&[&str]>) -> Option<Role> {
    let name = name(entry.key.as_deref()?).ok()?;
    let fields = Fields::open(&access.scope, &entry.value, &KEYS)?;
    let mut grants = Vec::new();
    for (word, permission) in Permission::ALL {
        for node in fields.items(word).unwrap_or_default() {
            grants.extend(part(&fields, word, node, permission, known));
        }
    }
    Some(Role { name, grants })
}

fn part(fields: &Fields<'_>, word: &str, node: &Node, permission: Permission, known: Option<&[&str]>) -> Vec<Grant> {
    let target = |text: &str| target(text, known);
    let grant = |sites, groups: Option<BTreeSet<String>>| Grant { permission, sites, groups };
    match &node.value {
        Value::Text(text) => match target(text) {
            Ok(sites) => vec![grant(sites, None)],
            Err(fault) => {
                let message = format!("`{word}`: {}", fault.message);
                fields.scope.tell(node.place, Fault { message, ..fault });
                Vec::new()
            }
        },
        _ => {
            let Some(part) = Fields::open(&fields.scope, node, &PART_KEYS) else { return Vec::new() };
            for key in ["sites", "groups"] {
                part.require(key, "write it like `{sites: [\"*\"], groups: [Servers]}`");
            }
            let sites = part.list("sites", target).unwrap_or_default();
            let groups = part.list("groups", values::name).unwrap_or_default();
            let groups: BTreeSet<String> = groups.into_iter().map(|group| group.value).collect();
            if groups.is_empty() && part.has("groups") {
                part.tell("groups", Fault::new("`groups` names none").remedy("write at least one, or a site alone"));
            }
            sites.into_iter().map(|site| grant(site.value, Some(groups.clone()))).collect()
        }
    }
}

fn target(text: &str, known: Option<&[&str]>) -> Result<Target, Fault> {
    if text == "*" {
        return Ok(Target::All);
    }
    if let Some(tag) = text.strip_prefix("tag:") {
        return values::tag(tag).map(Target::Tag);
    }
    if known.is_some_and(|known| !known.contains(&text)) && text.parse::<SiteId>().is_ok() {
        let fault = Fault::new("no site has this id");
        return Err(match nearest(text, known.unwrap_or_default().iter().copied()) {
            Some(near) => fault.remedy(format!("write `{near}`")),
            None => fault.remedy("write the id of a site below `sites:`, or a tag as `tag:x`"),
        });
    }
    let site = text.parse().map(Target::Site);
    site.map_err(|_| Fault::new("neither `*`, a site's id nor `tag:x`").remedy("write `\"*\"`, `madrid` or `tag:prod`"))
}
