//! An interface's neighbour parameters by netlink: one message for each family
//! sets what would be nine files of /proc/sys (neightbl_set(),
//! net/core/neighbour.c). Pure.

use netlink_packet_route::AddressFamily;
use netlink_packet_route::RouteNetlinkMessage as Message;
use netlink_packet_route::neighbour_table::{
    NeighbourTableAttribute as Attribute, NeighbourTableMessage, NeighbourTableParameter as Param,
};

use super::pinned::Pinned;

/// Which of the kernel's neighbour tables a key belongs to, and the parameter that
/// it sets there. None for other keys.
fn parameter(pinned: &Pinned) -> Option<(AddressFamily, Param)> {
    let (family, rest) = match pinned.key.strip_prefix("net.ipv4.neigh.default.") {
        Some(rest) => (AddressFamily::Inet, rest),
        None => {
            let rest = pinned.key.strip_prefix("net.ipv6.neigh.default.")?;
            (AddressFamily::Inet6, rest)
        }
    };
    let number: u32 = pinned.value.parse().ok()?;
    let ms = u64::from(number);
    let parameter = match rest {
        "retrans_time_ms" => Param::RetransTime(ms),
        "base_reachable_time_ms" => Param::BaseReachableTime(ms),
        // Seconds in /proc/sys, milliseconds here.
        "delay_first_probe_time" => Param::DelayProbeTime(ms * 1000),
        "gc_stale_time" => Param::GcStaletime(ms * 1000),
        // Hundredths of a second in /proc/sys (USER_HZ).
        "locktime" => Param::Locktime(ms * 10),
        "ucast_solicit" => Param::UcastProbes(number),
        "mcast_solicit" => Param::McastProbes(number),
        "mcast_resolicit" => Param::McastReprobes(number),
        "app_solicit" => Param::AppProbes(number),
        _ => return None,
    };
    Some((family, parameter))
}

/// Whether a key can be set by [`messages`].
pub(crate) fn is_parameter(pinned: &Pinned) -> bool {
    parameter(pinned).is_some()
}

/// The messages that set these keys for an interface.
pub(crate) fn messages(ifindex: u32, pinned: &[&Pinned]) -> Vec<Message> {
    [
        (AddressFamily::Inet, "arp_cache"),
        (AddressFamily::Inet6, "ndisc_cache"),
    ]
    .into_iter()
    .filter_map(|(family, table)| {
        let parameters: Vec<Param> = std::iter::once(Param::Ifindex(ifindex))
            .chain(
                pinned
                    .iter()
                    .filter_map(|p| parameter(p))
                    .filter(|(f, _)| *f == family)
                    .map(|(_, parameter)| parameter),
            )
            .collect();
        (parameters.len() > 1).then(|| {
            let mut message = NeighbourTableMessage::default();
            message.header.family = family;
            message.attributes = vec![Attribute::Name(table.into()), Attribute::Parms(parameters)];
            Message::SetNeighbourTable(message)
        })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sysctl::pinned;

    #[test]
    fn every_pinned_key_of_a_table_has_its_parameter() {
        let all = [pinned::IPV4, pinned::IPV6].into_iter().flatten();
        for pinned in all.filter(|p| p.key.contains(".neigh.")) {
            assert!(is_parameter(pinned), "{}", pinned.key);
        }
    }
}
