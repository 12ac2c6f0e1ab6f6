//! The repository itself: its scripts can be run, and nothing in it is about the place where somebody wrote it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Each in two halves, so that this file has none of them.
const FOREIGN: &[(&str, &str)] = &[("/wo", "rk/"), ("/ro", "ot/"), ("/tmp/", "h-"), (".lib", "rary"), ("far", "m-")];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Lines of `path` that name something foreign.
fn foreign(path: &str, content: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for (line, text) in (1..).zip(String::from_utf8_lossy(content).lines()) {
        let words = FOREIGN.iter().map(|(front, back)| format!("{front}{back}"));
        found.extend(words.filter(|word| text.contains(word)).map(|word| format!("{path}:{line}: names `{word}`")));
    }
    found
}

/// What git tracks, and what it would with the next `git add`.
fn files() -> Vec<String> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let git = Command::new("git").args(list).current_dir(root()).output().expect("git is needed to list the files");
    assert!(git.status.success(), "git ls-files: {}", String::from_utf8_lossy(&git.stderr));
    let names = String::from_utf8(git.stdout).unwrap();
    names.split_terminator('\0').map(str::to_owned).collect()
}

#[test]
fn scripts_can_be_run() {
    for script in ["scripts/test", ".ci/run"] {
        let mode =
            root().join(script).metadata().unwrap_or_else(|error| panic!("{script}: {error}")).permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{script} is not executable: chmod +x {script}");
    }
}

#[test]
fn containers_publish_their_ports_on_loopback_only() {
    let compose = std::fs::read_to_string(root().join("docker-compose.yml")).unwrap();
    let lines: Vec<&str> = compose.lines().map(str::trim).collect();
    let ports: Vec<&str> = lines
        .split(|line| *line == "ports:")
        .skip(1)
        .flat_map(|block| block.iter().take_while(|line| line.starts_with("- ") || line.starts_with('#')))
        .filter_map(|line| line.strip_prefix("- "))
        .collect();
    assert!(ports.len() >= 3, "{ports:?}");
    assert!(ports.iter().all(|port| port.starts_with("\"127.0.0.1:")), "{ports:?}");
}

#[test]
fn no_file_names_a_place_of_one_machine() {
    let files = files();
    assert!(files.len() > 50, "git knows only {} files", files.len());
    let mut found = Vec::new();
    for path in files.iter().filter(|path| root().join(path).is_file()) {
        found.extend(foreign(path, path.as_bytes()));
        found.extend(foreign(path, &std::fs::read(root().join(path)).unwrap()));
    }
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn a_place_of_one_machine_is_found() {
    for (front, back) in FOREIGN {
        let text = format!("fine\ncp {front}{back}x .\n");
        assert_eq!(foreign("README.md", text.as_bytes()), [format!("README.md:2: names `{front}{back}`")]);
    }
    assert_eq!(foreign("README.md", b"a workshop, the root, a temporary folder"), [""; 0]);
}
