//! The floor: the lab's network by nothing but system calls. Two hosts and the
//! wire between them, a veth pair each, joined by nft `fwd`; addresses; up.
//! No sysctl is pinned, nothing is checked, nothing can be taken apart again.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};

use halfopen_sys::ethtool::settled_carrier;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::SockProtocol;

use super::message::{Body, CREATE, Messages, open};

pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 1);
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 2);

// linux/if_link.h, linux/veth.h.
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;

/// The network, up. Gone when dropped.
pub struct Floor {
    pub client: File,
    pub server: File,
    /// Sockets that would otherwise be closed while time still counts as `up`.
    _sockets: [OwnedFd; 4],
    _wire: File,
}

/// One end of a veth pair.
struct End<'a> {
    name: &'a str,
    index: u32,
}

impl Floor {
    /// Leaves the calling thread in the wire's namespace.
    pub fn up() -> io::Result<Floor> {
        let (client, client_socket) = namespace()?;
        let (server, server_socket) = namespace()?;
        let (wire, wire_socket) = namespace()?;
        let netfilter = open(SockProtocol::NetlinkNetFilter)?;

        let (a, b) = (End::of("wa", 2), End::of("wb", 3));
        let mut cables = Messages::default();
        for (end, host) in [(&a, &client), (&b, &server)] {
            veth(&mut cables, end, host);
        }
        cables.run(&wire_socket)?;
        join(&a, &b).run(&netfilter)?;
        for (socket, address) in [(&client_socket, CLIENT), (&server_socket, SERVER)] {
            let mut host = Messages::default();
            host.push(libc::RTM_NEWLINK, 0, &link(1, true), |_| ());
            host.push(libc::RTM_NEWLINK, 0, &link(2, true), |_| ());
            host.push(libc::RTM_NEWADDR, CREATE, &address_header(), |m| {
                m.bytes(libc::IFA_LOCAL, &address.octets());
                m.bytes(libc::IFA_ADDRESS, &address.octets());
            });
            host.run(socket)?;
        }
        // Otherwise the first packet is lost, and the connection takes a second.
        settle(&["wa", "wb"])?;
        for host in [&client, &server] {
            inside(host, &wire, || settle(&["eth0"]))?;
        }
        Ok(Floor {
            client,
            server,
            _sockets: [client_socket, server_socket, wire_socket, netfilter],
            _wire: wire,
        })
    }
}

impl<'a> End<'a> {
    fn of(name: &'a str, index: u32) -> Self {
        End { name, index }
    }
}

/// Runs `f` in a namespace and returns to `origin`.
pub fn inside<R>(
    namespace: &File,
    origin: &File,
    f: impl FnOnce() -> io::Result<R>,
) -> io::Result<R> {
    setns(namespace, CloneFlags::CLONE_NEWNET)?;
    let result = f();
    setns(origin, CloneFlags::CLONE_NEWNET)?;
    result
}

/// Has the carrier of interfaces here take effect, by one ioctl each.
fn settle(interfaces: &[&str]) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    interfaces
        .iter()
        .try_for_each(|name| settled_carrier(&socket, name).map(drop))
}

/// Where the calling thread is.
pub fn here() -> io::Result<File> {
    File::open("/proc/thread-self/ns/net")
}

/// A new namespace, with the calling thread in it.
fn namespace() -> io::Result<(File, OwnedFd)> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    Ok((here()?, open(SockProtocol::NetlinkRoute)?))
}

/// struct ifinfomsg.
fn link(index: u32, up: bool) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    let flags = if up { libc::IFF_UP as u32 } else { 0 };
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&flags.to_ne_bytes());
    header
}

/// struct ifaddrmsg: the host's interface, /24.
fn address_header() -> [u8; 8] {
    let mut header = [libc::AF_INET as u8, 24, 0, 0, 0, 0, 0, 0];
    header[4..].copy_from_slice(&2u32.to_ne_bytes());
    header
}

fn veth(messages: &mut Messages, end: &End, host: &File) {
    messages.push(libc::RTM_NEWLINK, CREATE, &link(end.index, true), |m| {
        m.string(libc::IFLA_IFNAME, end.name);
        m.nest(IFLA_LINKINFO, |m| {
            m.string(INFO_KIND, "veth");
            m.nest(INFO_DATA, |m| {
                m.nest(VETH_INFO_PEER, |m| {
                    m.raw(&link(2, false));
                    m.string(libc::IFLA_IFNAME, "eth0");
                    m.bytes(IFLA_NET_NS_FD, &host.as_raw_fd().to_ne_bytes());
                });
            });
        });
    });
}

/// A transaction: table netdev t; per port a chain at its ingress whose only
/// rule is `fwd to` the other (linux/netfilter/nf_tables.h).
fn join(a: &End, b: &End) -> Messages {
    let mut messages = Messages::default();
    let header = [libc::NFPROTO_NETDEV as u8, 0, 0, 0];
    let limit = [0, 0, 0, libc::NFNL_SUBSYS_NFTABLES as u8];
    let kind = |message: i32| ((libc::NFNL_SUBSYS_NFTABLES << 8) | message) as u16;
    let create = libc::NLM_F_CREATE as u16;
    messages.silent(libc::NFNL_MSG_BATCH_BEGIN as u16, 0, &limit, |_| ());
    messages.silent(kind(libc::NFT_MSG_NEWTABLE), create, &header, |m| {
        m.string(1, "t");
    });
    for (from, to, last) in [(a, b, false), (b, a, true)] {
        messages.silent(kind(libc::NFT_MSG_NEWCHAIN), create, &header, |m| {
            m.string(1, "t");
            m.string(3, from.name);
            m.string(7, "filter");
            m.nest(4, |m| {
                m.be32(1, libc::NF_NETDEV_INGRESS as u32);
                m.be32(2, 0);
                m.string(3, from.name);
            });
        });
        let flags = create | libc::NLM_F_APPEND as u16;
        let rule = |m: &mut Body| {
            m.string(1, "t");
            m.string(2, from.name);
            m.nest(4, |m| {
                expression(m, "immediate", |m| {
                    m.be32(1, 1);
                    m.nest(2, |m| m.bytes(1, &to.index.to_ne_bytes()));
                });
                expression(m, "fwd", |m| m.be32(1, 1));
            });
        };
        let kind = kind(libc::NFT_MSG_NEWRULE);
        if last {
            // Answered after the commit.
            messages.push(kind, flags, &header, rule);
        } else {
            messages.silent(kind, flags, &header, rule);
        }
    }
    messages.silent(libc::NFNL_MSG_BATCH_END as u16, 0, &limit, |_| ());
    messages
}

fn expression(m: &mut Body, name: &str, data: impl FnOnce(&mut Body)) {
    m.nest(1, |m| {
        m.string(1, name);
        m.nest(2, data);
    });
}
