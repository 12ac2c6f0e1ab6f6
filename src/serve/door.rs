//! Who is let in: all connections together have a limit, and those of one address a smaller one.
//!
//! Loopback and `gateway.trusted_proxies` speak for many and for those who watch us: they have no limit of their own, and
//! some places are kept for them. Others beyond a limit are closed at once, so that they leave no trace in memory.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Stopwatch;

/// Refusals are told at most so often.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    /// All together.
    pub(super) all: usize,
    /// Of one address.
    pub(super) of_one: usize,
    /// Of `all`, those that only trusted peers get.
    pub(super) kept: usize,
}

type Trusted = Box<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// Counts who is inside.
pub(super) struct Door {
    pub(super) places: Places,
    trusted: Trusted,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    all: usize,
    of: HashMap<IpAddr, usize>,
    /// Since it was told.
    refused: u64,
    told: Option<Stopwatch>,
}

/// A place; given back when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    door: Arc<Door>,
    /// Whose limit it counts to.
    counted: Option<IpAddr>,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("places", &self.places).finish_non_exhaustive()
    }
}

impl Door {
    /// With these limits, which `trusted` peers do not have.
    pub(super) fn new(places: Places, trusted: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { places, trusted: Box::new(trusted), inside: Mutex::default() })
    }

    /// A place for a connection from there, if it may have one.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Seat> {
        let peer = peer.to_canonical();
        let counted = (!(self.trusted)(peer)).then(|| owner(peer));
        let mut inside = self.inside();
        if let Some(owner) = counted {
            let held = inside.of.get(&owner).copied().unwrap_or(0);
            if held >= self.places.of_one || inside.all >= self.places.all.saturating_sub(self.places.kept) {
                inside.refuse(peer, held);
                return None;
            }
            inside.of.insert(owner, held + 1);
        }
        inside.all += 1;
        drop(inside);
        Some(Seat { door: Arc::clone(self), counted })
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        // Nothing panics while it is held; a poisoned count would still be whole.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whom an address belongs to: with IPv6 everybody has at least a /64.
fn owner(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

impl Inside {
    fn refuse(&mut self, peer: IpAddr, held: usize) {
        self.refused += 1;
        if self.told.is_none_or(|told| told.elapsed() >= TOLD_EVERY) {
            self.told = Some(Stopwatch::start());
            let refused = std::mem::take(&mut self.refused);
            tracing::warn!(
                %peer,
                held,
                refused,
                "connections are closed at once: there are too many of them; if this peer is a proxy of yours, name \
                 it in `gateway.trusted_proxies`"
            );
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut inside = self.door.inside();
        inside.all = inside.all.saturating_sub(1);
        if let Some(owner) = self.counted
            && let Some(held) = inside.of.get_mut(&owner)
        {
            *held = held.saturating_sub(1);
            if *held == 0 {
                inside.of.remove(&owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_all_and_trusted_ones_have_places_kept() {
        let near: IpAddr = "10.0.0.1".parse().unwrap();
        let door = Door::new(Places { all: 6, of_one: 2, kept: 2 }, move |peer| peer == near);
        let admit = |peer: &str| door.admit(peer.parse().unwrap());
        let first = [admit("192.0.2.1"), admit("::ffff:192.0.2.1")];
        assert!(first.iter().all(Option::is_some) && admit("192.0.2.1").is_none());
        // Another address of the same network is the same peer.
        let second = [admit("2001:db8::1"), admit("2001:db8::2")];
        assert!(second.iter().all(Option::is_some) && admit("2001:db8::3").is_none());
        assert!(admit("192.0.2.9").is_none(), "these places are kept");
        let trusted = [admit("10.0.0.1"), admit("10.0.0.1"), admit("10.0.0.1")];
        assert!(trusted.iter().all(Option::is_some));
        drop((first, second, trusted));
        assert!(admit("192.0.2.1").is_some());
        let inside = door.inside();
        assert_eq!((inside.all, inside.of.len()), (0, 0));
    }
}
