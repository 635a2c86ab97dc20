//! What halfopen's other crates and this workspace's tests need and users of this
//! crate do not. Not covered by semantic versioning.

use std::collections::BTreeMap;

use crate::error::LabError;
use crate::plan::Topology;
use halfopen_net::{Family, Network};

pub use crate::filter::{Clsact, PortRef, Side, TcRuleId};
pub use crate::sysctl::pinned;

/// How many neighbour entries a lab of this network makes at most for a family.
///
/// Measured in labs with a connection, by RTM_GETNEIGH in each node: IPv4 makes one
/// for each node that a node sends to in its segment (2 on `link`, 4 on `routed`).
/// IPv6 makes in addition one for each solicited-node multicast address that was
/// asked (ff02::1:ff00:3), and one for the reports of listeners (ff02::16), both
/// NUD_NOARP; those count, too: only permanent and externally learnt ones are exempt
/// (neigh_update_gc_list()). For all pairs of nodes, so rather too many.
pub fn neighbour_entries(network: &Network, family: Family) -> usize {
    let Ok(topology) = Topology::of(network, &[family]) else {
        return 0;
    };
    let nodes = topology.nodes.iter().filter(|node| node.has_addresses());
    let mut in_segment = BTreeMap::new();
    for interface in nodes.flat_map(|node| &node.interfaces) {
        *in_segment.entry(interface.segment).or_insert(0_usize) += 1;
    }
    let of_segment = |n: usize| {
        let pairs = n * n.saturating_sub(1);
        match family {
            Family::Ipv4 => pairs,
            Family::Ipv6 => 2 * pairs + n,
        }
    };
    in_segment.into_values().map(of_segment).sum()
}

/// Prepares a machine that runs this program alone, as a guest does: to be called
/// once, before the first lab and in the machine's first network namespace.
/// Pins there what new namespaces copy, and creates `namespaces` network
/// namespaces in advance.
pub fn prepare_dedicated_machine(namespaces: usize) {
    crate::sysctl::own_first_namespace();
    crate::namespace::root_netns::declare_root_netns();
    crate::namespace::root_netns::fill_pool(namespaces);
}

/// Sets the loopback interface of the calling thread's network namespace up.
///
/// # Errors
/// [`LabError::System`] without the rights to.
pub fn set_loopback_up() -> Result<(), LabError> {
    crate::netlink::set_loopback_up()
}

/// Creates so many more network namespaces in advance, after
/// [`prepare_dedicated_machine`].
pub fn fill_pool(namespaces: usize) {
    crate::namespace::root_netns::fill_pool(namespaces);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbour_entries_of_the_built_in_networks() {
        let of = |family| -> Vec<usize> {
            let networks = Network::built_in();
            networks
                .iter()
                .map(|n| neighbour_entries(n, family))
                .collect()
        };
        assert_eq!(of(Family::Ipv4), [2, 2, 4]);
        assert_eq!(of(Family::Ipv6), [6, 6, 12]);
    }
}
