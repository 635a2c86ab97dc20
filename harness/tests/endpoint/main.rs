//! Scripted endpoints on a real kernel: what they do, and what they say of it.
//!
//! Needs root, or a user namespace with a network (ci/test makes one).

mod life;
mod script;
mod server;
mod stage;
