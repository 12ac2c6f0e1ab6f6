//! What the fuzzer knows, replayed: each input of its corpus and each that once broke something. See `scripts/fuzz`.

use std::path::Path;

use metaconsole::{clock, delegation, domain, inventory, openings, secret};

#[path = "../../fuzz/targets/checks.rs"]
mod checks;
#[path = "../../fuzz/targets/doors.rs"]
mod doors;

fn replay(target: &str, check: fn(&[u8])) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let corpus = std::fs::read_to_string(file).unwrap();
    assert!(corpus.lines().count() > 100, "{} inputs of {target}", corpus.lines().count());
    for line in corpus.lines() {
        let input: String = serde_json::from_str(line).unwrap();
        if let Err(fault) = std::panic::catch_unwind(|| check(input.as_bytes())) {
            panic!("{line}: {:?}", fault.downcast_ref::<String>());
        }
    }
}

#[test]
fn the_language_holds_for_every_known_input() {
    replay("query.txt", checks::query);
}

#[test]
fn the_matcher_finds_what_is_plain_for_every_known_input() {
    replay("matcher.txt", checks::matcher);
}

#[test]
fn the_parsers_of_openings_hold_for_every_known_input() {
    replay("opening.txt", doors::opening);
}
