//! Runs cases: takes each [`Case`](halfopen_scenario::case::Case) to an
//! [`Outcome`](halfopen_outcome::record::Outcome) in network namespaces.
//!
//! [`run`] schedules many cases side by side; each is built, run and torn down by
//! the module `case_run`. [`endpoint`] holds the processes of the lanes, `fault`
//! translates a scenario's events into operations on a lab, [`observe`] reads
//! packets and sockets, and [`evaluate`] makes an outcome of what was recorded.
//! The command calls `run`; a guest calls [`run_each`] and sends what was recorded
//! to its host.

mod case_run;
pub mod endpoint;
mod evaluate;
mod fault;
mod lag;
pub mod machine;
pub mod modules;
pub mod observe;
mod options;
pub mod pcapng;
pub mod recorded;
mod schedule;
mod timer_wheel;

pub use evaluate::evaluate;
pub use fault::describe as describe_event;
pub use halfopen_lab::sandbox;
pub use options::Options;
pub use schedule::{
    Done, MOST_AT_ONCE, Progress, Results, Stage, connections, describe_budget, expected_length,
    has_many_connections, run, run_each,
};

/// Puts the program into a [sandbox](halfopen_lab::sandbox) before its `main`
/// begins, as [`halfopen_lab::sandboxed!`] does, and makes it able to be its own
/// endpoint ([`endpoint::serve_if_asked`]), which [`run`] needs.
#[macro_export]
macro_rules! sandboxed {
    () => {
        #[allow(unsafe_code)]
        const _: () = {
            extern "C" fn enter() {
                $crate::endpoint::serve_if_asked();
                $crate::sandbox::enter_or_exit();
            }
            // SAFETY: what is in this section is called once, as a C function,
            // on the only thread there is.
            #[used]
            #[unsafe(link_section = ".init_array")]
            static ENTER: extern "C" fn() = enter;
        };
    };
}

#[cfg(test)]
crate::sandboxed!();
