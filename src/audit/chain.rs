//! The chain: each line names the SHA-256 of the line before it, and its own number.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use sha2::{Digest, Sha256};

/// The hash of a line: what the next one must name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head([u8; 32]);

impl Head {
    /// Before the first line.
    pub const START: Self = Self([0; 32]);

    /// Of a line, without its line feed.
    pub fn of(line: &[u8]) -> Self {
        Self(Sha256::digest(line).into())
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A text that is no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a head is 64 hex digits in lower case")]
pub struct HeadError;

impl FromStr for Head {
    type Err = HeadError;

    fn from_str(text: &str) -> Result<Self, HeadError> {
        let digit = |byte: &u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(HeadError),
        };
        let mut bytes = [0; 32];
        if text.len() != 64 {
            return Err(HeadError);
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let [high, low] = pair else { return Err(HeadError) };
            *byte = digit(high)? << 4 | digit(low)?;
        }
        Ok(Self(bytes))
    }
}

/// Why a line does not follow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Break {
    /// It is cut or no record.
    #[error("this line is no whole record: it was cut or altered")]
    NoRecord,
    /// Its `prev` is not the hash of the line before.
    #[error(
        "this line does not follow the one before it: that one was altered, or lines were removed, inserted or reordered here"
    )]
    Prev,
    /// Its number is not the next.
    #[error("number {found} stands where {expected} belongs: lines were removed, inserted or reordered here")]
    Number {
        /// What would follow.
        expected: u64,
        /// What stands there.
        found: u64,
    },
}

#[derive(Deserialize)]
struct Links {
    seq: u64,
    prev: String,
}

/// Lines are shown to it one after the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chain {
    last: Option<(u64, Head)>,
}

impl Chain {
    /// Begins behind a known line.
    pub(super) fn behind(seq: u64, head: Head) -> Self {
        Self { last: Some((seq, head)) }
    }

    /// Number and hash of the last line that followed.
    pub fn last(&self) -> Option<(u64, Head)> {
        self.last
    }

    /// Takes the next line, without its line feed. The first one may stand anywhere in the chain, but number 1 only at
    /// its start.
    ///
    /// # Errors
    /// Why it does not follow; the state stays.
    pub fn next(&mut self, line: &[u8]) -> Result<(), Break> {
        let links: Links = serde_json::from_slice(line).map_err(|_| Break::NoRecord)?;
        let prev: Head = links.prev.parse().map_err(|_| Break::NoRecord)?;
        match self.last {
            Some((seq, head)) => {
                if prev != head {
                    return Err(Break::Prev);
                }
                let expected = seq.saturating_add(1);
                if links.seq != expected {
                    return Err(Break::Number { expected, found: links.seq });
                }
            }
            None if (links.seq == 1) != (prev == Head::START) => return Err(Break::Prev),
            None if links.seq == 0 => return Err(Break::Number { expected: 1, found: 0 }),
            None => {}
        }
        self.last = Some((links.seq, Head::of(line)));
        Ok(())
    }
}
