//! Queueing disciplines that impair what leaves by a port: netem and tbf
//! (tc-netem(8), tc-tbf(8); include/uapi/linux/pkt_sched.h).
//!
//! They are attached to the wire's port towards the receiver, so that the sender does
//! not learn of a drop, as it would on its own device (NET_XMIT_DROP).

use std::collections::BTreeMap;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_sys::protocols::NETLINK_ROUTE;

use super::tc::tcmsg;
use crate::error::LabError;
use crate::namespace::Namespace;
use crate::netlink::message::{Attributes, Purpose};
use crate::netlink::socket::NetlinkSocket;
use halfopen_net::{Impairment, QUEUE};

/// TC_H_ROOT.
const ROOT: u32 = 0xffff_ffff;
/// 1:0, by which a change addresses the discipline.
const HANDLE: u32 = 0x0001_0000;
const TCA_OPTIONS: u16 = 2;

/// The largest frame on a cable: Ethernet's header and 1500 bytes.
const FRAME: u32 = 1514;
/// Packets that netem may hold when it only delays: more than any window in a lab.
const NO_QUEUE: u32 = 100_000;
/// Bytes per second that no veth reaches: a token bucket that limits nothing.
const UNLIMITED: u64 = 100_000_000_000;

/// Which discipline a device has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Netem,
    Tbf,
}

/// The queueing disciplines of one namespace.
#[derive(Debug)]
pub(crate) struct Qdiscs {
    socket: NetlinkSocket,
    at: BTreeMap<u32, Kind>,
}

impl Qdiscs {
    /// Opens tc in a namespace. Changes nothing yet.
    ///
    /// # Errors
    /// When the socket cannot be opened.
    pub fn open(ns: &Namespace) -> Result<Qdiscs, LabError> {
        let socket = ns
            .enter(|| NetlinkSocket::open(NETLINK_ROUTE))?
            .map_err(|e| {
                LabError::system(format!("open a route netlink socket in {}", ns.name()), e)
            })?;
        Ok(Qdiscs {
            socket,
            at: BTreeMap::new(),
        })
    }

    /// Attaches a netem that does nothing to a device that has none.
    ///
    /// To be done before anything is sent: meanwhile the device has no queue
    /// (qdisc_graft(), dev_deactivate()), and what is sent is lost.
    ///
    /// # Errors
    /// [`LabError::Unsupported`] when the kernel has no netem.
    pub fn prepare_netem(&mut self, ifindex: u32) -> Result<(), LabError> {
        if self.at.get(&ifindex) != Some(&Kind::Netem) {
            self.netem(ifindex, &Impairment::default())?;
        }
        Ok(())
    }

    /// Attaches a token bucket that limits nothing to a device that has none.
    ///
    /// # Errors
    /// [`LabError::Unsupported`] when the kernel has no tbf.
    pub fn prepare_tbf(&mut self, ifindex: u32) -> Result<(), LabError> {
        if self.at.get(&ifindex) != Some(&Kind::Tbf) {
            self.tbf(ifindex, None)?;
        }
        Ok(())
    }

    /// Impairs what leaves by the device as `line` asks. Packets that are already queued
    /// keep the time at which they are to be delivered.
    ///
    /// # Errors
    /// [`LabError::Unsupported`] when the kernel has no netem.
    pub fn netem(&mut self, ifindex: u32, line: &Impairment) -> Result<(), LabError> {
        self.set(ifindex, Kind::Netem, |a| netem_options(a, line))
    }

    /// Limits what leaves by the device to the line's rate; without a line, or a rate,
    /// to nothing.
    ///
    /// # Errors
    /// [`LabError::Unsupported`] when the kernel has no tbf.
    pub fn tbf(&mut self, ifindex: u32, line: Option<&Impairment>) -> Result<(), LabError> {
        self.set(ifindex, Kind::Tbf, |a| tbf_options(a, line))
    }

    fn set(
        &mut self,
        ifindex: u32,
        kind: Kind,
        options: impl FnOnce(&mut Attributes),
    ) -> Result<(), LabError> {
        let (name, needs) = match kind {
            Kind::Netem => ("netem", "CONFIG_NET_SCH_NETEM"),
            Kind::Tbf => ("tbf", "CONFIG_NET_SCH_TBF"),
        };
        let mut messages = self.socket.start();
        let purpose = Purpose {
            what: format!("give interface {ifindex} a queue by {name}"),
            needs,
        };
        let header = tcmsg(ifindex, HANDLE, ROOT, 0);
        let flags = NLM_F_CREATE | NLM_F_REPLACE;
        messages.push(libc::RTM_NEWQDISC, flags, &header, purpose, |a| {
            a.string(libc::TCA_KIND, name);
            a.nest(TCA_OPTIONS, options);
        });
        messages.acknowledge_newest();
        self.socket.execute(&messages)?;
        self.at.insert(ifindex, kind);
        Ok(())
    }
}

