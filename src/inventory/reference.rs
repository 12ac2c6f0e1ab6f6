//! Tests: every combination of two conditions against a naive list of 100,000 agents.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::domain::query::FIELD_NAMES;
use crate::domain::{Query, fold};

const AGENTS: u32 = 100_000;
const NOW: i64 = 1_795_404_681;

/// The sites that the agents are spread over, a quarter each, with their tags.
const SITES: [(&str, &[&str]); 4] =
    [("madrid", &["prod", "Iberia"]), ("lyon", &["prod"]), ("porto", &["iberia", "test"]), ("oslo", &[])];

struct Plain {
    id: u32,
    site: usize,
    alias: String,
    name: String,
    address: String,
    groups: Vec<&'static str>,
    os: &'static str,
    status: Status,
    newest: Option<i64>,
    fired: bool,
}

const GROUPS: &[&str] = &["Web servers", "Señalización & Vías", "Databases", "Réseau, Lyon", "日本", "web"];
const SYSTEMS: &[&str] = &["Linux", "Windows Server 2022", "Cisco IOS", ""];

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

fn agents() -> Vec<Plain> {
    let mut numbers = Numbers(7);
    let one = |id| {
        let kind = ["web", "Ñandú", "db", "SW-Core", "two words", "Straße"][numbers.below(6)];
        let (first, second) = (GROUPS[numbers.below(6)], GROUPS[numbers.below(6)]);
        let address = match numbers.below(12) {
            0 => String::new(),
            1 => format!("2001:db8::{:x}", numbers.below(65_536)),
            2 => format!("host{}.example", numbers.below(9)),
            _ => format!("10.{}.{}.{}", numbers.below(4), numbers.below(256), numbers.below(256)),
        };
        Plain {
            id,
            site: (id as usize - 1) * SITES.len() / AGENTS as usize,
            alias: format!("{kind}-{}", numbers.below(1000)),
            name: format!("{:08x}", numbers.below(1 << 30)),
            address,
            groups: if first == second { vec![first] } else { vec![first, second] },
            os: SYSTEMS[numbers.below(4)],
            status: Status::WORST_FIRST[numbers.below(4)].1,
            newest: (numbers.below(10) > 0).then(|| NOW - numbers.below(7200) as i64 + 60),
            fired: numbers.below(20) == 0,
        }
    };
    (1..=AGENTS).map(one).collect()
}

fn inventory(agents: &[Plain]) -> Inventory {
    let mut builder = Builder::new(agents.len());
    for agent in agents {
        let id = agent.id.to_string();
        let text =
            AgentText { id: &id, alias: &agent.alias, name: &agent.name, address: &agent.address, system: agent.os };
        let number = builder.agent(text).unwrap();
        for (place, group) in agent.groups.iter().enumerate() {
            let key = builder.group(group, group).unwrap();
            builder.join(number, key, place == 0).unwrap();
        }
        builder.module(number, 1, agent.status, agent.newest.unwrap_or(0)).unwrap();
    }
    builder.finish(|_| None).unwrap()
}

type Holds = fn(&Plain, &Visible) -> bool;

fn seen<'a>(agent: &'a Plain, visible: &'a Visible) -> impl Iterator<Item = &'static str> + 'a {
    agent.groups.iter().copied().filter(move |group| match visible {
        Visible::All => true,
        Visible::Groups(names) => names.contains(*group),
    })
}

/// The second number of an IPv4 address.
fn second(address: &str) -> Option<u8> {
    let address: std::net::Ipv4Addr = address.parse().ok()?;
    Some(address.octets()[1])
}

/// Each field at least once, in the language and as plain code.
const CONDITIONS: &[(&str, Holds)] = &[
    ("web", |a, v| {
        let own = [a.alias.as_str(), &a.name, &a.address, a.os];
        own.into_iter().any(|text| fold(text).contains("web")) || seen(a, v).any(|group| fold(group).contains("web"))
    }),
    ("\"s-9\"", |a, _| a.alias.to_lowercase().contains("s-9")),
    ("alias:NANDU,strasse", |a, _| a.alias.starts_with("Ñandú") || a.alias.starts_with("Straße")),
    ("name:ab", |a, _| a.name.contains("ab")),
    ("ip:10.2.0.0/15", |a, _| matches!(second(&a.address), Some(2 | 3))),
    ("ip:10.1,2001:db8::/112", |a, _| a.address.starts_with("10.1") || a.address.starts_with("2001:db8::")),
    ("group:web,\"u, ly\"", |a, v| seen(a, v).any(|g| matches!(g, "Web servers" | "web" | "Réseau, Lyon"))),
    ("os:server", |a, _| a.os == "Windows Server 2022"),
    ("status:critical,unknown", |a, _| matches!(a.status, Status::Critical | Status::Unknown)),
    ("age:>30m", |a, _| a.newest.is_none_or(|newest| NOW - newest > 1800)),
    ("age:<1m,>1h", |a, _| a.newest.is_none_or(|newest| NOW - newest < 60 || NOW - newest > 3600)),
    ("alert:fired", |a, _| a.fired),
    ("site:porto,LYON", |a, _| matches!(a.site, 1 | 2)),
    ("tag:iberia", |a, _| matches!(a.site, 0 | 2)),
    ("tag:test,PROD", |a, _| a.site < 3),
    ("alias:/^web-\\d{2}$/", |a, _| a.alias.strip_prefix("web-").is_some_and(|rest| rest.len() == 2)),
    ("name:/^[0-7].*F$/", |a, _| a.name.as_bytes()[0] < b'8' && a.name.ends_with('f')),
    ("group:/^(日.|señal.*vías)$/", |a, v| seen(a, v).any(|g| matches!(g, "日本" | "Señalización & Vías"))),
    ("os:/^$|ios$/", |a, _| matches!(a.os, "" | "Cisco IOS")),
];

