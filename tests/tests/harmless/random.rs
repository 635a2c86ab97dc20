//! Moments that repeat when the seed does.

use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood 2014): a few lines, and good enough to pick moments.
pub struct Random(u64);

impl Random {
    /// From HALFOPEN_SEED, or 1; and the test's name, so that tests differ.
    pub fn seeded(name: &str) -> Self {
        let seed = std::env::var("HALFOPEN_SEED")
            .ok()
            .and_then(|s| s.parse().ok());
        let mixed = name.bytes().fold(seed.unwrap_or(1), |seed: u64, byte| {
            seed.wrapping_mul(31).wrapping_add(byte.into())
        });
        Random(mixed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// A time from `from` to `to`.
    pub fn between(&mut self, from: Duration, to: Duration) -> Duration {
        let share = self.next() as f64 / u64::MAX as f64;
        from + to.saturating_sub(from).mul_f64(share)
    }
}
