//! A small lab for the tests: two hosts and a wire between them, or two hosts
//! and a router.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_sys::protocols::NETLINK_ROUTE;

use super::super::{Filter, PortRef};
use crate::namespace::Namespace;
use crate::netlink::message::{Attributes, Purpose};
use crate::netlink::socket::NetlinkSocket;

pub const ADDRESSES: [[&str; 2]; 2] = [["10.9.0.1", "10.9.0.2"], ["fd09::1", "fd09::2"]];
pub const IPV4: usize = 0;
pub const IPV6: usize = 1;
pub const PORT: u16 = 7000;
/// Longer than anything on a veth takes, on a busy machine, too.
pub const SOON: Duration = Duration::from_secs(20);
/// How long nothing comes before nothing is waited for any more.
const SILENCE: Duration = Duration::from_millis(300);

/// Two hosts; their devices `a` and `b` lead to `pa` and `pb` in the wire.
pub struct Lab {
    pub a: Namespace,
    pub wire: Namespace,
    pub b: Namespace,
    pub filter: Filter,
    pub pa: PortRef,
    pub pb: PortRef,
}

pub fn namespace(name: &str) -> Namespace {
    Namespace::create(name).unwrap_or_else(|e| {
        panic!("this test needs root or a user namespace: run it by ci/test: {e}")
    })
}

impl Lab {
    /// Up and addressed; the ports are not joined yet.
    pub fn unjoined() -> Lab {
        let (a, wire, b) = (namespace("a"), namespace("wire"), namespace("b"));
        let filter = Filter::open(&wire).expect("nftables is here");
        for (side, host, port) in [(0, (&a, "a"), "pa"), (1, (&b, "b"), "pb")] {
            host_veth(host, (&wire, port), side);
        }
        let (pa, pb) = (port(&wire, "pa"), port(&wire, "pb"));
        Lab {
            a,
            wire,
            b,
            filter,
            pa,
            pb,
        }
    }

    pub fn joined() -> Lab {
        let mut lab = Lab::unjoined();
        lab.filter.join(&[(&lab.pa, &lab.pb)]).expect("joins");
        lab
    }

    pub fn listener(&self, family: usize) -> TcpListener {
        listen(&self.b, ADDRESSES[family][1])
    }

    /// connect() from `a` to `b`.
    pub fn connect(&self, family: usize, port: u16, patience: Duration) -> io::Result<TcpStream> {
        connect(&self.a, ADDRESSES[family][1], port, patience)
    }

    /// UDP from `a` to `b`: sends so many datagrams, returns which arrived.
    pub fn datagrams(&self, count: u32) -> Vec<u32> {
        let open = |ns: &Namespace, address: &str| {
            let bound = ns
                .enter(|| UdpSocket::bind((address, PORT)))
                .expect("enters");
            bound.expect("binds")
        };
        let from = open(&self.a, ADDRESSES[IPV4][0]);
        let to = open(&self.b, ADDRESSES[IPV4][1]);
        let mut arrived = Vec::new();
        let drain = |arrived: &mut Vec<u32>, silence: Duration| {
            to.set_read_timeout(Some(silence)).expect("is not 0");
            let mut bytes = [0; 4];
            while to.recv(&mut bytes).is_ok() {
                arrived.push(u32::from_be_bytes(bytes));
            }
        };
        for number in 0..count {
            from.send_to(&number.to_be_bytes(), (ADDRESSES[IPV4][1], PORT))
                .expect("sends");
            if number == 0 {
                // ARP has to be asked first.
                std::thread::sleep(Duration::from_millis(20));
            }
            if number % 64 == 0 {
                // Softirqs run on this CPU before send() returns, but for
                // what a busy ksoftirqd took over.
                drain(&mut arrived, Duration::from_millis(2));
            }
        }
        drain(&mut arrived, SILENCE);
        arrived
    }
}

pub fn listen(ns: &Namespace, address: &str) -> TcpListener {
    ns.enter(|| TcpListener::bind((address, PORT)))
        .expect("enters")
        .expect("binds")
}

pub fn connect(
    ns: &Namespace,
    address: &str,
    port: u16,
    patience: Duration,
) -> io::Result<TcpStream> {
    let address: IpAddr = address.parse().expect("is an address");
    let to = SocketAddr::from((address, port));
    ns.enter(|| TcpStream::connect_timeout(&to, patience))
        .expect("enters")
}

/// Makes (again) a host's veth: down at first, then addressed and up.
pub fn host_veth(host: (&Namespace, &str), port: (&Namespace, &str), side: usize) {
    veth(host, port);
    address(host.0, host.1, ADDRESSES[IPV4][side], 24);
    address(host.0, host.1, ADDRESSES[IPV6][side], 64);
    up(port.0, port.1);
    up(host.0, host.1);
    hears_solicitations(host.0, side);
}

