//! [`Bits`]: a set of dense numbers.

/// A set of small numbers, a bit each.
#[derive(Debug, Clone, Default)]
pub(in crate::allocator) struct Bits {
    words: Vec<u64>,
    len: usize,
}

impl Bits {
    /// Adds a number; whether it was not there yet.
    pub(in crate::allocator) fn insert(&mut self, number: usize) -> bool {
        if self.words.len() <= number / 64 {
            self.words.resize(number / 64 + 1, 0);
        }
        let (word, bit) = (&mut self.words[number / 64], 1 << (number % 64));
        let is_new = *word & bit == 0;
        *word |= bit;
        self.len += usize::from(is_new);
        is_new
    }

    pub(in crate::allocator) fn remove(&mut self, number: usize) {
        if self.contains(number) {
            self.words[number / 64] &= !(1 << (number % 64));
            self.len -= 1;
        }
    }

    pub(in crate::allocator) fn clear(&mut self) {
        self.words.clear();
        self.len = 0;
    }

    /// How many there are.
    pub(in crate::allocator) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(in crate::allocator) fn contains(&self, number: usize) -> bool {
        self.words.get(number / 64).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    /// Whether every member is one of `others` too.
    pub(in crate::allocator) fn is_within(&self, others: &Self) -> bool {
        let theirs = others.words.iter().chain(std::iter::repeat(&0));
        self.len <= others.len && self.words.iter().zip(theirs).all(|(mine, theirs)| mine & !theirs == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(numbers: &[usize]) -> Bits {
        let mut bits = Bits::default();
        numbers.iter().for_each(|number| assert!(bits.insert(*number)));
        bits
    }

    #[test]
    fn tells_whether_one_lies_within_the_other() {
        let (mine, theirs) = (bits(&[0, 63, 64, 200]), bits(&[63, 64]));
        assert!(theirs.is_within(&mine) && !mine.is_within(&theirs) && bits(&[]).is_within(&bits(&[])));
    }

    #[test]
    fn what_is_taken_out_is_gone() {
        let mut mine = bits(&[5, 70]);
        mine.remove(70);
        mine.remove(1000);
        assert!(mine.contains(5) && !mine.contains(70) && !mine.contains(1000));
        assert_eq!(mine.len(), 1);
    }
}
