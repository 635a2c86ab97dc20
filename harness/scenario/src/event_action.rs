//! Happenings: what each verb of an event takes.

use std::time::Duration;

use super::case::{
    CableRef, Carrier, Direction, EventAction, InterfaceChange, NeighbourChange, NodeKind,
    RouteChange,
};
use super::decode::Decoder;
use super::error::{Problem, Span};
use super::fields::{Fields, Verb};
use super::impair;
use super::lane::Scene;
use super::middlebox;
use super::name;
use super::network;
use super::packet::{self, kind_word};
use super::scalar::{self, Refusal};
use super::sign;
use super::tree::{Node, Value};

const HOSTS: [NodeKind; 1] = [NodeKind::Host];
const MACHINES: [NodeKind; 2] = [NodeKind::Host, NodeKind::Router];

/// Something to heal: the name, and where it is written.
pub struct Healing {
    /// The event's name.
    pub what: String,
    /// Where it is written.
    pub span: Span,
}

/// What the verb of an event does; what it heals is added to `healings`.
pub fn event_action<'a>(
    dec: &Decoder<'a, '_>,
    scene: &Scene,
    verb: &Verb<'a>,
    healings: &mut Vec<Healing>,
) -> Option<EventAction> {
    let word = verb.verb.as_str();
    let needed = |expected: &str| -> Option<&'a Node> {
        if verb.value.is_none() {
            dec.problem(
                Problem::new(verb.span, format!("`{word}` needs a value")).expected(expected),
            );
        }
        verb.value
    };
    let lane = |node: &'a Node| dec.known(node, "lane", scene.lanes.iter().map(String::as_str));
    Some(match word {
        "kill" => {
            let node = needed("a lane, or `{ lane: server, signal: TERM }`")?;
            let Value::Map(_) = &node.value else {
                return Some(EventAction::Kill {
                    lane: lane(node)?,
                    signal: "KILL".to_owned(),
                    child: false,
                });
            };
            let fields = dec.fields(node, "`kill`", &["lane", "signal", "child"])?;
            let target = lane(dec.required(&fields, "`kill`", "lane", "server")?);
            let signal = fields
                .get("signal")
                .map_or(Some("KILL".to_owned()), |node| {
                    dec.scalar(node, "the name of a signal such as `TERM`", sign::signal)
                });
            let child = fields.get("child").map_or(Some(false), |n| {
                dec.scalar(n, "`true` or `false`", scalar::truth)
            });
            EventAction::Kill {
                lane: target?,
                signal: signal?,
                child: child?,
            }
        }
        "freeze" => EventAction::Freeze {
            lane: lane(needed("a lane")?)?,
        },
        "thaw" => EventAction::Thaw {
            lane: lane(needed("a lane")?)?,
        },
        "shutdown" => {
            let (host, fields) =
                host_or_more(dec, scene, needed("a host")?, word, &["host", "grace"])?;
            let grace = fields.and_then(|fields| fields.get("grace"));
            // What sysvinit and old systemd give; the book's init takes 5 to 20 s.
            let grace = grace.map_or(Some(Duration::from_secs(5)), |n| {
                dec.scalar(n, scalar::DURATION, scalar::duration)
            })?;
            EventAction::Shutdown { host, grace }
        }
        "crash" => EventAction::Crash {
            host: node(dec, scene, needed("a host")?, &MACHINES)?,
        },
        "reboot" => {
            let keys = ["host", "down_for", "mac", "state"];
            let (host, fields) = host_or_more(dec, scene, needed("a host")?, word, &keys)?;
            let down_for = fields.and_then(|fields| fields.get("down_for"));
            let down_for = down_for.map_or(Some(Duration::from_millis(500)), |n| {
                dec.scalar(n, scalar::DURATION, scalar::duration)
            });
            let mac = fields.and_then(|fields| fields.get("mac"));
            let same_mac = mac.map_or(Some(true), |n| {
                dec.choose(n, "MAC address", &[("same", true), ("new", false)])
            });
            let state = fields.and_then(|fields| fields.get("state"));
            let keeps_state = middlebox::state(dec, scene, &host, state);
            EventAction::Reboot {
                host,
                down_for: down_for?,
                same_mac: same_mac?,
                keeps_state: keeps_state?,
            }
        }
        "restart" => restart(
            dec,
            scene,
            needed("`{ lane: client, times: 5, every: 300ms, fin: true }`")?,
        )?,
        "cut" => cut(
            dec,
            scene,
            needed("a host, or `{ cable: [client, switch] }`")?,
        )?,
        "impair" => impair::impair(
            dec,
            scene,
            needed("`{ cable: client, delay: 80ms, jitter: 20ms, loss: 5% }`")?,
            verb.span,
        )?,
        "heal" => {
            let node = dec.resolve(needed("the name of an event, or `all`")?)?;
            let what = dec.text(node, "the name of an event, or `all`")?;
            if what == "all" {
                return Some(EventAction::Heal { what: None });
            }
            healings.push(Healing {
                what: what.clone(),
                span: node.span,
            });
            EventAction::Heal { what: Some(what) }
        }
        "drop" => packet::drop(dec, scene, verb.value, verb.span)?,
        "reject" => packet::reject(
            dec,
            scene,
            needed("`{ to: server, with: host-unreachable }`")?,
            verb.span,
        )?,
        "route" => {
            let fields = dec.fields(
                needed("`{ host: client, change: removed }`")?,
                "`route`",
                &["host", "change", "to"],
            )?;
            let host = dec
                .required(&fields, "`route`", "host", "client")
                .and_then(|n| node(dec, scene, n, &MACHINES));
            let words = [
                ("removed", RouteChange::Removed),
                ("unreachable", RouteChange::Unreachable),
                ("prohibit", RouteChange::Prohibit),
                ("blackhole", RouteChange::Blackhole),
            ];
            let change = change(dec, &fields, "`route`", &words);
            let to = match fields.get("to") {
                None => None,
                Some(n) => Some(node(dec, scene, n, &HOSTS)?),
            };
            EventAction::Route {
                host: host?,
                change: change?,
                to,
            }
        }
        "address_removed" => EventAction::AddressRemoved {
            host: node(dec, scene, needed("a host")?, &HOSTS)?,
        },
        "interface" => {
            let fields = dec.fields(
                needed("`{ host: client, change: down }`")?,
                "`interface`",
                &["host", "change"],
            )?;
            let place = dec.required(&fields, "`interface`", "host", "client")?;
            let words = [
                ("down", InterfaceChange::Down),
                ("deleted", InterfaceChange::Deleted),
            ];
            let change = change(dec, &fields, "`interface`", &words);
            EventAction::Interface {
                host: node(dec, scene, place, &HOSTS)?,
                change: change?,
            }
        }
        "neighbour" => {
            let fields = dec.fields(
                needed("`{ host: client, change: flushed }`")?,
                "`neighbour`",
                &["host", "change"],
            )?;
            let place = dec.required(&fields, "`neighbour`", "host", "client")?;
            let words = [
                ("flushed", NeighbourChange::Flushed),
                ("pinned", NeighbourChange::Pinned),
            ];
            let change = change(dec, &fields, "`neighbour`", &words);
            EventAction::Neighbour {
                host: node(dec, scene, place, &MACHINES)?,
                change: change?,
            }
        }
        "forget" => middlebox::forget(dec, scene, needed("a router with NAT")?)?,
        "move" => middlebox::moved(
            dec,
            scene,
            needed("`{ from: server, to: standby, announced: true }`")?,
        )?,
        "type" => {
            let fields = dec.fields(
                needed("`{ lane: client, text: another line }`")?,
                "`type`",
                &["lane", "text"],
            )?;
            let target = dec
                .required(&fields, "`type`", "lane", "client")
                .and_then(lane);
            let text = dec.required(&fields, "`type`", "text", "another line")?;
            let text = dec.scalar(text, "a line of text", |text| Ok(text.to_owned()));
            EventAction::Type {
                lane: target?,
                text: text?,
            }
        }
        "netstat" => {
            if let Some(node) = verb.value {
                dec.fields(node, "`netstat`", &[])?;
            }
            EventAction::Netstat
        }
        other => {
            dec.problem(Problem::new(
                verb.span,
                format!("`{other}` is not understood"),
            ));
            return None;
        }
    })
}

