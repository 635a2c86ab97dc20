//! Packet filters: what joins the two ports of a cable, and what drops or
//! rejects packets on the way.
//!
//! Messages are built here and not by netlink-bindings, whose nftables has
//! neither `fwd` nor `byteorder` (0.3.5), and whose socket opens at the first
//! request, wherever its thread is then.

pub mod bpf;
mod closer;
mod conntrack;
mod expression;
mod flows;
mod hook;
mod message;
mod netfilter;
mod nft;
pub mod qdisc;
mod rule;
mod socket;
pub mod tc;

pub(crate) use conntrack::Tracking;
pub use flows::Flow;
pub use hook::{Action, Hook};
pub use netfilter::{Filter, PortRef, RuleId};
pub use qdisc::Qdiscs;
pub use rule::{Match, tcp_flag};
pub use socket::Refusal;
pub use tc::{Clsact, Side, TcRuleId};

#[cfg(test)]
mod tests;
