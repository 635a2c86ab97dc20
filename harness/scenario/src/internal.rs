//! What halfopen's other crates need to read files and options of their own with
//! the same messages: baselines (`halfopen-outcome`), sysctls and durations of the
//! command line (`halfopen`). Not an interface for others: it changes with them.

pub use crate::sysctl::{
    acceptable as acceptable_sysctl, existing as existing_sysctl, gone_since, is_global,
};
pub use crate::yaml::name::nearest;
pub use crate::yaml::{
    Axes, Decoder, Fields, Findings, Key, Node, Point, Refusal, Value, document, file, scalar,
};

/// Signs that a baseline keeps, and the calls that may show one.
pub mod sign {
    pub use crate::sign::{CALLS, known, seen};
}
