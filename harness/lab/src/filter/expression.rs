//! nftables expressions: what a rule consists of
//! (include/uapi/linux/netfilter/nf_tables.h).

use std::net::IpAddr;

use crate::netlink::message::Attributes;

/// NFTA_LIST_ELEM.
const LIST_ELEMENT: u16 = 1;
/// NFTA_EXPR_NAME.
pub(super) const EXPRESSION_NAME: u16 = 1;
/// NFTA_EXPR_DATA.
pub(super) const EXPRESSION_DATA: u16 = 2;

/// The expressions of a rule, run in order until one does not match.
pub(super) struct Expressions<'a, 'b> {
    list: &'a mut Attributes<'b>,
}

/// The register that all comparisons use. NFT_REG_1.
const REGISTER: u32 = 1;
/// NFT_REG_VERDICT.
const VERDICT: u32 = 0;
/// NFTA_DATA_VALUE.
const DATA_VALUE: u16 = 1;

/// A header that a payload expression reads from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Header {
    /// IPv4 or IPv6.
    Network = libc::NFT_PAYLOAD_NETWORK_HEADER as isize,
    /// TCP. Later fragments have none, and the rule does not match them.
    Transport = libc::NFT_PAYLOAD_TRANSPORT_HEADER as isize,
}

/// How a register is compared.
#[derive(Debug, Clone, Copy)]
pub(super) enum Compare {
    /// NFT_CMP_EQ.
    Equal = 0,
    /// NFT_CMP_NEQ.
    NotEqual = 1,
    /// NFT_CMP_LT, by memcmp(): numbers must be in network order.
    Less = 2,
    /// NFT_CMP_GT, by memcmp().
    Greater = 4,
}

/// Where numgen's numbers come from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Numbers {
    /// 0, 1, 2, ...: an atomic counter of the rule's own.
    Counting = 0,
    /// Random, evenly spread.
    Random = 1,
}

impl<'a, 'b> Expressions<'a, 'b> {
    /// Adds expressions to this list.
    pub fn new(list: &'a mut Attributes<'b>) -> Self {
        Expressions { list }
    }

    fn push(&mut self, name: &str, data: impl FnOnce(&mut Attributes)) {
        self.list.nest(LIST_ELEMENT, |a| {
            a.string(EXPRESSION_NAME, name);
            a.nest(EXPRESSION_DATA, data);
        });
    }

    /// Matches if the packet's metadata `key` (NFT_META_*) compares so with `value`.
    pub fn meta(&mut self, key: i32, compare: Compare, value: &[u8]) {
        self.push("meta", |a| {
            a.be32(1, REGISTER);
            a.be32(2, key as u32);
        });
        self.compare(compare, value);
    }

    /// Matches if the bytes at this offset of a header are these.
    pub fn payload(&mut self, header: Header, offset: u32, value: &[u8]) {
        self.load(header, offset, value.len() as u32);
        self.compare(Compare::Equal, value);
    }

    /// Matches if the byte at this offset of a header, masked, is this one.
    pub fn payload_masked(&mut self, header: Header, offset: u32, mask: u8, value: u8) {
        self.load(header, offset, 1);
        self.push("bitwise", |a| {
            a.be32(1, REGISTER);
            a.be32(2, REGISTER);
            a.be32(3, 1);
            a.nest(4, |a| a.bytes(DATA_VALUE, &[mask]));
            a.nest(5, |a| a.bytes(DATA_VALUE, &[0]));
        });
        self.compare(Compare::Equal, &[value]);
    }

    /// Matches if the next of `modulus` numbers is less than `limit`.
    pub fn number_below(&mut self, numbers: Numbers, modulus: u32, limit: u32) {
        self.push("numgen", |a| {
            a.be32(1, REGISTER);
            a.be32(2, modulus);
            a.be32(3, numbers as u32);
        });
        self.number(Compare::Less, limit);
    }

    /// Matches packets of more bytes than this, from the IP header on: at a
    /// device's ingress the Ethernet header is removed already (eth_type_trans()).
    pub fn longer_than(&mut self, size: u32) {
        self.push("meta", |a| {
            a.be32(1, REGISTER);
            a.be32(2, libc::NFT_META_LEN as u32);
        });
        self.number(Compare::Greater, size);
    }

    /// Converts the register from this machine's byte order and compares it: the kernel
    /// compares with memcmp(), which needs network order.
    fn number(&mut self, compare: Compare, limit: u32) {
        self.push("byteorder", |a| {
            a.be32(1, REGISTER);
            a.be32(2, REGISTER);
            a.be32(3, 1);
            a.be32(4, 4);
            a.be32(5, 4);
        });
        self.compare(compare, &limit.to_be_bytes());
    }

    /// Matches if the packet's connection is in one of these states
    /// (NF_CT_STATE_BIT).
    pub fn connection_state(&mut self, states: u32) {
        /// NFT_CT_STATE.
        const STATE: u32 = 0;
        self.connection_bits(STATE, states);
    }

