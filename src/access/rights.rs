//! What somebody may do where: computed from the configuration in force, denied unless granted.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::config::access::{Access, Grant, Permission};
use crate::domain::SiteId;
use crate::inventory::Visible;

use super::secrets::digest;

/// Somebody who has proved who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Qualified by where it comes from: `local:alice`, `token:grafana`, `wall:noc`.
    pub login: String,
    /// Qualified groups, for the account rules of sites: `local:noc`.
    pub groups: Vec<String>,
    /// What they may do.
    pub grants: Grants,
}

/// What somebody may do. Nothing, unless something grants it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants(Vec<Grant>);

impl Principal {
    /// Somebody by their qualified login, as far as the configuration alone knows them: `local:` users.
    pub fn of_login(access: &Access, login: &str) -> Option<Self> {
        Self::user(access, login.strip_prefix("local:")?)
    }

    /// A user of the configuration, by the login without `local:`.
    pub fn user(access: &Access, login: &str) -> Option<Self> {
        let user = access.user(login)?;
        Some(Self {
            login: format!("local:{login}"),
            groups: user.groups.iter().map(|group| format!("local:{group}")).collect(),
            grants: Grants::of(access, &user.roles),
        })
    }
}

impl Grants {
    /// What these roles grant together. A role that is not there grants nothing.
    pub fn of(access: &Access, roles: &[String]) -> Self {
        let roles = roles.iter().filter_map(|role| access.role(role));
        let mut grants: Vec<Grant> = Vec::new();
        for grant in roles.flat_map(|role| &role.grants) {
            if !grants.contains(grant) {
                grants.push(grant.clone());
            }
        }
        Self(grants)
    }

    /// Only these permissions of it.
    #[must_use]
    pub fn only(mut self, permissions: &[Permission]) -> Self {
        self.0.retain(|grant| permissions.contains(&grant.permission));
        self
    }

    /// Which agents of a site the permission is for; `None`: the site does not exist for it.
    pub fn on(&self, permission: Permission, site: &SiteId, tags: &[String]) -> Option<Arc<Visible>> {
        let mut groups: Option<BTreeSet<String>> = None;
        for grant in self.0.iter().filter(|grant| grant.permission == permission && grant.sites.covers(site, tags)) {
            match &grant.groups {
                None => return Some(Arc::new(Visible::All)),
                Some(some) => groups.get_or_insert_default().extend(some.iter().cloned()),
            }
        }
        groups.map(|groups| Arc::new(Visible::Groups(groups)))
    }

    /// The permissions on a site, in a fixed order.
    pub fn permissions(&self, site: &SiteId, tags: &[String]) -> Vec<Permission> {
        let all = Permission::ALL.iter().map(|(_, permission)| *permission);
        all.filter(|permission| self.on(*permission, site, tags).is_some()).collect()
    }

    /// Whether the permission is granted anywhere.
    pub fn anywhere(&self, permission: Permission) -> bool {
        self.0.iter().any(|grant| grant.permission == permission)
    }

    /// Whether the permission is granted for every site. For what is of no single site.
    pub fn everywhere(&self, permission: Permission) -> bool {
        use crate::config::access::Target;
        let of_all = |grant: &&Grant| grant.sites == Target::All && grant.groups.is_none();
        self.0.iter().filter(of_all).any(|grant| grant.permission == permission)
    }

    /// The same for the same rights, in every process: a session whose print differs is begun anew.
    pub fn print(&self) -> String {
        let mut lines: BTreeSet<String> = BTreeSet::new();
        for grant in &self.0 {
            lines.insert(format!("{grant:?}"));
        }
        let mut text = String::new();
        for line in lines {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{line}");
        }
        digest(&text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::access::{Role, Target};

    fn site(id: &str) -> SiteId {
        id.parse().unwrap()
    }

    fn grant(permission: Permission, sites: Target, groups: Option<&[&str]>) -> Grant {
        let groups = groups.map(|groups| groups.iter().map(|group| (*group).to_owned()).collect());
        Grant { permission, sites, groups }
    }

    fn granted(grants: Vec<Grant>) -> Grants {
        let access = Access { roles: vec![Role { name: "r".to_owned(), grants }], ..Access::default() };
        Grants::of(&access, &["r".to_owned(), "gone".to_owned()])
    }

    #[test]
    fn nothing_is_granted_unless_said() {
        let none = granted(Vec::new());
        assert!(none.permissions(&site("a"), &[]).is_empty());
        let one = granted(vec![grant(Permission::Search, Target::Site(site("a")), None)]);
        assert_eq!(one.on(Permission::Search, &site("a"), &[]), Some(Arc::new(Visible::All)));
        assert_eq!(one.on(Permission::Search, &site("b"), &["a".to_owned()]), None);
        assert_eq!(one.on(Permission::View, &site("a"), &[]), None);
        assert!(!one.everywhere(Permission::Search));
    }

    #[test]
    fn tags_and_groups_add_up_and_all_agents_win() {
        let prod = || Target::Tag("prod".to_owned());
        let tags = ["prod".to_owned()];
        let some = granted(vec![
            grant(Permission::Search, prod(), Some(&["Web"])),
            grant(Permission::Search, Target::Site(site("a")), Some(&["DB"])),
        ]);
        let groups =
            |names: &[&str]| Some(Arc::new(Visible::Groups(names.iter().map(|name| (*name).to_owned()).collect())));
        assert_eq!(some.on(Permission::Search, &site("a"), &tags), groups(&["Web", "DB"]));
        assert_eq!(some.on(Permission::Search, &site("b"), &tags), groups(&["Web"]));
        assert_eq!(some.on(Permission::Search, &site("b"), &[]), None);
        let all = granted(vec![
            grant(Permission::Search, prod(), Some(&["Web"])),
            grant(Permission::Search, Target::All, None),
        ]);
        assert_eq!(all.on(Permission::Search, &site("b"), &tags), Some(Arc::new(Visible::All)));
    }

    #[test]
    fn the_print_follows_the_rights_alone() {
        let search = || grant(Permission::Search, Target::All, None);
        let view = || grant(Permission::View, Target::Tag("x".to_owned()), Some(&["g"]));
        assert_eq!(granted(vec![search(), view()]).print(), granted(vec![view(), search(), view()]).print());
        assert_ne!(granted(vec![search(), view()]).print(), granted(vec![search()]).print());
    }

    proptest! {
        #[test]
        fn two_people_with_disjoint_sites_share_none(
            ids in prop::collection::btree_set("[a-f]{1,2}", 2..8),
            permission in prop::sample::select(Permission::ALL.to_vec()),
        ) {
            let ids: Vec<SiteId> = ids.iter().map(|id| site(id)).collect();
            let (left, right) = ids.split_at(ids.len() / 2);
            let of = |sites: &[SiteId]| {
                granted(sites.iter().map(|id| grant(permission.1, Target::Site(id.clone()), None)).collect())
            };
            let (ana, ben) = (of(left), of(right));
            for id in &ids {
                prop_assert!(ana.on(permission.1, id, &[]).is_some() != ben.on(permission.1, id, &[]).is_some());
            }
        }
    }
}
