//! `serve`: the gateway in the foreground, as a service runs it.

use std::path::Path;

use super::{Exit, Lines, LogArgs, Logs, ServeArgs};
use crate::config::Environment;
use crate::serve::{Hangup, Service, StartError};

pub(super) async fn serve(args: ServeArgs, environment: Environment<'_>) -> Exit {
    let logs = args.log.start();
    let service = match open(&args.config.config, environment, Hangup::Reload, args.log, &logs).await {
        Ok(service) => service,
        Err(exit) => return exit,
    };
    let gateway = service.config().gateway.clone();
    let scheme = if gateway.tls.is_some() { "https" } else { "http" };
    let (address, url) = (format!("{scheme}://{}/", service.address()), gateway.public_url.to_string());
    let line = match url == address {
        true => format!("metaconsole listens on {address}"),
        false => format!("metaconsole listens on {address} (for browsers {url})"),
    };
    // Whoever reads JSON reads nothing else.
    match args.log.log_format {
        Lines::Text => logs.say(line),
        Lines::Json => tracing::info!(address, url, "{line}"),
    }
    run(service).await
}

/// Until it ends; why, if nobody asked it to, is told.
pub(super) async fn run(service: Service<'_>) -> Exit {
    match service.run().await {
        Ok(()) => Exit::Complete,
        Err(error) => {
            tracing::error!("{error}");
            Exit::Failed
        }
    }
}

/// A gateway that is ready to run; why not is told.
pub(super) async fn open<'a>(
    file: &'a Path,
    environment: Environment<'a>,
    hangup: Hangup,
    log: LogArgs,
    logs: &Logs,
) -> Result<Service<'a>, Exit> {
    let error = match Service::open(file, environment, hangup).await {
        Ok(service) => return Ok(service),
        Err(error) => error,
    };
    let text = error.to_string();
    for line in text.lines() {
        match log.log_format {
            Lines::Text => logs.say(line),
            Lines::Json => tracing::error!("{line}"),
        }
    }
    Err(match error {
        StartError::Config(_) | StartError::Open(_) => Exit::Usage,
        StartError::Slow(_)
        | StartError::Listen { .. }
        | StartError::People(_)
        | StartError::Used(_)
        | StartError::Audit(_)
        | StartError::Tls(_)
        | StartError::Signals(_) => Exit::Failed,
    })
}