/// struct tc_netem_qopt with attributes behind it, a layout that only netem has
/// (netem_change(), parse_attr()).
fn netem_options(a: &mut Attributes, line: &Impairment) {
    const CORRELATION: u16 = 1;
    const REORDER: u16 = 3;
    const CORRUPT: u16 = 4;
    const LOSS: u16 = 5;
    const GILBERT_ELLIOTT: u16 = 2;
    const RATE: u16 = 6;
    const RATE64: u16 = 8;
    const LATENCY64: u16 = 10;
    const JITTER64: u16 = 11;
    const SEED: u16 = 14;

    let uniform = line.loss.filter(|loss| loss.burst.is_none());
    let limit = match line.rate {
        Some(_) => line.queue.unwrap_or(QUEUE),
        None => NO_QUEUE,
    };
    let head = [
        0, // Latency in ticks: see LATENCY64.
        limit,
        uniform.map_or(0, |loss| share(loss.rate)),
        // The gap: with 1, any packet may be one that is not delayed.
        u32::from(line.reorder.is_some()),
        line.duplicate.map_or(0, share),
        0, // Jitter in ticks: see JITTER64.
    ];
    a.raw(&words(&head));
    let times = [(LATENCY64, line.delay), (JITTER64, line.jitter)];
    for (kind, time) in times {
        let nanos = time.map_or(0, |t| i64::try_from(t.as_nanos()).unwrap_or(i64::MAX));
        a.bytes(kind, &nanos.to_ne_bytes());
    }
    a.bytes(CORRELATION, &words(&[0; 3]));
    a.bytes(REORDER, &words(&[line.reorder.map_or(0, share), 0]));
    a.bytes(CORRUPT, &words(&[line.corrupt.map_or(0, share), 0]));
    if let Some((loss, burst)) = line.loss.and_then(|loss| Some((loss, loss.burst?))) {
        let (begins, ends) = loss_chain(loss.rate, burst);
        a.nest(LOSS, |a| {
            // p, r, 1-h (passes in the bad state) and 1-k (is lost in the good one).
            a.bytes(GILBERT_ELLIOTT, &words(&[share(begins), share(ends), 0, 0]));
        });
    }
    // Always present: an attribute that is left out keeps its old value.
    let rate = line.rate.unwrap_or(0) / 8;
    let short = u32::try_from(rate).unwrap_or(u32::MAX);
    a.bytes(RATE, &words(&[short, 0, 0, 0]));
    if rate > u64::from(u32::MAX) {
        a.bytes(RATE64, &rate.to_ne_bytes());
    }
    if let Some(seed) = line.seed {
        a.bytes(SEED, &seed.to_ne_bytes());
    }
}

/// The Gilbert model of a loss rate with a mean burst length: the probabilities that a
/// burst begins, and that it ends, at each packet.
pub(crate) fn loss_chain(rate: f64, burst: f64) -> (f64, f64) {
    let ends = 1.0 / burst;
    ((ends * rate / (1.0 - rate)).min(1.0), ends)
}

fn tbf_options(a: &mut Attributes, line: Option<&Impairment>) {
    const PARAMETERS: u16 = 1;
    const RATE64: u16 = 4;
    const BURST: u16 = 6;
    /// TC_LINKLAYER_ETHERNET: no table of rates is needed.
    const ETHERNET: u8 = 1;

    let limited = line.and_then(|line| Some((line, line.rate?)));
    let rate = limited.map_or(UNLIMITED, |(_, rate)| (rate / 8).max(1));
    let queue = limited.map_or(NO_QUEUE, |(line, _)| line.queue.unwrap_or(QUEUE));
    // At least a frame, and what passes within 20 ms: when a busy machine runs the
    // timer late, tokens beyond the burst are lost, and with them some of the rate.
    let burst = u32::try_from(rate / 50).unwrap_or(u32::MAX).max(FRAME + 86);
    let spec = |rate: u64| {
        let mut spec = [0; 12];
        spec[1] = ETHERNET;
        let short = u32::try_from(rate).unwrap_or(u32::MAX);
        spec[8..].copy_from_slice(&short.to_ne_bytes());
        spec
    };
    // struct tc_tbf_qopt: rate, peakrate, limit, buffer, mtu.
    let mut parameters = Vec::with_capacity(36);
    parameters.extend_from_slice(&spec(rate));
    parameters.extend_from_slice(&[0; 12]);
    parameters.extend_from_slice(&words(&[queue.saturating_mul(FRAME), 0, 0]));
    a.bytes(PARAMETERS, &parameters);
    a.bytes(BURST, &burst.to_ne_bytes());
    if rate > u64::from(u32::MAX) {
        a.bytes(RATE64, &rate.to_ne_bytes());
    }
}

/// A probability in netem's unit: u32::MAX is 1.
fn share(share: f64) -> u32 {
    (share * f64::from(u32::MAX)).round() as u32
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_loses_what_it_says() {
        for (rate, burst) in [(0.05, 4.0), (0.5, 1.0), (0.3, 10.0)] {
            let (begins, ends) = loss_chain(rate, burst);
            let bad = begins / (begins + ends);
            assert!((bad - rate).abs() < 1e-12, "{rate} {burst}");
            assert_eq!(1.0 / ends, burst);
        }
    }
}
