//! Keys: masters that stay at the gateway, and what sites get of them.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::base64url;
use crate::secret::Secret;

/// Separates these keys from anything else that is derived from the same bytes.
const SALT: &[u8] = b"metaconsole-delegation-v1";

/// Written down in the published test vectors, so known to everybody: the first byte of each; the others count on.
const PUBLISHED: &[u8] = &[0x00, 0x20, 0x40];

/// What a key is for. Each has its own, so that nothing made with one can pass as the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Tokens.
    Token,
    /// The bearer of a verifier that asks the gateway.
    Verify,
    /// The gate's own cookie.
    Gate,
    /// Calls from the gateway to a verifier.
    Push,
}

impl Purpose {
    /// Every purpose, with its word.
    pub const ALL: [(&'static str, Self); 4] =
        [("mc1", Self::Token), ("mc1-verify", Self::Verify), ("mc1-gate", Self::Gate), ("mc1-push", Self::Push)];

    /// Its word, as it stands in the derivation.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "mc1",
            Self::Verify => "mc1-verify",
            Self::Gate => "mc1-gate",
            Self::Push => "mc1-push",
        }
    }
}

/// Why a key is refused. Nothing of the key is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Too short.
    #[error("the key has fewer than 32 bytes; make one with `metaconsole keys generate`")]
    Short,
    /// Hardly any different bytes.
    #[error("the key is no random one; make one with `metaconsole keys generate`")]
    Weak,
    /// From the test vectors.
    #[error("the key is one of the published test keys; make one with `metaconsole keys generate`")]
    Published,
    /// No key id.
    #[error("a key id is 1 to 16 characters of A-Z, a-z, 0-9, _ and -")]
    Kid,
    /// No site.
    #[error("a site id is written with A-Z, a-z, 0-9, _ and -, and is not `gateway`")]
    Site,
    /// The system.
    #[error("the system gives no random bytes")]
    NoRandom,
    /// The same twice.
    #[error("the same key stands there twice; give every key id its own")]
    Repeated,
}

/// Whether this is a key id: `[A-Za-z0-9_-]{1,16}`.
pub fn is_kid(text: &str) -> bool {
    (1..=16).contains(&text.len()) && text.bytes().all(is_word)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// A master key. It cannot be printed, and is wiped when dropped.
#[derive(Clone)]
pub struct MasterKey {
    kid: String,
    bytes: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MasterKey({}, ***)", self.kid)
    }
}

impl MasterKey {
    /// From what the configuration holds: 64 hex digits, as `keys generate` writes them, or at least 32 other bytes.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn read(kid: &str, secret: &Secret) -> Result<Self, KeyError> {
        let text = secret.expose();
        let bytes = hex(text).unwrap_or_else(|| Zeroizing::new(text.as_bytes().to_vec()));
        let key = Self::unchecked(kid, &bytes)?;
        let follows = |(at, byte): (usize, &u8)| {
            bytes.first().is_some_and(|first| usize::from(*byte) == usize::from(*first) + at)
        };
        if bytes.first().is_some_and(|first| PUBLISHED.contains(first)) && bytes.iter().enumerate().all(follows) {
            return Err(KeyError::Published);
        }
        let different: std::collections::HashSet<&u8> = bytes.iter().collect();
        if different.len() < 8 {
            return Err(KeyError::Weak);
        }
        Ok(key)
    }

    /// Test vectors use keys that `read` refuses.
    pub(super) fn unchecked(kid: &str, bytes: &[u8]) -> Result<Self, KeyError> {
        if !is_kid(kid) {
            return Err(KeyError::Kid);
        }
        if bytes.len() < 32 {
            return Err(KeyError::Short);
        }
        Ok(Self { kid: kid.to_owned(), bytes: Zeroizing::new(bytes.to_vec()) })
    }

    /// Its id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// That no two of these are the same key, or have the same id.
    ///
    /// # Errors
    /// They do.
    pub fn all_different(keys: &[Self]) -> Result<(), KeyError> {
        let same = |a: &Self, b: &Self| a.kid == b.kid || *a.bytes == *b.bytes;
        let repeated = keys.iter().enumerate().any(|(at, key)| keys.iter().skip(at + 1).any(|other| same(key, other)));
        if repeated { Err(KeyError::Repeated) } else { Ok(()) }
    }

    /// The key of one site for one purpose.
    ///
    /// # Errors
    /// The site id is none.
    pub fn derive(&self, site: &str, purpose: Purpose) -> Result<SiteKey, KeyError> {
        if site.is_empty() || site.len() > 63 || site == "gateway" || !site.bytes().all(is_word) {
            return Err(KeyError::Site);
        }
        let info = format!("{}|{site}|{}", purpose.as_str(), self.kid);
        let mut bytes = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(Some(SALT), &self.bytes)
            .expand(info.as_bytes(), &mut *bytes)
            .map_err(|_| KeyError::Short)?;
        Ok(SiteKey { site: site.to_owned(), kid: self.kid.clone(), purpose, bytes })
    }
}

