//! An inventory against a plain list of agents, and what its edges do.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::domain::{Query, fold};

const NOW: Timestamp = Timestamp::from_secs(1_795_404_781);

/// Every order, both ways round.
fn orders() -> impl Iterator<Item = Order> {
    Order::words().flat_map(|word| [word.parse().unwrap(), format!("-{word}").parse().unwrap()])
}

fn in_order(order: Order, a: &Hit, b: &Hit) -> bool {
    let ids = || compare_ids(&a.agent.id, &b.agent.id);
    order.compare(a.key.key(), b.key.key(), || Ordering::Equal, ids) == Ordering::Less
}

#[derive(Clone, Debug, Default)]
struct Plain {
    id: u32,
    alias: String,
    name: String,
    address: String,
    groups: Vec<String>,
    os: String,
    modules: Vec<(u64, Status)>,
}

fn build(agents: &[Plain]) -> Inventory {
    let mut builder = Builder::new(1000);
    // Every group lists its agents, as the products do; so agents and modules repeat.
    let all: BTreeSet<&String> = agents.iter().flat_map(|a| &a.groups).collect();
    let in_turn: Vec<&String> = all.into_iter().collect();
    for group in in_turn {
        let key = builder.group(group, group).unwrap();
        for agent in agents.iter().filter(|a| a.groups.contains(group)) {
            let id = agent.id.to_string();
            let text = AgentText {
                id: &id,
                alias: &agent.alias,
                name: &agent.name,
                address: &agent.address,
                system: &agent.os,
            };
            let number = builder.agent(text).unwrap();
            builder.join(number, key, agent.groups.first() == Some(group)).unwrap();
            for (module, state) in &agent.modules {
                builder.module(number, *module, *state, 1_795_404_681).unwrap();
            }
        }
    }
    builder.finish(|_| None).unwrap()
}

fn agent(id: u32, alias: &str, groups: &[&str]) -> Plain {
    Plain {
        id,
        alias: alias.to_owned(),
        name: format!("host{id}"),
        address: format!("10.1.0.{id}"),
        groups: groups.iter().map(|g| (*g).to_owned()).collect(),
        os: "Linux".to_owned(),
        modules: Vec::new(),
    }
}

fn found(inventory: &Inventory, line: &str, visible: &Visible, limit: usize) -> (usize, Vec<String>) {
    let query = Query::parse(line).unwrap();
    let found = inventory.search(Request { limit, ..Request::new(&query, visible, NOW) });
    assert_eq!(found.counts.total() as usize, found.matched);
    (found.matched, found.rows.into_iter().map(|hit| hit.agent.alias).collect())
}

fn hits(inventory: &Inventory, line: &str) -> Vec<String> {
    found(inventory, line, &Visible::All, 100).1
}

#[test]
fn a_repeated_agent_is_one_row_with_its_primary_group_first() {
    let mut web = agent(7, "web", &["Servers", "Applications"]);
    web.modules = vec![(3, Status::Normal), (1, Status::Critical), (2, Status::Unknown)];
    let inventory = build(&[web, agent(8, "db", &["Servers"])]);
    assert_eq!((inventory.len(), inventory.module_count(), inventory.group_count()), (2, 3, 2));
    let row = inventory.agent("7", &Visible::All).unwrap();
    assert_eq!(row.groups, ["Servers", "Applications"]);
    assert_eq!((row.status, row.modules.total()), (Status::Critical, 3));
    assert_eq!(inventory.module_state("7", 2), Some(Status::Unknown));
    assert_eq!(inventory.module_state("8", 2), None);
    assert_eq!(inventory.worst_modules("7", 2), [(1, Status::Critical), (2, Status::Unknown)]);
    assert!(inventory.agent("9", &Visible::All).is_none());
}

