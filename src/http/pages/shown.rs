//! How things are written on pages: texts of sites made harmless to read, times, lengths of time, words for states.

use std::time::Duration;

use super::super::states::Word;
use crate::clock::Timestamp;
use crate::domain::{ErrorCode, Status};

/// Longer texts are cut, and say so.
const LONGEST: usize = 160;

/// A text of a site for a page: controls (of lines, of writing direction) visible, and no longer than a person reads.
/// The template still escapes it and puts it into a `<bdi>`.
pub(super) fn text(text: &str) -> String {
    let mut shown = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == LONGEST {
            shown.push_str(&format!("… [{} characters]", text.chars().count()));
            break;
        }
        match c {
            '\0'..='\u{1f}' => shown.extend(char::from_u32(0x2400 + u32::from(c))),
            '\u{7f}' => shown.push('\u{2421}'),
            c if is_unseen(c) => shown.push_str(&format!("[U+{:04X}]", u32::from(c))),
            c => shown.push(c),
        }
    }
    shown
}

/// Characters that change what stands around them, or that nobody sees.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A sentence of ours, as it begins a line.
pub(super) fn sentence(words: &str) -> String {
    let mut rest = words.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

/// A name, or words in its place where it is empty.
pub(super) fn name(alias: &str) -> String {
    if alias.trim().is_empty() { "(no name)".to_owned() } else { text(alias) }
}

/// A length of time in one unit, or two where the first is small.
pub(super) fn span(duration: Duration) -> String {
    let secs = duration.as_secs();
    match secs {
        0..60 => format!("{secs} s"),
        60..3600 => format!("{} min", secs / 60),
        3600..86_400 => format!("{} h {} min", secs / 3600, secs / 60 % 60),
        _ => format!("{} days", secs / 86_400),
    }
}

/// Milliseconds the way they are read.
pub(super) fn millis(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..10_000 => format!("{}.{} s", ms / 1000, ms / 100 % 10),
        _ => span(Duration::from_millis(ms)),
    }
}

/// How long ago.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    if at.as_millis() > now.as_millis() + 1000 {
        return format!("{} ahead", span(now.until(at)));
    }
    format!("{} ago", span(at.until(now)))
}

/// The time of day, for whoever reads it without a script; UTC, and says so.
pub(super) fn clock(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(11..19).map_or_else(|| text.clone(), |time| format!("{time} UTC"))
}

/// The minute of an instant near now, with its day where that is another one; UTC, and says so.
pub(super) fn minute(at: Timestamp, now: Timestamp) -> String {
    let (text, today) = (at.to_string(), now.to_string());
    match (text.get(..10), text.get(11..16), text.ends_with('Z')) {
        (Some(day), Some(time), true) if today.get(..10) == Some(day) => format!("{time} UTC"),
        (Some(day), Some(time), true) => format!("{day} {time} UTC"),
        _ => text,
    }
}

/// A status as people say it.
pub(super) fn status(status: Status) -> &'static str {
    match status {
        Status::NotInit => "not init",
        other => other.as_str(),
    }
}

/// A site's state as people say it.
pub(super) fn site_word(word: Word) -> &'static str {
    match word {
        Word::Ok => "live",
        Word::Idle => "idle",
        Word::Unread => "not read yet",
        Word::Stale => "stale",
        Word::Failed => "failed",
        Word::Paused => "paused",
    }
}

/// What an error means, in words.
pub(super) fn error_word(code: ErrorCode) -> String {
    code.to_string().replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_its_day_where_it_is_not_today() {
        let (now, at) = (Timestamp::from_secs(86_400 * 20_000 + 3600), Timestamp::from_secs);
        assert_eq!(minute(at(86_400 * 20_000 + 86_399), now), "23:59 UTC");
        assert_eq!(minute(at(86_400 * 20_001), now), "2024-10-05 00:00 UTC");
        assert_eq!(minute(at(999_999_999_999), now), "999999999999 s after 1970");
    }

    #[test]
    fn what_a_site_sends_is_seen_as_it_is() {
        assert_eq!(text("web\r\n01\t"), "web␍␊01␉");
        assert_eq!(text("a\u{202e}b\u{2066}c\u{200b}"), "a[U+202E]b[U+2066]c[U+200B]");
        assert_eq!(text("Ñandú 東京 عربى"), "Ñandú 東京 عربى");
        let long = text(&"x".repeat(1_000_000));
        assert!(long.len() < 200 && long.ends_with("… [1000000 characters]"), "{long}");
        assert_eq!(name("  "), "(no name)");
    }

    #[test]
    fn lengths_of_time_are_short() {
        let of = |secs| span(Duration::from_secs(secs));
        assert_eq!([millis(12), millis(4_147), millis(65_000)], ["12 ms", "4.1 s", "1 min"]);
        assert_eq!([of(5), of(65), of(3_700), of(200_000)], ["5 s", "1 min", "1 h 1 min", "2 days"]);
        let (a, b) = (Timestamp::from_secs(100), Timestamp::from_secs(160));
        assert_eq!([ago(a, b), ago(b, a)], ["1 min ago", "1 min ahead"]);
        assert_eq!(clock(Timestamp::from_secs(3_661)), "01:01:01 UTC");
    }
}
