//! How far measured times may differ: the only place where tolerances are
//! declared. Verdicts, comparisons, snapshots and tests use them.

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
/// timer wheel for timers below 16 s at HZ=250 (256 ms) and scheduling delay on a
/// busy machine; the share covers the granules of the wheel's next levels (2.05 s
/// in 16 s; kernel/time/timer.c).
pub const REAL_TIME: Tolerance = Tolerance {
    fixed: Duration::from_millis(350),
    share: 0.13,
};

/// Virtual time on the same kernel build: times are equal.
pub const VIRTUAL_TIME: Tolerance = Tolerance {
    fixed: Duration::ZERO,
    share: 0.0,
};

/// How far a first sign may lie outside a predicted interval. The interval covers
/// all that the kernel's rules leave open, and nothing else; this covers the
/// machine's part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PredictionTolerance {
    /// How much sooner: the moment of the fault is known to a few milliseconds.
    pub early: Duration,
    /// How much later: a busy machine starts and wakes processes with a delay.
    pub late: Duration,
}

impl PredictionTolerance {
    /// Whether a measured time lies in a predicted interval.
    pub fn allows(&self, measured: Duration, earliest: Duration, latest: Duration) -> bool {
        measured + self.early >= earliest && measured <= latest + self.late
    }
}

/// For predictions in real time, on a machine that runs a whole catalogue at once.
pub const PREDICTED_REAL_TIME: PredictionTolerance = PredictionTolerance {
    early: Duration::from_millis(10),
    late: Duration::from_millis(150),
};

/// The slowest round trip before a fault that counts as a quiet machine's. For a
/// slower one, a prediction that rests on retransmission allows what TCP itself added
/// to its timeouts (compare_prediction/round_trip.rs).
pub const QUIET_ROUND_TRIP: Duration = Duration::from_millis(4);

/// For predictions in virtual time that are computed from the moments at which
/// programs acted and from the phase of the timer wheel: timers never fire early,
/// and processes that wake on the same tick run one after the other on the guest's
/// one processor.
pub const PREDICTED_VIRTUAL_TIME: PredictionTolerance = PredictionTolerance {
    early: Duration::ZERO,
    late: Duration::from_millis(4),
};

/// Virtual time on the same kernel build, with another build of this program or
/// beside other cases. Each case starts at a phase of the timer wheel of its own
/// (start_times in the runner), so timers fire alike; but the guest's clock counts
/// instructions, and those of the program differ. Between an unoptimized and an
/// optimized build, 195 of 198 times differed by less than 0.3 ms, half of them by
/// less than 15 us.
pub const ANOTHER_PROGRAM: Tolerance = Tolerance {
    fixed: Duration::from_millis(50),
    share: 0.0,
};

/// For the times of two runs of the same cases. Virtual time repeats to the
/// nanosecond only for the same cases under the same build; a file that is compared
/// with may come from other cases or another build.
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

    /// Whether a measured time lies in an expected interval. Timers never fire
    /// early (kernel/time/timer.c), but the moment of a fault is known only to the
    /// fixed part, so it applies at both ends.
    pub fn within(&self, measured: Duration, earliest: Duration, latest: Duration) -> bool {
        measured + self.fixed >= earliest && measured <= latest + self.around(latest)
    }
}