#[test]
fn better_matches_come_first_then_worse_states_then_the_alias() {
    let mut sick = agent(5, "my web 2", &["G"]);
    sick.modules = vec![(1, Status::Critical)];
    let inventory = build(&[
        agent(1, "cobweb", &["G"]),
        agent(2, "web", &["G"]),
        agent(3, "web-10", &["G"]),
        agent(4, "my web 1", &["G"]),
        sick,
        agent(6, "zebra", &["Web farm"]),
    ]);
    let order = ["web", "web-10", "zebra", "my web 2", "my web 1", "cobweb"];
    assert_eq!(hits(&inventory, "WEB"), order);
    for limit in 0..7 {
        assert_eq!(
            found(&inventory, "web", &Visible::All, limit),
            (6, order.iter().take(limit).map(ToString::to_string).collect())
        );
    }
}

#[test]
fn every_field_of_the_language_finds_its_own() {
    let mut cisco = agent(2, "sw-core", &["Señalización & Vías"]);
    cisco.os = "Cisco".to_owned();
    cisco.modules = vec![(1, Status::Warning)];
    let inventory = build(&[agent(1, "Ñandú", &["Servers"]), cisco]);
    for (line, expected) in [
        ("nandu", vec!["Ñandú"]),
        ("-nandu", vec!["sw-core"]),
        ("senalizacion", vec!["sw-core"]),
        ("group:vias,none", vec!["sw-core"]),
        ("-group:vias", vec!["Ñandú"]),
        ("os:cisco", vec!["sw-core"]),
        ("cisco", vec!["sw-core"]),
        ("name:host1", vec!["Ñandú"]),
        ("alias:host1", vec![]),
        ("status:warning,critical", vec!["sw-core"]),
        ("status:not_init", vec!["Ñandú"]),
        ("ip:10.1.0.0/31", vec!["Ñandú"]),
        ("ip:10.1.0.2", vec!["sw-core"]),
        ("ip:10.1.", vec!["sw-core", "Ñandú"]),
        ("10.1.0.2", vec!["sw-core"]),
        ("sw cisco vias", vec!["sw-core"]),
        ("sw linux", vec![]),
        ("alias:/^ñ.*[úu]$/", vec!["Ñandú"]),
        ("alias:/^host/", vec![]),
        ("name:/^host[0-9]$/,/x/ os:/^CISCO$/", vec!["sw-core"]),
        ("-group:/^senal.*vias$/", vec!["Ñandú"]),
        ("group:/servers|nothing/", vec!["Ñandú"]),
        ("alias:sw,/^nandu$/", vec!["sw-core", "Ñandú"]),
        ("age:>1m", vec!["sw-core", "Ñandú"]),
        ("age:>2m", vec!["Ñandú"]),
        ("age:<2m", vec!["sw-core"]),
        ("-age:<2m", vec!["Ñandú"]),
        ("alert:fired", vec![]),
        ("-alert:fired", vec![]),
        ("corehost", vec![]),
    ] {
        assert_eq!(hits(&inventory, line), expected, "{line}");
    }
}

#[test]
fn what_a_viewer_may_not_see_does_not_exist() {
    let inventory = build(&[agent(1, "a", &["Red", "Blue"]), agent(2, "b", &["Red"]), agent(3, "c", &["Blue"])]);
    let blue = Visible::Groups(["Blue".to_owned()].into());
    assert_eq!(found(&inventory, "", &blue, 9), (2, vec!["a".to_owned(), "c".to_owned()]));
    assert_eq!(found(&inventory, "red", &blue, 9).0, 0);
    assert_eq!(found(&inventory, "-red", &blue, 9).0, 2);
    assert_eq!(inventory.agent("1", &blue).unwrap().groups, ["Blue"]);
    assert!(inventory.agent("2", &blue).is_none());
    assert_eq!(found(&inventory, "", &Visible::Groups(BTreeSet::new()), 9).0, 0);
}

