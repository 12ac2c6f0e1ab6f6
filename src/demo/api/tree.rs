//! `tree_agents`: groups, their agents and their modules as one flat list of rows, with the columns that were asked.

use super::agents::listing_cost;
use super::modules::{self, COLUMNS as MODULE, Column as ModuleColumn};
use super::{Answer, Call, Cell, Form, Row, php};
use crate::demo::fleet::{Agent, Group};

/// Reads one column of an agent.
type Column = (&'static str, fn(&Call<'_>, &Agent) -> Cell);

/// The columns of an agent, in the order they are printed whatever the order of asking.
const AGENT: &[Column] = &[
    ("agent_id", |_, agent| Cell::text(agent.id)),
    ("agent_id_group", |_, agent| Cell::text(agent.group)),
    ("alias", |_, agent| Cell::text(&agent.alias)),
    ("agent_name", |_, agent| Cell::text(&agent.name)),
    ("agent_direction", |_, agent| Cell::text(&agent.address)),
    ("agent_commentary", |_, agent| Cell::text(&agent.comment)),
    ("agent_interval", |_, agent| Cell::text(agent.interval)),
    ("agent_disabled", |_, agent| Cell::text(u8::from(agent.disabled))),
    ("agent_id_os", |_, agent| Cell::text(agent.os)),
    ("agent_last_contant", |call, agent| last_contact(call, agent)),
    ("agent_last_remote_contact", |call, agent| last_contact(call, agent)),
];

fn last_contact(call: &Call<'_>, agent: &Agent) -> Cell {
    Cell::text(call.fleet.zone.format(call.fleet.last_contact_at(agent, call.now)))
}

/// The columns of an alert. Each module has at most one, which has fired.
const ALERT: &[ModuleColumn] = &[
    ("alert_id_agent_module", |_, _, module| Cell::text(module.id)),
    ("alert_last_fired", |call, agent, module| Cell::text(call.fleet.last_value_at(agent, module, call.now))),
    ("alert_times_fired", |_, _, _| Cell::text(1)),
    ("alert_disabled", |_, _, _| Cell::text(0)),
];

/// An agent has these in JSON, whatever is asked.
const ALWAYS_OF_AGENT: &[&str] = &["agent_id", "agent_id_group", "alias"];

/// Asking for alerts makes the answer so many times as dear: one more query for every module.
const ALERTS_COST: u32 = 8;

/// Columns whose text is stored as it came: values of modules and times.
const RAW: &[&str] =
    &["agent_last_contant", "agent_last_remote_contact", "module_data", "module_timestamp", "module_last_try"];

/// A group has all its columns in JSON, whatever is asked.
fn group_row(group: &Group) -> Row {
    Row(vec![
        ("group_id", Cell::text(group.id)),
        ("group_name", Cell::text(&group.name)),
        ("group_parent", Cell::text(group.parent)),
        ("disabled", Cell::text(0)),
        ("custom_id", Cell::text("")),
        ("group_description", Cell::text("")),
        ("group_contact", Cell::text("")),
        ("group_other", Cell::text("")),
        ("type_row", Cell::text("group")),
    ])
}

