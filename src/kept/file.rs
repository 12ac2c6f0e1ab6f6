//! The file of last known rows: its form, how it is replaced, and how it is judged when it is read.
//!
//! Lines of JSON: a head with version and salt; for each site a record and then a line for each agent; at the end the
//! number of sites and the SHA-256 of everything before. It is written beside itself and renamed, so whoever reads finds
//! the old or the new one. A file without a right end, of another version, too large or with a line that is not ours is
//! used in no part.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::clock::Timestamp;
use crate::domain::SiteId;
use crate::inventory::{Complaints, Inventory, Recall};

/// Its name in `gateway.state_dir`.
pub(super) const NAME: &str = "last-known.jsonl";

const VERSION: u32 = 1;

/// Larger files are neither written nor read.
const LARGEST: u64 = 2 << 30;

/// No line of ours is longer: an agent with a hundred thousand modules has less.
const LONGEST_LINE: u64 = 4 << 20;

/// Of a text beside the rows.
const WARNING: usize = 1000;
const WARNINGS: usize = 20;

/// What digests of sites are made with.
pub(super) type Salt = [u8; 16];

#[derive(Serialize, Deserialize)]
struct Head {
    metaconsole: String,
    version: u32,
    salt: Salt,
}

#[derive(Serialize, Deserialize)]
struct Record {
    site: SiteId,
    /// Digest of its configuration.
    print: [u8; 32],
    /// When it was asked, in ms since 1970.
    as_of: i64,
    agents: usize,
    lost: usize,
    lost_first: Option<String>,
    warnings: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct End {
    sites: usize,
    sha256: [u8; 32],
}

/// What is kept of one site.
#[derive(Debug)]
pub(super) struct Rows<I> {
    pub(super) site: SiteId,
    pub(super) print: [u8; 32],
    pub(super) as_of: Timestamp,
    pub(super) warnings: Vec<String>,
    pub(super) inventory: I,
}

/// What a file says that can be used.
pub(super) type Whole = (Salt, Vec<Rows<Inventory>>);

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("it is no file")]
    NoFile,
    #[error("it is larger than {LARGEST} bytes")]
    Large,
    #[error("it was written by another version of this program")]
    Version,
    #[error("it is damaged: {0}")]
    Damaged(String),
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// Writes the file anew. Only its owner can read it.
pub(super) fn write(folder: &Path, salt: &Salt, sites: &[Rows<impl AsRef<Inventory>>]) -> io::Result<()> {
    private_folder(folder)?;
    let beside = folder.join(format!("{NAME}.new"));
    let written = write_beside(&beside, salt, sites).and_then(|()| fs::rename(&beside, folder.join(NAME)));
    if written.is_err() {
        // It would take the space that is missing.
        let _ = fs::remove_file(&beside);
    }
    written?;
    // A new name is durable only with its folder.
    File::open(folder)?.sync_all()
}

fn write_beside(path: &Path, salt: &Salt, sites: &[Rows<impl AsRef<Inventory>>]) -> io::Result<()> {
    // One that was left by a kill may be anything.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut to = Hashed { to: BufWriter::new(private(path)?), hash: Sha256::new(), length: 0 };
    to.line(&Head { metaconsole: "last_known".to_owned(), version: VERSION, salt: *salt })?;
    for Rows { site, print, as_of, warnings, inventory } in sites {
        let inventory = inventory.as_ref();
        let Complaints { rows: lost, first } = inventory.complaints();
        let short = |text: &String| text.chars().take(WARNING).collect();
        to.line(&Record {
            site: site.clone(),
            print: *print,
            as_of: as_of.as_millis(),
            agents: inventory.len(),
            lost: *lost,
            lost_first: first.as_ref().map(short),
            warnings: warnings.iter().take(WARNINGS).map(short).collect(),
        })?;
        inventory.write_lines(&mut to)?;
    }
    let sha256 = to.hash.clone().finalize().into();
    to.line(&End { sites: sites.len(), sha256 })?;
    to.to.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// Reads the file: its salt, and the rows of each site that `wanted` wants by salt, site, digest and time, for at most
/// so many agents. `None`: there is none.
pub(super) fn read(
    folder: &Path,
    mut wanted: impl FnMut(&Salt, &SiteId, &[u8; 32], Timestamp) -> Option<usize>,
) -> Result<Option<Whole>, Unusable> {
    let path = folder.join(NAME);
    let metadata = match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        metadata => metadata?,
    };
    if !metadata.is_file() {
        return Err(Unusable::NoFile);
    }
    if metadata.len() > LARGEST {
        return Err(Unusable::Large);
    }
    let mut lines = Lines { from: BufReader::new(File::open(&path)?), line: Vec::new(), hash: Sha256::new() };
    let head: Head = lines.next()?;
    if head.metaconsole != "last_known" || head.version != VERSION {
        return Err(Unusable::Version);
    }
    let mut sites = Vec::new();
    for number in 0_usize.. {
        let before = lines.hash.clone();
        let line = lines.raw()?;
        if let Ok(End { sites: told, sha256 }) = serde_json::from_slice(line) {
            let ends = told == number && sha256 == <[u8; 32]>::from(before.finalize()) && lines.at_end()?;
            return if ends { Ok(Some((head.salt, sites))) } else { Err(damaged(&"its end is not right")) };
        }
        let record: Record = serde_json::from_slice(line).map_err(|error| damaged(&error))?;
        let as_of = Timestamp::from_millis(record.as_of);
        let most = wanted(&head.salt, &record.site, &record.print, as_of).filter(|most| record.agents <= *most);
        sites.extend(rows(record, as_of, most, &mut lines)?);
    }
    Err(damaged(&"it has no end"))
}