/// How long a host is down that restarts its lane without a FIN: see `run`.
const LEAST_EVERY: Duration = Duration::from_millis(200);

fn restart<'a>(dec: &Decoder<'a, '_>, scene: &Scene, value: &'a Node) -> Option<EventAction> {
    let fields = dec.fields(value, "`restart`", &["lane", "times", "every", "fin"])?;
    let lane = dec
        .required(&fields, "`restart`", "lane", "client")
        .and_then(|node| dec.known(node, "lane", scene.lanes.iter().map(String::as_str)));
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
    let fin = dec
        .required(&fields, "`restart`", "fin", "true")
        .and_then(|node| dec.scalar(node, "`true` or `false`", scalar::truth));
    Some(EventAction::Restart {
        lane: lane?,
        times: times?,
        every: every?,
        fin: fin?,
    })
}

/// A node of the network of one of some kinds.
fn node<'a>(
    dec: &Decoder<'a, '_>,
    scene: &Scene,
    place: &'a Node,
    kinds: &[NodeKind],
) -> Option<String> {
    let words: Vec<&str> = kinds.iter().map(|kind| kind_word(*kind)).collect();
    let known = || {
        scene
            .network
            .nodes
            .iter()
            .filter(|node| kinds.contains(&node.kind))
            .map(|node| node.name.as_str())
    };
    dec.scalar(place, &name::one_of(known()), |text| {
        if known().any(|name| name == text) {
            return Ok(text.to_owned());
        }
        match scene.network.nodes.iter().find(|node| node.name == text) {
            Some(node) => Err(Refusal::new(format!(
                "`{text}` is a {}, not a {}",
                kind_word(node.kind),
                words.join(" or a ")
            ))),
            None => Err(Refusal {
                message: format!("unknown host `{text}`"),
                help: name::did_you_mean(text, known()).or_else(|| {
                    Some(format!(
                        "the network is `{}`; give the scenario another `network:`",
                        scene.network.name
                    ))
                }),
            }),
        }
    })
}

