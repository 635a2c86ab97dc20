//! Packet filters, queueing disciplines and connection tracking of one namespace:
//! what joins the two ports of a cable, what drops, rejects or delays packets, and
//! which connections a NAT router lets through.
//!
//! The messages are written here and not by netlink-bindings, whose nftables has
//! neither `fwd` nor `byteorder` (0.3.5), and whose socket opens at the first
//! request, in whatever namespace its thread is in then.

mod bpf;
mod closer;
mod conntrack;
mod describe;
mod expression;
mod flows;
mod hook;
mod netfilter;
mod nft;
mod qdisc;
mod rule;
mod tc;

pub(crate) use conntrack::Tracking;
pub(crate) use describe::Note;
pub use flows::Flow;
pub use hook::{Action, Hook};
pub use netfilter::{Filter, PortRef, RuleId};
pub(crate) use qdisc::{Qdiscs, loss_chain};
pub use rule::{Match, tcp_flag};
pub use tc::{Clsact, Side, TcRuleId};

#[cfg(test)]
mod tests;