fn rows(
    record: Record,
    as_of: Timestamp,
    most: Option<usize>,
    lines: &mut Lines,
) -> Result<Option<Rows<Inventory>>, Unusable> {
    let Some(most) = most else {
        for _ in 0..record.agents {
            lines.raw()?;
        }
        return Ok(None);
    };
    let mut recall = Recall::new(most);
    for _ in 0..record.agents {
        recall.line(lines.raw()?).map_err(|error| damaged(&error))?;
    }
    let complaints = Complaints { rows: record.lost, first: record.lost_first };
    let inventory = recall.finish(complaints).map_err(|error| damaged(&error))?;
    let Record { site, print, warnings, .. } = record;
    Ok(Some(Rows { site, print, as_of, warnings, inventory }))
}

/// Takes the file away, and what a kill has left beside it. Whether there was one.
pub(super) fn remove(folder: &Path) -> io::Result<bool> {
    let gone = |name: PathBuf| match fs::remove_file(name) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    };
    let beside = gone(folder.join(format!("{NAME}.new")))?;
    Ok(gone(folder.join(NAME))? || beside)
}

fn damaged(why: &dyn std::fmt::Display) -> Unusable {
    Unusable::Damaged(why.to_string())
}

struct Hashed {
    to: BufWriter<File>,
    hash: Sha256,
    length: u64,
}

impl Hashed {
    fn line(&mut self, record: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut *self, record)?;
        self.write_all(b"\n")
    }
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.length += bytes.len() as u64;
        if self.length > LARGEST {
            return Err(io::Error::other(format!("it would be larger than {LARGEST} bytes")));
        }
        self.hash.update(bytes);
        self.to.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

struct Lines {
    from: BufReader<File>,
    line: Vec<u8>,
    hash: Sha256,
}

impl Lines {
    fn raw(&mut self) -> Result<&[u8], Unusable> {
        self.line.clear();
        let mut from = (&mut self.from).take(LONGEST_LINE);
        from.read_until(b'\n', &mut self.line)?;
        if self.line.last() != Some(&b'\n') {
            return Err(damaged(&"it ends in the middle, or a line is too long"));
        }
        self.hash.update(&self.line);
        Ok(&self.line)
    }

    fn next<T: for<'de> Deserialize<'de>>(&mut self) -> Result<T, Unusable> {
        serde_json::from_slice(self.raw()?).map_err(|error| damaged(&error))
    }

    fn at_end(&mut self) -> io::Result<bool> {
        Ok(self.from.fill_buf()?.is_empty())
    }
}

