//! The real program, run against a configuration of the test's own.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;

/// A configuration in a folder of its own, with the demo's token beside it.
pub(crate) struct Config {
    folder: TempDir,
}

/// What a run gave.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Config {
    /// With this text; `file:token` is the demo's token, `file:password` and `file:api-password` its other secrets.
    pub(crate) fn new(yaml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("sites.yaml", yaml),
            ("token", "demo-token-read-only"),
            ("password", "demo-password"),
            ("api-password", "demo-api-password"),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self { folder }
    }

    /// One site per (id, root), each with the demo's token.
    pub(crate) fn sites<'a>(sites: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        let mut yaml = String::from("sites:\n");
        for (id, url) in sites {
            yaml.push_str(&format!("  - {{id: {id}, url: \"{url}\", credentials: {{token: \"file:token\"}}}}\n"));
        }
        Self::new(&yaml)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("sites.yaml")
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        std::fs::write(self.folder.path().join(name), content).unwrap();
    }

    /// Runs `metaconsole COMMAND --config … REST`.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Output {
        let (command, rest) = arguments.split_first().unwrap();
        let output = self.command(command).args(rest).output().await.unwrap();
        Output {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The program, ready to be run with more arguments.
    pub(crate) fn command(&self, command: &str) -> tokio::process::Command {
        let mut program = program(self.folder.path());
        program.arg(command).arg("--config").arg(self.path());
        program
    }
}

/// The program in a folder, without the environment's own settings.
pub(crate) fn program(folder: &Path) -> tokio::process::Command {
    let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_metaconsole"));
    for setting in
        ["METACONSOLE_CONFIG", "METACONSOLE_LOG", "METACONSOLE_LOG_FORMAT", "METACONSOLE_GATEWAY", "METACONSOLE_TOKEN"]
    {
        program.env_remove(setting);
    }
    program.current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    program
}
