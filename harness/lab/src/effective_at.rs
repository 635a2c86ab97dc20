//! When something that was done to a lab took effect.

use halfopen_sys::clock::monotonic_ns;

/// The moments around an effect: it happened between the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EffectiveAt {
    /// Just before the kernel was asked for it, CLOCK_MONOTONIC nanoseconds.
    pub asked_ns: i64,
    /// Just after the kernel had answered, CLOCK_MONOTONIC nanoseconds.
    pub effective_ns: i64,
}

impl EffectiveAt {
    /// Runs `f`, which asks the kernel, between two looks at the clock.
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
