//! Numbers that look random and are the same every time (splitmix64).

use std::ops::RangeInclusive;

/// A seeded source of choices.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// One for this seed and case: each case has its own, so that more cases
    /// leave the others as they were.
    pub fn new(seed: u64, case: u64) -> Self {
        let mut dice = Dice(seed ^ case.wrapping_mul(0xd134_2543_de82_ef95));
        dice.next();
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of the range, all as likely.
    pub fn from(&mut self, range: RangeInclusive<u32>) -> u32 {
        let (low, high) = (u64::from(*range.start()), u64::from(*range.end()));
        u32::try_from(low + self.next() % (high - low + 1)).unwrap_or(u32::MAX)
    }

    /// One of the range, all magnitudes as likely.
    pub fn magnitude(&mut self, range: RangeInclusive<u32>) -> u32 {
        let (low, high) = (f64::from(*range.start()), f64::from(*range.end()));
        let share = f64::from(self.from(0..=1_000_000)) / 1_000_000.0;
        let value = low * (high / low).powf(share);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let value = value.round() as u32;
        value.clamp(*range.start(), *range.end())
    }

    /// True in so many cases of a hundred.
    pub fn percent(&mut self, share: u32) -> bool {
        self.from(1..=100) <= share
    }

    /// One of them, all as likely.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        let last = u32::try_from(choices.len()).unwrap_or(1).max(1) - 1;
        choices[self.from(0..=last) as usize]
    }
}
