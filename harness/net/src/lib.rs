//! Plain data that every layer of halfopen shares: networks, cables, NAT, bad
//! lines, and durations as text. No I/O.

pub mod duration;
pub mod error;
pub mod span;

mod cable;
mod change;
mod impairment;
mod nat;
mod network;

pub use cable::{CableRef, Carrier, Direction};
pub use change::{InterfaceChange, NeighbourChange, RejectWith, RouteChange};
pub use impairment::{ImpairBy, Impairment, Loss, Mtu, QUEUE};
pub use nat::{Nat, OnForgotten};
pub use network::{Family, Network, Node, NodeKind};
