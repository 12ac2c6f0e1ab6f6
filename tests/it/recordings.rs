//! Three recorded consoles, searched by the real program: exactly their agents, everything of each right.
//!
//! What is expected is taken from the recordings by a reading of its own: status from what the console computed
//! (`all_agents`), counts from the raw module rows, groups from where an agent stands in the tree.

use std::collections::{BTreeMap, BTreeSet};

use metaconsole::domain::fold;
use serde_json::Value;

use crate::support::program::Config;
use crate::support::replay::{self, Replay};

/// An agent as it should be found.
#[derive(Debug, PartialEq, Eq)]
struct Expected {
    alias: String,
    name: String,
    address: String,
    groups: BTreeSet<String>,
    os: String,
    status: &'static str,
    /// critical, warning, unknown, normal, not_init
    counts: [u64; 5],
}

fn text(row: &Value, key: &str) -> String {
    match &row[key] {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        other => panic!("{key}: {other}"),
    }
}

fn data(case: &str) -> Vec<Value> {
    let answer: Value = serde_json::from_slice(&replay::body(case)).unwrap();
    answer["data"].as_array().unwrap().clone()
}

/// The console's number; its alert variants are a flag of ours.
fn console_status(number: &str) -> &'static str {
    match number {
        "0" | "300" => "normal",
        "1" | "100" => "critical",
        "2" | "200" => "warning",
        "3" => "unknown",
        "5" => "not_init",
        other => panic!("status {other}"),
    }
}

/// By agent id, from the tree and the list of one console.
fn expected(tree: &str, list: &str) -> BTreeMap<String, Expected> {
    let tree = data(tree);
    let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut modules: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    let mut group = String::new();
    for row in &tree {
        match text(row, "type_row").as_str() {
            "group" => group = text(row, "group_name"),
            "agent" => {
                groups.entry(text(row, "agent_id")).or_default().insert(group.clone());
            }
            "module" if row.get("module_disabled").is_none_or(|v| v == "0") => {
                if row.get("module_delete_pending").is_some_and(|v| v != "0") {
                    continue;
                }
                let state = match text(row, "module_state").as_str() {
                    "1" => 0,
                    "2" => 1,
                    "3" => 2,
                    "0" => 3,
                    "4" => 4,
                    other => panic!("state {other}"),
                };
                let of = modules.entry(text(row, "module_id_agent")).or_default();
                of.insert(text(row, "module_id_agent_modulo"), state);
            }
            _ => {}
        }
    }
    let agents = data(list).into_iter().map(|row| {
        let id = text(&row, "id_agente");
        let mut counts = [0; 5];
        modules.get(&id).into_iter().flat_map(BTreeMap::values).for_each(|state| counts[*state] += 1);
        let expected = Expected {
            alias: text(&row, "alias"),
            name: text(&row, "nombre"),
            address: text(&row, "direccion"),
            groups: groups.remove(&id).unwrap_or_default(),
            os: text(&row, "name"),
            status: console_status(&text(&row, "status")),
            counts,
        };
        (id, expected)
    });
    agents.collect()
}

fn found(agent: &Value) -> (String, Expected) {
    let word = |key: &str| agent[key].as_str().unwrap().to_owned();
    let statuses = ["critical", "warning", "unknown", "normal", "not_init"];
    let found = Expected {
        alias: word("alias"),
        name: word("name"),
        address: word("address"),
        groups: agent["groups"].as_array().unwrap().iter().map(|g| g.as_str().unwrap().to_owned()).collect(),
        os: word("os"),
        status: statuses.into_iter().find(|s| agent["status"] == *s).unwrap(),
        counts: statuses.map(|s| agent["modules"][s].as_u64().unwrap()),
    };
    (word("id"), found)
}

fn of_site(report: &Value, site: &str) -> BTreeMap<String, Expected> {
    let agents = report["agents"].as_array().unwrap().iter();
    agents.filter(|agent| agent["site"] == site).map(found).collect()
}

const CONSOLES: [(&str, &str, &str, usize, u64); 3] = [
    ("s1", "s1-tree-agents-snapshot", "s1-all-agents-json", 38, 185),
    ("s2", "s2-tree-agents-snapshot", "s2-all-agents-json", 283, 1337),
    ("s3", "s3-tree-agents-snapshot", "s3-all-agents-json", 1130, 5328),
];

