//! Bad lines: loss, delay, jitter, reordering, duplication, corruption, rates
//! and black holes, each direction of a cable by itself.
//!
//! They sit in the wire, where no host sees them: rules and filters where
//! frames enter, queueing disciplines where they leave, the relay in between.
//! While a line is bad its senders' devices cut TCP's super-packets and fill
//! checksums in themselves, so that a packet is one that a real line carries.

mod choose;
mod line;
mod random;
mod relay;
mod too_big;

#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, UdpSocket};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};

use super::effective_at::EffectiveAt;
use super::error::LabError;
use super::filter::{Action, Clsact, Hook, Match, Qdiscs, RuleId, Side, TcRuleId};
use super::live::Lab;
use super::message::{self, Born};
use super::netlink::Batch;
use super::settle::settle_interfaces;
use choose::{Means, choose};
use halfopen_net::{Direction, ImpairBy, Impairment};
use halfopen_sys::ethtool::offload;
use line::Line;
use relay::{Ends, Relay};

/// What makes the cables of a lab bad.
#[derive(Default)]
pub(super) struct Impaired {
    ways: Vec<Way>,
    next: u64,
    qdiscs: Option<Qdiscs>,
    clsact: Option<Clsact>,
    /// Whether the kernel has netem, once that was tried.
    netem: Option<bool>,
    /// Relays of lines that are good again, with what is still under way.
    draining: Vec<Relay>,
}

/// One direction of a cable that is bad, or about to be.
struct Way {
    id: u64,
    cable: usize,
    /// The end that sends: frames enter the wire there.
    side: usize,
    line: Impairment,
    by: ImpairBy,
    means: Means,
    /// The relay, and the device that leads to it.
    relay: Option<(Relay, u32)>,
    rules: Vec<RuleId>,
    filters: Vec<TcRuleId>,
    active: bool,
}

/// A cable that [`Lab::impair`] made bad.
#[derive(Debug)]
pub struct BadLine {
    ids: Vec<u64>,
    /// What does it: `netem`, `relay`, `nft`, `cls_bpf`, `tbf`, or several.
    pub mechanism: String,
}

impl Lab {
    /// Puts everything in place for [`Lab::impair`] with the same arguments, so
    /// that it takes effect at once. Until then nothing changes for packets.
    ///
    /// # Errors
    /// For nodes or a cable that the lab does not have;
    /// [`LabError::Unsupported`] when the kernel lacks what `by` names.
    pub fn prepare_impairment(
        &mut self,
        near: &str,
        far: Option<&str>,
        direction: Direction,
        line: &Impairment,
        by: ImpairBy,
    ) -> Result<(), LabError> {
        let (cable, side) = self.topology.cable(near, far)?;
        for side in sides(side, direction) {
            let means = self.means(cable, side, line, by)?;
            let id = self.impaired.next;
            self.impaired.next += 1;
            self.impaired.ways.push(Way {
                id,
                cable,
                side,
                line: line.clone(),
                by,
                means,
                relay: None,
                rules: Vec::new(),
                filters: Vec::new(),
                active: false,
            });
            let index = self.impaired.ways.len() - 1;
            if let Err(e) = self.equip(index) {
                self.impaired.ways.truncate(index);
                return Err(e);
            }
        }
        Ok(())
    }

    /// From here on the cable between `near` and `far` (without `far`, the only
    /// cable of `near`) is bad; directions are seen from `near`.
    ///
    /// # Errors
    /// As [`Lab::prepare_impairment`]; and when a direction is bad already.
    pub fn impair(
        &mut self,
        near: &str,
        far: Option<&str>,
        direction: Direction,
        line: &Impairment,
        by: ImpairBy,
    ) -> Result<(EffectiveAt, BadLine), LabError> {
        let (cable, side) = self.topology.cable(near, far)?;
        let mut ids = Vec::new();
        for side in sides(side, direction) {
            let of_way = |way: &&Way| (way.cable, way.side) == (cable, side);
            let ways = || self.impaired.ways.iter().filter(of_way);
            if ways().any(|way| way.active) {
                let name = &self.topology.end(cable, side).0.name;
                return Err(LabError::Plan(format!(
                    "what comes from {name} is impaired already: heal that first"
                )));
            }
            ids.extend(
                ways()
                    .find(|way| way.line == *line && way.by == by)
                    .map(|way| way.id),
            );
        }
        if ids.len() < sides(side, direction).len() {
            let before = self.impaired.next;
            self.prepare_impairment(near, far, direction, line, by)?;
            ids = (before..self.impaired.next).collect();
        }
        let mut mechanism = String::new();
        let took = EffectiveAt::around(|| {
            for id in &ids {
                mechanism = self.activate(*id)?;
            }
            Ok(())
        })?;
        Ok((took, BadLine { ids, mechanism }))
    }

