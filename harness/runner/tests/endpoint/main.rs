//! Scripted endpoints on a real kernel: what they do, and what they report.
//!
//! Needs root, or user namespaces.

mod fixture;
mod lifetime;
mod script;
mod server;

halfopen_runner::sandboxed!();
