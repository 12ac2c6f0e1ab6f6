//! The few calls of the file system that the log makes, behind a trait, so that tests can let each of them fail.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A segment that is written.
pub(super) trait Segment: Send {
    /// Appends all of it.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// What was written is on the disk when this returns.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts off what stands behind.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

/// The folder of the segments.
pub(super) trait Disk: Send {
    /// Opens for appending; makes it when it is not there.
    fn open(&self, name: &str) -> io::Result<Box<dyn Segment>>;
}

/// The real one.
#[derive(Debug)]
pub(super) struct Folder(pub(super) PathBuf);

impl Disk for Folder {
    fn open(&self, name: &str) -> io::Result<Box<dyn Segment>> {
        let file = private(&self.0.join(name))?;
        // A new name is durable only with its folder.
        File::open(&self.0)?.sync_all()?;
        Ok(Box::new(file))
    }
}

impl Segment for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

/// A file that only its owner reads, for appending.
pub(super) fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// A folder that only its owner enters.
pub(super) fn private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}
