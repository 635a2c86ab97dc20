//! A node that loses power, and boots again.

use super::Lab;
use crate::effective_at::EffectiveAt;
use crate::error::LabError;
use crate::netlink::route::Batch;
use crate::netlink::rtnetlink;

impl Lab {
    /// Drops everything on all cables of the node, in both directions, from now
    /// on. Its neighbours keep their carrier. [`Lab::crash`] begins with it.
    ///
    /// # Errors
    /// [`LabError::Unknown`] for a node that the lab does not have.
    pub fn silence(&mut self, node: &str) -> Result<EffectiveAt, LabError> {
        let node = self.topology.node(node)?;
        self.set_silence(node, true)
    }

    /// Undoes [`Lab::silence`]. A cable that is cut stays cut.
    ///
    /// # Errors
    /// [`LabError::Unknown`] for a node that the lab does not have.
    pub fn end_silence(&mut self, node: &str) -> Result<EffectiveAt, LabError> {
        let node = self.topology.node(node)?;
        self.set_silence(node, false)
    }

    fn set_silence(&mut self, node: usize, silenced: bool) -> Result<EffectiveAt, LabError> {
        self.nodes[node].silenced = silenced;
        let cables: Vec<usize> = self.topology.nodes[node]
            .interfaces
            .iter()
            .map(|i| i.cable)
            .collect();
        EffectiveAt::around(|| self.apply_blocks(&cables))
    }

    /// Crashes the node, as by a loss of power: first everything on its cables is
    /// dropped, then its processes end, so that no FIN and no RST passes the wire.
    /// Returns the moment from which everything is dropped.
    ///
    /// `kill` must end the processes on the node, or close the sockets that the
    /// calling program has there. It is called once, after the node's interfaces
    /// were deleted, and also when deleting them failed. Sockets that remain in the
    /// namespace (a closing connection is in FIN-WAIT-1 for minutes) have no
    /// interface to send through.
    ///
    /// # Errors
    /// [`LabError::Unknown`] for a node that the lab does not have,
    /// [`LabError::Down`] for one that is down already.
    pub fn crash(&mut self, node: &str, kill: &mut dyn FnMut()) -> Result<EffectiveAt, LabError> {
        let index = self.topology.node(node)?;
        self.running(index)?;
        let silent_at = self.set_silence(index, true)?;
        // Before the processes end: an orphan in FIN-WAIT-1 keeps the namespace,
        // and with it its end of the cable, for as long as it retransmits.
        let unplugged = self.unplug(index);
        kill();
        self.shorten_orphans(index);
        unplugged?;
        self.nodes[index].error_routes.clear();
        self.nodes[index].neighbours.clear();
        // The node's netlink socket would keep the namespace alive.
        self.nodes[index].running = None;
        Ok(silent_at)
    }

    /// Deletes the node's interfaces, and with them their ports of the wire.
    pub(super) fn unplug(&mut self, node: usize) -> Result<(), LabError> {
        let running = self.running(node)?;
        let plan = &self.topology.nodes[node];
        let mut batch = Batch::default();
        for interface in &plan.interfaces {
            let what = format!("delete {} of {}", interface.name, plan.name);
            let message = rtnetlink::delete_link(interface.ifindex);
            // ENODEV: an earlier fault deleted it.
            batch.push_tolerant(&running.socket, message, 0, what, &[libc::ENODEV]);
        }
        batch.run()?;
        for interface in &self.topology.nodes[node].interfaces {
            self.cables[interface.cable].ports[interface.side].ifindex = None;
        }
        Ok(())
    }

    /// Boots the crashed node again, with the same addresses, sysctls and routes,
    /// and without its connections. With `same_mac` it is the same machine; without,
    /// another one with the same addresses: neighbours whose entry is not yet stale
    /// send to a MAC address that no machine has.
    ///
    /// Returns when its cables carry packets. A cable that is cut stays cut.
    ///
    /// # Errors
    /// [`LabError::Unknown`] for a node that the lab does not have,
    /// [`LabError::Plan`] for one that is not down.
    pub fn host_up(&mut self, node: &str, same_mac: bool) -> Result<EffectiveAt, LabError> {
        self.boot(node, same_mac)?;
        self.end_silence(node)
    }

    /// The first half of [`Lab::host_up`]: the node exists again and programs can
    /// be started on it, but nothing passes its cables until
    /// [`Lab::end_silence`]. So the moment at which it is reachable does not depend
    /// on how long it took to build.
    ///
    /// # Errors
    /// As [`Lab::host_up`].
    pub fn boot(&mut self, node: &str, same_mac: bool) -> Result<EffectiveAt, LabError> {
        let index = self.topology.node(node)?;
        if self.nodes[index].running.is_some() {
            return Err(LabError::Plan(format!("{node} is up already")));
        }
        if !same_mac {
            let generation = &mut self.nodes[index].generation;
            *generation = generation.wrapping_add(1);
        }
        EffectiveAt::around(|| {
            self.start(index)?;
            self.connect(&[index])?;
            self.configure(&[index])?;
            self.track(&[index])?;
            self.settle(&[index])
        })
    }
}
