//! A search line while it is typed: what of it is finished.

use super::parse::is_field;

/// The line without its last word, where more letters may make that one right: a lone `-`, a phrase whose quote is open, a
/// field without a value or with the beginning of one.
pub(super) fn finished(line: &str) -> Option<&str> {
    let (start, open) = last_word(line);
    let (before, word) = line.split_at_checked(start)?;
    let word = word.trim_end();
    let bare = word.strip_prefix('-').unwrap_or(word);
    let field = bare.split_once(':').is_some_and(|(name, _)| is_field(name));
    (open || (bare.is_empty() && !word.is_empty()) || bare == "\"\"" || field).then_some(before)
}

/// Where the last word begins, in bytes, and whether a phrase in it is still open.
fn last_word(line: &str) -> (usize, bool) {
    let (mut start, mut inside, mut quoted, mut escaped) = (0, false, false, false);
    // A quote opens a phrase only where a value may begin.
    let mut value = false;
    for (at, c) in line.char_indices() {
        if quoted {
            (quoted, escaped) = (c != '"' || escaped, c == '\\' && !escaped);
            continue;
        }
        if c.is_whitespace() {
            inside = false;
            continue;
        }
        if !inside {
            (inside, start, value) = (true, at, true);
        }
        quoted = c == '"' && value;
        value = matches!(c, ':' | ',') || (c == '-' && at == start);
    }
    (start, quoted)
}

#[cfg(test)]
mod tests {
    use super::super::Query;

    #[test]
    fn an_unfinished_last_word_is_dropped() {
        for (line, finished) in [
            ("web status:", "web"),
            ("web status:crit", "web"),
            ("-status:critical,", ""),
            ("status:", ""),
            ("\"web", ""),
            ("db \"web serv", "db"),
            ("db -\"web \\\" serv", "db"),
            ("group:\"two words\",", ""),
            ("group:\"two wo", ""),
            ("a -", "a"),
            ("-", ""),
            ("\"\"", ""),
            ("ip:10.1/", ""),
        ] {
            let query = Query::half_typed(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(query, Query::parse(finished).unwrap(), "{line}");
        }
    }

    #[test]
    fn what_no_letter_would_mend_is_still_a_mistake() {
        for line in ["stat:up", "stat: web", "status: web", "- web", "\"a\"b"] {
            assert_eq!(Query::half_typed(line).err(), Query::parse(line).err(), "{line}");
            assert!(Query::parse(line).is_err(), "{line}");
        }
        assert_eq!(Query::half_typed("web db").unwrap(), Query::parse("web db").unwrap());
    }
}
