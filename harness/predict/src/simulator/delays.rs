//! Cables with delay: how long a packet takes, and where it is.

use std::time::Duration;

use super::paths::Paths;
use crate::abort::facts::Fate;
use halfopen_scenario::case::{Impairment, NodeKind, PacketRule, Place};

/// The kinds of packet that filters distinguish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Syn,
    SynAck,
    Data,
    /// A bare acknowledgment, or a keepalive probe.
    Ack,
    Fin,
    Rst,
}

impl Kind {
    pub fn flags(self) -> &'static [&'static str] {
        match self {
            Kind::Syn => &["SYN"],
            Kind::SynAck => &["SYN", "ACK"],
            Kind::Data => &["PSH", "ACK"],
            Kind::Ack => &["ACK"],
            Kind::Fin => &["FIN", "ACK"],
            Kind::Rst => &["RST", "ACK"],
        }
    }
}

/// How far a packet gets without delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// It ends at the node of this index.
    Ends { fate: Fate, at: usize },
    /// It enters a cable with delay, the hop of this index on its path.
    InCable { hop: usize, delay: Duration },
}

impl<'a> Paths<'a> {
    /// Delay of the cable from `a` to `b`; None: no delay.
    pub fn delay(&self, a: &str, b: &str) -> Result<Option<Duration>, String> {
        let mut all = None;
        for line in self.impaired(a, b) {
            if let Some(why) = chance(line) {
                return Err(format!("the line is bad: {why}"));
            }
            let one = line.delay.unwrap_or_default();
            all = Some(all.unwrap_or_default() + one);
        }
        Ok(all.filter(|delay: &Duration| !delay.is_zero()))
    }

    /// The hops with delay on the path from one host to another.
    fn long_hops(&self, from: &str, to: &str) -> Result<Vec<(usize, Duration)>, String> {
        let path = self.path(from, to).unwrap_or_default();
        let mut hops = Vec::new();
        for (at, hop) in path.windows(2).enumerate() {
            if let Some(delay) = self.delay(hop[0], hop[1])? {
                hops.push((at, delay));
            }
        }
        Ok(hops)
    }

    /// Delay of a packet.
    pub fn one_way_delay(&self, from: &str, to: &str) -> Result<Duration, String> {
        Ok(self.long_hops(from, to)?.iter().map(|(_, d)| *d).sum())
    }

    /// The round trip.
    pub fn round_trip(&self, from: &str, to: &str) -> Result<Duration, String> {
        Ok(self.one_way_delay(from, to)? + self.one_way_delay(to, from)?)
    }

    /// Delay to where a packet ends, and back from there.
    pub fn delay_to_end(
        &self,
        from: &str,
        to: &str,
        kind: Kind,
    ) -> Result<(Duration, Duration), String> {
        let (there, end) = self.end_of(from, to, kind)?;
        Ok((there, self.back_from(from, to, end)?))
    }

    /// How long it takes to where a packet ends, and the number of that node on
    /// its way.
    fn end_of(&self, from: &str, to: &str, kind: Kind) -> Result<(Duration, usize), String> {
        let (mut passed, mut there) = (None, Duration::ZERO);
        loop {
            match self.advance(from, to, kind, (false, passed))? {
                Progress::InCable { hop, delay } => {
                    passed = Some(hop);
                    there += delay;
                }
                Progress::Ends { at, .. } => return Ok((there, at)),
            }
        }
    }

    /// Delay of an answer from the node of this index on the path.
    pub fn back_from(&self, from: &str, to: &str, at: usize) -> Result<Duration, String> {
        let path = self.path(from, to).unwrap_or_default();
        let mut back = Duration::ZERO;
        for hop in path.windows(2).take(at) {
            back += self.delay(hop[1], hop[0])?.unwrap_or_default();
        }
        Ok(back)
    }

    /// Delay of the answer to this packet, by whichever node answers; and the additional
    /// delay of the first one, for which addresses are resolved.
    pub fn answer_after(
        &self,
        from: &str,
        to: &str,
        kind: Kind,
    ) -> Result<(Duration, Duration), String> {
        let (there, end) = self.end_of(from, to, kind)?;
        let (resolution, back) = self.resolution_delay(from, to, end)?;
        Ok((there + self.back_from(from, to, end)?, resolution + back))
    }

    /// Delay of an answer in an established connection. A router on the path has its
    /// entries; a host that was rebooted resolves first.
    pub fn answered_after(&self, from: &str, to: &str, kind: Kind) -> Result<Duration, String> {
        let (there, end) = self.end_of(from, to, kind)?;
        let last = self.path(from, to).map_or(0, |path| path.len() - 1);
        let asks = match end == last {
            true => self.resolution_delay(to, from, usize::MAX)?.0,
            false => Duration::ZERO,
        };
        Ok(there + asks + self.back_from(from, to, end)?)
    }

