//! Tables of the mappings that describe events.

use crate::case::{Carrier, InterfaceChange, NeighbourChange, RouteChange};
use crate::network::{CABLE, DIRECTION};
use crate::yaml::{KeySpec, MappingSpec, ValueSpec};

use super::impair::IMPAIR;
use super::packet::{DROP, REJECT};

/// An event: its verbs, and the keys that can stand beside one.
pub static EVENT: MappingSpec = MappingSpec::new(
    "event",
    "Something the runner does: when, and one verb.",
    &[
        &[
            KeySpec::new(
                "kill",
                ValueSpec::AnyOf(&[ValueSpec::Text, ValueSpec::Mapping(&KILL)]),
                "A signal to a lane.",
            ),
            KeySpec::new(
                "freeze",
                ValueSpec::Text,
                "SIGSTOP to every process of the lane.",
            ),
            KeySpec::new(
                "thaw",
                ValueSpec::Text,
                "SIGCONT to every process of the lane.",
            ),
            KeySpec::new(
                "shutdown",
                ValueSpec::AnyOf(&[ValueSpec::Text, ValueSpec::Mapping(&SHUTDOWN)]),
                "SIGTERM, grace, SIGKILL, then the host's network goes.",
            ),
            KeySpec::new(
                "crash",
                ValueSpec::Text,
                "Silence, then death: no FIN and no RST escapes.",
            ),
            KeySpec::new(
                "reboot",
                ValueSpec::AnyOf(&[ValueSpec::Text, ValueSpec::Mapping(&REBOOT)]),
                "Crash, then the same host again.",
            ),
            KeySpec::new(
                "suspend",
                ValueSpec::Text,
                "The host sleeps: nothing passes its cables, its processes stop.",
            ),
            KeySpec::new("resume", ValueSpec::Text, "The host that sleeps wakes up."),
            KeySpec::new("restart", ValueSpec::Mapping(&RESTART), ""),
            KeySpec::new(
                "cut",
                ValueSpec::AnyOf(&[ValueSpec::Text, ValueSpec::Mapping(&CUT)]),
                "Nothing passes the cable.",
            ),
            KeySpec::new("impair", ValueSpec::Mapping(&IMPAIR), ""),
            KeySpec::new(
                "heal",
                ValueSpec::Text,
                "Undo an event by its name, or `all`.",
            ),
            KeySpec::new(
                "drop",
                ValueSpec::AnyOf(&[ValueSpec::Nothing, ValueSpec::Mapping(&DROP)]),
                "",
            ),
            KeySpec::new("reject", ValueSpec::Mapping(&REJECT), ""),
            KeySpec::new("route", ValueSpec::Mapping(&ROUTE), ""),
            KeySpec::new(
                "address_removed",
                ValueSpec::Text,
                "The host loses its addresses.",
            ),
            KeySpec::new("interface", ValueSpec::Mapping(&INTERFACE), ""),
            KeySpec::new("neighbour", ValueSpec::Mapping(&NEIGHBOUR), ""),
            KeySpec::new(
                "forget",
                ValueSpec::Text,
                "A router with `nat` forgets every connection.",
            ),
            KeySpec::new("move", ValueSpec::Mapping(&MOVE), ""),
            KeySpec::new("type", ValueSpec::Mapping(&TYPE), ""),
            KeySpec::new(
                "netstat",
                ValueSpec::AnyOf(&[ValueSpec::Nothing, ValueSpec::Mapping(&NETSTAT)]),
                "Sockets are looked at.",
            ),
        ],
        &[
            KeySpec::new("at", ValueSpec::DURATION, "So long after the start."),
            KeySpec::new("after", ValueSpec::Text, "After this mark."),
            KeySpec::new("by", ValueSpec::DURATION, "So long after the mark."),
            KeySpec::new(
                "name",
                ValueSpec::Text,
                "The mark it sets. Default: its verb.",
            ),
            KeySpec::new("when", ValueSpec::WHEN, "Only in these cases."),
        ],
    ],
);

pub static KILL: MappingSpec = MappingSpec::new(
    "`kill`",
    "Which process, which signal.",
    &[&[
        KeySpec::new("lane", ValueSpec::Text, "The lane.").required("server"),
        KeySpec::new("signal", ValueSpec::Text, "Its name. Default: KILL."),
        KeySpec::new(
            "child",
            ValueSpec::TRUTH,
            "The newest forked child instead.",
        ),
    ]],
);

const THE_HOST: KeySpec = KeySpec::new("host", ValueSpec::Text, "The host.").required("server");

pub static SHUTDOWN: MappingSpec = MappingSpec::new(
    "`shutdown`",
    "Which host.",
    &[&[
        THE_HOST,
        KeySpec::new(
            "grace",
            ValueSpec::DURATION,
            "Time between SIGTERM and SIGKILL. Default: 5s.",
        ),
    ]],
);

