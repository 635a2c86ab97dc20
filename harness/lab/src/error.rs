//! The errors of a lab.

use std::io;

/// An error of a lab. The text says what was attempted and on what; the kernel's
/// answer is the [source](std::error::Error::source).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// A system call failed.
    #[error("failed to {what}")]
    System {
        /// What was attempted, on what.
        what: String,
        /// The kernel's errno.
        #[source]
        source: io::Error,
    },
    /// A netlink request failed.
    #[error("failed to {what}")]
    Netlink {
        /// What was attempted, on what.
        what: String,
        /// The kernel's errno, and its explanation where there is one.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A name that this lab does not have.
    #[error("this lab has no {kind} `{name}`; it has {}", known.join(", "))]
    Unknown {
        /// `host`, `cable`, ...
        kind: &'static str,
        /// The name asked for.
        name: String,
        /// The names that it has.
        known: Vec<String>,
    },
    /// The network cannot be built, or what was asked does not fit its state.
    #[error("the network cannot be built: {0}")]
    Plan(String),
    /// A packet rule that can never match, or an impairment that its mechanism cannot
    /// do.
    #[error("the packet rule makes no sense: {0}")]
    Rule(String),
    /// This kernel or this user cannot do it.
    #[error("this machine cannot {what}; {cure}")]
    Unsupported {
        /// What is missing.
        what: String,
        /// What to do about it.
        cure: String,
    },
    /// The node has crashed and has not been booted again.
    #[error("{node} is down: it crashed and has not been started again")]
    Down {
        /// The host, router or switch.
        node: String,
    },
}

impl LabError {
    /// A failed system call.
    #[doc(hidden)]
    pub fn system(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        LabError::System {
            what: what.into(),
            source: source.into(),
        }
    }

    /// A failed netlink request.
    #[doc(hidden)]
    pub fn netlink(
        what: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        LabError::Netlink {
            what: what.into(),
            source: source.into(),
        }
    }
}
