//! How exact a measured time is held to be: declared here and nowhere else.

use std::time::Duration;

use crate::predict::wheel::Wheel;

/// Two times agree when they differ by at most max(fixed, share of the elapsed time).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// The fixed part.
    pub fixed: Duration,
    /// The share of the elapsed time, 0 to 1.
    pub share: f64,
    /// And one granule of the timer wheel at this HZ: a timer that was armed
    /// on the other side of one fires so much later.
    pub granule_at: Option<u32>,
}

/// Real time on an unknown machine. The fixed part covers one granule of the
/// timer wheel for timers below 16 s at HZ=250 (256 ms) and a busy scheduler;
/// the share covers the next levels (2.05 s in 16 s; kernel/time/timer.c).
pub const REAL_TIME: Tolerance = Tolerance {
    fixed: Duration::from_millis(350),
    share: 0.13,
    granule_at: None,
};

/// Virtual time on the same kernel build: equal.
pub const VIRTUAL_TIME: Tolerance = Tolerance {
    fixed: Duration::ZERO,
    share: 0.0,
    granule_at: None,
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

/// Virtual time on the same kernel build by another build of this program:
/// its instructions are the guest's time, so all moments shift a little.
pub const ANOTHER_PROGRAM: Tolerance = Tolerance {
    fixed: Duration::from_millis(50),
    share: 0.01,
    granule_at: None,
};

/// The same, for what is kept with this program and has to outlive its changes:
/// each build starts its timers at another phase of the wheel. HZ is that of
/// Debian's kernels.
pub const ANOTHER_BUILD: Tolerance = Tolerance {
    granule_at: Some(250),
    ..ANOTHER_PROGRAM
};

/// How long before the fault a timer may have been armed that ends the wait
/// after it: the catalogue's faults strike some hundred milliseconds after the
/// last exchange.
const ARMED_BEFORE: Duration = Duration::from_secs(1);

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
        let granule = self.granule_at.map_or(Duration::ZERO, |hz| {
            let wheel = Wheel::new(hz);
            wheel.span(wheel.granule(wheel.ticks(expected + ARMED_BEFORE)))
        });
        self.fixed.max(expected.mul_f64(self.share)) + granule
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
