//! Routers that keep state of connections: what they forget, and when.

use super::effective_at::EffectiveAt;
use super::error::LabError;
use super::filter::{Flow, Tracking};
use super::live::Lab;
use super::pinned;
use super::sysctl;
use super::topology::NodePlan;
use halfopen_net::{Nat, Network, OnForgotten};

/// The state a router keeps, checked.
#[derive(Debug, Clone)]
pub(crate) struct NatPlan {
    /// Its interfaces that lead inside.
    pub inside: Vec<u32>,
    /// Seconds that it remembers a silent connection.
    pub idle_s: u64,
    /// What becomes of packets it knows no connection for.
    pub on_forgotten: OnForgotten,
}

/// Gives the routers of `network` their plans.
pub(super) fn plan(network: &Network, nodes: &mut [NodePlan]) -> Result<(), LabError> {
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
        nodes[index].nat = Some(of(network, nat, &nodes[index])?);
    }
    Ok(())
}

fn of(network: &Network, nat: &Nat, router: &NodePlan) -> Result<NatPlan, LabError> {
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
    })
}

impl NatPlan {
    /// The sysctls that make conntrack behave so.
    fn sysctls(&self) -> [(&'static str, String); 5] {
        let idle = self.idle_s.to_string();
        let loose = u8::from(self.on_forgotten == OnForgotten::Resume);
        [
            (
                "net.netfilter.nf_conntrack_tcp_timeout_established",
                idle.clone(),
            ),
            // Shorter ones for connections whose data nobody acknowledges:
            // one number shall rule.
            (
                "net.netfilter.nf_conntrack_tcp_timeout_max_retrans",
                idle.clone(),
            ),
            (
                "net.netfilter.nf_conntrack_tcp_timeout_unacknowledged",
                idle,
            ),
            ("net.netfilter.nf_conntrack_tcp_loose", loose.to_string()),
            // What vanishes here was forgotten, and did not miss a window.
            ("net.netfilter.nf_conntrack_tcp_be_liberal", "1".to_owned()),
        ]
    }
}

impl Lab {
    /// Starts the connection tracking of these nodes, where it is planned.
    pub(super) fn track(&mut self, nodes: &[usize]) -> Result<(), LabError> {
        for &node in nodes {
            let Some(plan) = self.topology.nodes[node].nat.clone() else {
                continue;
            };
            let ns = &self.running(node)?.ns;
            // The rules first: where conntrack is a module they load it, and
            // with it come the sysctls.
            let tracking = Tracking::start(ns, &plan.inside, plan.on_forgotten)?;
            let wanted = &self.nodes[node].wanted;
            let written = sysctl::on_host(ns, || {
                let mut written = Vec::new();
                for (key, value) in plan.sysctls() {
                    if !wanted.contains_key(key) {
                        sysctl::write(key, &value)?;
                        written.push(pinned::set(key, &value));
                    }
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

    /// The router forgets every connection that it let through.
    ///
    /// # Errors
    /// For a node that the lab does not have, that is down, or that keeps no
    /// state ([`super::LabBuilder::nat`]).
    pub fn forget(&mut self, router: &str) -> Result<EffectiveAt, LabError> {
        let tracking = self.tracking(router)?;
        EffectiveAt::around(|| tracking.forget())
    }

    /// The TCP connections that the router knows, to be told to it again after
    /// a reboot ([`Lab::know`]), as routers do that hand on their state.
    ///
    /// # Errors
    /// As [`Lab::forget`].
    pub fn flows(&mut self, router: &str) -> Result<Vec<Flow>, LabError> {
        self.tracking(router)?.flows()
    }

    /// Tells the router of connections that it does not know.
    ///
    /// # Errors
    /// As [`Lab::forget`], and when it knows one of them already.
    pub fn know(&mut self, router: &str, flows: &[Flow]) -> Result<(), LabError> {
        self.tracking(router)?.know(flows)
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
