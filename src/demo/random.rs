//! Numbers that look random and are the same on every run (xorshift64*).

/// A stream of numbers from a seed.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        // The generator must not start at 0, and near seeds must not start alike.
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound` (0 for an empty range).
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11).checked_rem(bound).unwrap_or(0)
    }

    /// True `part` times in a thousand.
    pub(super) fn per_mille(&mut self, part: u64) -> bool {
        self.below(1000) < part
    }

    /// From 0 up to 1.
    pub(super) fn fraction(&mut self) -> f64 {
        u32::try_from(self.below(1 << 32)).map_or(0.0, |number| f64::from(number) / 4_294_967_296.0)
    }

    /// One of them.
    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let at = self.below(from.len() as u64);
        from.get(usize::try_from(at).unwrap_or(0))
    }
}
