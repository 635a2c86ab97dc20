//! Tables of the mappings that describe programs as lanes.

use serde_json::json;

use crate::yaml::{KeySpec, MappingSpec, ValueSpec};

/// A command: a list of words, or one text that is split as a shell splits it.
const COMMAND: ValueSpec =
    ValueSpec::AnyOf(&[ValueSpec::Text, ValueSpec::some(&ValueSpec::TextOrNumber)]);

pub static PROGRAM: MappingSpec = MappingSpec::new(
    "a program",
    "An unmodified program that runs on a host, observed call by call.",
    &[&[
        KeySpec::new(
            "run",
            COMMAND,
            "The program and its arguments: a list, or one text that is split as a shell \
             splits words. `${host}` stands for the address of a host.",
        )
        .required("[redis-server, --port, \"7000\"]"),
        KeySpec::new(
            "on",
            ValueSpec::Text,
            "The host. Default: the one of the lane's name.",
        ),
        KeySpec::new("count", ValueSpec::WHOLE, "How many of it run. Default: 1."),
        KeySpec::new(
            "ready",
            ValueSpec::AnyOf(&[ValueSpec::Text, ValueSpec::Mapping(&READY)]),
            "When others may connect. Default for a lane that others connect to: once it \
             listens on any port.",
        ),
        KeySpec::new(
            "stop",
            ValueSpec::Text,
            "The signal that asks it to end. Default: TERM.",
        ),
        KeySpec::new(
            "env",
            ValueSpec::Schema(|| {
                json!({
                    "type": "object",
                    "additionalProperties": { "type": ["string", "number", "boolean"] },
                })
            }),
            "Variables on top of the caller's environment.",
        ),
        KeySpec::new(
            "cwd",
            ValueSpec::Text,
            "Its working directory. Default: an empty one of its own.",
        ),
        KeySpec::new(
            "user",
            ValueSpec::TextOrNumber,
            "Who runs it, by name or number. Default: the caller's user.",
        ),
        KeySpec::new(
            "stdin",
            ValueSpec::AnyOf(&[ValueSpec::TextOrNumber, ValueSpec::Mapping(&STDIN)]),
            "Its standard input. Default: empty.",
        ),
        KeySpec::new(
            "observe",
            ValueSpec::Text,
            "`wire`: its calls are left alone, and it runs at its own speed; its packets, lines \
             and end are observed. Default: `calls`.",
        ),
        KeySpec::new(
            "prepare",
            ValueSpec::some(&COMMAND),
            "Commands that are run before, in the same directory, by the same user.",
        ),
        KeySpec::new(
            "files",
            ValueSpec::some(&ValueSpec::Text),
            "Files and directories that a guest needs besides the programs and their libraries.",
        ),
    ]],
);

pub static READY: MappingSpec = MappingSpec::new(
    "`ready`",
    "Exactly one of these.",
    &[&[
        KeySpec::new(
            "listening",
            ValueSpec::WHOLE,
            "It listens on this TCP port.",
        ),
        KeySpec::new(
            "output",
            ValueSpec::Text,
            "It has written a line with this in it.",
        ),
        KeySpec::new("after", ValueSpec::DURATION, "It has run for so long."),
    ]],
);

pub static STDIN: MappingSpec = MappingSpec::new(
    "`stdin`",
    "Text that is written at a time; the input stays open.",
    &[&[
        KeySpec::new(
            "after",
            ValueSpec::DURATION,
            "How long after the start of the case.",
        )
        .required("1s"),
        KeySpec::new("text", ValueSpec::TextOrNumber, "What is written.").required("\"PING\\n\""),
    ]],
);
