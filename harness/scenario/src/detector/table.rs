//! Tables of the mappings that describe detectors.

use serde_json::json;

use crate::case::{BeatWhen, HeartbeatSender, KeepaliveBy, OnSilence, SignOfLife};
use crate::yaml::{KeySpec, MappingSpec, ValueSpec};

pub static DETECTOR: MappingSpec = MappingSpec::new(
    "a detector",
    "How an endpoint notices a dead peer; empty: it does not.",
    &[
        &[
            KeySpec::new("keepalive", ValueSpec::Mapping(&KEEPALIVE), ""),
            KeySpec::new("user_timeout", ValueSpec::DURATION, "TCP_USER_TIMEOUT."),
            KeySpec::new("read_timeout", ValueSpec::DURATION, "SO_RCVTIMEO."),
            KeySpec::new(
                "poll",
                ValueSpec::DURATION,
                "poll() with this limit before each read.",
            ),
            KeySpec::new("heartbeat", ValueSpec::Mapping(&HEARTBEAT), ""),
        ],
        &OPTIONS,
    ],
);

/// Options that a detector has, and a `set` step.
const OPTIONS: [KeySpec; 4] = [
    KeySpec::new(
        "syncnt",
        ValueSpec::WHOLE,
        "TCP_SYNCNT: how often a SYN is sent again.",
    ),
    KeySpec::new(
        "rto_max",
        ValueSpec::DURATION,
        "TCP_RTO_MAX_MS: the longest time between two retransmissions (Linux 6.15).",
    ),
    KeySpec::new(
        "linger",
        ValueSpec::AnyOf(&[ValueSpec::DURATION, ValueSpec::WordWithoutAxis(&OFF)]),
        "SO_LINGER: whole seconds that close() waits; 0s sends RST.",
    ),
    KeySpec::new("receive_buffer", ValueSpec::WHOLE, "SO_RCVBUF, bytes."),
];

const OFF: [&str; 1] = ["off"];
const ON_OR_OFF: [&str; 2] = ["on", "off"];
const TIME_OR_OFF: ValueSpec =
    ValueSpec::AnyOf(&[ValueSpec::DURATION, ValueSpec::WordWithoutAxis(&OFF)]);

/// What a `set` step sets.
pub static SET: MappingSpec = MappingSpec::new(
    "`set`",
    "setsockopt() on the connection, at any time; one call for each, in this order.",
    &[
        &[
            KeySpec::new(
                "keepalive",
                ValueSpec::AnyOf(&[
                    ValueSpec::WordWithoutAxis(&ON_OR_OFF),
                    ValueSpec::TRUTH,
                    ValueSpec::Mapping(&SET_KEEPALIVE),
                ]),
                "SO_KEEPALIVE: on, off, or on with these values.",
            ),
            KeySpec::new("user_timeout", TIME_OR_OFF, "TCP_USER_TIMEOUT."),
            KeySpec::new("read_timeout", TIME_OR_OFF, "SO_RCVTIMEO."),
        ],
        &OPTIONS,
    ],
);

pub static SET_KEEPALIVE: MappingSpec = MappingSpec::new(
    "keepalive",
    "What is left out stays as it is.",
    &[&[
        KeySpec::new("idle", ValueSpec::DURATION, "TCP_KEEPIDLE, whole seconds."),
        KeySpec::new(
            "interval",
            ValueSpec::DURATION,
            "TCP_KEEPINTVL, whole seconds.",
        ),
        KeySpec::new("count", ValueSpec::WHOLE, "TCP_KEEPCNT."),
    ]],
);

pub static KEEPALIVE: MappingSpec = MappingSpec::new(
    "keepalive",
    "SO_KEEPALIVE. What is left out comes from the host's sysctls: 7200 s, 75 s, 9.",
    &[&[
        KeySpec::new(
            "idle",
            ValueSpec::DURATION,
            "Idle time before the first probe (TCP_KEEPIDLE), whole seconds up to 32767s.",
        ),
        KeySpec::new(
            "interval",
            ValueSpec::DURATION,
            "Time between probes (TCP_KEEPINTVL), whole seconds up to 32767s.",
        ),
        KeySpec::new(
            "count",
            ValueSpec::Schema(|| json!({ "type": "integer", "minimum": 1, "maximum": 255 })),
            "Unanswered probes before the connection is given up (TCP_KEEPCNT; more than 127 only by sysctl).",
        ),
        KeySpec::new(
            "by",
            ValueSpec::WordWithoutAxis(&KEEPALIVE_PLACES),
            "setsockopt() or the host's sysctls. Default: socket.",
        ),
    ]],
);

