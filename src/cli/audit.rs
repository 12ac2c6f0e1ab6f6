//! `audit verify`: does the chain of these files hold?

use std::path::PathBuf;

use clap::Subcommand;

use super::Exit;
use super::out::{self, Data, plain};
use crate::audit::{self, Head, VerifyError};

#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Say where lines were cut, altered, removed, inserted or reordered. Exit code 3 when they were.
    Verify {
        /// A head remembered from earlier: it must be one of the lines. Without it, lines missing at the very end of the
        /// last file cannot be seen.
        #[arg(long, value_name = "HASH")]
        head: Option<Head>,
        /// The segments, oldest first, as the shell lists them.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

pub(super) fn audit(what: Audit) -> Exit {
    let Audit::Verify { head, files } = what;
    let verified = match audit::verify_files(&files, head) {
        Ok(verified) => verified,
        Err(error) => {
            out::say(plain(&error.to_string()));
            return if matches!(error, VerifyError::Unreadable(..)) { Exit::Failed } else { Exit::Partial };
        }
    };
    if verified.first > 1 {
        out::say(format_args!("begins at number {}: earlier segments were not given", verified.first));
    }
    match verified.behind_head {
        Some(behind) => out::say(format_args!("the remembered head is there, {behind} lines before the end")),
        None => out::say("lines missing at the very end cannot be seen without --head"),
    }
    let mut data = Data::exact();
    match verified.last {
        Some((seq, head)) => data.write(format_args!("good {} lines, last {seq}, head {head}\n", verified.lines)),
        None => data.write(format_args!("good 0 lines\n")),
    }
    match data.finish() {
        Ok(_) => Exit::Complete,
        Err(error) => {
            out::say(format_args!("the result could not be written: {error}"));
            Exit::Failed
        }
    }
}
