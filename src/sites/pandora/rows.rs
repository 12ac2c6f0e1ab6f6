//! Cuts a long JSON answer into its rows while it arrives, so that no answer is ever held whole.
//!
//! Pandora answers lists as `{"type":"array","data":[ROW,ROW,…],"list_index":[…]}`. Only the places where rows
//! begin and end are found here; each row, and what is left when the rows are taken out (the envelope, with `[]`
//! in their place), are judged by `serde_json`. So no row is accepted that is no JSON, a truncated answer is seen as
//! one, and memory stays flat whatever a site sends. Commas between rows are not counted, and what PHP prints in
//! front of the JSON or behind it (warnings, when they are shown) is passed over.

use memchr::memchr2;

/// What does not begin as JSON within this many bytes is something else (a page, a message).
const MAX_PROSE: usize = 64 * 1024;

/// What surrounds the rows is short; a site that sends more there sends no list.
const MAX_ENVELOPE: usize = 1024 * 1024;

/// A longer row is refused. Real ones have some hundred bytes.
const MAX_ROW: usize = 4 * 1024 * 1024;

/// What PHP prints before its JSON when warnings are shown is skipped up to here.
const BEGIN: &[u8] = b"{\"type\"";

/// Why cutting stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Oversize {
    /// No JSON begins.
    Prose,
    /// The envelope.
    Envelope,
    /// One row.
    Row,
}

/// What is left when all bytes have come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// JSON did not begin: the text.
    Prose(Vec<u8>),
    /// JSON with the rows taken out, and how many bytes that are no blanks followed its end.
    Envelope { text: Vec<u8>, trailing: usize },
    /// The answer ended inside a row or before the list's end.
    Truncated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Before,
    Envelope,
    Rows,
    Row,
    After,
}

/// The cutter. Feed it with what arrives.
#[derive(Debug)]
pub(super) struct Rows {
    place: Place,
    /// Open brackets, of the envelope or of the row.
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// Text before JSON, then the envelope.
    kept: Vec<u8>,
    /// The part of a row that came in earlier pieces.
    row: Vec<u8>,
    trailing: usize,
}

impl Rows {
    pub(super) fn new() -> Self {
        Self {
            place: Place::Before,
            depth: 0,
            in_string: false,
            escaped: false,
            kept: Vec::new(),
            row: Vec::new(),
            trailing: 0,
        }
    }

    /// Takes a piece; hands every row that it completes to `take`, whose error ends the cutting.
    pub(super) fn feed<E: From<Oversize>>(
        &mut self,
        piece: &[u8],
        take: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.place != Place::Before {
            return self.cut(piece, take);
        }
        self.kept.extend_from_slice(piece);
        match begin(&self.kept) {
            Some(at) => {
                let prose = std::mem::take(&mut self.kept);
                self.place = Place::Envelope;
                self.cut(prose.get(at..).unwrap_or(&[]), take)
            }
            None if self.kept.len() > MAX_PROSE => Err(Oversize::Prose.into()),
            None => Ok(()),
        }
    }

    /// All bytes have come.
    pub(super) fn finish(self) -> Rest {
        match self.place {
            Place::Before => Rest::Prose(self.kept),
            Place::After => Rest::Envelope { text: self.kept, trailing: self.trailing },
            Place::Envelope | Place::Rows | Place::Row => Rest::Truncated,
        }
    }

    fn cut<E: From<Oversize>>(&mut self, piece: &[u8], take: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut at = 0;
        // Where the row in progress began within this piece.
        let mut row_start = 0;
        while let Some(&byte) = piece.get(at) {
            match self.place {
                Place::Rows => {
                    if matches!(byte, b'{' | b'[') {
                        (self.place, self.depth, row_start) = (Place::Row, 0, at);
                        continue;
                    }
                    self.kept_byte_between_rows(byte);
                }
                Place::Row => {
                    at = self.skip_string(piece, at);
                    if at < piece.len() && self.bracket(piece.get(at).copied().unwrap_or(0)) && self.depth == 0 {
                        self.end_row(piece.get(row_start..=at).unwrap_or(&[]), take)?;
                    }
                }
                Place::Before | Place::Envelope => self.envelope_byte(byte),
                Place::After => self.trailing += usize::from(!byte.is_ascii_whitespace()),
            }
            at += 1;
        }
        if self.place == Place::Row {
            self.row.extend_from_slice(piece.get(row_start..).unwrap_or(&[]));
        }
        self.check_sizes().map_err(E::from)
    }

