//! Sockets that nobody holds any more, and the namespaces they hold.
//!
//! A connection that is closed before its FIN is acknowledged is an orphan in
//! FIN_WAIT1, and the kernel goes on sending the FIN: 8 times by default
//! (tcp_orphan_retries()), for about 110 s. Until then it keeps its namespace,
//! although there is no process in it and no cable.

use super::live::Lab;
use super::sysctl;
use halfopen_net::NodeKind;

/// Read whenever an orphan's timer fires: with 1 it goes within a second.
const KEY: &str = "net.ipv4.tcp_orphan_retries";

impl Lab {
    /// Lets the orphans of a host go that is dead, or about to be: nobody can
    /// hear them.
    pub(super) fn let_orphans_go(&self, node: usize) {
        if let Ok(running) = self.running(node) {
            // The host is gone either way; without this its namespace only
            // goes later.
            let _ = sysctl::on_host(&running.ns, || sysctl::write(KEY, "1"));
        }
    }
}

impl Lab {
    /// Ends it, but leaves its namespaces to the end of this process: taking one
    /// apart is a third of the work of having one (cleanup_net()), to no end where
    /// the kernel itself ends soon.
    #[doc(hidden)]
    pub fn leave_standing(self) {
        let running = self.nodes.iter().filter_map(|node| node.running.as_ref());
        for ns in running.map(|running| &running.ns).chain([&self.wire]) {
            std::mem::forget(ns.clone());
        }
    }
}

/// What is left in the hosts dies with the lab: sockets of programs that end
/// after it, too.
impl Drop for Lab {
    fn drop(&mut self) {
        for (index, node) in self.topology.nodes.iter().enumerate() {
            if node.kind == NodeKind::Host {
                self.let_orphans_go(index);
            }
        }
    }
}
