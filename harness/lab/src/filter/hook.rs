//! Where a rule is applied and what it does, and a rule as expressions.

use super::expression::{Compare, Expressions, Header, Numbers, RejectKind};
use super::nft::{TableFamily, Transaction};
use super::rule::{Match, octets};
use crate::error::LabError;
use halfopen_net::{Family, RejectWith};

/// Where a packet rule is applied.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Hook {
    /// Frames that enter this port of the wire ([`Port::name`](crate::Port::name)),
    /// before they leave by the cable's other port. Not seen by the nodes.
    Port(String),
    /// Packets for this host itself (NF_INET_LOCAL_IN).
    Input,
    /// Packets that this router forwards (NF_INET_FORWARD).
    Forward,
    /// Packets that this host sends (NF_INET_LOCAL_OUT). A drop here returns EPERM to
    /// the sending protocol (nf_hook_slow()).
    Output,
}

/// What a rule does with the packets that match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Drops them.
    Drop,
    /// Drops them and sends their sender this error.
    Reject(RejectWith),
}

impl Hook {
    /// The table its chains are in.
    pub(super) fn table(&self) -> TableFamily {
        match self {
            Hook::Port(_) => TableFamily::Netdev,
            Hook::Input | Hook::Forward | Hook::Output => TableFamily::Inet,
        }
    }

    /// The hook's number and the name of its base chain.
    pub(super) fn inet(&self) -> Option<(i32, &'static str)> {
        match self {
            Hook::Port(_) => None,
            Hook::Input => Some((libc::NF_INET_LOCAL_IN, "input")),
            Hook::Forward => Some((libc::NF_INET_FORWARD, "forward")),
            Hook::Output => Some((libc::NF_INET_LOCAL_OUT, "output")),
        }
    }
}

/// Adds the one rule of a rule's chain.
///
/// # Errors
/// When nothing can match, or the family does not have the error to reject with.
pub(super) fn write_rule(
    change: &mut Transaction,
    table: TableFamily,
    chain: &str,
    rule: &Match,
    action: Action,
) -> Result<(), LabError> {
    let mut family = rule.checked_family()?;
    let mut tcp = rule.only_tcp();
    match action {
        Action::Reject(RejectWith::ProtocolUnreachable) => {
            if family == Some(Family::Ipv6) {
                return Err(LabError::Unsupported {
                    what: "reject with protocol-unreachable over IPv6, which has no such error"
                        .into(),
                    cure: "use port-unreachable or admin-prohibited".into(),
                });
            }
            family = Some(Family::Ipv4);
        }
        Action::Reject(RejectWith::TcpReset) => tcp = true,
        _ => (),
    }
    change.rule(table, chain, needs(table, rule, action), |e| {
        match_packet(e, table, family, tcp, rule);
        let Action::Reject(with) = action else {
            choose(e, rule);
            e.counter();
            e.drop();
            return;
        };
        if table == TableFamily::Netdev && family.is_none() && !tcp {
            // `reject` drops what it cannot answer, such as ARP, which must pass.
            let arp = (libc::ETH_P_ARP as u16).to_be_bytes();
            e.meta(libc::NFT_META_PROTOCOL, Compare::NotEqual, &arp);
        }
        choose(e, rule);
        e.counter();
        let (kind, code) = reject_codes(with);
        e.reject(kind, code);
    });
    Ok(())
}

fn match_packet(
    e: &mut Expressions,
    table: TableFamily,
    family: Option<Family>,
    tcp: bool,
    rule: &Match,
) {
    match (table, family) {
        (_, None) => (),
        (TableFamily::Netdev, Some(family)) => {
            let ethertype = match family {
                Family::Ipv4 => libc::ETH_P_IP,
                Family::Ipv6 => libc::ETH_P_IPV6,
            };
            let ethertype = (ethertype as u16).to_be_bytes();
            e.meta(libc::NFT_META_PROTOCOL, Compare::Equal, &ethertype);
        }
        (TableFamily::Inet, Some(family)) => {
            let protocol = match family {
                Family::Ipv4 => libc::NFPROTO_IPV4,
                Family::Ipv6 => libc::NFPROTO_IPV6,
            };
            e.meta(libc::NFT_META_NFPROTO, Compare::Equal, &[protocol as u8]);
        }
    }
    if let Some(size) = rule.longer_than {
        e.longer_than(size);
    }
    // Offsets of source and destination in the IPv4 and the IPv6 header.
    let (src, dst) = if family == Some(Family::Ipv6) {
        (8, 24)
    } else {
        (12, 16)
    };
    for (offset, address) in [(src, rule.src), (dst, rule.dst)] {
        if let Some(address) = address {
            e.payload(Header::Network, offset, &octets(address));
        }
    }
    if tcp {
        e.meta(
            libc::NFT_META_L4PROTO,
            Compare::Equal,
            &[libc::IPPROTO_TCP as u8],
        );
    }
    for (offset, port) in [(0, rule.sport), (2, rule.dport)] {
        if let Some(port) = port {
            e.payload(Header::Transport, offset, &port.to_be_bytes());
        }
    }
    if rule.tcp_flags() != 0 {
        e.payload_masked(Header::Transport, 13, rule.tcp_flags(), rule.tcp_flags_set);
    }
}

/// Matches the share and the number of packets that `probability` and `count` ask for.
fn choose(e: &mut Expressions, rule: &Match) {
    const WHOLE: u32 = 1 << 30;
    if let Some(limit) = rule.threshold(WHOLE) {
        e.number_below(Numbers::Random, WHOLE, limit);
    }
    if let Some(count) = rule.count {
        // Exact and independent of time, unlike `limit rate`, whose bucket fills up
        // again. The counter starts over after 2^32 - 1 packets.
        e.number_below(Numbers::Counting, u32::MAX, count);
    }
}

fn needs(table: TableFamily, rule: &Match, action: Action) -> &'static str {
    let numgen = rule.count.is_some() || rule.probability.is_some();
    match (table, matches!(action, Action::Reject(_)), numgen) {
        (_, false, false) => "",
        (_, false, true) => "CONFIG_NFT_NUMGEN",
        (TableFamily::Netdev, true, false) => "CONFIG_NFT_REJECT_NETDEV",
        (TableFamily::Netdev, true, true) => "CONFIG_NFT_REJECT_NETDEV and CONFIG_NFT_NUMGEN",
        (TableFamily::Inet, true, false) => "CONFIG_NFT_REJECT",
        (TableFamily::Inet, true, true) => "CONFIG_NFT_REJECT and CONFIG_NFT_NUMGEN",
    }
}

/// NFT_REJECT_ICMPX_* stands for: no route: ICMP 3/0, ICMPv6 1/0; port: 3/3,
/// 1/4; host: 3/1, 1/3; admin prohibited: 3/13, 1/1 (nft_reject_icmp_code()).
fn reject_codes(with: RejectWith) -> (RejectKind, u8) {
    match with {
        RejectWith::NetUnreachable => (RejectKind::IcmpEither, 0),
        RejectWith::PortUnreachable => (RejectKind::IcmpEither, 1),
        RejectWith::HostUnreachable => (RejectKind::IcmpEither, 2),
        RejectWith::AdminProhibited => (RejectKind::IcmpEither, 3),
        RejectWith::ProtocolUnreachable => (RejectKind::Icmp, ICMP_PROTOCOL_UNREACHABLE),
        RejectWith::TcpReset => (RejectKind::TcpReset, 0),
    }
}

/// ICMP_PROT_UNREACH.
const ICMP_PROTOCOL_UNREACHABLE: u8 = 2;
