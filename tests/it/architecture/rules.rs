//! The rules as functions: sources in, what is broken out, each with the file, what it does and the rule against it.

use super::source::{File, Import, Target};

/// One folder or file directly under `src/`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    pub(super) layer: u8,
    pub(super) name: &'static str,
    /// What it may import. All of them stand above it in the table, so there are no circles.
    pub(super) knows: &'static [&'static str],
}

/// A crate and the modules that may name it.
pub(super) type Place = (&'static str, &'static [&'static str]);

/// `src/lib.rs` and `src/main.rs`.
pub(super) const ROOT: &str = "lib, main";

fn area_of(module: &[String]) -> &str {
    module.first().map_or(ROOT, String::as_str)
}

fn said(path: &[String]) -> String {
    format!("crate::{}", path.join("::"))
}

/// The imports of ours, each with its file.
fn ours(files: &[File]) -> impl Iterator<Item = (&File, &Import, &[String])> {
    files.iter().flat_map(|file| {
        file.imports.iter().filter_map(move |import| match &import.target {
            Target::Ours(path) if !path.is_empty() => Some((file, import, path.as_slice())),
            _ => None,
        })
    })
}

/// The table itself: only downwards, everything named, nothing twice.
pub(super) fn table(areas: &[Area]) -> Vec<String> {
    let mut broken = Vec::new();
    for (row, area) in areas.iter().enumerate() {
        let above = &areas[..row];
        if above.iter().any(|other| other.name == area.name) {
            broken.push(format!("table: `{}` has two rows", area.name));
        }
        for name in area.knows {
            match above.iter().find(|other| other.name == *name) {
                None => broken.push(format!("table: `{}` knows `{name}`, which has no row above it", area.name)),
                Some(other) if other.layer > area.layer => {
                    broken.push(format!("table: `{}` knows `{name}` of a higher layer", area.name));
                }
                Some(_) => {}
            }
        }
    }
    broken
}

/// Every area has a row, every row an area.
pub(super) fn rows(files: &[File], areas: &[Area]) -> Vec<String> {
    let mut broken = Vec::new();
    for file in files.iter().filter(|file| !areas.iter().any(|area| area.name == area_of(&file.module))) {
        broken.push(format!("{}: `{}` has no row in the table of layers", file.path, area_of(&file.module)));
    }
    for area in areas.iter().filter(|area| !files.iter().any(|file| area_of(&file.module) == area.name)) {
        broken.push(format!("table: `{}` has a row, but no file", area.name));
    }
    broken
}

/// An area imports only what its row says.
pub(super) fn layers(files: &[File], areas: &[Area]) -> Vec<String> {
    let mut broken = Vec::new();
    for (file, import, path) in ours(files) {
        let (from, to) = (area_of(&file.module), path[0].as_str());
        let Some(row) = areas.iter().find(|area| area.name == from) else { continue };
        if from == to || row.knows.contains(&to) || !areas.iter().any(|area| area.name == to) {
            continue;
        }
        let (path, knows) = (said(path), row.knows.join(", "));
        let knows = if knows.is_empty() { "nothing of ours" } else { &knows };
        broken.push(format!(
            "{}:{}: imports `{path}`; `{from}` (layer {}) may know only: {knows}",
            file.path, import.line, row.layer
        ));
    }
    broken
}

/// What lies in a folder of `sites` is an adapter or its tool. Outside of `sites` only one area names them.
pub(super) fn adapters(files: &[File], assembly: &str) -> Vec<String> {
    let mut broken = Vec::new();
    for (file, import, path) in ours(files) {
        let from = area_of(&file.module);
        let is_inside = path[0] == "sites" && path.len() > 1 && has_module(files, &path[..2]);
        if is_inside && from != "sites" && from != assembly {
            broken.push(format!(
                "{}:{}: imports `{}`; only `{assembly}` names concrete adapters, the rest sees the trait in `sites`",
                file.path,
                import.line,
                said(path)
            ));
        }
    }
    broken
}

fn has_module(files: &[File], path: &[String]) -> bool {
    let (name, parent) = path.split_last().unwrap();
    files.iter().any(|file| file.module == parent && file.declared.contains_key(name))
}

/// Outside of its parent a module is reached only where every step on the way is plain `pub`. The last name of a path
/// is left to the compiler: it may be a function that is called as its module is.
pub(super) fn insides(files: &[File]) -> Vec<String> {
    let mut broken = Vec::new();
    for (file, import, path) in ours(files) {
        let common = path.iter().zip(&file.module).take_while(|(a, b)| a == b).count();
        for depth in common + 1..path.len().saturating_sub(1) {
            let (parent, name) = (&path[..depth], &path[depth]);
            let declared = files.iter().filter(|other| other.module == parent);
            if declared.into_iter().any(|other| other.declared.get(name) == Some(&false)) {
                broken.push(format!(
                    "{}:{}: imports `{}`; `{name}` is an inside of `{}`, which does not say `pub mod {name}`",
                    file.path,
                    import.line,
                    said(path),
                    said(parent)
                ));
            }
        }
    }
    broken
}

/// A `*` from another area would hide what is imported.
pub(super) fn globs(files: &[File]) -> Vec<String> {
    let all = ours(files).filter(|(file, _, path)| {
        path.last().is_some_and(|last| last == "*") && area_of(&file.module) != path[0].as_str()
    });
    all.map(|(file, import, path)| {
        format!("{}:{}: imports `{}`; from another area each name is said", file.path, import.line, said(path))
    })
    .collect()
}

/// Some crates have one place.
pub(super) fn crates(files: &[File], places: &[Place]) -> Vec<String> {
    let mut broken = Vec::new();
    for file in files {
        let module = file.module.join("::");
        for import in &file.imports {
            let Target::Theirs(path) = &import.target else { continue };
            let Some((name, allowed)) = places.iter().find(|(name, _)| *name == path[0]) else { continue };
            let is_allowed = |place: &&str| module == **place || module.starts_with(&format!("{place}::"));
            if !allowed.iter().any(is_allowed) {
                broken.push(format!(
                    "{}:{}: uses `{}`; the crate `{name}` belongs only in: {}",
                    file.path,
                    import.line,
                    path.join("::"),
                    allowed.join(", ")
                ));
            }
        }
    }
    broken
}

/// A file begins by saying what it is.
pub(super) fn headers(files: &[File]) -> Vec<String> {
    let without = files.iter().filter(|file| !file.text.starts_with("//! "));
    without.map(|file| format!("{}:1: does not begin with `//! ` and what it is for", file.path)).collect()
}

/// Files stay short. Their tests do not count.
pub(super) fn lengths(files: &[File], limit: usize) -> Vec<String> {
    let long = files.iter().map(|file| (file, lines_without_tests(&file.text))).filter(|(_, lines)| *lines >= limit);
    long.map(|(file, lines)| format!("{}: {lines} lines without its tests; stay under {limit}", file.path)).collect()
}

pub(super) fn lines_without_tests(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_tests = |at: &usize| {
        let behind = lines[at + 1..].iter().find(|line| !line.starts_with("#["));
        lines[*at] == "#[cfg(test)]" && behind.is_some_and(|line| line.starts_with("mod tests"))
    };
    (0..lines.len()).find(is_tests).unwrap_or(lines.len())
}

/// A name that says nothing collects everything.
pub(super) fn names(files: &[File], refused: &[&str]) -> Vec<String> {
    let mut broken = Vec::new();
    for file in files {
        for name in file.declared.keys().filter(|name| refused.contains(&name.as_str())) {
            broken.push(format!("{}: module `{name}` has a name that says nothing; name what it does", file.path));
        }
    }
    broken
}

/// Each direct dependency says on its line what it is for, and they are few.
pub(super) fn dependencies(manifest: &str, limit: usize) -> Vec<String> {
    let mut broken = Vec::new();
    let mut names = std::collections::BTreeSet::new();
    let mut inside = false;
    for (line, text) in (1..).zip(manifest.lines().map(str::trim)) {
        if let Some(section) = text.strip_prefix('[') {
            let section = section.split(']').next().unwrap();
            inside = section.split('.').next_back().is_some_and(|last| last.ends_with("dependencies"));
            if !inside && section.contains("dependencies.") {
                broken.push(format!(
                    "Cargo.toml:{line}: [{section}]; write the dependency on one line, with its purpose"
                ));
            }
            continue;
        }
        let Some((name, rest)) = text.split_once('=').filter(|_| inside && !text.starts_with('#')) else { continue };
        let name = name.trim().trim_end_matches(".workspace").to_owned();
        let outside_texts: String = rest.split('"').step_by(2).collect();
        if outside_texts.split_once('#').is_none_or(|(_, purpose)| purpose.trim().is_empty()) {
            broken.push(format!("Cargo.toml:{line}: `{name}` has no comment with its purpose on its line"));
        }
        names.insert(name);
    }
    if names.len() > limit {
        broken.push(format!("Cargo.toml: {} direct dependencies; at most {limit}", names.len()));
    }
    broken
}
