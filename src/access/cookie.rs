//! The text in the session's cookie: a JSON Web Token that only we can have made, read as strictly as can be.
//!
//! One algorithm, one type, and a header that holds nothing but algorithm, type and key id: whatever names another key
//! (`jku`, `jwk`, `x5c`) is refused. `iss`, `aud`, `sub`, `sid`, `nbf`, `iat`, `exp` and `epoch` are required and of
//! their type. The library checks the signature, issuer and audience; times are checked here, against the clock that is
//! passed in, because the library takes the machine's.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};

use super::secrets::Master;
use crate::clock::Timestamp;

/// Whom cookies of sessions are for.
const AUDIENCE: &str = "gateway";

/// How far clocks of several gateways may differ, in seconds.
const LEEWAY: i64 = 5;

/// Longer ones are refused unread.
const MOST_BYTES: usize = 2048;

/// What a cookie is for. One of one kind is never taken for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A session.
    Session,
    /// A browser in which somebody has logged in before.
    Device,
    /// A screen on a wall.
    Wall,
}

impl Kind {
    fn typ(self) -> &'static str {
        match self {
            Self::Session => "mc-session+jwt",
            Self::Device => "mc-device+jwt",
            Self::Wall => "mc-wall+jwt",
        }
    }

    fn purpose(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Device => "device",
            Self::Wall => "wall",
        }
    }
}

/// What it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// Gateway.
    pub iss: String,
    /// Always `gateway`.
    pub aud: String,
    /// Qualified login.
    pub sub: String,
    /// Id of the session (or device).
    pub sid: String,
    /// Not before, in seconds since 1970.
    pub nbf: i64,
    /// Made, in seconds since 1970.
    pub iat: i64,
    /// Not after, in seconds since 1970.
    pub exp: i64,
    /// The user's count of "sign out everywhere".
    pub epoch: u64,
    /// When they proved who they are, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// How.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
}

/// Not one of ours, or not any more. Deliberately without a reason: nobody is to be told how near they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid cookie of this gateway")]
pub struct Refused;

/// Makes and reads cookies of one kind.
pub struct Seal {
    kind: Kind,
    issuer: String,
    header: Header,
    sign: EncodingKey,
    verify: DecodingKey,
    validation: Validation,
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Seal({:?})", self.kind)
    }
}

impl Seal {
    /// With keys that come from this master.
    pub fn new(kind: Kind, issuer: &str, master: &Master) -> Self {
        let kid = master.kid();
        Self::with_kid(kind, issuer, master, &kid)
    }

    fn with_kid(kind: Kind, issuer: &str, master: &Master, kid: &str) -> Self {
        let key = master.derived(&format!("{}|gateway|{kid}", kind.purpose()));
        Self::with_key(kind, issuer, &key, kid)
    }

