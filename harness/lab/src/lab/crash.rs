//! A node that loses power, and boots again.

use super::Lab;
use crate::effective_at::EffectiveAt;
use crate::error::LabError;
use crate::host::{HostState, signal_processes};
use crate::namespace::Namespace;
use crate::netlink::route::Batch;
use crate::netlink::rtnetlink;
use nix::sys::signal::Signal;

impl Lab {
    /// Drops everything on all cables of the node, in both directions, from now
    /// on. Its neighbours keep their carrier. [`Lab::crash`] begins with it.
    ///
    /// # Errors
    /// [`LabError::Unknown`] for a node that the lab does not have.
    pub fn silence(&mut self, node: &str) -> Result<EffectiveAt, LabError> {
        let at = self.set_silence(self.topology.node(node)?, true)?;
        Ok(self.log(at, format!("silence {node}")))
    }

    /// Undoes [`Lab::silence`]. A cable that is cut stays cut.
    ///
    /// # Errors
    /// [`LabError::Unknown`] for a node that the lab does not have.
    pub fn end_silence(&mut self, node: &str) -> Result<EffectiveAt, LabError> {
        let at = self.set_silence(self.topology.node(node)?, false)?;
        Ok(self.log(at, format!("{node} is reachable")))
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
    /// dropped, then all that runs there ends, so that no FIN and no RST passes the wire.
    /// Returns the moment from which everything is dropped.
    ///
    /// What ends: processes that were started there, by [`Host::command`](crate::Host) or
    /// within [`Lab::enter`], are killed; tasks of [`Host::spawn`](crate::Host) are
    /// dropped; sockets that this process has there are destroyed, so that a thread that
    /// waits for one gets ECONNABORTED (SOCK_DESTROY of sock_diag(7), tcp_abort()).
    ///
    /// # Errors
    /// [`LabError::Unknown`] for a node that the lab does not have,
    /// [`LabError::Down`] for one that is down already, [`LabError::Unsupported`] on a
    /// kernel that cannot destroy sockets; the node is down then, too.
    pub fn crash(&mut self, node: &str) -> Result<EffectiveAt, LabError> {
        self.power_off(node, &mut HostState::end_sockets_and_processes)
    }

    /// As [`Lab::crash`] for a program that ends what it has on the node by itself:
    /// `kill` must end the processes there, or close the sockets that the calling program
    /// has there. It is called once, after the node's interfaces were deleted, and also
    /// when deleting them failed. Sockets that remain in the namespace (a closing
    /// connection is in FIN-WAIT-1 for minutes) have no interface to send through.
    ///
    /// # Errors
    /// [`LabError::Unknown`] for a node that the lab does not have,
    /// [`LabError::Down`] for one that is down already.
    pub fn crash_with(
        &mut self,
        node: &str,
        kill: &mut dyn FnMut(),
    ) -> Result<EffectiveAt, LabError> {
        self.power_off(node, &mut |_| {
            kill();
            Ok(())
        })
    }

    /// Crashes the node and boots it again at once: [`Lab::crash`], then
    /// [`Lab::host_up`] with the same MAC addresses. What ran there has to be started
    /// again. Returns the moment from which it is reachable.
    ///
    /// # Errors
    /// As [`Lab::crash`].
    pub fn reboot(&mut self, node: &str) -> Result<EffectiveAt, LabError> {
        self.crash(node)?;
        self.host_up(node, true)
    }

    /// Stops what runs on the node, as SIGSTOP does: its kernel goes on acknowledging
    /// data and answering keepalive probes. Processes there are stopped, and the tasks
    /// of [`Host::spawn`](crate::Host); other threads of this process are not.
    ///
    /// # Errors
    /// [`LabError::Unknown`] for a node that the lab does not have,
    /// [`LabError::Down`] for one that is down.
    pub fn freeze(&mut self, node: &str) -> Result<(), LabError> {
        self.set_frozen(node, true)
    }

    /// Undoes [`Lab::freeze`].
    ///
    /// # Errors
    /// As [`Lab::freeze`].
    pub fn thaw(&mut self, node: &str) -> Result<(), LabError> {
        self.set_frozen(node, false)
    }

    fn set_frozen(&mut self, node: &str, frozen: bool) -> Result<(), LabError> {
        let index = self.topology.node(node)?;
        let number = self.running(index)?.ns.inode()?;
        let signal = if frozen {
            Signal::SIGSTOP
        } else {
            Signal::SIGCONT
        };
        signal_processes(number, signal);
        if let Some(host) = &self.nodes[index].host {
            host.freeze(frozen);
        }
        let what = if frozen { "freeze" } else { "thaw" };
        self.log_now(format!("{what} {node}"));
        Ok(())
    }

    fn power_off(
        &mut self,
        node: &str,
        end: &mut dyn FnMut(&Namespace) -> Result<(), LabError>,
    ) -> Result<EffectiveAt, LabError> {
        let index = self.topology.node(node)?;
        let namespace = self.running(index)?.ns.clone();
        let silent_at = self.set_silence(index, true)?;
        self.log(silent_at, format!("crash {node}"));
        // Before the processes end: an orphan in FIN-WAIT-1 keeps the namespace,
        // and with it its end of the cable, for as long as it retransmits.
        let unplugged = self.unplug(index);
        if let Some(host) = &self.nodes[index].host {
            host.go_down();
        }
        let ended = end(&namespace);
        drop(namespace);
        self.shorten_orphans(index);
        unplugged?;
        self.nodes[index].error_routes.clear();
        self.nodes[index].neighbours.clear();
        // The node's netlink socket would keep the namespace alive.
        self.nodes[index].running = None;
        ended.map(|()| silent_at)
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
        let at = EffectiveAt::around(|| {
            self.start(index)?;
            self.connect(&[index])?;
            self.configure(&[index])?;
            self.track(&[index])?;
            self.settle(&[index])
        })?;
        Ok(self.log(at, format!("boot {node}")))
    }
}