/// A new master key: 32 random bytes as 64 hex digits.
///
/// # Errors
/// The system gives no random bytes.
pub fn new_master() -> Result<Secret, KeyError> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).map_err(|_| KeyError::NoRandom)?;
    Ok(Secret::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}

/// A derived key. It cannot be printed, and is wiped when dropped.
#[derive(Clone)]
pub struct SiteKey {
    site: String,
    kid: String,
    purpose: Purpose,
    bytes: Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for SiteKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SiteKey({}|{}|{}, ***)", self.purpose.as_str(), self.site, self.kid)
    }
}

impl SiteKey {
    /// As a verifier's file holds it: 64 hex digits.
    ///
    /// # Errors
    /// It is none.
    pub fn read(site: &str, kid: &str, purpose: Purpose, secret: &Secret) -> Result<Self, KeyError> {
        if !is_kid(kid) {
            return Err(KeyError::Kid);
        }
        let found = hex(secret.expose()).ok_or(KeyError::Short)?;
        let mut bytes = Zeroizing::new([0; 32]);
        bytes.copy_from_slice(found.get(..32).ok_or(KeyError::Short)?);
        Ok(Self { site: site.to_owned(), kid: kid.to_owned(), purpose, bytes })
    }

    /// As `keys derive` writes it: 43 characters of base64url.
    ///
    /// # Errors
    /// It is none, or no random one.
    pub fn from_text(site: &str, kid: &str, purpose: Purpose, text: &str) -> Result<Self, KeyError> {
        if !is_kid(kid) {
            return Err(KeyError::Kid);
        }
        let bytes = Zeroizing::new(base64url::decode_array::<32>(text).ok_or(KeyError::Short)?);
        let different: std::collections::HashSet<&u8> = bytes.iter().collect();
        if different.len() < 8 {
            return Err(KeyError::Weak);
        }
        Ok(Self { site: site.to_owned(), kid: kid.to_owned(), purpose, bytes })
    }

    /// Its site.
    pub fn site(&self) -> &str {
        &self.site
    }

    /// The id of its master.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What it is for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// As the verifier's file holds it: 43 characters of base64url.
    pub fn text(&self) -> Secret {
        Secret::new(base64url::encode(&*self.bytes))
    }

