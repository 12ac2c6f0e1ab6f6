//! `gate`: the verifier beside a site's reverse proxy, in the foreground, as a service runs it.

use std::path::PathBuf;

use clap::Args;

use super::{Exit, Lines, LogArgs};
use crate::config::Environment;
use crate::serve::{GateError, GateService};

#[derive(Debug, Args)]
pub(super) struct GateArgs {
    /// What it does, and whom it lets in.
    #[arg(long, value_name = "FILE", default_value = "gate.yaml", env = "METACONSOLE_GATE_CONFIG")]
    config: PathBuf,
    #[command(flatten)]
    log: LogArgs,
}

pub(super) async fn gate(args: GateArgs, environment: Environment<'_>) -> Exit {
    let logs = args.log.start();
    let say = |line: &str| match args.log.log_format {
        Lines::Text => logs.say(line.to_owned()),
        // Whoever reads JSON reads nothing else.
        Lines::Json => tracing::error!("{line}"),
    };
    let service = match GateService::open(&args.config, environment).await {
        Ok(service) => service,
        Err(error) => {
            error.to_string().lines().for_each(say);
            return match error {
                GateError::Config(_) => Exit::Usage,
                GateError::Open(_) | GateError::Listen { .. } | GateError::Signals(_) => Exit::Failed,
            };
        }
    };
    let address = format!("http://{}/", service.address());
    let line = format!("metaconsole gate of {} listens on {address}", service.config().site);
    match args.log.log_format {
        Lines::Text => logs.say(line),
        Lines::Json => tracing::info!(address, "{line}"),
    }
    match service.run().await {
        Ok(()) => Exit::Complete,
        Err(error) => {
            tracing::error!("{error}");
            Exit::Failed
        }
    }
}
