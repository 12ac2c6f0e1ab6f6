//! Reads the files that a configuration consists of or names: whole, up to a limit, with a plain reason when not.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use super::mistake::Fault;

/// A file's content, and whether somebody besides its owner may use it.
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    pub(crate) open_to_others: bool,
}

/// Reads `path` when it is a file and not larger than `limit` bytes. What is no file is not even opened: a pipe would
/// keep us until somebody writes into it, and a device may do anything.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Content, Fault> {
    let fault = |error: std::io::Error| cannot_read(path, error.kind());
    let metadata = std::fs::metadata(path).map_err(fault)?;
    if let Some(other) = other_than_file(&metadata) {
        return Err(Fault::new(format!("cannot read {}: {other}", path.display())));
    }
    let file = File::open(path).map_err(fault)?;
    let metadata = file.metadata().map_err(fault)?;
    let mut bytes = Vec::new();
    let size = file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(fault)?;
    if u64::try_from(size).is_ok_and(|size| size > limit) {
        let message = format!("{} is larger than {limit} bytes", path.display());
        return Err(Fault::new(message));
    }
    Ok(Content { bytes, open_to_others: is_open(&metadata) })
}

/// Like [`read`], for text.
pub(crate) fn read_text(path: &Path, limit: u64) -> Result<String, Fault> {
    String::from_utf8(read(path, limit)?.bytes).map_err(|_| Fault::new("not UTF-8").remedy("save the file as UTF-8"))
}

/// Why a file or folder could not be read. The reasons are ours: those of the system differ between systems.
pub(crate) fn cannot_read(path: &Path, kind: ErrorKind) -> Fault {
    let reason = match kind {
        ErrorKind::NotFound => "no such file",
        ErrorKind::PermissionDenied => "permission denied",
        ErrorKind::IsADirectory => "it is a directory",
        ErrorKind::NotADirectory => "not a directory",
        _ => "reading failed",
    };
    Fault::new(format!("cannot read {}: {reason}", path.display()))
}

/// What it is, if it is no file.
#[cfg(unix)]
fn other_than_file(metadata: &std::fs::Metadata) -> Option<&'static str> {
    use std::os::unix::fs::FileTypeExt;
    let kind = metadata.file_type();
    match () {
        () if kind.is_file() => None,
        () if kind.is_dir() => Some("it is a directory"),
        () if kind.is_fifo() => Some("it is a pipe (FIFO)"),
        () if kind.is_socket() => Some("it is a socket"),
        () => Some("it is a device"),
    }
}

#[cfg(not(unix))]
fn other_than_file(metadata: &std::fs::Metadata) -> Option<&'static str> {
    (!metadata.is_file()).then_some("it is no file")
}

#[cfg(unix)]
fn is_open(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata.mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn is_open(_: &std::fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        std::fs::write(&file, [b'x'; 10]).unwrap();
        assert_eq!(read(&file, 10).unwrap().bytes.len(), 10);
        let large = read(&file, 9).err().unwrap().message;
        assert!(large.ends_with("a is larger than 9 bytes"), "{large}");
        let missing = read(&folder.path().join("b"), 9).err().unwrap().message;
        assert!(missing.ends_with("b: no such file"), "{missing}");
        let inside = read(&file.join("b"), 9).err().unwrap().message;
        assert!(inside.ends_with("b: not a directory"), "{inside}");
        let directory = read(folder.path(), 9).err().unwrap().message;
        assert!(directory.ends_with(": it is a directory"), "{directory}");
        let device = read(Path::new("/dev/zero"), 9).err().unwrap().message;
        assert!(device.ends_with(": it is a device"), "{device}");
        // Opening it would wait for a writer, for ever.
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let refused = read(&pipe, 9).err().unwrap().message;
        assert!(refused.ends_with("pipe: it is a pipe (FIFO)"), "{refused}");
    }
}
