//! Waiting until a first packet sent now arrives.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use netlink_packet_route::RouteNetlinkMessage as Message;
use netlink_packet_route::link::{
    BridgePortState, InfoBridgePort, InfoPortData, LinkAttribute, LinkInfo,
};

use super::Lab;
use crate::error::LabError;
use crate::namespace::Namespace;
use crate::netlink::rtnetlink;
use halfopen_net::{Family, NodeKind};
use halfopen_sys::ethtool::settled_carrier;

/// How long an IPv6 address may take until it answers solicitations. Its work waits for
/// rtnl_lock(), which cleanup_net() of many other namespaces may hold for seconds.
const ADDRESS_LIMIT: Duration = Duration::from_secs(60);

/// How long a bridge port may take to forward. Without spanning tree and with
/// settled carrier it does so at once, when the lock is free.
const FORWARDING_LIMIT: Duration = Duration::from_secs(60);

impl Lab {
    /// Waits until every cable at these nodes carries packets.
    ///
    /// A veth that is set up gives its peer carrier, and the peer's queueing
    /// discipline is attached when linkwatch handles that (linkwatch_do_dev());
    /// until then packets are dropped. Reading the carrier by ethtool makes
    /// linkwatch handle it now.
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
                self.wait_solicitable(node)?;
            }
        }
        // A switch next to a node that was just built has a port to wait for.
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

    /// Waits until the node receives neighbour solicitations for its IPv6 addresses
    /// and can send some: the kernel joins an address's solicited-node group on a
    /// workqueue, also without duplicate address detection (addrconf_dad_work()),
    /// and an earlier solicitation would be lost and repeated after a second.
    fn wait_solicitable(&self, node: usize) -> Result<(), LabError> {
        let mut groups = Vec::new();
        for interface in &self.topology.nodes[node].interfaces {
            let v6 = interface.addresses.iter().filter_map(|(a, _)| match a {
                IpAddr::V6(v6) => Some(v6.octets()),
                IpAddr::V4(_) => None,
            });
            groups.extend(v6.map(|octets| (interface.name.as_str(), octets)));
        }
        self.wait_joined(node, &groups)
    }

    /// Waits until these interfaces receive solicitations for these addresses.
    pub(super) fn wait_joined(
        &self,
        node: usize,
        groups: &[(&str, [u8; 16])],
    ) -> Result<(), LabError> {
        let ns = &self.running(node)?.ns;
        let name = &self.topology.nodes[node].name;
        let what = || format!("see the IPv6 addresses of {name} ready");
        let start = Instant::now();
        // Reading takes longer than a short pause, so pauses grow.
        let mut pause = Duration::from_micros(200);
        loop {
            let read = |file| std::fs::read_to_string(format!("/proc/thread-self/net/{file}"));
            let (joined, addresses) = ns
                .enter(|| Ok((read("igmp6")?, read("if_inet6")?)))?
                .map_err(|e: std::io::Error| LabError::system(what(), e))?;
            let ready = groups
                .iter()
                .all(|(interface, a)| is_solicitable(&joined, &addresses, interface, a));
            if ready {
                return Ok(());
            }
            if start.elapsed() > ADDRESS_LIMIT {
                let e = std::io::Error::from(std::io::ErrorKind::TimedOut);
                return Err(LabError::system(what(), e));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(1));
        }
    }

    fn wait_forwarding(&self, switch: usize, ifindex: u32) -> Result<(), LabError> {
        let socket = &self.running(switch)?.socket;
        let what = format!("see a port of {} forward", self.topology.nodes[switch].name);
        let start = Instant::now();
        loop {
            let answers = socket.ask(rtnetlink::get_link(ifindex), false, &what)?;
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
}

/// Whether the address's solicited-node group (RFC 4291, 2.7.1) is joined,
/// and the interface has a link-local address to solicit from, by the text of
/// /proc/net/igmp6 (index, interface, group, ...) and /proc/net/if_inet6
/// (address, index, length, scope, flags, interface).
fn is_solicitable(joined: &str, addresses: &str, interface: &str, address: &[u8; 16]) -> bool {
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

/// Waits until the carrier of these interfaces is settled.
pub(super) fn settle_interfaces<'a>(
    ns: &Namespace,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<(), LabError> {
    let failed = |e| LabError::system(format!("settle the carrier of {}", ns.name()), e);
    ns.enter(|| {
        // The ioctl needs any socket of the namespace; binding to the unspecified
        // address needs no address, which a switch has not.
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        names
            .into_iter()
            .try_for_each(|name| settled_carrier(&socket, name).map(drop))
    })?
    .map_err(failed)
}
