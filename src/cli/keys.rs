//! `keys`: new master keys, and what a site's verifier gets of them. A key goes to a file of its owner's only.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::out::{self, Data};
use super::{ConfigArgs, Exit, configuration};
use crate::config::Environment;
use crate::delegation::{MasterKey, Purpose, new_master};
use crate::domain::SiteId;
use crate::secret::Secret;

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Make a new master key for `gateway.keys`.
    Generate(To),
    /// Make the keys of one site, for its verifier's file.
    Derive {
        #[command(flatten)]
        config: ConfigArgs,
        /// Which site.
        #[arg(long, value_name = "ID")]
        site: SiteId,
        /// From which of `gateway.keys` [default: the site's `kid`, else the one that signs].
        #[arg(long, value_name = "KID")]
        kid: Option<String>,
        /// Only the key for this: mc1, mc1-verify, mc1-gate or mc1-push [default: all four].
        #[arg(long, value_parser = purpose, value_name = "PURPOSE")]
        purpose: Option<Purpose>,
        #[command(flatten)]
        to: To,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct To {
    /// A new file, readable by its owner only.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print it, although terminals, pipes and logs remember.
    #[arg(long)]
    print_secret: bool,
}

fn purpose(text: &str) -> Result<Purpose, String> {
    let found = Purpose::ALL.into_iter().find(|(word, _)| *word == text);
    found.map(|(_, purpose)| purpose).ok_or_else(|| "it is one of mc1, mc1-verify, mc1-gate, mc1-push".to_owned())
}

pub(super) fn keys(what: Keys, environment: Environment<'_>) -> Exit {
    match what {
        Keys::Generate(to) => match new_master() {
            Ok(key) => write(&to, &Secret::new(format!("{}\n", key.expose()))),
            Err(error) => fail(Exit::Failed, &error),
        },
        Keys::Derive { config, site, kid, purpose, to } => {
            let config = match configuration(&config, environment) {
                Ok(config) => config,
                Err(exit) => return exit,
            };
            let Some(configured) = config.sites.iter().find(|configured| configured.id == site) else {
                return fail(Exit::Usage, &format!("--site {site}: no such site in the configuration"));
            };
            let kid = kid.as_ref().or(configured.delegation.kid.as_ref());
            let wanted = |key: &&crate::config::MasterKey| kid.map_or(key.signing, |kid| key.kid == *kid);
            let Some(key) = config.gateway.keys.iter().find(wanted) else {
                return fail(Exit::Usage, &"no such key in `gateway.keys`: make one with `metaconsole keys generate`");
            };
            let derived = MasterKey::read(&key.kid, &key.secret).and_then(|master| text(&master, &site, purpose));
            match derived {
                Ok(text) => write(&to, &text),
                Err(error) => fail(Exit::Usage, &format!("key {}: {error}", key.kid)),
            }
        }
    }
}

/// One key as a line, or all four as verifiers read them: `site ID`, then `PURPOSE KID KEY` for each.
fn text(master: &MasterKey, site: &SiteId, purpose: Option<Purpose>) -> Result<Secret, crate::delegation::KeyError> {
    if let Some(purpose) = purpose {
        let key = master.derive(site.as_str(), purpose)?;
        return Ok(Secret::new(format!("{}\n", key.text().expose())));
    }
    let mut lines = format!("site {site}\n");
    for (word, purpose) in Purpose::ALL {
        let key = master.derive(site.as_str(), purpose)?;
        lines.push_str(&format!("{word} {} {}\n", master.kid(), key.text().expose()));
    }
    Ok(Secret::new(lines))
}

fn write(to: &To, secret: &Secret) -> Exit {
    if to.print_secret {
        let mut data = Data::exact();
        data.write(format_args!("{}", secret.expose()));
        return data.finish().map_or_else(|error| fail(Exit::Failed, &error), |_| Exit::Complete);
    }
    let Some(path) = &to.out else { return Exit::Usage };
    match write_new(path, secret) {
        Ok(()) => {
            out::say(format_args!("written to {}, readable by its owner only", path.display()));
            Exit::Complete
        }
        Err(error) => fail(Exit::Failed, &format!("{}: cannot be written: {error}", path.display())),
    }
}

/// Never over a file that is there: it may be the only copy of a key in use.
fn write_new(path: &Path, secret: &Secret) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(secret.expose().as_bytes())?;
    file.sync_all()
}

fn fail(exit: Exit, reason: &dyn std::fmt::Display) -> Exit {
    out::say(reason);
    exit
}
