//! Outcomes for machines. The keys and their order are an interface: what is
//! there stays; what is new is added, and a change of meaning raises `schema`.

use std::io::{self, Write};

use serde::Serialize;

use halfopen_outcome::cost::{Cost, cost};
use halfopen_outcome::environment::Environment;
use halfopen_outcome::record::{
    EndpointRecord, FaultRecord, FirstSign, Netstat, Outcome, Status, Verdict, WireRecord,
};
use halfopen_outcome::recovery::Recovery;
use halfopen_predict::{Prediction, RuleId};
use halfopen_scenario::case::{Known, Sign, SignKind};

use super::finished::{Finished, Totals, verdict};

/// The version of the form.
pub const SCHEMA: u32 = 1;

/// Writes a run as one JSON object, indented, with a newline at its end.
///
/// # Errors
/// Those of the writer.
pub fn write(run: &Finished<'_>, to: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *to, &Document::of(run)).map_err(io::Error::from)?;
    to.write_all(b"\n")
}

/// Writes runs on several kernels: an object with one run each in `kernels`.
///
/// # Errors
/// Those of the writer.
pub fn write_several(runs: &[Finished<'_>], to: &mut dyn Write) -> io::Result<()> {
    #[derive(Serialize)]
    struct Several<'a> {
        schema: u32,
        kernels: Vec<Document<'a>>,
    }
    let all = Several {
        schema: SCHEMA,
        kernels: runs.iter().map(Document::of).collect(),
    };
    serde_json::to_writer_pretty(&mut *to, &all).map_err(io::Error::from)?;
    to.write_all(b"\n")
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    environment: &'a Environment,
    interrupted: bool,
    elapsed_ns: u64,
    totals: Totals,
    cases: Vec<CaseView<'a>>,
}

impl<'a> Document<'a> {
    fn of(run: &Finished<'a>) -> Self {
        Document {
            schema: SCHEMA,
            environment: run.environment,
            interrupted: run.interrupted,
            elapsed_ns: u64::try_from(run.elapsed.as_nanos()).unwrap_or(u64::MAX),
            totals: Totals::of(run.outcomes),
            cases: run.outcomes.iter().map(CaseView::of).collect(),
        }
    }
}

#[derive(Serialize)]
struct CaseView<'a> {
    id: &'a str,
    scenario: &'a str,
    axes: &'a indexmap::IndexMap<String, String>,
    source: &'a [String],
    book: Option<SignView<'a>>,
    expect: Option<SignView<'a>>,
    notes: Option<&'a str>,
    first_sign: Option<FirstSignView<'a>>,
    faults: &'a [FaultRecord],
    endpoints: &'a [EndpointRecord],
    /// Null unless the case has a `heal`.
    recovery: Option<&'a Recovery>,
    netstat: &'a [Netstat],
    wire: &'a WireRecord,
    /// Null unless nothing happened to the case, for long enough.
    cost: Option<CostView>,
    prediction: Option<PredictionView<'a>>,
    /// Why there is no prediction.
    unpredictable: Option<&'a str>,
    verdict: Verdict,
    surprises: &'a [String],
    status: &'static str,
    /// Why it was not run, or what failed.
    reason: Option<&'a str>,
}

impl<'a> CaseView<'a> {
    fn of(outcome: &'a Outcome) -> Self {
        let (status, reason) = match &outcome.status {
            Status::Ran => ("ran", None),
            Status::NotRun(why) => ("not_run", Some(why.as_str())),
            Status::Failed(why) => ("failed", Some(why.as_str())),
        };
        CaseView {
            id: &outcome.id,
            scenario: &outcome.scenario,
            axes: &outcome.axes,
            source: &outcome.source,
            book: outcome.book.as_ref().map(SignView::of),
            expect: outcome.expect.as_ref().map(SignView::of),
            notes: outcome.notes.as_deref(),
            first_sign: outcome.first_sign.as_ref().map(FirstSignView::of),
            faults: &outcome.faults,
            endpoints: &outcome.endpoints,
            recovery: outcome.recovery.as_ref(),
            netstat: &outcome.netstat,
            wire: &outcome.wire,
            cost: cost(outcome).as_ref().map(CostView::of),
            prediction: outcome
                .prediction
                .as_ref()
                .map(|p| PredictionView::of(p, outcome.outside.as_deref())),
            unpredictable: outcome.unpredictable.as_deref(),
            verdict: verdict(outcome),
            surprises: &outcome.surprises,
            status,
            reason,
        }
    }
}

