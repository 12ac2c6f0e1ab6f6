//! Answers as no console should send them, for the properties of what decodes them: recorded ones with bytes changed,
//! cut out, doubled or put in, and plain noise.

use proptest::prelude::*;
use proptest::sample::Index;

/// Pieces that decoders look at.
const WORDS: &[&str] = &[
    "\"",
    "\\",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    ";",
    "\n",
    "null",
    "-1",
    "1e999",
    "99999999999999999999",
    "{\"type\":\"array\",\"data\":[",
    "]}",
    "\u{0}",
    "\u{feff}",
    "auth error",
    "type_row",
    "<html>",
    "&#x20;",
];

#[derive(Clone, Debug)]
enum Change {
    Byte(u8),
    Word(&'static str),
    Cut(u8),
    Double(u8),
    End,
}

/// Any of these answers, spoilt a little, or noise.
pub(super) fn of(answers: &[&'static [u8]]) -> impl Strategy<Value = Vec<u8>> + use<> {
    // Long ones would cost minutes and show nothing that short ones do not.
    let begin = |answer: &&'static [u8]| answer.get(..6000).unwrap_or(answer).to_vec();
    let answers: Vec<Vec<u8>> = answers.iter().map(begin).collect();
    let change = prop_oneof![
        any::<u8>().prop_map(Change::Byte),
        proptest::sample::select(WORDS).prop_map(Change::Word),
        any::<u8>().prop_map(Change::Cut),
        any::<u8>().prop_map(Change::Double),
        Just(Change::End),
    ];
    let changes = proptest::collection::vec((any::<Index>(), change), 0..6);
    let spoilt = (proptest::sample::select(answers), changes).prop_map(|(mut answer, changes)| {
        for (place, change) in changes {
            let at = place.index(answer.len() + 1);
            apply(&mut answer, at, &change);
        }
        answer
    });
    prop_oneof![4 => spoilt, 1 => proptest::collection::vec(any::<u8>(), 0..200)]
}

fn apply(answer: &mut Vec<u8>, at: usize, change: &Change) {
    let piece = |len: u8| at..(at + usize::from(len)).min(answer.len());
    match change {
        Change::Byte(byte) => answer.splice(piece(1), [*byte]).for_each(drop),
        Change::Word(word) => answer.splice(at..at, word.bytes()).for_each(drop),
        Change::Cut(len) => answer.drain(piece(*len)).for_each(drop),
        Change::Double(len) => {
            let again = answer[piece(*len)].to_vec();
            answer.splice(at..at, again).for_each(drop);
        }
        Change::End => answer.truncate(at),
    }
}