    /// Matches if the destination of the packet's connection was translated.
    pub fn destination_translated(&mut self) {
        /// NFT_CT_STATUS.
        const STATUS: u32 = 2;
        /// IPS_DST_NAT (nf_conntrack_common.h).
        const DST_NAT: u32 = 1 << 5;
        self.connection_bits(STATUS, DST_NAT);
    }

    /// Matches if a number of the packet's connection (NFT_CT_*) has one of these bits.
    fn connection_bits(&mut self, key: u32, states: u32) {
        self.push("ct", |a| {
            a.be32(1, REGISTER);
            a.be32(2, key);
        });
        // The kernel loads it in this machine's byte order.
        self.push("bitwise", |a| {
            a.be32(1, REGISTER);
            a.be32(2, REGISTER);
            a.be32(3, 4);
            a.nest(4, |a| a.ne32(DATA_VALUE, states));
            a.nest(5, |a| a.ne32(DATA_VALUE, 0));
        });
        self.compare(Compare::NotEqual, &0u32.to_ne_bytes());
    }

    /// Translates the destination to this address.
    pub fn translate_destination(&mut self, to: IpAddr) {
        /// NFT_NAT_DNAT.
        const DESTINATION: u32 = 1;
        let (family, address) = match to {
            IpAddr::V4(address) => (libc::NFPROTO_IPV4, address.octets().to_vec()),
            IpAddr::V6(address) => (libc::NFPROTO_IPV6, address.octets().to_vec()),
        };
        self.push("immediate", |a| {
            a.be32(1, REGISTER);
            a.nest(2, |a| a.bytes(DATA_VALUE, &address));
        });
        self.push("nat", |a| {
            a.be32(1, DESTINATION);
            a.be32(2, family as u32);
            // NFTA_NAT_REG_ADDR_MIN.
            a.be32(3, REGISTER);
        });
    }

    /// Translates the source address to that of the device that the packet leaves by.
    pub fn masquerade(&mut self) {
        self.push("masq", |_| ());
    }

    /// Counts the packets that reach this expression.
    pub fn counter(&mut self) {
        self.push("counter", |_| ());
    }

    /// Sends the packet out by this device, unchanged; no later rule sees it.
    pub fn forward(&mut self, ifindex: u32) {
        self.push("immediate", |a| {
            a.be32(1, REGISTER);
            a.nest(2, |a| a.ne32(DATA_VALUE, ifindex));
        });
        self.push("fwd", |a| a.be32(1, REGISTER));
    }

    /// Continues in another chain, and returns at its end.
    pub fn jump(&mut self, chain: &str) {
        self.verdict(libc::NFT_JUMP, Some(chain));
    }

    /// Continues in another chain, and does not return.
    pub fn goto(&mut self, chain: &str) {
        self.verdict(libc::NFT_GOTO, Some(chain));
    }

    /// Accepts the packet; no later rule of this hook sees it.
    pub fn accept(&mut self) {
        self.verdict(libc::NF_ACCEPT, None);
    }

    /// Drops the packet.
    pub fn drop(&mut self) {
        self.verdict(libc::NF_DROP, None);
    }

    /// Drops the packet and sends an error to its sender. `code` is one of ICMP, or of
    /// NFT_REJECT_ICMPX_* (for either family).
    pub fn reject(&mut self, kind: RejectKind, code: u8) {
        self.push("reject", |a| {
            a.be32(1, kind as u32);
            if !matches!(kind, RejectKind::TcpReset) {
                a.bytes(2, &[code]);
            }
        });
    }

    fn load(&mut self, header: Header, offset: u32, length: u32) {
        self.push("payload", |a| {
            a.be32(1, REGISTER);
            a.be32(2, header as u32);
            a.be32(3, offset);
            a.be32(4, length);
        });
    }

    fn compare(&mut self, compare: Compare, value: &[u8]) {
        self.push("cmp", |a| {
            a.be32(1, REGISTER);
            a.be32(2, compare as u32);
            a.nest(3, |a| a.bytes(DATA_VALUE, value));
        });
    }

    fn verdict(&mut self, code: i32, chain: Option<&str>) {
        self.push("immediate", |a| {
            a.be32(1, VERDICT);
            a.nest(2, |a| {
                // NFTA_DATA_VERDICT with its code and its chain.
                a.nest(2, |a| {
                    a.be32(1, code as u32);
                    if let Some(chain) = chain {
                        a.string(2, chain);
                    }
                });
            });
        });
    }
}

/// NFT_REJECT_*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RejectKind {
    /// ICMP destination unreachable.
    Icmp = 0,
    /// TCP RST.
    TcpReset = 1,
    /// ICMP or ICMPv6, as the packet is.
    IcmpEither = 2,
}