    /// The line is good again. What is under way arrives when it would have;
    /// what is sent now may overtake it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn heal_impairment(&mut self, bad: &BadLine) -> Result<EffectiveAt, LabError> {
        EffectiveAt::around(|| bad.ids.iter().try_for_each(|id| self.deactivate(*id)))
    }

    /// What went wrong in relays: then lines did not do what they should.
    pub fn impairment_troubles(&self) -> Vec<String> {
        let active = self.impaired.ways.iter().filter_map(|w| w.relay.as_ref());
        let all = active
            .map(|(relay, _)| relay)
            .chain(&self.impaired.draining);
        all.filter_map(Relay::trouble).collect()
    }

    /// The means for a line, by trying whether the kernel has netem.
    fn means(
        &mut self,
        cable: usize,
        side: usize,
        line: &Impairment,
        by: ImpairBy,
    ) -> Result<Means, LabError> {
        if by == ImpairBy::Netem && line.seed.is_some() && !netem_has_seeds() {
            return Err(LabError::Unsupported {
                what: "start netem's random numbers by a seed".into(),
                cure: "use a kernel from 6.7 on, or `by: relay`".into(),
            });
        }
        let tries_netem = |means: &Result<Means, LabError>| means.as_ref().is_ok_and(|m| m.netem);
        let with = choose(line, by, true);
        if !tries_netem(&with) {
            return with;
        }
        let netem = match (self.impaired.netem, self.egress(cable, side)) {
            (Some(known), _) => known,
            (None, None) => false,
            (None, Some(ifindex)) => match self.qdiscs()?.prepare_netem(ifindex) {
                Ok(()) => true,
                Err(LabError::Unsupported { .. }) => false,
                Err(e) => return Err(e),
            },
        };
        self.impaired.netem.get_or_insert(netem);
        if by == ImpairBy::Netem && !netem {
            return Err(LabError::Unsupported {
                what: "impair a cable by netem, which this kernel does not have (CONFIG_NET_SCH_NETEM)"
                    .into(),
                cure: "use `by: auto` or `by: relay`, or another kernel: \
                       `halfopen run --time virtual --kernel 6.12`"
                    .into(),
            });
        }
        choose(line, by, netem)
    }

    /// Puts in place what a way needs, at the ports that there are now.
    fn equip(&mut self, index: usize) -> Result<(), LabError> {
        let Way {
            cable, side, means, ..
        } = self.impaired.ways[index];
        self.offloads(cable, side, false)?;
        let (enters, leaves) = (self.ingress(cable, side), self.egress(cable, side));
        if let Some(leaves) = leaves {
            if means.netem {
                self.qdiscs()?.prepare_netem(leaves)?;
            }
            if means.tbf {
                self.qdiscs()?.prepare_tbf(leaves)?;
            }
        }
        if means.bpf
            && let Some(enters) = enters
        {
            self.clsact()?.prepare(enters)?;
        }
        if means.relay {
            let ends = Ends::open(&self.wire, leaves, enters)?;
            match &self.impaired.ways[index].relay {
                Some((relay, _)) => relay.set_ends(ends),
                None => {
                    let relay = self.relay(index, ends)?;
                    self.impaired.ways[index].relay = Some(relay);
                }
            }
        }
        Ok(())
    }

    /// A relay, and the device of the wire that leads to it.
    fn relay(&mut self, index: usize, ends: Ends) -> Result<(Relay, u32), LabError> {
        let (number, way) = (self.next_port, &self.impaired.ways[index]);
        self.next_port += 2;
        // Different numbers for each direction, the same in every run.
        let seed = way.line.seed.unwrap_or(0).wrapping_mul(2) + way.side as u64;
        let line = Line::new(way.line.clone(), seed);
        let names = [format!("r{number}in"), format!("r{number}out")];
        let born = |side: usize| Born {
            name: &names[side],
            ifindex: number + side as u32,
            mac: [
                0x02,
                0x68,
                0x71,
                (number >> 8) as u8,
                number as u8,
                side as u8,
            ],
        };
        let mut batch = Batch::default();
        let what = "make a way to a relay";
        let veth = message::veth(&born(0), &born(1), &self.wire);
        batch.push(&self.wire_socket, veth, NLM_F_CREATE | NLM_F_EXCL, what);
        let up = message::set_link(number + 1, true, None);
        batch.push(&self.wire_socket, up, 0, what);
        self.netlink.run(batch)?;
        settle_interfaces(&self.wire, names.iter().map(String::as_str))?;
        let relay = Relay::start(&self.wire, number + 1, ends, line)?;
        Ok((relay, number))
    }

    fn activate(&mut self, id: u64) -> Result<String, LabError> {
        let Some(index) = self.impaired.ways.iter().position(|way| way.id == id) else {
            return Ok(String::new());
        };
        let Way {
            cable, side, means, ..
        } = self.impaired.ways[index];
        self.impaired.ways[index].active = true;
        let port = self.cables[cable].ports[side].name.clone();
        for rule in drops(&self.impaired.ways[index].line, means.nft) {
            let id = self
                .joint
                .add(Hook::Port(port.clone()), &rule, Action::Drop)?;
            self.impaired.ways[index].rules.push(id);
        }
        if let Some((_, entry)) = &self.impaired.ways[index].relay {
            self.joint.detour(&port, Some(*entry))?;
        }
        self.activate_at_ports(index)?;
        Ok(means.to_string())
    }

    /// What is bound to the ports that there are now, and goes with them.
    fn activate_at_ports(&mut self, index: usize) -> Result<(), LabError> {
        let way = &self.impaired.ways[index];
        let (means, line) = (way.means, way.line.clone());
        let (enters, leaves) = (
            self.ingress(way.cable, way.side),
            self.egress(way.cable, way.side),
        );
        if let Some(leaves) = leaves {
            if means.netem {
                self.qdiscs()?.netem(leaves, &line)?;
            }
            if means.tbf {
                self.qdiscs()?.tbf(leaves, Some(&line))?;
            }
        }
        if let Some(enters) = enters {
            for rule in drops(&line, means.bpf) {
                let id = self.clsact()?.add_drop(enters, Side::Ingress, &rule)?;
                self.impaired.ways[index].filters.push(id);
            }
        }
        Ok(())
    }

    fn deactivate(&mut self, id: u64) -> Result<(), LabError> {
        let Some(index) = self.impaired.ways.iter().position(|way| way.id == id) else {
            return Ok(());
        };
        let way = self.impaired.ways.remove(index);
        let port = self.cables[way.cable].ports[way.side].name.clone();
        for rule in way.rules {
            self.joint.remove(rule)?;
        }
        for filter in way.filters {
            self.clsact()?.remove(filter)?;
        }
        if let Some(leaves) = self.egress(way.cable, way.side) {
            if way.means.netem {
                self.qdiscs()?.netem(leaves, &Impairment::default())?;
            }
            if way.means.tbf {
                self.qdiscs()?.tbf(leaves, None)?;
            }
        }
        if let Some((relay, _)) = way.relay {
            self.joint.detour(&port, None)?;
            relay.drain();
            self.impaired.draining.push(relay);
        }
        let others = &self.impaired.ways;
        if others
            .iter()
            .all(|w| (w.cable, w.side) != (way.cable, way.side))
        {
            self.offloads(way.cable, way.side, true)?;
        }
        Ok(())
    }

    /// After ports were made anew: what was lost with the old ones comes back.
    pub(super) fn impair_again(&mut self, cables: &[usize]) -> Result<(), LabError> {
        for index in 0..self.impaired.ways.len() {
            if !cables.contains(&self.impaired.ways[index].cable) {
                continue;
            }
            self.equip(index)?;
            if self.impaired.ways[index].active {
                let stale = std::mem::take(&mut self.impaired.ways[index].filters);
                for filter in stale {
                    self.clsact()?.remove(filter)?;
                }
                self.activate_at_ports(index)?;
            }
        }
        Ok(())
    }

    /// Whether the sender's device leaves checksums and cutting to others.
    fn offloads(&self, cable: usize, side: usize, on: bool) -> Result<(), LabError> {
        let (node, interface) = self.topology.end(cable, side);
        let Ok(namespace) = self.namespace(&node.name) else {
            // Down: it is done when it is up again.
            return Ok(());
        };
        let name = &interface.name;
        let set = namespace.enter(|| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            offload(&socket, name, on)
        })?;
        match set {
            Err(e) if e.raw_os_error() == Some(libc::ENODEV) => Ok(()),
            other => other.map_err(|e| {
                LabError::system(format!("set the offloads of {name} on {}", node.name), e)
            }),
        }
    }

    fn ingress(&self, cable: usize, side: usize) -> Option<u32> {
        self.cables[cable].ports[side].ifindex
    }

    fn egress(&self, cable: usize, side: usize) -> Option<u32> {
        self.cables[cable].ports[1 - side].ifindex
    }

    fn qdiscs(&mut self) -> Result<&mut Qdiscs, LabError> {
        Ok(match &mut self.impaired.qdiscs {
            Some(open) => open,
            none => none.insert(Qdiscs::open(&self.wire)?),
        })
    }

    fn clsact(&mut self) -> Result<&mut Clsact, LabError> {
        Ok(match &mut self.impaired.clsact {
            Some(open) => open,
            none => none.insert(Clsact::open(&self.wire)?),
        })
    }
}

/// The sending ends that a direction, seen from `side`, means.
fn sides(side: usize, direction: Direction) -> Vec<usize> {
    match direction {
        Direction::Both => vec![side, 1 - side],
        Direction::From => vec![side],
        Direction::To => vec![1 - side],
    }
}

/// What packet rules do of a line.
fn drops(line: &Impairment, by_rules: bool) -> Vec<Match> {
    if !by_rules {
        return Vec::new();
    }
    let too_long = line.mtu.map(|mtu| Match {
        longer_than: Some(mtu.size),
        ..Match::default()
    });
    let by_chance = line.loss.map(|loss| Match {
        probability: Some(loss.rate),
        ..Match::default()
    });
    too_long.into_iter().chain(by_chance).collect()
}

/// TCA_NETEM_PRNG_SEED came with Linux 6.7; older kernels ignore it silently.
fn netem_has_seeds() -> bool {
    let release = nix::sys::utsname::uname().map(|name| name.release().to_owned());
    let release = release.map(|r| r.to_string_lossy().into_owned());
    let release = release.unwrap_or_default();
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|n| n.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(6), Some(7))
}
