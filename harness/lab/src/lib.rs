//! Throwaway Linux networks for tests: hosts, cables, switches and routers that exist
//! for the length of a test, and faults that happen to them. As root or as an ordinary
//! user, on one machine, with the kernel's own TCP.
//!
//! # In short
//!
//! [`guide`] has more: async, virtual time, CI, pools, heartbeats.
//!
//! A test puts itself into a [sandbox], builds a [`Lab`], runs its client and its server
//! inside the lab's hosts, and applies a fault:
//!
//! ```standalone_crate
//! use std::io::{ErrorKind, Read, Write};
//! use std::net::{SocketAddr, TcpListener, TcpStream};
//! use std::time::Duration;
//!
//! use halfopen_lab::{Family, Lab, sandbox};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // Before the first thread. In a file of tests: halfopen_lab::sandboxed!();
//!     sandbox::enter()?;
//!
//!     let mut lab = Lab::builder()
//!         .host("client")
//!         .host("server")
//!         .cable("client", "server")
//!         .build()?;
//!     let address = SocketAddr::new(lab.address("server", Family::Ipv4)?, 7000);
//!     let listener = lab.enter("server", || TcpListener::bind(address))??;
//!     let mut client = lab.enter("client", || TcpStream::connect(address))??;
//!     let (_served, _) = listener.accept()?;
//!
//!     // The server's machine loses power: neither FIN nor RST comes out of it.
//!     lab.crash("server")?;
//!
//!     // So a write succeeds, and a read waits for as long as it may.
//!     client.set_read_timeout(Some(Duration::from_secs(1)))?;
//!     client.write_all(b"anybody there?")?;
//!     let read = client.read(&mut [0; 64]).map_err(|e| e.kind());
//!     assert_eq!(read, Err(ErrorKind::WouldBlock));
//!
//!     // The machine boots again. It knows no connection and answers with an RST.
//!     lab.host_up("server", true)?;
//!     client.write_all(b"remember me?")?;
//!     let read = client.read(&mut [0; 64]).map_err(|e| e.kind());
//!     assert_eq!(read, Err(ErrorKind::ConnectionReset));
//!     Ok(())
//! }
//! ```
//!
//! In a file of tests [`sandboxed!`] stands once at the top level instead of
//! [`sandbox::enter`], and each `#[test]` builds a lab of its own; labs do not see each
//! other, so tests may run at the same time. The repository's `tests/tests/library.rs`
//! holds these examples as tests, and more.
//!
//! **A socket belongs to the host it was opened in**, a process to the host it was started
//! in: [`Lab::enter`] runs a closure there, and [`Lab::host`] gives a handle that starts
//! commands and, with the feature `tokio`, tasks. Afterwards sockets can be used from any
//! thread. [`Lab::crash`] ends all of them.
//!
//! **Faults.** Each has a method that applies it and one that undoes it:
//!
//! | fault | applied by | undone by |
//! |---|---|---|
//! | a machine loses power | [`Lab::crash`] | [`Lab::host_up`]; both: [`Lab::reboot`] |
//! | a machine's programs hang | [`Lab::freeze`] | [`Lab::thaw`] |
//! | everything a machine sends or gets is lost | [`Lab::silence`] | [`Lab::end_silence`] |
//! | a cable is cut, in one direction or both, with or without carrier | [`Lab::cut`] | [`Lab::mend`] |
//! | a bad line: loss, delay, jitter, reordering, rate, MTU | [`Lab::impair`] | [`Lab::heal_impairment`] |
//! | chosen packets are dropped or rejected | [`Filter::add`] | [`Filter::remove`] |
//! | an interface is set down or deleted | [`Lab::interface`] | [`Lab::restore_interface`] |
//! | a route is removed or refuses | [`Lab::route`] | [`Lab::restore_routes`] |
//! | an address is removed | [`Lab::remove_addresses`] | [`Lab::restore_addresses`] |
//! | an address moves to another host | [`Lab::move_address`] | [`Lab::move_address`] back |
//! | neighbour entries are flushed or pinned | [`Lab::neighbour`] | [`Lab::restore_neighbours`] |
//! | a NAT router forgets connections | [`Lab::forget_flows`] | [`Lab::restore_flows`] |
//!
//! [`Lab::at`] applies them at their times while a client runs, [`expect_errno!`] says how
//! a call shall fail and when.
//!
//! A line that loses and delays packets:
//!
//! ```no_run
//! # use std::time::Duration;
//! # fn example(lab: &mut halfopen_lab::Lab) -> Result<(), halfopen_lab::LabError> {
//! use halfopen_lab::{Direction, ImpairBy, Impairment, Loss};
//!
//! let line = Impairment {
//!     loss: Some(Loss { rate: 0.02, burst: None }),
//!     delay: Some(Duration::from_millis(40)),
//!     ..Impairment::default()
//! };
//! let (_, bad) = lab.impair("client", None, Direction::Both, &line, ImpairBy::Auto)?;
//! // ... a round trip takes 80 ms longer ...
//! lab.heal_impairment(&bad)?;
//! # Ok(())
//! # }
//! ```
//!
//! The first two data packets of a client, dropped in the middle of its cable:
//!
//! ```no_run
//! # fn example(lab: &mut halfopen_lab::Lab) -> Result<(), Box<dyn std::error::Error>> {
//! use halfopen_lab::{Action, Hook, Match, WIRE, tcp_flag};
//!
//! let port = lab.ports().into_iter().find(|port| port.node == "client").ok_or("no port")?;
//! let data = Match {
//!     tcp_flags_set: tcp_flag("PSH").ok_or("no flag")?,
//!     count: Some(2),
//!     ..Match::default()
//! };
//! let rule = lab.filter_of(WIRE)?.add(Hook::Port(port.name), &data, Action::Drop)?;
//! // ...
//! assert_eq!(lab.filter_of(WIRE)?.packets(rule)?, 2);
//! # Ok(())
//! # }
//! ```
//!
//! A gateway that forgets idle connections is a router with [`LabBuilder::nat`].
//!
//! # What a lab changes
//!
//! Nothing outside its own namespaces: no sysctl, no interface, no packet filter of the
//! machine. Inside, every sysctl that can change what a socket returns is pinned
//! ([`Lab::pinned`]), so that results depend on the kernel and not on the machine.
//!
//! # What it needs
//!
//! Linux, and root or user namespaces. Netlink does links, addresses, routes, tc and
//! nftables; no external program is started. A kernel feature that is missing is
//! [`LabError::Unsupported`], which says what to do.
#![warn(missing_docs)]

