//! Reads Rust sources just far enough to see what a file imports: `#[cfg(test)]` items are skipped, and every path with
//! a `::` is kept with its line, whether a `use` or the code itself names it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::tokens::{Token, tokens};

/// A path as it stands in the code, resolved: `crate::…` without the `crate`, or `NAME::…` of another crate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    Ours(Vec<String>),
    Theirs(Vec<String>),
}

/// One mention of something that is defined elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Import {
    pub(super) line: usize,
    pub(super) target: Target,
}

/// One file under `src/`.
#[derive(Debug)]
pub(super) struct File {
    /// Relative to the repository.
    pub(super) path: String,
    /// Its module: `src/a/b.rs` and `src/a/b/mod.rs` are `a::b`; `src/lib.rs` and `src/main.rs` are empty.
    pub(super) module: Vec<String>,
    pub(super) text: String,
    /// What it declares with `mod NAME;` or `mod NAME {`, and whether as plain `pub`.
    pub(super) declared: BTreeMap<String, bool>,
    pub(super) imports: Vec<Import>,
    /// Files that exist for tests only (`#[cfg(test)] mod NAME;`).
    tests: BTreeSet<String>,
}

/// All files of the crate but those that exist for tests only.
pub(super) fn tree(files: &[(String, String)]) -> Vec<File> {
    let modules: BTreeSet<Vec<String>> = files.iter().map(|(path, _)| module_of(path)).collect();
    let read: Vec<File> = files.iter().map(|(path, text)| File::read(path, text, &modules)).collect();
    let only_tests: Vec<Vec<String>> =
        read.iter().flat_map(|file| file.tests.iter().map(|name| child(&file.module, name))).collect();
    read.into_iter().filter(|file| !only_tests.iter().any(|test| file.module.starts_with(test))).collect()
}

/// The files of a folder, by path relative to `root`, in order.
pub(super) fn read_folder(root: &Path, folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            found.extend(read_folder(root, &path));
        } else if path.ends_with(".rs") {
            let text = std::fs::read_to_string(root.join(&path)).unwrap();
            found.push((path, text));
        }
    }
    found.sort();
    found
}

fn module_of(path: &str) -> Vec<String> {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs");
    let mut module: Vec<String> = path.split('/').map(str::to_owned).collect();
    if module.len() > 1 && module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    if module == ["lib"] || module == ["main"] {
        module.clear();
    }
    module
}

fn child(module: &[String], name: &str) -> Vec<String> {
    let mut path = module.to_vec();
    path.push(name.to_owned());
    path
}

impl File {
    fn read(path: &str, text: &str, modules: &BTreeSet<Vec<String>>) -> Self {
        let module = module_of(path);
        let mut file = Self {
            path: path.to_owned(),
            module: module.clone(),
            text: text.to_owned(),
            declared: BTreeMap::new(),
            imports: Vec::new(),
            tests: BTreeSet::new(),
        };
        let mut reader = Reader { tokens: tokens(text), at: 0, modules, module, aliases: BTreeMap::new() };
        reader.read_items(&mut file);
        file.imports.sort();
        file.imports.dedup();
        file
    }
}

