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

/// Reads `path` when it is not larger than `limit` bytes; `/dev/zero` must not fill the memory.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Content, Fault> {
    let fault = |error: std::io::Error| cannot_read(path, error.kind());
    let file = File::open(path).map_err(fault)?;
    let metadata = file.metadata().map_err(fault)?;
    if metadata.is_dir() {
        return Err(cannot_read(path, ErrorKind::IsADirectory));
    }
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
    }
}