#[test]
fn hostile_texts_are_bounded_and_cannot_join_fields() {
    let long = "é".repeat(5000);
    let inventory = build(&[agent(1, &long, &["G"]), agent(2, "x\0y", &["G"])]);
    assert_eq!(inventory.agent("1", &Visible::All).unwrap().alias.len(), 1024);
    assert_eq!(hits(&inventory, "\"x\0y\""), ["x\0y"]);
    assert_eq!(hits(&inventory, "\"y\0h\""), Vec::<String>::new());
    let mut small = Builder::new(1);
    let text = AgentText { id: "1", alias: "", name: "n", address: "", system: "" };
    assert_eq!(small.agent(text), Ok(0));
    assert_eq!(small.agent(AgentText { id: "2", ..text }), Err(Full::Agents(2)));
}

#[test]
fn ids_sort_as_numbers() {
    let mut ids = vec!["10", "9", "a", "009", "b1"];
    ids.sort_by(|a, b| compare_ids(a, b));
    assert_eq!(ids, ["009", "9", "10", "a", "b1"]);
}

#[test]
fn alerts_that_are_not_known_fulfil_nothing_and_are_null() {
    let inventory = Arc::new(build(&[agent(1, "a", &["Red"]), agent(2, "b", &["Blue"]), agent(3, "c", &["Red"])]));
    let fired = Arc::new(Fired::new(["2", "3", "99"]));
    let red = Visible::Groups(["Red".to_owned()].into());
    for (line, alerts, visible, expected) in [
        ("alert:fired", None, &Visible::All, vec![]),
        ("-alert:fired", None, &Visible::All, vec![]),
        ("alert:fired", Some(&fired), &Visible::All, vec![("b", Some(true)), ("c", Some(true))]),
        ("-alert:fired", Some(&fired), &Visible::All, vec![("a", Some(false))]),
        ("alert:fired", Some(&fired), &red, vec![("c", Some(true))]),
        ("", None, &red, vec![("a", None), ("c", None)]),
    ] {
        let query = Query::parse(line).unwrap();
        let request = Request { alerts, ..Request::new(&query, visible, NOW) };
        let rows: Vec<Hit> = Selection::new(Arc::clone(&inventory), request).collect();
        let found: Vec<_> = rows.iter().map(|hit| (hit.agent.alias.as_str(), hit.agent.alert_fired)).collect();
        assert_eq!(found, expected, "{line}");
        assert_eq!(inventory.search(request).rows, rows);
    }
}

#[test]
fn addresses_sort_as_numbers_and_ages_by_the_newest_value() {
    let mut builder = Builder::new(9);
    for (id, address, reported) in
        [("1", "10.0.0.10", 5), ("2", "10.0.0.9", 0), ("3", "", 7), ("4", "::1", 6), ("5", "9.255.0.1", 7)]
    {
        let text = AgentText { id, alias: id, name: id, address, system: "" };
        let agent = builder.agent(text).unwrap();
        builder.module(agent, 1, Status::Normal, reported).unwrap();
    }
    let inventory = builder.finish(|_| None).unwrap();
    let query = Query::parse("").unwrap();
    for (sort, expected) in [("ip", "52143"), ("-ip", "34125"), ("age", "35412"), ("last_contact", "21435")] {
        let order = sort.parse().unwrap();
        let found = inventory.search(Request { order, ..Request::new(&query, &Visible::All, NOW) });
        assert_eq!(found.rows.iter().map(|hit| hit.agent.id.as_str()).collect::<String>(), expected, "{sort}");
    }
}

#[test]
fn what_each_condition_let_through_is_told() {
    let inventory = build(&[agent(1, "web", &["Red"]), agent(2, "web", &["Blue"]), agent(3, "db", &["Red"])]);
    let query = Query::parse("web group:red").unwrap();
    let explained = inventory.explain(Request::new(&query, &Visible::All, NOW));
    assert_eq!((explained.visible, explained.terms), (3, vec![(2, 2), (2, 1)]));
    let red = Visible::Groups(["Red".to_owned()].into());
    let explained = inventory.explain(Request::new(&query, &red, NOW));
    assert_eq!((explained.visible, explained.terms), (2, vec![(1, 1), (2, 1)]));
    let known: Vec<_> = inventory.groups_like("e", &red).collect();
    assert_eq!(known, ["Red"]);
    assert_eq!(inventory.systems_like("", &Visible::Groups(BTreeSet::new())).count(), 0);
}

