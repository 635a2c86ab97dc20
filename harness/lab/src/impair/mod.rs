//! The mechanisms that impair a line besides the kernel's own: the model of a bad
//! line, the relay that applies it to frames, and the choice of a mechanism.
//!
//! `choose.rs`, `line.rs`, `too_big.rs`, `frame.rs` and `random.rs` are pure;
//! [`crate::lab`] puts the chosen mechanisms into the wire.

mod choose;
mod forward;
mod frame;
mod line;
mod ports;
mod random;
mod relay;
mod too_big;

pub(crate) use choose::{Means, choose};
pub(crate) use line::Line;
pub(crate) use ports::Ends;
pub(crate) use relay::Relay;
