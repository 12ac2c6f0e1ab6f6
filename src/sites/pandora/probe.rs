//! `check` of a console, step by step, each with a remedy: name, tcp, tls, http, login, clock, read, account.

use std::time::Duration;

use super::Pandora;
use super::api::{Op, Reply};
use crate::clock::{Deadline, Stopwatch};
use crate::domain::{ErrorCode, SiteError};
use crate::inventory::Inventory;
use crate::sites::{Reading, Step, StepResult};

/// A clock this far off makes ages wrong enough to notice.
const SKEW_WARNING_MS: i64 = 10_000;

/// Reads that are only answered to an account with a right to write, what right, and what the answer begins with.
/// Asking them changes nothing. Rights on events, downtimes and maps show in none.
const WRITE_RIGHTS: &[(&str, &str, &[u8])] = &[
    ("pandora_servers", "agents", b"{\"type\":\"array\""),
    ("alert_action_by_group", "alerts", b"{\"type\":\"string\",\"data\":\""),
    ("user_profiles_info", "users", b"{\"type\":\"array\""),
    ("module_groups", "settings", b""),
];

/// Walks the steps; at each address of the site up to its web server, then once at the one in use.
pub(super) async fn probe(site: &Pandora, tell: &mut (dyn FnMut(Step) + Send), deadline: Deadline) {
    let mut alive = None;
    let count = site.api.http.roots().count();
    for root in 0..count {
        // The steps that take long come behind; the addresses share half of the time.
        let part = deadline.share(2 * (count - root));
        if site.api.http.reach(root, part, tell).await && http(site, root, part, tell).await && alive.is_none() {
            alive = Some(root);
        }
    }
    let Some(root) = alive else { return };
    if login(site, root, deadline, tell).await && read(site, root, deadline, tell).await {
        account(site, root, deadline, tell).await;
        planned(site, deadline, tell).await;
    }
}

/// TLS, the web server, the console's version and its clock.
async fn http(site: &Pandora, root: usize, deadline: Deadline, tell: &mut (dyn FnMut(Step) + Send)) -> bool {
    let watch = Stopwatch::start();
    let answered = site.api.version(root, deadline).await;
    let took = watch.elapsed();
    let mut step = |name, result| tell(Step { name, result, took });
    let https = site.api.http.roots().nth(root).is_some_and(|url| url.scheme() == "https");
    match answered {
        Err(error) if error.code == ErrorCode::Tls => {
            step("tls", StepResult::Failed(error));
            false
        }
        Err(error) => {
            step("http", StepResult::Failed(error));
            false
        }
        Ok((version, answer)) => {
            if https {
                step("tls", site.tls_state());
            }
            step("http", StepResult::Ok(format!("answered by {}", answer.host)));
            site.version.told(&version);
            step("version", StepResult::Ok(version));
            step("clock", clock(answer.skew_ms));
            true
        }
    }
}

fn clock(skew_ms: Option<i64>) -> StepResult {
    match skew_ms {
        None => StepResult::Warning("the site sends no Date, so its clock cannot be compared".to_owned()),
        Some(skew) => {
            let seconds = skew.abs() / 1000;
            let direction = if skew > 0 { "ahead of" } else { "behind" };
            if skew.abs() >= SKEW_WARNING_MS {
                let text = format!("the site's clock is {seconds} s {direction} ours; ages will be wrong by that");
                StepResult::Warning(text)
            } else {
                StepResult::Ok(format!("{seconds} s off"))
            }
        }
    }
}

async fn login(site: &Pandora, root: usize, deadline: Deadline, tell: &mut (dyn FnMut(Step) + Send)) -> bool {
    let watch = Stopwatch::start();
    let op = Op::new("test");
    let understand = |body: &[u8]| body.starts_with(b"OK,").then_some(());
    let result = match site.api.small(root, &op, deadline, understand).await {
        Ok(reply) => reply.value(site.api.login(), "the console"),
        Err(error) if error.code == ErrorCode::Timeout => Err(error.remedy(
            "a console takes 15 s to refuse a login; if this took less, allow more time, else look at its load",
        )),
        Err(error) => Err(error),
    };
    let good = result.is_ok();
    let result = result.map_or_else(StepResult::Failed, |()| StepResult::Ok("the account is accepted".to_owned()));
    tell(Step { name: "login", result, took: watch.elapsed() });
    good
}

