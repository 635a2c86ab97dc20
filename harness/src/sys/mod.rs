//! The only room with unsafe code: thin wrappers of system calls that no
//! crate in use offers safely.
#![allow(unsafe_code)]

pub mod clock;
pub mod ethtool;
