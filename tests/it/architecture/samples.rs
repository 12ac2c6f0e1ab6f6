//! Each rule meets a sample that breaks it, and one that only looks so.

use super::source::{self, File, Target};
use super::{AREAS, ASSEMBLY, Area, EMPTY_NAMES, PLACES, rules};

fn sample(files: &[(&str, &str)]) -> Vec<File> {
    let files: Vec<_> = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    source::tree(&files)
}

/// All that one file imports, as `crate::…` or `NAME::…`, each once.
fn imports(files: &[(&str, &str)], path: &str) -> Vec<String> {
    let files = sample(files);
    let file = files.iter().find(|file| file.path == path).unwrap();
    let said = file.imports.iter().map(|import| match &import.target {
        Target::Ours(path) => format!("{} crate::{}", import.line, path.join("::")),
        Target::Theirs(path) => format!("{} {}", import.line, path.join("::")),
    });
    said.collect()
}

#[test]
fn every_form_of_an_import_is_read() {
    let text = "//! A header that says crate::app::App.
use crate::{clock::{self, Clock}, domain as words};
pub(crate) use super::super::app::App as Assembly;
use self::below::Thing;
use below::Other;
use ::reqwest::*;
extern crate axum;
mod below;
fn f(a: &'static str) -> words::Status {
    let said = \"use crate::cli::Exit; \\\" still\"; let c = '\"'; let raw = r#\"use crate::demo::Demo; \"\"#;
    /* use crate::wire; /* crate::wire::A */ crate::wire::B */
    $crate::secret::Secret::new(clock::now(), super::Site, a.len::<u8>(), b\"crate::cli::x\", '\\'');
}
mod inner {
    use super::super::decoding::Decoding;
}
";
    let read = imports(
        &[("src/sites/pandora/mod.rs", text), ("src/sites/pandora/below.rs", "//! x")],
        "src/sites/pandora/mod.rs",
    );
    assert_eq!(
        read,
        [
            "2 crate::clock",
            "2 crate::clock::Clock",
            "2 crate::domain",
            "3 crate::app::App",
            "4 crate::sites::pandora::below::Thing",
            "5 crate::sites::pandora::below::Other",
            "6 reqwest::*",
            "7 axum",
            "9 crate::domain::Status",
            "12 crate::clock::now",
            "12 crate::secret::Secret::new",
            "12 crate::sites::Site",
            "15 crate::sites::decoding::Decoding",
        ]
    );
}

#[test]
fn what_only_tests_see_is_not_read() {
    let text = "//! Words.
#[cfg(test)]
use crate::demo::{Demo, Fleet};
#[cfg(test)]
mod tests;
#[cfg(test)]
#[derive(Debug)]
struct Seen([u8; 2], crate::cli::Exit);
#[cfg(all(test, unix))]
mod more {
    use crate::app::App;
    fn f() { crate::wire::a(); }
}
use crate::clock::Clock;
#[cfg(not(test))]
use crate::cli::Exit;
";
    let files = [("src/domain/mod.rs", text), ("src/domain/tests.rs", "use crate::cli::Exit;")];
    assert_eq!(imports(&files, "src/domain/mod.rs"), ["14 crate::clock::Clock", "16 crate::cli::Exit"]);
    assert_eq!(sample(&files).len(), 1);
}

#[test]
fn a_table_that_goes_upwards_is_refused() {
    let low = Area { layer: 0, name: "low", knows: &["high"] };
    let high = Area { layer: 1, name: "high", knows: &["low"] };
    assert_eq!(rules::table(&[low, high]), ["table: `low` knows `high`, which has no row above it"]);
    assert_eq!(rules::table(&[high, low])[1], "table: `low` knows `high` of a higher layer");
    let twice = Area { knows: &[], ..low };
    assert_eq!(rules::table(&[twice, twice]), ["table: `low` has two rows"]);
}

#[test]
fn an_unknown_area_and_an_empty_row_are_told() {
    let files = sample(&[("src/low.rs", "//! x"), ("src/news/mod.rs", "//! x")]);
    let row = |name| Area { layer: 0, name, knows: &[] };
    assert_eq!(
        rules::rows(&files, &[row("low"), row("gone")]),
        ["src/news/mod.rs: `news` has no row in the table of layers", "table: `gone` has a row, but no file"]
    );
}

fn layers(path: &str, import: &str) -> Vec<String> {
    rules::layers(&sample(&[(path, &format!("//! x\n{import}\n"))]), AREAS)
}

#[test]
fn an_import_against_the_layers_is_told_with_file_import_and_rule() {
    assert_eq!(
        layers("src/inventory/mod.rs", "use crate::config::Config;"),
        ["src/inventory/mod.rs:2: imports `crate::config::Config`; `inventory` (layer 1) may know only: clock, domain"]
    );
    assert_eq!(
        layers("src/clock.rs", "fn f() { crate::domain::fold() }"),
        ["src/clock.rs:2: imports `crate::domain::fold`; `clock` (layer 0) may know only: nothing of ours"]
    );
}

#[test]
fn each_layer_refuses_what_is_above_it() {
    for (path, import) in [
        ("src/secret.rs", "use super::clock::Clock;"),
        ("src/domain/query/mod.rs", "use super::super::inventory::Inventory;"),
        ("src/config/check/mod.rs", "use crate::inventory::Inventory;"),
        ("src/config/mod.rs", "use crate::clock::Clock;"),
        ("src/sites/mod.rs", "use crate::{domain::Status, federation::Report};"),
        ("src/federation/mod.rs", "use crate::wire::Agent;"),
        ("src/wire.rs", "use crate::app::App;"),
        ("src/app.rs", "use crate::demo::Demo;"),
        ("src/app.rs", "use crate::cli;"),
        ("src/demo/mod.rs", "use crate::config::Config;"),
        ("src/demo/mod.rs", "use crate::app::App;"),
        ("src/main.rs", "use metaconsole::demo::Demo;"),
    ] {
        assert_eq!(layers(path, import).len(), 1, "{path}: {import}");
    }
    for (path, import) in [
        ("src/domain/query/mod.rs", "use super::agent::Status; use super::super::clock::Clock;"),
        ("src/cli/demo.rs", "use crate::demo::Demo; use super::Exit;"),
        ("src/main.rs", "fn main() { metaconsole::cli::run() }"),
        ("src/app.rs", "use crate::sites::pandora::Pandora; use std::sync::Arc;"),
    ] {
        assert_eq!(layers(path, import), [""; 0], "{path}: {import}");
    }
}

#[test]
fn an_adapter_is_named_by_the_assembly_alone() {
    let broken = |path: &str, import: &str| {
        let sites = ("src/sites/mod.rs", "//! x\npub mod http;\npub mod pandora;\npub trait Site {}");
        rules::adapters(&sample(&[sites, (path, &format!("//! x\n{import}"))]), ASSEMBLY)
    };
    assert_eq!(
        broken("src/federation/mod.rs", "use crate::sites::pandora::Pandora;"),
        [
            "src/federation/mod.rs:2: imports `crate::sites::pandora::Pandora`; only `app` names concrete adapters, the rest \
          sees the trait in `sites`"
        ]
    );
    assert_eq!(broken("src/cli/check.rs", "use crate::sites::http;").len(), 1);
    assert_eq!(broken("src/federation/mod.rs", "use crate::sites;\nfn f() { sites::http::get() }").len(), 1);
    assert_eq!(broken("src/federation/mod.rs", "use crate::sites::Site;"), [""; 0]);
    assert_eq!(broken("src/app.rs", "use crate::sites::pandora::Pandora;"), [""; 0]);
}

#[test]
fn the_insides_of_another_module_are_closed() {
    let http = ("src/sites/http/mod.rs", "//! x\npub(crate) mod client;\npub mod reach;\nmod classify;");
    let broken = |path: &str, import: &str| rules::insides(&sample(&[http, (path, &format!("//! x\n{import}"))]));
    assert_eq!(
        broken("src/sites/pandora/api.rs", "use crate::sites::http::client::Root;"),
        ["src/sites/pandora/api.rs:2: imports `crate::sites::http::client::Root`; `client` is an inside of \
          `crate::sites::http`, which does not say `pub mod client`"]
    );
    assert_eq!(broken("src/app.rs", "use crate::sites::http::classify;\nfn f() { classify::of_io() }").len(), 1);
    assert_eq!(broken("src/app.rs", "use crate::sites::http::classify;\nfn f() { classify() }"), [""; 0]);
    assert_eq!(broken("src/sites/pandora/api.rs", "use super::super::http::{Http, reach::Step};"), [""; 0]);
    assert_eq!(broken("src/sites/http/reach.rs", "use super::client::Root;"), [""; 0]);
}

#[test]
fn a_star_from_another_area_is_refused() {
    let broken = |import: &str| rules::globs(&sample(&[("src/cli/ask.rs", &format!("//! x\n{import}"))]));
    assert_eq!(
        broken("use crate::domain::*;"),
        ["src/cli/ask.rs:2: imports `crate::domain::*`; from another area each name is said"]
    );
    assert_eq!(broken("use super::*; use std::fmt::*;"), [""; 0]);
}

#[test]
fn a_crate_out_of_its_place_is_told() {
    let broken = |path: &str, text: &str| rules::crates(&sample(&[(path, &format!("//! x\n{text}"))]), PLACES);
    let wire = sample(&[("src/wire.rs", "//! x\nfn f() { reqwest::Identity::from_pem(x) }")]);
    assert_eq!(
        rules::crates(&wire, &[("reqwest", &["sites", "app"])]),
        ["src/wire.rs:2: uses `reqwest::Identity::from_pem`; the crate `reqwest` belongs only in: sites, app"]
    );
    for (path, text) in [
        ("src/wire.rs", "fn f() { reqwest::get(x) }"),
        ("src/federation/mod.rs", "use axum::http::StatusCode;"),
        ("src/sites/http/mod.rs", "use hyper::body::Body;"),
        ("src/sites/http/mod.rs", "use hyper_util::rt::TokioIo;"),
        ("src/app.rs", "use clap::Parser;"),
        ("src/wire.rs", "#[derive(clap::ValueEnum)] enum A {}"),
        ("src/demo/mod.rs", "fn f() { anstream::stderr() }"),
        ("src/app.rs", "use csv as rows;"),
        ("src/domain/mod.rs", "use {serde_saphyr::Spanned, std::fmt};"),
        ("src/demonstration.rs", "use axum::body;"),
    ] {
        assert_eq!(broken(path, text).len(), 1, "{path}: {text}");
    }
    assert_eq!(broken("src/demo/mod.rs", "use axum::body; // reqwest::get"), [""; 0]);
    assert_eq!(broken("src/sites/mod.rs", "use reqwest::Client;"), [""; 0]);
}

#[test]
fn a_file_without_a_header_is_told() {
    let broken = |text: &str| rules::headers(&sample(&[("src/wire.rs", text)]));
    assert_eq!(broken("use std::fmt;\n//! late"), ["src/wire.rs:1: does not begin with `//! ` and what it is for"]);
    assert_eq!(broken("//!\n").len(), 1);
    assert_eq!(broken("//! The records.\n"), [""; 0]);
}

#[test]
fn a_long_file_is_told_but_its_tests_do_not_count() {
    let tests = "#[cfg(test)]\nmod tests {\n}\n";
    let broken = |text: String| rules::lengths(&sample(&[("src/wire.rs", &text)]), 4);
    assert_eq!(broken("//! x\n".repeat(4)), ["src/wire.rs: 4 lines without its tests; stay under 4"]);
    assert_eq!(broken("//! x\n".repeat(3) + tests), [""; 0]);
    assert_eq!(broken(format!("//! x\n#[cfg(test)]\nfn a() {{}}\n{tests}")).len(), 0);
    assert_eq!(rules::lines_without_tests("a\n#[cfg(test)]\nuse b;\nc\n#[cfg(test)]\n#[allow(x)]\nmod tests {"), 4);
}

#[test]
fn a_name_that_says_nothing_is_told() {
    let broken = |text: &str| rules::names(&sample(&[("src/lib.rs", text)]), EMPTY_NAMES);
    assert_eq!(
        broken("//! x\npub mod utils;"),
        ["src/lib.rs: module `utils` has a name that says nothing; name what it does"]
    );
    assert_eq!(broken("//! x\nmod helpers { }\nmod common;\npub(crate) mod manager;").len(), 3);
    assert_eq!(broken("//! x\nmod shared;"), [""; 0]);
}

#[test]
fn a_dependency_without_a_purpose_is_told() {
    let broken = |text: &str| rules::dependencies(text, 2);
    let good = "[dependencies]\n# words\na = \"1\" # what for\nb = { version = \"1\" }  # what for\n[dev-dependencies]\n\
                a = { version = \"1\", features = [\"#\"] } # tests\n[lints.rust]\nc = \"forbid\"\n";
    assert_eq!(broken(good), [""; 0]);
    assert_eq!(
        broken("[package]\nname = \"x\"\n[target.'cfg(unix)'.dependencies]\na = \"#1\"\n"),
        ["Cargo.toml:4: `a` has no comment with its purpose on its line"]
    );
    assert_eq!(broken("[dev-dependencies]\na = \"1\" #\n").len(), 1);
    assert_eq!(
        broken("[dependencies.a] # why\nversion = \"1\"\n"),
        ["Cargo.toml:1: [dependencies.a]; write the dependency on one line, with its purpose"]
    );
    let many = "[build-dependencies]\na = \"1\" # x\nb = \"1\" # x\nc = \"1\" # x\n";
    assert_eq!(broken(many), ["Cargo.toml: 3 direct dependencies; at most 2"]);
}
