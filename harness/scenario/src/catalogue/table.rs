//! Tables of the mappings that describe a file and its scenarios.

use serde_json::{Value, json};

use crate::case::{Clock, Family};
use crate::network::NAT;
use crate::yaml::{KeySpec, MappingSpec, ValueSpec};

/// A file of scenarios.
pub static FILE: MappingSpec = MappingSpec::new(
    "a scenario file",
    "A file of halfopen scenarios.",
    &[&[
        KeySpec::new(
            "version",
            ValueSpec::Schema(|| json!({ "const": 1 })),
            "The version of this language.",
        )
        .required("1"),
        KeySpec::new(
            "detectors",
            ValueSpec::Schema(|| named("detector")),
            "Ways to notice a dead peer, by name. `none` always exists.",
        ),
        KeySpec::new(
            "networks",
            ValueSpec::Schema(|| named("network")),
            "Networks besides the built-in link, lan and routed.",
        ),
        KeySpec::new(
            "scenarios",
            ValueSpec::Schema(|| {
                let mut scenarios = named("scenario");
                scenarios["minProperties"] = json!(1);
                scenarios
            }),
            "Scenarios by name.",
        )
        .required("{ name-of-the-first: ... }"),
    ]],
)
.subject("this file");

/// The schema of a mapping from names to what a definition describes.
fn named(definition: &str) -> Value {
    json!({
        "type": "object",
        "propertyNames": { "$ref": "#/$defs/name" },
        "additionalProperties": { "$ref": format!("#/$defs/{definition}") },
    })
}

const TEXTS: ValueSpec = ValueSpec::list(&ValueSpec::Text);

/// A scenario.
pub static SCENARIO: MappingSpec = MappingSpec::new(
    "a scenario",
    "One story, at every point of its matrix.",
    &[&[
        KeySpec::new(
            "about",
            ValueSpec::Text,
            "What happens, in one sentence.",
        ),
        KeySpec::new(
            "source",
            TEXTS,
            "Where the story comes from: rows of the claims' table, chapters.",
        ),
        KeySpec::new(
            "book",
            ValueSpec::Definition("signs"),
            "What the book says happens.",
        ),
        KeySpec::new(
            "expect",
            ValueSpec::Definition("signs"),
            "What Linux is expected to do.",
        ),
        KeySpec::new(
            "checks",
            ValueSpec::list(&ValueSpec::Mapping(&CHECK)),
            "What else is expected: lanes' signs in order, how they end, sockets at recorded moments.",
        ),
        KeySpec::new(
            "notes",
            ValueSpec::Text,
            "Where Linux and the book differ, and why.",
        ),
        KeySpec::new(
            "matrix",
            ValueSpec::Schema(matrix),
            "Axes and their values. detector, network, family and detector_on are settings; any other axis is used as ${axis} or in a `when`.",
        ),
        KeySpec::new(
            "exclude",
            ValueSpec::list(&ValueSpec::WHEN),
            "Points of the matrix that are left out.",
        ),
        KeySpec::new(
            "detector",
            ValueSpec::Text,
            "How the lanes of detector_on notice a dead peer: the name of a detector. Default: none.",
        ),
        KeySpec::new(
            "detector_on",
            ValueSpec::AnyOf(&[ValueSpec::Text, TEXTS]),
            "The lanes that get the detector: `client`, `server`, `both`, or a list. Default: client.",
        ),
        KeySpec::new(
            "network",
            ValueSpec::Text,
            "link, lan, routed, or a network of this file. Default: link.",
        ),
        KeySpec::new("nat", ValueSpec::Mapping(&NAT), ""),
        KeySpec::new(
            "family",
            ValueSpec::Word(&FAMILIES),
            "The address family. Default: ipv4.",
        ),
        KeySpec::new(
            "sysctls",
            ValueSpec::Schema(sysctls),
            "Sysctls by host, or `all`.",
        ),
        KeySpec::new(
            "server",
            ValueSpec::Definition("lane"),
            "The lane `server`, on the host `server`.",
        ),
        KeySpec::new(
            "client",
            ValueSpec::Definition("lane"),
            "The lane `client`, on the host `client`.",
        ),
        KeySpec::new(
            "lanes",
            ValueSpec::Schema(|| named("lane")),
            "More lanes, by name.",
        ),
        KeySpec::new(
            "watch",
            ValueSpec::some(&ValueSpec::Text),
            "Lanes whose calls can be the first sign. Default: the client, or whoever is not the first fault's victim.",
        ),
        KeySpec::new(
            "faults",
            ValueSpec::list(&ValueSpec::Definition("event")),
            "What is done, and when.",
        ),
        KeySpec::new(
            "give_up",
            ValueSpec::DURATION,
            "How long after the start the case ends when nobody noticed anything; at most 7d.",
        )
        .required("30s"),
        KeySpec::new(
            "clock",
            ValueSpec::Word(&CLOCKS),
            "`virtual`: only sensible in virtual time, because it lasts hours. Default: any.",
        ),
    ]],
)
.subject("this scenario");

