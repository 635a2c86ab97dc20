//! Tables of the mappings that describe networks.

use crate::case::{Direction, OnForgotten};
use crate::yaml::{KeySpec, MappingSpec, ValueSpec};

const NAMES: ValueSpec = ValueSpec::list(&ValueSpec::Definition("name"));

pub static NETWORK: MappingSpec = MappingSpec::new(
    "a network",
    "Hosts, routers, switches, and the cables between them.",
    &[&[
        KeySpec::new("hosts", NAMES, "They run lanes.").required("[client, server]"),
        KeySpec::new("routers", NAMES, "They forward IP between their cables."),
        KeySpec::new("switches", NAMES, "Learning bridges."),
        KeySpec::new(
            "cables",
            ValueSpec::list(&ValueSpec::pair(&ValueSpec::Text)),
            "Cables by the names at their two ends.",
        )
        .required("[[client, server]]"),
    ]],
);

/// A key for a cable.
pub const CABLE: KeySpec = KeySpec::new(
    "cable",
    ValueSpec::AnyOf(&[ValueSpec::Text, ValueSpec::pair(&ValueSpec::Text)]),
    "A node with one cable, or the nodes at both ends.",
)
.required("client");

/// A key for the direction through a cable, seen from the end that is named.
pub const DIRECTION: KeySpec = KeySpec::new(
    "direction",
    ValueSpec::Word(&DIRECTIONS),
    "Seen from the named end. Default: both.",
);

/// The directions through a cable.
pub const DIRECTIONS: [(&str, Direction); 3] = [
    ("both", Direction::Both),
    ("from", Direction::From),
    ("to", Direction::To),
];

pub static NAT: MappingSpec = MappingSpec::new(
    "`nat`",
    "A router keeps state of every TCP connection opened through it from the inside and lets nothing else through; over IPv4 it translates addresses, too.",
    &[&[
        KeySpec::new(
            "router",
            ValueSpec::Text,
            "The router. Default: the only one.",
        ),
        KeySpec::new(
            "inside",
            ValueSpec::AnyOf(&[ValueSpec::Text, ValueSpec::some(&ValueSpec::Text)]),
            "Hosts on its inside.",
        )
        .required("client"),
        KeySpec::new(
            "idle",
            ValueSpec::DURATION,
            "How long it remembers a connection without a packet, whole seconds. Default: 5d, as Linux.",
        ),
        KeySpec::new(
            "on_forgotten",
            ValueSpec::Word(&ANSWERS),
            "What becomes of packets of a connection it does not know: nothing, an RST, or (as Linux by default) from the inside it is known again. Default: silence.",
        ),
        KeySpec::new(
            "timeouts",
            ValueSpec::Mapping(&TIMEOUTS),
            "How long it remembers connections that are not established, by state.",
        ),
        KeySpec::new(
            "service",
            ValueSpec::Text,
            "A host inside: connections to the router's own address from outside are translated to it (DNAT), as by a load balancer. `connect: ROUTER` opens one.",
        ),
    ]],
);

/// By the names of nf_conntrack_tcp_timeout_*; the established one is `idle`.
pub static TIMEOUTS: MappingSpec = MappingSpec::new(
    "`timeouts`",
    "Whole seconds without a packet, by conntrack's state. Default: Linux's, but max_retrans and unacknowledged are as `idle`.",
    &[&[
        KeySpec::new("syn_sent", ValueSpec::DURATION, "Linux: 120s."),
        KeySpec::new("syn_recv", ValueSpec::DURATION, "Linux: 60s."),
        KeySpec::new(
            "fin_wait",
            ValueSpec::DURATION,
            "One end has sent a FIN. Linux: 120s.",
        ),
        KeySpec::new(
            "close_wait",
            ValueSpec::DURATION,
            "Half-closed: the FIN of one end was acknowledged. Linux: 60s.",
        ),
        KeySpec::new("last_ack", ValueSpec::DURATION, "Linux: 30s."),
        KeySpec::new("time_wait", ValueSpec::DURATION, "Linux: 120s."),
        KeySpec::new("close", ValueSpec::DURATION, "After an RST. Linux: 10s."),
        KeySpec::new(
            "max_retrans",
            ValueSpec::DURATION,
            "Data was sent again often. Linux: 300s.",
        ),
        KeySpec::new(
            "unacknowledged",
            ValueSpec::DURATION,
            "Data waits for its acknowledgment. Linux: 300s.",
        ),
    ]],
);

pub const ANSWERS: [(&str, OnForgotten); 3] = [
    ("silence", OnForgotten::Silence),
    ("reset", OnForgotten::Reset),
    ("resume", OnForgotten::Resume),
];
