//! `halfopen grid`: runs every detector against every fault.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use halfopen_net::error::chain;
use halfopen_outcome::compare_prediction;
use halfopen_outcome::environment::Environment;
use halfopen_outcome::record::{Outcome, Status};
use halfopen_page::heat;
use halfopen_page::html::Page;
use halfopen_predict::Prediction;
use halfopen_report::finished::Finished;
use halfopen_report::grid::{Grid, json, kernel_differences, markdown, table};
use halfopen_report::grid_plan::{Plan, Selection, State};
use halfopen_report::{kernels, notes};
use halfopen_runner::Options;
use halfopen_scenario::case::SignKind;
use halfopen_vm::{VmError, cases};

use crate::args::{Form, GridArgs, StateName, Time};
use crate::shared::error::{CliError, Exit};
use crate::shared::guests::{self, kernels_of};
use crate::shared::pictures::{Pictures, command, quoted};
use crate::shared::progress::Progress;
use crate::shared::sysctls::{self, Sysctls};
use crate::shared::{capabilities, disturbed, interrupt, modules, output};

/// How long a cell is waited for in real time: the fast detectors are set to
/// 30 s, and a host that reboots is away for 20 s.
const LIMIT: Duration = Duration::from_secs(45);
/// The same in virtual time: keepalive's defaults take 2 h 12 m.
const VIRTUAL_LIMIT: Duration = Duration::from_secs(3 * 3600);
/// How far ahead cells are predicted: the longest that a case may last.
const HORIZON: Duration = Duration::from_secs(24 * 3600);
/// Cases that share a guest: two guests for the whole grid's half thousand keep
/// two processors busy, and none needs more memory than the catalogue's.
const BATCH: usize = 260;

/// The results on one kernel.
struct OnKernel {
    environment: Environment,
    outcomes: Vec<Outcome>,
}

/// The results on all kernels.
struct Ran {
    kernels: Vec<OnKernel>,
    interrupted: bool,
    /// A guest ended before its cases.
    broken: bool,
    elapsed: Duration,
}

/// Runs the grid and shows it.
pub(crate) fn grid(args: &GridArgs) -> Result<Exit, CliError> {
    let plan = plan(args)?;
    if args.format == Form::Yaml {
        output::say(&plan.text)?;
        return Ok(Exit::AsExpected);
    }
    let sysctls = sysctls::by_host(&args.sysctl, &plan.cases)?;
    let pictures = Pictures::of(&args.pictures)?;
    let ran = if in_guests(args) {
        run_in_guests(args, &plan, sysctls)?
    } else {
        run_here(args, &plan, sysctls)?
    };
    report(args, &plan, &ran, &pictures)
}

fn in_guests(args: &GridArgs) -> bool {
    args.time == Time::Virtual || !args.kernel.is_empty()
}

fn plan(args: &GridArgs) -> Result<Plan, CliError> {
    let declared = match &args.file {
        None => None,
        Some(file) => Some(
            halfopen_scenario::load(file)
                .map_err(|e| CliError::Scenarios(e.to_string()))?
                .detectors,
        ),
    };
    let has = |name: StateName| args.states.is_empty() || args.states.contains(&name);
    let states: Vec<State> = [
        (StateName::Idle, State::Idle),
        (StateName::Sending, State::Sending),
    ]
    .into_iter()
    .filter_map(|(name, state)| has(name).then_some(state))
    .collect();
    let hours = args.time == Time::Virtual;
    Plan::of(&Selection {
        detectors: &args.detector,
        faults: &args.fault,
        states: &states,
        declared: declared.as_ref(),
        limit: args
            .limit
            .unwrap_or(if hours { VIRTUAL_LIMIT } else { LIMIT }),
        virtual_time: hours,
    })
    .map_err(|e| CliError::Usage(e.to_string()))
}

fn run_here(args: &GridArgs, plan: &Plan, sysctls: Sysctls) -> Result<Ran, CliError> {
    modules::load_none(args.no_module_loading, &plan.cases, &sysctls)?;
    // Before the first thread: see capabilities::needed_for_run().
    let privileges = capabilities::needed_for_run()?;
    let options = Options {
        jobs: Some(args.jobs.map_or(plan.cases.len(), usize::from)),
        sysctls,
        interrupt: interrupt::watch(),
        privileges: privileges.to_owned(),
        virtual_time: false,
        wait_for_quiet: disturbed::WAIT_FOR_QUIET,
        no_real_time: args.no_real_time,
        explain: false,
        pcap: None,
    };
    let mut progress = Progress::new();
    let results = halfopen_runner::run(&plan.cases, &options, &mut |event| progress.record(&event));
    let elapsed = progress.finish();
    let results = results.map_err(|e| CliError::Run(chain(&e)))?;
    Ok(Ran {
        interrupted: results.interrupted,
        broken: false,
        elapsed,
        kernels: vec![OnKernel {
            environment: results.environment,
            outcomes: results.outcomes,
        }],
    })
}