struct Reader<'a> {
    tokens: Vec<Token>,
    at: usize,
    modules: &'a BTreeSet<Vec<String>>,
    /// Where we are, inline modules included.
    module: Vec<String>,
    /// What a `use` made known, for paths that begin with it.
    aliases: BTreeMap<String, Target>,
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> &str {
        self.tokens.get(self.at + ahead).map_or("", |token| token.text.as_str())
    }

    fn follows(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(ahead, word)| self.peek(ahead) == *word)
    }

    fn take(&mut self, word: &str) -> bool {
        let there = self.peek(0) == word;
        self.at += usize::from(there);
        there
    }

    fn read_items(&mut self, file: &mut File) {
        let mut braces: Vec<bool> = Vec::new();
        let mut public = false;
        let mut mentions: Vec<(usize, Vec<String>)> = Vec::new();
        while self.at < self.tokens.len() {
            let line = self.tokens[self.at].line;
            match self.peek(0) {
                "#" if self.is_test() => self.skip_test(file),
                "use" => {
                    self.at += 1;
                    let before = self.at;
                    self.read_use(&[], line, file);
                    self.at = self.at.max(before);
                }
                "extern" if self.peek(1) == "crate" => {
                    let target = Target::Theirs(vec![self.peek(2).to_owned()]);
                    file.imports.push(Import { line, target });
                    self.at += 3;
                }
                "mod" if self.tokens.get(self.at + 1).is_some_and(Token::is_word) => {
                    let name = self.peek(1).to_owned();
                    file.declared.insert(name.clone(), public);
                    self.at += 2;
                    if self.take("{") {
                        self.module.push(name);
                        braces.push(true);
                    }
                }
                "{" => {
                    braces.push(false);
                    self.at += 1;
                }
                "}" => {
                    if braces.pop() == Some(true) {
                        self.module.pop();
                    }
                    self.at += 1;
                }
                _ => match self.read_path() {
                    path if path.len() > 1 => mentions.extend(self.absolute(&path, line)),
                    _ => {}
                },
            }
            public = self.at > 0 && self.tokens[self.at - 1].text == "pub";
        }
        for (line, path) in mentions {
            let target = self.resolve_mention(&path);
            file.imports.extend(target.map(|target| Import { line, target }));
        }
    }

    /// Takes one token, or a whole path of words.
    fn read_path(&mut self) -> Vec<String> {
        let mut path = Vec::new();
        while self.tokens.get(self.at).is_some_and(Token::is_word) {
            path.push(self.peek(0).to_owned());
            self.at += 1;
            if self.peek(0) != "::" || !self.tokens.get(self.at + 1).is_some_and(Token::is_word) {
                return path;
            }
            self.at += 1;
        }
        self.at += 1;
        path
    }

    /// `crate` and `super` need the place where they stand; the rest waits until every `use` is known.
    fn absolute(&self, path: &[String], line: usize) -> Option<(usize, Vec<String>)> {
        let is_known = matches!(path[0].as_str(), "crate" | "super" | "self" | "metaconsole");
        if !is_known {
            return Some((line, path.to_vec()));
        }
        match self.resolve(path) {
            Target::Ours(ours) => Some((line, [vec!["crate".to_owned()], ours].concat())),
            Target::Theirs(_) => None,
        }
    }

    fn resolve_mention(&self, path: &[String]) -> Option<Target> {
        match self.aliases.get(&path[0]) {
            Some(Target::Ours(known)) => Some(Target::Ours([known.as_slice(), &path[1..]].concat())),
            Some(Target::Theirs(known)) => Some(Target::Theirs([known.as_slice(), &path[1..]].concat())),
            None if path[0].starts_with(char::is_uppercase) => None,
            None => Some(self.resolve(path)),
        }
    }

    fn resolve(&self, path: &[String]) -> Target {
        let mut base = self.module.clone();
        let mut rest = path;
        match path[0].as_str() {
            "crate" | "metaconsole" => base.clear(),
            "self" => {}
            "super" => {
                let up = path.iter().take_while(|word| *word == "super").count();
                base.truncate(base.len().saturating_sub(up));
                rest = &path[up - 1..];
            }
            name if self.modules.contains(&child(&self.module, name)) => {
                return Target::Ours([base, path.to_vec()].concat());
            }
            _ => return Target::Theirs(path.to_vec()),
        }
        Target::Ours([base, rest[1..].to_vec()].concat())
    }

    /// One tree of a `use`, after what stands before it.
    fn read_use(&mut self, before: &[String], line: usize, file: &mut File) {
        let mut path = before.to_vec();
        self.take("::");
        loop {
            if self.take("{") {
                while !self.take("}") && self.at < self.tokens.len() {
                    let line = self.tokens[self.at].line;
                    self.read_use(&path, line, file);
                    self.take(",");
                }
                return;
            }
            if !self.tokens.get(self.at).is_some_and(Token::is_word) && self.peek(0) != "*" {
                return;
            }
            path.push(self.peek(0).to_owned());
            self.at += 1;
            if !self.take("::") {
                break;
            }
        }
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let target = self.resolve(&path);
        let alias = if self.take("as") {
            self.at += 1;
            self.tokens[self.at - 1].text.clone()
        } else {
            path[path.len() - 1].clone()
        };
        self.aliases.insert(alias, target.clone());
        file.imports.push(Import { line, target });
    }

    fn is_test(&self) -> bool {
        self.follows(&["#", "[", "cfg", "(", "test"]) || self.follows(&["#", "[", "cfg", "(", "all", "(", "test"])
    }

    /// Skips the attributes and the item behind them.
    fn skip_test(&mut self, file: &mut File) {
        while self.take("#") {
            self.skip_group();
        }
        let mut name = None;
        while self.at < self.tokens.len() {
            match self.peek(0) {
                "mod" => name = Some(self.peek(1).to_owned()),
                "}" => return,
                ";" => {
                    file.tests.extend(name);
                    self.at += 1;
                    return;
                }
                "(" | "[" => {
                    self.skip_group();
                    continue;
                }
                "{" => {
                    self.skip_group();
                    // `use a::{b};` goes on, an item with a body ends.
                    self.take(";");
                    return;
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    /// From an opening bracket to behind its end.
    fn skip_group(&mut self) {
        let mut depth = 0_usize;
        while self.at < self.tokens.len() {
            match self.peek(0) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }
}
