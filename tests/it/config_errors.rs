//! Every kind of mistake in a configuration, told word for word.
//!
//! `tests/fixtures/config` holds one case per kind: `NAME.yaml`, or a folder `NAME` with `sites.yaml` and
//! `sites.d`, each beside its `NAME.expected`. Every secret in them contains the word of [`PLANTED`].

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use metaconsole::config::{self, Mistakes};
use proptest::prelude::*;

const CASES: &str = "tests/fixtures/config";

/// Part of every secret of the cases; in no message.
const PLANTED: &str = "hunter2";

fn environment(name: &str) -> Option<String> {
    let value = match name {
        "TOKEN" => "hunter2-token",
        "MASTER" => "hunter2-hunter2-hunter2-hunter2-a",
        "MASTER_B" => "hunter2-hunter2-hunter2-hunter2-b",
        "SHORT" => "hunter2",
        "WEAK" => "hunter2hunter2hunter2hunter2hunter2",
        "HASH" => "hunter2hunter2A",
        "DEFAULT_HASH" => "1234pandorahash",
        "TWO_LINES" => "hunter2\nhunter2",
        "EMPTY" => "",
        _ => return None,
    };
    Some(value.to_owned())
}

fn mistakes_of(path: &Path) -> Mistakes {
    match config::load(path, &environment) {
        Ok(_) => panic!("{} is accepted", path.display()),
        Err(mistakes) => mistakes,
    }
}

/// Names of the cases, and names of the expectations.
fn cases() -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut cases, mut expected) = (BTreeSet::new(), BTreeSet::new());
    for entry in fs::read_dir(CASES).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("yaml") => assert!(cases.insert(stem)),
            Some("expected") => assert!(expected.insert(stem)),
            None if stem == "files" => {}
            None if path.is_dir() => assert!(cases.insert(stem)),
            _ => panic!("{} is no case", path.display()),
        }
    }
    (cases, expected)
}

/// A fresh checkout decides by umask who may read a file; this one must be open.
#[cfg(unix)]
fn open_the_open_key() {
    use std::os::unix::fs::PermissionsExt;
    let key = Path::new(CASES).join("files/open-key");
    fs::set_permissions(key, fs::Permissions::from_mode(0o644)).unwrap();
}

#[cfg(unix)]
#[test]
fn every_mistake_is_told_word_for_word() {
    open_the_open_key();
    let (cases, expected) = cases();
    assert_eq!(cases, expected, "a case without expectation, or the reverse");
    assert!(cases.len() > 100);
    for name in cases {
        let file = Path::new(CASES).join(format!("{name}.yaml"));
        let folder = Path::new(CASES).join(&name).join("sites.yaml");
        let mistakes = mistakes_of(if file.is_file() { &file } else { &folder });
        let told = mistakes.to_string().replace(&format!("{CASES}/"), "");
        let expected = fs::read_to_string(Path::new(CASES).join(format!("{name}.expected")));
        assert_eq!(told, expected.unwrap().trim_end(), "{name}");
        for shown in [told, format!("{mistakes:?}")] {
            assert!(!shown.contains(PLANTED), "{name} shows a secret");
        }
    }
}

#[test]
fn a_file_that_is_not_there_is_one_mistake() {
    let missing = mistakes_of(Path::new("not/there.yaml"));
    let expected = "not/there.yaml: cannot read not/there.yaml: no such file; name another file with --config";
    assert_eq!(missing.to_string(), expected);
    let folder = mistakes_of(Path::new("tests"));
    assert_eq!(folder.to_string(), "tests: cannot read tests: it is a directory; name another file with --config");
}

#[test]
fn the_example_of_the_repository_is_accepted() {
    let config = config::load(Path::new("sites.yaml"), &|_| None).unwrap();
    let ids: Vec<&str> = config.sites.iter().map(|site| site.id.as_str()).collect();
    assert_eq!(ids, ["madrid", "lyon", "nairobi", "lima", "oslo", "kyoto"]);
}

fn loaded(text: &[u8]) -> Result<config::Config, Mistakes> {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("sites.yaml");
    fs::write(&path, text).unwrap();
    config::load(&path, &environment)
}

/// Pieces of a configuration in any order: deeper into the checks than arbitrary text comes.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "sites:",
        "gateway:",
        "defaults:",
        "- ",
        "  ",
        "\n",
        "\n  ",
        "\n    ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        ": ",
        "id: a",
        "id: ",
        "url: ",
        "http://h/",
        "http://127.0.0.1:8080/",
        "keys: ",
        "credentials: ",
        "token: ",
        "${TOKEN}",
        "${",
        "file:",
        "tls: ",
        "urls: ",
        "delegation: ",
        "verifier: ",
        "direct",
        "accounts: ",
        "timeout: ",
        "60",
        "s",
        "%",
        "max_load: ",
        "\"",
        "'",
        "&a ",
        "*a",
        "<<: ",
        "? ",
        "| ",
        "\u{feff}",
        "é",
        "\t",
        "#",
        "!x ",
        "---\n",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<Vec<u8>>()) {
        if let Err(mistakes) = loaded(&text) {
            prop_assert!(!mistakes.0.is_empty());
        }
    }

    #[test]
    fn no_pieces_make_it_panic(text in pieces()) {
        if let Err(mistakes) = loaded(text.as_bytes()) {
            prop_assert!(!mistakes.0.is_empty());
        }
    }

    #[test]
    fn no_cut_of_the_example_makes_it_panic(from in 0_usize..8000, length in 0_usize..3000) {
        let example = fs::read("sites.yaml").unwrap();
        let to = (from + length).min(example.len());
        let rest = [&example[..from.min(to)], &example[to..]].concat();
        if let Err(mistakes) = loaded(&rest) {
            prop_assert!(!mistakes.0.is_empty());
        }
    }
}
