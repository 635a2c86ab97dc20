//! Impairments: what a bad line does to the packets that pass it.

use std::time::Duration;

use crate::duration;

/// What one direction of a line does to each packet. A field that is `None` does
/// nothing.
///
/// Packets are duplicated, then lost, then corrupted, then delayed and queued, in netem's
/// order (netem_enqueue()). Shares are 0 to 1.
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Impairment {
    /// Packets are lost at random.
    pub loss: Option<Loss>,
    /// Every packet is delivered so much later.
    pub delay: Option<Duration>,
    /// The delay of each packet is uniformly distributed from `delay - jitter` to
    /// `delay + jitter`, independently, so that packets may overtake others.
    pub jitter: Option<Duration>,
    /// This share of the packets is not delayed, and overtakes the others.
    pub reorder: Option<f64>,
    /// This share of the packets is delivered twice.
    pub duplicate: Option<f64>,
    /// In this share of the packets one bit is flipped.
    pub corrupt: Option<f64>,
    /// Bits per second, Ethernet headers included.
    pub rate: Option<u64>,
    /// With a rate: how many packets may wait or be under way; further ones are dropped.
    /// [`QUEUE`] unless set.
    pub queue: Option<u32>,
    /// Packets larger than this are dropped.
    pub mtu: Option<Mtu>,
    /// The seed of the relay's and netem's random numbers; with the same seed the same
    /// packets are lost.
    pub seed: Option<u64>,
}

/// Random loss of packets.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Loss {
    /// The share of all packets that is lost, 0 to 1.
    pub rate: f64,
    /// The mean number of packets lost in a row (the Gilbert model); None: each packet is
    /// lost independently.
    pub burst: Option<f64>,
}

/// A limit of packet size in the middle of a path: a PMTU black hole (RFC 2923) unless
/// `icmp` is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Mtu {
    /// The largest IP packet that passes, in bytes.
    pub size: u32,
    /// Whether the sender gets ICMP fragmentation needed, or ICMPv6 packet too big.
    pub icmp: bool,
}

/// The mechanism that impairs a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
pub enum ImpairBy {
    /// netem where the kernel has it; else nft and tbf where they suffice, and the relay
    /// where they do not.
    #[default]
    Auto,
    /// The kernel's network emulator, a queueing discipline (tc-netem(8)).
    Netem,
    /// A thread of this process that forwards the cable's frames.
    Relay,
    /// nftables rules.
    Nft,
    /// A classic BPF filter and a token bucket (tc-bpf(8), tc-tbf(8)).
    Tc,
}

/// How many packets may wait for a rate unless [`Impairment::queue`] is set: netem's own
/// default.
pub const QUEUE: u32 = 1000;

impl Impairment {
    /// The first field that this mechanism cannot do: its key in a scenario file, and why.
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

    /// As text: `loss 5 %, delay 80ms ± 20ms`.
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

/// Rounded to six decimals, so that 0.07 * 100 reads 7.
fn round(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

/// A rate as a scenario file has it: `1500kbit`.
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
