//! `audit_file`: one line of JSON for each decision. It may be renamed while we write; then a new one is begun.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::verifier::{Journal, Note, Unwritten};

/// The file.
pub(super) struct ToFile {
    path: PathBuf,
    file: Mutex<File>,
}

impl ToFile {
    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: Mutex::new(appended(path)?) })
    }
}

fn appended(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

impl Journal for ToFile {
    fn write(&self, note: &Note) -> Result<(), Unwritten> {
        let mut line = serde_json::to_vec(note).map_err(|_| Unwritten)?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = moved(&file, &self.path).and_then(|moved| {
            if moved {
                *file = appended(&self.path)?;
            }
            // One call, so that lines of several processes do not mix.
            file.write_all(&line)
        });
        written.map_err(|error| {
            tracing::error!(%error, path = %self.path.display(), "a decision cannot be written down");
            Unwritten
        })
    }
}

/// Whether the name means another file by now, as after a rotation.
fn moved(file: &File, path: &Path) -> std::io::Result<bool> {
    let own = file.metadata()?;
    Ok(std::fs::metadata(path).map_or(true, |there| (there.dev(), there.ino()) != (own.dev(), own.ino())))
}
