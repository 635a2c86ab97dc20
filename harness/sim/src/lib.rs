//! A discrete-event simulation of what a halfopen case does on Linux: sockets, neighbours,
//! routes, filters, connection tracking and programs, in the kernel's own words.
//!
//! The crate does no I/O. [`simulate`] runs a case at one [`Place`], where everything that
//! is uncertain has a value: the phase of the timer wheel, how long neighbours are trusted,
//! chance. It returns the first sign and a trace of every packet and call. Functions have
//! the names of the kernel's, so that `tcp_timer.c` can be read beside them.

pub mod errno;
pub mod facts;
pub mod kernel;
pub mod moments;
mod simulation;
pub mod span;
mod sweep;
pub mod sysctls;
pub mod wheel;

pub use simulation::{
    ALTERNATIVES, CallResult, Detail, Happened, Place, RanProcess, Run, Seen, SentFrame, Trace,
    TraceEvent, Uncertain, simulate, step_not_modelled,
};
pub use sweep::{Possible, Swept, sweep};