/// A host joins its IPv6 address's solicited-node group in a kernel worker
/// (addrconf_dad_work(), without DAD too). A solicitation that comes earlier is
/// lost and asked again after a second.
fn hears_solicitations(ns: &Namespace, side: usize) {
    let group = ["1ff000001", "1ff000002"][side];
    let deadline = Instant::now() + Duration::from_secs(5);
    let joined = || {
        let groups = ns.enter(|| std::fs::read_to_string("/proc/thread-self/net/igmp6"));
        groups
            .expect("enters")
            .expect("is readable")
            .contains(group)
    };
    while !joined() {
        assert!(
            Instant::now() < deadline,
            "{} does not join {group}",
            ns.name()
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A port, ready to send. The end of a veth that was set up first gets carrier
/// when the other one follows, and its queue from a kernel worker some time
/// later: until then it drops what it should send. RTM_GETLINK waits for that
/// (linkwatch_sync_dev() in rtnl_getlink()).
pub fn port(ns: &Namespace, name: &str) -> PortRef {
    let mut socket = route_socket(ns);
    let mut messages = socket.start();
    let purpose = Purpose {
        what: format!("look at {name}"),
        needs: "",
    };
    messages.push(libc::RTM_GETLINK, 0, &[0; 16], purpose, |a| {
        a.string(libc::IFLA_IFNAME, name)
    });
    messages.acknowledge_newest();
    let mut ifindex = 0;
    socket
        .exchange(&messages, |link| {
            ifindex = u32::from_ne_bytes(link[4..8].try_into().expect("is 4 bytes"));
        })
        .expect("there is a device");
    PortRef {
        name: name.to_owned(),
        ifindex,
    }
}

fn route_socket(ns: &Namespace) -> NetlinkSocket {
    ns.enter(|| NetlinkSocket::open(NETLINK_ROUTE))
        .expect("enters")
        .expect("opens")
}

pub fn index(ns: &Namespace, name: &str) -> u32 {
    ns.enter(|| nix::net::if_::if_nametoindex(name))
        .expect("enters")
        .expect("there is a device")
}

pub fn veth((ns, name): (&Namespace, &str), (peer_ns, peer): (&Namespace, &str)) {
    request(
        ns,
        libc::RTM_NEWLINK,
        NLM_F_CREATE | NLM_F_EXCL,
        &[0; 16],
        |a| {
            a.string(libc::IFLA_IFNAME, name);
            a.nest(libc::IFLA_LINKINFO, |a| {
                a.string(libc::IFLA_INFO_KIND, "veth");
                a.nest(libc::IFLA_INFO_DATA, |a| {
                    // VETH_INFO_PEER: a struct ifinfomsg and its attributes.
                    a.nest(1, |a| {
                        a.raw(&[0; 16]);
                        a.string(libc::IFLA_IFNAME, peer);
                        a.ne32(libc::IFLA_NET_NS_FD, peer_ns.as_fd().as_raw_fd() as u32);
                    });
                });
            });
        },
    );
}

pub fn delete(ns: &Namespace, name: &str) {
    request(ns, libc::RTM_DELLINK, 0, &[0; 16], |a| {
        a.string(libc::IFLA_IFNAME, name)
    });
}

pub fn up(ns: &Namespace, name: &str) {
    let mut header = [0; 16];
    header[8] = libc::IFF_UP as u8;
    header[12] = libc::IFF_UP as u8;
    request(ns, libc::RTM_NEWLINK, 0, &header, |a| {
        a.string(libc::IFLA_IFNAME, name)
    });
}

pub fn address(ns: &Namespace, device: &str, address: &str, prefix: u8) {
    let (family, bytes) = parse(address);
    // IFA_F_NODAD: usable at once.
    let mut header = [family, prefix, 0x02, 0, 0, 0, 0, 0];
    header[4..].copy_from_slice(&index(ns, device).to_ne_bytes());
    request(
        ns,
        libc::RTM_NEWADDR,
        NLM_F_CREATE | NLM_F_EXCL,
        &header,
        |a| {
            a.bytes(libc::IFA_LOCAL, &bytes);
            a.bytes(libc::IFA_ADDRESS, &bytes);
        },
    );
}

pub fn default_route(ns: &Namespace, gateway: &str) {
    let (family, bytes) = parse(gateway);
    let header = [
        family,
        0,
        0,
        0,
        libc::RT_TABLE_MAIN,
        libc::RTPROT_STATIC,
        libc::RT_SCOPE_UNIVERSE,
        libc::RTN_UNICAST,
        0,
        0,
        0,
        0,
    ];
    request(
        ns,
        libc::RTM_NEWROUTE,
        NLM_F_CREATE | NLM_F_EXCL,
        &header,
        |a| {
            a.bytes(libc::RTA_GATEWAY, &bytes);
        },
    );
}

fn parse(address: &str) -> (u8, Vec<u8>) {
    let address: IpAddr = address.parse().expect("is an address");
    let family = if address.is_ipv4() {
        libc::AF_INET
    } else {
        libc::AF_INET6
    };
    (family as u8, super::super::rule::octets(address))
}

fn request(
    ns: &Namespace,
    kind: u16,
    flags: u16,
    header: &[u8],
    attributes: impl FnOnce(&mut Attributes),
) {
    let mut socket = route_socket(ns);
    let mut messages = socket.start();
    let purpose = Purpose {
        what: format!("do request {kind} of the test"),
        needs: "",
    };
    messages.push(kind, flags, header, purpose, attributes);
    messages.acknowledge_newest();
    socket
        .execute(&messages)
        .unwrap_or_else(|e| panic!("{e}: {:?}", std::error::Error::source(&e)));
}
