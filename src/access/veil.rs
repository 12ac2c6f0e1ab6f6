//! Places in a list that somebody sees in part, written so that they tell nothing of the rest.
//!
//! A place names what lies in front of it and how much that is; whoever is limited to some groups may know neither, nor
//! make up places to find out. So theirs are encrypted and signed, each time anew: the text, filled up to one length and
//! behind random bytes, under a keystream of HMAC-SHA256 over its own code, which is checked before anything is read.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::secrets::{Master, hex, random, unhex};

/// Random bytes, so that the same place looks different each time.
const RANDOM: usize = 8;

/// Bytes of a code.
const CODE: usize = 16;

/// Longer places are not hidden.
const MOST: usize = 72;

/// Hides places, and shows those it has hidden.
pub(super) struct Veil {
    sign: [u8; 32],
    cover: [u8; 32],
}

impl std::fmt::Debug for Veil {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Veil(***)")
    }
}

impl Veil {
    pub(super) fn new(master: &Master) -> Self {
        Self { sign: master.derived("place|sign"), cover: master.derived("place|cover") }
    }

    /// `None`: it is too long, or the system gives no random numbers.
    pub(super) fn hide(&self, place: &str) -> Option<String> {
        if place.len() > MOST || place.bytes().any(|byte| byte == 0) {
            return None;
        }
        let mut plain = random::<RANDOM>().ok()?.to_vec();
        plain.extend_from_slice(place.as_bytes());
        plain.resize(RANDOM + MOST, 0);
        let code: Vec<u8> = mac(&self.sign, &[&plain])?.finalize().into_bytes().into_iter().take(CODE).collect();
        let hidden = self.covered(&code, &plain)?;
        Some(hex(&[code, hidden].concat()))
    }

    /// `None`: it is none of ours.
    pub(super) fn show(&self, hidden: &str) -> Option<String> {
        let bytes = Some(hidden).filter(|hidden| hidden.len() == 2 * (CODE + RANDOM + MOST)).and_then(unhex)?;
        let (code, hidden) = bytes.split_at_checked(CODE)?;
        let plain = self.covered(code, hidden)?;
        mac(&self.sign, &[&plain])?.verify_truncated_left(code).ok()?;
        let place = plain.get(RANDOM..)?.split(|byte| *byte == 0).next()?;
        String::from_utf8(place.to_vec()).ok()
    }

    fn covered(&self, code: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
        let mut covered = Vec::with_capacity(bytes.len());
        for (number, block) in (0_u8..).zip(bytes.chunks(32)) {
            let stream = mac(&self.cover, &[code, &[number]])?.finalize().into_bytes();
            covered.extend(block.iter().zip(stream).map(|(byte, cover)| byte ^ cover));
        }
        Some(covered)
    }
}

fn mac(key: &[u8; 32], parts: &[&[u8]]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    parts.iter().for_each(|part| mac.update(part));
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_whole_and_a_changed_one_not_at_all() {
        let veil = Veil::new(&Master::from_bytes(&[7; 32]));
        for place in ["", "1795404681-42-0", &"9".repeat(MOST)] {
            let (one, two) = (veil.hide(place).unwrap(), veil.hide(place).unwrap());
            assert_eq!((veil.show(&one).as_deref(), veil.show(&two).as_deref()), (Some(place), Some(place)));
            assert!(one != two && one.len() == two.len(), "each looks like any other");
            for at in 0..one.len() {
                let other = if &one[at..=at] == "0" { "1" } else { "0" };
                assert_eq!(veil.show(&format!("{}{other}{}", &one[..at], &one[at + 1..])), None);
            }
            assert_eq!(Veil::new(&Master::from_bytes(&[8; 32])).show(&one), None);
        }
        assert_eq!(veil.hide(&"9".repeat(MOST + 1)), None);
        for bad in ["", "1795404681-42-0", &"0".repeat(192), &"é".repeat(96)] {
            assert_eq!(veil.show(bad), None, "{bad}");
        }
    }
}
