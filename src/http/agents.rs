//! One agent, live: its modules with values, a module's series, events of it and of a site.

use axum::extract::{Path, RawQuery};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::accept::{self, Form};
use super::parameters::Parameters;
use super::problem::Problem;
use super::search::{json, unwritten};
use super::viewer::Viewer;
use crate::clock::{Stopwatch, Timestamp};
use crate::config::access::Permission;
use crate::federation::{EventPlace, Missing};
use crate::wire::{self, Lines};

/// Points of a series; earlier ones are left out.
const POINTS: usize = 10_000;

/// A series without `from` goes back so far, in seconds, and at most so far.
const DAY: i64 = 86_400;
const LONGEST: i64 = 400 * DAY;

/// `GET /api/v1/sites/{site}/agents/{agent}`
pub(super) async fn detail(
    viewer: Viewer,
    Path((site, agent)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let watch = Stopwatch::start();
    let parameters = Parameters::read(query.as_deref(), &["deadline"])?;
    let patience = parameters.patience(&viewer.app.config.gateway)?;
    let viewable = viewer.agents_for(Permission::View, &site)?;
    let found = viewer.view.detail(&site, &agent, &viewable, patience).await;
    let found = found.map_err(|missing| missed(&missing, &site, &agent, ""))?;
    let adapter = viewer.site(&site)?.plan().site.as_deref().ok();
    Ok(json(&wire::detail(&found, adapter, &viewer, viewer.app.clock().now(), watch.elapsed())))
}

/// `GET /api/v1/sites/{site}/agents/{agent}/modules/{module}/data`
pub(super) async fn series(
    viewer: Viewer,
    Path((site, agent, module)): Path<(String, String, String)>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let watch = Stopwatch::start();
    let parameters = Parameters::read(query.as_deref(), &["from", "to", "format", "deadline"])?;
    let form = match parameters.get("format") {
        Some(name) => accept::named(name)?,
        None => accept::form(&headers)?,
    };
    if !matches!(form, Form::Json | Form::Lines(Lines::Csv)) {
        let problem = Problem::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", "a series comes as JSON or CSV");
        return Err(problem.remedy("accept application/json or text/csv"));
    }
    let patience = parameters.patience(&viewer.app.config.gateway)?;
    let range = range(&parameters, viewer.app.clock().now())?;
    let viewable = viewer.agents_for(Permission::View, &site)?;
    let found = viewer.view.series(&site, (&agent, &module), &viewable, range, patience).await;
    let (outcome, values) = found.map_err(|missing| missed(&missing, &site, &agent, &module))?;
    let series = values.map_err(|error| {
        let problem =
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_read", format!("{}: {}", error.code, error.message));
        let sites = serde_json::to_value([wire::outcome(&outcome)]).unwrap_or_default();
        problem.remedy(error.remedy.unwrap_or_else(|| "ask again in a moment".to_owned())).sites(sites)
    })?;
    let cut = series.points.len().saturating_sub(POINTS);
    let points = series.points.get(cut..).unwrap_or_default();
    if form == Form::Json {
        return Ok(json(&wire::series(
            (&agent, &module),
            range,
            (points, cut, series.text),
            &outcome,
            watch.elapsed(),
        )));
    }
    let kind = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"values.csv\""),
    ];
    wire::series_csv(points, cut).map(|body| (kind, body).into_response()).map_err(|_| unwritten())
}

/// `GET /api/v1/sites/{site}/agents/{agent}/events`
pub(super) async fn events(
    viewer: Viewer,
    Path((site, agent)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    happenings(&viewer, &site, Some(&agent), query.as_deref()).await
}

/// `GET /api/v1/sites/{site}/events`
pub(super) async fn site_events(
    viewer: Viewer,
    Path(site): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    happenings(&viewer, &site, None, query.as_deref()).await
}

async fn happenings(
    viewer: &Viewer,
    site: &str,
    agent: Option<&str>,
    query: Option<&str>,
) -> Result<Response, Problem> {
    let (watch, now) = (Stopwatch::start(), viewer.app.clock().now());
    let parameters = Parameters::read(query, &["limit", "cursor", "deadline"])?;
    let patience = parameters.patience(&viewer.app.config.gateway)?;
    let limit = parameters.limit(Form::Json)?;
    let viewable = viewer.agents_for(Permission::View, site)?;
    let whole = viewer.view.is_whole(site, &viewable);
    let place = |text: &str| {
        let place = if whole { Some(text.to_owned()) } else { viewer.shown_place(text) };
        place.and_then(|place| place.parse::<EventPlace>().ok())
    };
    let not_ours = || {
        Problem::new(StatusCode::BAD_REQUEST, "bad_cursor", "`cursor` is not what the last page gave")
            .remedy("write `next_cursor` of the last page; or begin again without it")
    };
    let after = parameters.get("cursor").map(|text| place(text).ok_or_else(not_ours)).transpose()?;
    let found = viewer.view.events(site, agent, &viewable, (after, limit), patience).await;
    let found = found.map_err(|missing| missed(&missing, site, agent.unwrap_or(""), ""))?;
    let mut record = wire::events(&found, now, watch.elapsed());
    if !whole {
        record.next_cursor = record.next_cursor.and_then(|place| viewer.hidden_place(&place));
    }
    Ok(json(&record))
}

fn missed(missing: &Missing, site: &str, agent: &str, module: &str) -> Problem {
    let shown = |text: &str| text.chars().take(63).collect::<String>();
    let (site, agent, module) = (shown(site), shown(agent), shown(module));
    let none = |code, detail: String| Problem::new(StatusCode::NOT_FOUND, code, detail);
    match missing {
        Missing::Site => {
            none("unknown_site", format!("there is no site `{site}`")).remedy("see /api/v1/sites for those there are")
        }
        Missing::Agent => none("unknown_agent", format!("site `{site}` has no agent `{agent}`"))
            .remedy("search for it; a new agent is known after the site's next read"),
        Missing::Module => none("unknown_module", format!("agent `{agent}` of site `{site}` has no module `{module}`"))
            .remedy(format!("see /api/v1/sites/{site}/agents/{agent} for those it has")),
        Missing::Unknown(outcome) => {
            let sites = serde_json::to_value([wire::outcome(outcome)]).unwrap_or_default();
            let detail = format!("nothing is known of site `{site}` now");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "site_unknown", detail)
                .remedy("see `sites` for why, or allow more time")
                .sites(sites)
        }
    }
}