/// A host alone, or a mapping with the host and more.
fn host_or_more<'a>(
    dec: &Decoder<'a, '_>,
    scene: &Scene,
    value: &'a Node,
    verb: &str,
    keys: &[&str],
) -> Option<(String, Option<Fields<'a>>)> {
    let Value::Map(_) = &value.value else {
        return Some((node(dec, scene, value, &MACHINES)?, None));
    };
    let what = format!("`{verb}`");
    let fields = dec.fields(value, &what, keys)?;
    let host = dec.required(&fields, &what, "host", "server")?;
    Some((node(dec, scene, host, &MACHINES)?, Some(fields)))
}

fn change<'a, T: Clone>(
    dec: &Decoder<'a, '_>,
    fields: &Fields<'a>,
    what: &str,
    words: &[(&str, T)],
) -> Option<T> {
    let example = words.first().map_or("", |(word, _)| *word);
    dec.choose(
        dec.required(fields, what, "change", example)?,
        "change",
        words,
    )
}

fn cut<'a>(dec: &Decoder<'a, '_>, scene: &Scene, value: &'a Node) -> Option<EventAction> {
    let Value::Map(_) = &value.value else {
        let cable = cable(dec, scene, value)?;
        return Some(EventAction::Cut {
            cable,
            direction: Direction::Both,
            carrier: Carrier::Kept,
        });
    };
    let fields = dec.fields(value, "`cut`", &["cable", "direction", "carrier"])?;
    let place = dec.required(&fields, "`cut`", "cable", "client")?;
    let cable = cable(dec, scene, place);
    let directions = [
        ("both", Direction::Both),
        ("from", Direction::From),
        ("to", Direction::To),
    ];
    let direction = fields
        .get("direction")
        .map_or(Some(Direction::Both), |node| {
            dec.choose(node, "direction", &directions)
        });
    let carriers = [("kept", Carrier::Kept), ("lost", Carrier::Lost)];
    let carrier = fields.get("carrier").map_or(Some(Carrier::Kept), |node| {
        dec.choose(node, "carrier", &carriers)
    });
    let (cable, direction, carrier) = (cable?, direction?, carrier?);
    if carrier == Carrier::Lost && direction != Direction::Both {
        let span = fields.key("direction").unwrap_or(value.span);
        dec.problem(
            Problem::new(span, "without carrier nothing passes either way")
                .expected("`direction: both` with `carrier: lost`"),
        );
        return None;
    }
    Some(EventAction::Cut {
        cable,
        direction,
        carrier,
    })
}

/// A cable by the node at one end, or by both.
pub(super) fn cable<'a>(dec: &Decoder<'a, '_>, scene: &Scene, place: &'a Node) -> Option<CableRef> {
    let every = [NodeKind::Host, NodeKind::Router, NodeKind::Switch];
    let names = || scene.network.names(&every);
    let place = dec.resolve(place)?;
    if let Value::List(_) = &place.value {
        let (near, far) = network::ends(dec, place, names())?;
        if !scene.network.neighbours(&near).contains(&far.as_str()) {
            let all: Vec<String> = scene
                .network
                .cables
                .iter()
                .map(|(a, b)| format!("[{a}, {b}]"))
                .collect();
            dec.problem(
                Problem::new(place.span, format!("no cable joins `{near}` and `{far}`")).expected(
                    format!("a cable of `{}`: {}", scene.network.name, all.join(", ")),
                ),
            );
            return None;
        }
        return Some(CableRef {
            near,
            far: Some(far),
        });
    }
    let near = dec.known(place, "host", names())?;
    match scene.network.neighbours(&near).as_slice() {
        [_] => Some(CableRef { near, far: None }),
        several => {
            let all: Vec<String> = several
                .iter()
                .map(|far| format!("[{near}, {far}]"))
                .collect();
            dec.problem(
                Problem::new(place.span, format!("`{near}` has {} cables", several.len()))
                    .expected(format!("both ends of one: {}", all.join(" or "))),
            );
            None
        }
    }
}