/// `other`: CSV separator, what replaces line ends, and the columns with commas between (all when empty).
pub(super) fn answer(call: &Call<'_>) -> Answer {
    let columns = call.other(2);
    let asked: Vec<&str> = columns.split(',').filter(|name| !name.is_empty()).collect();
    let has = |name: &str| asked.is_empty() || asked.contains(&name);
    let agent_columns: Vec<_> = AGENT.iter().filter(|(name, _)| has(name) || ALWAYS_OF_AGENT.contains(name)).collect();
    // To find a module's alerts the console adds the number of the module to both.
    let alerts = ALERT.iter().any(|(name, _)| asked.contains(name));
    let has_of_module = |name: &str| has(name) || alerts && name == "module_id_agent_modulo";
    let module_columns = in_tree_order(MODULE.iter().filter(|(name, _)| has_of_module(name)).collect());
    let has_of_alert = |name: &str| asked.contains(&name) || name == "alert_id_agent_module";
    let alert_columns: Vec<_> = ALERT.iter().filter(|(name, _)| alerts && has_of_alert(name)).collect();
    let mut rows = Vec::new();
    let mut agents = 0;
    for group in call.fleet.groups.iter().filter(|group| call.account.may_see(group.id)) {
        rows.push(group_row(group));
        for agent in call.fleet.agents.iter().filter(|agent| agent.groups().any(|id| id == group.id)) {
            agents += 1;
            let cells = agent_columns.iter().map(|(name, read)| (*name, read(call, agent)));
            rows.push(Row(cells.chain([("type_row", Cell::text("agent"))]).collect()));
            // Without a single column of modules the console does not read them.
            if module_columns.is_empty() && alert_columns.is_empty() {
                continue;
            }
            for module in &agent.modules {
                rows.push(modules::row(call, agent, module, &module_columns));
                if module.alert_fired && !alert_columns.is_empty() {
                    let cells = alert_columns.iter().map(|(name, read)| (*name, read(call, agent, module)));
                    rows.push(Row(cells.chain([("type_row", Cell::text("alert"))]).collect()));
                }
            }
        }
    }
    let index = if asked.is_empty() { all_columns() } else { asked };
    let answer = list(call, &rows, &index);
    let dear = if alert_columns.is_empty() { 1 } else { ALERTS_COST };
    Answer { cost: listing_cost(call, agents).saturating_mul(dear), ..answer }
}

/// Modules have their columns in the order of `module_properties`, but for these, which come before those.
const EARLIER: &[(&str, &str)] = &[("module_delete_pending", "module_id_export"), ("module_state", "module_data")];

fn in_tree_order(mut columns: Vec<&modules::Column>) -> Vec<&modules::Column> {
    for (first, second) in EARLIER {
        let at = |wanted: &str| columns.iter().position(|(name, _)| *name == wanted);
        if let (Some(from), Some(to)) = (at(first), at(second)) {
            let column = columns.remove(from);
            columns.insert(to, column);
        }
    }
    columns
}

fn all_columns() -> Vec<&'static str> {
    let group = ["type_row", "group_id", "group_name", "group_parent", "disabled", "custom_id"];
    let more = ["group_description", "group_contact", "group_other"];
    let agent = AGENT.iter().map(|(name, _)| *name);
    group.into_iter().chain(more).chain(agent).chain(MODULE.iter().map(|(name, _)| *name)).collect()
}

/// Rows of several types. CSV prints the asked columns in the asked order and, unlike other calls, leaves the text as
/// the database holds it.
pub(super) fn list(call: &Call<'_>, rows: &[Row], index: &[&str]) -> Answer {
    if call.form() == Form::Json {
        let mut answer = Answer::json("array", &rows);
        answer.body.truncate(answer.body.len().saturating_sub(1));
        answer.body.push_str(&format!(",\"list_index\":{}}}", php::json(&index)));
        return answer;
    }
    let separator = Some(call.other(0)).filter(|text| !text.is_empty()).unwrap_or_else(|| ";".to_owned());
    let cell = |row: &Row, name: &str| {
        let value = row.get(name).map(Cell::plain).unwrap_or_default();
        if RAW.contains(&name) { value } else { php::encode_entities(&value) }
    };
    let line = |row: &Row| index.iter().map(|name| cell(row, name)).collect::<Vec<_>>().join(&separator) + "\n";
    let body: String = rows.iter().map(line).collect();
    match call.form() {
        Form::CsvHead => {
            let body = format!("{}\n{body}", index.join(&separator));
            Answer { content_type: "text/csv;charset=UTF-8", ..Answer::text(body) }
        }
        _ => Answer::text(body),
    }
}
