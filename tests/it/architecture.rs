//! Who may know whom. The tables below are the rule; the tests hold every file of `src/` against them.
//!
//! `architecture/tokens.rs` and `source.rs` read the files, `rules.rs` has one function per rule, and `samples.rs` shows
//! each of them a sample that breaks it.

mod rules;
mod samples;
mod source;
mod tokens;

use std::path::Path;

use rules::{Area, Place, ROOT};

/// The layers, lowest first. A row knows only rows above it.
const AREAS: &[Area] = &[
    Area { layer: 0, name: "secret", knows: &[] },
    Area { layer: 0, name: "clock", knows: &[] },
    Area { layer: 0, name: "telemetry", knows: &["secret"] },
    Area { layer: 0, name: "domain", knows: &["secret", "clock"] },
    Area { layer: 1, name: "inventory", knows: &["clock", "domain"] },
    Area { layer: 1, name: "delegation", knows: &["secret", "clock", "domain"] },
    // It refuses keys that nothing may be signed with.
    Area { layer: 1, name: "config", knows: &["secret", "domain", "delegation"] },
    Area { layer: 1, name: "audit", knows: &["secret", "clock", "domain"] },
    // People: what they prove, and what they may.
    Area { layer: 2, name: "access", knows: &["secret", "clock", "domain", "audit", "inventory", "config"] },
    Area { layer: 2, name: "sites", knows: &["secret", "clock", "domain", "inventory", "config"] },
    // From a click to a signed token.
    Area {
        layer: 3,
        name: "openings",
        knows: &["audit", "secret", "clock", "domain", "config", "delegation", "access", "sites"],
    },
    Area { layer: 3, name: "federation", knows: &["secret", "clock", "domain", "inventory", "config", "sites"] },
    Area { layer: 3, name: "wire", knows: &["clock", "domain", "inventory", "sites", "federation"] },
    // At the other end: what a site's verifier does over HTTP, whoever owns its sessions.
    Area { layer: 3, name: "verifier", knows: &["secret", "clock", "domain", "delegation"] },
    // Its owner beside a reverse proxy: the other process of ours.
    Area { layer: 4, name: "gate", knows: &["secret", "clock", "domain", "config", "delegation", "verifier"] },
    Area {
        layer: 4,
        name: "app",
        knows: &["secret", "clock", "domain", "inventory", "config", "sites", "federation", "wire"],
    },
    // Stands apart: the other end of `http`, for the command line alone.
    Area { layer: 4, name: "remote", knows: &["secret", "clock", "domain", "inventory", "federation", "wire"] },
    // Stands apart: a console to try things on, known to the command line alone.
    Area { layer: 4, name: "demo", knows: &["secret", "clock", "domain", "delegation", "verifier"] },
    Area {
        layer: 5,
        name: "http",
        knows: &[
            "secret",
            "clock",
            "telemetry",
            "domain",
            "audit",
            "inventory",
            "config",
            "delegation",
            "access",
            "sites",
            "openings",
            "federation",
            "wire",
            "app",
        ],
    },
    // Rows over a restart; known to the process alone.
    Area { layer: 5, name: "kept", knows: &["clock", "domain", "inventory", "config", "federation", "app"] },
    // The process around `http`: port, signals, files.
    Area {
        layer: 6,
        name: "serve",
        knows: &[
            "clock",
            "domain",
            "audit",
            "config",
            "delegation",
            "access",
            "openings",
            "gate",
            "app",
            "kept",
            "http",
        ],
    },
    Area {
        layer: 7,
        name: "cli",
        knows: &[
            "secret",
            "clock",
            "telemetry",
            "domain",
            "audit",
            "delegation",
            "inventory",
            "config",
            "access",
            "sites",
            "openings",
            "federation",
            "wire",
            "app",
            "remote",
            "demo",
            "serve",
        ],
    },
    Area {
        layer: 8,
        name: ROOT,
        knows: &["secret", "clock", "domain", "inventory", "config", "sites", "federation", "wire", "app", "cli"],
    },
];

/// The one area that names what lies inside of `sites`.
const ASSEMBLY: &str = "app";

/// Crates that have a place, as they are written in code.
const PLACES: &[Place] = &[
    ("reqwest", &["gate", "sites", "remote"]),
    ("axum", &["demo", "gate", "http", "serve", "verifier"]),
    ("moka", &["federation"]),
    ("hyper", &["demo", "http", "serve", "sites::http::classify"]),
    ("hyper_util", &["demo", "http", "serve"]),
    ("tower_http", &["http"]),
    ("arc_swap", &["http", "serve"]),
    ("askama", &["http"]),
    ("notify", &["serve"]),
    ("tracing_subscriber", &["telemetry"]),
    ("tracing_appender", &["telemetry"]),
    ("x509_parser", &["sites"]),
    ("clap", &["cli"]),
    ("anstream", &["cli"]),
    ("csv", &["wire"]),
    ("regex", &["domain::query"]),
    ("regex_syntax", &["domain::query"]),
    ("base64", &["federation::cursor", "delegation"]),
    ("serde_saphyr", &["config"]),
    ("tokio_rustls", &["serve"]),
    ("argon2", &["access", "config"]),
    ("jsonwebtoken", &["access"]),
    ("rpassword", &["cli"]),
    ("redb", &["access", "delegation", "gate", "openings"]),
    ("hmac", &["access", "delegation"]),
    ("hkdf", &["access", "delegation"]),
    ("md5", &["delegation"]),
    ("rustix", &["access"]),
];

/// Lines of a file without its tests stay under this.
const LINES: usize = 400;

/// Names of modules that say nothing.
const EMPTY_NAMES: &[&str] = &["utils", "util", "helpers", "helper", "common", "manager"];

/// Most direct dependencies.
const DEPENDENCIES: usize = 60;

fn sources() -> Vec<source::File> {
    let files = source::tree(&source::read_folder(Path::new(env!("CARGO_MANIFEST_DIR")), "src"));
    assert!(files.len() > 10, "only {} files were found in src/", files.len());
    files
}

#[track_caller]
fn holds(broken: &[String]) {
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn the_table_of_layers_goes_only_downwards() {
    holds(&rules::table(AREAS));
}

#[test]
fn every_part_of_the_program_has_its_layer() {
    holds(&rules::rows(&sources(), AREAS));
}

#[test]
fn imports_go_only_where_the_table_says() {
    holds(&rules::layers(&sources(), AREAS));
}

#[test]
fn only_the_assembly_names_concrete_adapters() {
    holds(&rules::adapters(&sources(), ASSEMBLY));
}

#[test]
fn nobody_reaches_into_the_insides_of_another_module() {
    holds(&rules::insides(&sources()));
}

#[test]
fn imports_from_another_area_say_each_name() {
    holds(&rules::globs(&sources()));
}

#[test]
fn crates_stay_in_their_place() {
    holds(&rules::crates(&sources(), PLACES));
}

#[test]
fn every_file_begins_with_what_it_is_for() {
    holds(&rules::headers(&sources()));
}

#[test]
fn files_are_short() {
    holds(&rules::lengths(&sources(), LINES));
}

#[test]
fn names_of_modules_say_what_they_do() {
    holds(&rules::names(&sources(), EMPTY_NAMES));
}

#[test]
fn dependencies_are_few_and_say_what_they_are_for() {
    let manifest = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    holds(&rules::dependencies(&manifest, DEPENDENCIES));
}
