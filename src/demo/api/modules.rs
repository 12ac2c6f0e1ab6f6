//! Calls about modules: `agent_modules`, `module_properties`, `module_last_value`, `module_data`.

use super::{Answer, Call, Cell, FORBIDDEN, NO_SUCH_ID, Row, php, tree};
use crate::demo::fleet::{Agent, Module, ModuleState};
use crate::demo::history::History;

/// Reads one column of a module.
pub(super) type Column = (&'static str, fn(&Call<'_>, &Agent, &Module) -> Cell);

const fn fixed_zero(name: &'static str) -> Column {
    (name, |_, _, _| Cell::text("0"))
}

const fn fixed_empty(name: &'static str) -> Column {
    (name, |_, _, _| Cell::text(""))
}

/// The columns of a module, in the order they are printed whatever the order of asking.
pub(super) const COLUMNS: &[Column] = &[
    ("module_id_agent_modulo", |_, _, module| Cell::text(module.id)),
    ("module_id_agent", |_, agent, _| Cell::text(agent.id)),
    ("module_id_module_type", |_, _, module| Cell::text(module.kind.number())),
    fixed_empty("module_description"),
    ("module_name", |_, _, module| Cell::text(&module.name)),
    fixed_zero("module_max"),
    fixed_zero("module_min"),
    ("module_interval", |_, agent, _| Cell::text(agent.interval)),
    fixed_zero("module_tcp_port"),
    fixed_empty("module_tcp_send"),
    fixed_empty("module_tcp_rcv"),
    fixed_empty("module_snmp_community"),
    fixed_zero("module_snmp_oid"),
    fixed_empty("module_ip_target"),
    ("module_id_module_group", |_, _, _| Cell::text(4)),
    ("module_flag", |_, _, _| Cell::text(1)),
    ("module_id_module", |_, _, _| Cell::text(1)),
    ("module_disabled", |_, _, module| Cell::text(u8::from(module.disabled))),
    fixed_zero("module_id_export"),
    fixed_empty("module_plugin_user"),
    fixed_empty("module_plugin_pass"),
    fixed_empty("module_plugin_parameter"),
    fixed_zero("module_id_plugin"),
    fixed_zero("module_post_process"),
    fixed_zero("module_prediction_module"),
    fixed_zero("module_max_timeout"),
    fixed_zero("module_max_retries"),
    fixed_empty("module_custom_id"),
    ("module_history_data", |_, _, _| Cell::text(1)),
    ("module_min_warning", |_, _, module| Cell::text(module.warning.0)),
    ("module_max_warning", |_, _, module| Cell::text(module.warning.1)),
    fixed_empty("module_str_warning"),
    ("module_min_critical", |_, _, module| Cell::text(module.critical.0)),
    ("module_max_critical", |_, _, module| Cell::text(module.critical.1)),
    fixed_empty("module_str_critical"),
    fixed_zero("module_min_ff_event"),
    ("module_delete_pending", |_, _, module| Cell::text(u8::from(module.delete_pending))),
    fixed_empty("module_plugin_macros"),
    fixed_empty("module_macros"),
    fixed_zero("module_critical_inverse"),
    fixed_zero("module_warning_inverse"),
    ("module_id_agent_state", |_, _, module| Cell::text(module.id)),
    ("module_data", |_, _, module| Cell::text(&module.value)),
    ("module_timestamp", |call, agent, module| Cell::text(call.fleet.zone.format(reported(call, agent, module)))),
    ("module_state", |_, _, module| Cell::text(module.state.number())),
    ("module_last_try", |call, agent, module| Cell::text(call.fleet.zone.format(reported(call, agent, module)))),
    ("module_utimestamp", |call, agent, module| Cell::text(reported(call, agent, module))),
    ("module_current_interval", |_, agent, _| Cell::text(agent.interval)),
    ("module_running_by", |_, _, _| Cell::text(1)),
    ("module_last_execution_try", |call, agent, module| Cell::text(reported(call, agent, module))),
    ("module_status_changes", |_, _, _| Cell::text(1)),
    ("module_last_status", |_, _, module| Cell::text(module.state.number())),
];

