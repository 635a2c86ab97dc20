//! Heartbeats: what the application itself says and expects in order to know
//! that its peer is alive.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::case::{Action, Lane, Step};
use super::decode::Decoder;
use super::detector::whole_milliseconds;
use super::error::{Problem, Span};
use super::fields::Fields;
use super::scalar::{self, Refusal};
use super::tree::{Node, Value};

/// An application's heartbeat, as the program at one end of a connection has it.
///
/// Who checks follows from who can know anything: the sender of beats that are
/// answered misses answers, the hearer of beats that are not misses beats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Time between two beats.
    pub every: Duration,
    /// Silence that counts as one miss: since the last beat that was heard, or,
    /// when beats are answered, since the first beat that still has no answer.
    pub timeout: Duration,
    /// The checker looks only so often, and a connection's first look is so
    /// long after it was made; None: it has a timer that fires when it is time.
    pub check_every: Option<Duration>,
    /// Looks in a row that must find a miss before the peer counts as dead.
    pub misses: u32,
    /// Who sends beats.
    pub from: HeartbeatSender,
    /// The hearer answers each.
    pub answered: bool,
    /// When beats are sent.
    pub when: BeatWhen,
    /// What is done with the connection when the peer counts as dead.
    pub on_silence: OnSilence,
    /// Whether, and how, a client connects again when its connection is over,
    /// by silence, end of file or an error.
    pub reconnect: Option<Reconnect>,
}

/// Who sends beats. The client is the end that connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeartbeatSender {
    /// The client.
    Client,
    /// The server.
    Server,
    /// Both.
    Both,
}

/// When beats are sent, and what counts as a sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BeatWhen {
    /// Whatever else is sent; only beats and answers count.
    Always,
    /// Only when nothing else was sent for as long; any byte counts.
    Idle,
}

/// What is done with the connection when the peer counts as dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnSilence {
    /// close(): what is still under way to here is answered with RST.
    Close,
    /// shutdown(SHUT_WR): what is still under way can be read.
    HalfClose,
    /// SO_LINGER 0 and close(): RST, and nothing stays behind.
    Reset,
}

/// How a client connects again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reconnect {
    /// Time before the first try.
    pub delay: Duration,
    /// Each further wait is so many times the one before.
    pub backoff: f64,
    /// Tries in a row that may fail; None: no limit.
    pub limit: Option<u32>,
}

const KEYS: [&str; 9] = [
    "every",
    "timeout",
    "check_every",
    "misses",
    "from",
    "answered",
    "when",
    "on_silence",
    "reconnect",
];
const TIME: &str = "a duration of at least 1ms, such as `1s`";

/// The `heartbeat` of a detector.
pub fn heartbeat<'a>(dec: &Decoder<'a, '_>, node: &'a Node) -> Option<Heartbeat> {
    let fields = dec.fields(node, "a heartbeat", &KEYS)?;
    let needed = |key: &str, example: &str| {
        let node = dec.required(&fields, "a heartbeat", key, example)?;
        dec.scalar(node, TIME, whole_milliseconds)
    };
    let (every, timeout) = (needed("every", "1s"), needed("timeout", "3s"));
    let check_every = optional(&fields, "check_every", |node| {
        dec.scalar(node, TIME, whole_milliseconds)
    });
    let misses = fields.get("misses").map_or(Some(1), |node| {
        dec.scalar(node, "looks in a row, from 1 to 1000", |text| {
            scalar::whole(text, 1, 1000)
        })
    });
    let from = fields
        .get("from")
        .map_or(Some(HeartbeatSender::Client), |node| {
            let words = [
                ("client", HeartbeatSender::Client),
                ("server", HeartbeatSender::Server),
                ("both", HeartbeatSender::Both),
            ];
            dec.choose(node, "sender of beats", &words)
        });
    let answered = fields.get("answered").map_or(Some(false), |node| {
        dec.scalar(node, "`true` or `false`", scalar::truth)
    });
    let when = fields.get("when").map_or(Some(BeatWhen::Always), |node| {
        let words = [("always", BeatWhen::Always), ("idle", BeatWhen::Idle)];
        dec.choose(node, "time for beats", &words)
    });
    let on_silence = fields
        .get("on_silence")
        .map_or(Some(OnSilence::Close), |node| {
            let words = [
                ("close", OnSilence::Close),
                ("half_close", OnSilence::HalfClose),
                ("reset", OnSilence::Reset),
            ];
            dec.choose(node, "answer to silence", &words)
        });
    let reconnect = optional(&fields, "reconnect", |node| reconnect(dec, node));
    let heartbeat = Heartbeat {
        every: every?,
        timeout: timeout?,
        check_every: check_every?,
        misses: misses?,
        from: from?,
        answered: answered?,
        when: when?,
        on_silence: on_silence?,
        reconnect: reconnect?,
    };
    can_live(dec, &fields, &heartbeat)?;
    Some(heartbeat)
}

