//! `halfopen doctor`: what this machine can and cannot do, and the cure.
//!
//! Nothing is concluded from versions or configuration files where it can be
//! tried: each probe asks the kernel for the thing itself, in a namespace that
//! is thrown away.

mod attempt;
mod probe;
mod request;
mod show;

pub use probe::{Missing, needed_for_run};
pub(super) use show::doctor;
