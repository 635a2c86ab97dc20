//! Decodes the verb of an event and its value.

use super::cut::cut;
use super::heal::{Healing, heal};
use super::table::{NETSTAT, TYPE};
use super::{change, host, impair, middlebox, packet};
use crate::case::EventAction;
use crate::network::{HOSTS, MACHINES, machine};
use crate::scene::Scene;
use crate::yaml::{Decoder, Node, Problem, Verb};

/// The action of a verb. What a `heal` undoes is added to `healings`.
pub fn event_action<'a>(
    dec: &Decoder<'a, '_>,
    scene: &Scene,
    verb: &Verb<'a>,
    healings: &mut Vec<Healing>,
) -> Option<EventAction> {
    let word = verb.verb.as_str();
    let value = |expected: &str| -> Option<&'a Node> {
        if verb.value.is_none() {
            dec.problem(
                Problem::new(verb.span, format!("`{word}` needs a value")).expected(expected),
            );
        }
        verb.value
    };
    match word {
        "kill" => host::kill(
            dec,
            scene,
            value("a lane, or `{ lane: server, signal: TERM }`")?,
        ),
        "freeze" => Some(EventAction::Freeze {
            lane: scene.lane(dec, value("a lane")?)?,
        }),
        "thaw" => Some(EventAction::Thaw {
            lane: scene.lane(dec, value("a lane")?)?,
        }),
        "shutdown" => host::shutdown(dec, scene, value("a host")?),
        "crash" => Some(EventAction::Crash {
            host: machine(dec, &scene.network, value("a host")?, &MACHINES)?,
        }),
        "suspend" => Some(EventAction::Suspend {
            host: machine(dec, &scene.network, value("a host")?, &HOSTS)?,
        }),
        "resume" => Some(EventAction::Resume {
            host: machine(dec, &scene.network, value("a host")?, &HOSTS)?,
        }),
        "reboot" => host::reboot(dec, scene, value("a host")?),
        "restart" => host::restart(
            dec,
            scene,
            value("`{ lane: client, times: 5, every: 300ms, fin: true }`")?,
        ),
        "cut" => cut(
            dec,
            scene,
            value("a host, or `{ cable: [client, switch] }`")?,
        ),
        "impair" => impair::impair(
            dec,
            scene,
            value("`{ cable: client, delay: 80ms, jitter: 20ms, loss: 5% }`")?,
            verb.span,
        ),
        "heal" => heal(dec, value("the name of an event, or `all`")?, healings),
        "drop" => packet::drop(dec, scene, verb.value, verb.span),
        "reject" => packet::reject(
            dec,
            scene,
            value("`{ to: server, with: host-unreachable }`")?,
            verb.span,
        ),
        "route" => change::route(dec, scene, value("`{ host: client, change: removed }`")?),
        "address_removed" => Some(EventAction::AddressRemoved {
            host: machine(dec, &scene.network, value("a host")?, &HOSTS)?,
        }),
        "interface" => change::interface(dec, scene, value("`{ host: client, change: down }`")?),
        "neighbour" => change::neighbour(dec, scene, value("`{ host: client, change: flushed }`")?),
        "forget" => middlebox::forget(dec, scene, value("a router with NAT")?),
        "move" => middlebox::move_address(
            dec,
            scene,
            value("`{ from: server, to: standby, announced: true }`")?,
        ),
        "type" => type_line(dec, scene, value("`{ lane: client, text: another line }`")?),
        "netstat" => {
            if let Some(node) = verb.value {
                dec.mapping(node, &NETSTAT)?;
            }
            Some(EventAction::Netstat)
        }
        other => {
            dec.problem(Problem::new(
                verb.span,
                format!("`{other}` is not understood"),
            ));
            None
        }
    }
}

fn type_line<'a>(dec: &Decoder<'a, '_>, scene: &Scene, value: &'a Node) -> Option<EventAction> {
    let fields = dec.mapping(value, &TYPE)?;
    let lane = dec
        .needed(&fields, "lane")
        .and_then(|node| scene.lane(dec, node));
    let text = dec
        .needed(&fields, "text")
        .and_then(|node| dec.scalar(node, "a line of text", |text| Ok(text.to_owned())));
    Some(EventAction::Type {
        lane: lane?,
        text: text?,
    })
}