fn run_in_guests(args: &GridArgs, plan: &Plan, sysctls: Sysctls) -> Result<Ran, CliError> {
    let kernels = kernels_of(&args.kernel)?;
    let options = cases::Options {
        time: args.time.guest(),
        jobs: args.jobs.map(usize::from),
        batch: Some(BATCH),
        sysctls,
        interrupt: interrupt::watch(),
        ..cases::Options::default()
    };
    let began = Instant::now();
    let runs = guests::run(&plan.cases, &kernels, &options)?;
    let mut ran = Ran {
        kernels: Vec::new(),
        interrupted: false,
        broken: false,
        elapsed: began.elapsed(),
    };
    for (kernel, run) in kernels.iter().zip(runs) {
        if let Err(e) = &run.ended {
            ran.interrupted |= matches!(e, VmError::Interrupted);
            ran.broken |= !matches!(e, VmError::Interrupted);
            output::error(&format!(
                "{}: {} of its cells came to an end: {}",
                kernel.release,
                run.outcomes.len(),
                chain(e)
            ));
        }
        ran.kernels
            .extend(run.environment.map(|environment| OnKernel {
                environment,
                outcomes: run.outcomes,
            }));
    }
    Ok(ran)
}

fn report(args: &GridArgs, plan: &Plan, ran: &Ran, pictures: &Pictures) -> Result<Exit, CliError> {
    let grids: Vec<Grid<'_>> = ran
        .kernels
        .iter()
        .map(|on| {
            let beyond = beyond_limit(plan, on);
            Grid::of(plan, &on.environment, &on.outcomes, beyond)
        })
        .collect();
    if let Some((first, others)) = grids.split_first() {
        match args.format {
            Form::Json => output::write_with(|out| {
                json::write(&grids, ran.interrupted, output::layout(), out)
            })?,
            Form::Markdown => {
                let mut text = markdown::render(first, command());
                text.push_str(&kernel_differences(first, others));
                output::say(&text)?;
            }
            Form::Table | Form::Yaml => {
                let mut text = table::render(first, output::width());
                text.push_str(&kernel_differences(first, others));
                output::say(&text)?;
            }
        }
    }
    let runs: Vec<Finished<'_>> = ran.kernels.iter().map(|on| finished(ran, on)).collect();
    draw(args, plan, &runs, &grids, pictures)?;
    let mut exits = vec![Exit::AsExpected];
    for (on, finished) in ran.kernels.iter().zip(&runs) {
        let exit = Exit::of_run(finished);
        exits.push(disturbed::conclude(&on.outcomes, args.disturbed, exit));
        output::remark(&format!(
            "{}: {}",
            on.environment.kernel,
            notes::totals(finished)
        ));
    }
    if ran.broken {
        exits.push(Exit::Machine);
    }
    if ran.interrupted {
        exits.push(Exit::Interrupted);
    }
    Ok(Exit::most_severe(&exits))
}

/// Predictions of the cells in which nothing was noticed within the limit.
fn beyond_limit<'a>(plan: &'a Plan, on: &OnKernel) -> BTreeMap<&'a str, Prediction> {
    let unnoticed = |id: &str| {
        on.outcomes.iter().any(|o| {
            o.id == id
                && o.status == Status::Ran
                && o.first_sign
                    .as_ref()
                    .is_some_and(|s| s.outcome == SignKind::Unnoticed)
        })
    };
    plan.cases
        .iter()
        .filter(|case| unnoticed(&case.id))
        .filter_map(|case| {
            let prediction = compare_prediction::predict_until(case, HORIZON, &on.environment)?;
            Some((case.id.as_str(), prediction))
        })
        .collect()
}

fn finished<'a>(ran: &Ran, on: &'a OnKernel) -> Finished<'a> {
    Finished {
        environment: &on.environment,
        outcomes: &on.outcomes,
        interrupted: ran.interrupted,
        elapsed: ran.elapsed,
    }
}

/// Writes `--html` and `--svg`.
fn draw(
    args: &GridArgs,
    plan: &Plan,
    runs: &[Finished<'_>],
    grids: &[Grid<'_>],
    pictures: &Pictures,
) -> Result<(), CliError> {
    if grids.is_empty() {
        return Ok(());
    }
    pictures.write_page(&Page {
        command: command(),
        runs,
        cases: &plan.cases,
        file: Some(("grid.yaml", &plan.text)),
        command_of: &|id, environment| one_cell(args, plan, id, environment),
        grids,
        comparisons: &[],
        ignored: &[],
    })?;
    let name = |grid: &Grid<'_>| match grids {
        [_] => "grid".to_owned(),
        _ => format!("grid--{}", kernels::short(&grid.environment.kernel)),
    };
    pictures.write_drawings(grids.iter().map(|grid| (name(grid), heat::file(grid))))
}

/// The command that runs the cell of a case alone.
fn one_cell(args: &GridArgs, plan: &Plan, id: &str, environment: &Environment) -> String {
    let place = plan.cases.iter().position(|case| case.id == id);
    let Some(cell) = place.and_then(|index| plan.cells.get(index)) else {
        return command().to_owned();
    };
    let mut words = format!(
        "halfopen grid --detector {} --fault {} --while {}",
        plan.detectors[cell.detector].name,
        plan.faults[cell.fault].name,
        plan.states[cell.state].name()
    );
    if let Some(file) = &args.file {
        words += &format!(" --file {}", quoted(&file.display().to_string()));
    }
    if in_guests(args) {
        words += &format!(
            " --time {} --kernel {}",
            environment.time, environment.kernel
        );
    }
    words
}