    fn check_sizes(&self) -> Result<(), Oversize> {
        if self.row.len() > MAX_ROW {
            return Err(Oversize::Row);
        }
        if self.kept.len() > MAX_ENVELOPE { Err(Oversize::Envelope) } else { Ok(()) }
    }

    fn end_row<E>(&mut self, tail: &[u8], take: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        (self.place, self.depth) = (Place::Rows, 1);
        if self.row.is_empty() {
            return take(tail);
        }
        self.row.extend_from_slice(tail);
        let row = std::mem::take(&mut self.row);
        take(&row)
    }

    /// Between rows: blanks and commas belong to nobody; the list's end, and what does not belong there, go to the
    /// envelope, where the latter makes it no JSON.
    fn kept_byte_between_rows(&mut self, byte: u8) {
        if byte == b']' {
            self.place = Place::Envelope;
            self.depth = 1;
        }
        if !byte.is_ascii_whitespace() && byte != b',' {
            self.kept.push(byte);
        }
    }

    fn envelope_byte(&mut self, byte: u8) {
        self.kept.push(byte);
        if self.in_string {
            self.string_byte(byte);
        } else if self.bracket(byte) {
            if self.depth == 0 {
                self.place = Place::After;
            } else if byte == b'[' && self.depth == 2 && ends_with_data_key(&self.kept) {
                self.place = Place::Rows;
            }
        }
    }

    /// Within a string, moves to the byte that matters next; elsewhere stays. Gives the position to look at.
    fn skip_string(&mut self, piece: &[u8], mut at: usize) -> usize {
        while self.in_string {
            let rest = piece.get(at..).unwrap_or(&[]);
            if !self.escaped {
                match memchr2(b'"', b'\\', rest) {
                    Some(next) => at += next,
                    None => return piece.len(),
                }
            }
            match piece.get(at) {
                Some(byte) => self.string_byte(*byte),
                None => return piece.len(),
            }
            at += 1;
        }
        at
    }

    fn string_byte(&mut self, byte: u8) {
        if self.escaped {
            self.escaped = false;
        } else if byte == b'\\' {
            self.escaped = true;
        } else if byte == b'"' {
            self.in_string = false;
        }
    }

    /// Counts brackets outside strings; whether the byte was one.
    fn bracket(&mut self, byte: u8) -> bool {
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        matches!(byte, b'{' | b'[' | b'}' | b']')
    }
}

/// Where JSON begins: at the first byte but for blanks and a byte order mark, or where Pandora's own begins.
fn begin(text: &[u8]) -> Option<usize> {
    let bare = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let bare = bare.trim_ascii_start();
    if bare.first() == Some(&b'{') {
        return Some(text.len() - bare.len());
    }
    memchr::memmem::find(text, BEGIN)
}