fn plain_agents() -> impl Strategy<Value = Vec<Plain>> {
    let text = "[abÑñ .]{0,5}";
    let state = proptest::sample::select(Status::WORST_FIRST).prop_map(|(_, status)| status);
    let modules = proptest::collection::btree_map(0u64..9, state, 0..4);
    let groups = proptest::collection::vec(proptest::sample::select(vec!["a b", "Ñ", "G"]), 1..3);
    let one = (text, text, groups, modules).prop_map(|(alias, name, groups, modules)| Plain {
        alias,
        name: format!("n{name}"),
        address: "10.1.2.3".to_owned(),
        groups: groups.into_iter().map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect(),
        os: "Linux".to_owned(),
        modules: modules.into_iter().collect(),
        ..Plain::default()
    });
    proptest::collection::vec(one, 0..80).prop_map(|mut agents| {
        for (id, agent) in (1..).zip(&mut agents) {
            agent.id = id;
        }
        agents
    })
}

proptest! {
    #[test]
    fn a_search_finds_what_a_plain_list_finds(
        agents in plain_agents(),
        needle in "[abÑñ.]{1,3}",
        negated: bool,
    ) {
        let inventory = build(&agents);
        let folded = fold(&needle);
        let matches = |agent: &Plain| {
            let alias = if agent.alias.is_empty() { &agent.name } else { &agent.alias };
            let own = [alias, &agent.name, &agent.address, &agent.os];
            own.into_iter().chain(&agent.groups).any(|text| fold(text).contains(&folded)) != negated
        };
        let expected: BTreeSet<String> = agents.iter().filter(|a| matches(a)).map(|a| a.id.to_string()).collect();
        let line = format!("{}\"{needle}\"", if negated { "-" } else { "" });
        let query = Query::parse(&line).unwrap();
        for order in orders() {
            let found = inventory.search(Request { order, ..Request::new(&query, &Visible::All, NOW) });
            prop_assert!(found.rows.is_sorted_by(|a, b| in_order(order, a, b)));
            let ids: BTreeSet<String> = found.rows.iter().map(|hit| hit.agent.id.clone()).collect();
            prop_assert_eq!(&ids, &expected);
            for hit in &found.rows {
                let worst = agents[hit.agent.id.parse::<usize>().unwrap() - 1].modules.iter().map(|m| m.1).max();
                prop_assert_eq!(hit.agent.status, worst.unwrap_or(Status::NotInit));
            }
        }
    }

    #[test]
    fn pages_and_selections_are_the_search_cut_in_pieces(
        agents in plain_agents(),
        word in proptest::option::of("[abn.]"),
        order in proptest::sample::select(orders().collect::<Vec<_>>()),
        limit in 1usize..30,
    ) {
        let inventory = Arc::new(build(&agents));
        let query = Query::parse(&word.unwrap_or_default()).unwrap();
        let request = Request { order, ..Request::new(&query, &Visible::All, NOW) };
        let whole = inventory.search(request);
        let selection = Selection::new(Arc::clone(&inventory), request);
        prop_assert_eq!(selection.len(), whole.matched);
        prop_assert_eq!(&selection.collect::<Vec<_>>(), &whole.rows);
        let mut walked: Vec<Hit> = Vec::new();
        loop {
            let after = walked.last().map(|hit| After { key: hit.key.key(), site: Ordering::Equal, id: &hit.agent.id });
            let page = inventory.search(Request { limit, after, ..request });
            prop_assert_eq!(page.matched, whole.matched);
            if page.rows.is_empty() {
                break;
            }
            walked.extend(page.rows);
        }
        prop_assert_eq!(walked, whole.rows);
    }
}
