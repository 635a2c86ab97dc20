//! When a change to a lab took effect.

use halfopen_sys::clock::monotonic_ns;

/// The moments between which a change took effect, in nanoseconds of
/// CLOCK_MONOTONIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EffectiveAt {
    /// Just before the kernel was asked for the change.
    pub asked_ns: i64,
    /// Just after the kernel had answered.
    pub effective_ns: i64,
}

impl EffectiveAt {
    /// Runs `f`, which asks the kernel for a change, and reads the clock before and
    /// after.
    #[doc(hidden)]
    pub fn around<E>(f: impl FnOnce() -> Result<(), E>) -> Result<EffectiveAt, E> {
        let asked_ns = monotonic_ns();
        f()?;
        Ok(EffectiveAt {
            asked_ns,
            effective_ns: monotonic_ns(),
        })
    }
}
