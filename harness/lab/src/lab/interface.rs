//! Interfaces that are set down or deleted, and restored.

use super::Lab;
use crate::effective_at::EffectiveAt;
use crate::error::LabError;
use crate::netlink::route::Batch;
use crate::netlink::rtnetlink;
use halfopen_net::InterfaceChange;

impl Lab {
    /// Sets all interfaces of the node down, or deletes them, `lo` excepted. The
    /// other ends of its cables keep their carrier.
    ///
    /// # Errors
    /// [`LabError::Unknown`] for a node that the lab does not have,
    /// [`LabError::Down`] for one that is down.
    pub fn interface(
        &mut self,
        node: &str,
        change: InterfaceChange,
    ) -> Result<EffectiveAt, LabError> {
        let index = self.topology.node(node)?;
        let at = match change {
            InterfaceChange::Deleted => EffectiveAt::around(|| self.unplug(index))?,
            InterfaceChange::Down => {
                let socket = &self.running(index)?.socket;
                let mut batch = Batch::default();
                for interface in &self.topology.nodes[index].interfaces {
                    let what = format!("set {} of {node} down", interface.name);
                    let message = rtnetlink::set_link(interface.ifindex, false, None);
                    batch.push(socket, message, 0, what);
                }
                EffectiveAt::around(|| batch.run())?
            }
        };
        Ok(self.log(at, format!("interfaces of {node}: {change:?}")))
    }

    /// Undoes [`Lab::interface`]: the node has its interfaces, addresses and routes
    /// again. Returns when its cables carry packets.
    ///
    /// # Errors
    /// As [`Lab::interface`].
    pub fn restore_interface(&mut self, node: &str) -> Result<EffectiveAt, LabError> {
        let index = self.topology.node(node)?;
        self.running(index)?;
        let interfaces = &self.topology.nodes[index].interfaces;
        // Lab::interface() deletes all of them or none.
        let deleted = interfaces
            .iter()
            .any(|i| self.cables[i.cable].ports[i.side].ifindex.is_none());
        let at = EffectiveAt::around(|| {
            if deleted {
                self.connect(&[index])?;
            }
            self.configure(&[index])?;
            self.settle(&[index])
        })?;
        Ok(self.log(at, format!("restore the interfaces of {node}")))
    }
}
