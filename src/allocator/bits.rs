//! [`Bits`]: a set of dense numbers.

/// A set of small numbers, a bit each.
#[derive(Debug, Clone, Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn insert(&mut self, number: usize) {
        if self.0.len() <= number / 64 {
            self.0.resize(number / 64 + 1, 0);
        }
        self.0[number / 64] |= 1 << (number % 64);
    }

    pub(super) fn remove(&mut self, number: usize) {
        if let Some(word) = self.0.get_mut(number / 64) {
            *word &= !(1 << (number % 64));
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    #[cfg(test)]
    pub(super) fn contains(&self, number: usize) -> bool {
        self.0.get(number / 64).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    /// Whether every member is one of `others` too.
    pub(super) fn is_within(&self, others: &Self) -> bool {
        self.without(others).all(|(_, word)| word == 0)
    }

    /// The members that are not in `others`, from the lowest.
    pub(super) fn difference<'a>(&'a self, others: &'a Self) -> impl Iterator<Item = usize> + 'a {
        self.without(others).flat_map(|(start, mut word)| {
            std::iter::from_fn(move || {
                let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
                word &= word - 1;
                Some(start + bit)
            })
        })
    }

    fn without<'a>(&'a self, others: &'a Self) -> impl Iterator<Item = (usize, u64)> + 'a {
        let theirs = others.0.iter().copied().chain(std::iter::repeat(0));
        self.0.iter().zip(theirs).enumerate().map(|(ix, (mine, theirs))| (64 * ix, mine & !theirs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(numbers: &[usize]) -> Bits {
        let mut bits = Bits::default();
        numbers.iter().for_each(|number| bits.insert(*number));
        bits
    }

    #[test]
    fn tells_what_is_in_one_and_not_in_the_other() {
        let (mine, theirs) = (bits(&[0, 63, 64, 200]), bits(&[63, 64]));
        assert_eq!(mine.difference(&theirs).collect::<Vec<_>>(), [0, 200]);
        assert!(theirs.is_within(&mine) && !mine.is_within(&theirs) && bits(&[]).is_within(&bits(&[])));
    }

    #[test]
    fn what_is_taken_out_is_gone() {
        let mut mine = bits(&[5, 70]);
        mine.remove(70);
        mine.remove(1000);
        assert!(mine.contains(5) && !mine.contains(70) && !mine.contains(1000));
    }
}
