//! A machine that dies without a word, and comes back.

use super::effective_at::EffectiveAt;
use super::error::LabError;
use super::live::Lab;
use super::message;
use super::netlink::Batch;

impl Lab {
    /// From here on nothing passes any cable of the node, either way. Its
    /// neighbours keep their carrier. This is the moment of a crash.
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

    /// The node loses power: silence first, then death. No FIN and no RST
    /// passes the wire. Returns the moment of silence.
    ///
    /// `kill` must end the processes on the node; it is called once, after
    /// the silence and after the node's links are gone, and also when taking
    /// the links away failed. Sockets that linger in the dead namespace (a
    /// closing connection is in FIN-WAIT-1 for minutes) have nothing to send
    /// through.
    ///
    /// # Errors
    /// For a node that the lab does not have or that is down already.
    pub fn crash(&mut self, node: &str, kill: &mut dyn FnMut()) -> Result<EffectiveAt, LabError> {
        let index = self.topology.node(node)?;
        self.running(index)?;
        let took = self.set_silence(index, true)?;
        // The links first: an orphan in FIN-WAIT-1 would keep the namespace,
        // and with it its end of the cable, for as long as it retransmits.
        let unplugged = self.unplug(index);
        kill();
        self.let_orphans_go(index);
        unplugged?;
        self.nodes[index].refusals.clear();
        self.nodes[index].neighbours.clear();
        if let Some(running) = self.nodes[index].running.take() {
            self.netlink.close(running.socket)?;
        }
        Ok(took)
    }

    /// Deletes the node's interfaces, and with them their ports of the wire.
    pub(super) fn unplug(&mut self, node: usize) -> Result<(), LabError> {
        let running = self.running(node)?;
        let plan = &self.topology.nodes[node];
        let mut batch = Batch::default();
        for interface in &plan.interfaces {
            let what = format!("delete {} of {}", interface.name, plan.name);
            let message = message::delete_link(interface.ifindex);
            // ENODEV: an earlier fault deleted it.
            batch.push_tolerant(&running.socket, message, 0, what, &[libc::ENODEV]);
        }
        self.netlink.run(batch)?;
        for interface in &self.topology.nodes[node].interfaces {
            self.cables[interface.cable].ports[interface.side].ifindex = None;
        }
        Ok(())
    }

    /// The crashed node comes back, with the same addresses, sysctls and
    /// routes, and none of the connections. With `same_mac` it is the same
    /// machine; without, another one that took its place, and neighbours with
    /// a stale entry send to a MAC that nobody has.
    ///
    /// Returns when its cables carry packets. A cable that is cut stays cut.
    ///
    /// # Errors
    /// For a node that the lab does not have or that is not down.
    pub fn host_up(&mut self, node: &str, same_mac: bool) -> Result<EffectiveAt, LabError> {
        self.boot(node, same_mac)?;
        self.end_silence(node)
    }

    /// The first half of [`Lab::host_up`]: the node is there again, programs
    /// can be started on it, but nothing passes its cables until
    /// [`Lab::end_silence`]. So the moment at which it is back does not depend
    /// on how long it took to build.
    ///
    /// # Errors
    /// For a node that the lab does not have or that is not down.
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
