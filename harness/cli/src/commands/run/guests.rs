//! `halfopen run` on other kernels: the cases in guests, one report per kernel or
//! all kernels side by side.

use std::time::{Duration, Instant};

use halfopen_net::error::chain;
use halfopen_outcome::environment::Environment;
use halfopen_outcome::record::Outcome;
use halfopen_report::finished::Finished;
use halfopen_report::{json, kernels, markdown, matrix, notes};
use halfopen_vm::cases::{KernelRun, Options};
use halfopen_vm::machine::Origin;
use halfopen_vm::{Kernel, VmError};

use super::compare::Plan;
use super::pictures::draw;
use super::report::{junit, report};
use crate::args::{RunArgs, RunFormat};
use crate::shared::error::{CliError, Exit};
use crate::shared::guests::{self, kernels_of};
use crate::shared::pictures::Pictures;
use crate::shared::pictures::command;
use crate::shared::select::Picked;
use crate::shared::sysctls::Sysctls;
use crate::shared::{interrupt, output};

/// Runs cases on the kernels that were asked for and reports them.
pub(super) fn run(
    args: &RunArgs,
    picked: &Picked<'_>,
    sysctls: Sysctls,
    plan: Plan,
    pictures: &Pictures,
) -> Result<Exit, CliError> {
    let cases = picked.cases;
    let kernels = kernels_of(&args.kernel)?;
    let options = Options {
        time: args.time.guest(),
        jobs: args.jobs.map(usize::from),
        sysctls,
        interrupt: interrupt::watch(),
        pcap: args.pcap.clone(),
        explain: args.explain,
        ..Options::default()
    };
    let began = Instant::now();
    let runs = guests::run(cases, &kernels, &options)?;
    let elapsed = began.elapsed();
    report_all(args, &kernels, &runs, elapsed, picked, plan, pictures)
}

fn report_all(
    args: &RunArgs,
    kernels: &[Kernel],
    runs: &[KernelRun],
    elapsed: Duration,
    picked: &Picked<'_>,
    plan: Plan,
    pictures: &Pictures,
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
    let with_results: Vec<(&Environment, &[Outcome], Duration)> = runs
        .iter()
        .filter_map(|run| {
            let wall = run.ended.as_ref().map_or(elapsed, |guest| guest.wall);
            Some((run.environment.as_ref()?, run.outcomes.as_slice(), wall))
        })
        .collect();
    let finished: Vec<Finished<'_>> = with_results
        .iter()
        .map(|(environment, outcomes, elapsed)| Finished {
            environment,
            outcomes,
            interrupted,
            elapsed: *elapsed,
        })
        .collect();
    junit(&finished, args)?;
    let compares = plan.compares();
    match (finished.as_slice(), args.format) {
        ([], _) => {}
        _ if compares => {}
        ([one], _) => report(one, args)?,
        (several, RunFormat::Markdown) => output::say(&markdown::runs(several))?,
        (several, RunFormat::Matrix) => {
            for one in several {
                output::say(&matrix::render(one, command()))?;
            }
        }
        (several, RunFormat::Json) => {
            output::write_with(|out| {
                json::write_several(several, args.packets.detail(), output::layout(), out)
            })?;
        }
        (several, RunFormat::Table) => {
            output::say(&kernels::render(several))?;
            output::say(
                "\n<- marks what is not the same on all kernels, (!) what differs from what was expected\n",
            )?;
        }
    }
    for (kernel, run) in kernels.iter().zip(runs) {
        let (Ok(guest), Some(environment)) = (&run.ended, &run.environment) else {
            continue;
        };
        let finished = Finished {
            environment,
            outcomes: &run.outcomes,
            interrupted,
            elapsed: guest.wall,
        };
        // Zero on kernels that do not report it.
        let busy = match guest.busy {
            Duration::ZERO => String::new(),
            busy => format!(", its processor busy for {:.2} s", busy.as_secs_f64()),
        };
        output::remark(&format!(
            "{}: {}; {} of guest time{busy}; {:.1} s to {}",
            kernel.release,
            notes::totals(&finished),
            halfopen_net::span::human(Duration::from_secs(guest.guest.as_secs())),
            guest.boot.as_secs_f64(),
            match guest.origin {
                Origin::Restored => "restore",
                Origin::SavedFirst => "boot, to save and to restore",
                Origin::Booted => "boot",
            },
        ));
    }
    let compared = plan.carry_out(&finished, picked, args.format)?;
    let comparisons = compared.as_ref().map(|c| c.comparisons.as_slice());
    draw(
        args,
        picked,
        &finished,
        comparisons.unwrap_or_default(),
        pictures,
    )?;
    match compared {
        Some(compared) => exits.push(compared.exit),
        None => exits.extend(finished.iter().map(Exit::of_run)),
    }
    Ok(Exit::most_severe(&exits))
}
