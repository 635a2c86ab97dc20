//! What the probes try: the smallest request that shows whether the kernel has a
//! capability.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use super::request::{ACK, NEW, Request, attribute, nested, text};

const LOOPBACK: u32 = 1;

pub(super) fn new_link(kind: &str) -> io::Result<()> {
    const RTM_NEWLINK: u16 = 16;
    const IFLA_LINKINFO: u16 = 18;
    const IFLA_INFO_KIND: u16 = 1;
    let mut body = vec![0; 16]; // struct ifinfomsg
    body.extend(nested(IFLA_LINKINFO, &[text(IFLA_INFO_KIND, kind)]));
    Request::default()
        .message(RTM_NEWLINK, NEW | ACK, &body)
        .ask(SockProtocol::NetlinkRoute, 1)
}

const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;

/// struct tcmsg, for the loopback of this namespace.
fn tcmsg(handle: u32, parent: u32, info: u32) -> Vec<u8> {
    [0, LOOPBACK, handle, parent, info]
        .iter()
        .flat_map(|word| word.to_ne_bytes())
        .collect()
}

pub(super) fn new_qdisc(kind: &str, handle: u32, parent: u32, options: &[u8]) -> io::Result<()> {
    const RTM_NEWQDISC: u16 = 36;
    let mut body = tcmsg(handle, parent, 0);
    body.extend(text(TCA_KIND, kind));
    if !options.is_empty() {
        body.extend(attribute(TCA_OPTIONS, options));
    }
    Request::default()
        .message(RTM_NEWQDISC, NEW | ACK, &body)
        .ask(SockProtocol::NetlinkRoute, 1)
}

pub(super) fn netem() -> io::Result<()> {
    const TC_H_ROOT: u32 = 0xffff_ffff;
    // struct tc_netem_qopt: latency, limit, loss, gap, duplicate, jitter.
    let options: Vec<u8> = [0u32, 1000, 0, 0, 0, 0]
        .iter()
        .flat_map(|n| n.to_ne_bytes())
        .collect();
    new_qdisc("netem", 0, TC_H_ROOT, &options)
}

/// A classic BPF program `return 0` at clsact's ingress.
pub(super) fn bpf_filter() -> io::Result<()> {
    const RTM_NEWTFILTER: u16 = 44;
    const TCA_BPF_OPS_LEN: u16 = 4;
    const TCA_BPF_OPS: u16 = 5;
    const INGRESS: u32 = 0xffff_fff2;
    const ETH_P_ALL: u16 = 3;
    // The clsact of the probe before may be there still.
    match new_qdisc("clsact", 0xffff_0000, 0xffff_fff1, &[]) {
        Err(e) if e.raw_os_error() == Some(Errno::EEXIST as i32) => {}
        other => other?,
    }
    let return_0 = [6u16.to_ne_bytes(), [0, 0], [0, 0], [0, 0]].concat();
    let options = [
        attribute(TCA_BPF_OPS_LEN, &1u16.to_ne_bytes()),
        attribute(TCA_BPF_OPS, &return_0),
    ];
    let mut body = tcmsg(0, INGRESS, (1 << 16) | u32::from(ETH_P_ALL.to_be()));
    body.extend(text(TCA_KIND, "bpf"));
    body.extend(nested(TCA_OPTIONS, &options));
    Request::default()
        .message(RTM_NEWTFILTER, NEW | ACK, &body)
        .ask(SockProtocol::NetlinkRoute, 1)
}

pub(super) fn capture() -> io::Result<()> {
    let flags = SockFlag::SOCK_CLOEXEC;
    socket(
        AddressFamily::Packet,
        SockType::Raw,
        flags,
        SockProtocol::EthAll,
    )?;
    Ok(())
}

pub(super) fn ipv6() -> io::Result<()> {
    std::fs::metadata("/proc/thread-self/net/if_inet6")?;
    std::net::UdpSocket::bind("[::]:0").map(drop)
}

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const SOCK_DESTROY: u16 = 21;

/// Asks for a listener of our own: only the handler of TCP finds it.
pub(super) fn look_at_sockets() -> io::Result<()> {
    let listener = std::net::TcpListener::bind("0.0.0.0:0")?;
    socket_diag(SOCK_DIAG_BY_FAMILY, listener.local_addr()?.port())
}

/// Asks to destroy a connection that does not exist. ENOENT says that the kernel
/// has looked for it; one that cannot do it answers EOPNOTSUPP at once
/// (inet_diag_cmd_exact()).
pub(super) fn destroy_sockets() -> io::Result<()> {
    const UNUSED_PORT: u16 = 1;
    match socket_diag(SOCK_DESTROY, UNUSED_PORT) {
        Err(e) if e.raw_os_error() == Some(Errno::ENOENT as i32) => Ok(()),
        other => other,
    }
}

fn socket_diag(kind: u16, port: u16) -> io::Result<()> {
    // struct inet_diag_req_v2
    let mut body = vec![u8::try_from(libc::AF_INET).unwrap_or(2), 6, 0, 0]; // TCP
    body.extend(u32::MAX.to_ne_bytes()); // in any state
    body.extend(port.to_be_bytes());
    body.extend([0; 2 + 32 + 4]); // peer's port, addresses, interface
    body.extend([0xff; 8]); // INET_DIAG_NOCOOKIE
    Request::default()
        .message(kind, ACK, &body)
        .ask(SockProtocol::NetlinkSockDiag, 1)
}

pub(super) const NFPROTO_INET: u8 = 1;
pub(super) const NFPROTO_NETDEV: u8 = 5;

