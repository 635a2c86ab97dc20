//! Names of ICMP messages, as in scenarios.

use std::borrow::Cow;

/// ICMPv4, by type and code: RFC 792, RFC 1122 3.2.2.1, RFC 1812 5.2.7.1.
pub(super) fn v4_name(kind: u8, code: u8) -> Cow<'static, str> {
    Cow::Borrowed(match (kind, code) {
        (0, _) => "echo-reply",
        (3, 0) => "net-unreachable",
        (3, 1) => "host-unreachable",
        (3, 2) => "protocol-unreachable",
        (3, 3) => "port-unreachable",
        (3, 4) => "fragmentation-needed",
        (3, 5) => "source-route-failed",
        (3, 6) => "net-unknown",
        (3, 7) => "host-unknown",
        (3, 8) => "host-isolated",
        (3, 9) => "net-prohibited",
        (3, 10) => "host-prohibited",
        (3, 11) => "tos-net-unreachable",
        (3, 12) => "tos-host-unreachable",
        (3, 13) => "admin-prohibited",
        (3, 14) => "precedence-violation",
        (3, 15) => "precedence-cutoff",
        (4, _) => "source-quench",
        (5, _) => "redirect",
        (8, _) => "echo-request",
        (11, 0) => "time-exceeded",
        (11, 1) => "reassembly-time-exceeded",
        (12, _) => "parameter-problem",
        _ => return unnamed(kind, code),
    })
}

/// ICMPv6, by type and code: RFC 4443.
pub(super) fn v6_name(kind: u8, code: u8) -> Cow<'static, str> {
    Cow::Borrowed(match (kind, code) {
        (1, 0) => "no-route",
        (1, 1) => "admin-prohibited",
        (1, 2) => "beyond-scope",
        (1, 3) => "address-unreachable",
        (1, 4) => "port-unreachable",
        (1, 5) => "policy-fail",
        (1, 6) => "reject-route",
        (2, _) => "packet-too-big",
        (3, 0) => "time-exceeded",
        (3, 1) => "reassembly-time-exceeded",
        (4, _) => "parameter-problem",
        (128, _) => "echo-request",
        (129, _) => "echo-reply",
        (137, _) => "redirect",
        _ => return unnamed(kind, code),
    })
}

fn unnamed(kind: u8, code: u8) -> Cow<'static, str> {
    Cow::Owned(format!("type-{kind}-code-{code}"))
}
