//! Reads the files and checks them whole. Every check tells its mistakes and goes on.

mod access;
mod address;
mod credentials;
mod delegation;
mod fields;
mod gate;
mod gateway;
mod reach;
mod scope;
mod shared;
mod site;
mod tls;
mod values;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::mistake::{Fault, Mistakes};
use super::node::{self, Node, Place, Value};
use super::{Config, Environment, Site, files};
use crate::domain::SiteId;

use fields::{Fields, Keys};
use gateway::Surroundings;
use scope::{Notes, Placed, Scope};
use shared::Shared;

pub(super) use address::same_host;
pub use delegation::folded;
pub use gate::load_gate;
pub(super) use values::{Span, duration};

/// A thousand sites take less than one.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

const FILE_KEYS: Keys = Keys { known: &["gateway", "defaults", "sites", "access"], refused: &[], secret: false };

/// Keys of a file in `sites.d`.
const MORE_SITES_KEYS: Keys = Keys {
    known: &["sites"],
    refused: &[
        ("gateway", "`gateway` belongs into the main file", "move it there"),
        ("defaults", "`defaults` belongs into the main file", "move it there"),
        ("access", "`access` belongs into the main file", "move it there"),
    ],
    secret: false,
};

/// A file that could be parsed.
struct Tree<'a> {
    scope: Scope<'a>,
    root: Node,
}

/// Reads `path`, the `sites.d/*.yaml` beside it and every secret they name.
///
/// # Errors
/// Every mistake of all files at once.
pub fn load(path: &Path, environment: Environment<'_>) -> Result<Config, Mistakes> {
    let notes = Notes::default();
    let config = read_all(&Scope::of_file(path, environment, &notes));
    let named = notes.named.into_inner().into_iter().collect();
    match (config, notes.mistakes.into_inner()) {
        (Some(config), mistakes) if mistakes.is_empty() => Ok(Config { named, ..config }),
        (_, mistakes) => Err(Mistakes::sorted(mistakes)),
    }
}

fn read_all(main: &Scope<'_>) -> Option<Config> {
    let (main, others) = read_trees(main)?;
    let fields = Fields::open(&main.scope, &main.root, &FILE_KEYS)?;
    let (gateway, surroundings) = gateway::read(&section(&fields, "gateway", &gateway::KEYS));
    let defaults = shared::read(&section(&fields, "defaults", &shared::DEFAULTS_KEYS));

    let mut sites = read_sites(&fields, &defaults, &surroundings);
    for other in &others {
        let fields = Fields::open(&other.scope, &other.root, &MORE_SITES_KEYS);
        let more = fields.map(|fields| read_sites(&fields, &defaults, &surroundings));
        sites.extend(more.unwrap_or_default());
    }
    let says_none = !fields.has("sites") || fields.items("sites").is_some_and(<[Node]>::is_empty);
    if sites.is_empty() && says_none {
        let fault = Fault::new("no sites").remedy("write at least one below `sites:`");
        fields.tell("sites", fault);
    }
    tell_repeated_ids(&sites);
    let people = section(&fields, "access", &access::KEYS);
    let known: Option<Vec<&str>> = sites.iter().map(|read| Some(read.id.as_ref()?.value.as_str())).collect();
    let access = access::read(&people, known.as_deref());
    access::check_gateway(&people, &access, gateway.as_ref());

    let files = std::iter::once(&main).chain(&others);
    Some(Config {
        gateway: gateway?,
        sites: sites.into_iter().map(|read| read.site).collect::<Option<Vec<Site>>>()?,
        access,
        files: files.map(|tree| tree.scope.file().to_path_buf()).collect(),
        named: Vec::new(),
    })
}

/// A section, or an empty one in its place.
fn section<'a>(fields: &Fields<'a>, key: &str, keys: &Keys) -> Fields<'a> {
    fields.map(key, keys).unwrap_or_else(|| fields.without_entries())
}

fn read_sites<'a>(fields: &Fields<'a>, defaults: &Shared<'a>, surroundings: &Surroundings<'a>) -> Vec<site::Read<'a>> {
    let nodes = fields.items("sites").unwrap_or_default();
    let read = |(number, node)| site::read(&fields.scope, node, number, defaults, surroundings);
    (1..).zip(nodes).map(read).collect()
}

fn tell_repeated_ids(sites: &[site::Read<'_>]) {
    let mut first: HashMap<&SiteId, &Placed<'_, SiteId>> = HashMap::new();
    for id in sites.iter().filter_map(|read| read.id.as_ref()) {
        if let Some(earlier) = first.get(&id.value) {
            let message = format!("the id is already used at {}", earlier.line());
            id.tell(Fault::new(message).remedy("give every site an id of its own"));
        } else {
            first.insert(&id.value, id);
        }
    }
}

/// The main file and those of `sites.d`. Without the main one the others cannot be judged.
fn read_trees<'a>(main: &Scope<'a>) -> Option<(Tree<'a>, Vec<Tree<'a>>)> {
    let tree = read_tree(main)?;
    let others = more_files(main);
    let others = others.iter().filter_map(|path| read_tree(&main.of_other_file(path)));
    Some((tree, others.collect()))
}

fn read_tree<'a>(scope: &Scope<'a>) -> Option<Tree<'a>> {
    let text = files::read_text(scope.file(), MAX_FILE_BYTES);
    let another = |fault: Fault| match fault.remedy {
        None => fault.remedy("name another file with --config"),
        Some(_) => fault,
    };
    let text = text.map_err(|fault| scope.tell(Place::FILE, another(fault))).ok()?;
    let root = node::read(&text);
    let root = root.map_err(|(place, fault)| scope.tell(place, fault)).ok()?;
    if matches!(root.value, Value::Empty) {
        let fault = Fault::new("the file is empty").remedy("write at least one site below `sites:`");
        scope.tell(Place::FILE, fault);
        return None;
    }
    Some(Tree { scope: scope.clone(), root })
}

/// `sites.d/*.yaml` beside the main file, by name. Hidden files are those of editors.
fn more_files(main: &Scope<'_>) -> Vec<PathBuf> {
    let folder = main.folder().join("sites.d");
    let names = match file_names(&folder) {
        Ok(names) => names,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            main.tell(Place::FILE, files::cannot_read(&folder, error.kind()));
            Vec::new()
        }
    };
    let mut paths: Vec<PathBuf> = Vec::new();
    for path in names.into_iter().map(|name| folder.join(name)) {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("yaml") => paths.push(path),
            Some("yml") => {
                let fault = Fault::new("files of `sites.d` end with .yaml").remedy("rename it");
                main.of_other_file(&path).tell(Place::FILE, fault);
            }
            _ => {}
        }
    }
    paths.sort();
    paths
}

fn file_names(folder: &Path) -> std::io::Result<Vec<std::ffi::OsString>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        if !name.as_encoded_bytes().starts_with(b".") {
            names.push(name);
        }
    }
    Ok(names)
}
