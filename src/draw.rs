//! A stateless (counter-based) random number generator: each draw is a pure function of a seed and a counter or name.
//!
//! Without state, a draw that is skipped changes no other draw, so that an allocation with nothing to offer need not
//! run. The generator is SplitMix64 (Steele, Lea, Flood, OOPSLA'14). It is implemented here and not a dependency, since
//! its output is part of the guarantee that the same journal gives the same bytes.

/// Returns the draw number `counter` of a seed, uniformly distributed over 64 bits.
pub(crate) fn draw(seed: u64, counter: u64) -> u64 {
    mix(mix(seed).wrapping_add(counter))
}

/// Returns the draw for a name, uniformly distributed over 64 bits.
pub(crate) fn draw_for(seed: u64, name: &str) -> u64 {
    let absorb = |hash, bytes: &[u8]| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        draw(hash, u64::from_le_bytes(word))
    };
    name.as_bytes().chunks(8).fold(draw(seed, name.len() as u64), absorb)
}

/// The SplitMix64 step: a bijection in which every output bit depends on all input bits.
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
        // The first published outputs for the seed 1234567.
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
