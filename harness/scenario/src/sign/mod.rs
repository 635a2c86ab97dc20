//! Decodes signs: a scenario's `book` and `expect`, and what a baseline keeps. The
//! catalogue uses it, and `halfopen-outcome` for baselines.

use crate::case::{Known, Sign, SignKind};
use crate::yaml::{Decoder, Fields, Key, Node, Problem, Refusal, Value, name, scalar};

mod names;
mod table;

pub use names::{errno, signal};
pub use table::{KNOWN, SIGN};

use table::{KINDS, SEEN};

/// Calls that endpoints make, and those that are observed in programs. `heartbeat` is the
/// wait for a beat, as reports name it.
pub const CALLS: [&str; 31] = [
    "socket",
    "setsockopt",
    "getsockopt",
    "bind",
    "listen",
    "accept",
    "accept4",
    "connect",
    "read",
    "write",
    "poll",
    "shutdown",
    "close",
    "readv",
    "recvfrom",
    "recvmsg",
    "recvmmsg",
    "writev",
    "sendto",
    "sendmsg",
    "sendmmsg",
    "sendfile",
    "splice",
    "select",
    "pselect6",
    "ppoll",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "exit",
    "heartbeat",
];

/// A sign, or the first sign of a list whose `when` holds. The outer None: a problem
/// was noted.
#[allow(clippy::option_option)]
pub fn sign<'a>(
    dec: &Decoder<'a, '_>,
    node: Option<&'a Node>,
    lanes: &[String],
    source: Source,
) -> Option<Option<Sign>> {
    let Some(node) = node else { return Some(None) };
    let Value::List(entries) = &node.value else {
        let fields = dec.mapping(node, &SIGN)?;
        if let Some(span) = fields.key("when") {
            dec.problem(
                Problem::new(span, "a single sign cannot have a `when`")
                    .expected("`when` in a list of signs only")
                    .help("make it a list: `- { when: { ... }, errno: ... }`"),
            );
        }
        return decode_sign(dec, &fields, Some(lanes), source).map(Some);
    };
    let mut chosen: Option<Option<Sign>> = None;
    for entry in entries {
        let fields = dec.mapping(entry, &SIGN)?;
        let holds = dec.when(&fields);
        let sign = decode_sign(dec, &fields, Some(lanes), source);
        dec.findings.choose(entry.span, holds && chosen.is_none());
        if holds && chosen.is_none() {
            chosen = Some(sign);
        }
    }
    match chosen {
        None => Some(None),
        Some(sign) => sign.map(Some),
    }
}

/// Where a sign comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A book, or a baseline: it has no known differences.
    Book,
    /// What is expected of Linux, perhaps with a known difference.
    Expectation,
}

/// A sign that was seen, as a baseline keeps it. Its lane is not checked.
pub fn seen<'a>(dec: &Decoder<'a, '_>, node: &'a Node) -> Option<Sign> {
    let fields = dec.mapping(node, &SEEN)?;
    decode_sign(dec, &fields, None, Source::Book)
}

/// `known: { reason: ..., bug: ..., shows: ... }`.
pub fn known<'a>(dec: &Decoder<'a, '_>, node: &'a Node) -> Option<Known> {
    let fields = dec.mapping(node, &KNOWN)?;
    let reason = dec.needed(&fields, "reason");
    let bug = match fields.get("bug") {
        None => None,
        Some(node) => Some(dec.text(node, "a bug's number or address")?),
    };
    let shows = match fields.get("shows") {
        None => None,
        Some(node) => Some(seen(dec, node)?),
    };
    Some(Known {
        reason: dec.text(reason?, "why it is put up with")?,
        bug,
        shows,
    })
}

/// `lanes` are the scenario's lanes; None: they are not known.
fn decode_sign<'a>(
    dec: &Decoder<'a, '_>,
    fields: &Fields<'a>,
    lanes: Option<&[String]>,
    source: Source,
) -> Option<Sign> {
    let given: Vec<_> = fields
        .entries
        .iter()
        .filter(|(key, _)| KINDS.iter().any(|kind| kind.name == key.name))
        .collect();
    if let [(first, _), (second, _), ..] = given.as_slice() {
        dec.problem(
            Problem::new(
                second.span,
                format!("`{}` and `{}` in one sign", first.name, second.name),
            )
            .expected("exactly one sign: the first thing that shows"),
        );
        return None;
    }
    let Some((key, node)) = given.first() else {
        dec.problem(
            Problem::new(fields.span, "this says nothing of what the call shows")
                .expected(name::one_of(KINDS.iter().map(|kind| kind.name))),
        );
        return None;
    };
    let sign = kind(dec, key, node);
    if sign == Some(SignKind::Unnoticed)
        && let Some(extra) = ["call", "lane", "after"]
            .into_iter()
            .find_map(|key| fields.key(key))
    {
        dec.problem(
            Problem::new(
                extra,
                "nothing was noticed, so there is no call, lane or time",
            )
            .expected("`unnoticed: true` alone"),
        );
        return None;
    }
    let call = match fields.get("call") {
        None => Some(None),
        Some(node) => dec.known(node, "call", CALLS).map(Some),
    };
    let lane = match (fields.get("lane"), lanes) {
        (None, _) => Some(None),
        (Some(node), None) => dec.text(node, "the name of a lane").map(Some),
        (Some(node), Some(lanes)) => dec
            .known(node, "lane", lanes.iter().map(String::as_str))
            .map(Some),
    };
    // The table of signs that were seen has no `known`.
    let known = match (fields.find("known"), source) {
        (None, _) => Some(None),
        (Some(node), Source::Expectation) => known(dec, node).map(|known| Some(Box::new(known))),
        (Some(node), Source::Book) => {
            dec.problem(
                Problem::new(node.span, "a book has no known differences")
                    .expected("`known` beside what is expected of Linux")
                    .help("write it under `expect`"),
            );
            None
        }
    };
    let interval = |key: &str, expected: &str| {
        fields.optional(key, |node| dec.scalar(node, expected, scalar::interval))
    };
    let after = interval("after", "a duration or an interval: `9m` or `5s..6.2s`");
    let first_byte = interval(
        "first_byte",
        "a duration or an interval: `1.3s` or `1s..1.5s`",
    );
    Some(Sign {
        sign: sign?,
        call: call?,
        lane: lane?,
        after: after?,
        first_byte: first_byte?,
        known: known?,
    })
}

/// The kind of a sign, by its key.
fn kind<'a>(dec: &Decoder<'a, '_>, key: &Key, node: &'a Node) -> Option<SignKind> {
    Some(match key.name.as_str() {
        "errno" => {
            SignKind::Errno(dec.scalar(node, "the name of an errno such as `ETIMEDOUT`", errno)?)
        }
        "signal" => SignKind::Signal(dec.scalar(
            node,
            "the name of a signal such as `SIGPIPE`",
            |text| signal(text).map(|short| format!("SIG{short}")),
        )?),
        "exit" => SignKind::Exited(dec.scalar(node, "an exit status from 0 to 255", |text| {
            scalar::whole(text, 0, 255)
        })?),
        word => {
            dec.scalar(node, "`true`", |text| match text {
                "true" => Ok(()),
                _ => Err(Refusal::with(
                    format!("`{word}` can only be `true`"),
                    format!("leave `{word}` out when it is not the sign"),
                )),
            })?;
            match word {
                "eof" => SignKind::Eof,
                "hangup" => SignKind::PollHangup,
                "timeout" => SignKind::Timeout,
                "heartbeat_lost" => SignKind::HeartbeatLost,
                _ => SignKind::Unnoticed,
            }
        }
    })
}
