//! When something that was done to a lab took effect.

use halfopen_sys::clock::monotonic_ns;

/// The moments around an effect: it happened between the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Took {
    /// Just before the kernel was asked for it, CLOCK_MONOTONIC nanoseconds.
    pub asked_ns: i64,
    /// Just after the kernel had answered, CLOCK_MONOTONIC nanoseconds.
    pub took_ns: i64,
}

impl Took {
    /// Runs `f`, which asks the kernel, between two looks at the clock.
    #[doc(hidden)]
    pub fn around<E>(f: impl FnOnce() -> Result<(), E>) -> Result<Took, E> {
        let asked_ns = monotonic_ns();
        f()?;
        Ok(Took {
            asked_ns,
            took_ns: monotonic_ns(),
        })
    }
}
