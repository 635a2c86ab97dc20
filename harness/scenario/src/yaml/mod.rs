//! Reads one YAML document and decodes its nodes: a tree whose every node knows
//! its place ([`document`]), a [`Decoder`] that notes what is wrong and goes on, and
//! the tables ([`MappingSpec`]) that say which keys a mapping may have. It needs
//! serde-saphyr and knows nothing of scenarios. The modules of scenarios use it,
//! and `halfopen-outcome` for files of baselines.

mod condition;
mod decoder;
mod error;
mod fields;
pub mod file;
mod findings;
mod mapping;
pub mod name;
mod raw;
mod read;
mod render;
pub mod scalar;
mod spec;
mod syntax;
mod tree;
mod verb;

pub use decoder::{Axes, Decoder, Point};
pub use error::{InputErrors, Problem, Span};
pub use fields::{Fields, Verb};
pub use findings::Findings;
pub use read::document;
pub use scalar::Refusal;
pub use spec::{KeySpec, MappingSpec, ValueSpec, Words};
pub use tree::{Key, Node, Value};