#[cfg(unix)]
fn private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::Status;
    use crate::inventory::{AgentText, Builder, Visible};

    const SALT: Salt = [7; 16];

    fn rows(site: &str, agents: u32) -> Rows<Arc<Inventory>> {
        let mut builder = Builder::new(100);
        for id in 0..agents {
            let (id, alias) = (id.to_string(), format!("{site} \"{id}\" Ñ"));
            let agent = builder.agent(AgentText { id: &id, alias: &alias, name: "", address: "", system: "" }).unwrap();
            builder.module(agent, 1, Status::Warning, 1000).unwrap();
        }
        builder.complain(|| "a row".to_owned());
        let inventory = Arc::new(builder.finish(|_| None).unwrap());
        let as_of = Timestamp::from_millis(1_795_404_681_123);
        Rows { site: site.parse().unwrap(), print: [3; 32], as_of, warnings: vec!["slow".to_owned()], inventory }
    }

    fn everything(folder: &Path) -> Result<Option<Whole>, Unusable> {
        read(folder, |_, _, _, _| Some(100))
    }

    #[test]
    fn what_is_written_is_read_and_only_what_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("state");
        assert!(everything(&inside).unwrap().is_none());
        write(&inside, &SALT, &[rows("a", 3), rows("b", 2)]).unwrap();
        let (salt, sites) = everything(&inside).unwrap().unwrap();
        assert_eq!((salt, sites.len()), (SALT, 2));
        let (a, before) = (&sites[0], rows("a", 3));
        assert_eq!((a.as_of, &a.warnings, a.inventory.len()), (before.as_of, &before.warnings, 3));
        assert_eq!(a.inventory.complaints(), before.inventory.complaints());
        assert_eq!(a.inventory.agent("2", &Visible::All), before.inventory.agent("2", &Visible::All));
        let (_, sites) = read(&inside, |_, site, _, _| (site.as_str() == "b").then_some(100)).unwrap().unwrap();
        assert_eq!(sites.iter().map(|rows| rows.site.as_str()).collect::<Vec<_>>(), ["b"]);
        let (_, few) = read(&inside, |_, _, _, _| Some(2)).unwrap().unwrap();
        assert_eq!(few.len(), 1, "more agents than the site may have");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(inside.join(NAME)).unwrap().permissions().mode() & 0o777, 0o600);
        }
        // Again, over what a kill has left.
        fs::write(inside.join(format!("{NAME}.new")), "half").unwrap();
        write(&inside, &SALT, &[rows("a", 1)]).unwrap();
        assert_eq!(everything(&inside).unwrap().unwrap().1.len(), 1);
        assert!(remove(&inside).unwrap() && !remove(&inside).unwrap());
        assert_eq!(fs::read_dir(&inside).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_was_cut_or_changed_anywhere_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        write(folder.path(), &SALT, &[rows("a", 2), rows("b", 1)]).unwrap();
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(everything(folder.path()).is_err(), "cut at {cut}");
        }
        for at in 0..whole.len() {
            let mut other = whole.clone();
            other[at] ^= 1;
            fs::write(&path, &other).unwrap();
            assert!(everything(folder.path()).is_err(), "changed at {at}");
        }
        for more in [&b"{}\n"[..], b"\n", b"x"] {
            fs::write(&path, [whole.as_slice(), more].concat()).unwrap();
            assert!(everything(folder.path()).is_err(), "more behind its end");
        }
    }

    #[test]
    fn what_is_no_file_or_hostile_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        fs::create_dir(&path).unwrap();
        assert!(matches!(everything(folder.path()), Err(Unusable::NoFile)));
        fs::remove_dir(&path).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        assert!(matches!(everything(folder.path()), Err(Unusable::NoFile)));
        fs::remove_file(&path).unwrap();
        // A sparse file costs nothing and says that it is huge.
        File::create(&path).unwrap().set_len(LARGEST + 1).unwrap();
        assert!(matches!(everything(folder.path()), Err(Unusable::Large)));
        // One endless line.
        File::create(&path).unwrap().set_len(LONGEST_LINE * 4).unwrap();
        assert!(matches!(everything(folder.path()), Err(Unusable::Damaged(_))));
        let head = |version| format!("{{\"metaconsole\":\"last_known\",\"version\":{version},\"salt\":{:?}}}\n", SALT);
        fs::write(&path, head(2)).unwrap();
        assert!(matches!(everything(folder.path()), Err(Unusable::Version)));
        let many =
            "{\"site\":\"a\",\"print\":[0],\"as_of\":0,\"agents\":18446744073709551615,\"lost\":0,\"warnings\":[]}\n";
        fs::write(&path, head(1) + many).unwrap();
        assert!(matches!(everything(folder.path()), Err(Unusable::Damaged(_))));
    }
}
