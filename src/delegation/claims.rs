//! The members of a token: all of them, each once, nothing else, each of its exact type.

use serde::{Deserialize, Serialize};

use super::base64url::decode_array;

/// How the person logged in at the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Amr {
    /// By a password.
    Pwd,
    /// By more than one factor.
    Mfa,
    /// By somebody else: an identity provider, a trusted header.
    Ext,
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Claims {
    /// Gateway id.
    pub iss: String,
    /// Site id.
    pub aud: String,
    /// Account at the site.
    pub sub: String,
    /// The gateway's user, for the site's log, never for a decision.
    pub act: String,
    /// How they logged in.
    pub amr: Amr,
    /// Seconds since 1970.
    pub iat: u64,
    /// Seconds since 1970.
    pub exp: u64,
    /// 16 bytes, as 22 characters.
    pub jti: String,
    /// Landing path.
    pub dst: String,
    /// SHA-256 of the browser's state, as 43 characters.
    pub st: String,
}

/// As [`Claims`], for reading: serde refuses unknown, missing and repeated members, and numbers that are no integers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Strict {
    iss: String,
    aud: String,
    sub: String,
    act: String,
    amr: Word,
    iat: u64,
    exp: u64,
    jti: String,
    dst: String,
    st: String,
}

/// A string that is the word of an [`Amr`]. (An enum by itself would take `{"pwd":null}` too.)
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Word(Amr);

impl TryFrom<String> for Word {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "pwd" => Ok(Self(Amr::Pwd)),
            "mfa" => Ok(Self(Amr::Mfa)),
            "ext" => Ok(Self(Amr::Ext)),
            _ => Err("amr is pwd, mfa or ext"),
        }
    }
}

impl Claims {
    /// Reads a payload whose code held. None when it is anything but the object that was agreed on.
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(payload).ok()?;
        // A struct is also read from a JSON array; an object it must be.
        if !text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{') {
            return None;
        }
        let Strict { iss, aud, sub, act, amr: Word(amr), iat, exp, jti, dst, st } = serde_json::from_str(text).ok()?;
        decode_array::<16>(&jti)?;
        decode_array::<32>(&st)?;
        Some(Self { iss, aud, sub, act, amr, iat, exp, jti, dst, st })
    }
}
