//! Both sides of a change, run in guests in virtual time.

use std::time::Instant;

use halfopen_net::error::chain;
use halfopen_outcome::comparison::Comparison;
use halfopen_outcome::impact::Change;
use halfopen_predict::{KernelFacts, Version};
use halfopen_scenario::case::Case;
use halfopen_vm::cases::Options;
use halfopen_vm::settings::GuestTime;
use halfopen_vm::{Kernel, VmError};

use super::Answer;
use super::wanted::Wanted;
use crate::args::ImpactArgs;
use crate::shared::error::CliError;
use crate::shared::guests::{self, kernels_of};
use crate::shared::kernel_facts::USUAL_HZ;
use crate::shared::{interrupt, output};

pub(super) fn measured(
    args: &ImpactArgs,
    wanted: &Wanted,
    cases: &[Case],
) -> Result<Answer, CliError> {
    let kernels = kernels_of(&args.kernel)?;
    let oldest = kernels.iter().filter_map(version).min();
    let (change, ignored) = wanted.change(&args.host, oldest);
    if change.then == change.now {
        return Ok(Answer {
            comparisons: vec![no_difference()],
            ignored,
            interrupted: false,
        });
    }
    let facts: Vec<KernelFacts> = kernels
        .iter()
        .filter_map(|kernel| {
            let hz = kernel.hz.unwrap_or(USUAL_HZ);
            Some(KernelFacts::new(version(kernel)?, hz))
        })
        .collect();
    let cases: Vec<Case> = cases
        .iter()
        .map(|case| change.extend_give_up(case, &facts))
        .collect();
    let variants = change.variants(&cases);
    let options = Options {
        time: GuestTime::Virtual,
        interrupt: interrupt::watch(),
        // Both sides in one guest: the phase of its timer wheel is the same for both.
        batch: Some(variants.len()),
        ..Options::default()
    };
    let began = Instant::now();
    let runs = guests::run(&variants, &kernels, &options)?;
    let mut comparisons = Vec::new();
    let mut interrupted = false;
    for (kernel, run) in kernels.iter().zip(&runs) {
        if let Err(e) = &run.ended {
            interrupted |= matches!(e, VmError::Interrupted);
            output::error(&format!("{}: {}", kernel.release, chain(e)));
        }
        if let (Ok(_), Some(environment)) = (&run.ended, &run.environment) {
            let mut comparison = change.compare(environment, &cases, &run.outcomes);
            interrupted |= confirm(&change, &mut comparison, kernel, &cases, &options)?;
            comparisons.push(comparison);
        }
    }
    output::remark(&format!(
        "{} cases, before and after, in {:.1} s",
        cases.len(),
        began.elapsed().as_secs_f64()
    ));
    Ok(Answer {
        comparisons,
        ignored,
        interrupted,
    })
}

/// Runs again what changed and is not explained. Returns true when it was
/// interrupted; the comparison is unchanged then.
fn confirm(
    change: &Change,
    comparison: &mut Comparison,
    kernel: &Kernel,
    cases: &[Case],
    options: &Options,
) -> Result<bool, CliError> {
    let again = change.repetitions(comparison, cases);
    if again.is_empty() {
        return Ok(false);
    }
    for run in guests::run(&again, std::slice::from_ref(kernel), options)? {
        match (&run.ended, &run.environment) {
            (Ok(_), Some(environment)) => {
                change.confirm(comparison, environment, cases, &run.outcomes);
            }
            (Err(VmError::Interrupted), _) => return Ok(true),
            (Err(e), _) => output::error(&format!("{}: {}", kernel.release, chain(e))),
            (Ok(_), None) => {}
        }
    }
    Ok(false)
}

fn version(kernel: &Kernel) -> Option<Version> {
    Version::parse(&kernel.release)
}

/// Both sides are the same: nothing has to be run to know that.
fn no_difference() -> Comparison {
    output::remark("both sides set the same: nothing was run");
    Comparison {
        then: None,
        now: None,
        environment: Vec::new(),
        cases: Vec::new(),
    }
}
