//! The plan of a lab: everything that is computed before anything is built.
//!
//! Checks a [`halfopen_net::Network`] and computes its segments, interfaces,
//! addresses, routes and the settings of its NAT routers. Pure: no system call,
//! no lab. [`crate::lab`] builds what stands here and looks it up later.

mod compute;
mod nat;
mod routes;
mod topology;

#[cfg(test)]
mod tests;

pub(crate) use routes::{Route, covers};
pub use topology::WIRE;
pub(crate) use topology::{EndPlan, NatPlan, NodePlan, Topology};

#[cfg(test)]
pub(crate) use topology::RoutePlan;
