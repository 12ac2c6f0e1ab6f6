//! `name:/regex/`: a pattern over one folded field, in linear time.
//!
//! Fields are folded (lower case, no accents), so the pattern is folded too: it is matched without regard to case, and
//! every letter in it that is not ASCII is folded by itself (`/Ñ[áé]/` is `/n[ae]/`), outside of escapes. Written as
//! `\x{f1}` a letter stays what it is, and is found in no folded text. `^` and `$` are the ends of the field; a pattern
//! on groups holds when it matches one of them.
//!
//! The engine (crate `regex`) needs time in proportion to pattern times text, whatever both are. Both are bounded: the
//! text of a field by the inventory, the pattern by the number of places a match can be in when all its repetitions are
//! written out (`(.{0,30}[ab]){30}` has 930, and took half a minute for a megabyte made for it). Bytes of the program
//! say little of that: `\w` alone has 70 KB of tables and is fast.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use regex::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind};

use crate::domain::fold::fold;

/// Places that a match can be in.
const MOST_PLACES: u64 = 128;

/// Bytes of a compiled program.
const MOST_PROGRAM: usize = 4 << 20;

/// Bytes of the tables that a search may build while it runs.
const MOST_TABLES: usize = 512 << 10;

/// Brackets within brackets.
const DEEPEST: u32 = 24;

/// A pattern, ready to match. Equal when written the same.
#[derive(Clone)]
pub struct Pattern {
    source: Box<str>,
    program: Regex,
}

/// What is wrong with a pattern.
#[derive(Debug)]
pub(super) struct PatternError {
    /// Characters before the place.
    pub(super) at: usize,
    /// The reason.
    pub(super) message: String,
}

impl Pattern {
    /// Of what stands between the slashes.
    pub(super) fn new(text: &str) -> Result<Self, PatternError> {
        let (source, places) = folded(text);
        let syntax = ParserBuilder::new().case_insensitive(true).nest_limit(DEEPEST).build().parse(&source);
        let too_large = || PatternError { at: 0, message: "too large: it repeats too much".to_owned() };
        let syntax = syntax.map_err(|error| {
            let (offset, message) = match &error {
                regex_syntax::Error::Parse(error) => (error.span().start.offset, error.kind().to_string()),
                regex_syntax::Error::Translate(error) => (error.span().start.offset, error.kind().to_string()),
                _ => (0, "not understood".to_owned()),
            };
            let at = places.partition_point(|(start, _)| *start <= offset).checked_sub(1);
            let at = at.and_then(|at| places.get(at)).map_or(0, |(_, at)| *at);
            PatternError { at, message }
        })?;
        if places_in(&syntax) > MOST_PLACES {
            return Err(too_large());
        }
        let program = RegexBuilder::new(&source)
            .case_insensitive(true)
            .nest_limit(DEEPEST)
            .size_limit(MOST_PROGRAM)
            .dfa_size_limit(MOST_TABLES)
            .build()
            .map_err(|_| too_large())?;
        Ok(Self { source: source.into(), program })
    }

    /// As written between the slashes, folded.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Whether it matches a folded text.
    pub fn matches(&self, folded: &str) -> bool {
        self.program.is_match(folded)
    }
}

/// Characters of a pattern with all repetitions written out. No deeper than [`DEEPEST`].
fn places_in(syntax: &Hir) -> u64 {
    let sum = |parts: &[Hir]| parts.iter().map(places_in).fold(0, u64::saturating_add);
    match syntax.kind() {
        HirKind::Empty | HirKind::Look(_) => 0,
        HirKind::Literal(literal) => literal.0.len() as u64,
        HirKind::Class(_) => 1,
        HirKind::Capture(capture) => places_in(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => sum(parts),
        HirKind::Repetition(repeated) => {
            let times = u64::from(repeated.max.unwrap_or(repeated.min.saturating_add(1)).max(1));
            places_in(&repeated.sub).saturating_mul(times)
        }
    }
}

/// The pattern with its letters folded, and where (in bytes of it) each character (by number) of the original begins.
fn folded(text: &str) -> (String, Vec<(usize, usize)>) {
    let (mut source, mut places) = (String::with_capacity(text.len()), Vec::new());
    let (mut escaped, mut in_class) = (false, false);
    for (number, c) in text.chars().enumerate() {
        places.push((source.len(), number));
        if c.is_ascii() || escaped {
            in_class = match c {
                '[' if !escaped => true,
                ']' if !escaped => false,
                _ => in_class,
            };
            escaped = c == '\\' && !escaped;
            source.push(c);
            continue;
        }
        let plain = fold(c.encode_utf8(&mut [0; 4]));
        // `ß+` means `(?:ss)+`. In a class each of the letters counts.
        if plain.chars().count() > 1 && !in_class {
            source.push_str("(?:");
            source.push_str(&plain);
            source.push(')');
        } else {
            source.push_str(&plain);
        }
    }
    (source, places)
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.source)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.source.hash(state);
    }
}

