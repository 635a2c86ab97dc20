//! What a case of halfopen showed, and how results compare.
//!
//! The crate takes values and returns values; it does no I/O. From bottom to top:
//!
//! - [`record`] and [`environment`]: plain data, filled by the runner.
//! - [`first_sign`], [`setup`], [`recovery`], [`states`], [`cost`]: what a record shows.
//! - [`tolerance`]: how far times may differ, declared in this one place.
//! - [`verdict`], [`checks`]: the observation against the scenario's expectation.
//! - [`compare_prediction`]: the observation against the kernel's rules.
//! - [`disturbance`]: whether a busy machine explains what a case showed.
//! - [`baseline`], [`compare`], [`cause`], [`comparison`], [`update_baseline`]:
//!   saved results, how two runs differ, and why.
//! - [`impact`]: what a change of sysctls changes.
//! - [`simulated`]: the record of a case that was simulated instead of run.
//!
//! `halfopen-runner` and `halfopen-vm` make outcomes, `halfopen-report` shows them.

pub mod baseline;
pub mod cause;
pub mod checks;
pub mod compare;
pub mod compare_prediction;
pub mod comparison;
pub mod cost;
pub mod disturbance;
pub mod environment;
pub mod first_sign;
pub mod impact;
pub mod overrides;
pub mod record;
pub mod recovery;
pub mod setup;
pub mod simulated;
pub mod states;
#[doc(hidden)]
pub mod testing;
pub mod tolerance;
pub mod update_baseline;
pub mod verdict;
