//! `password`: the hash of a password, or a new API token with its hash, for `access` in the configuration.
//!
//! A password is typed twice without being shown, or is the first line of what is piped in. The hash goes to stdout alone.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use super::out::{self, Data};
use super::{Exit, PasswordArgs};
use crate::access::password::hash;
use crate::access::secrets::{digest, random_token};
use crate::secret::Secret;

/// A line that is longer is no password.
const MOST_BYTES: u64 = 4096;

pub(super) fn password(args: PasswordArgs) -> Exit {
    if args.totp {
        out::say("a second factor is not in this version; leave --totp");
        return Exit::Usage;
    }
    if args.api_token {
        return api_token();
    }
    let password = match typed() {
        Ok(Some(password)) => password,
        Ok(None) => {
            out::say("the two passwords differ; begin again");
            return Exit::Usage;
        }
        Err(error) => {
            out::say(format_args!("the password cannot be read: {error}"));
            return Exit::Failed;
        }
    };
    match hash(&password) {
        Ok(hash) => told(format_args!("{}\n", hash.expose())),
        Err(unfit) => {
            out::say(unfit);
            Exit::Usage
        }
    }
}

/// As typed; `None` when the second time differs from the first.
fn typed() -> io::Result<Option<Secret>> {
    if !io::stdin().is_terminal() {
        let mut line = String::new();
        io::stdin().lock().take(MOST_BYTES).read_line(&mut line)?;
        let line = line.strip_suffix('\n').unwrap_or(&line);
        return Ok(Some(Secret::new(line.strip_suffix('\r').unwrap_or(line))));
    }
    let first = rpassword::prompt_password("Password: ")?;
    let second = rpassword::prompt_password("Again: ")?;
    Ok((first == second).then(|| Secret::new(first)))
}

fn api_token() -> Exit {
    let token = match random_token() {
        Ok(token) => token,
        Err(error) => {
            out::say(format_args!("the system gives no random numbers: {error}"));
            return Exit::Failed;
        }
    };
    let hash = digest(token.expose());
    told(format_args!("token: {}\nhash: sha256:{hash}\n", token.expose()))
}

fn told(line: std::fmt::Arguments<'_>) -> Exit {
    let mut data = Data::exact();
    data.write(line);
    match data.finish() {
        Ok(_) => Exit::Complete,
        Err(error) => {
            out::say(format_args!("the answer could not be written: {error}"));
            Exit::Failed
        }
    }
}
