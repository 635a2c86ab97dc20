//! Plain data that all crates of halfopen share: networks and their nodes, cables and
//! directions, NAT, impairments, changes to a node, and durations as text. No I/O.
//!
//! Users of the library find what they need re-exported by `halfopen-lab`.

pub mod duration;
pub mod error;
pub mod span;

mod cable;
mod change;
mod impairment;

mod network;
mod socket_state;

pub use cable::{CableRef, Carrier, Direction};
pub use change::{InterfaceChange, NeighbourChange, RejectWith, RouteChange};
pub use impairment::{ImpairBy, Impairment, Loss, Mtu, QUEUE};

pub use network::{Family, FlowState, Nat, Network, Node, NodeKind, OnForgotten};
pub use socket_state::SocketState;