/// A check.
pub static CHECK: MappingSpec = MappingSpec::new(
    "a check",
    "Exactly one of signs, ended, sockets, orphans, descriptors, send_q, recv_q.",
    &[&[
        KeySpec::new("lane", ValueSpec::Text, "Whose signs, or end."),
        KeySpec::new(
            "signs",
            ValueSpec::list(&ValueSpec::Text),
            "All signs of a watched lane after the fault, in order: errnos, eof, hangup, timeout, heartbeat_lost, signals. Empty: it notices nothing.",
        ),
        KeySpec::new(
            "ended",
            ValueSpec::TextOrNumber,
            "How its process ended: an exit status, a signal, or `running`.",
        ),
        KeySpec::new(
            "at",
            ValueSpec::Text,
            "A moment at which sockets are recorded: a netstat's name, `before FAULT`, `after FAULT`, `end`.",
        ),
        KeySpec::new(
            "gone_by",
            ValueSpec::Text,
            "From this moment on, with a number of 0.",
        ),
        KeySpec::new("host", ValueSpec::Text, "Whose sockets."),
        KeySpec::new(
            "state",
            ValueSpec::Text,
            "Only sockets in this state: FIN_WAIT2.",
        ),
        KeySpec::new(
            "sockets",
            ValueSpec::TextOrNumber,
            "How many there are, listeners not counted: 4, or 1..100.",
        ),
        KeySpec::new(
            "orphans",
            ValueSpec::TextOrNumber,
            "How many no process has open.",
        ),
        KeySpec::new(
            "descriptors",
            ValueSpec::TextOrNumber,
            "Open descriptors of the host's lanes.",
        ),
        KeySpec::new(
            "send_q",
            ValueSpec::TextOrNumber,
            "Bytes that are not acknowledged.",
        ),
        KeySpec::new(
            "recv_q",
            ValueSpec::TextOrNumber,
            "Bytes that are not read.",
        ),
        KeySpec::new("when", ValueSpec::WHEN, "Only in these cases."),
    ]],
);

/// The states that a check can name, as netstat shows them.
pub const STATES: [&str; 11] = [
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
];

pub const FAMILIES: [(&str, Family); 2] = [("ipv4", Family::Ipv4), ("ipv6", Family::Ipv6)];
pub const CLOCKS: [(&str, Clock); 2] = [("any", Clock::Any), ("virtual", Clock::Virtual)];

fn matrix() -> Value {
    json!({
        "type": "object",
        "additionalProperties": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": true,
            "items": { "$ref": "#/$defs/scalar" },
        },
    })
}

fn sysctls() -> Value {
    json!({
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "propertyNames": { "pattern": "^net\\." },
            "additionalProperties": { "type": ["string", "integer"] },
        },
    })
}
