//! Impaired cables: loss, delay, jitter, reordering, duplication, corruption,
//! rates and limits of packet size, for each direction by itself.
//!
//! The public methods are here and the mechanisms are chosen here;
//! `impair_apply.rs` sets them up. All of them are in the wire, where no node sees
//! them: rules and filters where frames enter, queueing disciplines where they
//! leave, the relay in between.

use super::Lab;
use super::impaired::{BadLine, Way};
use crate::effective_at::EffectiveAt;
use crate::error::LabError;
use crate::impair::{Means, Relay, choose};
use halfopen_net::{Direction, ImpairBy, Impairment};

impl Lab {
    /// Sets up everything that [`Lab::impair`] with the same arguments needs, so that
    /// it takes effect at once. Until then nothing changes for packets. Setting up a
    /// queueing discipline drops what is sent at that moment (qdisc_graft()).
    ///
    /// # Errors
    /// [`LabError::Unknown`] for nodes or a cable that the lab does not have,
    /// [`LabError::Rule`] when the mechanism that `by` names cannot do what `line`
    /// asks, [`LabError::Unsupported`] when the kernel lacks it.
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
            let id = self.impaired.next_id;
            self.impaired.next_id += 1;
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

    /// Impairs the cable between `near` and `far` (without `far`, the only cable of
    /// `near`) from now on; `direction` is seen from `near`. Each direction is
    /// impaired by itself: with [`Direction::Both`] a round trip is delayed twice.
    ///
    /// With [`ImpairBy::Auto`] the kernel's netem does it where there is one, packet
    /// rules and a token bucket where they suffice, and otherwise a thread of this
    /// process that forwards the frames (the relay); [`BadLine::mechanism`] says
    /// which. While a direction is impaired, its sender segments TCP and computes
    /// checksums itself, so that each packet is one of a real line.
    ///
    /// # Errors
    /// As [`Lab::prepare_impairment`]; [`LabError::Plan`] when a direction is impaired
    /// already.
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
            let before = self.impaired.next_id;
            self.prepare_impairment(near, far, direction, line, by)?;
            ids = (before..self.impaired.next_id).collect();
        }
        let mut mechanism = String::new();
        let effective_at = EffectiveAt::around(|| {
            for id in &ids {
                mechanism = self.activate(*id)?;
            }
            Ok(())
        })?;
        let name = self.topology.cable_name(cable);
        self.log(effective_at, format!("impair {name}"));
        Ok((effective_at, BadLine { ids, mechanism }))
    }

    /// Ends an impairment. Frames that are under way arrive when they would have;
    /// frames that are sent from now on may overtake them.
    ///
    /// # Errors
    /// [`LabError::Netlink`] when the kernel refuses.
    pub fn heal_impairment(&mut self, bad: &BadLine) -> Result<EffectiveAt, LabError> {
        let at = EffectiveAt::around(|| bad.ids.iter().try_for_each(|id| self.deactivate(*id)))?;
        Ok(self.log(at, "heal an impairment"))
    }

    /// Errors of relays so far, as text; when there are any, lines did not do what
    /// was asked of them.
    pub fn impairment_errors(&self) -> Vec<String> {
        let active = self.impaired.ways.iter().filter_map(|w| w.relay.as_ref());
        let all = active
            .map(|(relay, _)| relay)
            .chain(&self.impaired.draining);
        all.filter_map(Relay::error).collect()
    }

    /// Chooses the mechanisms for a line; tries whether the kernel has netem.
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
            (None, Some(ifindex)) => match self.impaired.qdiscs(&self.wire)?.prepare_netem(ifindex)
            {
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
}

/// The sending ends that a direction, seen from `side`, means.
fn sides(side: usize, direction: Direction) -> Vec<usize> {
    match direction {
        Direction::Both => vec![side, 1 - side],
        Direction::From => vec![side],
        Direction::To => vec![1 - side],
    }
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
