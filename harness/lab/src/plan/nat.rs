//! The connection tracking of NAT routers, checked and planned.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::topology::{NatPlan, NodePlan};
use crate::error::LabError;
use halfopen_net::{Nat, Network, OnForgotten};

/// Plans the connection tracking of the routers of `network`.
pub(super) fn plan_routers(network: &Network, nodes: &mut [NodePlan]) -> Result<(), LabError> {
    for nat in &network.nats {
        let known = || nodes.iter().map(|n| n.name.clone()).collect();
        let index = nodes
            .iter()
            .position(|n| n.name == nat.router)
            .ok_or_else(|| LabError::Unknown {
                kind: "router",
                name: nat.router.clone(),
                known: known(),
            })?;
        let mut plan = plan_router(network, nat, &nodes[index])?;
        if let Some(host) = &nat.service {
            let inside = nodes.iter().find(|n| n.name == *host);
            let inside = inside.filter(|_| nat.is_inside(network, host));
            let host = inside.ok_or_else(|| {
                LabError::Plan(format!("{host} is no host inside of {}", nat.router))
            })?;
            plan.services = services(&nodes[index], &plan.inside, host);
        }
        nodes[index].nat = Some(plan);
    }
    Ok(())
}

fn plan_router(network: &Network, nat: &Nat, router: &NodePlan) -> Result<NatPlan, LabError> {
    let neighbours = nat.inside_neighbours(network);
    let inside: Vec<u32> = router
        .interfaces
        .iter()
        .filter(|interface| {
            let (a, b) = &network.cables[interface.cable];
            let far = if interface.side == 0 { b } else { a };
            neighbours.contains(&far.as_str())
        })
        .map(|interface| interface.ifindex)
        .collect();
    if inside.is_empty() || inside.len() == router.interfaces.len() {
        return Err(LabError::Plan(format!(
            "{} must have cables that lead inside, and others",
            router.name
        )));
    }
    if nat.idle.as_secs() == 0 {
        return Err(LabError::Plan(format!(
            "{} would forget a connection at once: at least a second",
            router.name
        )));
    }
    Ok(NatPlan {
        inside,
        idle_s: nat.idle.as_secs(),
        on_forgotten: nat.on_forgotten,
        timeouts_s: nat
            .timeouts
            .iter()
            .map(|(state, time)| (state.sysctl(), time.as_secs()))
            .collect(),
        services: Vec::new(),
    })
}

/// The addresses of a router outside, each with that of the host inside that a
/// connection to it is translated to.
fn services(router: &NodePlan, inside: &[u32], host: &NodePlan) -> Vec<(IpAddr, IpAddr)> {
    let targets = || host.interfaces.iter().flat_map(|i| &i.addresses);
    let outside = router
        .interfaces
        .iter()
        .filter(|i| !inside.contains(&i.ifindex));
    outside
        .flat_map(|interface| &interface.addresses)
        .filter_map(|(own, _)| {
            let (target, _) = targets().find(|(target, _)| target.is_ipv4() == own.is_ipv4())?;
            Some((*own, *target))
        })
        .collect()
}

impl NatPlan {
    /// The sysctls that make conntrack behave as planned.
    pub fn sysctls(&self) -> BTreeMap<String, String> {
        let idle = self.idle_s.to_string();
        let loose = u8::from(self.on_forgotten == OnForgotten::Resume);
        let key = |name: &str| format!("net.netfilter.nf_conntrack_tcp_{name}");
        let mut sysctls = BTreeMap::from([
            (key("timeout_established"), idle.clone()),
            // Two timeouts that are shorter by default, for connections whose data
            // nobody acknowledges: `idle` is to be the only one.
            (key("timeout_max_retrans"), idle.clone()),
            (key("timeout_unacknowledged"), idle),
            (key("loose"), loose.to_string()),
            // Packets are to be dropped because their connection was forgotten, and
            // not because they missed a window (tcp_in_window()).
            (key("be_liberal"), "1".to_owned()),
        ]);
        let given = self.timeouts_s.iter();
        sysctls.extend(given.map(|(key, seconds)| (key.clone(), seconds.to_string())));
        sysctls
    }
}
