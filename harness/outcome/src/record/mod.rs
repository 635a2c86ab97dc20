//! The record of one case as plain data: every call, every fault, every packet,
//! and what was concluded from them. It computes nothing but the times that
//! everything else counts from. The runner fills it; the reports read it.
//!
//! All times are nanoseconds on CLOCK_MONOTONIC since the start of the case (the
//! moment its lanes were released).

mod compared_with;
mod disturbance;
mod fault;
mod kernel_event;
mod process;
mod program;
mod recovery;
mod socket;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use halfopen_predict::Prediction;
use halfopen_scenario::case::{Case, Sign, SignKind};

pub use compared_with::ComparedWith;
pub use disturbance::DisturbedTry;
pub use fault::{FaultRecord, asked_ns, reference_ns};
pub use halfopen_wire::{Packet, WireCounts, WireRecord};
pub use kernel_event::KernelEvent;
pub use process::{Call, CallResult, EndpointRecord, ExitKind, ProcessEnd, ProcessRecord};
pub use program::{
    ObserverCost, OutputLine, ProgramDetector, ProgramRecord, ProgramSignal, SignalEffect,
    SignalSender, SocketSettings, UserSees,
};
pub use recovery::Recovery;
pub use socket::{FdCount, Netstat, SocketState};

/// The result of one case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The case's id.
    pub id: String,
    /// Its scenario.
    pub scenario: String,
    /// Its point of the matrix.
    pub axes: IndexMap<String, String>,
    /// The books and RFCs that describe the situation.
    pub source: Vec<String>,
    /// What the book says.
    pub book: Option<Sign>,
    /// What Linux was expected to do.
    pub expect: Option<Sign>,
    /// Where Linux and the book differ, and why.
    pub notes: Option<String>,
    /// Whether it ran.
    pub status: Status,
    /// When its lanes were released, CLOCK_MONOTONIC. Recorded only in virtual
    /// time, where it is the same in every run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_ns: Option<i64>,
    /// The first call after the fault that did not go as if nothing had happened.
    pub first_sign: Option<FirstSign>,
    /// What each watched lane showed after the fault, in its order.
    #[serde(default)]
    pub lane_signs: Vec<LaneSigns>,
    /// The events that were carried out, and when each took effect.
    pub faults: Vec<FaultRecord>,
    /// Every process and every call.
    pub endpoints: Vec<EndpointRecord>,
    /// What programs wrote and set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<ProgramRecord>,
    /// The first thing that the user of a watched program sees after the fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_sees: Option<UserSees>,
    /// What became of the connections after an outage, if one was healed.
    #[serde(default)]
    pub recovery: Option<Recovery>,
    /// The sockets, as netstat shows them, at each recorded moment.
    pub netstat: Vec<Netstat>,
    /// What the kernel itself said, where it was asked (`--explain`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kernel_events: Vec<KernelEvent>,
    /// The packets on the wire.
    pub wire: WireRecord,
    /// How the observation compares with the expectation.
    pub verdict: Verdict,
    /// What nobody expected, as text.
    pub surprises: Vec<String>,
    /// What the kernel's rules predict for the case.
    #[serde(default)]
    pub prediction: Option<Prediction>,
    /// Why there is no prediction, if there is none.
    #[serde(default)]
    pub unpredictable: Option<String>,
    /// How the observation lies outside the prediction, if it does.
    #[serde(default)]
    pub outside: Option<String>,
    /// Which prediction the observation was compared with; None: with none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared_with: Option<ComparedWith>,
    /// By how much the machine was late at most while the case ran. Measured in
    /// real time only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_ns: Option<u64>,
    /// Which of the tables that all network namespaces share overflowed while the
    /// case ran, and by how much.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overflows: Vec<String>,
    /// The tries on a disturbed machine, the earliest first. When the verdict is
    /// [`Verdict::Disturbed`], the last of them is the one that is shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disturbed_tries: Vec<DisturbedTry>,
}

impl Outcome {
    /// The outcome of a case that has not run: what the case says, and nothing seen.
    pub fn not_run(case: &Case) -> Self {
        Outcome {
            id: case.id.clone(),
            scenario: case.scenario.clone(),
            axes: case.axes.clone(),
            source: case.source.clone(),
            book: case.book.clone(),
            expect: case.expect.clone(),
            notes: case.notes.clone(),
            status: Status::Ran,
            started_ns: None,
            first_sign: None,
            lane_signs: Vec::new(),
            faults: Vec::new(),
            endpoints: Vec::new(),
            programs: Vec::new(),
            user_sees: None,
            netstat: Vec::new(),
            kernel_events: Vec::new(),
            wire: WireRecord::default(),
            verdict: Verdict::NotRun,
            surprises: Vec::new(),
            prediction: None,
            unpredictable: None,
            outside: None,
            compared_with: None,
            lag_ns: None,
            overflows: Vec::new(),
            disturbed_tries: Vec::new(),
            recovery: None,
        }
    }
}

/// Whether a case ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It ran to its end.
    Ran,
    /// It was not run, for this reason.
    NotRun(String),
    /// The harness failed, with this error.
    Failed(String),
}

/// How an observation compares with the expectation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As expected.
    AsExpected,
    /// Not as expected.
    Differs,
    /// Not as expected, and the scenario declares this difference as known.
    Known,
    /// The scenario expects nothing; the observation is only reported.
    Observed,
    /// Something was wrong before the fault struck, as the surprises say: what
    /// followed is not the fault's effect alone.
    NotSetUp,
    /// Not as expected or not as predicted, on a machine that was late or whose
    /// shared tables overflowed in each try: it says nothing about the case.
    Disturbed,
    /// Not run.
    NotRun,
    /// The harness failed.
    Failed,
}

/// The signs of one watched lane, or of one of its copies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaneSigns {
    /// The lane; copies carry a number: `client.2`.
    pub lane: String,
    /// Its signs, the earliest first, at most [`LaneSigns::MOST`]. None: unnoticed.
    pub signs: Vec<FirstSign>,
    /// How many more there were.
    pub more: usize,
}

impl LaneSigns {
    /// How many signs of a lane are kept.
    pub const MOST: usize = 8;
}

/// A call after the fault that did not go as if nothing had happened; the first one,
/// or one of a lane's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FirstSign {
    /// The lane that noticed; empty when unnoticed.
    pub endpoint: String,
    /// The call that showed it; empty when unnoticed.
    pub call: String,
    /// The kind of sign.
    pub outcome: SignKind,
    /// The errno's name, if it is one.
    pub errno: Option<String>,
    /// Time since the fault took effect; None when unnoticed.
    pub since_fault_ns: Option<i64>,
    /// The same moment measured on the wire, since the fault, where a packet
    /// shows it: the RST or FIN that caused the sign reached the host, or the
    /// host's own RST left it, while the call was in progress.
    pub wire_evidence_ns: Option<i64>,
}
