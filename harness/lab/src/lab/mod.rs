//! A lab that is up: its namespaces, the wire, and what is done to them.
//!
//! [`Lab`] and its state are here; each other file of this folder adds one group
//! of methods to it: building (`construct`, `environment`, `settle`), looking
//! (`nodes`, `sysctls`, `socket_state`), and faults with their undoing (`cable`, `crash`,
//! `interface`, `route`, `move_address`, `neighbour`, `nat`, `impair`, at their times
//! by `schedule`), and their record (`recorded`). What is computed before anything is built is in [`crate::plan`].

mod announcement;
mod cable;
mod connect;
mod construct;
mod crash;
mod environment;
mod impair;
mod impair_apply;
mod impaired;
mod interface;
mod line;
mod move_address;
mod nat;
mod neighbour;
mod nodes;
mod orphans;
mod recorded;
mod route;
mod schedule;
mod settle;
mod socket_state;
mod sysctls;

pub use impaired::BadLine;
pub use line::Line;
pub use nodes::Port;
pub use schedule::{Ran, Schedule};

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::error::LabError;
use crate::filter::{Filter, PortRef, Tracking};
use crate::host::HostState;
use crate::namespace::Namespace;
use crate::netlink::route::RouteSocket;
use crate::plan::Topology;
use crate::record::Log;
use crate::sysctl::pinned::Values;
use halfopen_net::Family;
use impaired::Impaired;
use netlink_packet_route::route::RouteMessage;

/// A throwaway network of hosts, routers, switches and cables.
///
/// Every node is a network namespace. Every cable passes the wire, one more
/// namespace that no node can see, where faults are applied and frames can be
/// captured. Nothing of it is visible outside this process, and all of it is gone
/// when the lab is dropped and the last process and socket in it have ended.
///
/// All methods block until the kernel has done what was asked. Those that change
/// something return [`EffectiveAt`](crate::EffectiveAt), the moments between which
/// it happened.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::net::{TcpListener, TcpStream};
///
/// use halfopen_lab::{Family, Lab};
///
/// let mut lab = Lab::builder().host("client").host("server").cable("client", "server").build()?;
/// let server = (lab.address("server", Family::Ipv4)?, 7000);
/// let listener = lab.enter("server", || TcpListener::bind(server))??;
/// let client = lab.enter("client", || TcpStream::connect(server))??;
/// lab.crash("server")?;
/// # drop((client, listener));
/// # Ok(())
/// # }
/// ```
pub struct Lab {
    topology: Topology,
    families: Vec<Family>,
    wire: Namespace,
    wire_socket: RouteSocket,
    /// Joins the ports of the wire pair by pair, and drops what is to be dropped.
    wire_filter: Filter,
    nodes: Vec<NodeState>,
    cables: Vec<CableState>,
    impaired: Impaired,
    /// The next unused interface index in the wire. No index is used twice, so
    /// that a capture can tell a port from the one that it replaces.
    next_port: u32,
    /// What happens to the lab, for its recordings.
    log: Arc<Log>,
}

/// The state of a node, apart from its plan.
struct NodeState {
    /// None: the node has crashed.
    running: Option<Running>,
    /// What its handles share; None: it has no address.
    host: Option<Arc<HostState>>,
    /// Sysctls that the lab's user set, on top of the pinned ones.
    wanted: BTreeMap<String, String>,
    /// All values that were written.
    pinned: Values,
    /// Counts the machines that replaced this node; part of its MAC addresses.
    generation: u8,
    /// Nothing passes any of its cables.
    silenced: bool,
    /// Routes of type unreachable, prohibit or blackhole, added by faults.
    error_routes: Vec<RouteMessage>,
    /// Permanent neighbour entries, added by faults: interface index and address.
    neighbours: Vec<(u32, IpAddr)>,
}

/// What a node has while it is up.
struct Running {
    ns: Namespace,
    socket: RouteSocket,
    filter: Option<Filter>,
    /// A NAT router's connection tracking.
    tracking: Option<Tracking>,
}

/// A cable: its two ports in the wire, in the plan's order.
struct CableState {
    ports: [PortState; 2],
}

/// One port of the wire.
struct PortState {
    name: String,
    /// None: its node is down, or its interface was deleted.
    ifindex: Option<u32>,
    /// Frames that enter here are dropped, because the cable is cut.
    cut: bool,
    /// Set down, so that its node has no carrier.
    down: bool,
}

impl PortState {
    fn port_ref(&self) -> Option<PortRef> {
        Some(PortRef {
            name: self.name.clone(),
            ifindex: self.ifindex?,
        })
    }
}

impl Lab {
    fn running(&self, node: usize) -> Result<&Running, LabError> {
        self.nodes[node]
            .running
            .as_ref()
            .ok_or_else(|| LabError::Down {
                node: self.topology.nodes[node].name.clone(),
            })
    }

    /// 02:68:6f:GENERATION:NODE:INTERFACE, locally administered.
    fn mac(&self, node: usize, interface: usize) -> [u8; 6] {
        // Both fit: a plan has at most 254 nodes and 255 cables.
        let generation = self.nodes[node].generation;
        [
            0x02,
            0x68,
            0x6f,
            generation,
            node as u8 + 1,
            interface as u8,
        ]
    }
}

/// Whether an address is of a family.
fn is_of(address: IpAddr, family: Family) -> bool {
    match family {
        Family::Ipv4 => address.is_ipv4(),
        Family::Ipv6 => address.is_ipv6(),
    }
}
