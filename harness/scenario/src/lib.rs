//! Reads halfopen's scenario files: YAML to [`Case`](case::Case)s, and the JSON
//! Schema of the format.
//!
//! [`parse`] reads text, [`load`] a file. Both check everything and return every
//! mistake at once, each with its line and with what to write instead
//! ([`InputErrors`]). A case is plain data with nothing left to resolve: other
//! crates predict it and run it. Nothing is built or run here, and only [`load`]
//! does I/O.
//!
//! ```
//! let catalogue = halfopen_scenario::parse(
//!     "example.yaml",
//!     "
//! version: 1
//! scenarios:
//!   host-crash:
//!     about: The server loses power while the client waits for an answer.
//!     matrix: { family: [ipv4, ipv6] }
//!     server: [listen, accept, echo]
//!     client: [connect, read]
//!     faults: [{ at: 500ms, crash: server }]
//!     give_up: 30s
//! ",
//! )?;
//! let ids: Vec<&str> = catalogue.cases.iter().map(|case| case.id.as_str()).collect();
//! assert_eq!(ids, ["host-crash/family=ipv4", "host-crash/family=ipv6"]);
//! # Ok::<(), halfopen_scenario::InputErrors>(())
//! ```
//!
//! Inside, each module imports only from those before it in this list: `case`
//! (the data), `yaml` (tree, decoder, tables, errors), `network`, `sign`,
//! `detector`, `sysctl`, `scene`, `lane`, `event`, `catalogue` and `schema`.

pub mod case;
mod catalogue;
mod detector;
mod event;
#[doc(hidden)]
pub mod internal;
mod lane;
mod network;
mod scene;
mod schema;
mod sign;
mod sysctl;
mod yaml;

#[cfg(test)]
mod tests;

pub use catalogue::{Catalogue, ScenarioInfo, load, parse};
pub use schema::schema;
pub use sysctl::conf as sysctl_conf;
pub use yaml::{InputErrors, Problem, Span};
