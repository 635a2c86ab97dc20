//! How exact a measured time is held to be: declared here and nowhere else.

use std::time::Duration;

/// Two times agree when they differ by at most max(fixed, share of the elapsed time).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// The fixed part.
    pub fixed: Duration,
    /// The share of the elapsed time, 0 to 1.
    pub share: f64,
}

/// Real time on an unknown machine. The fixed part covers one granule of the
/// timer wheel for timers below 16 s at HZ=250 (256 ms) and a busy scheduler;
/// the share covers the next levels (2.05 s in 16 s; kernel/time/timer.c).
pub const REAL_TIME: Tolerance = Tolerance {
    fixed: Duration::from_millis(350),
    share: 0.13,
};

/// Virtual time on the same kernel build: equal.
pub const VIRTUAL_TIME: Tolerance = Tolerance {
    fixed: Duration::ZERO,
    share: 0.0,
};

/// How far a first sign may be from a prediction, which itself allows for
/// everything the kernel leaves open and for nothing else.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Waking {
    /// How much sooner: the fault's own moment is known to a few milliseconds.
    pub early: Duration,
    /// How much later: a busy machine starts and wakes processes late.
    pub late: Duration,
}

impl Waking {
    /// Whether a measured time lies in a predicted interval.
    pub fn allows(&self, measured: Duration, earliest: Duration, latest: Duration) -> bool {
        measured + self.early >= earliest && measured <= latest + self.late
    }
}

/// Real time on a machine that runs a whole catalogue at once.
pub const WAKING: Waking = Waking {
    early: Duration::from_millis(10),
    late: Duration::from_millis(150),
};

/// Virtual time, against a prediction that knows when programs acted and where
/// the timer wheel stood: timers are never early, and what wakes up on the same
/// tick takes the one processor in turns.
pub const WAKING_IN_TURNS: Waking = Waking {
    early: Duration::ZERO,
    late: Duration::from_millis(4),
};

/// Virtual time on the same kernel build by another build of this program, or
/// beside other cases. A case begins at a phase of the timer wheel that is its
/// own (`run::phase`), so timers are the same; the program's instructions, which
/// are the guest's time, are not. Unoptimized against optimized, 195 of 198
/// times differed by less than 0.3 ms, half of them by less than 15 us.
pub const ANOTHER_PROGRAM: Tolerance = Tolerance {
    fixed: Duration::from_millis(50),
    share: 0.0,
};

/// For the times of two runs of the same cases. Virtual time repeats to the
/// nanosecond only for the same cases under the same build; whoever compares
/// with a file may have another of either.
pub fn between(both_virtual: bool, same_kernel: bool) -> Tolerance {
    if both_virtual && same_kernel {
        ANOTHER_PROGRAM
    } else {
        REAL_TIME
    }
}

impl Tolerance {
    /// How far a measured time may be from `expected`.
    pub fn around(&self, expected: Duration) -> Duration {
        self.fixed.max(expected.mul_f64(self.share))
    }

    /// Whether two measured times agree.
    pub fn agree(&self, a: Duration, b: Duration) -> bool {
        a.abs_diff(b) <= self.around(a.max(b))
    }

    /// Whether a measured time lies in an expected interval. Timers are never
    /// early (kernel/time/timer.c), but a fault's moment is known only to the
    /// fixed part, so both ends have it.
    pub fn within(&self, measured: Duration, earliest: Duration, latest: Duration) -> bool {
        measured + self.fixed >= earliest && measured <= latest + self.around(latest)
    }
}
