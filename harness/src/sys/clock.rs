//! Clocks.

use nix::time::{ClockId, clock_gettime};

/// CLOCK_MONOTONIC now, in nanoseconds.
pub fn monotonic_ns() -> i64 {
    read(ClockId::CLOCK_MONOTONIC)
}

/// CLOCK_REALTIME now, in nanoseconds: the clock of packet timestamps.
pub fn realtime_ns() -> i64 {
    read(ClockId::CLOCK_REALTIME)
}

fn read(id: ClockId) -> i64 {
    let t = clock_gettime(id).expect("both clocks exist on every Linux and the pointer is valid");
    t.tv_sec() * 1_000_000_000 + t.tv_nsec()
}
