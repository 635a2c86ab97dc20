//! With which privileges the sandbox was entered, or why it was not.

use std::io;

use crate::error::LabError;

/// The privileges that the sandbox was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Privileges {
    /// The caller's own CAP_SYS_ADMIN.
    Root,
    /// Those of root of a new user namespace.
    UserNamespace,
}

impl Privileges {
    /// `root` or `user namespace`.
    pub fn name(self) -> &'static str {
        match self {
            Privileges::Root => "root",
            Privileges::UserNamespace => "user namespace",
        }
    }
}

/// Why the sandbox could not be entered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The caller is not root, and may not create user namespaces; see
    /// [`why_refused`](super::why_refused).
    #[error("not root, and this machine forbids user namespaces to ordinary users")]
    Forbidden {
        /// The kernel's answer to unshare().
        source: io::Error,
    },
    /// The program has started threads already.
    #[error("the sandbox must be entered before the program starts threads ({0})")]
    Threads(io::Error),
    /// The loopback interface could not be set up.
    #[error("failed to make a localhost")]
    Loopback(#[source] LabError),
    /// A system call failed.
    #[error("failed to {what}")]
    System {
        /// What was attempted.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}