fn three() -> (Vec<Replay>, Config) {
    let consoles: Vec<_> = CONSOLES.iter().map(|(id, tree, ..)| Replay::start(id, &[("tree_agents", tree)])).collect();
    let config = Config::sites(CONSOLES.iter().zip(&consoles).map(|((id, ..), console)| (*id, console.url())));
    (consoles, config)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_returns_exactly_the_agents_that_were_recorded() {
    let (_consoles, config) = three();
    let output = config.run(&["search", "--format", "json", ""]).await;
    assert_eq!(output.code, 0, "{}", output.stderr);
    let report = output.json();
    assert_eq!((&report["complete"], &report["total"]), (&Value::Bool(true), &Value::from(38 + 283 + 1130)));
    for (site, tree, list, agents, modules) in CONSOLES {
        let expected = expected(tree, list);
        let found = of_site(&report, site);
        assert_eq!(found.len(), agents, "{site}");
        assert_eq!(found.values().flat_map(|agent| agent.counts).sum::<u64>(), modules, "{site}");
        for (id, agent) in &expected {
            assert_eq!(found.get(id), Some(agent), "{site} agent {id}");
        }
    }
    let aliases: BTreeSet<&str> =
        report["agents"].as_array().unwrap().iter().map(|agent| agent["alias"].as_str().unwrap()).collect();
    for strange in [
        "R&D <lab> & co",
        "Ñandú",
        "comma,host",
        "semi;colon;host",
        "12345",
        "a/b/c path",
        "two  spaces",
        "quo\"te host",
        "percent%20host",
        "日本サーバ-01",
    ] {
        assert!(aliases.iter().any(|alias| alias.contains(strange)), "{strange} is missing");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_looked_for_is_in_what_is_found() {
    let (consoles, config) = three();
    let everything = config.run(&["search", "--format", "json", ""]).await.json();
    let fields = |agent: &Value| -> Vec<String> {
        let own = ["alias", "name", "address", "os"].map(|key| fold(agent[key].as_str().unwrap()));
        own.into_iter().chain(agent["groups"].as_array().unwrap().iter().map(|g| fold(g.as_str().unwrap()))).collect()
    };
    for needle in
        ["0", "amp", "x20", "quot", "%", "_", "#", "'", "\\", "🚀", "nandu", "ÑANDÚ", "two  spaces", "<lab>", "日"]
    {
        let line = format!("\"{}\"", needle.replace('\\', "\\\\"));
        let report = config.run(&["search", "--format", "json", &line]).await.json();
        let ids = |report: &Value| -> BTreeSet<(String, String)> {
            let rows = report["agents"].as_array().unwrap().iter();
            rows.map(|agent| (agent["site"].to_string(), agent["id"].to_string())).collect()
        };
        let containing = everything["agents"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|agent| fields(agent).iter().any(|field| field.contains(&fold(needle))));
        let expected: BTreeSet<_> =
            containing.map(|agent| (agent["site"].to_string(), agent["id"].to_string())).collect();
        assert_eq!(ids(&report), expected, "{needle}");
    }
    // A quote alone is no word.
    let quote = config.run(&["search", "--format", "json", "\""]).await;
    assert_eq!(quote.code, 2);
    assert!(quote.stderr.contains("position 1: this quote is never closed"), "{}", quote.stderr);
    // Whatever was looked for, every console was asked the same, and never told the words.
    for console in &consoles {
        let queries: BTreeSet<String> = console.requests().all().into_iter().map(|seen| seen.query).collect();
        assert_eq!(queries.len(), 1, "{queries:?}");
        assert!(queries.iter().all(|query| query.starts_with("op=get&op2=tree_agents&return_type=json&other=")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn modules_that_are_disabled_or_pending_deletion_do_not_count() {
    let console = Replay::start("s1", &[("tree_agents", "s1-disabled-modules-tree")]);
    let config = Config::sites([("s1", console.url())]);
    let report = config.run(&["search", "--format", "json", ""]).await.json();
    let expected = expected("s1-disabled-modules-tree", "s1-disabled-modules-all-agents");
    assert_eq!(of_site(&report, "s1"), expected);
    assert!(expected.values().any(|agent| agent.status == "not_init"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statuses_stay_right_where_the_consoles_own_are_wrong() {
    // Its database in another time zone makes the console call every agent with modules unknown.
    let wrong = data("s2-tzmismatch-all-agents-json");
    let console = Replay::start("s2", &[("all_agents", "s2-tzmismatch-all-agents-json")]);
    let config = Config::sites([("s2", console.url())]);
    let report = config.run(&["search", "--format", "json", ""]).await.json();
    let found = of_site(&report, "s2");
    assert_eq!(found, expected("s2-tree-agents-snapshot", "s2-all-agents-json"));
    let differ =
        wrong.iter().filter(|row| console_status(&text(row, "status")) != found[&text(row, "id_agente")].status);
    assert!(differ.count() > 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_of_few_groups_sees_their_agents_only() {
    let console = Replay::start("s1", &[("tree_agents", "s1-tree-agents-operator")]);
    let config = Config::sites([("s1", console.url())]);
    let report = config.run(&["search", "--format", "json", ""]).await.json();
    let expected: BTreeSet<String> = data("s1-all-agents-as-operator").iter().map(|row| text(row, "alias")).collect();
    let found: BTreeSet<String> = of_site(&report, "s1").into_values().map(|agent| agent.alias).collect();
    assert_eq!(found, expected);
}

/// Where an agent's status differs from the one its console computes, and why. By alias.
const DIFFERENT: &[(&str, &str)] = &[
    ("stale contact", "the console goes by the last contact, in its database's zone; ours by the modules' states"),
    ("interval 0", "the same"),
    ("alert", "the console's alert statuses hide the state behind them; ours is a flag beside it"),
    ("estado4 with utimestamp", "a module in its initial state is not normal, whatever time it carries"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_odd_consoles_are_read_as_they_read_themselves() {
    for console in ["odd-776", "odd-open"] {
        let (tree, list) = (format!("{console}-tree"), format!("{console}-all-agents"));
        let replay = Replay::start("s1", &[("tree_agents", &tree), ("all_agents", &list)]);
        let config = Config::sites([("odd", replay.url())]);
        let output = config.run(&["search", "--format", "json", ""]).await;
        assert_eq!(output.code, 0, "{}", output.stderr);
        let found = of_site(&output.json(), "odd");
        let mut compared = 0;
        for row in data(&list) {
            let (alias, agent) = (text(&row, "alias"), &found[&text(&row, "id_agente")]);
            assert_eq!((&agent.alias, &agent.address), (&alias, &text(&row, "direccion")), "{console}");
            if !DIFFERENT.iter().any(|(what, _)| alias.contains(what)) {
                assert_eq!(agent.status, console_status(&text(&row, "status")), "{console} {alias}");
                compared += 1;
            }
        }
        assert!(compared > 55, "{compared}");
        // The tree lists it once in each of three other groups, and three times in its own.
        let repeated = found.values().find(|agent| agent.alias == "three secondaries").unwrap();
        assert_eq!((repeated.groups.len(), repeated.counts), (4, [0, 1, 0, 0, 0]), "{console}");
    }
}
