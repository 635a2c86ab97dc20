//! What a run is told because nobody knows it, and what it keeps.

use crate::wheel::Phase;

/// What a run has to be told because nobody knows it. Its discriminant is its index in
/// [`Place::choices`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uncertain {
    /// How long neighbours are trusted (neigh_rand_reach_time()): 0 to 16 sixteenths of
    /// 15 to 45 s.
    ReachableTime,
    /// Whether a time that is just over counts in whole milliseconds: 0 yes, 1 no.
    Millisecond,
    /// When linkwatch sees that a carrier is lost: 0 at once, 1 after 0.1 s.
    Linkwatch,
    /// How late poll() returns: 0 not at all, 1 a thousandth.
    PollSlack,
    /// When within its recorded interval something happened: 0 the beginning, 1 the end.
    Moment,
    /// Chance: the seed decides.
    Chance,
    /// How long calls take where no run is followed: 0 no time, 1 a millisecond each. It
    /// shows what depends on the order of what happens at about the same time.
    Pace,
}

/// How many alternatives each kind of [`Uncertain`] has; the seeds are endless.
pub const ALTERNATIVES: [u64; 7] = [17, 2, 2, 2, 2, u64::MAX, 2];

/// Where a run stands among all that are possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The phase of the timer wheel at the start of the case.
    pub phase: Phase,
    /// What each kind of [`Uncertain`] is.
    pub choices: [u64; 7],
}

impl Place {
    /// The first alternative of everything, at this phase.
    pub fn at(phase: Phase) -> Self {
        Place {
            phase,
            choices: [0; 7],
        }
    }
}

/// What a run keeps. It ends with the first sign, or when the case gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// The signs, and what the kernel decided.
    Signs,
    /// Every frame and every call, too.
    Everything,
}
