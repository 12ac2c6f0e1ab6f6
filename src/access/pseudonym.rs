//! What a site is told instead of a person's login where it is not to know who they are: the same for the same person and
//! site as long as the gateway's key of sessions stays, and another one at every site, so that sites cannot compare.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::secrets::Master;
use crate::domain::SiteId;

/// Makes them. It has a key of its own, derived for this alone, and cannot be printed.
pub struct Pseudonyms([u8; 32]);

impl std::fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pseudonyms(***)")
    }
}

impl Pseudonyms {
    /// With a key from this master.
    pub fn new(master: &Master) -> Self {
        Self(master.derived("actor|gateway"))
    }

    /// `u_` and 32 hexadecimal digits.
    pub fn of(&self, site: &SiteId, login: &str) -> String {
        // HMAC takes keys of any length; there is no error to meet.
        let mac = Hmac::<Sha256>::new_from_slice(&self.0).ok();
        let text = format!("{site}|{login}");
        let code = mac.map(|mac| mac.chain_update(text.as_bytes()).finalize().into_bytes()).unwrap_or_default();
        let digits: String = code.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("u_{digits}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_for_the_same_person_and_another_at_every_site_and_under_another_key() {
        let of = |key: &[u8], site: &str, login: &str| {
            Pseudonyms::new(&Master::from_bytes(key)).of(&site.parse().unwrap(), login)
        };
        let ana = of(b"one", "madrid", "local:ana");
        assert_eq!(ana, of(b"one", "madrid", "local:ana"));
        assert!(ana.len() == 34 && ana.starts_with("u_") && !ana.contains("ana"), "{ana}");
        for other in
            [of(b"one", "lyon", "local:ana"), of(b"one", "madrid", "local:ben"), of(b"two", "madrid", "local:ana")]
        {
            assert_ne!(ana, other);
        }
        let shown = format!("{:?}", Pseudonyms::new(&Master::from_bytes(b"one")));
        assert_eq!(shown, "Pseudonyms(***)");
    }
}
