//! The clocks that all timestamps come from.

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_getres, clock_gettime, clock_nanosleep};

/// CLOCK_MONOTONIC now, in nanoseconds.
pub fn monotonic_ns() -> i64 {
    read(ClockId::CLOCK_MONOTONIC)
}

/// CLOCK_REALTIME now, in nanoseconds: the clock of packet timestamps.
pub fn realtime_ns() -> i64 {
    read(ClockId::CLOCK_REALTIME)
}

/// Timer ticks a second (CONFIG_HZ): the resolution of the coarse clocks is
/// one tick (clock_getres(2); posix_get_coarse_res() in the kernel), so no
/// configuration file is needed. None when it is no whole number of ticks.
pub fn hz() -> Option<u32> {
    let tick = clock_getres(ClockId::CLOCK_MONOTONIC_COARSE).ok()?;
    let ns = u64::try_from(tick.tv_nsec())
        .ok()
        .filter(|ns| *ns > 0 && tick.tv_sec() == 0)?;
    // HZ=300 has a tick of 3333333 ns: rounded, not divided.
    u32::try_from((1_000_000_000 + ns / 2) / ns).ok()
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
