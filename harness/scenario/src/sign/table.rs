//! Tables of the mappings that describe signs.

use serde_json::{Value, json};

use crate::yaml::{KeySpec, MappingSpec, ValueSpec};

/// `true` alone: a sign that is not the first one is left out.
const TRUE: ValueSpec = ValueSpec::Schema(|| json!({ "const": true }));

fn errno() -> Value {
    json!({ "type": "string", "pattern": "^E[A-Z0-9]+$" })
}

/// The kinds of sign; exactly one is given.
pub const KINDS: [KeySpec; 8] = [
    KeySpec::new(
        "errno",
        ValueSpec::Schema(errno),
        "A call fails with this errno.",
    ),
    KeySpec::new("eof", TRUE, "A read returns 0."),
    KeySpec::new(
        "hangup",
        TRUE,
        "A poll reports hang-up, error or end of input.",
    ),
    KeySpec::new(
        "timeout",
        TRUE,
        "A read or a poll runs into the application's own time limit.",
    ),
    KeySpec::new(
        "signal",
        ValueSpec::Text,
        "The process dies of this signal.",
    ),
    KeySpec::new(
        "exit",
        ValueSpec::WHOLE,
        "The program ends with this exit status.",
    ),
    KeySpec::new(
        "heartbeat_lost",
        TRUE,
        "The application's heartbeat stays away for too long.",
    ),
    KeySpec::new(
        "unnoticed",
        TRUE,
        "Nobody notices before the case gives up.",
    ),
];

/// What a sign can also state.
const DETAILS: [KeySpec; 4] = [
    KeySpec::new("call", ValueSpec::Text, "The call that shows it."),
    KeySpec::new("lane", ValueSpec::Text, "The lane that notices."),
    KeySpec::new(
        "after",
        ValueSpec::Text,
        "Time since the fault: 9m, or earliest and latest, 5s..6.2s.",
    ),
    KeySpec::new(
        "first_byte",
        ValueSpec::Text,
        "Time from the last heal until data of a connection older than the fault got through: 1.3s, or earliest and latest, 1s..1.5s.",
    ),
];

/// Keys that only signs in scenarios have.
const CONDITIONS: [KeySpec; 2] = [
    KeySpec::new(
        "when",
        ValueSpec::WHEN,
        "In a list: the cases this sign is for. The first that matches counts.",
    ),
    KeySpec::new(
        "known",
        ValueSpec::Definition("known"),
        "Under `expect`: why something else is seen until it is mended.",
    ),
];

/// A sign in a scenario.
pub static SIGN: MappingSpec = MappingSpec::new(
    "a sign",
    "What a call shows: exactly one of errno, eof, hangup, timeout, signal, heartbeat_lost, unnoticed.",
    &[&KINDS, &DETAILS, &CONDITIONS],
);

/// A sign that was seen: it has no `when` and no `known`. The schema does not
/// distinguish it from [`SIGN`].
pub static SEEN: MappingSpec = MappingSpec::new("a sign", "", &[&KINDS, &DETAILS]);

/// A known difference.
pub static KNOWN: MappingSpec = MappingSpec::new(
    "a known difference",
    "A difference that is known and put up with: it is told, and does not fail a run.",
    &[&[
        KeySpec::new("reason", ValueSpec::Text, "Why it is put up with.")
            .required("why it is put up with"),
        KeySpec::new(
            "bug",
            ValueSpec::TextOrNumber,
            "Where it is followed: a bug's number or address.",
        ),
        KeySpec::new(
            "shows",
            ValueSpec::Definition("sign"),
            "What is seen meanwhile; anything else is no known difference. Default: anything.",
        ),
    ]],
);
