//! A set of agents, one bit each.

/// A set of the numbers below a fixed length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bits {
    words: Vec<u64>,
    len: usize,
}

impl Bits {
    pub(super) fn none(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(64)], len }
    }

    pub(super) fn all(len: usize) -> Self {
        let mut bits = Self { words: vec![u64::MAX; len.div_ceil(64)], len };
        bits.trim();
        bits
    }

    /// The numbers for which the predicate holds.
    pub(super) fn of<T>(column: &[T], holds: impl Fn(&T) -> bool) -> Self {
        let mut bits = Self::none(column.len());
        for (word, chunk) in bits.words.iter_mut().zip(column.chunks(64)) {
            for (bit, value) in chunk.iter().enumerate() {
                *word |= u64::from(holds(value)) << bit;
            }
        }
        bits
    }

    pub(super) fn set(&mut self, number: usize) {
        if let Some(word) = self.words.get_mut(number / 64) {
            *word |= 1 << (number % 64);
        }
    }

    pub(super) fn union(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(mine, theirs)| *mine |= theirs);
    }

    pub(super) fn intersect(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(mine, theirs)| *mine &= theirs);
    }

    pub(super) fn invert(&mut self) {
        self.words.iter_mut().for_each(|word| *word = !*word);
        self.trim();
    }

    pub(super) fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
                rest &= rest - 1;
                Some(at * 64 + bit)
            })
        })
    }

    /// Clears the bits beyond the length.
    fn trim(&mut self) {
        if let (Some(last), used @ 1..) = (self.words.last_mut(), self.len % 64) {
            *last &= (1 << used) - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_behave_at_the_edges_of_words() {
        for len in [0, 1, 63, 64, 65, 200] {
            let column: Vec<usize> = (0..len).collect();
            let mut thirds = Bits::of(&column, |n| n % 3 == 0);
            let expected: Vec<usize> = (0..len).filter(|n| n % 3 == 0).collect();
            assert_eq!(thirds.iter().collect::<Vec<_>>(), expected);
            thirds.invert();
            assert_eq!(thirds.iter().count(), len - expected.len());
            assert_eq!(Bits::all(len).iter().count(), len);
            thirds.union(&Bits::of(&column, |n| n % 3 == 0));
            assert_eq!(thirds, Bits::all(len));
            thirds.intersect(&Bits::none(len));
            assert_eq!(thirds.iter().count(), 0);
        }
    }
}
