//! Which mechanisms impair a line. Pure.

use std::fmt;

use crate::error::LabError;
use halfopen_net::{ImpairBy, Impairment};

/// The mechanisms that a line needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Means {
    /// netem does everything but `mtu`.
    pub netem: bool,
    /// The relay does everything that a line can have.
    pub relay: bool,
    /// nft does loss and `mtu`.
    pub nft: bool,
    /// A BPF filter does loss and `mtu`.
    pub bpf: bool,
    /// A token bucket does the rate.
    pub tbf: bool,
}

/// Chooses the mechanisms for `line`; `netem`: whether the kernel has it.
///
/// # Errors
/// [`LabError::Rule`] when the mechanism that `by` names cannot do it.
pub(crate) fn choose(line: &Impairment, by: ImpairBy, netem: bool) -> Result<Means, LabError> {
    if let Some((key, why)) = line.beyond(by) {
        return Err(LabError::Rule(format!("{key} by {by:?}: {why}")));
    }
    let dropped = line.loss.is_some() || line.mtu.is_some();
    let only_relay = Means {
        relay: true,
        ..Means::default()
    };
    let filters = Means {
        nft: dropped,
        tbf: line.rate.is_some(),
        ..Means::default()
    };
    Ok(match by {
        ImpairBy::Relay => only_relay,
        ImpairBy::Nft => filters,
        ImpairBy::Tc => Means {
            nft: false,
            bpf: dropped,
            ..filters
        },
        ImpairBy::Netem => Means {
            netem: true,
            ..Means::default()
        },
        // The relay repeats a seed's numbers on every kernel, netem from 6.7 on; and
        // only the relay answers with ICMP.
        ImpairBy::Auto if line.seed.is_some() || line.mtu.is_some_and(|mtu| mtu.icmp) => only_relay,
        ImpairBy::Auto if netem => {
            let rest = Impairment {
                mtu: None,
                ..line.clone()
            };
            Means {
                netem: rest != Impairment::default(),
                nft: line.mtu.is_some(),
                ..Means::default()
            }
        }
        ImpairBy::Auto => {
            let filterable = Impairment {
                queue: None,
                ..line.clone()
            };
            // The token bucket does the rate, nft has to do the rest.
            let by_nft = Impairment {
                rate: None,
                ..filterable
            };
            match by_nft.beyond(ImpairBy::Nft) {
                None => filters,
                Some(_) => only_relay,
            }
        }
    })
}

impl fmt::Display for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.netem, "netem"),
            (self.relay, "relay"),
            (self.nft, "nft"),
            (self.bpf, "cls_bpf"),
            (self.tbf, "tbf"),
        ];
        let names: Vec<&str> = all.iter().filter(|(is, _)| *is).map(|(_, n)| *n).collect();
        f.write_str(&names.join(" and "))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use halfopen_net::{Loss, Mtu};

    const MTU: Mtu = Mtu {
        size: 1400,
        icmp: false,
    };
    const LOSS: Loss = Loss {
        rate: 0.05,
        burst: None,
    };

    fn name(line: &Impairment, by: ImpairBy, netem: bool) -> String {
        choose(line, by, netem).map_or_else(|e| e.to_string(), |means| means.to_string())
    }

    #[test]
    fn auto_takes_the_least_that_suffices() {
        let mut line = Impairment {
            loss: Some(LOSS),
            ..Impairment::default()
        };
        assert_eq!(name(&line, ImpairBy::Auto, true), "netem");
        assert_eq!(name(&line, ImpairBy::Auto, false), "nft");
        assert_eq!(name(&line, ImpairBy::Tc, true), "cls_bpf");
        line.rate = Some(1_000_000);
        line.mtu = Some(MTU);
        assert_eq!(name(&line, ImpairBy::Auto, true), "netem and nft");
        assert_eq!(name(&line, ImpairBy::Auto, false), "nft and tbf");
        assert_eq!(name(&line, ImpairBy::Tc, false), "cls_bpf and tbf");
        line.delay = Some(Duration::from_millis(80));
        assert_eq!(name(&line, ImpairBy::Auto, false), "relay");
        line.seed = Some(1);
        assert_eq!(name(&line, ImpairBy::Auto, true), "relay");
        let only = Impairment {
            mtu: Some(MTU),
            ..Impairment::default()
        };
        assert_eq!(name(&only, ImpairBy::Auto, true), "nft");
        let rate = Impairment {
            rate: Some(1_000_000),
            queue: Some(10),
            ..Impairment::default()
        };
        assert_eq!(name(&rate, ImpairBy::Auto, false), "tbf");
    }

    #[test]
    fn what_was_asked_for_by_name_is_not_replaced() {
        let line = Impairment {
            delay: Some(Duration::from_millis(80)),
            ..Impairment::default()
        };
        assert!(choose(&line, ImpairBy::Nft, true).is_err());
        assert_eq!(name(&line, ImpairBy::Netem, false), "netem");
        assert_eq!(name(&line, ImpairBy::Relay, true), "relay");
    }
}
