//! halfopen tells you what your sockets do when the peer dies: which call
//! returns, with which errno, after how long, on real Linux TCP stacks.
//!
//! The crate is a library and a command. The rooms import in one direction:
//!
//! ```text
//! cli -> report, run -> fault, endpoint, observe -> lab -> sys
//!                 \-> scenario, predict, outcome (pure: no I/O)
//! ```
//!
//! [`lab`] is useful on its own: a Rust test can build a network, run its own
//! client in it and crash the peer, without any YAML.

pub mod cli;
pub mod endpoint;
pub mod fault;
pub mod grid;
pub mod lab;
pub mod observe;
pub mod outcome;
pub mod predict;
pub mod report;
pub mod run;
pub mod sandbox;
pub mod scenario;
pub mod sys;
pub mod tune;
pub mod vm;

// The unit tests of lab and doctor build networks, as an ordinary user, too.
#[cfg(test)]
crate::sandboxed!();
