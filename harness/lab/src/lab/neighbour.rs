//! Neighbour entries (ARP, NDP): flushed, or made permanent.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage as Message;
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourMessage, NeighbourState};

use super::Lab;
use crate::effective_at::EffectiveAt;
use crate::error::LabError;
use crate::netlink::route::Batch;
use crate::netlink::rtnetlink::{self, Mac};
use halfopen_net::NeighbourChange;

impl Lab {
    /// Changes the node's neighbour entries (ip-neighbour(8)).
    /// [`NeighbourChange::Flushed`] deletes all of them, permanent ones included, so
    /// that the next packet waits for an address resolution.
    /// [`NeighbourChange::Pinned`] adds a permanent entry for every node that can be
    /// reached without a router, so that no address is ever resolved or probed.
    ///
    /// [`Lab::restore_neighbours`] undoes pinning; there is nothing to undo after
    /// flushing.
    ///
    /// # Errors
    /// [`LabError::Unknown`] for a node that the lab does not have,
    /// [`LabError::Down`] for one that is down.
    pub fn neighbour(
        &mut self,
        node: &str,
        change: NeighbourChange,
    ) -> Result<EffectiveAt, LabError> {
        let index = self.topology.node(node)?;
        let at = match change {
            NeighbourChange::Flushed => self.flush_neighbours(index)?,
            NeighbourChange::Pinned => {
                let socket = &self.running(index)?.socket;
                let mut batch = Batch::default();
                let peers = self.peers(index);
                for (ifindex, address, mac) in &peers {
                    let message = rtnetlink::neighbour(*ifindex, *address, Some(*mac));
                    let what = format!("pin the neighbour {address} on {node}");
                    let flags = NLM_F_CREATE | NLM_F_REPLACE;
                    batch.push(socket, Message::NewNeighbour(message), flags, what);
                }
                let effective_at = EffectiveAt::around(|| batch.run())?;
                self.nodes[index].neighbours = peers
                    .into_iter()
                    .map(|(ifindex, address, _)| (ifindex, address))
                    .collect();
                effective_at
            }
        };
        Ok(self.log(at, format!("neighbours of {node}: {change:?}")))
    }

    /// Deletes the entries that [`NeighbourChange::Pinned`] added: the next packet
    /// waits for an address resolution.
    ///
    /// # Errors
    /// As [`Lab::neighbour`].
    pub fn restore_neighbours(&mut self, node: &str) -> Result<EffectiveAt, LabError> {
        let index = self.topology.node(node)?;
        let socket = &self.running(index)?.socket;
        let mut batch = Batch::default();
        for (ifindex, address) in &self.nodes[index].neighbours {
            let message = rtnetlink::neighbour(*ifindex, *address, None);
            let what = format!("unpin the neighbour {address} on {node}");
            batch.push_tolerant(socket, Message::DelNeighbour(message), 0, what, &GONE);
        }
        let effective_at = EffectiveAt::around(|| batch.run())?;
        self.nodes[index].neighbours.clear();
        Ok(self.log(effective_at, format!("unpin the neighbours of {node}")))
    }

    fn flush_neighbours(&mut self, node: usize) -> Result<EffectiveAt, LabError> {
        let name = &self.topology.nodes[node].name;
        let socket = &self.running(node)?.socket;
        let what = format!("list the neighbours of {name}");
        let all = Message::GetNeighbour(NeighbourMessage::default());
        let mut batch = Batch::default();
        for answer in socket.ask(all, true, &what)? {
            let Message::NewNeighbour(mut entry) = answer else {
                continue;
            };
            // Entries of multicast and loopback addresses are never resolved.
            if entry.header.state == NeighbourState::Noarp {
                continue;
            }
            entry
                .attributes
                .retain(|a| matches!(a, NeighbourAttribute::Destination(_)));
            let what = format!("flush a neighbour of {name}");
            batch.push_tolerant(socket, Message::DelNeighbour(entry), 0, what, &GONE);
        }
        let effective_at = EffectiveAt::around(|| batch.run())?;
        self.nodes[node].neighbours.clear();
        Ok(effective_at)
    }

    /// The other nodes in the node's segments: index of the node's interface, address
    /// and MAC address.
    fn peers(&self, node: usize) -> Vec<(u32, IpAddr, Mac)> {
        let mut peers = Vec::new();
        for own in &self.topology.nodes[node].interfaces {
            for (other, plan) in self.topology.nodes.iter().enumerate() {
                for (i, theirs) in plan.interfaces.iter().enumerate() {
                    if other != node && theirs.segment == own.segment {
                        let mac = self.mac(other, i);
                        let addresses = theirs.addresses.iter();
                        peers.extend(addresses.map(|(a, _)| (own.ifindex, *a, mac)));
                    }
                }
            }
        }
        peers
    }
}

/// The entry, or its interface, does not exist any more.
const GONE: [i32; 2] = [libc::ENOENT, libc::ENODEV];
