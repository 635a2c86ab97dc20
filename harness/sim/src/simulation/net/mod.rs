//! Everything below TCP: nodes, cables, filters, neighbours, routes, connection tracking.

pub(super) mod conntrack;
pub(super) mod filter;
pub(super) mod frame;
pub(super) mod icmp;
mod ip;
pub(super) mod neighbour;
pub(super) mod topology;
pub(super) mod wire;

pub(super) use ip::Xmit;