/// What a book or a scenario says.
#[derive(Serialize)]
struct SignView<'a> {
    endpoint: Option<&'a str>,
    call: Option<&'a str>,
    outcome: &'static str,
    errno: Option<&'a str>,
    signal: Option<&'a str>,
    earliest_ns: Option<u64>,
    latest_ns: Option<u64>,
    /// Why something else is put up with.
    #[serde(skip_serializing_if = "Option::is_none")]
    known: Option<&'a Known>,
}

impl<'a> SignView<'a> {
    fn of(sign: &'a Sign) -> Self {
        let ns = |span: std::time::Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        SignView {
            endpoint: sign.lane.as_deref(),
            call: sign.call.as_deref(),
            outcome: outcome(&sign.sign),
            errno: errno(&sign.sign),
            signal: signal(&sign.sign),
            earliest_ns: sign.after.map(|(earliest, _)| ns(earliest)),
            latest_ns: sign.after.map(|(_, latest)| ns(latest)),
            known: sign.known.as_deref(),
        }
    }
}

/// What the detectors of a quiet case cost on the wire.
#[derive(Serialize)]
struct CostView {
    packets: u32,
    bytes: u64,
    window_ns: i64,
    packets_per_hour: f64,
    bytes_per_hour: f64,
}

impl CostView {
    fn of(cost: &Cost) -> Self {
        CostView {
            packets: cost.packets,
            bytes: cost.bytes,
            window_ns: cost.window_ns,
            packets_per_hour: cost.packets_per_hour(),
            bytes_per_hour: cost.bytes_per_hour(),
        }
    }
}

/// What the rules of the kernel say; an unnoticed fault has no times.
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
    /// From the last heal on.
    first_byte_ns: Option<(u64, u64)>,
    because: &'a str,
    rules: &'a [RuleId],
    outside: Option<&'a str>,
}

impl<'a> PredictionView<'a> {
    /// The view of `p`; `outside` says how the run disagreed with it.
    pub fn of(p: &'a Prediction, outside: Option<&'a str>) -> Self {
        let ns = |span: std::time::Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let comes = p.sign != SignKind::Unnoticed;
        PredictionView {
            endpoint: p.lane.as_deref(),
            call: p.call.as_deref(),
            outcome: self::outcome(&p.sign),
            errno: errno(&p.sign),
            signal: signal(&p.sign),
            earliest_ns: comes.then(|| ns(p.earliest)),
            latest_ns: comes.then(|| ns(p.latest)),
            branches_ns: p
                .branches
                .iter()
                .map(|b| (ns(b.earliest), ns(b.latest)))
                .collect(),
            first_byte_ns: p.first_byte.map(|b| (ns(b.earliest), ns(b.latest))),
            because: &p.because,
            rules: &p.rules,
            outside,
        }
    }
}

/// The first sign of a case, as it stands in the JSON.
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
    /// The view of `first`.
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

/// The kind of a sign as one word, so that a reader of the JSON compares strings.
fn outcome(kind: &SignKind) -> &'static str {
    match kind {
        SignKind::Errno(_) => "errno",
        SignKind::Eof => "eof",
        SignKind::PollHangup => "poll_hangup",
        SignKind::Timeout => "timeout",
        SignKind::Signal(_) => "signal",
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use halfopen_outcome::testing;

    fn text(outcomes: &[Outcome]) -> String {
        let environment = testing::environment();
        let run = Finished {
            environment: &environment,
            outcomes,
            interrupted: false,
            elapsed: Duration::from_secs(31),
        };
        let mut bytes = Vec::new();
        write(&run, &mut bytes).expect("memory takes everything");
        String::from_utf8(bytes).expect("JSON is UTF-8")
    }

    #[test]
    fn one_case_in_full() {
        insta::assert_snapshot!(text(&[testing::not_the_book()]));
    }

    #[test]
    fn every_kind_of_case_has_the_same_keys() {
        let document: serde_json::Value =
            serde_json::from_str(&text(&testing::all())).expect("what was written is JSON");
        let cases = document["cases"].as_array().expect("cases is a list");
        assert_eq!(cases.len(), testing::all().len());
        let keys = |case: &serde_json::Value| -> Vec<String> {
            case.as_object()
                .expect("a case is an object")
                .keys()
                .cloned()
                .collect()
        };
        for case in cases {
            assert_eq!(keys(case), keys(&cases[0]));
        }
        assert_eq!(document["totals"]["differ"], 1);
        assert_eq!(cases[5]["status"], "not_run");
        assert_eq!(cases[5]["reason"], "virtual time");
    }
}