    fn with_key(kind: Kind, issuer: &str, key: &[u8], kid: &str) -> Self {
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(kind.typ().to_owned());
        header.kid = Some(kid.to_owned());
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "aud", "sub"]);
        validation.validate_exp = false;
        let (sign, verify) = (EncodingKey::from_secret(key), DecodingKey::from_secret(key));
        Self { kind, issuer: issuer.to_owned(), header, sign, verify, validation }
    }

    /// A new cookie, good until `until`.
    ///
    /// # Errors
    /// When it cannot be signed, which is a fault of ours.
    pub fn make(
        &self,
        sub: &str,
        sid: &str,
        epoch: u64,
        auth: Timestamp,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<String, Refused> {
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: AUDIENCE.to_owned(),
            sub: sub.to_owned(),
            sid: sid.to_owned(),
            nbf: now.as_secs(),
            iat: now.as_secs(),
            exp: until.as_secs(),
            epoch,
            auth_time: Some(auth.as_secs()),
            amr: vec!["pwd".to_owned()],
        };
        encode(&self.header, &claims, &self.sign).map_err(|_| Refused)
    }

    /// What a cookie says, if it is ours and its time is now.
    ///
    /// # Errors
    /// When it is not.
    pub fn read(&self, text: &str, now: Timestamp) -> Result<Claims, Refused> {
        if text.len() > MOST_BYTES {
            return Err(Refused);
        }
        if decode_header(text).map_err(|_| Refused)? != self.header {
            return Err(Refused);
        }
        let claims = decode::<Claims>(text, &self.verify, &self.validation).map_err(|_| Refused)?.claims;
        let now = now.as_secs();
        let begun = claims.nbf.max(claims.iat) <= now.saturating_add(LEEWAY);
        let goes_on = now <= claims.exp.saturating_add(LEEWAY);
        if begun && goes_on { Ok(claims) } else { Err(Refused) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        hex.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    /// The cookies that two independent programs agree on; `epoch` is the store's to judge.
    #[test]
    fn every_cookie_of_the_vectors_is_decided_as_listed() {
        let vectors: Value = serde_json::from_str(include_str!("../../tests/fixtures/session-cookies.json")).unwrap();
        let seal = Seal::with_key(Kind::Session, "mc-hq", &bytes(vectors["key_hex"].as_str().unwrap()), "2026a");
        let mut decided = 0;
        for case in ["positive", "negative"].iter().flat_map(|list| vectors[list].as_array().unwrap()) {
            let now = Timestamp::from_secs(case["now"].as_i64().unwrap());
            let read = seal.read(case["cookie"].as_str().unwrap(), now);
            let epoch_of_the_user = 3;
            let taken = read.filter_epoch(epoch_of_the_user);
            assert_eq!(taken.is_some(), case["expect"]["ok"].as_bool().unwrap(), "{}", case["id"]);
            if let Some(claims) = taken {
                assert_eq!((claims.sub.as_str(), claims.sid.as_str()), ("u_7f3a9c", "s_2Z8w4l1cQ0"));
            }
            decided += 1;
        }
        assert_eq!(decided, 17);
    }

    trait FilterEpoch {
        fn filter_epoch(self, epoch: u64) -> Option<Claims>;
    }

    impl FilterEpoch for Result<Claims, Refused> {
        fn filter_epoch(self, epoch: u64) -> Option<Claims> {
            self.ok().filter(|claims| claims.epoch >= epoch)
        }
    }

    #[test]
    fn the_derived_key_is_the_vectors_own() {
        let vectors: Value = serde_json::from_str(include_str!("../../tests/fixtures/session-cookies.json")).unwrap();
        let master = Master::from_bytes(&bytes(vectors["master_hex"].as_str().unwrap()));
        assert_eq!(master.derived("session|gateway|2026a").to_vec(), bytes(vectors["key_hex"].as_str().unwrap()));
    }

    #[test]
    fn no_changed_character_and_no_other_kind_is_taken() {
        let master = Master::from_bytes(&[7; 32]);
        let seal = Seal::new(Kind::Session, "hq", &master);
        let now = Timestamp::from_secs(1000);
        let text = seal.make("local:alice", "s", 0, now, now, Timestamp::from_secs(2000)).unwrap();
        assert!(seal.read(&text, now).is_ok());
        assert!(Seal::new(Kind::Device, "hq", &master).read(&text, now).is_err());
        assert!(Seal::new(Kind::Session, "other", &master).read(&text, now).is_err());
        assert!(Seal::new(Kind::Session, "hq", &Master::from_bytes(&[8; 32])).read(&text, now).is_err());
        for place in 0..text.len() {
            for other in ["A", "B", "-", ".", ""] {
                let changed = format!("{}{other}{}", &text[..place], &text[place + 1..]);
                assert!(changed == text || seal.read(&changed, now).is_err(), "{changed}");
            }
        }
        assert!(seal.read(&format!("{text}{}", "A".repeat(MOST_BYTES)), now).is_err());
    }
}
