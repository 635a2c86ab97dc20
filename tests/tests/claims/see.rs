//! Runs one case of the catalogue and looks closely at what it showed.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use halfopen_outcome::record::{
    Call, CallResult, FaultRecord, Outcome, Packet, ProcessRecord, Status,
};
use halfopen_outcome::tolerance::REAL_TIME;
use halfopen_tests::catalogue;

/// How often a claim is looked at again that did not hold on a late machine.
const TRIES: usize = 4;

thread_local! {
    /// By how much the machine was late at most while this thread's cases ran.
    static LAG_NS: Cell<u64> = const { Cell::new(0) };
}

/// Checks a claim. Claims are about times and counts that a late machine changes, so
/// one that does not hold while the machine was late is checked again, alone; one that
/// does not hold on a quiet machine is wrong.
///
/// # Panics
/// As `check` does.
pub fn claim(check: impl Fn()) {
    static ALONE: Mutex<()> = Mutex::new(());
    for _ in 0..TRIES {
        LAG_NS.set(0);
        let Err(panic) = catch_unwind(AssertUnwindSafe(&check)) else {
            return;
        };
        let late = Duration::from_nanos(LAG_NS.get());
        if late.is_zero() {
            resume_unwind(panic);
        }
        eprintln!("this machine was {late:?} late: again");
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        std::thread::sleep(Duration::from_secs(1));
    }
    check();
}

/// What a case showed.
pub struct Seen(pub Outcome);

/// Runs the case with this id.
///
/// # Panics
/// When there is no such case, or it could not be run.
pub fn run(id: &str) -> Seen {
    let file = catalogue();
    let loaded = halfopen_scenario::load(&file).unwrap_or_else(|e| panic!("{e}"));
    let case = loaded.cases.into_iter().find(|case| case.id == id);
    let case = case.unwrap_or_else(|| panic!("no case {id} in {}", file.display()));
    let results = halfopen_runner::run(&[case], &halfopen_runner::Options::default(), &mut |_| ())
        .unwrap_or_else(|e| panic!("{id}: {e}"));
    let outcome = results
        .outcomes
        .into_iter()
        .next()
        .expect("one case, one outcome");
    assert_eq!(outcome.status, Status::Ran, "{id}");
    LAG_NS.set(LAG_NS.get().max(outcome.lag_ns.unwrap_or(0)));
    Seen(outcome)
}

impl Seen {
    /// Every packet in order of time, as often as it passed a cable.
    pub fn packets(&self) -> impl Iterator<Item = &Packet> {
        self.0.wire.packets.iter()
    }

    /// The packets of this kind.
    pub fn kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Packet> {
        self.packets().filter(move |p| p.kind == kind)
    }

    /// The flags of every TCP segment with its sender, in order of time.
    pub fn flags(&self) -> Vec<(&str, &str)> {
        let tcp = self.packets().filter(|p| !p.flags.is_empty());
        tcp.map(|p| (p.from.as_str(), p.flags.as_str())).collect()
    }

    /// What was done by this name.
    pub fn fault(&self, name: &str) -> &FaultRecord {
        let found = self.0.faults.iter().find(|f| f.name == name);
        found.unwrap_or_else(|| panic!("nothing called {name} happened{self}"))
    }

    /// A lane's process on its host's first boot: 0 is its own, then its children.
    pub fn process(&self, lane: &str, number: usize) -> &ProcessRecord {
        let mut endpoints = self.0.endpoints.iter();
        let endpoint = endpoints.find(|e| e.lane == lane && e.boot == 0);
        let found = endpoint.and_then(|e| e.processes.get(number));
        found.unwrap_or_else(|| panic!("{lane} has no process {number}{self}"))
    }

    /// The calls of this name of the lane's own process.
    pub fn calls<'a>(&'a self, lane: &str, name: &'a str) -> Vec<&'a Call> {
        self.process(lane, 0)
            .calls
            .iter()
            .filter(|c| c.call == name)
            .collect()
    }

    /// The last call of the lane's own process.
    pub fn last_call(&self, lane: &str) -> (&str, &CallResult) {
        let call = self.process(lane, 0).calls.last();
        let call = call.unwrap_or_else(|| panic!("{lane} made no call{self}"));
        (&call.call, &call.result)
    }

    /// The states of a host's connections at a moment, as netstat shows them.
    pub fn states(&self, moment: &str, host: &str) -> Vec<&str> {
        let netstat = self.0.netstat.iter().find(|n| n.moment == moment);
        let netstat = netstat.unwrap_or_else(|| panic!("netstat was not called {moment}{self}"));
        let sockets = netstat
            .sockets
            .iter()
            .filter(|s| s.host == host && s.state != "LISTEN");
        sockets.map(|s| s.state.as_str()).collect()
    }
}

/// The evidence, for a message of failure.
impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "\n{}\n{}",
            self.0.id,
            halfopen_report::ladder::render(&self.0, &halfopen_report::ladder::WHOLE)
        )
    }
}

/// Whether so many nanoseconds are these seconds, as exactly as a timer that
/// rounds up and a machine under load can be.
pub fn about(nanoseconds: i64, seconds: f64) -> bool {
    let measured = Duration::from_nanos(nanoseconds.max(0).unsigned_abs());
    let expected = Duration::from_secs_f64(seconds);
    REAL_TIME.within(measured, expected, expected)
}

/// When a call returned.
pub fn returned(call: &Call) -> i64 {
    call.end_ns
        .unwrap_or_else(|| panic!("{call:?} never returned"))
}
