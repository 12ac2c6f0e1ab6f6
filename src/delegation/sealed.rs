//! Texts of a token's form for other purposes: `PREFIX.KID.PAYLOAD.MAC`. Each prefix has the key of its own purpose, and
//! the code covers the prefix, so that none passes as another.

use super::base64url;
use super::keys::{Purpose, SiteKey, is_kid};
use super::verify::Refusal;
use crate::secret::Secret;

/// Longest one, in bytes: a token inside of one of ours, written twice in base64url.
const LONGEST: usize = 6144;

/// Signs a payload.
pub fn seal(key: &SiteKey, prefix: &str, payload: &[u8]) -> Secret {
    let signed = format!("{prefix}.{}.{}", key.kid(), base64url::encode(payload));
    Secret::new(format!("{signed}.{}", base64url::encode(&key.code(signed.as_bytes()))))
}

/// The payload, when it was signed by one of the keys of this purpose. Nothing of it is looked at before.
///
/// # Errors
/// [`Refusal::TooLong`], [`Refusal::Malformed`], [`Refusal::UnknownKid`], [`Refusal::BadMac`].
pub fn unseal(keys: &[SiteKey], purpose: Purpose, prefix: &str, text: &str) -> Result<Vec<u8>, Refusal> {
    if text.len() > LONGEST {
        return Err(Refusal::TooLong);
    }
    let (signed, code) = text.rsplit_once('.').ok_or(Refusal::Malformed)?;
    let body = signed.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('.')).ok_or(Refusal::Malformed)?;
    let (kid, payload) = body.split_once('.').ok_or(Refusal::Malformed)?;
    let code: [u8; 32] = base64url::decode_array(code).ok_or(Refusal::Malformed)?;
    if !is_kid(kid) {
        return Err(Refusal::Malformed);
    }
    let own = |key: &&SiteKey| key.purpose() == purpose && key.kid() == kid;
    let key = keys.iter().find(own).ok_or(Refusal::UnknownKid)?;
    if !key.holds(signed.as_bytes(), &code) {
        return Err(Refusal::BadMac);
    }
    base64url::decode(payload).ok_or(Refusal::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delegation::MasterKey;

    #[test]
    fn a_sealed_text_opens_for_its_own_purpose_prefix_and_site_only() {
        let good = Secret::new("6a09e667f3bcc908b2fb1366ea957d3e3adec17512775099da2f590b0667322a");
        let master = MasterKey::read("2026a", &good).unwrap();
        let keys: Vec<SiteKey> =
            Purpose::ALL.into_iter().map(|(_, purpose)| master.derive("madrid", purpose).unwrap()).collect();
        let text = seal(&master.derive("madrid", Purpose::Gate).unwrap(), "mcg1", b"{}");
        let text = text.expose();
        assert_eq!(unseal(&keys, Purpose::Gate, "mcg1", text).unwrap(), b"{}");
        assert_eq!(unseal(&keys, Purpose::Gate, "mcc1", text), Err(Refusal::Malformed));
        assert_eq!(unseal(&keys, Purpose::Gate, "mcg", text), Err(Refusal::Malformed));
        assert_eq!(unseal(&keys, Purpose::Push, "mcg1", text), Err(Refusal::BadMac));
        let renamed = format!("mcc1{}", &text[4..]);
        assert_eq!(unseal(&keys, Purpose::Gate, "mcc1", &renamed), Err(Refusal::BadMac));
        let other = [master.derive("lyon", Purpose::Gate).unwrap()];
        assert_eq!(unseal(&other, Purpose::Gate, "mcg1", text), Err(Refusal::BadMac));
        assert_eq!(unseal(&[], Purpose::Gate, "mcg1", text), Err(Refusal::UnknownKid));
        assert_eq!(unseal(&keys, Purpose::Gate, "mcg1", &"x".repeat(6145)), Err(Refusal::TooLong));
        for at in 5..text.len() {
            let mut altered = text.to_owned();
            let other = if altered.as_bytes()[at] == b'A' { "B" } else { "A" };
            altered.replace_range(at..=at, other);
            assert!(unseal(&keys, Purpose::Gate, "mcg1", &altered).is_err(), "{altered}");
        }
    }
}
