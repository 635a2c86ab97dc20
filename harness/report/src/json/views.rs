//! Signs, predictions and costs in the form that they have in the JSON, shared by
//! the reports of runs, grids and predictions.

use std::time::Duration;

use serde::Serialize;

use halfopen_outcome::cost::Cost;
use halfopen_outcome::record::{FirstSign, LaneSigns, Outcome};
use halfopen_predict::{Prediction, RuleId};
use halfopen_scenario::case::{Known, Sign, SignKind};

/// A sign that a book or a scenario names.
#[derive(Serialize)]
pub struct SignView<'a> {
    endpoint: Option<&'a str>,
    call: Option<&'a str>,
    outcome: &'static str,
    errno: Option<&'a str>,
    signal: Option<&'a str>,
    earliest_ns: Option<u64>,
    latest_ns: Option<u64>,
    /// The declared reason for a known difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    known: Option<KnownView<'a>>,
}

/// A known difference.
#[derive(Serialize)]
pub struct KnownView<'a> {
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bug: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shows: Option<Box<SignView<'a>>>,
}

impl<'a> KnownView<'a> {
    /// As it is declared.
    pub fn of(known: &'a Known) -> Self {
        KnownView {
            reason: &known.reason,
            bug: known.bug.as_deref(),
            shows: known
                .shows
                .as_ref()
                .map(|sign| Box::new(SignView::of(sign))),
        }
    }
}

impl<'a> SignView<'a> {
    pub(super) fn of(sign: &'a Sign) -> Self {
        SignView {
            endpoint: sign.lane.as_deref(),
            call: sign.call.as_deref(),
            outcome: outcome(&sign.sign),
            errno: errno(&sign.sign),
            signal: signal(&sign.sign),
            earliest_ns: sign.after.map(|(earliest, _)| ns(earliest)),
            latest_ns: sign.after.map(|(_, latest)| ns(latest)),
            known: sign.known.as_deref().map(KnownView::of),
        }
    }
}

/// The cost of the detectors of a case without a fault.
#[derive(Serialize)]
pub(super) struct CostView {
    packets: u32,
    bytes: u64,
    window_ns: i64,
    packets_per_hour: f64,
    bytes_per_hour: f64,
}

impl CostView {
    pub(super) fn of(cost: &Cost) -> Self {
        CostView {
            packets: cost.packets,
            bytes: cost.bytes,
            window_ns: cost.window_ns,
            packets_per_hour: cost.packets_per_hour(),
            bytes_per_hour: cost.bytes_per_hour(),
        }
    }
}

/// A prediction. That of an unnoticed fault has no times.
#[derive(Serialize)]
pub struct PredictionView<'a> {
    endpoint: Option<&'a str>,
    call: Option<&'a str>,
    outcome: &'static str,
    errno: Option<&'a str>,
    signal: Option<&'a str>,
    earliest_ns: Option<u64>,
    latest_ns: Option<u64>,
    branches_ns: Vec<(u64, u64)>,
    /// Since the last heal.
    first_byte_ns: Option<(u64, u64)>,
    because: &'a str,
    rules: &'a [RuleId],
    outside: Option<&'a str>,
    /// Why the comparison in virtual time used this interval although the one from
    /// the observed moments is narrower.
    #[serde(skip_serializing_if = "Option::is_none")]
    fallback: Option<&'a str>,
}

impl<'a> PredictionView<'a> {
    /// The prediction for an outcome, and how the two compare.
    pub fn of_outcome(outcome: &'a Outcome) -> Option<Self> {
        Some(PredictionView {
            outside: outcome.outside.as_deref(),
            fallback: outcome.fallback(),
            ..PredictionView::of(outcome.prediction.as_ref()?)
        })
    }

    /// A prediction that is not compared with anything.
    pub fn of(p: &'a Prediction) -> Self {
        let noticed = p.sign != SignKind::Unnoticed;
        PredictionView {
            endpoint: p.lane.as_deref(),
            call: p.call.as_deref(),
            outcome: self::outcome(&p.sign),
            errno: errno(&p.sign),
            signal: signal(&p.sign),
            earliest_ns: noticed.then(|| ns(p.earliest)),
            latest_ns: noticed.then(|| ns(p.latest)),
            branches_ns: p
                .branches
                .iter()
                .map(|b| (ns(b.earliest), ns(b.latest)))
                .collect(),
            first_byte_ns: p.first_byte.map(|b| (ns(b.earliest), ns(b.latest))),
            because: &p.because,
            rules: &p.rules,
            outside: None,
            fallback: None,
        }
    }
}

/// The first sign of a case.
#[derive(Serialize)]
pub struct FirstSignView<'a> {
    endpoint: Option<&'a str>,
    call: Option<&'a str>,
    outcome: &'static str,
    errno: Option<&'a str>,
    signal: Option<&'a str>,
    since_fault_ns: Option<i64>,
    wire_evidence_ns: Option<i64>,
}

impl<'a> FirstSignView<'a> {
    /// The view of a first sign.
    pub fn of(first: &'a FirstSign) -> Self {
        let given = |text: &'a str| (!text.is_empty()).then_some(text);
        FirstSignView {
            endpoint: given(&first.endpoint),
            call: given(&first.call),
            outcome: outcome(&first.outcome),
            errno: first.errno.as_deref().or_else(|| errno(&first.outcome)),
            signal: signal(&first.outcome),
            since_fault_ns: first.since_fault_ns,
            wire_evidence_ns: first.wire_evidence_ns,
        }
    }
}

/// What one of several watched lanes showed.
#[derive(Serialize)]
pub(super) struct LaneSignsView<'a> {
    lane: &'a str,
    signs: Vec<FirstSignView<'a>>,
    /// How many more there were.
    more: usize,
}

impl<'a> LaneSignsView<'a> {
    pub(super) fn of(lane: &'a LaneSigns) -> Self {
        LaneSignsView {
            lane: &lane.lane,
            signs: lane.signs.iter().map(FirstSignView::of).collect(),
            more: lane.more,
        }
    }
}

/// The kind of a sign as one word.
fn outcome(kind: &SignKind) -> &'static str {
    match kind {
        SignKind::Errno(_) => "errno",
        SignKind::Eof => "eof",
        SignKind::PollHangup => "poll_hangup",
        SignKind::Timeout => "timeout",
        SignKind::Signal(_) => "signal",
        SignKind::Exited(_) => "exit",
        SignKind::HeartbeatLost => "heartbeat_lost",
        SignKind::Unnoticed => "unnoticed",
    }
}

fn errno(kind: &SignKind) -> Option<&str> {
    if let SignKind::Errno(name) = kind {
        Some(name)
    } else {
        None
    }
}

fn signal(kind: &SignKind) -> Option<&str> {
    if let SignKind::Signal(name) = kind {
        Some(name)
    } else {
        None
    }
}

fn ns(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
