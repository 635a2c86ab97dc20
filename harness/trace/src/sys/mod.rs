//! The crate's unsafe code: system calls that nix does not offer safely.
//!
//! One module a subject. Every unsafe block says why it is sound.
#![allow(unsafe_code)]

pub(crate) mod descriptor;
pub(crate) mod process;
pub(crate) mod ptrace;
pub(crate) mod seccomp;
