//! Building: namespaces, cables, addresses, routes. A reboot takes the same
//! steps for one node.

use std::collections::BTreeMap;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage as Message;

use super::environment::prepare;
use super::error::LabError;
use super::filter::{Filter, PortRef};
use super::impair::Impaired;
use super::live::{CableState, Lab, NodeState, PortState, Running};
use super::message::{self, Born};
use super::namespace::Namespace;
use super::netlink::{Batch, Netlink};
use super::pinned;
use super::sysctl;
use super::topology::{EndPlan, NodePlan, Topology, WIRE};
use halfopen_net::{Family, NodeKind};

impl Lab {
    pub(super) fn construct(
        topology: Topology,
        families: Vec<Family>,
        sysctls: Vec<BTreeMap<String, String>>,
    ) -> Result<Lab, LabError> {
        let netlink = Netlink::new()?;
        // The wire last: writing the hosts' sysctls takes longer than making
        // a namespace, which goes on meanwhile.
        let names = topology.nodes.iter().map(|n| n.name.as_str());
        let mut coming = Namespace::create_all(names.chain(std::iter::once(WIRE)))?;
        let mut next = || {
            coming
                .next()
                .expect("one comes for each that was asked for")
        };

        let mut nodes = Vec::with_capacity(topology.nodes.len());
        for (plan, wanted) in topology.nodes.iter().zip(sysctls) {
            let ns = next()?;
            let pinned = prepare(&ns, plan, &families, &wanted)?;
            let socket = netlink.open(&ns)?;
            nodes.push(NodeState {
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
                refusals: Vec::new(),
                neighbours: Vec::new(),
            });
        }
        let wire = next()?;
        sysctl::on_host(&wire, || sysctl::pin_new(pinned::NO_IPV6.iter()))?;
        let wire_socket = netlink.open(&wire)?;
        let joint = Filter::open(&wire)?;
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
        drop(coming);

        let all: Vec<usize> = (0..nodes.len()).collect();
        let mut lab = Lab {
            topology,
            families,
            wire,
            wire_socket,
            joint,
            nodes,
            cables,
            impaired: Impaired::default(),
            // An index that no host's interface has: only where the two ends of a
            // veth pair differ in it is the coming or going of a carrier noticed at
            // once on every kernel (linkwatch_urgent_event()), and not once a second.
            next_port: 1001,
            netlink,
        };
        lab.connect(&all)?;
        lab.configure(&all)?;
        lab.track(&all)?;
        lab.settle(&all)?;
        Ok(lab)
    }

    /// Makes a namespace for a node that is down, with its sysctls.
    pub(super) fn start(&mut self, node: usize) -> Result<(), LabError> {
        let plan = &self.topology.nodes[node];
        let ns = Namespace::create(&plan.name)?;
        let state = &mut self.nodes[node];
        state.pinned = prepare(&ns, plan, &self.families, &state.wanted)?;
        let socket = self.netlink.open(&ns)?;
        state.running = Some(Running {
            ns,
            socket,
            filter: None,
            tracking: None,
        });
        state.refusals.clear();
        state.neighbours.clear();
        Ok(())
    }

    /// Plugs in every end of a cable at these nodes, and joins the cables in
    /// the wire. The wire's ends are up, the nodes' ends are not yet.
    pub(super) fn connect(&mut self, nodes: &[usize]) -> Result<(), LabError> {
        let mut batch = Batch::default();
        let mut touched = Vec::new();
        for &node in nodes {
            let running = self.running(node)?;
            let plan = &self.topology.nodes[node];
            let mut ports = Vec::new();
            for (i, interface) in plan.interfaces.iter().enumerate() {
                let (cable, side) = (interface.cable, interface.side);
                let port = &self.cables[cable].ports[side];
                let ifindex = self.next_port + ports.len() as u32;
                let wire_end = Born {
                    name: &port.name,
                    ifindex,
                    mac: [0x02, 0x68, 0x70, 0, cable as u8, side as u8],
                };
                let node_end = Born {
                    name: &interface.name,
                    ifindex: interface.ifindex,
                    mac: self.mac(node, i),
                };
                let what = || format!("plug a cable into {}", plan.name);
                let veth = message::veth(&wire_end, &node_end, &running.ns);
                batch.push(&self.wire_socket, veth, NLM_F_CREATE | NLM_F_EXCL, what());
                ports.push((cable, side, ifindex));
            }
            self.next_port += ports.len() as u32;
            for (cable, side, ifindex) in ports {
                let port = &mut self.cables[cable].ports[side];
                port.ifindex = Some(ifindex);
                port.down = false;
                touched.push(cable);
            }
        }
        self.netlink.run(batch)?;
        touched.sort_unstable();
        touched.dedup();
        self.join(&touched)?;
        self.impair_again(&touched)
    }

    /// Joins the ports of these cables, and blocks them again as they were.
    fn join(&mut self, cables: &[usize]) -> Result<(), LabError> {
        let pairs: Vec<(PortRef, PortRef)> = cables
            .iter()
            .filter_map(|c| {
                let [a, b] = &self.cables[*c].ports;
                Some((a.port_ref()?, b.port_ref()?))
            })
            .collect();
        if pairs.is_empty() {
            return Ok(());
        }
        self.joint
            .join(&pairs.iter().map(|(a, b)| (a, b)).collect::<Vec<_>>())?;
        if cables
            .iter()
            .any(|c| self.blocked(*c, 0) || self.blocked(*c, 1))
        {
            self.apply_blocks(cables)?;
        }
        Ok(())
    }

    /// Whether what enters the wire at this end of the cable vanishes.
    pub(super) fn blocked(&self, cable: usize, side: usize) -> bool {
        let silenced = |end: &EndPlan| self.nodes[end.node].silenced;
        let ends = &self.topology.cables[cable].ends;
        self.cables[cable].ports[side].cut || ends.iter().any(silenced)
    }

    /// Tells the wire what is blocked on these cables, in one transaction.
    pub(super) fn apply_blocks(&mut self, cables: &[usize]) -> Result<(), LabError> {
        let mut ports = Vec::new();
        for &cable in cables {
            for (side, port) in self.cables[cable].ports.iter().enumerate() {
                if port.ifindex.is_some() {
                    ports.push((port.name.as_str(), self.blocked(cable, side)));
                }
            }
        }
        if ports.is_empty() {
            Ok(())
        } else {
            self.joint.block(&ports)
        }
    }

    /// Interfaces up, addresses, routes, bridges, and the sysctls that need
    /// an interface. Doing it again repairs what is missing.
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
                let made = message::bridge("br0", bridge);
                push(made, NLM_F_CREATE, "make the bridge");
                for interface in &plan.interfaces {
                    let port = message::set_link(interface.ifindex, true, Some(bridge));
                    push(port, 0, "add a port to the bridge");
                }
                continue;
            }
            push(message::set_link(1, true, None), 0, "set lo up");
            for interface in &plan.interfaces {
                let up = message::set_link(interface.ifindex, true, None);
                push(up, 0, "set an interface up");
                for address in &interface.addresses {
                    let message = message::address(interface.ifindex, *address);
                    let flags = NLM_F_CREATE | NLM_F_REPLACE;
                    push(Message::NewAddress(message), flags, "add an address");
                }
            }
            for route in self.static_routes(node) {
                let message = Message::NewRoute(route.message());
                push(message, NLM_F_CREATE | NLM_F_REPLACE, "add a route");
            }
        }
        self.netlink.run(batch)
    }
}

fn bridge_index(plan: &NodePlan) -> u32 {
    plan.interfaces.len() as u32 + 2
}