fn sign(not: bool) -> &'static str {
    if not { "-" } else { "" }
}

/// Without an excluded condition every pair is asked of all agents; with the first, the second or both excluded of those
/// of one site each, in turn. Seen by one viewer or the other, in turn.
#[test]
fn every_combination_of_two_conditions_finds_what_a_plain_list_finds() {
    let plain = agents();
    let quarter = plain.len() / SITES.len();
    let inventories: Vec<Inventory> = plain.chunks(quarter).map(inventory).collect();
    let tags = SITES.map(|(_, tags)| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>());
    let fired = Arc::new(Fired::new(plain.iter().filter(|a| a.fired).map(|a| a.id.to_string())));
    let some = Visible::Groups(BTreeSet::from(["web", "Databases", "日本"].map(str::to_owned)));
    let views = [Visible::All, some];
    // Once for each condition, not for each pair.
    let holds: Vec<Vec<Vec<bool>>> = views
        .iter()
        .map(|visible| CONDITIONS.iter().map(|(_, holds)| plain.iter().map(|a| holds(a, visible)).collect()).collect())
        .collect();
    let sees: Vec<Vec<bool>> =
        views.iter().map(|visible| plain.iter().map(|a| seen(a, visible).next().is_some()).collect()).collect();
    let found = |query: &Query, site: usize, view: usize| -> Vec<usize> {
        // What a site is asked at all is part of the answer.
        if !query.concerns(SITES[site].0, &tags[site]) {
            return Vec::new();
        }
        let request = Request { alerts: Some(&fired), ..Request::new(query, &views[view], Timestamp::from_secs(NOW)) };
        inventories[site].left(request).agents.iter().map(|index| site * quarter + index).collect()
    };
    let (mut turn, mut disjoint) = (0, Vec::new());
    for (first, (a, _)) in CONDITIONS.iter().enumerate() {
        for (second, (b, _)) in CONDITIONS.iter().enumerate().skip(first) {
            turn += 1;
            for (way, (not_a, not_b)) in [(false, false), (true, false), (false, true), (true, true)].iter().enumerate()
            {
                let (not_a, not_b, view) = (*not_a, *not_b, (turn + way) % 2);
                let line = format!("{}{a} {}{b}", sign(not_a), sign(not_b));
                let query = Query::parse(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
                let of = |condition: usize, index: usize, not: bool| holds[view][condition][index] != not;
                let mut met = 0;
                for site in (0..SITES.len()).filter(|site| way == 0 || *site == (turn / 2 + way) % SITES.len()) {
                    let expected: Vec<usize> = (site * quarter..(site + 1) * quarter)
                        .filter(|index| sees[view][*index] && of(first, *index, not_a) && of(second, *index, not_b))
                        .collect();
                    let found = found(&query, site, view);
                    let differs = found.iter().zip(&expected).find(|(found, expected)| found != expected);
                    assert_eq!((found.len(), differs), (expected.len(), None), "{line}, {site}, view {view}");
                    met += expected.len();
                }
                if way == 0 && met == 0 {
                    disjoint.push(line);
                }
            }
        }
    }
    assert_eq!(turn, CONDITIONS.len() * (CONDITIONS.len() + 1) / 2);
    // Two names, addresses or systems exclude each other; where much else does, the examples are poor.
    assert!(disjoint.len() <= 6, "{disjoint:?}");
}

/// A field that is added to the language and to no pair is a hole.
#[test]
fn every_field_is_in_the_pairs() {
    for name in FIELD_NAMES {
        assert!(CONDITIONS.iter().any(|(line, _)| line.starts_with(&format!("{name}:"))), "{name}");
    }
}
