//! Decodes `kill`, `shutdown`, `reboot` and `restart`: events of hosts and of lanes'
//! processes.

use std::time::Duration;

use super::middlebox;
use super::table::{KILL, MAC_IS_KEPT, REBOOT, RESTART, SHUTDOWN};
use crate::case::EventAction;
use crate::network::{MACHINES, machine};
use crate::scene::Scene;
use crate::sign;
use crate::yaml::{Decoder, Fields, MappingSpec, Node, Refusal, Value, scalar};

/// `kill: server`, or `kill: { lane: server, signal: TERM, child: true }`
pub fn kill<'a>(dec: &Decoder<'a, '_>, scene: &Scene, value: &'a Node) -> Option<EventAction> {
    let Value::Map(_) = &value.value else {
        return Some(EventAction::Kill {
            lane: scene.lane(dec, value)?,
            signal: "KILL".to_owned(),
            child: false,
        });
    };
    let fields = dec.mapping(value, &KILL)?;
    let lane = dec
        .needed(&fields, "lane")
        .and_then(|node| scene.lane(dec, node));
    let signal = fields
        .get("signal")
        .map_or(Some("KILL".to_owned()), |node| {
            dec.scalar(node, "the name of a signal such as `TERM`", sign::signal)
        });
    let child = fields
        .get("child")
        .map_or(Some(false), |node| dec.truth(node));
    Some(EventAction::Kill {
        lane: lane?,
        signal: signal?,
        child: child?,
    })
}

/// `shutdown: server`, or `shutdown: { host: server, grace: 1s }`
pub fn shutdown<'a>(dec: &Decoder<'a, '_>, scene: &Scene, value: &'a Node) -> Option<EventAction> {
    let (host, fields) = host_or_more(dec, scene, value, &SHUTDOWN);
    // 5 s is what sysvinit and old systemd give; the book's init takes 5 to 20 s.
    let grace = fields
        .and_then(|fields| fields.get("grace"))
        .map_or(Some(Duration::from_secs(5)), |node| {
            dec.scalar(node, scalar::DURATION, scalar::duration)
        });
    Some(EventAction::Shutdown {
        host: host?,
        grace: grace?,
    })
}

/// `reboot: server`, or `reboot: { host: server, down_for: 1s, mac: new }`
pub fn reboot<'a>(dec: &Decoder<'a, '_>, scene: &Scene, value: &'a Node) -> Option<EventAction> {
    let (host, fields) = host_or_more(dec, scene, value, &REBOOT);
    let field = |key: &str| fields.and_then(|fields| fields.get(key));
    let down_for = field("down_for").map_or(Some(Duration::from_millis(500)), |node| {
        dec.scalar(node, scalar::DURATION, scalar::duration)
    });
    let same_mac = field("mac").map_or(Some(true), |node| {
        dec.choose(node, "MAC address", &MAC_IS_KEPT)
    });
    let keeps_state = match &host {
        Some(host) => middlebox::state(dec, scene, host, field("state")),
        None => None,
    };
    Some(EventAction::Reboot {
        host: host?,
        down_for: down_for?,
        same_mac: same_mac?,
        keeps_state: keeps_state?,
    })
}

/// The runner takes up to this long until a host is back whose lane restarts without
/// a FIN.
const LEAST_EVERY: Duration = Duration::from_millis(200);

/// `restart: { lane: client, times: 5, every: 300ms, fin: true }`
pub fn restart<'a>(dec: &Decoder<'a, '_>, scene: &Scene, value: &'a Node) -> Option<EventAction> {
    let fields = dec.mapping(value, &RESTART)?;
    let lane = dec
        .needed(&fields, "lane")
        .and_then(|node| scene.lane(dec, node));
    let times = fields.get("times").map_or(Some(1), |node| {
        dec.scalar(node, "how often, from 1 to 1000", |text| {
            scalar::whole(text, 1, 1000)
        })
    });
    let every = fields.get("every").map_or(Some(LEAST_EVERY), |node| {
        dec.scalar(node, "a duration of at least 200ms", |text| {
            let every = scalar::duration(text)?;
            if every < LEAST_EVERY {
                return Err(Refusal::new(format!(
                    "{text} is too short: a host takes up to 200ms to be there again"
                )));
            }
            Ok(every)
        })
    });
    let fin = dec.needed(&fields, "fin").and_then(|node| dec.truth(node));
    Some(EventAction::Restart {
        lane: lane?,
        times: times?,
        every: every?,
        fin: fin?,
    })
}

/// A host alone, or a mapping with the host and more.
fn host_or_more<'a>(
    dec: &Decoder<'a, '_>,
    scene: &Scene,
    value: &'a Node,
    spec: &'static MappingSpec,
) -> (Option<String>, Option<Fields<'a>>) {
    let Value::Map(_) = &value.value else {
        return (machine(dec, &scene.network, value, &MACHINES), None);
    };
    let Some(fields) = dec.mapping(value, spec) else {
        return (None, None);
    };
    let host = dec
        .needed(&fields, "host")
        .and_then(|node| machine(dec, &scene.network, node, &MACHINES));
    (host, Some(fields))
}
