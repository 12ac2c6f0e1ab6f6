//! How often somebody may try: failures counted so that guessing is slow and nobody can lock others out.
//!
//! A stranger is an account and an address together: whoever guesses alice's password from one address delays alice
//! there and nowhere else. A browser in which alice has logged in before is counted by itself, so that even a guesser
//! behind the same address does not delay her. One address that tries many accounts is slowed as a whole; known
//! browsers behind it are not. Five tries are free, then each waits 1, 2, 4 … 300 s; a quarter of an hour without a try
//! forgets. A try counts when it begins: a thousand at once are a thousand. Time is passed in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::clock::Timestamp;

/// Tries without a delay.
const FREE: u32 = 5;

/// Tries of one address, whatever the account, without a delay: a few dozen people may sit behind it.
const FREE_OF_ADDRESS: u32 = 50;

/// The longest delay.
const MOST_DELAY: u64 = 300;

/// So long after the last try, all is forgotten.
const MEMORY: Duration = Duration::from_secs(15 * 60);

/// Counted at once. A place takes about 150 bytes.
const MOST: usize = 20_000;

/// Who tries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Tries {
    /// An account from an address.
    Stranger {
        /// As typed, whether it exists or not.
        account: String,
        /// From where.
        address: IpAddr,
    },
    /// An account in a browser that has been logged in to it before.
    Known {
        /// The account.
        account: String,
        /// The browser's id.
        device: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Tries(Tries),
    Address(IpAddr),
}

#[derive(Clone, Copy, Debug)]
struct Count {
    tries: u32,
    last: Timestamp,
}

/// All counts. See the module's text.
#[derive(Debug, Default)]
pub struct Throttle {
    counts: HashMap<Key, Count>,
}

impl Throttle {
    /// Counts a try, or says how long to wait until the next one is looked at. A try that must wait is not counted, or
    /// somebody could be kept out by trying for them.
    ///
    /// # Errors
    /// The time to wait.
    pub fn begin(&mut self, who: &Tries, now: Timestamp) -> Result<(), Duration> {
        let keys = keys(who);
        let wait = keys.iter().filter_map(|(key, free)| self.counts.get(key)?.wait(*free, now)).max();
        if let Some(wait) = wait {
            return Err(wait);
        }
        self.make_room(keys.len(), now);
        for (key, _) in keys {
            let count = self.counts.entry(key).or_insert(Count { tries: 0, last: now });
            if count.last.until(now) >= MEMORY {
                count.tries = 0;
            }
            *count = Count { tries: count.tries.saturating_add(1), last: now };
        }
        Ok(())
    }

    /// The try was right: this account from there begins anew. The address keeps its count, less this one try, so that
    /// one right password does not pay for a thousand guesses.
    pub fn succeeded(&mut self, who: &Tries) {
        for (key, _) in keys(who) {
            match key {
                Key::Tries(_) => {
                    self.counts.remove(&key);
                }
                Key::Address(_) => {
                    if let Some(count) = self.counts.get_mut(&key) {
                        count.tries = count.tries.saturating_sub(1);
                    }
                }
            }
        }
    }

    /// The try was not judged (we were busy): it does not count.
    pub fn not_judged(&mut self, who: &Tries) {
        for (key, _) in keys(who) {
            if let Some(count) = self.counts.get_mut(&key) {
                count.tries = count.tries.saturating_sub(1);
            }
        }
    }

    /// How many are counted.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether nobody is counted.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    fn make_room(&mut self, wanted: usize, now: Timestamp) {
        if self.counts.len() + wanted <= MOST {
            return;
        }
        self.counts.retain(|_, count| count.last.until(now) < MEMORY);
        if self.counts.len() + wanted <= MOST {
            return;
        }
        // Those with fewest tries go first: a flood of new names must not wash away who is being slowed.
        let mut order: Vec<(u32, Timestamp)> = self.counts.values().map(|count| (count.tries, count.last)).collect();
        order.sort_unstable();
        let Some(limit) = order.get(MOST / 10).copied() else { return };
        let mut spare = MOST / 10;
        self.counts.retain(|_, count| {
            let goes = spare > 0 && (count.tries, count.last) <= limit;
            spare -= usize::from(goes);
            !goes
        });
    }
}

impl Count {
    fn wait(self, free: u32, now: Timestamp) -> Option<Duration> {
        let over = self.tries.checked_sub(free)?;
        let passed = self.last.until(now);
        if passed >= MEMORY {
            return None;
        }
        let delay = Duration::from_secs(1_u64.checked_shl(over).unwrap_or(MOST_DELAY).min(MOST_DELAY));
        delay.checked_sub(passed).filter(|left| !left.is_zero())
    }
}

fn keys(who: &Tries) -> Vec<(Key, u32)> {
    match who {
        Tries::Known { .. } => vec![(Key::Tries(who.clone()), FREE)],
        Tries::Stranger { account, address } => {
            let address = neighbourhood(*address);
            let stranger = Tries::Stranger { account: account.clone(), address };
            vec![(Key::Tries(stranger), FREE), (Key::Address(address), FREE_OF_ADDRESS)]
        }
    }
}

