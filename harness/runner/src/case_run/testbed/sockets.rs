//! Snapshots of the sockets of a case's hosts.

use std::collections::BTreeMap;

use crate::observe::netstat::Sockets;
use halfopen_lab::Lab;
use halfopen_lab::LabError;
use halfopen_outcome::record::{Netstat, SocketState};

/// The snapshots so far, and the netlink sockets they are read by, one for each
/// host.
#[derive(Debug, Default)]
pub(super) struct SocketSnapshots {
    taken: Vec<Netstat>,
    open: BTreeMap<String, Sockets>,
}

impl SocketSnapshots {
    /// The sockets of `hosts`.
    pub fn read(&mut self, lab: &Lab, hosts: &[&str]) -> Result<Vec<SocketState>, LabError> {
        let mut sockets = Vec::new();
        for &host in hosts {
            // A host that is down has no sockets.
            let Ok(namespace) = lab.namespace(host) else {
                continue;
            };
            if !self.open.contains_key(host) {
                self.open.insert(host.to_owned(), Sockets::open(namespace)?);
            }
            if let Some(open) = self.open.get_mut(host) {
                sockets.extend(open.dump(host)?);
            }
        }
        Ok(sockets)
    }

    /// The host's namespace is gone, or about to be another one.
    pub fn forget(&mut self, host: &str) {
        self.open.remove(host);
    }

    /// Adds a snapshot.
    pub fn add(&mut self, snapshot: Netstat) {
        self.taken.push(snapshot);
    }

    /// The snapshots so far; none are left.
    pub fn take(&mut self) -> Vec<Netstat> {
        std::mem::take(&mut self.taken)
    }
}
