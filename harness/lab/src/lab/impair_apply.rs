//! Setting up, starting and ending the mechanisms of an impairment.

use std::net::{Ipv4Addr, UdpSocket};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};

use super::Lab;
use super::impaired::Way;
use super::settle::settle_interfaces;
use crate::error::LabError;
use crate::filter::{Action, Hook, Match, Side};
use crate::impair::{Ends, Line, Relay};
use crate::netlink::route::Batch;
use crate::netlink::rtnetlink::{self, NewInterface};
use halfopen_net::Impairment;
use halfopen_sys::ethtool::offload;

impl Lab {
    /// Sets up what a direction needs at the ports that exist now.
    pub(super) fn equip(&mut self, index: usize) -> Result<(), LabError> {
        let Way {
            cable, side, means, ..
        } = self.impaired.ways[index];
        self.offloads(cable, side, false)?;
        let (enters, leaves) = (self.ingress(cable, side), self.egress(cable, side));
        if let Some(leaves) = leaves {
            if means.netem {
                self.impaired.qdiscs(&self.wire)?.prepare_netem(leaves)?;
            }
            if means.tbf {
                self.impaired.qdiscs(&self.wire)?.prepare_tbf(leaves)?;
            }
        }
        if means.bpf
            && let Some(enters) = enters
        {
            self.impaired.clsact(&self.wire)?.prepare(enters)?;
        }
        if means.relay {
            let ends = Ends::open(&self.wire, leaves, enters)?;
            match &self.impaired.ways[index].relay {
                Some((relay, _)) => relay.set_ends(ends),
                None => {
                    let relay = self.start_relay(index, ends)?;
                    self.impaired.ways[index].relay = Some(relay);
                }
            }
        }
        Ok(())
    }

    /// Starts a relay; returns it and the index of the device that leads to it.
    fn start_relay(&mut self, index: usize, ends: Ends) -> Result<(Relay, u32), LabError> {
        let (number, way) = (self.next_port, &self.impaired.ways[index]);
        self.next_port += 2;
        // A seed of its own for each direction, the same in every run.
        let seed = way.line.seed.unwrap_or(0).wrapping_mul(2) + way.side as u64;
        let line = Line::new(way.line.clone(), seed);
        let names = [format!("r{number}in"), format!("r{number}out")];
        let interface = |side: usize| NewInterface {
            name: &names[side],
            ifindex: number + side as u32,
            mac: [
                0x02,
                0x68,
                0x71,
                (number >> 8) as u8,
                number as u8,
                side as u8,
            ],
        };
        let mut batch = Batch::default();
        let what = "create the veth pair of a relay";
        let veth = rtnetlink::veth(&interface(0), &interface(1), &self.wire);
        batch.push(&self.wire_socket, veth, NLM_F_CREATE | NLM_F_EXCL, what);
        let up = rtnetlink::set_link(number + 1, true, None);
        batch.push(&self.wire_socket, up, 0, what);
        batch.run()?;
        settle_interfaces(&self.wire, names.iter().map(String::as_str))?;
        let relay = Relay::start(&self.wire, number + 1, ends, line)?;
        Ok((relay, number))
    }

    /// Starts an impairment; returns its mechanisms' names.
    pub(super) fn activate(&mut self, id: u64) -> Result<String, LabError> {
        let Some(index) = self.impaired.index_of(id) else {
            return Ok(String::new());
        };
        let Way {
            cable, side, means, ..
        } = self.impaired.ways[index];
        self.impaired.ways[index].active = true;
        let port = self.cables[cable].ports[side].name.clone();
        for rule in drops(&self.impaired.ways[index].line, means.nft) {
            let id = self
                .wire_filter
                .add(Hook::Port(port.clone()), &rule, Action::Drop)?;
            self.impaired.ways[index].rules.push(id);
        }
        if let Some((_, entry)) = &self.impaired.ways[index].relay {
            self.wire_filter.detour(&port, Some(*entry))?;
        }
        self.activate_at_ports(index)?;
        Ok(means.to_string())
    }

