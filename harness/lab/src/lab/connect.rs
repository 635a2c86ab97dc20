//! Cables in the wire: their veth pairs, joined port by port, and what is blocked.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};

use super::Lab;
use crate::error::LabError;
use crate::filter::PortRef;
use crate::netlink::route::Batch;
use crate::netlink::rtnetlink::{self, NewInterface};
use crate::plan::EndPlan;

impl Lab {
    /// Creates the veth pairs of all cables at these nodes and joins the cables in
    /// the wire. The wire's ends are up, the nodes' ends are not yet.
    pub(super) fn connect(&mut self, nodes: &[usize]) -> Result<(), LabError> {
        let mut batch = Batch::default();
        let mut touched = Vec::new();
        for &node in nodes {
            let running = self.running(node)?;
            let plan = &self.topology.nodes[node];
            let mut ports = Vec::new();
            for (i, interface) in plan.interfaces.iter().enumerate() {
                let (cable, side) = (interface.cable, interface.side);
                let port = &self.cables[cable].ports[side];
                let ifindex = self.next_port + ports.len() as u32;
                let wire_end = NewInterface {
                    name: &port.name,
                    ifindex,
                    mac: [0x02, 0x68, 0x70, 0, cable as u8, side as u8],
                };
                let node_end = NewInterface {
                    name: &interface.name,
                    ifindex: interface.ifindex,
                    mac: self.mac(node, i),
                };
                let what = || format!("plug a cable into {}", plan.name);
                let veth = rtnetlink::veth(&wire_end, &node_end, &running.ns);
                batch.push(&self.wire_socket, veth, NLM_F_CREATE | NLM_F_EXCL, what());
                ports.push((cable, side, ifindex));
            }
            self.next_port += ports.len() as u32;
            for (cable, side, ifindex) in ports {
                let port = &mut self.cables[cable].ports[side];
                port.ifindex = Some(ifindex);
                port.down = false;
                self.log_port(cable, side, ifindex);
                touched.push(cable);
            }
        }
        batch.run()?;
        touched.sort_unstable();
        touched.dedup();
        self.join(&touched)?;
        self.reapply_impairments(&touched)
    }

    /// Joins the ports of these cables, and drops again what was dropped.
    fn join(&mut self, cables: &[usize]) -> Result<(), LabError> {
        let pairs: Vec<(PortRef, PortRef)> = cables
            .iter()
            .filter_map(|c| {
                let [a, b] = &self.cables[*c].ports;
                Some((a.port_ref()?, b.port_ref()?))
            })
            .collect();
        if pairs.is_empty() {
            return Ok(());
        }
        self.wire_filter
            .join(&pairs.iter().map(|(a, b)| (a, b)).collect::<Vec<_>>())?;
        if cables
            .iter()
            .any(|c| self.blocked(*c, 0) || self.blocked(*c, 1))
        {
            self.apply_blocks(cables)?;
        }
        Ok(())
    }

    /// Whether frames that enter the wire at this end of the cable are dropped.
    pub(super) fn blocked(&self, cable: usize, side: usize) -> bool {
        let silenced = |end: &EndPlan| self.nodes[end.node].silenced;
        let ends = &self.topology.cables[cable].ends;
        self.cables[cable].ports[side].cut || ends.iter().any(silenced)
    }

    /// Updates the wire's filter with what is blocked on these cables, in one
    /// transaction.
    pub(super) fn apply_blocks(&mut self, cables: &[usize]) -> Result<(), LabError> {
        let mut ports = Vec::new();
        for &cable in cables {
            for (side, port) in self.cables[cable].ports.iter().enumerate() {
                if port.ifindex.is_some() {
                    ports.push((port.name.as_str(), self.blocked(cable, side)));
                }
            }
        }
        if ports.is_empty() {
            Ok(())
        } else {
            self.wire_filter.block(&ports)
        }
    }
}
