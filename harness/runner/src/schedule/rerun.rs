//! Runs cases again that came out wrong on a disturbed machine: one that was late
//! while they ran by more than predictions allow for. Each is run alone, when the
//! others have ended. [`super::run`] calls it in real time; a guest's clock cannot
//! be disturbed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use halfopen_lab::LabError;
use halfopen_outcome::compare_prediction;
use halfopen_outcome::disturbance::{complaint, lag_explains_nothing, lag_may_explain};
use halfopen_outcome::environment::Environment;
use halfopen_outcome::record::{DisturbedTry, Outcome, Status, Verdict};
use halfopen_outcome::tolerance::QUIET;
use halfopen_scenario::case::Case;
use halfopen_sys::clock::monotonic_ns;

use super::{Progress, Stage, Window, run_each_timed};
use crate::evaluate::evaluate;
use crate::lag::LagMonitor;
use crate::machine;
use crate::options::Options;

/// How often a case is run again at most.
const MOST_TRIES: usize = 3;
/// A moment is quiet when the machine was not late for so long.
const QUIET_MOMENT: Duration = Duration::from_secs(1);

/// Only one case of this process is run again at a time: tests call
/// [`super::run`] for several cases at once.
static ALONE: Mutex<()> = Mutex::new(());

/// Measures the machine's lag from now on; None in virtual time.
pub(super) fn monitor(options: &Options) -> Result<Option<Arc<LagMonitor>>, LabError> {
    if options.virtual_time {
        return Ok(None);
    }
    // HZ=100 has the longest tick.
    let tick = Duration::from_secs(1) / machine::hz().unwrap_or(100);
    let monitor = LagMonitor::shared(tick);
    let monitor = monitor.map_err(|e| LabError::system("measure the machine's lag", e))?;
    Ok(Some(monitor))
}

/// Records how late the machine was while each case ran.
pub(super) fn measure(outcomes: &mut [Outcome], windows: &[Window], monitor: &LagMonitor) {
    for (outcome, window) in outcomes.iter_mut().zip(windows) {
        let Some(ran) = window else { continue };
        if outcome.status == Status::Ran {
            let lag = monitor.worst_until(ran.began_ns, ran.ended_ns);
            outcome.lag_ns = Some(u64::try_from(lag.as_nanos()).unwrap_or(u64::MAX));
        }
        outcome.overflows.clone_from(&ran.overflows);
    }
}

/// What it takes to run cases again.
pub(super) struct Rerun<'a> {
    pub cases: &'a [Case],
    pub options: &'a Options,
    pub environment: &'a Environment,
    pub monitor: &'a LagMonitor,
}

impl Rerun<'_> {
    /// Runs those of `outcomes` again that came out wrong on a disturbed machine, and
    /// puts what stands in their places. Returns whether it was interrupted.
    ///
    /// # Errors
    /// As [`super::run`].
    pub fn disturbed_cases(
        &self,
        outcomes: &mut [Outcome],
        observer: &mut dyn FnMut(Progress<'_>),
    ) -> Result<bool, LabError> {
        let quiet_until = Instant::now() + self.options.wait_for_quiet;
        for (case, outcome) in self.cases.iter().zip(outcomes) {
            let mut tries = vec![outcome.clone()];
            while let Some(last) = tries.last()
                && tries.len() <= MOST_TRIES
                && disturbed_try(last).is_some()
            {
                let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
                self.wait_for_quiet(quiet_until);
                if self.options.is_interrupted() {
                    return Ok(true);
                }
                observer(Progress::Again { id: &case.id });
                let (again, interrupted) = self.run_alone(case)?;
                if interrupted {
                    return Ok(true);
                }
                tries.push(again);
            }
            *outcome = concluded(tries);
        }
        Ok(false)
    }

    fn run_alone(&self, case: &Case) -> Result<(Outcome, bool), LabError> {
        let mut ended = None;
        let pcap = self.options.pcap.as_deref();
        let map = |_, ended, window| (evaluate(case, ended, pcap), window);
        let cases = std::slice::from_ref(case);
        let done = run_each_timed(cases, self.options, &map, &mut |_, stage| {
            if let Stage::Ended(stage) = stage {
                ended = Some(stage);
            }
        })?;
        let (outcome, window) = ended.ok_or_else(|| LabError::Unsupported {
            what: format!("run {} again: its thread panicked", case.id),
            cure: String::new(),
        })?;
        let mut outcomes = [outcome];
        compare_prediction::compare_all(cases, &mut outcomes, self.environment);
        measure(&mut outcomes, &[window], self.monitor);
        let [outcome] = outcomes;
        Ok((outcome, done.interrupted))
    }

    /// Waits until the machine has not been late for a moment, but not longer than
    /// until `limit`.
    fn wait_for_quiet(&self, limit: Instant) {
        let moment_ns = i64::try_from(QUIET_MOMENT.as_nanos()).unwrap_or(i64::MAX);
        while Instant::now() < limit && !self.options.is_interrupted() {
            let now_ns = monotonic_ns();
            if self.monitor.worst_until(now_ns - moment_ns, now_ns) <= QUIET {
                return;
            }
            std::thread::sleep(QUIET_MOMENT / 5);
        }
    }
}

