//! What a bad line does to the packets that pass it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::duration;

/// What one direction of a line does to each packet. Everything that is `None`
/// it does not do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Impairment {
    /// Packets vanish by chance.
    pub loss: Option<Loss>,
    /// Every packet is under way for so much longer.
    pub delay: Option<Duration>,
    /// The delay is anything from `delay - jitter` to `delay + jitter`, evenly
    /// spread, each packet by its own throw: so packets may overtake others.
    pub jitter: Option<Duration>,
    /// This share of the packets is not delayed, and overtakes those that are.
    pub reorder: Option<f64>,
    /// This share of the packets comes twice.
    pub duplicate: Option<f64>,
    /// In this share of the packets one bit is flipped.
    pub corrupt: Option<f64>,
    /// Bits a second, Ethernet's header included.
    pub rate: Option<u64>,
    /// With a rate: packets that may be under way or waiting; more are dropped.
    pub queue: Option<u32>,
    /// Larger packets do not pass.
    pub mtu: Option<Mtu>,
    /// Where the relay's and netem's random numbers begin.
    pub seed: Option<u64>,
}

/// Packets that vanish by chance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// This share of all packets, 0 to 1.
    pub rate: f64,
    /// So many in a row on average; None: each by its own throw.
    pub burst: Option<f64>,
}

/// A black hole for large packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mtu {
    /// The largest IP packet that passes, bytes.
    pub size: u32,
    /// The sender is told: ICMP fragmentation needed, ICMPv6 packet too big.
    pub icmp: bool,
}

/// What makes a line bad.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImpairBy {
    /// Whatever the kernel has: netem; else nft and tbf where they suffice, and
    /// the relay where they do not.
    #[default]
    Auto,
    /// The kernel's network emulator, a queueing discipline.
    Netem,
    /// A thread of this program in the middle of the cable.
    Relay,
    /// Packet rules.
    Nft,
    /// A classic BPF filter and a token bucket.
    Tc,
}

/// Packets that may wait for a rate unless told otherwise: netem's own default.
pub const QUEUE: u32 = 1000;

impl Impairment {
    /// The first thing asked of it that this mechanism cannot do: its key, and why.
    pub fn beyond(&self, by: ImpairBy) -> Option<(&'static str, &'static str)> {
        let bursts = self.loss.is_some_and(|loss| loss.burst.is_some());
        let icmp = self.mtu.is_some_and(|mtu| mtu.icmp);
        let held = [
            ("delay", self.delay.is_some()),
            ("jitter", self.jitter.is_some()),
            ("reorder", self.reorder.is_some()),
            ("duplicate", self.duplicate.is_some()),
            ("corrupt", self.corrupt.is_some()),
        ];
        let held = held.iter().find(|(_, is)| *is).map(|(key, _)| *key);
        match by {
            ImpairBy::Auto | ImpairBy::Relay => None,
            ImpairBy::Netem => self
                .mtu
                .map(|_| ("mtu", "netem does not look at a packet's size")),
            ImpairBy::Nft | ImpairBy::Tc => held
                .map(|key| (key, "a packet filter passes a packet or drops it, at once"))
                .or(bursts.then_some(("loss", "a packet filter does not remember what it dropped")))
                .or(icmp.then_some(("mtu", "it cannot tell the sender which size would pass")))
                .or((by == ImpairBy::Nft && self.rate.is_some())
                    .then_some(("rate", "nft has no queue for what is too fast")))
                .or(self
                    .seed
                    .map(|_| ("seed", "the kernel's random numbers are not repeated"))),
        }
    }

    /// The same in words: `loss 5 %, delay 80ms ± 20ms`.
    pub fn in_words(&self) -> String {
        let percent = |share: f64| format!("{} %", round(share * 100.0));
        let mut all = Vec::new();
        if let Some(loss) = self.loss {
            let burst = loss.burst.map_or_else(String::new, |packets| {
                format!(" in bursts of {}", round(packets))
            });
            all.push(format!("loss {}{burst}", percent(loss.rate)));
        }
        if let Some(delay) = self.delay {
            let jitter = self.jitter.map_or_else(String::new, |jitter| {
                format!(" ± {}", duration::text(jitter))
            });
            all.push(format!("delay {}{jitter}", duration::text(delay)));
        }
        let shares = [
            ("reorder", self.reorder),
            ("duplicate", self.duplicate),
            ("corrupt", self.corrupt),
        ];
        for (word, share) in shares {
            all.extend(share.map(|share| format!("{word} {}", percent(share))));
        }
        if let Some(rate) = self.rate {
            let queue = self
                .queue
                .map_or_else(String::new, |packets| format!(", queue {packets}"));
            all.push(format!("rate {}{queue}", bits(rate)));
        }
        if let Some(mtu) = self.mtu {
            let silent = if mtu.icmp { "and says so" } else { "silently" };
            all.push(format!("mtu {} {silent}", mtu.size));
        }
        all.join(", ")
    }
}

/// Without the dust of binary fractions.
fn round(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

/// A rate as it would be written.
fn bits(rate: u64) -> String {
    let units = [
        (1_000_000_000, "gbit"),
        (1_000_000, "mbit"),
        (1_000, "kbit"),
    ];
    let unit = units.iter().find(|(size, _)| rate.is_multiple_of(*size));
    unit.map_or_else(
        || format!("{rate}bit"),
        |(size, name)| format!("{}{name}", rate / size),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_a_file() {
        let line = Impairment {
            loss: Some(Loss {
                rate: 0.05,
                burst: Some(3.0),
            }),
            delay: Some(Duration::from_millis(80)),
            jitter: Some(Duration::from_millis(20)),
            rate: Some(1_500_000),
            ..Impairment::default()
        };
        assert_eq!(
            line.in_words(),
            "loss 5 % in bursts of 3, delay 80ms ± 20ms, rate 1500kbit"
        );
    }

    #[test]
    fn each_mechanism_knows_its_limits() {
        let delayed = Impairment {
            delay: Some(Duration::from_millis(1)),
            ..Impairment::default()
        };
        let key = |line: &Impairment, by| line.beyond(by).map(|(key, _)| key);
        assert_eq!(key(&delayed, ImpairBy::Nft), Some("delay"));
        assert_eq!(key(&delayed, ImpairBy::Netem), None);
        let limited = Impairment {
            rate: Some(1),
            ..Impairment::default()
        };
        assert_eq!(key(&limited, ImpairBy::Nft), Some("rate"));
        assert_eq!(key(&limited, ImpairBy::Tc), None);
        let mtu = Impairment {
            mtu: Some(Mtu {
                size: 1400,
                icmp: true,
            }),
            ..Impairment::default()
        };
        assert_eq!(key(&mtu, ImpairBy::Netem), Some("mtu"));
        assert_eq!(key(&mtu, ImpairBy::Tc), Some("mtu"));
        assert_eq!(key(&mtu, ImpairBy::Relay), None);
    }
}
