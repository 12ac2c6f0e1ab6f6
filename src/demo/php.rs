//! What a console does because it is written in PHP: reading parameters, writing JSON, keeping text as HTML entities.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use unicode_normalization::UnicodeNormalization;
use url::form_urlencoded;

/// The parameters of a request: of its URL and of its form body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    query: Vec<(String, String)>,
    body: Vec<(String, String)>,
}

impl Parameters {
    /// Reads both forms. Names lose dots and spaces, as in PHP.
    pub fn parse(query: &[u8], body: &[u8]) -> Self {
        let read = |bytes: &[u8]| {
            let pair = |(name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| {
                (name.replace(['.', ' '], "_"), value.into_owned())
            };
            form_urlencoded::parse(bytes).map(pair).collect()
        };
        Self { query: read(query), body: read(body) }
    }

    /// The value of a parameter; empty when absent. The later of two wins, the body wins over the URL.
    pub fn get(&self, name: &str) -> &str {
        let last = |pairs: &'_ [(String, String)]| pairs.iter().rposition(|(key, _)| key == name);
        let body = last(&self.body).and_then(|at| self.body.get(at)).filter(|(_, value)| !value.is_empty());
        let pair = body.or_else(|| last(&self.query).and_then(|at| self.query.get(at)));
        pair.map_or("", |(_, value)| value.as_str())
    }

    /// Whether any of these names has a value in the URL.
    pub fn in_query(&self, names: &[&str]) -> bool {
        self.query.iter().any(|(name, value)| names.contains(&name.as_str()) && !value.is_empty())
    }

    /// Whether any of these names has a value in the body.
    pub fn in_body(&self, names: &[&str]) -> bool {
        self.body.iter().any(|(name, value)| names.contains(&name.as_str()) && !value.is_empty())
    }

    /// The same without these names.
    #[must_use]
    pub fn without(mut self, names: &[&str]) -> Self {
        self.query.retain(|(name, _)| !names.contains(&name.as_str()));
        self.body.retain(|(name, _)| !names.contains(&name.as_str()));
        self
    }
}

/// One value of a row. Columns of the database are text, what the console computes is a number.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Text(String),
    Number(i64),
    Null,
}

impl Cell {
    pub(super) fn text(value: impl ToString) -> Self {
        Self::Text(value.to_string())
    }

    /// The value as text; NULL is empty.
    pub(super) fn plain(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Null => String::new(),
        }
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Null => serializer.serialize_none(),
        }
    }
}

/// A row of an answer: names and values in the order they are printed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Row(pub(super) Vec<(&'static str, Cell)>);

impl Row {
    pub(super) fn get(&self, name: &str) -> Option<&Cell> {
        self.0.iter().find(|(key, _)| *key == name).map(|(_, cell)| cell)
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, cell) in &self.0 {
            map.serialize_entry(name, cell)?;
        }
        map.end()
    }
}

/// JSON as PHP writes it: `/` escaped, everything beyond ASCII as `\uXXXX`.
pub(super) fn json(value: &impl Serialize) -> String {
    let plain = serde_json::to_string(value).unwrap_or_default();
    let mut out = String::with_capacity(plain.len());
    let mut units = [0_u16; 2];
    for c in plain.chars() {
        // Both occur only inside strings.
        match c {
            '/' => out.push_str("\\/"),
            c if c.is_ascii() => out.push(c),
            c => c.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    out
}

/// Text as the database holds it. Only the letters that real consoles were seen to encode are encoded.
pub(super) fn encode_entities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#039;"),
            '(' | ')' | '\\' => out.push_str(&format!("&#{};", u32::from(c))),
            '°' => out.push_str("&#xb0;"),
            c if c <= ' ' => out.push_str(&format!("&#x{:02x};", u32::from(c))),
            c => match named_letter(c) {
                Some((letter, accent)) => out.push_str(&format!("&{letter}{accent};")),
                None => out.push(c),
            },
        }
    }
    out
}

