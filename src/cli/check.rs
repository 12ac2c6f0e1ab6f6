//! `check`: is the configuration good, and does each site answer, step by step.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};

use super::out::{self, Data, Reader, plain};
use super::{CheckArgs, Exit, configuration};
use crate::access::accounts::{self, Opening};
use crate::access::rights::Principal;
use crate::app::App;
use crate::audit::ReadError;
use crate::clock::{Clock, Deadline, Stopwatch};
use crate::config::access::Permission;
use crate::config::{Config, Environment, Site, Verifier};
use crate::delegation::usable;
use crate::domain::{ErrorCode, SiteError};
use crate::federation::Slot;
use crate::openings::former::{self, Former};
use crate::openings::{Closed, Route, Way, direct, probe};
use crate::serve::{OPENED, USED};
use crate::sites::{Step, StepResult, View};

/// Sites probed at a time; a thousand at once would measure us, not them.
const AT_ONCE: usize = 50;

/// People of a site whose accounts are shown.
const SHOWN_ACCOUNTS: usize = 20;

pub(super) async fn check(args: CheckArgs, environment: Environment<'_>) -> Exit {
    let config = match configuration(&args.config, environment) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let files: Vec<_> = config.files.iter().map(|file| file.display().to_string()).collect();
    out::say(format_args!("{}: good, {}", files.join(", "), sites(config.sites.len())));
    if args.offline {
        return Exit::Complete;
    }
    let app = &App::new(config, Clock::System);
    let config = &app.config;
    let log = config.gateway.state_dir.as_deref().map(|folder| folder.join("audit"));
    let known = &log.map_or_else(|| Ok(Former::new()), |log| former::by_log(&log, config));
    let probes = app.federation.slots().iter().zip(&config.sites).map(|(slot, site)| {
        let (slot, patience) = (Arc::clone(slot), args.deadline.unwrap_or(slot.plan().policy.timeout));
        async move {
            let mut steps = steps(&slot, patience).await;
            steps.push(opening(app, &slot, site, patience).await);
            steps.extend(accounts(config, site));
            steps.extend(secret(known, site));
            steps
        }
    });
    // In the order of the configuration, each site as soon as it and those before it are done.
    let mut probed = stream::iter(probes).buffered(AT_ONCE);
    let (mut failed, mut warned) = (0, 0);
    let mut written = Ok(Reader::There);
    for (slot, site) in app.federation.slots().iter().zip(&config.sites) {
        let Some(steps) = probed.next().await else { break };
        let mut data = Data::exact();
        let url = site.urls.first().map(ToString::to_string).unwrap_or_default();
        let plan = slot.plan();
        let name = if plan.name == plan.id.as_str() { String::new() } else { format!("({}) ", plain(&plan.name)) };
        data.write(format_args!("{} {name}{url}\n", plan.id));
        steps.iter().for_each(|step| write_step(step, &mut data));
        failed += usize::from(steps.iter().any(|step| matches!(step.result, StepResult::Failed(_))));
        warned += usize::from(steps.iter().any(|step| matches!(step.result, StepResult::Warning(_))));
        written = data.finish();
        if !matches!(written, Ok(Reader::There)) {
            break;
        }
    }
    let closed = stores(config);
    match finish(written, config, failed, warned) {
        Exit::Complete if closed > 0 => Exit::Partial,
        exit => exit,
    }
}

async fn steps(slot: &Arc<Slot>, patience: Duration) -> Vec<Step> {
    let mut steps = Vec::new();
    let deadline = Deadline::after(patience);
    match &slot.plan().site {
        Err(error) => steps.push(settings(error)),
        Ok(site) => {
            let mut tell = |step| steps.push(step);
            let ended = tokio::time::timeout_at(deadline.instant(), site.probe(&mut tell, deadline)).await;
            if ended.is_err() {
                let error = SiteError::new(ErrorCode::Timeout, format!("the probe did not end within {patience:?}"));
                let result = StepResult::Failed(error.remedy("allow more time with --deadline"));
                steps.push(Step { name: "end", result, took: patience });
            }
        }
    }
    steps
}

/// A site that is not asked at all: because somebody wants it so, or because its settings cannot be used.
fn settings(error: &SiteError) -> Step {
    let result = match error.code {
        ErrorCode::Paused => StepResult::Warning(error.message.clone()),
        _ => StepResult::Failed(error.clone()),
    };
    Step { name: "settings", result, took: Duration::ZERO }
}

/// Whether a person can be handed over to the console, by which way, how strong it is, and why not.
async fn opening(app: &App, slot: &Slot, site: &Site, patience: Duration) -> Step {
    let watch = Stopwatch::start();
    let result = match Route::of(&app.config, site) {
        Ok(Route::Verifier(way)) => {
            asked(app, site, &way, Deadline::after(patience)).await.unwrap_or_else(StepResult::Failed)
        }
        Ok(Route::Direct(_)) => by_hash(slot),
        Err(closed @ Closed::NoVerifier) => {
            StepResult::Ok(format!("none: {closed}; whether its own hash login is on is not known"))
        }
        Err(closed) => failed(&closed),
    };
    Step { name: "opening", result, took: watch.elapsed() }
}

