//! Thin wrappers of system calls that no crate in use offers safely, for
//! halfopen's own crates: not a public interface, it may change at any time.
//!
//! All unsafe code of halfopen is here, but for calls of the `unsafe fn`s below:
//! their callers hold what no type can say (which descriptors nobody owns, which
//! memory two processes share).
#![allow(unsafe_code)]

pub mod child;
pub mod clock;
pub mod descriptors;
pub mod ethtool;
pub mod guest;
pub mod host;
pub mod inherit;
pub mod lifeline;
pub mod packet;
pub mod passing;
pub mod poll;
pub mod port;
pub mod process;
pub mod ptrace;
pub mod schedule;
pub mod seccomp;
pub mod shared;
pub mod signals;
pub mod socket;
pub mod terminal;
pub mod vfork;
