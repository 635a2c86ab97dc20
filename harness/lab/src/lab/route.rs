//! Routes and addresses that are removed or replaced, and restored.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage as Message;
use netlink_packet_route::route::RouteType;

use super::{Lab, is_of};
use crate::effective_at::EffectiveAt;
use crate::error::LabError;
use crate::netlink::route::Batch;
use crate::netlink::rtnetlink;
use crate::plan::{Route, covers};
use halfopen_net::{Family, RouteChange};

impl Lab {
    /// Changes the node's routes of one family (ip-route(8)).
    ///
    /// With `to`: [`RouteChange::Removed`] removes the route that leads to that
    /// node's addresses, which other destinations may use, too; every other change
    /// adds a route for exactly those addresses, which takes precedence. Without
    /// `to`: every route of the node, the connected ones and the default.
    ///
    /// # Errors
    /// [`LabError::Unknown`] for nodes that the lab does not have,
    /// [`LabError::Down`] for one that is down, [`LabError::Plan`] when no planned
    /// route leads there.
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
        let mut error_routes = Vec::new();
        let mut batch = Batch::default();
        let socket = &self.running(index)?.socket;
        let what = || format!("change a route of {node}");
        match kind {
            None => {
                for route in routes {
                    let message = Message::DelRoute(rtnetlink::route_deletion(&route));
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
                    let error_route = rtnetlink::error_route(destination, kind);
                    let message = Message::NewRoute(error_route.clone());
                    batch.push(socket, message, NLM_F_CREATE | NLM_F_REPLACE, what());
                    error_routes.push(error_route);
                }
            }
        }
        let effective_at = EffectiveAt::around(|| batch.run())?;
        self.nodes[index].error_routes.extend(error_routes);
        let to = to.unwrap_or("anywhere");
        Ok(self.log(effective_at, format!("route of {node} to {to}: {change:?}")))
    }

    /// Undoes every [`Lab::route`] of the node: it has its planned routes, and no
    /// others.
    ///
    /// # Errors
    /// [`LabError::Unknown`] for a node that the lab does not have,
    /// [`LabError::Down`] for one that is down.
    pub fn restore_routes(&mut self, node: &str) -> Result<EffectiveAt, LabError> {
        let index = self.topology.node(node)?;
        self.running(index)?;
        let error_routes = std::mem::take(&mut self.nodes[index].error_routes);
        let mut batch = Batch::default();
        let socket = &self.running(index)?.socket;
        self.push_routes(&mut batch, index)?;
        for error_route in error_routes {
            // ESRCH: the planned IPv4 route has just replaced it. The type must
            // match, so a planned route to the same destination stays.
            let what = format!("remove a route of {node}");
            let message = Message::DelRoute(error_route);
            batch.push_tolerant(socket, message, 0, what, &[libc::ESRCH]);
        }
        let at = EffectiveAt::around(|| batch.run())?;
        Ok(self.log(at, format!("restore the routes of {node}")))
    }

    /// Removes the node's addresses of one family; the kernel removes the routes that
    /// use them. IPv6 link-local addresses stay.
    ///
    /// # Errors
    /// As [`Lab::restore_routes`].
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
                let message = rtnetlink::address(interface.ifindex, *address);
                let what = format!("remove {} from {node}", address.0);
                let gone = &[libc::EADDRNOTAVAIL];
                batch.push_tolerant(socket, Message::DelAddress(message), 0, what, gone);
            }
        }
        let at = EffectiveAt::around(|| batch.run())?;
        Ok(self.log(at, format!("remove the addresses of {node}")))
    }

    /// Undoes [`Lab::remove_addresses`], and adds the planned routes again. Returns
    /// when the addresses can be reached.
    ///
    /// # Errors
    /// As [`Lab::restore_routes`].
    pub fn restore_addresses(&mut self, node: &str) -> Result<EffectiveAt, LabError> {
        let index = self.topology.node(node)?;
        let at = EffectiveAt::around(|| {
            self.configure(&[index])?;
            self.settle(&[index])
        })?;
        Ok(self.log(at, format!("restore the addresses of {node}")))
    }

    /// Adds every planned route to the batch.
    fn push_routes(&self, batch: &mut Batch, node: usize) -> Result<(), LabError> {
        let socket = &self.running(node)?.socket;
        for route in self
            .topology
            .connected_routes(node)
            .into_iter()
            .chain(self.topology.static_routes(node))
        {
            let message = Message::NewRoute(rtnetlink::route(&route));
            batch.push(
                socket,
                message,
                NLM_F_CREATE | NLM_F_REPLACE,
                "put a route back",
            );
        }
        Ok(())
    }

    /// The planned routes of this family: all, or the one with the longest prefix for
    /// each target.
    fn routes_to(&self, node: usize, to: Option<&[IpAddr]>, family: Family) -> Vec<Route> {
        let mut all = self.topology.connected_routes(node);
        all.extend(self.topology.static_routes(node));
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

/// The prefix length of a single address.
fn host_length(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}
