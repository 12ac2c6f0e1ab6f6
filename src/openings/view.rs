//! The views that a person can name. Where they are at a site, its adapter knows ([`crate::sites::Site::link`]).

use crate::sites::View;

/// Longest id of an agent.
const LONGEST: usize = 64;

/// `agent:42` and its like; an empty text is the console's first page. None for anything else: no text of a user becomes
/// a path.
pub fn view(text: &str) -> Option<View<'_>> {
    if text.is_empty() || text == "home" {
        return Some(View::Home);
    }
    let (kind, id) = text.split_once(':')?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if id.is_empty() || id.len() > LONGEST || !id.bytes().all(allowed) {
        return None;
    }
    match kind {
        "agent" => Some(View::Agent(id)),
        "modules" => Some(View::Modules(id)),
        "alerts" => Some(View::Alerts(id)),
        "events" => Some(View::Events(id)),
        "graphs" => Some(View::Graphs(id)),
        _ => None,
    }
}

/// Whether this can be the number of a pending opening: 22 characters of base64url.
pub fn is_number(text: &str) -> bool {
    text.len() == 22 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Whether this can be the hash of a browser's state: 43 characters of base64url. [`crate::delegation::mint`] looks closer.
pub fn is_state(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_are_words_and_ids_and_nothing_else() {
        assert_eq!(view(""), Some(View::Home));
        assert_eq!(view("agent:42"), Some(View::Agent("42")));
        assert_eq!(view("graphs:a-b_C"), Some(View::Graphs("a-b_C")));
        let long = format!("agent:{}", "1".repeat(65));
        for bad in [
            "agent",
            "agent:",
            "agent:4 2",
            "agent:4&x=1",
            "agent:../x",
            "agent:1:2",
            "//evil",
            "url:1",
            "AGENT:1",
            &long,
        ] {
            assert_eq!(view(bad), None, "{bad}");
        }
    }
}
