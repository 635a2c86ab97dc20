//! The clocks that all timestamps come from.

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};

/// CLOCK_MONOTONIC now, in nanoseconds.
pub fn monotonic_ns() -> i64 {
    read(ClockId::CLOCK_MONOTONIC)
}

/// CLOCK_REALTIME now, in nanoseconds: the clock of packet timestamps.
pub fn realtime_ns() -> i64 {
    read(ClockId::CLOCK_REALTIME)
}

/// Sleeps until CLOCK_MONOTONIC shows at least this many nanoseconds.
pub fn sleep_until(at_ns: i64) {
    let at = TimeSpec::new(at_ns / 1_000_000_000, at_ns % 1_000_000_000);
    while monotonic_ns() < at_ns {
        // A signal may interrupt it (EINTR).
        let _ = clock_nanosleep(
            ClockId::CLOCK_MONOTONIC,
            ClockNanosleepFlags::TIMER_ABSTIME,
            &at,
        );
    }
}

fn read(id: ClockId) -> i64 {
    let t = clock_gettime(id).expect("both clocks exist on every Linux and the pointer is valid");
    t.tv_sec() * 1_000_000_000 + t.tv_nsec()
}
