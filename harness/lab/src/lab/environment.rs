//! The pinned environment of each node: which sysctls are written, and when.

use std::collections::BTreeMap;

use super::Lab;
use crate::error::LabError;
use crate::namespace::Namespace;
use crate::netlink::route::Batch;
use crate::plan::NodePlan;
use crate::sysctl::pinned::{self, Pinned, Values};
use crate::sysctl::{self, neighbour_parameters};
use halfopen_net::{Family, NodeKind};

impl Lab {
    /// Writes the sysctls that exist once the interfaces do; those that netlink can
    /// set are only pushed to the batch.
    pub(super) fn write_interface_sysctls(
        &mut self,
        node: usize,
        batch: &mut Batch,
    ) -> Result<(), LabError> {
        let plan = &self.topology.nodes[node];
        if !plan.has_addresses() {
            return Ok(());
        }
        let wanted = &self.nodes[node].wanted;
        // The batch is sent later, and would overwrite what the lab's user set.
        let by_netlink = !wanted.keys().any(|key| key.contains(".neigh."));
        let (pushed, filed): (Vec<&'static Pinned>, Vec<&'static Pinned>) =
            tables(plan, &self.families)
                .filter(|p| sysctl::needs_interface(p.key))
                .partition(|p| by_netlink && neighbour_parameters::is_parameter(p));
        let mut written: Values = pushed.iter().map(|p| p.entry()).collect();
        let differ: Vec<&Pinned> = pushed
            .into_iter()
            .filter(|p| !sysctl::has_anyway(p))
            .collect();
        let running = self.running(node)?;
        for interface in &plan.interfaces {
            for message in neighbour_parameters::messages(interface.ifindex, &differ) {
                let what = format!("pin {}'s neighbour parameters", plan.name);
                batch.push(&running.socket, message, 0, what);
            }
        }
        let in_files = wanted.keys().any(|key| sysctl::needs_interface(key));
        if in_files || !filed.is_empty() {
            sysctl::on_host(&running.ns, || {
                for pinned in filed {
                    let mut known = true;
                    if !sysctl::has_anyway(pinned) {
                        for key in self.sysctl_keys(node, pinned.key) {
                            known &= sysctl::write_pinned(&key, pinned)?;
                        }
                    }
                    if known {
                        written.push(pinned.entry());
                    }
                }
                for (key, value) in wanted {
                    if sysctl::needs_interface(key) {
                        for key in self.sysctl_keys(node, key) {
                            sysctl::write(&key, value)?;
                        }
                        written.push(pinned::entry(key, value));
                    }
                }
                Ok(())
            })?;
        }
        self.nodes[node].pinned.append(&mut written);
        Ok(())
    }
}

/// The pinned sysctls of a node of this kind, in the order to write them.
fn tables(plan: &NodePlan, families: &[Family]) -> impl Iterator<Item = &'static Pinned> + use<> {
    let ip = plan.has_addresses();
    let router = plan.kind == NodeKind::Router;
    let v4 = ip && families.contains(&Family::Ipv4);
    let v6 = ip && families.contains(&Family::Ipv6);
    let table = |wanted: bool, table: &'static [Pinned]| if wanted { table } else { &[] };
    let chosen = [
        table(!v6, pinned::NO_IPV6),
        table(v4 && router, pinned::FORWARD_IPV4),
        table(v6 && router, pinned::FORWARD_IPV6),
        table(ip, pinned::TCP),
        table(v4, pinned::IPV4),
        table(v6, pinned::IPV6),
    ];
    chosen.into_iter().flatten()
}

/// Writes the sysctls of a new namespace that need no interface. To be called
/// before any link exists: an interface copies `conf.default` when it is created
/// (inetdev_init()).
pub(super) fn prepare(
    ns: &Namespace,
    plan: &NodePlan,
    families: &[Family],
    wanted: &BTreeMap<String, String>,
) -> Result<Values, LabError> {
    // Of a node that tracks connections; on others the write says what is missing.
    let late = |key: &str| plan.nat.is_some() && sysctl::needs_conntrack(key);
    sysctl::on_host(ns, || {
        let mut written = sysctl::pin_new(tables(plan, families))?;
        for (key, value) in wanted
            .iter()
            .filter(|(key, _)| !sysctl::needs_interface(key) && !late(key))
        {
            sysctl::write(key, value)?;
            written.push(pinned::entry(key, value));
        }
        Ok(written)
    })
}
