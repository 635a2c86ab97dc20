//! What a case runs on: the lab, the processes of its lanes, the marks they wait
//! for, the capture on the wire, and the changes that can be undone.

mod power;
mod sockets;
mod wire;

use std::collections::BTreeMap;

use super::lanes::{Lanes, Placement};
use super::marks::Marks;
use super::sysctls;
use crate::fault::{self, EffectiveAt, Undo};
use crate::recorded::Captured;
use halfopen_lab::Flow;
use halfopen_lab::LabError;
use halfopen_lab::{Lab, LabBuilder};
use halfopen_outcome::record::Netstat;
use halfopen_scenario::case::{Case, EventAction, Lane, NodeKind};
use power::Power;
use sockets::SocketSnapshots;
use wire::WireCapture;

/// A lab with the lanes of a case in it.
pub(super) struct Testbed<'a> {
    case: &'a Case,
    lab: Lab,
    pub lanes: Lanes,
    pub marks: Marks,
    pub wire: WireCapture,
    /// What `heal` can undo, by the event's name.
    undo: Vec<(String, Undo)>,
    power: Power,
    sockets: SocketSnapshots,
}

impl<'a> Testbed<'a> {
    /// Builds the lab and starts the capture. `callers_sysctls` are set on top of
    /// the scenario's.
    pub fn build(
        case: &'a Case,
        callers_sysctls: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> Result<Self, LabError> {
        let mut builder = LabBuilder::from_plan(&case.network).families(&[case.family]);
        for (host, key, value) in sysctls::of(case, callers_sysctls) {
            builder = builder.sysctl(&host, &key, &value);
        }
        let lab = builder.build()?;
        let wire = WireCapture::open(&lab, case)?;
        let marks = Marks::of(case)?;
        Ok(Testbed {
            case,
            lab,
            lanes: Lanes::default(),
            marks,
            wire,
            undo: Vec::new(),
            power: Power::default(),
            sockets: SocketSnapshots::default(),
        })
    }

    /// Puts in place what later events need, where that takes time.
    pub fn prepare_faults(&mut self) -> Result<(), LabError> {
        for event in &self.case.events {
            fault::prepare(&mut self.lab, &event.action)?;
        }
        Ok(())
    }

    /// The lane of the case with this name.
    pub fn planned_lane(&self, name: &str) -> Option<&'a Lane> {
        self.case.lanes.iter().find(|lane| lane.name == name)
    }

    /// Starts a lane's processes.
    pub fn spawn(&mut self, lane: &Lane) -> Result<(), LabError> {
        let mut addresses = BTreeMap::new();
        for lane in &self.case.lanes {
            let address = self.lab.address(&lane.host, self.case.family)?;
            addresses.insert(lane.host.clone(), address);
        }
        for nat in &self.case.network.nats {
            if let Some(service) = self.lab.service_address(&nat.router, self.case.family)? {
                addresses.insert(nat.router.clone(), service);
            }
        }
        // A program may name hosts on which nothing runs; one that is down has no
        // address now.
        for host in self.case.network.names(&[NodeKind::Host]) {
            if let Ok(address) = self.lab.address(host, self.case.family) {
                addresses.entry(host.to_owned()).or_insert(address);
            }
        }
        let placement = Placement {
            namespace: self.lab.namespace(&lane.host)?,
            own_address: self.lab.address(&lane.host, self.case.family)?,
            addresses,
            default_peer: super::lanes::default_peer(self.case, lane),
            boot: self.power.boots(&lane.host),
            marks: self.marks.readers(),
        };
        self.lanes.spawn(lane, &placement)
    }

    /// Starts a lane's processes anew.
    pub fn start_again(&mut self, lane: &str) -> Result<(), LabError> {
        for lane in self.case.lanes.iter().filter(|l| l.name == lane) {
            self.spawn(lane)?;
        }
        Ok(())
    }

    /// The connections that a router tracks.
    pub fn flows(&mut self, router: &str) -> Result<Vec<Flow>, LabError> {
        self.lab.flows(router)
    }

    /// Applies an event to the network, to be undone by its name; when it took
    /// effect, and by what, where that was for the lab to choose.
    pub fn change_network(
        &mut self,
        event: &str,
        action: &EventAction,
    ) -> Result<(EffectiveAt, Option<String>), LabError> {
        let (at, undo) = fault::apply(&mut self.lab, self.case.family, action)?;
        let mechanism = undo.mechanism().map(str::to_owned);
        self.undo.push((event.to_owned(), undo));
        Ok((at, mechanism))
    }

    /// Undoes what events did to the network, the latest first: the event with
    /// this name, or all. When the last of it took effect; None: nothing was to
    /// be undone.
    pub fn heal(&mut self, event: Option<&str>) -> Result<Option<EffectiveAt>, LabError> {
        let (undo, kept) = std::mem::take(&mut self.undo)
            .into_iter()
            .partition(|(name, _)| event.is_none_or(|event| event == name));
        self.undo = kept;
        let mut healed = None;
        for (_, undo) in Vec::into_iter(undo).rev() {
            healed = Some(fault::heal(&mut self.lab, undo)?);
        }
        Ok(healed)
    }

    /// Records the sockets of all hosts that run lanes; `at_ns` goes into the
    /// record.
    pub fn snapshot_sockets(&mut self, moment: &str, at_ns: i64) -> Result<(), LabError> {
        let mut hosts: Vec<&str> = self.case.lanes.iter().map(|l| l.host.as_str()).collect();
        hosts.sort_unstable();
        hosts.dedup();
        let sockets = self.sockets.read(&self.lab, &hosts)?;
        self.sockets.add(Netstat {
            at_ns,
            moment: moment.to_owned(),
            sockets,
            fd_counts: self.lanes.fd_count_by_host(),
        });
        Ok(())
    }

    /// The snapshots of sockets so far; none are left.
    pub fn take_snapshots(&mut self) -> Vec<Netstat> {
        self.sockets.take()
    }

    /// What was captured so far, and what it takes to read it; none is left.
    pub fn take_captured(&mut self, t0_ns: i64) -> Captured {
        let mut node_of = BTreeMap::new();
        for node in &self.case.network.nodes {
            // Switches have no address.
            if let Ok(address) = self.lab.address(&node.name, self.case.family) {
                node_of.insert(address, node.name.clone());
            }
        }
        self.wire.take(node_of, t0_ns)
    }

    /// What went wrong with impairments, as text.
    pub fn impairment_errors(&self) -> Vec<String> {
        self.lab.impairment_errors()
    }

    /// Ends the lanes, then removes the lab, or leaves it standing.
    pub fn tear_down(self, leave_lab: bool) {
        let Testbed { lab, lanes, .. } = self;
        // The processes before their network.
        drop(lanes);
        if leave_lab {
            lab.leak_namespaces();
        }
    }
}