/// A peer that does all it should must not be found dead.
fn can_live(dec: &Decoder<'_, '_>, fields: &Fields<'_>, heart: &Heartbeat) -> Option<()> {
    // An answer is waited for from its beat on, so it may come within any time.
    if heart.answered || heart.timeout > heart.every {
        return Some(());
    }
    let span = fields.get("timeout").map_or(fields.span, |node| node.span);
    let (every, timeout) = (scalar::words(heart.every), scalar::words(heart.timeout));
    dec.problem(
        Problem::new(
            span,
            format!("a beat every {every}, and dead after {timeout} without one: a good peer is dead between two beats"),
        )
        .expected(format!("a `timeout` of more than {every}, or `answered: true`"))
        .help(format!(
            "`{}` lets one beat be late or lost",
            scalar::words(heart.every.saturating_mul(5) / 2)
        )),
    );
    None
}

/// Notes a lane that waits for beats which nobody sends; `at` is the place of
/// what gives lanes their detectors.
pub fn check_senders(dec: &Decoder<'_, '_>, at: Span, lanes: &[Lane]) -> Option<()> {
    let beats =
        |beater: HeartbeatSender| {
            lanes.iter().any(|lane| {
                lane.detector.heartbeat.as_ref().is_some_and(|heart| {
                    heart.from == HeartbeatSender::Both || heart.from == beater
                }) && match beater {
                    HeartbeatSender::Client => does(&lane.steps, &connects),
                    HeartbeatSender::Server | HeartbeatSender::Both => does(&lane.steps, &listens),
                }
            })
        };
    let deaf = lanes.iter().find_map(|lane| {
        let heart = lane.detector.heartbeat.as_ref()?;
        (heart.from != HeartbeatSender::Both && !beats(heart.from)).then_some((lane, heart.from))
    });
    let Some((lane, from)) = deaf else {
        return Some(());
    };
    let (end, does) = match from {
        HeartbeatSender::Client => ("client", "connects"),
        HeartbeatSender::Server | HeartbeatSender::Both => ("server", "listens"),
    };
    dec.problem(
        Problem::new(
            at,
            format!(
                "nobody sends the beats of `{}`, which `{}` waits for",
                lane.detector_name, lane.name
            ),
        )
        .expected(format!(
            "a heartbeat on a lane that {does}: `detector_on: both`, or that lane's own `detector:`"
        ))
        .note(format!("its beats come from the {end}")),
    );
    None
}

fn connects(action: &Action) -> bool {
    matches!(action, Action::Connect { .. })
}

fn listens(action: &Action) -> bool {
    matches!(action, Action::Listen { .. })
}

fn does(steps: &[Step], wanted: &dyn Fn(&Action) -> bool) -> bool {
    steps.iter().any(|step| {
        wanted(&step.action)
            || match &step.action {
                Action::Repeat { steps, .. } | Action::Serve { each: steps, .. } => {
                    does(steps, wanted)
                }
                _ => false,
            }
    })
}

/// The outer None: a problem was noted.
#[allow(clippy::option_option)]
fn optional<'a, T>(
    fields: &Fields<'a>,
    key: &str,
    read: impl FnOnce(&'a Node) -> Option<T>,
) -> Option<Option<T>> {
    match fields.get(key) {
        None => Some(None),
        Some(node) => read(node).map(Some),
    }
}

fn reconnect<'a>(dec: &Decoder<'a, '_>, node: &'a Node) -> Option<Reconnect> {
    // `reconnect: 500ms`: the delay alone.
    if let Value::Scalar(_) = &node.value {
        return Some(Reconnect {
            delay: dec.scalar(node, scalar::DURATION, scalar::duration)?,
            backoff: 1.0,
            limit: None,
        });
    }
    let fields = dec.fields(node, "`reconnect`", &["delay", "backoff", "limit"])?;
    let delay = dec.required(&fields, "`reconnect`", "delay", "500ms");
    let delay = delay.and_then(|node| dec.scalar(node, scalar::DURATION, scalar::duration));
    let backoff = fields.get("backoff").map_or(Some(1.0), |node| {
        dec.scalar(node, "a factor from 1 to 100, such as `2`", factor)
    });
    let limit = optional(&fields, "limit", |node| {
        dec.scalar(node, "tries in a row, from 1 to 10000", |text| {
            scalar::whole(text, 1, 10_000)
        })
    });
    Some(Reconnect {
        delay: delay?,
        backoff: backoff?,
        limit: limit?,
    })
}

fn factor(text: &str) -> Result<f64, Refusal> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    match text.parse::<f64>() {
        Ok(factor) if plain && (1.0..=100.0).contains(&factor) => Ok(factor),
        Ok(_) if plain => Err(Refusal::with(
            format!("{text} is out of range: it must be from 1 to 100"),
            "each wait is so many times the one before; `1` keeps it",
        )),
        _ => Err(Refusal::new(format!("`{text}` is not a number"))),
    }
}
