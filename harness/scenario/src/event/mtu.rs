//! Decodes `mtu` of an impairment: larger packets are dropped.

use crate::case::Mtu;
use crate::yaml::{Decoder, KeySpec, MappingSpec, Node, Value, ValueSpec, scalar};

pub(super) static MTU: MappingSpec = MappingSpec::new(
    "`mtu`",
    "What passes, and whether the sender is told.",
    &[&[
        KeySpec::new(
            "size",
            ValueSpec::WHOLE,
            "Bytes of the largest IP packet that passes.",
        )
        .required("1400"),
        KeySpec::new(
            "icmp",
            ValueSpec::TRUTH,
            "ICMP fragmentation needed, ICMPv6 packet too big. Default: false.",
        ),
    ]],
);

/// The least MTU of an IPv4 link (RFC 791, 3.2), and the MTU of every cable of a lab.
const SIZES: (u32, u32) = (68, 1500);

/// `mtu: 1400`, or `mtu: { size: 1400, icmp: true }`
pub(super) fn mtu<'a>(dec: &Decoder<'a, '_>, node: &'a Node) -> Option<Mtu> {
    let size = |node: &'a Node| {
        let (least, most) = SIZES;
        dec.scalar(
            node,
            &format!("bytes of an IP packet, from {least} to {most}"),
            |text| scalar::whole(text, least, most),
        )
    };
    let node = dec.resolve(node)?;
    let Value::Map(_) = &node.value else {
        let size = size(node)?;
        return Some(Mtu { size, icmp: false });
    };
    let fields = dec.mapping(node, &MTU)?;
    let bytes = dec.needed(&fields, "size").and_then(size);
    let icmp = fields
        .get("icmp")
        .map_or(Some(false), |node| dec.truth(node));
    Some(Mtu {
        size: bytes?,
        icmp: icmp?,
    })
}
