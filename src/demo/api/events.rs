//! `events`: filtered, newest first when paged, with the columns of real consoles.

use axum::http::header;

use super::{Answer, Call, Cell, Row, php};
use crate::demo::fleet::{Event, EventKind, ModuleState};

/// What an event of a kind says in every row.
struct Kind {
    name: &'static str,
    description: &'static str,
    image: &'static str,
    criticity: u8,
    criticity_name: &'static str,
    criticity_image: &'static str,
    module_status: u8,
}

const fn kind(kind: EventKind) -> Kind {
    let (name, description, image) = match kind {
        EventKind::Critical => ("going_up_critical", "Going up to critical state", "module_critical.png"),
        EventKind::Warning => ("going_up_warning", "Going from critical to warning", "module_warning.png"),
        EventKind::Unknown => ("going_unknown", "Going to unknown", "module_unknown.png"),
        EventKind::AlertFired => ("alert_fired", "Alert fired", "bell_error.png"),
        EventKind::NewAgent => ("new_agent", "New agent created", "agents@svg.svg"),
    };
    let (criticity, criticity_name, criticity_image, state) = match kind {
        EventKind::Critical | EventKind::AlertFired => (4, "Critical", "critical", ModuleState::Critical),
        EventKind::Warning => (3, "Warning", "warning", ModuleState::Warning),
        EventKind::Unknown => (5, "Minor", "maintenance", ModuleState::Unknown),
        EventKind::NewAgent => (2, "Normal", "normal", ModuleState::Normal),
    };
    Kind { name, description, image, criticity, criticity_name, criticity_image, module_status: state.number() }
}

/// `other`: separator, criticity, agent's alias (whole), module's name, `1` for alerts only, user, from, to, status,
/// text, limit, offset, `total`, group, tag, type. All events are new, so any other status finds none.
pub(super) fn answer(call: &Call<'_>) -> Answer {
    let mut found: Vec<&Event> = call.fleet.events.iter().filter(|event| wanted(call, event)).collect();
    if call.other(12) == "total" {
        return list(call, vec![Row(vec![("nitems", Cell::text(found.len()))])]);
    }
    if let Ok(limit) = call.other(10).parse::<usize>() {
        // Numbers are not in order within a second.
        found.sort_by_key(|event| std::cmp::Reverse(event.utimestamp));
        let offset = call.other(11).parse().unwrap_or(0);
        found = found.into_iter().skip(offset).take(limit).collect();
    }
    list(call, found.into_iter().map(|event| row(call, event)).collect())
}

fn list(call: &Call<'_>, rows: Vec<Row>) -> Answer {
    match call.form() {
        super::Form::Json => Answer::json("json", &rows),
        _ => call.rows(rows, &call.other(0)),
    }
}

fn wanted(call: &Call<'_>, event: &Event) -> bool {
    let kind = kind(event.kind);
    let number = |text: &str, value: u32| text.is_empty() || text.parse() == Ok(value);
    let agent = call.fleet.agents.iter().find(|agent| agent.id == event.agent);
    let module = agent.and_then(|agent| agent.modules.iter().find(|module| module.id == event.module));
    let [criticity, alias, name, alerts] = [1, 2, 3, 4].map(|at| call.other(at));
    let [from, to, status, text, group, of_type] = [6, 7, 8, 9, 13, 15].map(|at| call.other(at));
    let alias_matches = agent.is_some_and(|agent| php::encode_entities(&agent.alias) == alias);
    let name_matches = module.is_some_and(|module| php::encode_entities(&module.name) == name);
    call.account.may_see(event.group)
        && number(&criticity, u32::from(kind.criticity))
        && (alias.is_empty() || alias_matches)
        && (name.is_empty() || name_matches)
        && (alerts != "1" || event.kind == EventKind::AlertFired)
        && from.parse().map_or(true, |from| event.utimestamp >= twelve_hours(call, from))
        && to.parse().map_or(true, |to| event.utimestamp <= twelve_hours(call, to))
        && matches!(status.as_str(), "" | "-1" | "0")
        && php::like(&php::encode_entities(&event.text), &text)
        && (group == "0" || number(&group, event.group))
        && (of_type.is_empty() || of_type == kind.name)
}

/// A limit of the time filter as consoles understand it: they format it with a twelve-hour clock, so that an instant of
/// the afternoon becomes one of the morning.
fn twelve_hours(call: &Call<'_>, epoch: i64) -> i64 {
    let hour = call.fleet.zone.hour(epoch);
    let shown = (hour + 11) % 12 + 1;
    epoch.saturating_sub((hour - shown) * 3600)
}

fn row(call: &Call<'_>, event: &Event) -> Row {
    let kind = kind(event.kind);
    let agent = call.fleet.agents.iter().find(|agent| agent.id == event.agent);
    let image = |path: &str| Cell::text(format!("http://{}///images/{path}", call.incoming.header(header::HOST)));
    let empty = || Cell::text("");
    let mut row = Row(vec![
        ("id_evento", Cell::text(event.id)),
        ("id_agente", Cell::text(event.agent)),
        ("id_usuario", empty()),
        ("id_grupo", Cell::text(event.group)),
        ("estado", Cell::text(0)),
        ("timestamp", Cell::text(call.fleet.zone.format(event.utimestamp))),
        ("evento", Cell::text(&event.text)),
        ("utimestamp", Cell::text(event.utimestamp)),
        ("event_type", Cell::text(kind.name)),
        ("id_agentmodule", Cell::text(event.module)),
        ("id_alert_am", Cell::text(u8::from(event.kind == EventKind::AlertFired))),
        ("criticity", Cell::text(kind.criticity)),
        ("tags", empty()),
        ("source", Cell::text("monitoring_server")),
        ("id_extra", empty()),
        ("critical_instructions", empty()),
        ("warning_instructions", empty()),
        ("unknown_instructions", empty()),
        ("owner_user", empty()),
        ("ack_utimestamp", Cell::text(0)),
        ("custom_data", empty()),
        ("data", Cell::text(&event.data)),
        ("module_status", Cell::text(kind.module_status)),
        ("event_custom_id", empty()),
        ("user_can_manage", Cell::text(1)),
        ("user_can_write", Cell::text(1)),
    ]);
    if let Some(agent) = agent {
        row.0.push(("agent_name", Cell::text(&agent.name)));
    }
    row.0.extend([
        ("description_event", Cell::text(kind.description)),
        ("img_description", image(kind.image)),
        ("criticity_name", Cell::text(kind.criticity_name)),
        ("img_criticy", image(&format!("status_sets/default/severity_{}.png", kind.criticity_image))),
    ]);
    row
}