pub const KEEPALIVE_PLACES: [(&str, KeepaliveBy); 2] = [
    ("socket", KeepaliveBy::Socket),
    ("sysctl", KeepaliveBy::Sysctl),
];

pub static HEARTBEAT: MappingSpec = MappingSpec::new(
    "a heartbeat",
    "The application's own heartbeat. It beats while the lane waits in any step but `poll`.",
    &[&[
        KeySpec::new("every", ValueSpec::DURATION, "Time between two beats.").required("1s"),
        KeySpec::new(
            "timeout",
            ValueSpec::DURATION,
            "Silence that counts as a miss: since the last beat, or, when beats are answered, since the first beat without an answer.",
        )
        .required("3s"),
        KeySpec::new(
            "check_every",
            ValueSpec::DURATION,
            "The checker looks only so often. Default: when it is time.",
        ),
        KeySpec::new(
            "misses",
            ValueSpec::WHOLE,
            "Looks in a row that must find a miss before the peer is dead. Default: 1.",
        ),
        KeySpec::new(
            "from",
            ValueSpec::Word(&SENDERS),
            "Who sends. Default: client.",
        ),
        KeySpec::new(
            "answered",
            ValueSpec::TRUTH,
            "Each beat is answered, and its sender checks; else its hearer does. Default: false.",
        ),
        KeySpec::new(
            "when",
            ValueSpec::Word(&BEAT_TIMES),
            "Beats always; or only when nothing else was sent for as long; or only while an answer is owed. In the latter two any byte is a sign of life. Default: always.",
        ),
        KeySpec::new(
            "counts",
            ValueSpec::Word(&SIGNS_OF_LIFE),
            "What counts as a sign of life: an answer to an own beat, the peer's beats, any byte that comes, or what the kernel takes of own data, too. Default: answers where beats are answered, else beats.",
        ),
        KeySpec::new(
            "on_silence",
            ValueSpec::Word(&ANSWERS_TO_SILENCE),
            "What is done with the connection. Default: close.",
        ),
        KeySpec::new(
            "reconnect",
            ValueSpec::AnyOf(&[ValueSpec::DURATION, ValueSpec::Mapping(&RECONNECT)]),
            "A client connects again when its connection is over: the delay, or more. Default: it does not.",
        ),
    ]],
);

pub const SENDERS: [(&str, HeartbeatSender); 3] = [
    ("client", HeartbeatSender::Client),
    ("server", HeartbeatSender::Server),
    ("both", HeartbeatSender::Both),
];

pub const BEAT_TIMES: [(&str, BeatWhen); 3] = [
    ("always", BeatWhen::Always),
    ("idle", BeatWhen::Idle),
    ("busy", BeatWhen::Busy),
];

pub const SIGNS_OF_LIFE: [(&str, SignOfLife); 4] = [
    ("answer", SignOfLife::Answer),
    ("beat", SignOfLife::Beat),
    ("any_byte", SignOfLife::AnyByte),
    ("own_writes", SignOfLife::OwnWrites),
];

pub const ANSWERS_TO_SILENCE: [(&str, OnSilence); 4] = [
    ("close", OnSilence::Close),
    ("half_close", OnSilence::HalfClose),
    ("reset", OnSilence::Reset),
    ("nothing", OnSilence::Nothing),
];

pub static RECONNECT: MappingSpec = MappingSpec::new(
    "`reconnect`",
    "How a client connects again.",
    &[&[
        KeySpec::new("delay", ValueSpec::DURATION, "Time before the first try.").required("500ms"),
        KeySpec::new(
            "backoff",
            ValueSpec::Schema(|| json!({ "type": "number", "minimum": 1, "maximum": 100 })),
            "Each further wait is so many times the one before. Default: 1.",
        ),
        KeySpec::new(
            "limit",
            ValueSpec::WHOLE,
            "Tries in a row that may fail. Default: no limit.",
        ),
    ]],
);
