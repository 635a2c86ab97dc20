//! Repeatable random numbers: SplitMix64 (Steele, Lea, Flood,
//! "Fast splittable pseudorandom number generators", OOPSLA 2014).

/// A sequence of random numbers.
pub(super) struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// True with this probability.
    pub fn with_probability(&mut self, probability: f64) -> bool {
        // 53 bits are what an f64 holds.
        const WHOLE: f64 = (1u64 << 53) as f64;
        ((self.next() >> 11) as f64) < probability * WHOLE
    }

    /// A number below `bound`; None when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> Option<u64> {
        // The bias of a bound below 2^40 is below 2^-24.
        (bound > 0).then(|| ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_splitmix64() {
        let mut random = Random::new(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn certain_and_impossible() {
        let mut random = Random::new(0);
        assert!((0..1000).all(|_| random.with_probability(1.0)));
        assert!((0..1000).all(|_| !random.with_probability(0.0)));
        assert_eq!(random.below(0), None);
        assert!((0..1000).all(|_| random.below(7).is_some_and(|n| n < 7)));
    }
}
