//! Random ids, digests, and the key of sessions: 32 bytes in a file of our own, one derived key for each purpose.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use hkdf::Hkdf;
use sha2::{Digest as _, Sha256};

use crate::secret::Secret;

/// The salt of every key that is derived here and for openings (`delegation.md`, section 2).
const SALT: &[u8] = b"metaconsole-delegation-v1";

/// The file of the master in `state_dir`, when the configuration names none.
const FILE: &str = "session-key";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The folder or file cannot be used.
    #[error("cannot use {file}: {source}; make `gateway.state_dir` a folder that only this program's user can write")]
    Io {
        /// Which.
        file: String,
        /// Why not.
        source: io::Error,
    },
    /// Others could sign sessions.
    #[error("{0} is open to group or others; run `chmod 600` on it")]
    Open(String),
    /// Too short to be ours.
    #[error("{0} is no key of 64 hexadecimal digits; remove it for a new one (everybody logs in again)")]
    Damaged(String),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

/// What all keys of sessions come from.
pub struct Master(Vec<u8>);

impl std::fmt::Debug for Master {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Master(***)")
    }
}

impl Master {
    /// The one of the configuration, or the one in this folder, made when it is not there.
    ///
    /// # Errors
    /// When there is none that others do not know too.
    pub fn load(said: Option<&Secret>, folder: &Path) -> Result<Self, KeyError> {
        match said {
            Some(secret) => Ok(Self(secret.expose().as_bytes().to_vec())),
            None => Self::of_folder(folder),
        }
    }

    /// From the bytes themselves.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    fn of_folder(folder: &Path) -> Result<Self, KeyError> {
        let path = folder.join(FILE);
        let shown = path.display().to_string();
        let io = |source| KeyError::Io { file: shown.clone(), source };
        match fs::symlink_metadata(&path) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(folder, &path, &io)?,
            Err(error) => return Err(io(error)),
        }
        let file = File::open(&path).map_err(io)?;
        if is_open_to_others(&file.metadata().map_err(io)?) {
            return Err(KeyError::Open(shown));
        }
        let mut text = String::new();
        file.take(1024).read_to_string(&mut text).map_err(io)?;
        let text = text.trim_end();
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(KeyError::Damaged(shown));
        }
        Ok(Self(text.as_bytes().to_vec()))
    }

    /// Names the key in a cookie, so that one of an earlier key is known as such. Tells nothing of the key.
    pub fn kid(&self) -> String {
        digest(&format!("{:x?}", self.derived("kid"))).chars().take(8).collect()
    }

    /// The key for one purpose.
    pub fn derived(&self, info: &str) -> [u8; 32] {
        let mut key = [0; 32];
        // Refused only for keys above 8,160 bytes.
        let _ = Hkdf::<Sha256>::new(Some(SALT), &self.0).expand(info.as_bytes(), &mut key);
        key
    }
}

/// Written whole beside its place and moved there, so that a crash leaves none or a whole one.
fn make(folder: &Path, path: &Path, io: &impl Fn(io::Error) -> KeyError) -> Result<(), KeyError> {
    let beside = folder.join(format!("{FILE}.{}", random_id().map_err(KeyError::Random)?));
    let text = hex(&random::<32>().map_err(KeyError::Random)?);
    let mut file = private(&beside).map_err(io)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    // A link is refused where the file is there already; renaming would replace another process's key.
    let kept = written.and_then(|()| fs::hard_link(&beside, path));
    let _ = fs::remove_file(&beside);
    match kept {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        kept => kept.and_then(|()| sync_folder(folder)).map_err(io),
    }
}

/// A new file that only we can read.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

/// Makes sure that the file is there and only ours; an existing one stays as it is.
pub(super) fn private_file(path: &Path) -> io::Result<()> {
    match private(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(|_| ()),
    }
}

/// A folder for our state; a new one is closed to others.
pub(super) fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(path)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(unix)]
fn is_open_to_others(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    metadata.mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn is_open_to_others(_: &fs::Metadata) -> bool {
    false
}

/// SHA-256 of a text in hexadecimal digits.
pub fn digest(text: &str) -> String {
    hex(&sha256(text))
}

/// SHA-256 of a text.
pub fn sha256(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes of hexadecimal digits.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let is_hex = text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let pairs = text.as_bytes().chunks(2).filter(|_| is_hex).map(|pair| std::str::from_utf8(pair).ok());
    let bytes: Option<Vec<u8>> = pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect();
    bytes.filter(|_| is_hex)
}

pub(super) fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// 128 random bits in hexadecimal digits.
///
/// # Errors
/// When the system gives none.
pub fn random_id() -> Result<String, getrandom::Error> {
    random::<16>().map(|bytes| hex(&bytes))
}

/// An API token: 256 random bits behind a word that scanners of leaked secrets can look for.
///
/// # Errors
/// When the system gives no random numbers.
pub fn random_token() -> Result<Secret, getrandom::Error> {
    random::<32>().map(|bytes| Secret::new(format!("mct_{}", hex(&bytes))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_key_is_made_once_for_its_owner_alone_and_an_open_or_damaged_one_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let first = Master::load(None, folder.path()).unwrap();
        let again = Master::load(None, folder.path()).unwrap();
        assert_eq!((first.derived("a"), first.kid()), (again.derived("a"), again.kid()));
        assert_ne!(first.derived("a"), first.derived("b"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        let path = folder.path().join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        assert!(!format!("{first:?}").contains(&text));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Master::load(None, folder.path()), Err(KeyError::Open(_))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for bad in ["", "00", &"g".repeat(64), &"0".repeat(65)] {
            fs::write(&path, bad).unwrap();
            assert!(matches!(Master::load(None, folder.path()), Err(KeyError::Damaged(_))), "{bad}");
        }
        assert!(matches!(Master::load(None, &folder.path().join("not")), Err(KeyError::Io { .. })));
    }
}