/// The record of a try that came out wrong on a disturbed machine; None: its result
/// stands.
fn disturbed_try(outcome: &Outcome) -> Option<DisturbedTry> {
    let lag = outcome.lag_ns.map(Duration::from_nanos);
    let late = lag.is_some_and(|lag| lag_may_explain(outcome, lag));
    (late || !outcome.overflows.is_empty()).then_some(())?;
    Some(DisturbedTry {
        lag_ns: outcome.lag_ns,
        overflows: outcome.overflows.clone(),
        showed: complaint(outcome)?,
    })
}

/// What follows from the tries of a case, of which all but the last were disturbed.
fn concluded(mut tries: Vec<Outcome>) -> Outcome {
    let disturbed: Vec<DisturbedTry> = tries.iter().filter_map(disturbed_try).collect();
    let lag_ns = disturbed.iter().filter_map(|of| of.lag_ns).max();
    let lag = Duration::from_nanos(lag_ns.unwrap_or(0));
    let all = disturbed.len() == tries.len();
    let overflowed = disturbed.iter().any(|of| !of.overflows.is_empty());
    let is_finding = !overflowed && lag_explains_nothing(&tries.iter().collect::<Vec<_>>(), lag);
    let Some(mut last) = tries.pop() else {
        unreachable!("a case has at least one try");
    };
    last.disturbed_tries = disturbed;
    if all && !is_finding {
        last.verdict = Verdict::Disturbed;
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use halfopen_outcome::testing;

    fn late(after_ms: i64, lag_ms: u64) -> Outcome {
        let mut outcome = testing::crash("none", "ETIMEDOUT", after_ms, Verdict::Differs);
        outcome.lag_ns = Some(lag_ms * 1_000_000);
        outcome
    }

    fn good(lag_ms: u64) -> Outcome {
        let mut outcome = testing::crash("none", "ETIMEDOUT", 3_000, Verdict::AsExpected);
        outcome.lag_ns = Some(lag_ms * 1_000_000);
        outcome
    }

    #[test]
    fn a_result_of_a_quiet_machine_stands() {
        let stands = concluded(vec![late(4_500, 120)]);
        assert_eq!(stands.verdict, Verdict::Differs);
        assert!(stands.disturbed_tries.is_empty());
        let stands = concluded(vec![late(4_500, 700), late(4_500, 3)]);
        assert_eq!(stands.verdict, Verdict::Differs);
        assert_eq!(stands.disturbed_tries.len(), 1);
        let stands = concluded(vec![late(4_500, 700), good(700)]);
        assert_eq!(stands.verdict, Verdict::AsExpected);
        assert_eq!(stands.disturbed_tries[0].lag_ns, Some(700_000_000));
    }

    #[test]
    fn nothing_is_concluded_while_a_table_overflowed() {
        let overflowed = |after_ms| {
            let mut outcome = late(after_ms, 3);
            outcome.overflows = vec!["17 IPv4 neighbour entries were refused".into()];
            outcome
        };
        let tries = vec![overflowed(9_100), overflowed(9_100)];
        assert_eq!(concluded(tries).verdict, Verdict::Disturbed);
        let stands = concluded(vec![overflowed(9_100), late(9_100, 3)]);
        assert_eq!(stands.verdict, Verdict::Differs);
        // What is right is no wonder, whatever overflowed.
        let mut right = good(3);
        right.overflows = vec!["17 IPv4 neighbour entries were refused".into()];
        assert_eq!(concluded(vec![right]).verdict, Verdict::AsExpected);
    }

    #[test]
    fn without_a_quiet_moment_it_is_disturbed_unless_no_lag_explains_it() {
        // Expected after 3 to 3.6 s, with 0.468 s of tolerance.
        let late_by_little = vec![late(4_100, 200), late(4_200, 600)];
        assert_eq!(concluded(late_by_little).verdict, Verdict::Disturbed);
        let late_by_much = vec![late(9_100, 200), late(9_200, 600)];
        assert_eq!(concluded(late_by_much).verdict, Verdict::Differs);
    }
}