    /// Delay of resolving the addresses that hosts and routers do not have yet, up to the
    /// node of this index; and for the way back. The node that is asked learns the
    /// requester's address; but a router sends requests from its link-local address in IPv6
    /// (ndisc_solicit()), which is not the one that routes lead to.
    pub fn resolution_delay(
        &self,
        from: &str,
        to: &str,
        end: usize,
    ) -> Result<(Duration, Duration), String> {
        let path = self.path(from, to).unwrap_or_default();
        let (mut there, mut back) = (Duration::ZERO, Duration::ZERO);
        let mut asks = 0;
        for (at, node) in path.iter().enumerate().skip(1).take(end) {
            if self.kind_of(node) == Some(NodeKind::Switch) {
                continue;
            }
            let asker = path[asks];
            if self.restarted.contains(asker) || !self.resolved.contains(&(asker, *node)) {
                let leg = self.round_trip_between(&path[asks..=at])?;
                there += leg;
                let router = self.kind_of(asker) == Some(NodeKind::Router);
                if router && self.is_ipv6() {
                    back += leg;
                }
            }
            asks = at;
        }
        Ok((there, back))
    }

    fn round_trip_between(&self, path: &[&'a str]) -> Result<Duration, String> {
        let mut all = Duration::ZERO;
        for hop in path.windows(2) {
            all += self.delay(hop[0], hop[1])?.unwrap_or_default();
            all += self.delay(hop[1], hop[0])?.unwrap_or_default();
        }
        Ok(all)
    }

    /// The fates, from now on, of packets that left this much earlier and of their answers,
    /// the earliest first; and whether their answer was in flight already.
    pub fn fates_in_transit(
        &self,
        from: &str,
        to: &str,
        (kind, answer): (Kind, Kind),
    ) -> Result<Vec<(Duration, Fate, bool)>, String> {
        let mut all = Vec::new();
        let mut earlier = Duration::ZERO;
        for (hop, delay) in self.long_hops(from, to)? {
            earlier += delay;
            let there = self.fate_from(from, to, kind, hop)?;
            let fate = match there.is_delivered() {
                true => self.back(to, from, answer)?,
                false => there,
            };
            all.push((earlier, fate, false));
        }
        for (hop, delay) in self.long_hops(to, from)? {
            earlier += delay;
            let fate = match self.fate_from(to, from, answer, hop)?.is_delivered() {
                true => Fate::Arrives,
                false => Fate::Unanswered,
            };
            all.push((earlier, fate, true));
        }
        all.reverse();
        Ok(all)
    }

    pub fn fate_from(&self, from: &str, to: &str, kind: Kind, hop: usize) -> Result<Fate, String> {
        let mut passed = Some(hop);
        loop {
            match self.advance(from, to, kind, (true, passed))? {
                Progress::Ends { fate, .. } => return Ok(fate),
                Progress::InCable { hop, .. } => passed = Some(hop),
            }
        }
    }

    /// Whether a rule behind a router that translates matches by the address that a packet
    /// has on this side.
    pub fn sees_translated(&self, rule: &PacketRule, from: &str) -> bool {
        let Some(conntrack) = self.conntrack.as_ref().filter(|_| !self.is_ipv6()) else {
            return false;
        };
        // A rule on the wire applies at this node's cable.
        let outside = |node: &Option<String>| {
            let near = node.as_ref().or(rule.from.as_ref()).or(rule.to.as_ref());
            near.is_some_and(|near| !conntrack.is_inside(near))
        };
        match (conntrack.is_inside(from), &rule.place) {
            (true, Place::Receiver) => rule.from.is_some(),
            (true, Place::Wire(node)) => outside(node) && rule.from.is_some(),
            (false, Place::Sender) => rule.to.is_some(),
            (false, Place::Wire(node)) => outside(node) && rule.to.is_some(),
            _ => false,
        }
    }

    fn back(&self, from: &str, to: &str, answer: Kind) -> Result<Fate, String> {
        Ok(match self.one_way(from, to, answer)? {
            Fate::Arrives => Fate::Arrives,
            _ => Fate::Unanswered,
        })
    }
}

/// Why the effect of an impairment cannot be predicted. None: it only adds delay.
fn chance(line: &Impairment) -> Option<&'static str> {
    if line.loss.is_some() || line.corrupt.is_some() || line.duplicate.is_some() {
        Some("which packets it hits is chance")
    } else if line.jitter.is_some() || line.reorder.is_some() {
        Some("how long a packet is under way is chance")
    } else if line.mtu.is_some() {
        Some("what is lost depends on how TCP cuts what is written")
    } else if line.rate.is_some() {
        Some("round trips depend on how much waits in its queue")
    } else {
        None
    }
}
