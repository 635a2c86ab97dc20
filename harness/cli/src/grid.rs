//! `halfopen grid`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use halfopen_net::error::chain;
use halfopen_outcome::compare_prediction;
use halfopen_outcome::environment::Environment;
use halfopen_outcome::record::{Outcome, Status};
use halfopen_predict::Prediction;
use halfopen_report::finished::Finished;
use halfopen_report::grid::{Grid, json, kernel_differences, markdown, table};
use halfopen_report::grid_plan::{Plan, Selection, State};
use halfopen_report::notes;
use halfopen_runner::{self, Options};
use halfopen_scenario::case::SignKind;
use halfopen_scenario::{self, positive};
use halfopen_vm::VmError;
use halfopen_vm::cases as guests;

use super::args::{Sysctl, Time, sysctl};
use super::error::{CliError, Exit};
use super::guests::kernels_of;
use super::run::{Sysctls, exit, sysctls};
use super::{doctor, guests_meter, interrupt, output, progress};

/// In real time: the fast detectors are set to 30 s, and a host that reboots
/// is away for 20 s.
const LIMIT: Duration = Duration::from_secs(45);
/// In virtual time: keepalive's defaults take 2 h 12 m.
const VIRTUAL_LIMIT: Duration = Duration::from_secs(3 * 3600);
/// How far ahead the rules are asked: the longest that a case may last.
const AHEAD: Duration = Duration::from_secs(24 * 3600);
/// Cases that share a guest: two guests for the whole grid's half thousand keep
/// two processors busy, and none needs more memory than the catalogue's.
const BATCH: usize = 260;