    /// Starts what is bound to the ports that exist now and is deleted with them.
    fn activate_at_ports(&mut self, index: usize) -> Result<(), LabError> {
        let way = &self.impaired.ways[index];
        let (means, line) = (way.means, way.line.clone());
        let (enters, leaves) = (
            self.ingress(way.cable, way.side),
            self.egress(way.cable, way.side),
        );
        if let Some(leaves) = leaves {
            if means.netem {
                self.impaired.qdiscs(&self.wire)?.netem(leaves, &line)?;
            }
            if means.tbf {
                self.impaired.qdiscs(&self.wire)?.tbf(leaves, Some(&line))?;
            }
        }
        if let Some(enters) = enters {
            for rule in drops(&line, means.bpf) {
                let id =
                    self.impaired
                        .clsact(&self.wire)?
                        .add_drop(enters, Side::Ingress, &rule)?;
                self.impaired.ways[index].filters.push(id);
            }
        }
        Ok(())
    }

    /// Ends an impairment.
    pub(super) fn deactivate(&mut self, id: u64) -> Result<(), LabError> {
        let Some(index) = self.impaired.index_of(id) else {
            return Ok(());
        };
        let way = self.impaired.ways.remove(index);
        let port = self.cables[way.cable].ports[way.side].name.clone();
        for rule in way.rules {
            self.wire_filter.remove(rule)?;
        }
        for filter in way.filters {
            self.impaired.clsact(&self.wire)?.remove(filter)?;
        }
        if let Some(leaves) = self.egress(way.cable, way.side) {
            if way.means.netem {
                self.impaired
                    .qdiscs(&self.wire)?
                    .netem(leaves, &Impairment::default())?;
            }
            if way.means.tbf {
                self.impaired.qdiscs(&self.wire)?.tbf(leaves, None)?;
            }
        }
        if let Some((relay, _)) = way.relay {
            self.wire_filter.detour(&port, None)?;
            relay.drain();
            self.impaired.draining.push(relay);
        }
        let others = &self.impaired.ways;
        if others
            .iter()
            .all(|w| (w.cable, w.side) != (way.cable, way.side))
        {
            self.offloads(way.cable, way.side, true)?;
        }
        Ok(())
    }

    /// Sets up again, after ports were created anew, what was deleted with the old
    /// ones.
    pub(super) fn reapply_impairments(&mut self, cables: &[usize]) -> Result<(), LabError> {
        for index in 0..self.impaired.ways.len() {
            if !cables.contains(&self.impaired.ways[index].cable) {
                continue;
            }
            self.equip(index)?;
            if self.impaired.ways[index].active {
                let stale = std::mem::take(&mut self.impaired.ways[index].filters);
                for filter in stale {
                    self.impaired.clsact(&self.wire)?.remove(filter)?;
                }
                self.activate_at_ports(index)?;
            }
        }
        Ok(())
    }

    /// Turns the checksum and segmentation offloads of the sender's device on or off.
    fn offloads(&self, cable: usize, side: usize, on: bool) -> Result<(), LabError> {
        let (node, interface) = self.topology.end(cable, side);
        let Ok(namespace) = self.namespace(&node.name) else {
            // The node is down: reapply_impairments() does it after its boot.
            return Ok(());
        };
        let name = &interface.name;
        let set = namespace.enter(|| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            offload(&socket, name, on)
        })?;
        match set {
            Err(e) if e.raw_os_error() == Some(libc::ENODEV) => Ok(()),
            other => other.map_err(|e| {
                LabError::system(format!("set the offloads of {name} on {}", node.name), e)
            }),
        }
    }

    fn ingress(&self, cable: usize, side: usize) -> Option<u32> {
        self.cables[cable].ports[side].ifindex
    }

    pub(super) fn egress(&self, cable: usize, side: usize) -> Option<u32> {
        self.cables[cable].ports[1 - side].ifindex
    }
}

/// The packet rules that do the loss and the size limit of a line.
fn drops(line: &Impairment, by_rules: bool) -> Vec<Match> {
    if !by_rules {
        return Vec::new();
    }
    let too_long = line.mtu.map(|mtu| Match {
        longer_than: Some(mtu.size),
        ..Match::default()
    });
    let by_chance = line.loss.map(|loss| Match {
        probability: Some(loss.rate),
        ..Match::default()
    });
    too_long.into_iter().chain(by_chance).collect()
}
