//! Throwaway networks: hosts, links through the wire, switches, routers,
//! faults. Knows no scenario.
//!
//! A test of one's own client, as root or as an ordinary user (more of them
//! are in this repository's tests/tests/library.rs):
//!
//! ```no_run
//! use std::io::{ErrorKind, Read};
//! use std::net::{SocketAddr, TcpListener, TcpStream};
//! use std::time::Duration;
//!
//! use crate::Lab;
//! use halfopen_net::Family;
//!
//! // Once a file of tests: see the macro.
//! halfopen_lab::sandboxed!();
//!
//! # fn main() {}
//! # mod tests { use super::*;
//! #[test]
//! fn crash_goes_unnoticed_by_a_client_that_waits() -> Result<(), Box<dyn std::error::Error>> {
//!     let mut lab = Lab::builder().host("client").host("server").cable("client", "server").build()?;
//!     let address = SocketAddr::new(lab.address("server", Family::Ipv4)?, 7000);
//!     let listener = lab.enter("server", || TcpListener::bind(address))??;
//!     let mut client = lab.enter("client", || TcpStream::connect(address))??;
//!     let (accepted, _) = listener.accept()?;
//!
//!     // Silence, then death: neither FIN nor RST comes out.
//!     let mut processes = Some((listener, accepted));
//!     lab.crash("server", &mut || drop(processes.take()))?;
//!
//!     client.set_read_timeout(Some(Duration::from_secs(1)))?;
//!     let read = client.read(&mut [0; 64]).map_err(|e| e.kind());
//!     assert_eq!(read, Err(ErrorKind::WouldBlock));
//!     Ok(())
//! }
//! # }
//! ```

pub mod builder;
mod cable;
mod construct;
mod crash;
pub mod effective_at;
mod environment;
pub mod error;
pub mod filter;
pub mod impair;
mod interface;
pub mod live;
mod message;
mod moving;
pub mod namespace;
mod nat;
mod neighbour;
mod neighbour_table;
mod netlink;
mod orphans;
pub mod pinned;
mod planned;
mod root_netns;
mod route;
pub mod sandbox;
mod settle;
mod sysctl;
mod topology;

#[cfg(test)]
mod tests;

pub use builder::LabBuilder;
pub use effective_at::EffectiveAt;
pub use error::LabError;
pub use impair::BadLine;
pub use live::{Lab, Port};
pub use namespace::Namespace;
pub use topology::WIRE;

pub use halfopen_net::{Nat, OnForgotten};

/// To be called in a guest, before the first lab: nobody else uses the machine. So many
/// namespaces will be needed.
#[doc(hidden)]
pub fn own_machine(namespaces: usize) {
    sysctl::own_first_namespace();
    root_netns::live_alone();
    root_netns::stock(namespaces);
}

/// So many more namespaces will be needed, in a guest that called [`own_machine`].
#[doc(hidden)]
pub fn stock_namespaces(count: usize) {
    root_netns::stock(count);
}

// The unit tests build networks, as an ordinary user, too.
#[cfg(test)]
crate::sandboxed!();
