//! YAML to cases. Pure: reads text, builds nothing.
//!
//! A file becomes a tree whose every node knows its place ([`tree`]); the tree
//! is decoded once for each point of a scenario's matrix, so that every value
//! is checked as the case will use it; what is wrong is collected, not thrown,
//! so that one run shows all of it ([`error`]).

pub mod case;
pub mod catalogue;
pub mod error;
pub mod load;
pub mod schema;
pub mod sysctl_conf;

mod action;
pub mod decode;
mod detector;
mod event;
mod event_action;
mod expand;
pub mod fields;
pub mod findings;
mod heartbeat;
mod impair;
mod lane;
mod mark;
mod matrix;
mod middlebox;
pub mod name;
mod network;
mod packet;
pub mod scalar;
mod schema_parts;
pub mod sign;
mod step;
pub mod sysctl;
mod target;
pub mod tree;

#[cfg(test)]
mod tests;

pub use catalogue::{Catalogue, ScenarioInfo, parse};
pub use error::{InputErrors, Problem};
pub use load::load;
pub use name::meant;
pub use scalar::{positive, words};
pub use schema::schema;