#[doc(hidden)]
pub mod attribute;
mod builder;
#[doc(hidden)]
pub mod capture;
mod effective_at;
mod error;
#[doc(hidden)]
pub mod expect;
mod filter;
pub mod guide;
mod host;
mod impair;
#[doc(hidden)]
pub mod internal;
mod lab;
mod namespace;
mod netlink;
mod plan;
mod record;
pub mod sandbox;
mod sysctl;

#[cfg(test)]
mod tests;

pub use builder::LabBuilder;
pub use effective_at::EffectiveAt;
pub use error::LabError;
pub use filter::{Action, Filter, Flow, Hook, Match, RuleId, tcp_flag};
/// A test in a [sandbox], with or without `async`:
///
/// ```no_run
/// # fn main() {}
/// #[halfopen_lab::test(time = "virtual", kernel = "6.12")]
/// fn keepalive_takes_two_hours() -> Result<(), Box<dyn std::error::Error>> {
///     // halfopen_lab::Lab::builder() ...
///     Ok(())
/// }
/// ```
///
/// Without arguments it is `#[test]` in a file with [`sandboxed!`]. With
/// `time = "virtual"`, or a `kernel` as `halfopen exec --kernel` takes it, the test runs
/// in a guest of its own, other tests of the file do not: through the command `halfopen`,
/// from `PATH` or the variable `HALFOPEN`. Where the whole program is in a guest already
/// (`HALFOPEN_TIME=virtual`), it runs there.
///
/// An async test runs on a current-thread runtime outside every host (feature
/// `tokio`), and starts what is to be on a host by [`Host::spawn`](Host). Such a test's
/// program must not be `should_panic` in a guest.
pub use halfopen_macros::test;
pub use host::Host;
#[cfg(feature = "trace")]
pub use host::Observed;
pub use lab::{BadLine, Lab, Line, Port, Ran, Schedule};
pub use namespace::Namespace;
pub use plan::WIRE;
pub use record::Recording;

pub use halfopen_wire::Packet;

pub use halfopen_net::{
    Carrier, Direction, Family, FlowState, ImpairBy, Impairment, InterfaceChange, Loss, Mtu, Nat,
    NeighbourChange, Network, Node, NodeKind, OnForgotten, RejectWith, RouteChange, SocketState,
};

// The unit tests build networks, also as an ordinary user.
#[cfg(test)]
crate::sandboxed!();