/// `from` and `to`, by default the day before now.
fn range(parameters: &Parameters, now: Timestamp) -> Result<(Timestamp, Timestamp), Problem> {
    let to = instant(parameters, "to", now)?.unwrap_or(now);
    let day = Timestamp::from_secs(to.as_secs().saturating_sub(DAY));
    let from = instant(parameters, "from", now)?.unwrap_or(day);
    if from > to {
        return Err(Problem::parameter("`from` is after `to`").remedy("exchange them"));
    }
    if to.as_secs().saturating_sub(from.as_secs()) > LONGEST {
        return Err(Problem::parameter("`from` is more than 400 days before `to`").remedy("ask for less at a time"));
    }
    Ok((from, to))
}

fn instant(parameters: &Parameters, name: &str, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = parameters.get(name) else { return Ok(None) };
    let at = if text == "now" { Some(now) } else { epoch(text).or_else(|| ago(text, now)).or_else(|| written(text)) };
    at.map(Some).ok_or_else(|| {
        Problem::parameter(format!("`{name}` is no instant"))
            .remedy("write it like `2026-11-23T08:30:00Z`, as seconds since 1970, or as a time before now like `-24h`")
    })
}

fn epoch(text: &str) -> Option<Timestamp> {
    text.parse::<u32>().ok().map(|secs| Timestamp::from_secs(i64::from(secs)))
}

/// `-90s`, `-15m`, `-24h`, `-7d`, `-2w`
fn ago(text: &str, now: Timestamp) -> Option<Timestamp> {
    let text = text.strip_prefix('-')?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => DAY,
        "w" => 7 * DAY,
        _ => return None,
    };
    let number = number.parse::<u32>().ok().filter(|_| number.bytes().all(|byte| byte.is_ascii_digit()))?;
    let secs = i64::from(number).saturating_mul(unit);
    Some(Timestamp::from_millis(now.as_millis().saturating_sub(secs.saturating_mul(1000))))
}

/// RFC 3339. The `+` of a zone reads as a blank where it was not encoded.
fn written(text: &str) -> Option<Timestamp> {
    Timestamp::from_rfc_3339(&text.replace(' ', "+"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_written_in_three_ways() {
        let now = Timestamp::from_secs(1_795_404_900);
        let read = |text: &str| {
            let query = format!("from={text}");
            let parameters = Parameters::read(Some(&query), &["from", "to"]).unwrap();
            range(&parameters, now).map(|(from, to)| (from.as_secs(), to.as_secs())).ok()
        };
        let end = now.as_secs();
        for (text, from) in [
            ("2026-11-23T03:31:21Z", 1_795_404_681),
            ("2026-11-23T04:31:21+01:00", 1_795_404_681),
            ("2026-11-22T22:31:21-05:00", 1_795_404_681),
            ("1795404681", 1_795_404_681),
            ("-24h", end - 86_400),
            ("-90s", end - 90),
            ("-2w", end - 14 * 86_400),
            ("now", end),
        ] {
            assert_eq!(read(text), Some((from, end)), "{text}");
        }
        for text in ["", "-", "-h", "-+3h", "24h", "yesterday", "-401d", "1795404901", "2026-11-23T03:31:21", "-5ñ"] {
            assert_eq!(read(text), None, "{text}");
        }
        let nothing = Parameters::read(None, &["from", "to"]).unwrap();
        assert_eq!(range(&nothing, now).unwrap().0, Timestamp::from_secs(end - 86_400));
    }
}
