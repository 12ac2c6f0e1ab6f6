//! Calls about the site itself: its login test, groups, tags, servers, downtimes, and what only alert managers may read.

use serde_json::json;

use super::{Answer, Call, Cell, Form, Row, php};
use crate::demo::fleet::{Downtime, ModuleState};

/// Seconds without a sign of life after which a server counts as down.
const SERVER_SILENCE: i64 = 300;

pub(super) fn test(call: &Call<'_>) -> Answer {
    let version = &call.settings.version;
    Answer::text(format!("OK,{},{}", version.number, version.build))
}

/// Groups the account may see, by name, after `All`.
pub(super) fn groups(call: &Call<'_>) -> Answer {
    let mut groups: Vec<_> = call.fleet.groups.iter().filter(|group| call.account.may_see(group.id)).collect();
    groups.sort_by_key(|group| group.name.to_lowercase());
    let all = (call.other(1) != "0").then_some((0, "All"));
    let named = groups.iter().map(|group| (group.id, group.name.as_str()));
    pairs(call, all.into_iter().chain(named).collect())
}

pub(super) fn tags(call: &Call<'_>) -> Answer {
    let mut tags: Vec<_> = call.fleet.tags.iter().map(|(id, name)| (*id, name.as_str())).collect();
    tags.sort_by_key(|(_, name)| name.to_lowercase());
    pairs(call, tags)
}

/// Number and name without column names: a JSON array each.
fn pairs(call: &Call<'_>, pairs: Vec<(u32, &str)>) -> Answer {
    if call.form() == Form::Json {
        return Answer::json("array", &pairs);
    }
    let separator = call.other(0);
    let row = |(id, name): &(u32, &str)| Row(vec![("id", Cell::Number(i64::from(*id))), ("name", Cell::text(name))]);
    call.rows(pairs.iter().map(row).collect(), &separator)
}

pub(super) fn servers(call: &Call<'_>) -> Answer {
    let fleet = call.fleet;
    let running = |(_, module): &(_, &crate::demo::fleet::Module)| !module.disabled && !module.delete_pending;
    let modules = fleet.modules().filter(running).count();
    let late = fleet.modules().filter(running).filter(|(_, module)| module.state == ModuleState::Unknown).count();
    let keepalive = fleet.agents.iter().map(|agent| fleet.last_contact_at(agent, call.now)).max().unwrap_or(fleet.now);
    let up = call.now.saturating_sub(keepalive) <= SERVER_SILENCE;
    let row = Row(vec![
        ("name", Cell::text(&fleet.server)),
        ("status", Cell::text(u8::from(up))),
        ("type", Cell::text("data")),
        ("master", Cell::text(1)),
        ("modules", Cell::text(modules)),
        ("modules_total", Cell::text(modules)),
        ("lag", Cell::text("0.0000")),
        ("module_lag", Cell::text(late)),
        ("threads", Cell::text(if up { 2 } else { 0 })),
        ("queued_modules", Cell::text(0)),
        ("keepalive", Cell::text(fleet.zone.format(keepalive))),
        ("id_server", Cell::text(1)),
    ]);
    call.rows(vec![row], &call.other(0))
}

/// Planned downtimes whose name contains the first item of `other`.
pub(super) fn downtimes(call: &Call<'_>) -> Answer {
    let name = call.other(0);
    let matches = |downtime: &&Downtime| php::like(&php::encode_entities(&downtime.name), &name);
    let rows: Vec<Row> = call.fleet.downtimes.iter().filter(matches).map(downtime).collect();
    if rows.is_empty() {
        return Answer::text("Planned downtime was not retrieved");
    }
    call.rows(rows, "")
}

fn downtime(downtime: &Downtime) -> Row {
    let mut row = Row(vec![
        ("id", Cell::text(downtime.id)),
        ("name", Cell::text(&downtime.name)),
        ("description", Cell::text(&downtime.description)),
        ("date_from", Cell::text(downtime.from)),
        ("date_to", Cell::text(downtime.to)),
        ("id_group", Cell::text(downtime.group)),
    ]);
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    row.0.extend(days.map(|day| (day, Cell::text(0))));
    row.0.extend([
        ("periodically_time_from", Cell::text("00:00:00")),
        ("periodically_time_to", Cell::text("00:00:00")),
        ("periodically_day_from", Cell::Null),
        ("periodically_day_to", Cell::Null),
        ("type_downtime", Cell::text("quiet")),
        ("type_execution", Cell::text("once")),
        ("type_periodicity", Cell::text("weekly")),
        ("id_user", Cell::text("admin")),
    ]);
    row
}

/// The actions every new console has.
pub(super) fn alert_actions() -> Answer {
    let actions = json!([{"id": "1", "name": "Mail to Admin"}, {"id": "2", "name": "Restart agent"}]);
    Answer::json("array", &actions)
}

/// The templates every new console has.
pub(super) fn alert_templates(call: &Call<'_>) -> Answer {
    let row = |(id, name): (u8, &str)| {
        let description = format!("This is a generic alert template to fire on {}", name.to_lowercase());
        Row(vec![("id", Cell::text(id)), ("name", Cell::text(name)), ("description", Cell::text(description))])
    };
    let rows = [(1, "Critical condition"), (2, "Manual alert"), (3, "Warning condition")].map(row);
    call.rows(rows.into(), &call.other(0))
}
