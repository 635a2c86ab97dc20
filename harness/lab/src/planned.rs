//! The routes that a node has by plan.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::live::Lab;
use super::message::Route;

impl Lab {
    /// The routes by way of routers, as planned.
    pub(super) fn static_routes(&self, node: usize) -> Vec<Route> {
        let plan = &self.topology.nodes[node];
        let mut routes = Vec::new();
        for route in &plan.routes {
            // The interface on whose segment the router is.
            let on_link = self
                .connected_routes(node)
                .into_iter()
                .find(|c| covers(c, route.via));
            if let Some(link) = on_link {
                routes.push(Route {
                    destination: route.destination,
                    via: Some(route.via),
                    ifindex: link.ifindex,
                    source: link.source,
                });
            }
        }
        routes
    }

    /// The routes that the kernel makes for the addresses.
    pub(super) fn connected_routes(&self, node: usize) -> Vec<Route> {
        let interfaces = &self.topology.nodes[node].interfaces;
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
pub(super) fn covers(route: &Route, address: IpAddr) -> bool {
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
