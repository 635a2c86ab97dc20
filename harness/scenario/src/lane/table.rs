//! Tables of the mappings that describe lanes and their steps.

use crate::case::{Disposition, OnEof};
use crate::detector::SET;
use crate::yaml::{KeySpec, MappingSpec, ValueSpec};

pub static LANE: MappingSpec = MappingSpec::new(
    "a lane",
    "A script that runs in its own process on a host.",
    &[&[
        KeySpec::new(
            "on",
            ValueSpec::Text,
            "The host. Default: the one of the lane's name.",
        ),
        KeySpec::new(
            "count",
            ValueSpec::WHOLE,
            "How many processes run the script. Default: 1.",
        ),
        KeySpec::new(
            "detector",
            ValueSpec::Text,
            "The name of this lane's own detector.",
        ),
        KeySpec::new(
            "sigpipe",
            ValueSpec::Word(&DISPOSITIONS),
            "What SIGPIPE does to it. Default: default.",
        ),
        KeySpec::new(
            "sigterm",
            ValueSpec::Word(&DISPOSITIONS),
            "What SIGTERM does to it. Default: default.",
        ),
        KeySpec::new("steps", ValueSpec::STEPS, "What it does, in order.")
            .required("[connect, read]"),
    ]],
);

pub const DISPOSITIONS: [(&str, Disposition); 2] = [
    ("default", Disposition::Default),
    ("ignore", Disposition::Ignore),
];

/// A step: its verbs, and the keys that can stand beside one.
pub static STEP: MappingSpec = MappingSpec::new(
    "step",
    "One verb, and what belongs to it.",
    &[
        &[
            KeySpec::new("listen", ValueSpec::Mapping(&LISTEN), "").bare(),
            KeySpec::new("accept", ValueSpec::WHOLE, "accept() so many connections.").bare(),
            KeySpec::new(
                "serve",
                ValueSpec::AnyOf(&[ValueSpec::STEPS, ValueSpec::Mapping(&SERVE)]),
                "accept() for ever; each connection is served by these steps, one after the other unless `fork` is set.",
            ),
            KeySpec::new(
                "multiplex",
                ValueSpec::AnyOf(&[ValueSpec::Nothing, ValueSpec::Mapping(&MULTIPLEX)]),
                "One process for all connections, by poll(); for ever.",
            )
            .bare(),
            KeySpec::new(
                "echo",
                ValueSpec::Nothing,
                "read() and write() the same back until end of file or an error.",
            )
            .bare(),
            KeySpec::new(
                "connect",
                ValueSpec::AnyOf(&[ValueSpec::TextOrNothing, ValueSpec::Mapping(&CONNECT)]),
                "connect(); without a value, to the only other host that listens.",
            )
            .bare(),
            KeySpec::new(
                "pool",
                ValueSpec::Mapping(&POOL),
                "Opens the connections of a pool.",
            ),
            KeySpec::new(
                "request",
                ValueSpec::Definition("payload"),
                "As `exchange`, on the connection of the pool that has not been used for longest.",
            ),
            KeySpec::new(
                "exchange",
                ValueSpec::Definition("payload"),
                "write(), then read() until as much came back.",
            ),
            KeySpec::new(
                "write",
                ValueSpec::Definition("payload"),
                "write() until the kernel took everything.",
            ),
            KeySpec::new(
                "read",
                ValueSpec::AnyOf(&[ValueSpec::Nothing, ValueSpec::WHOLE]),
                "One read() with a buffer of so many bytes.",
            )
            .bare(),
            KeySpec::new(
                "drain",
                ValueSpec::Nothing,
                "read() until end of file or an error.",
            )
            .bare(),
            KeySpec::new(
                "poll",
                ValueSpec::AnyOf(&[
                    ValueSpec::Nothing,
                    ValueSpec::DURATION,
                    ValueSpec::Mapping(&POLL),
                ]),
                "poll() for input and hang-up.",
            )
            .bare(),
            KeySpec::new("keyboard", ValueSpec::Nothing, "read() on the keyboard.").bare(),
            KeySpec::new("half_close", ValueSpec::Nothing, "shutdown(SHUT_WR).").bare(),
            KeySpec::new("set", ValueSpec::Mapping(&SET), ""),
            KeySpec::new(
                "beside",
                ValueSpec::STEPS,
                "A second thread does these steps on the same sockets, while the lane goes on.",
            ),
            KeySpec::new(
                "relay",
                ValueSpec::AnyOf(&[ValueSpec::Nothing, ValueSpec::pair(&ValueSpec::Text)]),
                "Whatever comes from one of two connections is written to the other, until both have ended. Default: the two newest.",
            )
            .bare(),
            KeySpec::new(
                "close",
                ValueSpec::AnyOf(&[ValueSpec::Nothing, ValueSpec::Mapping(&CLOSE)]),
                "close().",
            )
            .bare(),
            KeySpec::new("sleep", ValueSpec::DURATION, "Let time pass."),
            KeySpec::new(
                "wait_for",
                ValueSpec::Text,
                "Wait until an event took effect or another lane set the mark.",
            ),
            KeySpec::new("exit", ValueSpec::Nothing, "The process ends.").bare(),
            KeySpec::new("repeat", ValueSpec::Mapping(&REPEAT), ""),
        ],
        &[
            KeySpec::new(
                "on",
                ValueSpec::Text,
                "The connection it is done on. Default: the newest one.",
            ),
            KeySpec::new(
                "as",
                ValueSpec::Text,
                "A name for the connection that connect or accept makes.",
            ),
            KeySpec::new(
                "mark",
                ValueSpec::Text,
                "A mark that is set once the step is done.",
            ),
            KeySpec::new("when", ValueSpec::WHEN, "Only in these cases."),
        ],
    ],
);

