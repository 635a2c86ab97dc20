//! Effects of packet filters and routers' routes on a packet.

use super::delays::Kind;
use super::paths::Paths;
use crate::abort::facts::Fate;
use crate::errno;
use halfopen_scenario::case::{EventAction, Family, Mechanism, PacketRule, Place, RejectWith};

impl Paths<'_> {
    pub fn filtered_on_the_wire(
        &self,
        from: &str,
        to: &str,
        kind: Kind,
        a: &str,
        b: &str,
    ) -> Result<Option<Fate>, String> {
        self.filters(from, to, kind, |rule| match &rule.place {
            Place::Wire(node) => {
                let near = node.as_ref().or(rule.from.as_ref()).or(rule.to.as_ref());
                near.is_none_or(|near| near == a || near == b)
            }
            _ => false,
        })
    }

    pub fn at_router(
        &self,
        router: &str,
        from: &str,
        to: &str,
        kind: Kind,
    ) -> Result<Option<Fate>, String> {
        for a in &self.active {
            if let EventAction::Route {
                host,
                change,
                to: target,
            } = a.what
                && host == router
                && target.as_ref().is_none_or(|t| t == to)
            {
                // Without any route it cannot even send an answer.
                let answer = errno::routers_answer(*change, self.case.family);
                // ip_error() in IPv4 has its own rate limit.
                let slowly = self.case.family == Family::Ipv4;
                let refused = |with| Fate::Refused { with, slowly };
                let answer = answer.filter(|_| target.is_some());
                return Ok(Some(answer.map_or(Fate::Lost, refused)));
            }
        }
        self.filters(from, to, kind, |rule| {
            rule.place == Place::Router(router.to_owned())
        })
    }

    pub fn filtered(
        &self,
        from: &str,
        to: &str,
        kind: Kind,
        at: Place,
    ) -> Result<Option<Fate>, String> {
        self.filters(from, to, kind, |rule| rule.place == at)
    }

    fn filters(
        &self,
        from: &str,
        to: &str,
        kind: Kind,
        here: impl Fn(&PacketRule) -> bool,
    ) -> Result<Option<Fate>, String> {
        for a in self.active.iter().filter(|a| a.left != Some(0)) {
            let (rule, with) = match a.what {
                EventAction::Drop(rule) => (rule, None),
                EventAction::Reject { rule, with } => (rule, Some(*with)),
                _ => continue,
            };
            if !here(rule) || !matches(rule, from, to, kind) {
                continue;
            }
            if self.sees_translated(rule, from) {
                return Err("a rule by addresses that a router translates".into());
            }
            if rule.probability.is_some() {
                return Err("packets are dropped at random".into());
            }
            if rule.sport.is_some() || rule.dport.is_some() {
                return Err("packets are told apart by their ports".into());
            }
            return match (with, &rule.place, rule.by) {
                (None, Place::Sender, Mechanism::Tc) => Ok(Some(Fate::OwnQdisc)),
                // nft's drop is an error to the sender: nf_hook_slow().
                (None, Place::Sender, Mechanism::Nft) => Ok(Some(Fate::OwnHost {
                    soft: None,
                    now: "EPERM",
                })),
                (Some(_), Place::Sender, _) => Err("a reject by the sender's own host".into()),
                (None, ..) => Ok(Some(Fate::Lost)),
                (Some(RejectWith::TcpReset), ..) => Ok(Some(Fate::Reset)),
                (Some(with), ..) => Ok(Some(Fate::Refused {
                    with,
                    slowly: false,
                })),
            };
        }
        Ok(None)
    }
}

/// Whether a rule matches this packet.
pub(super) fn matches(rule: &PacketRule, from: &str, to: &str, kind: Kind) -> bool {
    let flags = kind.flags();
    rule.from.as_ref().is_none_or(|f| f == from)
        && rule.to.as_ref().is_none_or(|t| t == to)
        && rule.flags.iter().all(|f| flags.contains(&f.as_str()))
        && !rule.without.iter().any(|f| flags.contains(&f.as_str()))
}