/// One household has a whole /64 of addresses of version 6.
pub(super) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        four => four,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn stranger(account: &str, last: u8) -> Tries {
        Tries::Stranger { account: account.to_owned(), address: IpAddr::from([10, 0, 0, last]) }
    }

    fn known(account: &str) -> Tries {
        Tries::Known { account: account.to_owned(), device: "d".to_owned() }
    }

    #[test]
    fn five_are_free_then_the_delay_doubles_up_to_five_minutes() {
        let mut throttle = Throttle::default();
        let mut now = 0;
        for _ in 0..FREE {
            throttle.begin(&stranger("alice", 1), at(now)).unwrap();
        }
        for wait in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            let told = throttle.begin(&stranger("alice", 1), at(now)).unwrap_err();
            assert_eq!(told, Duration::from_secs(wait));
            assert!(throttle.begin(&stranger("alice", 1), at(now + i64::try_from(wait).unwrap() - 1)).is_err());
            now += i64::try_from(wait).unwrap();
            throttle.begin(&stranger("alice", 1), at(now)).unwrap();
        }
        now += i64::try_from(MEMORY.as_secs()).unwrap();
        for _ in 0..FREE {
            throttle.begin(&stranger("alice", 1), at(now)).unwrap();
        }
    }

    #[test]
    fn who_guesses_delays_nobody_elsewhere_and_no_known_browser() {
        let mut throttle = Throttle::default();
        for second in 0..10_000 {
            let _ = throttle.begin(&stranger("alice", 1), at(second / 100));
        }
        assert!(throttle.begin(&stranger("alice", 1), at(100)).is_err());
        throttle.begin(&stranger("alice", 2), at(100)).unwrap();
        throttle.begin(&known("alice"), at(100)).unwrap();
        throttle.begin(&stranger("ben", 1), at(100)).unwrap();
    }

    #[test]
    fn one_address_with_many_accounts_is_slowed_as_a_whole() {
        let mut throttle = Throttle::default();
        for number in 0..FREE_OF_ADDRESS {
            throttle.begin(&stranger(&format!("u{number}"), 1), at(0)).unwrap();
        }
        assert!(throttle.begin(&stranger("ben", 1), at(0)).is_err());
        throttle.begin(&known("ben"), at(0)).unwrap();
        throttle.begin(&stranger("ben", 2), at(0)).unwrap();
    }

    #[test]
    fn a_right_password_begins_anew_and_a_busy_answer_does_not_count() {
        let mut throttle = Throttle::default();
        for _ in 0..4 * FREE_OF_ADDRESS {
            throttle.begin(&stranger("alice", 1), at(0)).unwrap();
            throttle.succeeded(&stranger("alice", 1));
            throttle.begin(&stranger("ben", 1), at(0)).unwrap();
            throttle.not_judged(&stranger("ben", 1));
        }
    }

    #[test]
    fn addresses_of_one_network_are_one() {
        let of = |text: &str| Tries::Stranger { account: "a".to_owned(), address: text.parse().unwrap() };
        assert_eq!(keys(&of("2001:db8::1")), keys(&of("2001:db8::ffff:2")));
        assert_ne!(keys(&of("2001:db8::1")), keys(&of("2001:db8:0:1::1")));
        assert_eq!(keys(&of("::ffff:10.0.0.1")), keys(&of("10.0.0.1")));
    }

    #[test]
    fn memory_is_bounded_and_a_flood_of_names_does_not_free_who_is_slowed() {
        let mut throttle = Throttle::default();
        for _ in 0..FREE + 1 {
            let _ = throttle.begin(&stranger("alice", 1), at(0));
        }
        for number in 0..3 * u32::try_from(MOST).unwrap() {
            let address = IpAddr::from((0x0b00_0000_u32 + number).to_be_bytes());
            let _ = throttle.begin(&Tries::Stranger { account: format!("u{number}"), address }, at(0));
            assert!(throttle.len() <= MOST);
        }
        assert!(throttle.begin(&stranger("alice", 1), at(0)).is_err());
    }

    proptest! {
        /// Whatever strangers do from other addresses, one's own first try is looked at at once.
        #[test]
        fn nobody_can_lock_others_out(steps in prop::collection::vec((0_u8..4, 1_u8..5, 0_i64..30), 0..300)) {
            let mut throttle = Throttle::default();
            let mut now = 0;
            for (account, address, passed) in steps {
                now += passed;
                let _ = throttle.begin(&stranger(&format!("u{account}"), address), at(now));
            }
            for account in 0..4 {
                let elsewhere = stranger(&format!("u{account}"), 9);
                prop_assert!(throttle.begin(&elsewhere, at(now)).is_ok());
            }
        }

        /// However tries are spread over time, at most so many are looked at as the delays allow.
        #[test]
        fn guessing_is_slow(gaps in prop::collection::vec(0_i64..5, 1..2000)) {
            let mut throttle = Throttle::default();
            let (mut now, mut looked_at) = (0, 0_i64);
            for gap in gaps {
                now += gap;
                looked_at += i64::from(throttle.begin(&stranger("alice", 1), at(now)).is_ok());
            }
            // 5 free, 9 doublings up to 300 s, then one in 300 s.
            prop_assert!(looked_at <= 5 + 10 + now / 300, "{looked_at} in {now} s");
        }
    }
}
