//! Random draws without a state: each is a function of a seed and of what it is drawn for.
//!
//! So a draw that nobody needed changes no other one, and a batch that had nothing to give need not
//! run. The generator is SplitMix64 (Steele, Lea, Flood, OOPSLA'14); its output is part of our
//! promise of equal bytes, which is why it is not a dependency's.

/// A number for `what`, evenly spread over all of 64 bits.
pub(crate) fn draw(seed: u64, what: u64) -> u64 {
    mix(mix(seed).wrapping_add(what))
}

/// A number for a name.
pub(crate) fn draw_for(seed: u64, name: &str) -> u64 {
    let chunk = |hash, bytes: &[u8]| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        draw(hash, u64::from_le_bytes(word))
    };
    name.as_bytes().chunks(8).fold(draw(seed, name.len() as u64), chunk)
}

/// One number for another, one to one; every bit of the outcome depends on all of `state`.
pub(crate) const fn mix(state: u64) -> u64 {
    let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        // The first outputs for the seed 1234567, as published with the algorithm.
        let outputs = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973];
        let gamma = 0x9e37_79b9_7f4a_7c15_u64;
        assert_eq!([mix(1_234_567), mix(1_234_567_u64.wrapping_add(gamma))], outputs);
    }

    #[test]
    fn names_that_differ_draw_differently() {
        assert_ne!(draw_for(0, "a"), draw_for(0, "a\0"));
        assert_ne!(draw_for(0, "role10"), draw_for(1, "role10"));
    }
}