fn ends_with_data_key(kept: &[u8]) -> bool {
    let Some((b'[', before)) = kept.split_last() else {
        return false;
    };
    let before = before.trim_ascii_end();
    before.strip_suffix(b":").is_some_and(|key| key.trim_ascii_end().ends_with(b"\"data\""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(text: &[u8], pieces: &[usize]) -> Result<(Vec<String>, Rest), Oversize> {
        let mut rows = Rows::new();
        let mut taken = Vec::new();
        let mut rest = text;
        let mut take = |row: &[u8]| {
            taken.push(String::from_utf8_lossy(row).into_owned());
            Ok::<(), Oversize>(())
        };
        for size in pieces.iter().cycle().take(text.len() + 1) {
            let (piece, more) = rest.split_at((*size).min(rest.len()));
            rows.feed(piece, &mut take)?;
            rest = more;
        }
        rows.feed(rest, &mut take)?;
        Ok((taken, rows.finish()))
    }

    #[test]
    fn rows_are_taken_out_and_the_envelope_stays() {
        let text = br#" {"type":"array","data" : [ {"a":"]}\"{[","b":[1,{}]} , {"c":null}],"list_index":["x","y"]} "#;
        let (rows, rest) = cut(text, &[1000]).unwrap();
        assert_eq!(rows, [r#"{"a":"]}\"{[","b":[1,{}]}"#, r#"{"c":null}"#]);
        let Rest::Envelope { text: envelope, .. } = rest else { panic!("{rest:?}") };
        let envelope: serde_json::Value = serde_json::from_slice(&envelope).unwrap();
        assert_eq!(envelope, serde_json::json!({"type":"array","data":[],"list_index":["x","y"]}));
    }

    #[test]
    fn what_is_no_list_is_kept_whole() {
        for text in ["auth error", "", "<html>{}</html>"] {
            assert_eq!(cut(text.as_bytes(), &[3]).unwrap(), (vec![], Rest::Prose(text.into())));
        }
        let sentence = r#"{"type":"string","data":"no [rows] here"}"#;
        assert_eq!(
            cut(sentence.as_bytes(), &[3]).unwrap(),
            (vec![], Rest::Envelope { text: sentence.into(), trailing: 0 })
        );
        let warned = "<br />\n<b>Warning</b>: {x} on line 3\n{\"type\":\"array\",\"data\":[{}]}";
        assert_eq!(cut(warned.as_bytes(), &[7]).unwrap().0, ["{}"]);
        assert_eq!(cut("\u{feff}{\"data\":[{}]}".as_bytes(), &[1]).unwrap().0, ["{}"]);
        let behind = cut(b"{\"data\":[{}]} <br />Warning", &[5]).unwrap();
        assert_eq!(behind, (vec!["{}".into()], Rest::Envelope { text: b"{\"data\":[]}".into(), trailing: 12 }));
    }

    #[test]
    fn garbage_between_rows_makes_the_envelope_no_json() {
        let (_, rest) = cut(br#"{"data":[{},oops,{}]}"#, &[4]).unwrap();
        let Rest::Envelope { text: envelope, .. } = rest else { panic!("{rest:?}") };
        assert!(serde_json::from_slice::<serde_json::Value>(&envelope).is_err());
    }

    #[test]
    fn sizes_are_bounded() {
        assert_eq!(cut(&[b'x'; 70_000], &[1000]), Err(Oversize::Prose));
        let long = [br#"{"data":[{"a":""#.as_slice(), &vec![b'y'; 5_000_000]].concat();
        assert_eq!(cut(&long, &[100_000]), Err(Oversize::Row));
        let wide = [br#"{"data":1,"b":""#.as_slice(), &vec![b'y'; 2_000_000]].concat();
        assert_eq!(cut(&wide, &[100_000]), Err(Oversize::Envelope));
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<i32>().prop_map(Into::into),
            r#"["\\\[\]{},:ñ a]{0,6}"#.prop_map(Into::into),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                proptest::collection::btree_map(r#"["\\a]{0,3}"#, inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_list_in_any_pieces_gives_its_rows(
            rows in proptest::collection::vec(proptest::collection::btree_map("[a\"]{0,2}", json(), 0..4), 0..6),
            pieces in proptest::collection::vec(1usize..9, 1..5),
            pretty: bool,
            cut_at in any::<proptest::sample::Index>(),
        ) {
            let whole = serde_json::json!({"type": "array", "data": rows, "list_index": ["data", "b"]});
            let text = if pretty { serde_json::to_vec_pretty(&whole) } else { serde_json::to_vec(&whole) }.unwrap();
            let (taken, rest) = cut(&text, &pieces).unwrap();
            let taken: Vec<serde_json::Value> = taken.iter().map(|row| serde_json::from_str(row).unwrap()).collect();
            prop_assert_eq!(serde_json::json!(taken), serde_json::json!(rows));
            let Rest::Envelope { text: envelope, .. } = rest else { panic!("{rest:?}") };
            let envelope: serde_json::Value = serde_json::from_slice(&envelope).unwrap();
            prop_assert_eq!(envelope, serde_json::json!({"type": "array", "data": [], "list_index": ["data", "b"]}));
            // Cut anywhere, it is never taken for whole.
            let cut_text = &text[..cut_at.index(text.len())];
            let whole_again = match cut(cut_text, &pieces).unwrap().1 {
                Rest::Envelope { text: envelope, .. } => serde_json::from_slice::<serde_json::Value>(&envelope).is_ok(),
                Rest::Prose(_) | Rest::Truncated => false,
            };
            prop_assert!(!whole_again);
        }
    }
}
