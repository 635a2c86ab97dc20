//! A quick `ci/oracle`: cases that nobody wrote, against their predictions, in
//! virtual time on one kernel.
//!
//! Needs QEMU and kernels (ci/setup, ci/kernels), so it runs when asked for:
//! cargo test --test generated -- --ignored

use std::process::ExitCode;

use halfopen_predict::Version;
use halfopen_tests::oracle::plan::Plan;
use halfopen_tests::oracle::trial::{self, Finding};
use halfopen_vm::{cases, kernels};
use libtest_mimic::{Arguments, Failed, Trial};

const KERNEL: &str = "6.12.";
const CASES: u64 = 60;

fn main() -> ExitCode {
    halfopen_runner::endpoint::serve_if_asked();
    halfopen_vm::guest::serve_if_guest(cases::work);
    let trial = Trial::test("generated_cases_as_predicted", as_predicted);
    libtest_mimic::run(&Arguments::from_args(), vec![trial.with_ignored_flag(true)]).exit_code()
}

fn as_predicted() -> Result<(), Failed> {
    let found = kernels::find().kernels;
    let kernel = found.iter().find(|k| k.release.starts_with(KERNEL));
    let kernel = kernel.ok_or("there is no such kernel here\n  cure: ci/kernels")?;
    let plans: Vec<(String, Plan)> = (0..CASES)
        .map(|n| (format!("g{n}"), Plan::generate(1, n)))
        .filter(|(_, plan)| plan.since() <= Version(6, 12))
        .collect();
    let findings = trial::findings(&plans, kernel)?;
    for ((name, plan), finding) in plans.iter().zip(&findings) {
        if matches!(finding, Finding::Outside(_) | Finding::Failed(_)) {
            return Err(format!("{finding:?}\n{}", plan.text(name)).into());
        }
    }
    let inside = findings.iter().filter(|f| matches!(f, Finding::Inside(_)));
    let (inside, all) = (inside.count(), findings.len());
    if inside * 10 < all * 9 {
        return Err(format!("only {inside} of {all} are decided").into());
    }
    Ok(())
}
