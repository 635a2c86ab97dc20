//! Tables of the mappings that describe detectors.

use serde_json::json;

use crate::case::{BeatWhen, HeartbeatSender, KeepaliveBy, OnSilence};
use crate::yaml::{KeySpec, MappingSpec, ValueSpec};

pub static DETECTOR: MappingSpec = MappingSpec::new(
    "a detector",
    "How an endpoint notices a dead peer; empty: it does not.",
    &[&[
        KeySpec::new("keepalive", ValueSpec::Mapping(&KEEPALIVE), ""),
        KeySpec::new("user_timeout", ValueSpec::DURATION, "TCP_USER_TIMEOUT."),
        KeySpec::new("read_timeout", ValueSpec::DURATION, "SO_RCVTIMEO."),
        KeySpec::new(
            "poll",
            ValueSpec::DURATION,
            "poll() with this limit before each read.",
        ),
        KeySpec::new("heartbeat", ValueSpec::Mapping(&HEARTBEAT), ""),
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
            "Beats always, or only when nothing else was sent for as long; then any byte is a sign of life. Default: always.",
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

pub const BEAT_TIMES: [(&str, BeatWhen); 2] =
    [("always", BeatWhen::Always), ("idle", BeatWhen::Idle)];

pub const ANSWERS_TO_SILENCE: [(&str, OnSilence); 3] = [
    ("close", OnSilence::Close),
    ("half_close", OnSilence::HalfClose),
    ("reset", OnSilence::Reset),
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
