//! What can go wrong in a lab.

use std::io;

/// An error of a lab, with the thing it happened to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// A system call failed.
    #[error("failed to {what}")]
    System {
        /// What was attempted, on what.
        what: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A netlink request failed.
    #[error("failed to {what}")]
    Netlink {
        /// What was attempted, on what.
        what: String,
        /// The kernel's answer.
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
        /// The names there are.
        known: Vec<String>,
    },
    /// The plan of the network makes no sense.
    #[error("the network cannot be built: {0}")]
    Plan(String),
    /// A packet rule that can never match.
    #[error("the packet rule makes no sense: {0}")]
    Rule(String),
    /// This kernel or this user cannot do it.
    #[error("this machine cannot {what}; {cure}")]
    Unsupported {
        /// What is missing.
        what: String,
        /// What would cure it.
        cure: String,
    },
    /// The host has crashed and is not up again.
    #[error("{node} is down: it crashed and has not been started again")]
    Down {
        /// The host, router or switch.
        node: String,
    },
    /// A lab's functions block, which a tokio runtime does not allow.
    #[error(
        "a lab cannot be used on a thread of a tokio runtime, because its functions block; \
         call it from a thread of its own (std::thread::spawn)"
    )]
    InsideRuntime,
}

impl LabError {
    /// A failed system call.
    pub fn system(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        LabError::System {
            what: what.into(),
            source: source.into(),
        }
    }

    /// A failed netlink request.
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