#[derive(Debug, Args)]
pub(super) struct GridArgs {
    /// Only these detectors, NAME,NAME... [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    detector: Vec<String>,
    /// Only these faults, NAME,NAME... [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    fault: Vec<String>,
    /// Only while the connection is idle, or while data is in flight [default: both]
    #[arg(long = "while", value_enum, value_name = "STATE")]
    states: Vec<StateName>,
    /// Take the detectors from a file of scenarios instead
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// How long after the fault a cell is waited for [default: 45s, 3h in virtual time]
    #[arg(long, value_name = "TIME", value_parser = limit)]
    limit: Option<Duration>,
    /// On this machine's clock, or on a guest's that jumps over idle time
    #[arg(long, value_enum, default_value_t = Time::Real, value_name = "CLOCK")]
    time: Time,
    /// Run in a guest on this kernel, as for `run`; of several, the first one's
    /// grid is shown, and where the others differ
    #[arg(long, value_name = "KERNEL")]
    kernel: Vec<String>,
    /// Set a sysctl on a host (`all`: on every host), over the grid's own; may
    /// be given several times
    #[arg(long, value_name = "HOST:KEY=VALUE", value_parser = sysctl)]
    sysctl: Vec<Sysctl>,
    /// How many cells run at the same time [default: all]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// For people, for documents, or for programs
    #[arg(long, value_enum, default_value_t = Form::Table, value_name = "FORM")]
    format: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StateName {
    /// The client waits for the server to speak
    Idle,
    /// The client sends a request and waits for its answer
    Sending,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Aligned text
    Table,
    /// Tables as GitHub shows them
    Markdown,
    /// One JSON object with the grid's axes and a cell for each case
    Json,
    /// Nothing is run: the grid's scenarios, as `halfopen run` takes them
    Yaml,
}

fn limit(text: &str) -> Result<Duration, String> {
    // The fault strikes a little after the start.
    let longest = Duration::from_secs(23 * 3600);
    match positive(text) {
        Ok(limit) if limit > longest => Err("a case lasts a day at most: write 23h or less".into()),
        Ok(limit) => Ok(limit),
        Err(refusal) => Err(match refusal.help {
            Some(help) => format!("{}; {help}", refusal.message),
            None => refusal.message,
        }),
    }
}

/// What one kernel gave.
struct Given {
    environment: Environment,
    outcomes: Vec<Outcome>,
}

/// What all of them gave.
struct Ran {
    kernels: Vec<Given>,
    interrupted: bool,
    /// A guest did not come to its end.
    broken: bool,
    elapsed: Duration,
}

/// Runs the grid and shows it.
pub(super) fn grid(args: &GridArgs) -> Result<Exit, CliError> {
    let plan = plan(args)?;
    if args.format == Form::Yaml {
        output::say(&plan.text)?;
        return Ok(Exit::AsExpected);
    }
    let sysctls = sysctls(&args.sysctl, &plan.cases)?;
    let ran = if in_guests(args) {
        run_in_guests(args, &plan, sysctls)?
    } else {
        run_here(args, &plan, sysctls)?
    };
    report(args, &plan, &ran)
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
    // Before any thread is started: see privileges.
    let privileges = doctor::needed_for_run()?;
    let options = Options {
        jobs: Some(args.jobs.map_or(plan.cases.len(), usize::from)),
        sysctls,
        interrupt: interrupt::watch(),
        privileges: privileges.to_owned(),
        virtual_time: false,
    };
    let mut meter = progress::Meter::new();
    let results = halfopen_runner::run(&plan.cases, &options, &mut |event| meter.see(&event));
    let elapsed = meter.finish();
    let results = results.map_err(|e| CliError::Run(chain(&e)))?;
    Ok(Ran {
        interrupted: results.interrupted,
        broken: false,
        elapsed,
        kernels: vec![Given {
            environment: results.environment,
            outcomes: results.outcomes,
        }],
    })
}

fn run_in_guests(args: &GridArgs, plan: &Plan, sysctls: Sysctls) -> Result<Ran, CliError> {
    let kernels = kernels_of(&args.kernel)?;
    let options = guests::Options {
        time: args.time.guest(),
        jobs: args.jobs.map(usize::from),
        batch: Some(BATCH),
        sysctls,
        interrupt: interrupt::watch(),
        ..guests::Options::default()
    };
    let began = Instant::now();
    let releases: Vec<&str> = kernels.iter().map(|k| k.release.as_str()).collect();
    let mut meter = guests_meter::Meter::new(&releases, plan.cases.len());
    let runs = guests::run(&plan.cases, &kernels, &options, &mut |kernel, event| {
        meter.see(kernel, &event);
    });
    meter.finish();
    let mut ran = Ran {
        kernels: Vec::new(),
        interrupted: false,
        broken: false,
        elapsed: began.elapsed(),
    };
    for (kernel, run) in kernels
        .iter()
        .zip(runs.map_err(|e| CliError::Vm(chain(&e)))?)
    {
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
        ran.kernels.extend(run.environment.map(|environment| Given {
            environment,
            outcomes: run.outcomes,
        }));
    }
    Ok(ran)
}

fn report(args: &GridArgs, plan: &Plan, ran: &Ran) -> Result<Exit, CliError> {
    let grids: Vec<Grid<'_>> = ran
        .kernels
        .iter()
        .map(|given| {
            let later = later(plan, given);
            Grid::of(plan, &given.environment, &given.outcomes, later)
        })
        .collect();
    if let Some((first, others)) = grids.split_first() {
        match args.format {
            Form::Json => output::write_with(|out| json::write(&grids, ran.interrupted, out))?,
            Form::Markdown => {
                let mut text = markdown::render(first, &command());
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
    let mut exits = vec![Exit::AsExpected];
    for given in &ran.kernels {
        let finished = Finished {
            environment: &given.environment,
            outcomes: &given.outcomes,
            interrupted: ran.interrupted,
            elapsed: ran.elapsed,
        };
        exits.push(exit(&finished));
        output::remark(&format!(
            "{}: {}",
            given.environment.kernel,
            notes::totals(&finished)
        ));
    }
    if ran.broken {
        exits.push(Exit::Machine);
    }
    if ran.interrupted {
        exits.push(Exit::Interrupted);
    }
    Ok(Exit::gravest(&exits))
}

/// What the rules say of the cells in which nothing came within the limit.
fn later<'a>(plan: &'a Plan, given: &Given) -> BTreeMap<&'a str, Prediction> {
    let quiet = |id: &str| {
        given.outcomes.iter().any(|o| {
            let unnoticed = |kind: &SignKind| *kind == SignKind::Unnoticed;
            o.id == id
                && o.status == Status::Ran
                && o.first_sign.as_ref().is_some_and(|s| unnoticed(&s.outcome))
        })
    };
    plan.cases
        .iter()
        .filter(|case| quiet(&case.id))
        .filter_map(|case| {
            let said = compare_prediction::predict_until(case, AHEAD, &given.environment)?;
            Some((case.id.as_str(), said))
        })
        .collect()
}

/// What was typed, as it would be typed again.
fn command() -> String {
    let words: Vec<String> = std::env::args().skip(1).collect();
    format!("halfopen {}", words.join(" "))
}
