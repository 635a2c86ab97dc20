//! The only room with unsafe code: thin wrappers of system calls that no
//! crate in use offers safely.
#![allow(unsafe_code)]

pub mod child;
pub mod clock;
pub mod descriptors;
pub mod ethtool;
pub mod inherit;
pub mod packet;
pub mod passing;
pub mod poll;
pub mod process;
pub mod processes;
pub mod schedule;
pub mod shared;
pub mod sharing;
pub mod signals;
pub mod socket;
pub mod terminal;
