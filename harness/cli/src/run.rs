//! `halfopen run`.

use std::collections::{BTreeMap, BTreeSet};

use halfopen_report::finished::{Finished, Totals};
use halfopen_report::{json, ladder, markdown, netstat, notes, table};
use halfopen_scenario::case::Case;

use super::args::{ReportFormat, RunArgs, Sysctl, Time};
use super::baseline::Plan;
use super::error::{CliError, Exit};
use super::progress::Meter;
use super::{catalogue, doctor, guests, interrupt, output, select};
use halfopen_net::error::chain;
use halfopen_runner::{self, Options};

/// `--sysctl` by host.
pub(super) type Sysctls = BTreeMap<String, BTreeMap<String, String>>;

/// The host of a `--sysctl` that means every host.
const EVERY_HOST: &str = "all";

/// Runs cases and reports them.
pub(super) fn run(args: &RunArgs) -> Result<Exit, CliError> {
    if args.ladder && args.format != ReportFormat::Table {
        return Err(CliError::Usage(
            "--ladder is a drawing for people: it goes with --format table; with --format json \
             every call and packet is in the output already"
                .into(),
        ));
    }
    let (file, filters) = select::file_and_filters(&args.what);
    let (from, catalogue) = catalogue::open(file.as_deref())?;
    let cases = select::pick(catalogue.cases, &filters, &from)?;
    let sysctls = sysctls(&args.sysctl, &cases)?;
    let plan = Plan::of(&args.baseline)?;
    let picked = select::Picked::new(&cases, &filters);
    if args.time == Time::Virtual || !args.kernel.is_empty() {
        return guests::run(args, &picked, sysctls, plan);
    }
    // Before any thread is started: see privileges.
    let privileges = doctor::needed_for_run()?;
    let options = Options {
        jobs: args.jobs.map(usize::from),
        sysctls,
        interrupt: interrupt::watch(),
        privileges: privileges.to_owned(),
        virtual_time: false,
    };
    let mut meter = Meter::new();
    let results = halfopen_runner::run(&cases, &options, &mut |event| meter.see(&event));
    let elapsed = meter.finish();
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
    let compared = plan.carry_out(&runs, &picked, args.format)?;
    let own = exit(&finished);
    Ok(compared.filter(|_| !finished.interrupted).unwrap_or(own))
}

pub(super) fn report(finished: &Finished<'_>, args: &RunArgs) -> Result<(), CliError> {
    if args.format == ReportFormat::Markdown {
        return output::say(&markdown::runs(std::slice::from_ref(finished)));
    }
    if args.format == ReportFormat::Json {
        output::write_with(|out| json::write(finished, out))?;
        output::remark(&notes::totals(finished));
        return Ok(());
    }
    let width = output::width();
    let mut text = output::painted(&table::render(finished.outcomes, width));
    if args.ladder {
        let view = ladder::View {
            width: usize::from(width),
            ..ladder::WHOLE
        };
        for outcome in finished.outcomes {
            text.push_str(&format!(
                "\n{}\n{}",
                outcome.id,
                ladder::render(outcome, &view)
            ));
            text.push_str(&netstat::render(&outcome.netstat));
        }
    }
    text.push_str(&notes::render(finished, width));
    output::say(&text)
}

/// The exit code of a run. One in which no case could be run has shown
/// nothing, so it does not count as going as expected.
pub(super) fn exit(finished: &Finished<'_>) -> Exit {
    let totals = Totals::of(finished.outcomes);
    if finished.interrupted {
        Exit::Interrupted
    } else if !totals.all_as_expected() {
        Exit::Differs
    } else if totals.not_run == totals.cases && totals.cases > 0 {
        Exit::Machine
    } else {
        Exit::AsExpected
    }
}

/// `--sysctl` by host.
///
/// # Errors
/// A host that no selected case has, or one key given two values.
pub(super) fn sysctls(
    given: &[Sysctl],
    cases: &[Case],
) -> Result<BTreeMap<String, BTreeMap<String, String>>, CliError> {
    let hosts: BTreeSet<&str> = cases
        .iter()
        .flat_map(|case| case.network.nodes.iter().map(|node| node.name.as_str()))
        .chain([EVERY_HOST])
        .collect();
    let mut by_host: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for Sysctl { host, key, value } in given {
        if !hosts.contains(host.as_str()) {
            let known: Vec<_> = hosts.iter().map(|host| format!("`{host}`")).collect();
            return Err(CliError::Usage(format!(
                "--sysctl {host}:{key}={value}: no selected case has a host `{host}`; there are {}",
                known.join(", ")
            )));
        }
        let before = by_host
            .entry(host.clone())
            .or_default()
            .insert(key.clone(), value.clone());
        if let Some(before) = before.filter(|before| before != value) {
            return Err(CliError::Usage(format!(
                "--sysctl {host}:{key} is given twice, as {before} and as {value}"
            )));
        }
    }
    Ok(by_host)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use halfopen_outcome::record::Outcome;
    use halfopen_outcome::testing;

    fn code(outcomes: &[Outcome], interrupted: bool) -> u8 {
        let environment = testing::environment();
        let elapsed = Duration::from_secs(1);
        exit(&Finished {
            environment: &environment,
            outcomes,
            interrupted,
            elapsed,
        })
        .code()
    }

    #[test]
    fn exit_codes() {
        let (good, skipped) = (testing::unnoticed(), testing::not_run());
        assert_eq!(code(&[good.clone(), skipped.clone()], false), 0);
        assert_eq!(code(&[good.clone(), testing::failed()], false), 1);
        assert_eq!(code(&testing::all(), false), 1);
        assert_eq!(code(&[skipped], false), 3);
        assert_eq!(code(&[good], true), 130);
    }

    #[test]
    fn a_sysctl_names_a_host_of_the_cases() {
        let cases = halfopen_scenario::parse("t", crate::THREE_CASES)
            .expect("right")
            .cases;
        let one = |host: &str, value: &str| Sysctl {
            host: host.into(),
            key: "net.ipv4.tcp_retries2".into(),
            value: value.into(),
        };
        assert!(sysctls(&[one("client", "8"), one("all", "8")], &cases).is_ok());
        let error = sysctls(&[one("clinet", "8")], &cases).expect_err("no such host");
        assert!(error.to_string().contains("`client`"), "{error}");
        assert!(sysctls(&[one("client", "8"), one("client", "9")], &cases).is_err());
    }
}