/// A Latin-1 letter as its base letter and the name of its accent.
fn named_letter(c: char) -> Option<(char, &'static str)> {
    if !('\u{c0}'..='\u{ff}').contains(&c) {
        return None;
    }
    let mut parts = c.nfd();
    let letter = parts.next()?;
    let accent = match parts.next()? {
        '\u{300}' => "grave",
        '\u{301}' => "acute",
        '\u{302}' => "circ",
        '\u{303}' => "tilde",
        '\u{308}' => "uml",
        '\u{327}' => "cedil",
        _ => return None,
    };
    Some((letter, accent))
}

/// Undoes percent encoding once, leaving `+` alone, as the console does with every item of a list.
pub(super) fn raw_url_decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = match (first, tail) {
            (b'%', [high, low, after @ ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| (high * 16 + low, after)),
            _ => None,
        };
        let (byte, after) = escaped.unwrap_or((*first, tail));
        out.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// A cell of CSV: tags are stripped, semicolons and line ends become spaces; nothing is quoted.
pub(super) fn csv_cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, tag)) = rest.split_once('<') {
        out.push_str(before);
        if tag.starts_with(|c: char| c.is_whitespace()) {
            out.push('<');
            rest = tag;
        } else {
            rest = tag.split_once('>').map_or("", |(_, after)| after);
        }
    }
    out.push_str(rest);
    out.replace([';', '\r', '\n'], " ")
}

/// SQL's `LIKE '%pattern%'`, blind to letter case, with `%` and `_` as wildcards.
pub(super) fn like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.to_lowercase().chars().collect();
    let pattern: Vec<char> = format!("%{pattern}%").to_lowercase().chars().collect();
    // Row by row over the pattern: which prefixes of the text are matched so far.
    let mut matched = vec![false; text.len() + 1];
    if let Some(first) = matched.first_mut() {
        *first = true;
    }
    for c in pattern {
        let mut next = vec![false; matched.len()];
        let mut before = false;
        for (at, slot) in next.iter_mut().enumerate() {
            let here = matched.get(at).copied().unwrap_or(false);
            *slot = if c == '%' {
                before |= here;
                before
            } else {
                let letter = at.checked_sub(1).and_then(|last| text.get(last));
                let hit = before && (c == '_' || letter == Some(&c));
                before = here;
                hit
            };
        }
        matched = next;
    }
    matched.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_follow_php() {
        let parameters = Parameters::parse(b"op=get&op%32=test&op2=tree_agents&a.b=%C3%B1+1&e=1&e=", b"pass=x&op=set");
        assert_eq!(parameters.get("op2"), "tree_agents");
        assert_eq!(parameters.get("op"), "set");
        assert_eq!(parameters.get("a_b"), "ñ 1");
        assert_eq!(parameters.get("e"), "");
        assert!(parameters.in_body(&["pass"]) && !parameters.in_query(&["pass"]));
        assert_eq!(parameters.without(&["pass"]).get("pass"), "");
    }

    #[test]
    fn json_has_the_escapes_of_php() {
        assert_eq!(json(&"a/b ñ 😀 <\"'&>"), r#""a\/b \u00f1 \ud83d\ude00 <\"'&>""#);
    }

    #[test]
    fn text_is_encoded_as_the_recorded_databases_hold_it() {
        assert_eq!(
            encode_entities("it's (R&D) <x> \"q\""),
            "it&#039;s&#x20;&#40;R&amp;D&#41;&#x20;&lt;x&gt;&#x20;&quot;q&quot;"
        );
        assert_eq!(encode_entities("Ñandú ÅØ 日本"), "&Ntilde;and&uacute;&#x20;ÅØ&#x20;日本");
    }

    #[test]
    fn list_items_are_decoded_once_more() {
        assert_eq!(raw_url_decode("a%20b+%C3%B1%zz%"), "a b+ñ%zz%");
    }

    #[test]
    fn csv_loses_tags_and_separators() {
        assert_eq!(csv_cell("Log & <errors>; a < b\r\nc<unclosed"), "Log &   a < b  c");
    }

    #[test]
    fn like_knows_wildcards_and_ignores_case() {
        assert!(like("mad-WEB-01", "web"));
        assert!(like("anything", "%") && like("x", "_") && like("", ""));
        assert!(like("a-b-c", "a_b%c"));
        assert!(!like("nandu", "ñandu") && !like("", "_"));
    }
}