impl PartialOrd for Pattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pattern {
    fn cmp(&self, other: &Self) -> Ordering {
        self.source.cmp(&other.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_folded_as_the_text_is() {
        for (pattern, text, matches) in [
            ("^Ñand[úü]$", "Ñandú", true),
            ("^ÑAND.$", "ñandú", true),
            ("^stra(ß|x)e$", "Straße", true),
            ("^straße$", "Strase", false),
            ("^gro(?:ß)+e$", "große", true),
            ("\\d{2}$", "web-01", true),
            ("\\D$", "web-01", false),
            ("^\\w+$", "日本", true),
            ("\\x{f1}", "ñ", false),
            ("a.c", "a\nc", false),
            ("^b", "a\nb", false),
        ] {
            assert_eq!(Pattern::new(pattern).unwrap().matches(&fold(text)), matches, "{pattern} on {text}");
        }
    }

    #[test]
    fn a_mistake_has_its_place_and_what_is_too_large_is_refused() {
        for (pattern, at) in [("a(b", 1), ("ñß[z-a]", 3), ("ab**\\q", 4), ("\\ñ", 0), ("(?<a", 3), ("x{2,1}", 1)] {
            assert_eq!(Pattern::new(pattern).unwrap_err().at, at, "{pattern}: {:?}", Pattern::new(pattern));
        }
        for large in [
            "\\w{200}",
            "(((a{30}){30}){30}){30}",
            "(?:.*a){5000}",
            &"(".repeat(40),
            "[\\pL\\pN]{0,500}x",
            "(.{0,30}[ab]){30}q",
        ] {
            assert!(Pattern::new(large).is_err(), "{large}");
        }
        for fine in [
            "^web-[0-9]+$",
            "\\w+-\\d{1,3}",
            "(mad|lyo|kyo)-(web|db)-\\d+",
            "^.{3,40}$",
            "[^a-z0-9.-]",
            "\\w{20}",
            "([0-9]{1,3}\\.){3}[0-9]{1,3}",
        ] {
            assert!(Pattern::new(fine).is_ok(), "{fine}: {:?}", Pattern::new(fine));
        }
    }

    /// The same number of characters, once as many short texts and once as one long text: where the time for a text
    /// grows with its square, the long one takes sixteen times as long.
    #[test]
    fn one_long_text_costs_no_more_than_as_many_characters_in_short_ones() {
        use crate::clock::Stopwatch;

        const TIMES: usize = 16;
        let best = |pattern: &Pattern, text: &str, times: usize| {
            let round = |_| {
                let watch = Stopwatch::start();
                for _ in 0..times {
                    assert!(!pattern.matches(text));
                }
                watch.elapsed()
            };
            // The first also builds tables.
            (0..6).map(round).min().unwrap()
        };
        for (pattern, unit) in [
            // No letter in them is missing in the text, so that nothing is refused at a glance.
            ("(\\w*)*[^\\w]", "a"),
            ("(.*)(.*)(.*)\\d", "ab"),
            ("(.{0,10}[ab]){8}\\d", "ab"),
            ("(\\w|\\w\\w)+\\d\\d\\D", "a1"),
            ("^((\\w)+.)+\\s(\\w)+$", "a."),
        ] {
            let pattern = Pattern::new(pattern).unwrap();
            let (short, long) = (unit.repeat(500), unit.repeat(500 * TIMES));
            let (many, one) = (best(&pattern, &short, TIMES), best(&pattern, &long, 1));
            assert!(one < many * 5, "{pattern:?}: {many:?} for many short texts, {one:?} for a long one");
        }
    }
}
