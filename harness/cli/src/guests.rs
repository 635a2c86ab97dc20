//! `halfopen run` on other kernels, in guests.

use std::path::Path;
use std::time::{Duration, Instant};

use halfopen_net::error::chain;
use halfopen_outcome::environment::Environment;
use halfopen_outcome::record::Outcome;
use halfopen_report::finished::Finished;
use halfopen_report::{json, kernels, markdown, notes};
use halfopen_vm::cases::{self, KernelRun, Options};
use halfopen_vm::kernels as found;
use halfopen_vm::machine::Origin;
use halfopen_vm::state::store;
use halfopen_vm::{Kernel, VmError};

use super::args::{KernelsArgs, ReportFormat, RunArgs};
use super::baseline::Plan;
use super::error::{CliError, Exit};
use super::guests_meter::Meter;
use super::run::{Sysctls, exit, report};
use super::select::Picked;
use super::{interrupt, output};

/// Every kernel that is found.
pub(super) const ALL: &str = "all";

/// Runs cases on the kernels that were asked for and reports them.
pub(super) fn run(
    args: &RunArgs,
    picked: &Picked<'_>,
    sysctls: Sysctls,
    plan: Plan,
) -> Result<Exit, CliError> {
    let cases = picked.cases;
    let kernels = kernels_of(&args.kernel)?;
    let options = Options {
        time: args.time.guest(),
        jobs: args.jobs.map(usize::from),
        sysctls,
        interrupt: interrupt::watch(),
        ..Options::default()
    };
    let began = Instant::now();
    let releases: Vec<&str> = kernels.iter().map(|k| k.release.as_str()).collect();
    let mut meter = Meter::new(&releases, cases.len());
    let runs = cases::run(cases, &kernels, &options, &mut |kernel, event| {
        meter.see(kernel, &event);
    });
    meter.finish();
    let runs = runs.map_err(|e| CliError::Vm(chain(&e)))?;
    tell(args, &kernels, &runs, began.elapsed(), picked, plan)
}

fn tell(
    args: &RunArgs,
    kernels: &[Kernel],
    runs: &[KernelRun],
    elapsed: Duration,
    picked: &Picked<'_>,
    plan: Plan,
) -> Result<Exit, CliError> {
    let mut exits = Vec::new();
    for (kernel, run) in kernels.iter().zip(runs) {
        if let Err(e) = &run.ended {
            match e {
                VmError::Interrupted => exits.push(Exit::Interrupted),
                _ => exits.push(Exit::Machine),
            }
            output::error(&format!(
                "{}: {} of its cases came to an end: {}",
                kernel.release,
                run.outcomes.len(),
                chain(e)
            ));
        }
    }
    let interrupted = exits.contains(&Exit::Interrupted);
    let good: Vec<(&Environment, &[Outcome], Duration)> = runs
        .iter()
        .filter_map(|run| {
            let wall = run.ended.as_ref().map_or(elapsed, |life| life.wall);
            Some((run.environment.as_ref()?, run.outcomes.as_slice(), wall))
        })
        .collect();
    let finished: Vec<Finished<'_>> = good
        .iter()
        .map(|(environment, outcomes, elapsed)| Finished {
            environment,
            outcomes,
            interrupted,
            elapsed: *elapsed,
        })
        .collect();
    let compares = plan.compares();
    match (finished.as_slice(), args.format) {
        ([], _) => {}
        _ if compares => {}
        ([one], _) => report(one, args)?,
        (several, ReportFormat::Markdown) => output::say(&markdown::runs(several))?,
        (several, ReportFormat::Json) => {
            output::write_with(|out| json::write_several(several, out))?;
        }
        (several, ReportFormat::Table) => {
            output::say(&kernels::render(several))?;
            output::say(
                "\n<- marks what is not the same on all kernels, (!) what differs from what was expected\n",
            )?;
        }
    }
    for (kernel, run) in kernels.iter().zip(runs) {
        let (Ok(life), Some(environment)) = (&run.ended, &run.environment) else {
            continue;
        };
        let finished = Finished {
            environment,
            outcomes: &run.outcomes,
            interrupted,
            elapsed: life.wall,
        };
        // Not every kernel tells.
        let busy = match life.busy {
            Duration::ZERO => String::new(),
            busy => format!(", its processor busy for {:.2} s", busy.as_secs_f64()),
        };
        output::remark(&format!(
            "{}: {}; {} of guest time{busy}; {:.1} s to {}",
            kernel.release,
            notes::totals(&finished),
            halfopen_net::span::human(Duration::from_secs(life.guest.as_secs())),
            life.boot.as_secs_f64(),
            match life.origin {
                Origin::Restored => "restore",
                Origin::SavedFirst => "boot, to save and to restore",
                Origin::Booted => "boot",
            },
        ));
    }
    match plan.carry_out(&finished, picked, args.format)? {
        Some(compared) => exits.push(compared),
        None => exits.extend(finished.iter().map(exit)),
    }
    Ok(Exit::gravest(&exits))
}

/// The kernels that `--kernel` names: paths, releases (or how they begin), or
/// `all`; without any the newest that is found.
pub(super) fn kernels_of(named: &[String]) -> Result<Vec<Kernel>, CliError> {
    let found = found::find();
    let none = || {
        CliError::Vm(
            VmError::NoKernel {
                looked: found.looked.clone(),
            }
            .to_string(),
        )
    };
    if named.is_empty() {
        return Ok(vec![found.kernels.last().ok_or_else(none)?.clone()]);
    }
    let mut kernels: Vec<Kernel> = Vec::new();
    for name in named {
        let path = Path::new(name);
        let new = if name == ALL {
            if found.kernels.is_empty() {
                return Err(none());
            }
            found.kernels.clone()
        } else if path.exists() || name.contains('/') {
            vec![Kernel::open(path).map_err(|e| CliError::Vm(chain(&e)))?]
        } else {
            let fits = |k: &&Kernel| {
                k.release
                    .strip_prefix(name.as_str())
                    .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
            };
            let kernel = found.kernels.iter().find(fits).ok_or_else(|| {
                let known: Vec<&str> = found.kernels.iter().map(|k| k.release.as_str()).collect();
                CliError::Usage(format!(
                    "--kernel {name}: no such file, and no such kernel was found; there are: {}",
                    known.join(", ")
                ))
            })?;
            vec![kernel.clone()]
        };
        for kernel in new {
            if kernels.iter().all(|k| k.vmlinuz != kernel.vmlinuz) {
                kernels.push(kernel);
            }
        }
    }
    Ok(kernels)
}

/// `halfopen kernels`.
pub(super) fn list(args: &KernelsArgs) -> Result<Exit, CliError> {
    if args.clear_states {
        let cleared = store::opened().and_then(|store| store.map(|s| s.clear()).transpose());
        let cleared = cleared.map_err(|e| CliError::Vm(format!("failed to clear states: {e}")))?;
        let cleared = cleared.unwrap_or_default();
        output::remark(&format!("thrown away: {cleared}"));
    }
    let found = found::find();
    output::say(&found::render(&found))?;
    match store::opened().and_then(|store| store.map(|s| s.usage()).transpose()) {
        Ok(None) => {}
        Ok(Some(usage)) => output::say(&format!("\nSaved states of guests: {usage}\n"))?,
        Err(e) => output::remark(&format!("saved states of guests: {e}")),
    }
    Ok(if found.kernels.is_empty() {
        Exit::Machine
    } else {
        Exit::AsExpected
    })
}
