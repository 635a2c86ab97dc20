//! Interfaces that go down or away, and come back.

use super::effective_at::EffectiveAt;
use super::error::LabError;
use super::live::Lab;
use super::message;
use super::netlink::Batch;
use halfopen_net::InterfaceChange;

impl Lab {
    /// Sets the node's interfaces down, or deletes them, `lo` excepted. The
    /// other ends of its cables keep their carrier.
    ///
    /// # Errors
    /// For a node that the lab does not have, or that is down.
    pub fn interface(
        &mut self,
        node: &str,
        change: InterfaceChange,
    ) -> Result<EffectiveAt, LabError> {
        let index = self.topology.node(node)?;
        match change {
            InterfaceChange::Deleted => EffectiveAt::around(|| self.unplug(index)),
            InterfaceChange::Down => {
                let socket = &self.running(index)?.socket;
                let mut batch = Batch::default();
                for interface in &self.topology.nodes[index].interfaces {
                    let what = format!("set {} of {node} down", interface.name);
                    let message = message::set_link(interface.ifindex, false, None);
                    batch.push(socket, message, 0, what);
                }
                EffectiveAt::around(|| self.netlink.run(batch))
            }
        }
    }

    /// Undoes [`Lab::interface`]: interfaces, addresses and routes as planned.
    /// Returns when the cables carry packets again.
    ///
    /// # Errors
    /// For a node that the lab does not have, or that is down.
    pub fn restore_interface(&mut self, node: &str) -> Result<EffectiveAt, LabError> {
        let index = self.topology.node(node)?;
        self.running(index)?;
        let interfaces = &self.topology.nodes[index].interfaces;
        // A fault deletes all of them or none.
        let deleted = interfaces
            .iter()
            .any(|i| self.cables[i.cable].ports[i.side].ifindex.is_none());
        EffectiveAt::around(|| {
            if deleted {
                self.connect(&[index])?;
            }
            self.configure(&[index])?;
            self.settle(&[index])
        })
    }
}
