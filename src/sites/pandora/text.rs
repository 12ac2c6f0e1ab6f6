//! Values as consoles write them: numbers as strings, strings as numbers, null for nothing.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

/// A text, a number, a boolean (as 1 or 0) or null (as empty), borrowed where it can be.
#[derive(Debug, Default)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

/// A JSON answer that is a list.
#[derive(Debug, Deserialize)]
pub(super) struct Rows<T> {
    pub(super) data: Vec<T>,
}

impl Text<'_> {
    /// Whether it says yes: neither nothing nor 0.
    pub(super) fn is_set(&self) -> bool {
        !matches!(self.0.as_ref(), "" | "0")
    }
}

/// A value that is there, null included; use with `#[serde(default)]` to tell it from one that is not.
pub(super) fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Text<'a>>, D::Error> {
    Text::deserialize(deserializer).map(Some)
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a number")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(number.to_string())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(number.to_string())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(number.to_string())))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(if value { "1" } else { "0" })))
    }

    fn visit_unit<E>(self) -> Result<Text<'de>, E> {
        Ok(Text::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    #[serde(default)]
    #[derive(Default)]
    struct Row<'a> {
        #[serde(borrow)]
        a: Text<'a>,
        #[serde(borrow, deserialize_with = "present")]
        b: Option<Text<'a>>,
    }

    #[test]
    fn every_spelling_of_a_value_is_taken() {
        for (json, a, b) in [
            (r#"{"a":"7","b":null}"#, "7", Some("")),
            (r#"{"a":7}"#, "7", None),
            (r#"{"a":-1.5,"b":"\u00f1"}"#, "-1.5", Some("ñ")),
            (r#"{"a":true,"b":false,"c":[{}]}"#, "1", Some("0")),
            ("{}", "", None),
        ] {
            let row: Row<'_> = serde_json::from_str(json).unwrap();
            assert_eq!((row.a.0.as_ref(), row.b.as_ref().map(|b| b.0.as_ref())), (a, b), "{json}");
        }
        assert!(serde_json::from_str::<Row<'_>>(r#"{"a":[]}"#).is_err());
    }
}
