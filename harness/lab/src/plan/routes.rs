//! The routes that a node has by plan.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::topology::Topology;

/// A route that the plan gives a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// Network address and prefix length.
    pub destination: (IpAddr, u8),
    /// The router's address; None: the destination is on the link.
    pub via: Option<IpAddr>,
    /// Index of the node's interface.
    pub ifindex: u32,
    /// The node's address on that interface.
    pub source: IpAddr,
}

impl Topology {
    /// The routes of a node that lead through routers.
    pub fn static_routes(&self, node: usize) -> Vec<Route> {
        let connected = self.connected_routes(node);
        let planned = self.nodes[node].routes.iter();
        planned
            .filter_map(|route| {
                // The interface on whose segment the router is.
                let link = connected.iter().find(|c| covers(c, route.via))?;
                Some(Route {
                    destination: route.destination,
                    via: Some(route.via),
                    ifindex: link.ifindex,
                    source: link.source,
                })
            })
            .collect()
    }

    /// The routes that the kernel makes for the addresses of a node.
    pub fn connected_routes(&self, node: usize) -> Vec<Route> {
        let interfaces = &self.nodes[node].interfaces;
        let of = |ifindex| {
            move |(address, length): &(IpAddr, u8)| Route {
                destination: (network_of(*address, *length), *length),
                via: None,
                ifindex,
                source: *address,
            }
        };
        interfaces
            .iter()
            .flat_map(|i| i.addresses.iter().map(of(i.ifindex)))
            .collect()
    }
}

/// Whether the route's destination contains the address.
pub(crate) fn covers(route: &Route, address: IpAddr) -> bool {
    let (network, length) = route.destination;
    network.is_ipv4() == address.is_ipv4() && network_of(address, length) == network
}

fn network_of(address: IpAddr, length: u8) -> IpAddr {
    let length = u32::from(length);
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}