fn failed(closed: &Closed) -> StepResult {
    StepResult::Failed(SiteError::new(ErrorCode::Forbidden, closed.to_string()).remedy(closed.remedy()))
}

/// The console's own login hash. Whether it takes ours could only be seen by logging in.
fn by_hash(slot: &Slot) -> StepResult {
    if slot.plan().site.as_ref().ok().and_then(|site| site.hash_login(View::Home)).is_none() {
        return failed(&Closed::NoHashLogin);
    }
    StepResult::Warning(format!(
        "by the console's own hash login: {}; the secret here is strong, whether the console has the same is not known; \
         better is the drop-in (docs/openings.md)",
        direct::BADGE
    ))
}

async fn asked(app: &App, site: &Site, way: &Way, deadline: Deadline) -> Result<StepResult, SiteError> {
    let gateway = &app.config.gateway.id;
    let question = probe::question(way, gateway, app.clock().now());
    let (url, signed) = question.map_err(|error| SiteError::new(ErrorCode::Unreachable, error.to_string()))?;
    let (status, body) = app.ask_verifier(site, &url, (probe::HEADER, &signed), deadline).await?;
    let ends = if site.delegation.revoke { ", is told of logouts" } else { "" };
    Ok(match probe::verdict(status, &body, way, &app.config, app.clock().now()) {
        StepResult::Ok(text) => StepResult::Ok(text + ends),
        other => other,
    })
}

/// The files that openings need, where anything can be opened: how many cannot be used.
fn stores(config: &Config) -> usize {
    let Some(folder) = config.gateway.state_dir.as_deref().filter(|_| config.access.has_login()) else { return 0 };
    let broken = [USED, OPENED].iter().filter_map(|name| usable(&folder.join(name)).err());
    broken.inspect(|error| out::say(format_args!("no console can be opened: {}", plain(&error.to_string())))).count()
}

/// As whom each configured user would be let in, where anybody would.
fn accounts(config: &Config, site: &Site) -> Option<Step> {
    let users = config.access.users.iter().filter_map(|user| Principal::user(&config.access, &user.login));
    let mapped: Vec<String> = users
        .filter(|who| who.grants.on(Permission::Open, &site.id, &site.tags).is_some())
        .filter_map(|who| match accounts::opening(&site.delegation, &who) {
            Opening::As(account) => Some(format!("{} as {account}", who.login)),
            Opening::LogInThere | Opening::NoAccount => None,
        })
        .collect();
    if site.delegation.verifier == Verifier::None || config.access.users.is_empty() {
        return None;
    }
    let more = mapped.len().saturating_sub(SHOWN_ACCOUNTS);
    let mut text = mapped.get(..SHOWN_ACCOUNTS).unwrap_or(&mapped).join(", ");
    match (mapped.len(), more) {
        (0, _) => text.push_str("nobody has both the right `open` and an account there"),
        (_, 0) => text.push_str("; nobody else"),
        _ => text.push_str(&format!(" and {more} more")),
    }
    Some(Step { name: "accounts", result: StepResult::Ok(text), took: Duration::ZERO })
}

/// Whether a console's own login hash is known to somebody who may not use it any more.
fn secret(known: &Result<Former, ReadError>, site: &Site) -> Option<Step> {
    let result = match known {
        Err(_) if site.delegation.verifier != Verifier::Direct => return None,
        Err(error) => StepResult::Warning(format!("whether its secret must change is not known: {error}")),
        Ok(known) => {
            let logins = known.get(&site.id)?;
            let error = SiteError::new(ErrorCode::Forbidden, former::told(&site.id, logins));
            StepResult::Failed(error.remedy("set another in the console's setup, and write it as `delegation.secret`"))
        }
    };
    Some(Step { name: "secret", result, took: Duration::ZERO })
}

fn write_step(step: &Step, data: &mut Data) {
    let (word, text, remedy) = match &step.result {
        StepResult::Ok(text) => ("ok  ", plain(text), None),
        StepResult::Warning(text) => ("WARN", plain(text), None),
        StepResult::Failed(error) => ("FAIL", plain(&error.to_string()), error.remedy.as_deref()),
    };
    data.write(format_args!("  {word} {:<12} {:>6} ms  {text}\n", step.name, step.took.as_millis()));
    if let Some(remedy) = remedy {
        data.write(format_args!("       {:<12}            remedy: {}\n", "", plain(remedy)));
    }
}

fn finish(written: io::Result<Reader>, config: &Config, failed: usize, warned: usize) -> Exit {
    if let Err(error) = written {
        out::say(format_args!("the result could not be written: {error}"));
        return Exit::Failed;
    }
    if warned > 0 {
        out::say(format_args!("{} with a warning", sites(warned)));
    }
    if failed == 0 {
        out::say("every site answers");
        return Exit::Complete;
    }
    out::say(format_args!("{failed} of {} with a step that failed", sites(config.sites.len())));
    Exit::Partial
}

fn sites(count: usize) -> String {
    if count == 1 { "1 site".to_owned() } else { format!("{count} sites") }
}
