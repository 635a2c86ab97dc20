//! Building a lab: namespaces, cables, addresses, routes. A reboot takes the same
//! steps for one node.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage as Message;

use super::environment::prepare;
use super::impaired::Impaired;
use super::{CableState, Lab, NodeState, PortState, Running};
use crate::error::LabError;
use crate::filter::Filter;
use crate::host::HostState;
use crate::namespace::Namespace;
use crate::netlink::route::{Batch, RouteSocket};
use crate::netlink::rtnetlink;
use crate::plan::{NodePlan, Topology, WIRE};
use crate::sysctl::{self, pinned};
use halfopen_net::{Family, NodeKind};

impl Lab {
    /// Builds what is planned. `sysctls` are those that the user set, node by node.
    pub(crate) fn construct(
        topology: Topology,
        families: Vec<Family>,
        sysctls: Vec<BTreeMap<String, String>>,
    ) -> Result<Lab, LabError> {
        // The wire last: writing a host's sysctls takes longer than creating the
        // next namespace, which happens at the same time.
        let names = topology.nodes.iter().map(|n| n.name.as_str());
        let mut pending = Namespace::create_all(names.chain(std::iter::once(WIRE)))?;
        let mut next = || pending.next().expect("one for each name");

        let names = hosts_file(&topology);
        let mut nodes = Vec::with_capacity(topology.nodes.len());
        for (plan, wanted) in topology.nodes.iter().zip(sysctls) {
            let ns = next()?;
            let pinned = prepare(&ns, plan, &families, &wanted)?;
            let socket = RouteSocket::open(&ns)?;
            let address = plan.interfaces.iter().flat_map(|i| &i.addresses).next();
            let host = address.map(|(address, _)| {
                HostState::new(&plan.name, *address, names.clone(), ns.clone())
            });
            nodes.push(NodeState {
                host: host.map(Arc::new),
                running: Some(Running {
                    ns,
                    socket,
                    filter: None,
                    tracking: None,
                }),
                wanted,
                pinned,
                generation: 0,
                silenced: false,
                error_routes: Vec::new(),
                neighbours: Vec::new(),
            });
        }
        let wire = next()?;
        sysctl::on_host(&wire, || sysctl::pin_new(pinned::NO_IPV6.iter()))?;
        let wire_socket = RouteSocket::open(&wire)?;
        let wire_filter = Filter::open(&wire)?;
        let port = |cable: usize, side: char| PortState {
            name: format!("w{cable}{side}"),
            ifindex: None,
            cut: false,
            down: false,
        };
        let cables = (0..topology.cables.len())
            .map(|c| CableState {
                ports: [port(c, 'a'), port(c, 'b')],
            })
            .collect();
        drop(pending);

        let all: Vec<usize> = (0..nodes.len()).collect();
        let mut lab = Lab {
            topology,
            families,
            wire,
            wire_socket,
            wire_filter,
            nodes,
            cables,
            impaired: Impaired::default(),
            // An index that no host's interface has: some kernels handle a change of
            // carrier at once only where the indexes of a veth pair differ, and once
            // a second otherwise (linkwatch_urgent_event()).
            next_port: 1001,
            log: Arc::default(),
        };
        lab.wire_filter.set_note(lab.filter_note(WIRE));
        lab.connect(&all)?;
        lab.configure(&all)?;
        lab.track(&all)?;
        lab.settle(&all)?;
        Ok(lab)
    }

    /// Creates the namespace of a node that is down, with its sysctls.
    pub(super) fn start(&mut self, node: usize) -> Result<(), LabError> {
        let plan = &self.topology.nodes[node];
        let ns = Namespace::create(&plan.name)?;
        let state = &mut self.nodes[node];
        state.pinned = prepare(&ns, plan, &self.families, &state.wanted)?;
        let socket = RouteSocket::open(&ns)?;
        if let Some(host) = &state.host {
            host.boot(ns.clone());
        }
        state.running = Some(Running {
            ns,
            socket,
            filter: None,
            tracking: None,
        });
        state.error_routes.clear();
        state.neighbours.clear();
        Ok(())
    }

    /// Sets interfaces up, adds addresses, routes and bridges, and writes the sysctls
    /// that need an interface. Running it again adds what is missing.
    pub(super) fn configure(&mut self, nodes: &[usize]) -> Result<(), LabError> {
        let mut batch = Batch::default();
        for &node in nodes {
            self.write_interface_sysctls(node, &mut batch)?;
            let running = self.running(node)?;
            let plan = &self.topology.nodes[node];
            let mut push = |message, flags, what: &str| {
                batch.push(
                    &running.socket,
                    message,
                    flags,
                    format!("{what} on {}", plan.name),
                );
            };
            if plan.kind == NodeKind::Switch {
                let bridge = bridge_index(plan);
                let made = rtnetlink::bridge("br0", bridge);
                push(made, NLM_F_CREATE, "make the bridge");
                for interface in &plan.interfaces {
                    let port = rtnetlink::set_link(interface.ifindex, true, Some(bridge));
                    push(port, 0, "add a port to the bridge");
                }
                continue;
            }
            push(rtnetlink::set_link(1, true, None), 0, "set lo up");
            for interface in &plan.interfaces {
                let up = rtnetlink::set_link(interface.ifindex, true, None);
                push(up, 0, "set an interface up");
                for address in &interface.addresses {
                    let message = rtnetlink::address(interface.ifindex, *address);
                    let flags = NLM_F_CREATE | NLM_F_REPLACE;
                    push(Message::NewAddress(message), flags, "add an address");
                }
            }
            for route in self.topology.static_routes(node) {
                let message = Message::NewRoute(rtnetlink::route(&route));
                push(message, NLM_F_CREATE | NLM_F_REPLACE, "add a route");
            }
        }
        batch.run()
    }
}

fn bridge_index(plan: &NodePlan) -> u32 {
    plan.interfaces.len() as u32 + 2
}

/// What /etc/hosts has on each host: every node by its name.
fn hosts_file(topology: &Topology) -> Vec<u8> {
    let mut text = "127.0.0.1 localhost\n::1 localhost\n".to_owned();
    for node in &topology.nodes {
        for (address, _) in node.interfaces.iter().flat_map(|i| &i.addresses) {
            let _ = writeln!(text, "{address} {}", node.name);
        }
    }
    text.into_bytes()
}
