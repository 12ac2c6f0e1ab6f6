//! What must hold for any input. The fuzzer looks for one that breaks it; the ordinary tests replay what it found.
//!
//! Whoever includes this file names the product's `domain`, `inventory` and `clock` beside it.

use super::clock::Timestamp;
use super::domain::query::{Part, Query, Term, TextField, What};
use super::domain::{Status, fold};
use super::inventory::{AgentText, Builder, Inventory, Request, Selection, Visible};

/// A line is understood or pointed at; its canonical form means the same, and is its own.
pub(super) fn query(data: &[u8]) {
    let Ok(line) = std::str::from_utf8(data) else { return };
    let partial = Query::parse_partial(line);
    assert!(line.starts_with(&partial.before));
    match Query::parse(line) {
        Err(error) => {
            assert!((1..=line.chars().count() + 1).contains(&error.position), "{error}");
            assert!(line.is_char_boundary(error.byte), "{error}");
            assert_eq!(line[..error.byte].chars().count() + 1, error.position, "{error:?}");
            assert!(!error.message.is_empty() && !error.remedy.is_empty());
        }
        Ok(query) => {
            let canonical = query.to_string();
            let again = Query::parse(&canonical).unwrap_or_else(|error| panic!("{canonical}: {error}"));
            assert_eq!(again, query);
            assert_eq!(again.to_string(), canonical);
        }
    }
}

/// The first line is a search, each other one an agent: alias, name, address, group, system, between tabs.
pub(super) fn matcher(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.lines();
    let Ok(query) = Query::parse(lines.next().unwrap_or("")) else { return };
    let agents: Vec<[&str; 5]> = lines.take(40).map(columns).collect();
    let inventory = std::sync::Arc::new(inventory(&agents));
    let request = Request::new(&query, &Visible::All, Timestamp::from_secs(100));
    let found = inventory.search(request);
    let rows: Vec<_> = Selection::new(std::sync::Arc::clone(&inventory), request).collect();
    assert_eq!(rows, found.rows);
    let mut ids: Vec<usize> = rows.iter().map(|hit| hit.agent.id.parse().unwrap()).collect();
    ids.sort_unstable();
    let holds = |agent: &[&str; 5]| query.terms().iter().all(|term| holds(term, agent));
    let expected: Vec<usize> = (0..agents.len()).filter(|index| holds(&agents[*index])).collect();
    assert_eq!(ids, expected, "{query}");
    assert!(!query.contradicts() || expected.is_empty(), "{query}");
}

fn columns(line: &str) -> [&str; 5] {
    let mut columns = line.split('\t');
    let mut next = || columns.next().unwrap_or("");
    let (alias, name, address, group, system) = (next(), next(), next(), next(), next());
    [if alias.is_empty() { name } else { alias }, name, address, group, system]
}

fn inventory(agents: &[[&str; 5]]) -> Inventory {
    let mut builder = Builder::new(100);
    for (id, [alias, name, address, group, system]) in agents.iter().enumerate() {
        let id = id.to_string();
        let number = builder.agent(AgentText { id: &id, alias, name, address, system }).unwrap();
        let group = builder.group(group, group).unwrap();
        builder.join(number, group, true).unwrap();
        builder.module(number, 1, Status::Normal, 40).unwrap();
    }
    builder.finish(|_| None).unwrap()
}

/// As plainly as it can be said. Texts are cut as inventories cut them.
fn holds(term: &Term, agent: &[&str; 5]) -> bool {
    let folded = |text: &str| fold(&text[..text.floor_char_boundary(1024)].replace('\0', "\u{fffd}"));
    let searched = |text: &str| text.replace('\0', "\u{fffd}");
    let texts = agent.map(folded);
    let place = |field: TextField| match field {
        TextField::Alias => 0,
        TextField::Name => 1,
        TextField::Address => 2,
        TextField::Group => 3,
        TextField::Os => 4,
    };
    let fulfilled = match &term.what {
        What::Text(text) => texts.iter().any(|field| field.contains(&searched(text))),
        What::Named(name) => texts[..2].contains(&searched(name)),
        What::In(field, parts) => parts.iter().any(|part| match part {
            Part::Text(text) => texts[place(*field)].contains(&searched(text)),
            Part::Pattern(pattern) => pattern.matches(&texts[place(*field)]),
        }),
        What::Status(states) => states.contains(&Status::Normal),
        // Reported 60 s ago.
        What::Age(bounds) => bounds.iter().any(|bound| if bound.older { bound.secs < 60 } else { bound.secs > 60 }),
        // Not known: neither holds.
        What::Alert => return false,
        // Conditions on the site hold.
        What::Site(_) | What::Tag(_) => return true,
        What::Ip(patterns) => patterns.iter().any(|pattern| {
            use super::domain::query::IpPattern;
            match pattern {
                IpPattern::Network(network) => texts[2].parse().is_ok_and(|ip: std::net::IpAddr| network.contains(&ip)),
                IpPattern::Prefix(prefix) => texts[2].starts_with(prefix.as_str()),
            }
        }),
    };
    fulfilled != term.negated
}
