//! Building: namespaces, sysctls, cables, addresses, routes, and knowing when
//! the first packet will arrive. A reboot uses the same steps for one node.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage as Message;
use netlink_packet_route::link::{
    BridgePortState, InfoBridgePort, InfoPortData, LinkAttribute, LinkInfo,
};

use super::error::LabError;
use super::joint_stub::{Filter, PortRef};
use super::live::{CableState, Lab, NodeState, PortState, Running};
use super::message::{self, Born, Route};
use super::namespace::Namespace;
use super::netlink::{Batch, Netlink};
use super::pinned::{self, Pinned};
use super::sysctl;
use super::topology::{EndPlan, NodePlan, Topology, WIRE};
use crate::scenario::case::{Family, NodeKind};
use crate::sys::ethtool::settled_carrier;

/// How long an IPv6 address may take to be heard.
const ADDRESS_LIMIT: Duration = Duration::from_secs(5);

/// How long a bridge port may take to forward. Without spanning tree and with
/// settled carrier it does so at once.
const FORWARDING_LIMIT: Duration = Duration::from_secs(5);

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
        let mut next = || coming.next().expect("one comes for each that was asked for");

        let mut nodes = Vec::with_capacity(topology.nodes.len());
        for (plan, wanted) in topology.nodes.iter().zip(sysctls) {
            let ns = next()?;
            let pinned = prepare(&ns, plan, &families, &wanted)?;
            let socket = netlink.open(&ns)?;
            nodes.push(NodeState {
                running: Some(Running { ns, socket, filter: None }),
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
            .map(|c| CableState { ports: [port(c, 'a'), port(c, 'b')] })
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
            // 1 is `lo`.
            next_port: 2,
            netlink,
        };
        lab.connect(&all)?;
        lab.configure(&all)?;
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
        state.running = Some(Running { ns, socket, filter: None });
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
        self.join(&touched)
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
        self.joint.join(&pairs.iter().map(|(a, b)| (a, b)).collect::<Vec<_>>())?;
        if cables.iter().any(|c| self.blocked(*c, 0) || self.blocked(*c, 1)) {
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
        if ports.is_empty() { Ok(()) } else { self.joint.block(&ports) }
    }

    /// Interfaces up, addresses, routes, bridges, and the sysctls that need
    /// an interface. Doing it again repairs what is missing.
    pub(super) fn configure(&mut self, nodes: &[usize]) -> Result<(), LabError> {
        let mut batch = Batch::default();
        for &node in nodes {
            self.write_interface_sysctls(node)?;
            let running = self.running(node)?;
            let plan = &self.topology.nodes[node];
            let mut push = |message, flags, what: &str| {
                batch.push(&running.socket, message, flags, format!("{what} on {}", plan.name));
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

    /// Waits until every cable at these nodes carries packets.
    ///
    /// A veth that comes up gives its peer carrier, and the peer's queue
    /// starts to work when linkwatch gets to it: until then it swallows
    /// packets. Asking for the carrier by ethtool makes it happen now.
    pub(super) fn settle(&self, nodes: &[usize]) -> Result<(), LabError> {
        let in_wire = |node: &usize| self.topology.nodes[*node].interfaces.iter();
        let ports: Vec<&str> = nodes
            .iter()
            .flat_map(in_wire)
            .flat_map(|i| &self.cables[i.cable].ports)
            .filter(|p| p.ifindex.is_some())
            .map(|p| p.name.as_str())
            .collect();
        settle_interfaces(&self.wire, ports)?;
        for &node in nodes {
            let plan = &self.topology.nodes[node];
            let names = plan.interfaces.iter().map(|i| i.name.as_str());
            settle_interfaces(&self.running(node)?.ns, names)?;
            if plan.has_addresses() && self.families.contains(&Family::Ipv6) {
                self.wait_heard(node)?;
            }
        }
        // A switch next to a node that just came up has a port to wait for.
        for (index, plan) in self.topology.nodes.iter().enumerate() {
            if plan.kind == NodeKind::Switch && self.nodes[index].running.is_some() {
                for interface in &plan.interfaces {
                    let other = self.cables[interface.cable].ports[1 - interface.side].ifindex;
                    let port = &self.cables[interface.cable].ports[interface.side];
                    if other.is_some() && !port.down {
                        self.wait_forwarding(index, interface.ifindex)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Waits until neighbour solicitations for the node's IPv6 addresses are
    /// heard, and it can send some: the kernel joins an address's
    /// solicited-node group on a workqueue, even without duplicate address
    /// detection (addrconf_dad_work()), and a solicitation that came before
    /// would cost its sender a second.
    fn wait_heard(&self, node: usize) -> Result<(), LabError> {
        let ns = &self.running(node)?.ns;
        let plan = &self.topology.nodes[node];
        let what = || format!("see the IPv6 addresses of {} ready", plan.name);
        let mut groups = Vec::new();
        for interface in &plan.interfaces {
            let v6 = interface.addresses.iter().filter_map(|(a, _)| match a {
                std::net::IpAddr::V6(v6) => Some(v6.octets()),
                std::net::IpAddr::V4(_) => None,
            });
            groups.extend(v6.map(|octets| (interface.name.as_str(), octets)));
        }
        let start = Instant::now();
        loop {
            let read = |file| std::fs::read_to_string(format!("/proc/thread-self/net/{file}"));
            let (joined, addresses) = ns
                .enter(|| Ok((read("igmp6")?, read("if_inet6")?)))?
                .map_err(|e: std::io::Error| LabError::system(what(), e))?;
            let ready =
                groups.iter().all(|(interface, a)| is_heard(&joined, &addresses, interface, a));
            if ready {
                return Ok(());
            }
            if start.elapsed() > ADDRESS_LIMIT {
                let e = std::io::Error::from(std::io::ErrorKind::TimedOut);
                return Err(LabError::system(what(), e));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    fn wait_forwarding(&self, switch: usize, ifindex: u32) -> Result<(), LabError> {
        let socket = &self.running(switch)?.socket;
        let what = format!("see a port of {} forward", self.topology.nodes[switch].name);
        let start = Instant::now();
        loop {
            let answers = self.netlink.ask(socket, message::get_link(ifindex), false, &what)?;
            if answers.iter().any(is_forwarding) {
                return Ok(());
            }
            if start.elapsed() > FORWARDING_LIMIT {
                let e = std::io::Error::from(std::io::ErrorKind::TimedOut);
                return Err(LabError::system(what, e));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    fn write_interface_sysctls(&mut self, node: usize) -> Result<(), LabError> {
        let plan = &self.topology.nodes[node];
        if !plan.has_addresses() {
            return Ok(());
        }
        let table = tables(plan, &self.families).filter(|p| sysctl::needs_interface(p.key));
        let mut written = BTreeMap::new();
        sysctl::on_host(&self.running(node)?.ns, || {
            for pinned in table {
                let mut known = true;
                for key in self.spread(node, pinned.key) {
                    known &= sysctl::write_pinned(&key, pinned)?;
                }
                if known {
                    written.insert(pinned.key.to_owned(), pinned.value.to_owned());
                }
            }
            for (key, value) in &self.nodes[node].wanted {
                if sysctl::needs_interface(key) {
                    for key in self.spread(node, key) {
                        sysctl::write(&key, value)?;
                    }
                    written.insert(key.clone(), value.clone());
                }
            }
            Ok(())
        })?;
        self.nodes[node].pinned.append(&mut written);
        Ok(())
    }

    /// The routes by way of routers, as planned.
    pub(super) fn static_routes(&self, node: usize) -> Vec<Route> {
        let plan = &self.topology.nodes[node];
        let mut routes = Vec::new();
        for route in &plan.routes {
            // The interface on whose segment the router is.
            let on_link = self.connected_routes(node).into_iter().find(|c| covers(c, route.via));
            if let Some(link) = on_link {
                routes.push(Route {
                    destination: route.destination,
                    via: Some(route.via),
                    ifindex: link.ifindex,
                    source: link.source,
                });
            }
        }
        routes
    }

    /// The routes that the kernel makes for the addresses.
    pub(super) fn connected_routes(&self, node: usize) -> Vec<Route> {
        let interfaces = &self.topology.nodes[node].interfaces;
        let of = |ifindex| {
            move |(address, length): &(std::net::IpAddr, u8)| Route {
                destination: (network_of(*address, *length), *length),
                via: None,
                ifindex,
                source: *address,
            }
        };
        interfaces.iter().flat_map(|i| i.addresses.iter().map(of(i.ifindex))).collect()
    }
}

/// Whether the route's destination contains the address.
pub(super) fn covers(route: &Route, address: std::net::IpAddr) -> bool {
    let (network, length) = route.destination;
    network.is_ipv4() == address.is_ipv4() && network_of(address, length) == network
}

fn network_of(address: std::net::IpAddr, length: u8) -> std::net::IpAddr {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    let length = u32::from(length);
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}

fn bridge_index(plan: &NodePlan) -> u32 {
    plan.interfaces.len() as u32 + 2
}

/// Whether the address's solicited-node group (RFC 4291, 2.7.1) is joined,
/// and the interface has a link-local address to solicit from, by the text of
/// /proc/net/igmp6 (index, interface, group, ...) and /proc/net/if_inet6
/// (address, index, length, scope, flags, interface).
fn is_heard(joined: &str, addresses: &str, interface: &str, address: &[u8; 16]) -> bool {
    let [.., a, b, c] = address;
    let group = format!("ff0200000000000000000001ff{a:02x}{b:02x}{c:02x}");
    let has_group = joined.lines().any(|line| {
        let mut words = line.split_whitespace().skip(1);
        words.next() == Some(interface) && words.next() == Some(&group)
    });
    let has_link_local = addresses.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let flags = words.get(4).and_then(|f| u32::from_str_radix(f, 16).ok());
        line.starts_with("fe80")
            && words.get(5) == Some(&interface)
            && flags.is_some_and(|f| f & libc::IFA_F_TENTATIVE == 0)
    });
    has_group && has_link_local
}

fn is_forwarding(message: &Message) -> bool {
    let Message::NewLink(link) = message else {
        return false;
    };
    let infos = link.attributes.iter().filter_map(|a| match a {
        LinkAttribute::LinkInfo(infos) => Some(infos),
        _ => None,
    });
    infos.flatten().any(|info| match info {
        LinkInfo::PortData(InfoPortData::BridgePort(port)) => {
            port.contains(&InfoBridgePort::State(BridgePortState::Forwarding))
        }
        _ => false,
    })
}

fn settle_interfaces<'a>(
    ns: &Namespace,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<(), LabError> {
    let failed = |e| LabError::system(format!("settle the carrier of {}", ns.name()), e);
    ns.enter(|| {
        // Any socket will do for this ioctl; a switch has no IP address, but
        // binding to none is always possible.
        let socket = UdpSocket::bind((std::net::Ipv4Addr::UNSPECIFIED, 0))?;
        names.into_iter().try_for_each(|name| settled_carrier(&socket, name).map(drop))
    })?
    .map_err(failed)
}

/// The pinned sysctls of a node of this kind, in the order to write them.
fn tables(plan: &NodePlan, families: &[Family]) -> impl Iterator<Item = &'static Pinned> + use<> {
    let ip = plan.has_addresses();
    let router = plan.kind == NodeKind::Router;
    let v4 = ip && families.contains(&Family::Ipv4);
    let v6 = ip && families.contains(&Family::Ipv6);
    let table = |wanted: bool, table: &'static [Pinned]| if wanted { table } else { &[] };
    let chosen = [
        table(!v6, pinned::NO_IPV6),
        table(v4 && router, pinned::FORWARD_IPV4),
        table(v6 && router, pinned::FORWARD_IPV6),
        table(ip, pinned::TCP),
        table(v4, pinned::IPV4),
        table(v6, pinned::IPV6),
    ];
    chosen.into_iter().flatten()
}

/// Writes the sysctls of a new namespace that need no interface. Before any
/// link: an interface copies `conf.default` when it is born.
fn prepare(
    ns: &Namespace,
    plan: &NodePlan,
    families: &[Family],
    wanted: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, LabError> {
    sysctl::on_host(ns, || {
        let mut written = sysctl::pin_new(tables(plan, families))?;
        for (key, value) in wanted.iter().filter(|(key, _)| !sysctl::needs_interface(key)) {
            sysctl::write(key, value)?;
            written.insert(key.clone(), value.clone());
        }
        Ok(written)
    })
}
