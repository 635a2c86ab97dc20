//! The errno that a call reports: tcp_v4_err(), tcp_v6_err(), tcp_write_err(), tcp_reset().

use halfopen_scenario::case::{Family, RejectWith, RouteChange};

/// What an aborted connection reports when no other error was kept.
pub const TIMED_OUT: &str = "ETIMEDOUT";
/// What it reports when a next hop's address could not be resolved.
pub const HOST_UNREACHABLE: &str = "EHOSTUNREACH";

/// The errno of an ICMP error: icmp_err_convert[], tab_unreach[] of
/// net/ipv6/icmp.c. None for an RST, which is no ICMP error. On an established
/// connection all are soft: kept, and reported only when TCP gives up.
pub fn of_icmp(with: RejectWith, family: Family) -> Option<&'static str> {
    Some(match (with, family) {
        (RejectWith::NetUnreachable, _) => "ENETUNREACH",
        (RejectWith::HostUnreachable, _) => "EHOSTUNREACH",
        (RejectWith::PortUnreachable, _) => "ECONNREFUSED",
        (RejectWith::ProtocolUnreachable, _) => "ENOPROTOOPT",
        (RejectWith::AdminProhibited, Family::Ipv4) => "EHOSTUNREACH",
        (RejectWith::AdminProhibited, Family::Ipv6) => "EACCES",
        (RejectWith::TcpReset, _) => return None,
    })
}

/// Whether the error takes back one back-off: net and host unreachable in IPv4
/// (tcp_v4_err()), only `no route` in IPv6 (tcp_v6_err(): ICMPV6_NOROUTE).
pub fn reverts_backoff(with: RejectWith, family: Family) -> bool {
    match family {
        Family::Ipv4 => matches!(
            with,
            RejectWith::NetUnreachable | RejectWith::HostUnreachable
        ),
        Family::Ipv6 => with == RejectWith::NetUnreachable,
    }
}

/// What the own host's routing says: fib_props[], ip6_route_info_create().
pub fn of_route(change: RouteChange) -> &'static str {
    match change {
        RouteChange::Removed => "ENETUNREACH",
        RouteChange::Unreachable => "EHOSTUNREACH",
        RouteChange::Prohibit => "EACCES",
        RouteChange::Blackhole => "EINVAL",
    }
}

/// What a router's route makes it answer; a blackhole is silent.
pub fn routers_answer(change: RouteChange, family: Family) -> Option<RejectWith> {
    match change {
        // ip6_pkt_discard() knows one answer: no route.
        RouteChange::Unreachable if family == Family::Ipv6 => Some(RejectWith::NetUnreachable),
        RouteChange::Removed => Some(RejectWith::NetUnreachable),
        RouteChange::Unreachable => Some(RejectWith::HostUnreachable),
        RouteChange::Prohibit => Some(RejectWith::AdminProhibited),
        RouteChange::Blackhole => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_differ_where_linux_does() {
        let admin = RejectWith::AdminProhibited;
        assert_eq!(of_icmp(admin, Family::Ipv4), Some("EHOSTUNREACH"));
        assert_eq!(of_icmp(admin, Family::Ipv6), Some("EACCES"));
        let host = RejectWith::HostUnreachable;
        assert!(reverts_backoff(host, Family::Ipv4) && !reverts_backoff(host, Family::Ipv6));
        assert_eq!(of_icmp(RejectWith::TcpReset, Family::Ipv4), None);
    }
}
