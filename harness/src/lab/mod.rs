//! Throwaway networks: hosts, links through the wire, switches, routers,
//! faults. Knows no scenario.

pub mod error;
pub mod filter;
pub mod namespace;