pub(super) fn nft_forward() -> io::Result<()> {
    const REGISTER: [u8; 4] = 1u32.to_be_bytes();
    let value = nested(2, &[attribute(1, &LOOPBACK.to_ne_bytes())]);
    let immediate = expression("immediate", &[attribute(1, &REGISTER), value]);
    let forward = expression("fwd", &[attribute(1, &REGISTER)]);
    nft_rule(NFPROTO_NETDEV, &[immediate, forward])
}

pub(super) fn nft_reject(family: u8) -> io::Result<()> {
    const ICMPX: [u8; 4] = 2u32.to_be_bytes();
    const HOST_UNREACHABLE: [u8; 1] = [2];
    let reject = expression(
        "reject",
        &[attribute(1, &ICMPX), attribute(2, &HOST_UNREACHABLE)],
    );
    nft_rule(family, &[reject])
}

/// Asks for the state of a packet's connection, translates its source, and
/// empties the table of connections.
pub(super) fn connection_state() -> io::Result<()> {
    const REGISTER: [u8; 4] = 1u32.to_be_bytes();
    const STATE: [u8; 4] = 0u32.to_be_bytes();
    /// NFNL_SUBSYS_CTNETLINK and IPCTNL_MSG_CT_DELETE.
    const FLUSH: u16 = (1 << 8) | 2;
    let state = expression("ct", &[attribute(1, &REGISTER), attribute(2, &STATE)]);
    nft_rule(NFPROTO_INET, &[state])?;
    nft_rule_in(NFPROTO_INET, "nat", &[expression("masq", &[])])?;
    Request::default()
        .message(FLUSH, ACK, &[0; 4])
        .ask(SockProtocol::NetlinkNetFilter, 1)
}

fn expression(name: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    nested(1, &[text(1, name), nested(2, attributes)])
}

/// One transaction: a table, a chain at a hook, a rule; committed, because
/// some checks are made only then. Each rule has a table of its own.
fn nft_rule(family: u8, expressions: &[Vec<u8>]) -> io::Result<()> {
    nft_rule_in(family, "filter", expressions)
}

/// The same in a chain of another type: `nat` translates sources, after routing.
fn nft_rule_in(family: u8, kind: &str, expressions: &[Vec<u8>]) -> io::Result<()> {
    const POSTROUTING: u32 = 4;
    const SOURCE_NAT: u32 = 100;
    const SUBSYSTEM: u16 = 10;
    const BATCH_BEGIN: u16 = 0x10;
    const BATCH_END: u16 = 0x11;
    const NEW_TABLE: u16 = SUBSYSTEM << 8;
    const NEW_CHAIN: u16 = (SUBSYSTEM << 8) | 3;
    const NEW_RULE: u16 = (SUBSYSTEM << 8) | 6;
    const CREATE: u16 = 0x400;
    const FORWARD: u32 = 2;
    const INGRESS: u32 = 0;
    static SERIAL: AtomicU32 = AtomicU32::new(0);

    let table = format!("probe{}", SERIAL.fetch_add(1, Ordering::Relaxed));
    // struct nfgenmsg: family, version, resource.
    let nfgenmsg = |attributes: &[Vec<u8>]| [&[family, 0, 0, 0], &attributes.concat()[..]].concat();
    let batch = [&[0, 0][..], &SUBSYSTEM.to_be_bytes()].concat();
    let hook = match family {
        NFPROTO_NETDEV => vec![
            attribute(1, &INGRESS.to_be_bytes()),
            attribute(2, &0u32.to_be_bytes()),
            text(3, "lo"),
        ],
        _ if kind == "nat" => vec![
            attribute(1, &POSTROUTING.to_be_bytes()),
            attribute(2, &SOURCE_NAT.to_be_bytes()),
        ],
        _ => vec![
            attribute(1, &FORWARD.to_be_bytes()),
            attribute(2, &0u32.to_be_bytes()),
        ],
    };
    let new_table = nfgenmsg(&[text(1, &table)]);
    let new_chain = nfgenmsg(&[
        text(1, &table),
        text(3, "c"),
        nested(4, &hook),
        text(7, kind),
    ]);
    let new_rule = nfgenmsg(&[text(1, &table), text(2, "c"), nested(4, expressions)]);
    Request::default()
        .message(BATCH_BEGIN, 0, &batch)
        .message(NEW_TABLE, CREATE, &new_table)
        .message(NEW_CHAIN, CREATE, &new_chain)
        .message(NEW_RULE, CREATE | ACK, &new_rule)
        .message(BATCH_END, 0, &batch)
        .ask(SockProtocol::NetlinkNetFilter, 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::capabilities::namespace;

    /// A probe that always succeeds would pass the test of what every run needs.
    #[test]
    fn probes_can_say_no() {
        let namespace = match namespace() {
            Ok(namespace) => namespace,
            Err(missing) => panic!("this test needs root or a user namespace: {missing}"),
        };
        let refused = |attempt: fn() -> io::Result<()>| {
            namespace
                .enter(attempt)
                .expect("may enter")
                .expect_err("is refused")
                .raw_os_error()
        };
        assert_eq!(
            refused(|| new_link("nonsense")),
            Some(Errno::EOPNOTSUPP as i32)
        );
        let no_qdisc = refused(|| new_qdisc("nonsense", 0, 0xffff_ffff, &[]));
        assert_eq!(no_qdisc, Some(Errno::ENOENT as i32));
        let no_expression = refused(|| nft_rule(NFPROTO_NETDEV, &[expression("nonsense", &[])]));
        assert_eq!(no_expression, Some(Errno::ENOENT as i32));
        let no_socket = refused(|| socket_diag(SOCK_DIAG_BY_FAMILY, 1));
        assert_eq!(no_socket, Some(Errno::ENOENT as i32));
    }
}
