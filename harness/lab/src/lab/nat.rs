//! Routers with connection tracking: starting it, forgetting connections, and
//! restoring them.

use std::net::IpAddr;

use super::Lab;
use crate::effective_at::EffectiveAt;
use crate::error::LabError;
use crate::filter::{Flow, Tracking};
use crate::sysctl::{self, pinned};
use halfopen_net::Family;

impl Lab {
    /// Starts the connection tracking of these nodes, where it is planned.
    pub(super) fn track(&mut self, nodes: &[usize]) -> Result<(), LabError> {
        for &node in nodes {
            let Some(plan) = self.topology.nodes[node].nat.clone() else {
                continue;
            };
            let ns = &self.running(node)?.ns;
            // The rules first: where conntrack is a module they load it, and the
            // sysctls exist only then.
            let tracking = Tracking::start(ns, &plan)?;
            let wanted = &self.nodes[node].wanted;
            let written = sysctl::on_host(ns, || {
                let mut values = plan.sysctls();
                let wanted = wanted
                    .iter()
                    .filter(|(key, _)| sysctl::needs_conntrack(key));
                values.extend(wanted.map(|(key, value)| (key.clone(), value.clone())));
                let mut written = Vec::new();
                for (key, value) in values {
                    sysctl::write(&key, &value)?;
                    written.push(pinned::entry(&key, &value));
                }
                Ok(written)
            })?;
            let state = &mut self.nodes[node];
            state.pinned.extend(written);
            if let Some(running) = &mut state.running {
                running.tracking = Some(tracking);
            }
        }
        Ok(())
    }

    /// The router's address outside at which its service is reached
    /// ([`Nat::service`](halfopen_net::Nat::service)); None: it has none.
    ///
    /// # Errors
    /// [`LabError::Unknown`] for a node that the lab does not have.
    pub fn service_address(
        &self,
        router: &str,
        family: Family,
    ) -> Result<Option<IpAddr>, LabError> {
        let nat = &self.topology.nodes[self.topology.node(router)?].nat;
        let services = nat.iter().flat_map(|nat| &nat.services);
        let mut addresses = services.map(|(own, _)| *own);
        Ok(addresses.find(|own| own.is_ipv4() == (family == Family::Ipv4)))
    }

    /// Makes the router forget every connection, as a restart of its connection
    /// tracking does. What it then does with their packets is
    /// [`Nat::on_forgotten`](halfopen_net::Nat::on_forgotten).
    ///
    /// # Errors
    /// [`LabError::Unknown`] for a node that the lab does not have,
    /// [`LabError::Down`] for one that is down, and [`LabError::Plan`] for one
    /// without connection tracking ([`LabBuilder::nat`](crate::LabBuilder::nat)).
    pub fn forget_flows(&mut self, router: &str) -> Result<EffectiveAt, LabError> {
        let tracking = self.tracking(router)?;
        let at = EffectiveAt::around(|| tracking.forget())?;
        Ok(self.log(at, format!("{router} forgets its connections")))
    }

    /// The TCP connections that the router knows now. [`Lab::restore_flows`] gives
    /// them to it again after a reboot, as routers do that hand their state to a
    /// partner (conntrackd(8)).
    ///
    /// # Errors
    /// As [`Lab::forget_flows`].
    pub fn flows(&mut self, router: &str) -> Result<Vec<Flow>, LabError> {
        self.tracking(router)?.flows()
    }

    /// Adds connections to those that the router knows.
    ///
    /// # Errors
    /// As [`Lab::forget_flows`]; [`LabError::Netlink`] with EEXIST when the router
    /// knows one of them already.
    pub fn restore_flows(&mut self, router: &str, flows: &[Flow]) -> Result<(), LabError> {
        self.tracking(router)?.restore(flows)
    }

    fn tracking(&mut self, router: &str) -> Result<&mut Tracking, LabError> {
        let index = self.topology.node(router)?;
        self.running(index)?;
        let running = self.nodes[index].running.as_mut();
        running
            .and_then(|running| running.tracking.as_mut())
            .ok_or_else(|| LabError::Plan(format!("{router} keeps no state of connections")))
    }
}