const PORT: KeySpec = KeySpec::new("port", ValueSpec::WHOLE, "Default: 7000.");

pub static LISTEN: MappingSpec = MappingSpec::new(
    "`listen`",
    "socket(), bind(), listen().",
    &[&[
        PORT,
        KeySpec::new("backlog", ValueSpec::WHOLE, "Default: 128."),
    ]],
);

pub static SERVE: MappingSpec = MappingSpec::new(
    "`serve`",
    "With or without a child per connection.",
    &[&[
        KeySpec::new(
            "fork",
            ValueSpec::TRUTH,
            "Fork a child per connection. Without, a connection waits until the one before it has ended.",
        ),
        KeySpec::new(
            "each",
            ValueSpec::STEPS,
            "The steps that serve one connection.",
        )
        .required("[echo]"),
    ]],
);

pub static MULTIPLEX: MappingSpec = MappingSpec::new(
    "`multiplex`",
    "How many, and what is done with them.",
    &[&[
        KeySpec::new(
            "slots",
            ValueSpec::WHOLE,
            "Connections at a time. Default: all.",
        ),
        KeySpec::new(
            "echo",
            ValueSpec::TRUTH,
            "Write back what was read. Default: true.",
        ),
        KeySpec::new(
            "on_eof",
            ValueSpec::Word(&ANSWERS_TO_EOF),
            "What a read that returned 0 leads to. Default: close.",
        ),
    ]],
);

pub const ANSWERS_TO_EOF: [(&str, OnEof); 2] = [("close", OnEof::Close), ("ignore", OnEof::Ignore)];

pub static CONNECT: MappingSpec = MappingSpec::new(
    "`connect`",
    "Where to, and how.",
    &[&[
        KeySpec::new("to", ValueSpec::Text, "The host."),
        KeySpec::new(
            "address",
            ValueSpec::Text,
            "An address nobody has, instead of a host.",
        ),
        PORT,
        KeySpec::new(
            "count",
            ValueSpec::WHOLE,
            "How many connections, one after the other. Default: 1.",
        ),
        KeySpec::new(
            "nonblocking",
            ValueSpec::TRUTH,
            "EINPROGRESS, poll(), then SO_ERROR.",
        ),
    ]],
);

pub static POOL: MappingSpec = MappingSpec::new(
    "`pool`",
    "How many connections, and which of them are used.",
    &[&[
        KeySpec::new("connections", ValueSpec::WHOLE, "How many it has.").required("3"),
        KeySpec::new(
            "max_idle",
            ValueSpec::DURATION,
            "A connection that has not been used for longer is replaced before it is used. Default: none is.",
        ),
        KeySpec::new(
            "retry",
            ValueSpec::TRUTH,
            "A request that fails is made once more, on a new connection. Default: false.",
        ),
        KeySpec::new(
            "to",
            ValueSpec::Text,
            "The host. Default: the only other one that listens.",
        ),
        PORT,
    ]],
);

pub static PAYLOAD: MappingSpec = MappingSpec::new(
    "a payload",
    "Bytes to send.",
    &[&[KeySpec::new("bytes", ValueSpec::WHOLE, "").required("100000")]],
);

pub static POLL: MappingSpec = MappingSpec::new(
    "`poll`",
    "With a limit, or on the keyboard too.",
    &[&[
        KeySpec::new(
            "timeout",
            ValueSpec::DURATION,
            "Its limit. Default: for ever.",
        ),
        KeySpec::new("keyboard", ValueSpec::TRUTH, "Wait on the keyboard, too."),
    ]],
);

pub static CLOSE: MappingSpec = MappingSpec::new(
    "`close`",
    "With SO_LINGER.",
    &[&[KeySpec::new(
        "linger",
        ValueSpec::DURATION,
        "Whole seconds; 0s sends RST.",
    )
    .required("0s")]],
)
.subject("`close` with a value");

pub static REPEAT: MappingSpec = MappingSpec::new(
    "`repeat`",
    "Do steps several times.",
    &[&[
        KeySpec::new("times", ValueSpec::WHOLE, "How often.").required("3"),
        KeySpec::new("steps", ValueSpec::STEPS, "What.").required("[...]"),
    ]],
);
