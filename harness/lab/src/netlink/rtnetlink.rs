//! The rtnetlink messages of a lab: links, addresses, routes, neighbours. Pure.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd};

use netlink_packet_route::AddressFamily;
use netlink_packet_route::RouteNetlinkMessage as Message;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{
    BridgeStpState, InfoBridge, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo,
    LinkMessage,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};

use crate::namespace::Namespace;
use crate::plan::Route;

/// A hardware address.
pub(crate) type Mac = [u8; 6];

/// One interface of a new pair.
pub(crate) struct NewInterface<'a> {
    pub name: &'a str,
    pub ifindex: u32,
    pub mac: Mac,
}

/// Creates a veth pair: `wire` in the namespace that the message is sent in, and
/// up; `host` in `namespace`, and down: with IFF_UP the message fails (ENOTCONN,
/// veth_open() finds no peer yet).
pub(crate) fn veth(wire: &NewInterface, host: &NewInterface, namespace: &Namespace) -> Message {
    let mut peer = new_interface(host);
    peer.attributes
        .push(LinkAttribute::NetNsFd(namespace.as_fd().as_raw_fd()));
    let mut link = new_interface(wire);
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up;
    link.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
    ]));
    Message::NewLink(link)
}

fn new_interface(interface: &NewInterface) -> LinkMessage {
    let mut link = by_index(interface.ifindex);
    link.attributes
        .push(LinkAttribute::IfName(interface.name.to_owned()));
    link.attributes
        .push(LinkAttribute::Address(interface.mac.to_vec()));
    // One queue each way, so that all machines are alike: the default is one per
    // processor.
    link.attributes.push(LinkAttribute::NumTxQueues(1));
    link.attributes.push(LinkAttribute::NumRxQueues(1));
    link
}

fn by_index(ifindex: u32) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.header.index = ifindex;
    link
}

/// A learning bridge that is up, forwards at once and floods multicast.
pub(crate) fn bridge(name: &str, ifindex: u32) -> Message {
    let mut link = by_index(ifindex);
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up;
    link.attributes.push(LinkAttribute::IfName(name.to_owned()));
    link.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Bridge),
        LinkInfo::Data(InfoData::Bridge(vec![
            InfoBridge::StpState(BridgeStpState::Disabled),
            InfoBridge::ForwardDelay(0),
            InfoBridge::MulticastSnooping(false),
        ])),
    ]));
    Message::NewLink(link)
}

/// Sets an interface up or down, and makes it a port of a bridge.
pub(crate) fn set_link(ifindex: u32, up: bool, bridge: Option<u32>) -> Message {
    let mut link = by_index(ifindex);
    link.header.flags = if up {
        LinkFlags::Up
    } else {
        LinkFlags::empty()
    };
    link.header.change_mask = LinkFlags::Up;
    link.attributes
        .extend(bridge.map(LinkAttribute::Controller));
    Message::SetLink(link)
}

/// Deletes an interface, and its peer.
pub(crate) fn delete_link(ifindex: u32) -> Message {
    Message::DelLink(by_index(ifindex))
}

/// Asks for the state of an interface.
pub(crate) fn get_link(ifindex: u32) -> Message {
    Message::GetLink(by_index(ifindex))
}

/// An address on an interface; IPv6 without duplicate address detection.
pub(crate) fn address(ifindex: u32, (address, length): (IpAddr, u8)) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(address);
    message.header.prefix_len = length;
    message.header.index = ifindex;
    message.attributes.push(AddressAttribute::Address(address));
    match address {
        IpAddr::V4(v4) => {
            message.attributes.push(AddressAttribute::Local(address));
            let host_bits = u32::MAX.checked_shr(u32::from(length)).unwrap_or(0);
            let broadcast = Ipv4Addr::from_bits(v4.to_bits() | host_bits);
            message
                .attributes
                .push(AddressAttribute::Broadcast(broadcast));
        }
        IpAddr::V6(_) => {
            message
                .attributes
                .push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
    }
    message
}

/// The metric under which the kernel itself puts IPv6 routes of addresses
/// (IP6_RT_PRIO_ADDRCONF).
const PREFIX_METRIC: u32 = 256;

/// A route as the kernel makes it for an address, or a static one.
pub(crate) fn route(planned: &Route) -> RouteMessage {
    let mut route = route_to(planned.destination);
    route.header.kind = RouteType::Unicast;
    route.attributes.push(RouteAttribute::Oif(planned.ifindex));
    match planned.via {
        Some(via) => {
            route.header.protocol = RouteProtocol::Static;
            route
                .attributes
                .push(RouteAttribute::Gateway(RouteAddress::from(via)));
        }
        None => {
            route.header.protocol = RouteProtocol::Kernel;
            if planned.source.is_ipv4() {
                route.header.scope = RouteScope::Link;
                let source = RouteAddress::from(planned.source);
                route.attributes.push(RouteAttribute::PrefSource(source));
            } else {
                route
                    .attributes
                    .push(RouteAttribute::Priority(PREFIX_METRIC));
            }
        }
    }
    route
}

/// Matches this route whatever its scope and protocol, to delete it.
pub(crate) fn route_deletion(planned: &Route) -> RouteMessage {
    let mut route = route_to(planned.destination);
    route.header.kind = RouteType::Unspec;
    route.header.scope = RouteScope::NoWhere;
    route.attributes.push(RouteAttribute::Oif(planned.ifindex));
    route
}
/// A route of type unreachable, prohibit or blackhole. Over IPv6 its metric is
/// below every other route's; IPv4 routes of a lab have no metric.
pub(crate) fn error_route(destination: (IpAddr, u8), kind: RouteType) -> RouteMessage {
    let mut route = route_to(destination);
    route.header.kind = kind;
    route.header.protocol = RouteProtocol::Static;
    if destination.0.is_ipv6() {
        route.attributes.push(RouteAttribute::Priority(1));
    }
    route
}

fn route_to(destination: (IpAddr, u8)) -> RouteMessage {
    let mut route = RouteMessage::default();
    route.header.address_family = family(destination.0);
    route.header.destination_prefix_length = destination.1;
    route.header.table = RouteHeader::RT_TABLE_MAIN;
    route.header.scope = RouteScope::Universe;
    if destination.1 > 0 {
        route
            .attributes
            .push(RouteAttribute::Destination(destination.0.into()));
    }
    route
}

/// A permanent neighbour entry; without a MAC, one to be deleted.
pub(crate) fn neighbour(ifindex: u32, address: IpAddr, mac: Option<Mac>) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family(address);
    message.header.ifindex = ifindex;
    message.header.state = NeighbourState::Permanent;
    message
        .attributes
        .push(NeighbourAttribute::Destination(match address {
            IpAddr::V4(v4) => NeighbourAddress::Inet(v4),
            IpAddr::V6(v6) => NeighbourAddress::Inet6(v6),
        }));
    message
        .attributes
        .extend(mac.map(|mac| NeighbourAttribute::LinkLayerAddress(mac.to_vec())));
    message
}

fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}
