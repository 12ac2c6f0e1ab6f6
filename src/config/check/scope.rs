//! Where a check stands (file, site, line), and where it tells mistakes to.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Environment;
use crate::config::mistake::{Fault, Mistake};
use crate::config::node::Place;

/// A file, perhaps a site in it, and what every check needs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Scope<'a> {
    file: Arc<Path>,
    site: Option<Arc<str>>,
    pub(crate) environment: Environment<'a>,
    notes: &'a Notes,
}

/// What checks leave behind besides values.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) mistakes: RefCell<Vec<Mistake>>,
    /// Files that hold a value: secrets and certificates, whether they could be read or not.
    pub(crate) named: RefCell<BTreeSet<PathBuf>>,
}

impl<'a> Scope<'a> {
    /// The scope of a whole file.
    pub(crate) fn of_file(file: &Path, environment: Environment<'a>, notes: &'a Notes) -> Self {
        Self { file: file.into(), site: None, environment, notes }
    }

    /// Another file of the same configuration.
    pub(crate) fn of_other_file(&self, file: &Path) -> Self {
        Self::of_file(file, self.environment, self.notes)
    }

    /// The same file, inside a site.
    pub(crate) fn of_site(&self, name: &str) -> Self {
        Self { site: Some(name.into()), ..self.clone() }
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// The folder that relative paths start from.
    pub(crate) fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    /// The site's name in messages.
    pub(crate) fn site(&self) -> Option<&str> {
        self.site.as_deref()
    }

    /// Remembers a file that holds a value.
    pub(crate) fn name(&self, file: PathBuf) {
        self.notes.named.borrow_mut().insert(file);
    }

    pub(crate) fn tell(&self, place: Place, fault: Fault) {
        self.notes.mistakes.borrow_mut().push(Mistake {
            file: self.file.to_path_buf(),
            line: place.line,
            column: place.column,
            site: self.site.as_deref().map(str::to_owned),
            message: fault.message,
            remedy: fault.remedy,
        });
    }
}

/// A value and where it was written, for checks that compare several.
#[derive(Clone)]
pub(crate) struct Placed<'a, T> {
    pub(crate) value: T,
    pub(crate) scope: Scope<'a>,
    pub(crate) place: Place,
}

impl<T> Placed<'_, T> {
    /// Tells a mistake at this value.
    pub(crate) fn tell(&self, fault: Fault) {
        self.scope.tell(self.place, fault);
    }

    /// `sites.yaml:12`, for a message about another place.
    pub(crate) fn line(&self) -> String {
        format!("{}:{}", self.scope.file.display(), self.place.line)
    }
}
