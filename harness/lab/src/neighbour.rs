//! Neighbour entries (ARP, NDP): forgotten or pinned.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage as Message;
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourMessage, NeighbourState};

use super::effective_at::EffectiveAt;
use super::error::LabError;
use super::live::Lab;
use super::message::{self, Mac};
use super::netlink::Batch;
use halfopen_net::NeighbourChange;

impl Lab {
    /// Flushes the node's neighbour entries, so that the next packet must ask
    /// again, or pins an entry for every node it can reach without a router,
    /// so that it never asks.
    ///
    /// Flushing has nothing to undo. It deletes pinned entries, too.
    ///
    /// # Errors
    /// For a node that the lab does not have, or that is down.
    pub fn neighbour(
        &mut self,
        node: &str,
        change: NeighbourChange,
    ) -> Result<EffectiveAt, LabError> {
        let index = self.topology.node(node)?;
        match change {
            NeighbourChange::Flushed => self.flush_neighbours(index),
            NeighbourChange::Pinned => {
                let socket = &self.running(index)?.socket;
                let mut batch = Batch::default();
                let peers = self.peers(index);
                for (ifindex, address, mac) in &peers {
                    let message = message::neighbour(*ifindex, *address, Some(*mac));
                    let what = format!("pin the neighbour {address} on {node}");
                    let flags = NLM_F_CREATE | NLM_F_REPLACE;
                    batch.push(socket, Message::NewNeighbour(message), flags, what);
                }
                let took = EffectiveAt::around(|| self.netlink.run(batch))?;
                self.nodes[index].neighbours = peers
                    .into_iter()
                    .map(|(ifindex, address, _)| (ifindex, address))
                    .collect();
                Ok(took)
            }
        }
    }

    /// Undoes pinning: the entries go, and the next packet asks again.
    ///
    /// # Errors
    /// For a node that the lab does not have, or that is down.
    pub fn restore_neighbours(&mut self, node: &str) -> Result<EffectiveAt, LabError> {
        let index = self.topology.node(node)?;
        let socket = &self.running(index)?.socket;
        let mut batch = Batch::default();
        for (ifindex, address) in &self.nodes[index].neighbours {
            let message = message::neighbour(*ifindex, *address, None);
            let what = format!("unpin the neighbour {address} on {node}");
            batch.push_tolerant(socket, Message::DelNeighbour(message), 0, what, &GONE);
        }
        let took = EffectiveAt::around(|| self.netlink.run(batch))?;
        self.nodes[index].neighbours.clear();
        Ok(took)
    }

    fn flush_neighbours(&mut self, node: usize) -> Result<EffectiveAt, LabError> {
        let name = &self.topology.nodes[node].name;
        let socket = &self.running(node)?.socket;
        let what = format!("list the neighbours of {name}");
        let all = Message::GetNeighbour(NeighbourMessage::default());
        let mut batch = Batch::default();
        for answer in self.netlink.ask(socket, all, true, &what)? {
            let Message::NewNeighbour(mut entry) = answer else {
                continue;
            };
            // Multicast and loopback addresses: not resolved, never asked for.
            if entry.header.state == NeighbourState::Noarp {
                continue;
            }
            entry
                .attributes
                .retain(|a| matches!(a, NeighbourAttribute::Destination(_)));
            let what = format!("flush a neighbour of {name}");
            batch.push_tolerant(socket, Message::DelNeighbour(entry), 0, what, &GONE);
        }
        let took = EffectiveAt::around(|| self.netlink.run(batch))?;
        self.nodes[node].neighbours.clear();
        Ok(took)
    }

    /// Who is in the node's segments: by which interface, address and MAC.
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

/// The entry, or its interface, is gone already.
const GONE: [i32; 2] = [libc::ENOENT, libc::ENODEV];
