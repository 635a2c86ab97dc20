//! What a lab notes while it is recorded, and how a recording begins.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Lab;
use crate::effective_at::EffectiveAt;
use crate::error::LabError;
use crate::filter::{Hook, Note};
use crate::record::Recording;
use halfopen_sys::clock::monotonic_ns;
use halfopen_wire::PortInfo;

impl Lab {
    /// Records the packets on all cables and the faults from now on, until the
    /// [`Recording`] is dropped. A test that holds one shows its ladder when it fails.
    ///
    /// ```no_run
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # use halfopen_lab::Lab;
    /// let mut lab = Lab::builder().host("client").host("server").cable("client", "server").build()?;
    /// let recording = lab.record()?;
    /// // ... connect ...
    /// lab.crash("server")?;
    /// // ...
    /// let probes = recording.packets().into_iter().filter(|p| p.kind == "keepalive-probe");
    /// assert_eq!(probes.count(), 9);
    /// println!("{}", recording.ladder());
    /// recording.save("crash.pcapng")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`LabError::System`] when the kernel refuses a packet socket.
    pub fn record(&self) -> Result<Recording, LabError> {
        let nodes = self.topology.nodes.iter();
        let node_of = nodes.flat_map(|node| {
            let addresses = node.interfaces.iter().flat_map(|i| &i.addresses);
            addresses.map(|(address, _)| (*address, node.name.clone()))
        });
        Recording::start(&self.wire, Arc::clone(&self.log), node_of.collect())
    }

    /// Notes a fault that has taken effect.
    pub(super) fn log(&self, at: EffectiveAt, text: impl Into<String>) -> EffectiveAt {
        self.log.event(at.effective_ns, text.into());
        at
    }

    /// Notes a change that has no time of its own.
    pub(super) fn log_now(&self, text: impl Into<String>) {
        self.log.event(monotonic_ns(), text.into());
    }

    /// Notes rules of a node's packet filter; with [`crate::WIRE`] of the wire's.
    pub(super) fn filter_note(&self, node: &str) -> Note {
        let (log, node) = (Arc::clone(&self.log), node.to_owned());
        let ends = self.cables.iter().enumerate().flat_map(|(cable, state)| {
            let sides = state.ports.iter().enumerate();
            sides.map(move |(side, port)| (cable, side, port.name.clone()))
        });
        let senders: BTreeMap<String, String> = ends
            .map(|(cable, side, port)| (port, self.topology.end(cable, side).0.name.clone()))
            .collect();
        Box::new(move |hook, words| {
            let place = match hook {
                Hook::Port(port) => senders.get(port).map_or_else(
                    || format!("at port {port} of the {node}"),
                    |sender| format!("on the wire behind {sender}"),
                ),
                Hook::Input => format!("at {node}'s input"),
                Hook::Forward => format!("forwarded by {node}"),
                Hook::Output => format!("at {node}'s output"),
            };
            log.event(monotonic_ns(), format!("{words} {place}"));
        })
    }

    /// Notes a new port of the wire.
    pub(super) fn log_port(&self, cable: usize, side: usize, ifindex: u32) {
        self.log.port(PortInfo {
            ifindex,
            cable: self.topology.cable_name(cable),
            node: self.topology.end(cable, side).0.name.clone(),
            other: self.topology.end(cable, 1 - side).0.name.clone(),
        });
    }
}
