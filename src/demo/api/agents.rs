//! Lists of agents: `all_agents`, `agents_id_name_by_alias`, `total_agents`.

use std::collections::BTreeMap;

use super::{Answer, Call, Cell, Form, JSON, Row, php};
use crate::demo::console::Version;
use crate::demo::fleet::Agent;

/// Every enabled agent with the status the console computes. `other`: operating system, group, status word, part of
/// the alias, policy (ignored), CSV separator, `1` for the groups below as well.
pub(super) fn all(call: &Call<'_>) -> Answer {
    let [system, group, status, alias, separator, deep] = [0, 1, 2, 3, 5, 6].map(|at| call.other(at));
    let groups = group_filter(call, &group, deep == "1");
    let wanted = |agent: &&Agent| {
        !agent.disabled
            && call.may_see(agent)
            && (system.is_empty() || system.parse() == Ok(agent.os))
            && groups.as_ref().is_none_or(|groups| agent.groups().any(|group| groups.contains(&group)))
            && php::like(&php::encode_entities(&agent.alias), &alias)
    };
    let of_status = |(_, number): &(&Agent, i64)| status.is_empty() || numbers_of(&status).contains(number);
    let found: Vec<_> = call.fleet.agents.iter().filter(wanted).collect();
    let cost = listing_cost(call, found.len());
    let found: Vec<_> =
        found.into_iter().map(|agent| (agent, call.fleet.status(agent, call.now))).filter(of_status).collect();
    let answer = match (found.is_empty(), call.form()) {
        (true, _) if status.is_empty() => Answer::died(),
        (true, _) => Answer::text("No agents retrieved."),
        (false, Form::Json) if !matches!(separator.as_str(), "" | ";") => {
            Answer { content_type: JSON, ..Answer::died() }
        }
        (false, _) => call.rows(found.iter().map(|(agent, status)| row(call, agent, *status)).collect(), &separator),
    };
    Answer { cost, ..answer }
}

/// How long a console works on a list of so many agents.
pub(super) fn listing_cost(call: &Call<'_>, agents: usize) -> std::time::Duration {
    call.settings.cost_per_agent.saturating_mul(u32::try_from(agents).unwrap_or(u32::MAX))
}

fn row(call: &Call<'_>, agent: &Agent, status: i64) -> Row {
    let url = if call.settings.version == Version::V772 { Cell::text("") } else { Cell::Null };
    let system = call.fleet.systems.get(&agent.os).map_or(Cell::Null, Cell::text);
    Row(vec![
        ("id_agente", Cell::text(agent.id)),
        ("alias", Cell::text(&agent.alias)),
        ("direccion", Cell::text(&agent.address)),
        ("comentarios", Cell::text(&agent.comment)),
        ("name", system),
        ("url_address", url),
        ("nombre", Cell::text(&agent.name)),
        ("status", Cell::Number(status)),
    ])
}

/// The computed statuses behind a word of the filter; none for an unknown word.
fn numbers_of(word: &str) -> &'static [i64] {
    match word {
        "normal" => &[0, 300],
        "critical" => &[1, 100],
        "warning" => &[2, 200],
        "unknown" => &[3],
        "no_modules" => &[5],
        "alert_fired" => &[4, 100, 200, 300],
        _ => &[],
    }
}

/// The groups to look in; `None` for all.
fn group_filter(call: &Call<'_>, group: &str, deep: bool) -> Option<Vec<u32>> {
    let first = group.parse::<u32>().ok().filter(|group| *group != 0)?;
    let mut groups = vec![first];
    let mut at = 0;
    while let Some(parent) = groups.get(at).copied().filter(|_| deep) {
        let below = call.fleet.groups.iter().filter(|group| group.parent == parent).map(|group| group.id);
        let new: Vec<u32> = below.filter(|id| !groups.contains(id)).collect();
        groups.extend(new);
        at += 1;
    }
    Some(groups)
}

/// Agents by part of the alias, or the whole one. Neither rights nor `agent_disabled` matter here, as on real
/// consoles, and the answer is always JSON: an object with index keys.
pub(super) fn by_alias(call: &Call<'_>) -> Answer {
    let wanted = php::encode_entities(call.parameter("id"));
    let strict = call.parameter("id2") == "strict";
    let matches = |agent: &&Agent| {
        let alias = php::encode_entities(&agent.alias);
        if strict { alias.to_lowercase() == wanted.to_lowercase() } else { php::like(&alias, &wanted) }
    };
    let row = |agent: &Agent| {
        Row(vec![
            ("alias", Cell::text(&agent.alias)),
            ("nombre", Cell::text(&agent.name)),
            ("id_agente", Cell::text(agent.id)),
        ])
    };
    let rows: BTreeMap<usize, Row> = call.fleet.agents.iter().filter(matches).map(row).enumerate().collect();
    if rows.is_empty() {
        return Answer::text("Alias does not match any agent.");
    }
    Answer::json("json", &rows)
}

/// The number of agents of a group (0 for all), disabled ones included: more than `all_agents` lists.
pub(super) fn total(call: &Call<'_>) -> Answer {
    let group = call.parameter("id").parse::<u32>().unwrap_or(0);
    let counted = |agent: &&Agent| call.may_see(agent) && (group == 0 || agent.groups().any(|other| other == group));
    let total = call.fleet.agents.iter().filter(counted).count().to_string();
    match call.form() {
        Form::Json => Answer::json("string", &total),
        _ => Answer::text(total),
    }
}