    /// As 64 hex digits.
    pub fn hex(&self) -> Secret {
        Secret::new(self.bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }

    /// `mcv1.<site>.<kid>.<key>`: how a verifier says who it is when it asks the gateway. None for other purposes.
    pub fn bearer(&self) -> Option<Secret> {
        let key = base64url::encode(&*self.bytes);
        (self.purpose == Purpose::Verify).then(|| Secret::new(format!("mcv1.{}.{}.{key}", self.site, self.kid)))
    }

    /// Whether `text` is this key's bearer. Takes as long for a wrong key as for the right one.
    pub fn is_bearer(&self, text: &str) -> bool {
        let Some(own) = self.bearer() else { return false };
        // Codes of both under the key itself: compared in constant time, whatever their lengths.
        self.holds(own.expose().as_bytes(), &self.code(text.as_bytes()))
    }

    fn mac(&self) -> Option<Hmac<Sha256>> {
        // HMAC takes keys of any length; there is no error to meet.
        Hmac::<Sha256>::new_from_slice(&*self.bytes).ok()
    }

    /// The code of a text.
    pub(super) fn code(&self, text: &[u8]) -> [u8; 32] {
        self.mac().map_or([0; 32], |mac| mac.chain_update(text).finalize().into_bytes().into())
    }

    /// Whether this is the text's code, in constant time.
    pub(super) fn holds(&self, text: &[u8], code: &[u8]) -> bool {
        self.mac().is_some_and(|mac| mac.chain_update(text).verify_slice(code).is_ok())
    }
}

/// Exactly 64 hex digits.
fn hex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    if text.len() != 64 {
        return None;
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(32));
    for pair in text.as_bytes().chunks_exact(2) {
        let [high, low] = pair else { return None };
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(digit(high)? << 4 | digit(low)?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_short_and_published_keys_are_refused_and_none_is_printed() {
        let read = |text: &str| MasterKey::read("2026a", &Secret::new(text)).map(|_| ());
        assert_eq!(read("short"), Err(KeyError::Short));
        assert_eq!(read(&"0".repeat(64)), Err(KeyError::Weak));
        assert_eq!(read(&"ab".repeat(20)), Err(KeyError::Weak));
        let counting = |from: u8| (from..from + 32).map(|byte| format!("{byte:02X}")).collect::<String>();
        assert_eq!([0, 32, 64].map(|from| read(&counting(from))), [Err(KeyError::Published); 3]);
        let good = "6a09e667f3bcc908b2fb1366ea957d3e3adec17512775099da2f590b0667322a";
        let key = MasterKey::read("2026a", &Secret::new(good)).unwrap();
        let site = key.derive("madrid", Purpose::Verify).unwrap();
        let shown = format!("{key:?} {site:?} {:?} {}", site.bearer(), site.hex());
        assert_eq!(shown, "MasterKey(2026a, ***) SiteKey(mc1-verify|madrid|2026a, ***) Some(***) ***");
        assert!(
            MasterKey::read("a|b", &Secret::new(good)).is_err()
                && MasterKey::read(&"k".repeat(17), &Secret::new(good)).is_err()
        );
        assert!(key.derive("gateway", Purpose::Token).is_err() && key.derive("a|b", Purpose::Token).is_err());
        let again = MasterKey::read("2026b", &Secret::new(good)).unwrap();
        assert_eq!(MasterKey::all_different(&[key.clone(), again]), Err(KeyError::Repeated));
        assert_eq!(SiteKey::read("madrid", "2026a", Purpose::Verify, &site.hex()).unwrap().hex(), site.hex());
    }

    #[test]
    fn a_bearer_is_its_own_only() {
        let good = Secret::new("6a09e667f3bcc908b2fb1366ea957d3e3adec17512775099da2f590b0667322a");
        let key = MasterKey::read("2026a", &good).unwrap();
        let madrid = key.derive("madrid", Purpose::Verify).unwrap();
        let bearer = madrid.bearer().unwrap();
        assert!(madrid.is_bearer(bearer.expose()) && bearer.expose().starts_with("mcv1.madrid.2026a."));
        let lyon = key.derive("lyon", Purpose::Verify).unwrap();
        assert!(!lyon.is_bearer(bearer.expose()) && !madrid.is_bearer(&bearer.expose()[1..]) && !madrid.is_bearer(""));
        let token = key.derive("madrid", Purpose::Token).unwrap();
        assert!(token.bearer().is_none() && !token.is_bearer(bearer.expose()));
    }
}
