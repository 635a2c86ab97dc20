//! Scripted endpoints on a real kernel: what they do, and what they say of it.
//!
//! Needs root, or user namespaces.

mod life;
mod script;
mod server;
mod stage;

halfopen_runner::sandboxed!();
