//! Notices that a file of the configuration may have changed, however it was replaced.
//!
//! Folders are watched, not files: an editor that writes a new file and renames it, a file that is deleted and made
//! again, and the symbolic link that Kubernetes turns to another folder all leave the folder in place.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::aside::{self, Hangs};
use crate::clock::Deadline;

/// A change is complete when nothing happened for so long.
const QUIET: Duration = Duration::from_millis(300);

/// Something that changes all the time is looked at even so.
const LONGEST: Duration = Duration::from_secs(3);

/// What belongs to a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Files {
    folders: BTreeSet<PathBuf>,
    names: BTreeSet<OsString>,
}

impl Files {
    /// The main file, those of `sites.d`, and what they name.
    pub(super) fn of(main: &Path, others: &[PathBuf]) -> Self {
        let mut files = Self::default();
        files.add(main);
        files.folders.insert(folder(main).join("sites.d"));
        others.iter().for_each(|other| files.add(other));
        files
    }

    fn add(&mut self, file: &Path) {
        // Where it is said to be, and where it lies when that is a link.
        for file in [Some(file.to_path_buf()), file.canonicalize().ok()].into_iter().flatten() {
            self.folders.insert(folder(&file));
            self.names.extend(file.file_name().map(OsString::from));
        }
    }

    /// Logs, editors' own files and the like may stand in the same folders.
    fn concern(&self, event: &Event) -> bool {
        // Reading is no change; we read the files ourselves.
        let changes = !matches!(event.kind, EventKind::Access(_));
        changes && (event.need_rescan() || event.paths.iter().any(|path| self.is_part(path)))
    }

    fn is_part(&self, path: &Path) -> bool {
        let Some(name) = path.file_name() else { return true };
        let of_sites_d = || {
            let inside = path.parent().and_then(Path::file_name).is_some_and(|folder| folder == "sites.d");
            inside && path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
        };
        // Kubernetes: `..data` is the link that turns.
        let of_kubelet = || name.as_encoded_bytes().starts_with(b"..");
        name == "sites.d" || self.names.contains(name) || of_kubelet() || of_sites_d()
    }
}

fn folder(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// Watches the files of a configuration.
#[derive(Debug)]
pub(super) struct Watch {
    changed: Arc<Notify>,
    /// Kept: it ends when it is dropped.
    watcher: Option<RecommendedWatcher>,
    /// Told already.
    unwatched: BTreeSet<PathBuf>,
}

impl Watch {
    /// Watches nothing yet.
    pub(super) fn new() -> Self {
        Self { changed: Arc::new(Notify::new()), watcher: None, unwatched: BTreeSet::new() }
    }

    /// Watches these from now on. Folders are looked up anew, for one that was made again is another one.
    ///
    /// # Errors
    /// A file system hangs; what was watched before still is.
    pub(super) async fn on(&mut self, main: PathBuf, others: Vec<PathBuf>) -> Result<Files, Hangs> {
        let changed = Arc::clone(&self.changed);
        let (files, watched) = aside::run(move || {
            let files = Files::of(&main, &others);
            let watched = try_on(&files, changed);
            (files, watched)
        })
        .await?;
        match watched {
            Ok((watcher, unwatched)) => {
                self.watcher = Some(watcher);
                self.tell(unwatched);
            }
            Err(error) => {
                tracing::warn!(%error, "changes of the configuration cannot be noticed; send SIGHUP after each");
                self.watcher = None;
            }
        }
        Ok(files)
    }

    /// Each folder that cannot be watched is told once, until it can be again.
    fn tell(&mut self, unwatched: BTreeMap<PathBuf, notify::Error>) {
        for (folder, error) in unwatched.iter().filter(|(folder, _)| !self.unwatched.contains(*folder)) {
            let folder = folder.display();
            tracing::warn!(%error, "changes in {folder} cannot be noticed, others are; send SIGHUP after each there");
        }
        self.unwatched = unwatched.into_keys().collect();
    }

    /// As if something had changed.
    pub(super) fn again(&self) {
        self.changed.notify_one();
    }

    /// Until something has changed and is quiet again.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
        let last = Deadline::after(LONGEST);
        while !last.remaining().is_zero() && timeout(QUIET, self.changed.notified()).await.is_ok() {}
    }
}

fn try_on(
    files: &Files,
    changed: Arc<Notify>,
) -> notify::Result<(RecommendedWatcher, BTreeMap<PathBuf, notify::Error>)> {
    let concerned = files.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        // What could not be told may have been a change.
        if event.map_or(true, |event| concerned.concern(&event)) {
            changed.notify_one();
        }
    })?;
    let folders = files.folders.iter().filter(|folder| folder.is_dir());
    let unwatched = each(folders, |folder| watcher.watch(folder, RecursiveMode::NonRecursive));
    Ok((watcher, unwatched))
}

/// Watches each of these folders; those that cannot be do not keep it from the others.
fn each<'a>(
    folders: impl Iterator<Item = &'a PathBuf>,
    mut watch: impl FnMut(&Path) -> notify::Result<()>,
) -> BTreeMap<PathBuf, notify::Error> {
    folders.filter_map(|folder| watch(folder).err().map(|error| (folder.clone(), error))).collect()
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, AccessMode, CreateKind};

    use super::*;

    fn created(path: &str) -> Event {
        Event::new(EventKind::Create(CreateKind::File)).add_path(path.into())
    }

    #[test]
    fn only_files_of_the_configuration_concern() {
        let files = Files::of(Path::new("/etc/mc/sites.yaml"), &["/run/secrets/madrid".into()]);
        for path in ["/etc/mc/sites.yaml", "/etc/mc/sites.d", "/etc/mc/sites.d/x.yaml", "/etc/mc/..data"] {
            assert!(files.concern(&created(path)), "{path}");
        }
        assert!(files.concern(&created("/run/secrets/madrid")));
        for path in ["/etc/mc/gateway.log", "/etc/mc/.sites.yaml.swp", "/etc/mc/sites.d/.x.yaml.swp"] {
            assert!(!files.concern(&created(path)), "{path}");
        }
        let read = Event::new(EventKind::Access(AccessKind::Close(AccessMode::Read)));
        assert!(!files.concern(&read.add_path("/etc/mc/sites.yaml".into())));
    }

    #[test]
    fn a_folder_that_cannot_be_watched_does_not_hide_the_others() {
        let folders = ["/a", "/b", "/c"].map(PathBuf::from);
        let mut tried = Vec::new();
        let unwatched = each(folders.iter(), |folder| {
            tried.push(folder.to_path_buf());
            if folder == Path::new("/b") { Err(notify::Error::generic("no")) } else { Ok(()) }
        });
        assert_eq!((tried, unwatched.into_keys().collect()), (folders.to_vec(), vec![PathBuf::from("/b")]));
    }

    #[test]
    fn a_file_without_a_folder_lies_in_this_one() {
        assert_eq!(folder(Path::new("sites.yaml")), Path::new("."));
    }
}
