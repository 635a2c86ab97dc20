//! Throwaway networks: hosts, links through the wire, switches, routers,
//! faults. Knows no scenario.

pub mod builder;
mod cable;
mod construct;
mod crash;
mod environment;
pub mod error;
pub mod filter;
mod interface;
pub mod live;
mod message;
pub mod namespace;
mod neighbour;
mod netlink;
mod orphans;
pub mod pinned;
mod planned;
mod route;
mod settle;
mod sysctl;
pub mod took;
mod topology;

#[cfg(test)]
mod tests;

pub use builder::LabBuilder;
pub use error::LabError;
pub use live::{Lab, Port};
pub use namespace::Namespace;
pub use took::Took;
pub use topology::WIRE;
