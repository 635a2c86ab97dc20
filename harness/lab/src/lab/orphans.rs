//! Sockets that no process holds any more, and the namespaces that they keep.
//!
//! A connection that is closed before its FIN is acknowledged is an orphan in
//! FIN-WAIT-1, and the kernel retransmits the FIN 8 times by default
//! (tcp_orphan_retries()), for about 110 s. Until then it keeps its namespace,
//! which has neither a process nor a cable any more.

use super::Lab;
use crate::sysctl;
use halfopen_net::NodeKind;

/// Read whenever an orphan's retransmission timer fires: with 1 the kernel gives the
/// orphan up within a second.
const KEY: &str = "net.ipv4.tcp_orphan_retries";

impl Lab {
    /// Makes the kernel give up the orphans of a host that has crashed or is about to:
    /// their segments reach no other host.
    pub(super) fn shorten_orphans(&self, node: usize) {
        if let Ok(running) = self.running(node) {
            // When it fails, the namespace is only freed later.
            let _ = sysctl::on_host(&running.ns, || sysctl::write(KEY, "1"));
        }
    }
}

impl Lab {
    /// Ends the lab, but leaves its namespaces open until this process ends. Freeing
    /// one is a third of all work on it (cleanup_net()), which a guest that is about
    /// to end can save.
    #[doc(hidden)]
    pub fn leak_namespaces(self) {
        let running = self.nodes.iter().filter_map(|node| node.running.as_ref());
        for ns in running.map(|running| &running.ns).chain([&self.wire]) {
            std::mem::forget(ns.clone());
        }
    }
}

/// Orphans end soon after the lab, also those of programs that close their sockets
/// after it was dropped.
impl Drop for Lab {
    fn drop(&mut self) {
        for (index, node) in self.topology.nodes.iter().enumerate() {
            if node.kind == NodeKind::Host {
                self.shorten_orphans(index);
            }
            if let Some(host) = &self.nodes[index].host {
                host.go_down();
            }
        }
    }
}
