//! `halfopen run`: selects cases, runs them on this machine or in guests, reports
//! them, and saves or compares them as baselines.

mod compare;
mod guests;
mod pictures;
mod report;

use halfopen_net::error::chain;
use halfopen_report::finished::Finished;
use halfopen_runner::Options;

use crate::args::{RunArgs, RunFormat, Time};
use crate::shared::error::{CliError, Exit};
use crate::shared::pictures::Pictures;
use crate::shared::progress::Progress;
use crate::shared::{
    EXPLAIN_IN_GUESTS, capabilities, catalogue, disturbed, interrupt, modules, output, select,
    sysctls,
};
use compare::Plan;
use pictures::draw;
use report::{junit, report};

pub(crate) fn run(args: &RunArgs) -> Result<Exit, CliError> {
    if args.ladder && args.format != RunFormat::Table {
        return Err(CliError::Usage(
            "--ladder is a drawing for people: it goes with --format table; with --format json \
             every call and packet is in the output already"
                .into(),
        ));
    }
    if args.baseline.against.is_some() && args.format == RunFormat::Matrix {
        return Err(CliError::Usage(
            "--format matrix shows a run, and --against a comparison; the comparison has --format \
             markdown"
                .into(),
        ));
    }
    let in_guests = args.time == Time::Virtual || !args.kernel.is_empty();
    if args.explain && !in_guests {
        return Err(CliError::Usage(EXPLAIN_IN_GUESTS.into()));
    }
    if let Some(directory) = &args.pcap {
        output::make_directory(directory, "--pcap")?;
    }
    let (file, filters) = select::file_and_filters(&args.what);
    let (from, catalogue) = catalogue::open(file.as_deref())?;
    let mut cases = select::pick(catalogue.cases, &filters, &from)?;
    if let Some(partition) = args.partition {
        cases = partition.pick(cases);
    }
    let sysctls = sysctls::by_host(&args.sysctl, &cases)?;
    let plan = Plan::of(&args.baseline)?;
    let pictures = Pictures::of(&args.pictures)?;
    let picked = select::Picked::new(&cases, &filters);
    if in_guests {
        return guests::run(args, &picked, sysctls, plan, &pictures);
    }
    modules::load_none(args.no_module_loading, &cases, &sysctls)?;
    // Before the first thread: see capabilities::needed_for_run().
    let privileges = capabilities::needed_for_run()?;
    let options = Options {
        jobs: args.jobs.map(usize::from),
        sysctls,
        interrupt: interrupt::watch(),
        pcap: args.pcap.clone(),
        privileges: privileges.to_owned(),
        virtual_time: false,
        wait_for_quiet: disturbed::WAIT_FOR_QUIET,
        no_real_time: args.no_real_time,
        explain: false,
    };
    let mut progress = Progress::new();
    let results = halfopen_runner::run(&cases, &options, &mut |event| progress.record(&event));
    let elapsed = progress.finish();
    let results = results.map_err(|e| CliError::Run(chain(&e)))?;
    let finished = Finished {
        environment: &results.environment,
        outcomes: &results.outcomes,
        interrupted: results.interrupted,
        elapsed,
    };
    if !plan.compares() {
        report(&finished, args)?;
    }
    let runs = [finished];
    junit(&runs, args)?;
    let compared = plan.carry_out(&runs, &picked, args.format)?;
    let own = Exit::of_run(&finished);
    let comparisons = compared.as_ref().map(|c| c.comparisons.as_slice());
    draw(
        args,
        &picked,
        &runs,
        comparisons.unwrap_or_default(),
        &pictures,
    )?;
    let compared = compared.map(|compared| compared.exit);
    let exit = compared.filter(|_| !finished.interrupted).unwrap_or(own);
    Ok(disturbed::conclude(&results.outcomes, args.disturbed, exit))
}
