//! Routes and addresses that go, and come back.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage as Message;
use netlink_packet_route::route::RouteType;

use super::effective_at::EffectiveAt;
use super::error::LabError;
use super::live::{Lab, is_of};
use super::message::{self, Route};
use super::netlink::Batch;
use super::planned::covers;
use halfopen_net::{Family, RouteChange};

impl Lab {
    /// Changes the node's routes of one family.
    ///
    /// With `to`: [`RouteChange::Removed`] removes the route that leads to
    /// that node's addresses (others may use it, too); every other change
    /// adds a route for exactly those addresses, which wins. Without `to`:
    /// every route of the node, the connected ones and the default.
    ///
    /// # Errors
    /// For nodes that the lab does not have, and when no route leads there.
    pub fn route(
        &mut self,
        node: &str,
        change: RouteChange,
        to: Option<&str>,
        family: Family,
    ) -> Result<EffectiveAt, LabError> {
        let index = self.topology.node(node)?;
        let targets: Option<Vec<IpAddr>> = match to {
            Some(to) => {
                let all = self.addresses(to)?;
                Some(all.into_iter().filter(|a| is_of(*a, family)).collect())
            }
            None => None,
        };
        let routes = self.routes_to(index, targets.as_deref(), family);
        if routes.is_empty() {
            return Err(LabError::Plan(format!(
                "{node} has no {family:?} route to {}",
                to.unwrap_or("anywhere")
            )));
        }
        let kind = match change {
            RouteChange::Removed => None,
            RouteChange::Unreachable => Some(RouteType::Unreachable),
            RouteChange::Prohibit => Some(RouteType::Prohibit),
            RouteChange::Blackhole => Some(RouteType::BlackHole),
        };
        let mut refusals = Vec::new();
        let mut batch = Batch::default();
        let socket = &self.running(index)?.socket;
        let what = || format!("change a route of {node}");
        match kind {
            None => {
                for route in routes {
                    let message = Message::DelRoute(route.deletion());
                    // ESRCH: an earlier fault removed it.
                    batch.push_tolerant(socket, message, 0, what(), &[libc::ESRCH]);
                }
            }
            Some(kind) => {
                let destinations: Vec<(IpAddr, u8)> = match targets {
                    Some(to) => to.into_iter().map(|a| (a, host_length(a))).collect(),
                    None => routes.iter().map(|r| r.destination).collect(),
                };
                for destination in destinations {
                    let refusal = message::refusal(destination, kind);
                    let message = Message::NewRoute(refusal.clone());
                    batch.push(socket, message, NLM_F_CREATE | NLM_F_REPLACE, what());
                    refusals.push(refusal);
                }
            }
        }
        let took = EffectiveAt::around(|| self.netlink.run(batch))?;
        self.nodes[index].refusals.extend(refusals);
        Ok(took)
    }

    /// Undoes every [`Lab::route`] of the node: its planned routes, and no others.
    ///
    /// # Errors
    /// For a node that the lab does not have, or that is down.
    pub fn restore_routes(&mut self, node: &str) -> Result<EffectiveAt, LabError> {
        let index = self.topology.node(node)?;
        self.running(index)?;
        let refusals = std::mem::take(&mut self.nodes[index].refusals);
        let mut batch = Batch::default();
        let socket = &self.running(index)?.socket;
        self.push_routes(&mut batch, index)?;
        for refusal in refusals {
            // ESRCH: the planned IPv4 route has just replaced it. The refusal's
            // type must match, so a planned route to the same destination stays.
            let what = format!("remove a route of {node}");
            let message = Message::DelRoute(refusal);
            batch.push_tolerant(socket, message, 0, what, &[libc::ESRCH]);
        }
        EffectiveAt::around(|| self.netlink.run(batch))
    }

    /// Removes the node's addresses of one family, and with them the routes
    /// that use them. IPv6 link-local addresses stay.
    ///
    /// # Errors
    /// For a node that the lab does not have, or that is down.
    pub fn remove_addresses(
        &mut self,
        node: &str,
        family: Family,
    ) -> Result<EffectiveAt, LabError> {
        let index = self.topology.node(node)?;
        let socket = &self.running(index)?.socket;
        let mut batch = Batch::default();
        for interface in &self.topology.nodes[index].interfaces {
            for address in interface
                .addresses
                .iter()
                .filter(|(a, _)| is_of(*a, family))
            {
                let message = message::address(interface.ifindex, *address);
                let what = format!("remove {} from {node}", address.0);
                let gone = &[libc::EADDRNOTAVAIL];
                batch.push_tolerant(socket, Message::DelAddress(message), 0, what, gone);
            }
        }
        EffectiveAt::around(|| self.netlink.run(batch))
    }

    /// Undoes [`Lab::remove_addresses`], and puts the planned routes back.
    /// Returns when the addresses can be reached.
    ///
    /// # Errors
    /// For a node that the lab does not have, or that is down.
    pub fn restore_addresses(&mut self, node: &str) -> Result<EffectiveAt, LabError> {
        let index = self.topology.node(node)?;
        EffectiveAt::around(|| {
            self.configure(&[index])?;
            self.settle(&[index])
        })
    }

    /// Puts every planned route into the batch.
    fn push_routes(&self, batch: &mut Batch, node: usize) -> Result<(), LabError> {
        let socket = &self.running(node)?.socket;
        for route in self
            .connected_routes(node)
            .into_iter()
            .chain(self.static_routes(node))
        {
            let message = Message::NewRoute(route.message());
            batch.push(
                socket,
                message,
                NLM_F_CREATE | NLM_F_REPLACE,
                "put a route back",
            );
        }
        Ok(())
    }

    /// The planned routes of this family: all, or the best one to each target.
    fn routes_to(&self, node: usize, to: Option<&[IpAddr]>, family: Family) -> Vec<Route> {
        let mut all = self.connected_routes(node);
        all.extend(self.static_routes(node));
        all.retain(|r| is_of(r.destination.0, family));
        let Some(targets) = to else {
            return all;
        };
        let mut chosen: Vec<Route> = Vec::new();
        for target in targets {
            let best = all
                .iter()
                .filter(|r| covers(r, *target))
                .max_by_key(|r| r.destination.1);
            if let Some(best) = best
                && !chosen.contains(best)
            {
                chosen.push(best.clone());
            }
        }
        chosen
    }
}

/// A prefix length that means one address.
fn host_length(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}
