//! Which packets a rule matches.

use std::net::IpAddr;

use crate::error::LabError;
use halfopen_net::Family;

/// Which packets a rule matches. A field that is `None`, 0 or false matches all; the
/// default matches every frame, ARP included.
///
/// A TCP flag or a port implies TCP, an address implies its family. With both
/// `probability` and `count`, `count` counts the packets that `probability` chose. A
/// packet is what the kernel hands on at once: with segmentation offload, which veth
/// has, one packet can hold several segments.
///
/// ```
/// use halfopen_lab::{Match, tcp_flag};
/// // The first three segments to port 7000 that carry data.
/// let data = Match {
///     dport: Some(7000),
///     tcp_flags_set: tcp_flag("PSH").unwrap_or(0),
///     count: Some(3),
///     ..Match::default()
/// };
/// # let _ = data;
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Match {
    /// Only this family.
    pub family: Option<Family>,
    /// Only from this address.
    pub src: Option<IpAddr>,
    /// Only to this address.
    pub dst: Option<IpAddr>,
    /// TCP flags that must be set, as in byte 13 of the header (RFC 9293): see
    /// [`tcp_flag`].
    pub tcp_flags_set: u8,
    /// TCP flags that must not be set.
    pub tcp_flags_clear: u8,
    /// Only from this TCP port.
    pub sport: Option<u16>,
    /// Only to this TCP port.
    pub dport: Option<u16>,
    /// Only TCP.
    pub tcp: bool,
    /// Only IP packets longer than this, in bytes, IP header included.
    pub longer_than: Option<u32>,
    /// Only the first `count` packets.
    pub count: Option<u32>,
    /// Only this share of the packets, 0 to 1, each chosen independently.
    pub probability: Option<f64>,
}

/// The bit of a TCP flag in byte 13 of the header (RFC 9293), by its name: `FIN`, `SYN`,
/// `RST`, `PSH`, `ACK`, `URG`. None for other names.
pub fn tcp_flag(name: &str) -> Option<u8> {
    ["FIN", "SYN", "RST", "PSH", "ACK", "URG"]
        .iter()
        .position(|known| *known == name)
        .map(|bit| 1 << bit)
}

impl Match {
    /// Whether only TCP can match.
    pub(super) fn only_tcp(&self) -> bool {
        self.tcp || self.tcp_flags() != 0 || self.sport.is_some() || self.dport.is_some()
    }

    /// The TCP flags that matter.
    pub(super) fn tcp_flags(&self) -> u8 {
        self.tcp_flags_set | self.tcp_flags_clear
    }

    /// The only family that can match; None: both.
    ///
    /// # Errors
    /// When nothing can ever match, or the probability is not in 0 to 1.
    pub(super) fn checked_family(&self) -> Result<Option<Family>, LabError> {
        let nonsense = |why: String| Err(LabError::Rule(why));
        let both = self.tcp_flags_set & self.tcp_flags_clear;
        if both != 0 {
            return nonsense(format!(
                "TCP flags {both:#04x} must be both set and not set"
            ));
        }
        if let Some(p) = self.probability
            && !(0.0..=1.0).contains(&p)
        {
            return nonsense(format!("{p} is not a probability: it must be 0 to 1"));
        }
        let mut family = self.family;
        for address in [self.src, self.dst].into_iter().flatten() {
            let of_address = if address.is_ipv4() {
                Family::Ipv4
            } else {
                Family::Ipv6
            };
            if *family.get_or_insert(of_address) != of_address {
                return nonsense(format!(
                    "address {address} is of another family than the rest"
                ));
            }
        }
        Ok(family)
    }

    /// `probability` as a share of `whole`; None: every packet.
    pub(super) fn threshold(&self, whole: u32) -> Option<u32> {
        let p = self.probability.filter(|p| *p < 1.0)?;
        Some((p * f64::from(whole)).round() as u32)
    }
}

/// An address in the bytes of a packet.
pub(super) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_have_the_bits_of_the_header() {
        assert_eq!(tcp_flag("SYN"), Some(0x02));
        assert_eq!(tcp_flag("ACK"), Some(0x10));
        assert_eq!(tcp_flag("syn"), None);
    }

    #[test]
    fn contradictions_are_errors() {
        let v4 = "10.0.0.1".parse().ok();
        let v6 = "fd00::1".parse().ok();
        let is_error = |m: Match| m.checked_family().is_err();
        assert!(is_error(Match {
            src: v4,
            dst: v6,
            ..Match::default()
        }));
        assert!(is_error(Match {
            src: v4,
            family: Some(Family::Ipv6),
            ..Match::default()
        }));
        assert!(is_error(Match {
            tcp_flags_set: 2,
            tcp_flags_clear: 6,
            ..Match::default()
        }));
        assert!(is_error(Match {
            probability: Some(1.1),
            ..Match::default()
        }));
        assert!(is_error(Match {
            probability: Some(f64::NAN),
            ..Match::default()
        }));
        let good = Match {
            dst: v6,
            ..Match::default()
        };
        assert_eq!(good.checked_family().ok(), Some(Some(Family::Ipv6)));
    }
}
