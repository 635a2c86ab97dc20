//! Sysctls of a lab's nodes, read and set while it is up.

use std::collections::BTreeMap;

use super::Lab;
use crate::error::LabError;
use crate::sysctl::{
    self,
    pinned::{self, Entry},
};

impl Lab {
    /// Reads a sysctl of a node now, by its dotted key (`net.ipv4.tcp_retries2`);
    /// `neigh.default` in a key stands for the node's interfaces. Numbers in the
    /// value are separated by single spaces.
    ///
    /// # Errors
    /// [`LabError::Plan`] for a key outside `net.`, [`LabError::Unsupported`] for
    /// one that this kernel lacks, and as [`Lab::enter`].
    pub fn sysctl(&self, node: &str, key: &str) -> Result<String, LabError> {
        let index = self.topology.node(node)?;
        let first = self
            .sysctl_keys(index, key)
            .into_iter()
            .next()
            .unwrap_or_default();
        sysctl::on_host(&self.running(index)?.ns, || sysctl::read(&first))
    }

    /// Sets a sysctl of a node now; it is set again when the node reboots. Many
    /// sysctls of TCP are copied when a socket is created and do not change that
    /// socket any more (tcp_init_sock()).
    ///
    /// # Errors
    /// As [`Lab::sysctl`]; [`LabError::System`] for a value that the kernel
    /// refuses.
    pub fn set_sysctl(&mut self, node: &str, key: &str, value: &str) -> Result<(), LabError> {
        let index = self.topology.node(node)?;
        let keys = self.sysctl_keys(index, key);
        sysctl::on_host(&self.running(index)?.ns, || {
            keys.iter().try_for_each(|k| sysctl::write(k, value))
        })?;
        self.nodes[index]
            .wanted
            .insert(key.to_owned(), value.to_owned());
        self.nodes[index].pinned.push(pinned::entry(key, value));
        self.log_now(format!("set {key} = {value} on {node}"));
        Ok(())
    }

    /// Every sysctl that was set on the node, by the lab and by its user, with its
    /// value. A lab pins every sysctl that can change what a socket returns to the
    /// kernel's default, so that results do not depend on the machine.
    ///
    /// # Errors
    /// [`LabError::Unknown`] for a node that the lab does not have.
    pub fn pinned(&self, node: &str) -> Result<BTreeMap<String, String>, LabError> {
        let pinned = &self.nodes[self.topology.node(node)?].pinned;
        let text = |(key, value): &Entry| (key.to_string(), value.to_string());
        Ok(pinned.iter().map(text).collect())
    }

    /// The keys that `key` stands for on this node.
    pub(super) fn sysctl_keys(&self, node: usize, key: &str) -> Vec<String> {
        let names = self.topology.nodes[node]
            .interfaces
            .iter()
            .map(|i| i.name.as_str());
        sysctl::per_interface(key, names)
    }
}
