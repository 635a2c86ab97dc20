//! Packet rules: translates which packets, where and by which mechanism into rules
//! of nft and tc.

use nix::net::if_::if_nametoindex;

use super::EffectiveAt;
use halfopen_lab::LabError;
use halfopen_lab::internal::{Clsact, Side, TcRuleId};
use halfopen_lab::{Action, Filter, Hook, Match, RuleId, tcp_flag};
use halfopen_lab::{Lab, WIRE};
use halfopen_scenario::case::{Family, Mechanism, PacketRule, Place, RejectWith};
use halfopen_sys::clock::monotonic_ns;

/// The rules that one event added.
#[derive(Debug)]
pub struct Rules {
    /// The node they are in, or the wire.
    node: String,
    nft: Vec<RuleId>,
    tc: Option<(Clsact, Vec<TcRuleId>)>,
}

/// Where rules are added: hooks of nft in a node, or devices and sides of tc.
struct Attachment {
    node: String,
    hooks: Vec<Hook>,
    devices: Vec<(u32, Side)>,
}

impl Rules {
    /// Adds rules that drop (`with`: None) or reject.
    pub fn add(
        lab: &mut Lab,
        family: Family,
        packets: &PacketRule,
        with: Option<RejectWith>,
    ) -> Result<(EffectiveAt, Self), LabError> {
        let rule = matching(lab, family, packets)?;
        let attachment = attachment(lab, packets)?;
        let mut rules = Rules {
            node: attachment.node.clone(),
            nft: Vec::new(),
            tc: None,
        };
        let effective = match (packets.by, with) {
            (Mechanism::Nft, with) => {
                let action = with.map_or(Action::Drop, Action::Reject);
                let filter = lab.filter_of(&attachment.node)?;
                around(|| {
                    for hook in attachment.hooks {
                        rules.nft.push(filter.add(hook, &rule, action)?);
                    }
                    Ok(())
                })?
            }
            (Mechanism::Tc, None) => {
                let mut tc = Clsact::open(lab.namespace(&attachment.node)?)?;
                let mut ids = Vec::new();
                let effective = around(|| {
                    for (ifindex, side) in attachment.devices {
                        ids.push(tc.add_drop(ifindex, side, &rule)?);
                    }
                    Ok(())
                })?;
                rules.tc = Some((tc, ids));
                effective
            }
            (Mechanism::Tc, Some(_)) => {
                return Err(LabError::Unsupported {
                    what: "reject by tc".into(),
                    cure: "reject by nft".into(),
                });
            }
        };
        Ok((effective, rules))
    }

    /// Removes them again.
    pub fn remove(self, lab: &mut Lab) -> Result<EffectiveAt, LabError> {
        let Rules { node, nft, tc } = self;
        let filter: Option<&mut Filter> = if nft.is_empty() {
            None
        } else {
            Some(lab.filter_of(&node)?)
        };
        around(|| {
            if let Some(filter) = filter {
                for id in nft {
                    filter.remove(id)?;
                }
            }
            if let Some((mut tc, ids)) = tc {
                for id in ids {
                    tc.remove(id)?;
                }
            }
            Ok(())
        })
    }
}

fn around(f: impl FnOnce() -> Result<(), LabError>) -> Result<EffectiveAt, LabError> {
    let asked_ns = monotonic_ns();
    f()?;
    Ok(EffectiveAt {
        asked_ns,
        effective_ns: monotonic_ns(),
    })
}

fn matching(lab: &Lab, family: Family, packets: &PacketRule) -> Result<Match, LabError> {
    let address = |host: &Option<String>| {
        host.as_ref()
            .map(|host| lab.address(host, family))
            .transpose()
    };
    let flags = |names: &[String]| {
        names.iter().try_fold(0, |bits, name| {
            let bit = tcp_flag(name)
                .ok_or_else(|| LabError::Plan(format!("no TCP flag is called {name}")))?;
            Ok::<u8, LabError>(bits | bit)
        })
    };
    Ok(Match {
        family: Some(family),
        src: address(&packets.from)?,
        dst: address(&packets.to)?,
        tcp_flags_set: flags(&packets.flags)?,
        tcp_flags_clear: flags(&packets.without)?,
        sport: packets.sport,
        dport: packets.dport,
        tcp: false,
        longer_than: None,
        count: packets.count,
        probability: packets.probability,
    })
}

fn attachment(lab: &Lab, packets: &PacketRule) -> Result<Attachment, LabError> {
    let needs = |what: &str| LabError::Plan(format!("a rule at this place needs `{what}`"));
    match &packets.place {
        Place::Wire(node) => {
            let near = node
                .as_ref()
                .or(packets.from.as_ref())
                .or(packets.to.as_ref());
            Ok(on_the_wire(lab, near.map(String::as_str), packets))
        }
        Place::Sender => {
            let host = packets.from.as_ref().ok_or_else(|| needs("from"))?;
            in_node(lab, host, Hook::Output, Side::Egress)
        }
        Place::Receiver => {
            let host = packets.to.as_ref().ok_or_else(|| needs("to"))?;
            in_node(lab, host, Hook::Input, Side::Ingress)
        }
        Place::Router(router) => in_node(lab, router, Hook::Forward, Side::Ingress),
    }
}

fn in_node(lab: &Lab, node: &str, hook: Hook, side: Side) -> Result<Attachment, LabError> {
    let names: Vec<String> = lab
        .interfaces(node)?
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let devices = lab.enter(node, || {
        let index = |name: &String| if_nametoindex(name.as_str()).map(|i| (i, side));
        names.iter().map(index).collect::<Result<Vec<_>, _>>()
    })?;
    let devices =
        devices.map_err(|e| LabError::system(format!("find the interfaces of {node}"), e))?;
    Ok(Attachment {
        node: node.to_owned(),
        hooks: vec![hook],
        devices,
    })
}

/// The ports of the wire where the packets arrive: those of the cables of `near`
/// (all cables without it), at the end the packets come from when that is known.
fn on_the_wire(lab: &Lab, near: Option<&str>, packets: &PacketRule) -> Attachment {
    let from_near = near.is_some() && near == packets.from.as_deref();
    let to_near = near.is_some() && near == packets.to.as_deref();
    let ports: Vec<_> = lab
        .ports()
        .into_iter()
        .filter(|port| match near {
            None => true,
            Some(near) if from_near => port.node == near,
            Some(near) if to_near => port.peer_node == near,
            Some(near) => port.node == near || port.peer_node == near,
        })
        .collect();
    Attachment {
        node: WIRE.to_owned(),
        devices: ports.iter().map(|p| (p.ifindex, Side::Ingress)).collect(),
        hooks: ports.into_iter().map(|p| Hook::Port(p.name)).collect(),
    }
}