async fn read(site: &Pandora, root: usize, deadline: Deadline, tell: &mut (dyn FnMut(Step) + Send)) -> bool {
    let watch = Stopwatch::start();
    let result = match site.read_at(root, deadline).await {
        Err(error) => StepResult::Failed(error),
        Ok(reading) => seen(&reading, watch.elapsed(), site),
    };
    let good = !matches!(result, StepResult::Failed(_));
    tell(Step { name: "read", result, took: watch.elapsed() });
    good
}

fn seen(reading: &Reading, took: Duration, site: &Pandora) -> StepResult {
    let inventory: &Inventory = &reading.inventory;
    let text = format!(
        "{} agents, {} modules, {} groups in {} ms and {} kB",
        inventory.len(),
        inventory.module_count(),
        inventory.group_count(),
        took.as_millis(),
        reading.bytes.div_ceil(1000)
    );
    match reading.warnings(site.clock.now()).as_slice() {
        [] => StepResult::Ok(text),
        warnings => StepResult::Warning(format!("{text}; {}", warnings.join("; "))),
    }
}

/// What the account may see, and whether it could write.
async fn account(site: &Pandora, root: usize, deadline: Deadline, tell: &mut (dyn FnMut(Step) + Send)) {
    let watch = Stopwatch::start();
    let result = match rights(site, root, deadline).await {
        Err(error) => StepResult::Failed(error),
        Ok((groups, could_write)) if could_write.is_empty() => {
            StepResult::Ok(format!("sees {groups} groups; no right to write was found (some show in no read)"))
        }
        Ok((groups, could_write)) => StepResult::Warning(format!(
            "sees {groups} groups; could write {}: a profile that only reads is enough",
            could_write.join(", ")
        )),
    };
    tell(Step { name: "account", result, took: watch.elapsed() });
}

async fn rights(site: &Pandora, root: usize, deadline: Deadline) -> Result<(usize, Vec<&'static str>), SiteError> {
    let groups: Reply<serde_json::Value> = site.api.json(root, Op::new("groups"), deadline).await?;
    let groups = groups.value(site.api.login(), "the console")?;
    // `[[id,"name"],…]`; id 0 is "All", which is listed to everybody.
    let rows = groups.get("data").and_then(|rows| rows.as_array()).map_or(&[] as &[_], Vec::as_slice);
    let is_all = |row: &&serde_json::Value| {
        let id = row.get(0);
        id.and_then(serde_json::Value::as_i64) == Some(0) || id.and_then(|id| id.as_str()) == Some("0")
    };
    let groups = rows.iter().filter(|row| !is_all(row)).count();
    let mut could_write = Vec::new();
    for (name, right, begin) in WRITE_RIGHTS {
        let op = Op::new(name).id("0").json();
        let proves = |body: &[u8]| proves_a_right(body, begin);
        // A refusal is the good case; what cannot be understood proves nothing.
        if let Ok(Reply::Value(())) = site.api.small(root, &op, deadline, proves).await {
            could_write.push(*right);
        }
    }
    Ok((groups, could_write))
}

/// Whether the answer is data, as only an account with the right gets: JSON that begins so, or numbers.
fn proves_a_right(body: &[u8], begin: &[u8]) -> Option<()> {
    let body = body.trim_ascii();
    let data = if begin.is_empty() { body.first()?.is_ascii_digit() } else { body.starts_with(begin) };
    data.then_some(())
}

async fn planned(site: &Pandora, deadline: Deadline, tell: &mut (dyn FnMut(Step) + Send)) {
    let watch = Stopwatch::start();
    let result = match site.planned.get(&site.api, deadline).await {
        Err(error) => StepResult::Failed(error),
        Ok(work) if work.is_empty() => StepResult::Ok("none".to_owned()),
        Ok(work) => StepResult::Ok(format!("{} entries", work.len())),
    };
    tell(Step { name: "planned work", result, took: watch.elapsed() });
}