fn reported(call: &Call<'_>, agent: &Agent, module: &Module) -> i64 {
    call.fleet.last_value_at(agent, module, call.now)
}

/// The row of a module with these columns.
pub(super) fn row(call: &Call<'_>, agent: &Agent, module: &Module, columns: &[&Column]) -> Row {
    let cells = columns.iter().map(|(name, read)| (*name, read(call, agent, module)));
    Row(cells.chain([("type_row", Cell::text("module"))]).collect())
}

/// The module the parameter `id` names, or the sentence that says why not.
fn find<'a>(call: &Call<'a>) -> Result<(&'a Agent, &'a Module), &'static str> {
    let id = call.parameter("id").parse::<u32>().map_err(|_| NO_SUCH_ID)?;
    let found = call.fleet.modules().find(|(_, module)| module.id == id).ok_or(NO_SUCH_ID)?;
    if call.may_see(found.0) { Ok(found) } else { Err(FORBIDDEN) }
}

/// `agent;module;name` of an agent's enabled modules, CSV whatever is asked. `other` must be a list.
pub(super) fn of_agent(call: &Call<'_>) -> Answer {
    let id = call.other(0).parse::<u32>().ok();
    let Some(agent) = call.fleet.agents.iter().find(|agent| Some(agent.id) == id) else {
        return call.sentence(NO_SUCH_ID);
    };
    if !call.may_see(agent) {
        return call.sentence(FORBIDDEN);
    }
    let enabled = agent.modules.iter().filter(|module| !module.disabled && !module.delete_pending);
    let line = |module: &Module| format!("{};{};{}\n", agent.id, module.id, php::csv_cell(&module.name));
    Answer::text(enabled.map(line).collect::<String>())
}

/// One module. `other`: separator, replacement of line ends, columns (all when empty).
pub(super) fn properties(call: &Call<'_>) -> Answer {
    let (agent, module) = match find(call) {
        Ok(found) => found,
        Err(why) => return call.sentence(why),
    };
    let asked = call.other(2);
    let asked: Vec<&str> = asked.split(',').filter(|name| !name.is_empty()).collect();
    let columns: Vec<_> = COLUMNS.iter().filter(|(name, _)| asked.is_empty() || asked.contains(name)).collect();
    let index = if asked.is_empty() { COLUMNS.iter().map(|(name, _)| *name).collect() } else { asked };
    tree::list(call, &[row(call, agent, module, &columns)], &index)
}

pub(super) fn last_value(call: &Call<'_>) -> Answer {
    match find(call) {
        Ok((_, module)) => call.sentence(&module.value),
        Err(why) => call.sentence(why),
    }
}

/// `epoch;value` a line, CSV whatever is asked. `other`: separator, seconds back from now; or separator, nothing, from
/// and to as local times of the console.
pub(super) fn data(call: &Call<'_>) -> Answer {
    let (agent, module) = match find(call) {
        Ok(found) => found,
        Err(why) => return call.sentence(why),
    };
    let [separator, period, from, to] = [0, 1, 2, 3].map(|at| call.other(at));
    let range = match period.parse::<i64>() {
        Ok(period) => Some((call.now.saturating_sub(period), call.now)),
        Err(_) => call.fleet.zone.parse(&from).zip(call.fleet.zone.parse(&to)),
    };
    let Some((from, to)) = range else {
        return Answer::text("Wrong date format.");
    };
    let last = reported(call, agent, module);
    let separator = if separator.is_empty() { ";" } else { &separator };
    let line = |(at, value)| format!("{at}{separator}{value}\n");
    let history = History::of(module, agent.interval, last);
    let body: String = match module.state {
        ModuleState::NotInit => String::new(),
        _ => history.filled(from, to.min(call.now)).into_iter().map(line).collect(),
    };
    if body.is_empty() { Answer::died() } else { Answer::text(body) }
}