pub static REBOOT: MappingSpec = MappingSpec::new(
    "`reboot`",
    "Which host.",
    &[&[
        THE_HOST,
        KeySpec::new("down_for", ValueSpec::DURATION, "Default: 500ms."),
        KeySpec::new("mac", ValueSpec::Word(&MAC_IS_KEPT), "Default: same."),
        KeySpec::new(
            "state",
            ValueSpec::Word(&STATE_IS_KEPT),
            "What a router with `nat` knew of connections. Default: lost.",
        ),
    ]],
);

pub const MAC_IS_KEPT: [(&str, bool); 2] = [("same", true), ("new", false)];
pub const STATE_IS_KEPT: [(&str, bool); 2] = [("lost", false), ("kept", true)];

pub static RESTART: MappingSpec = MappingSpec::new(
    "`restart`",
    "A lane ends and is started again.",
    &[&[
        KeySpec::new("lane", ValueSpec::Text, "The lane.").required("client"),
        KeySpec::new("times", ValueSpec::WHOLE, "How often. Default: 1."),
        KeySpec::new(
            "every",
            ValueSpec::DURATION,
            "Time from one restart to the next. Default and least: 200ms.",
        ),
        KeySpec::new(
            "fin",
            ValueSpec::TRUTH,
            "Its process is killed, and the kernel sends FIN; else its host loses power and comes back, and nobody does.",
        )
        .required("true"),
    ]],
);

pub static CUT: MappingSpec = MappingSpec::new(
    "`cut`",
    "Which cable, and how.",
    &[&[
        CABLE,
        DIRECTION,
        KeySpec::new(
            "carrier",
            ValueSpec::Word(&CARRIERS),
            "What the ends see. `lost`: the node that is named (of two, the first) loses its carrier, the other keeps its own. Default: kept.",
        ),
    ]],
);

pub const CARRIERS: [(&str, Carrier); 2] = [("kept", Carrier::Kept), ("lost", Carrier::Lost)];

const WHOSE: KeySpec = KeySpec::new("host", ValueSpec::Text, "Whose.").required("client");

const fn change(changes: ValueSpec, example: &'static str) -> KeySpec {
    KeySpec::new("change", changes, "What becomes of it.").required(example)
}

pub static ROUTE: MappingSpec = MappingSpec::new(
    "`route`",
    "A host's route changes.",
    &[&[
        WHOSE,
        change(ValueSpec::Word(&ROUTE_CHANGES), "removed"),
        KeySpec::new(
            "to",
            ValueSpec::Text,
            "The host it leads to. Default: the default route and every connected one.",
        ),
    ]],
);

pub const ROUTE_CHANGES: [(&str, RouteChange); 4] = [
    ("removed", RouteChange::Removed),
    ("unreachable", RouteChange::Unreachable),
    ("prohibit", RouteChange::Prohibit),
    ("blackhole", RouteChange::Blackhole),
];

pub static INTERFACE: MappingSpec = MappingSpec::new(
    "`interface`",
    "All interfaces of a host or a router.",
    &[&[WHOSE, change(ValueSpec::Word(&INTERFACE_CHANGES), "down")]],
);

pub const INTERFACE_CHANGES: [(&str, InterfaceChange); 2] = [
    ("down", InterfaceChange::Down),
    ("deleted", InterfaceChange::Deleted),
];

pub static NEIGHBOUR: MappingSpec = MappingSpec::new(
    "`neighbour`",
    "A host's ARP and NDP entries.",
    &[&[
        WHOSE,
        change(ValueSpec::Word(&NEIGHBOUR_CHANGES), "flushed"),
    ]],
);

pub const NEIGHBOUR_CHANGES: [(&str, NeighbourChange); 2] = [
    ("flushed", NeighbourChange::Flushed),
    ("pinned", NeighbourChange::Pinned),
];

pub static MOVE: MappingSpec = MappingSpec::new(
    "`move`",
    "A host's address moves to another host of its LAN.",
    &[&[
        KeySpec::new("from", ValueSpec::Text, "Whose address it is.").required("server"),
        KeySpec::new("to", ValueSpec::Text, "Who has it from then on.").required("standby"),
        KeySpec::new(
            "announced",
            ValueSpec::TRUTH,
            "The new owner says so to everybody: gratuitous ARP, unsolicited neighbour advertisement.",
        )
        .required("true"),
    ]],
);

pub static TYPE: MappingSpec = MappingSpec::new(
    "`type`",
    "Text appears on a lane's keyboard.",
    &[&[
        KeySpec::new("lane", ValueSpec::Text, "The lane.").required("client"),
        KeySpec::new("text", ValueSpec::TextOrNumber, "A line.").required("another line"),
    ]],
);

/// `netstat: {}` takes no keys.
pub static NETSTAT: MappingSpec = MappingSpec::new("`netstat`", "", &[]);
