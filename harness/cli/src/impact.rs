//! `halfopen impact`: what a change of sysctls changes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;

use halfopen_lab::internal::pinned;
use halfopen_net::error::chain;
use halfopen_outcome::baseline::Setting;
use halfopen_outcome::comparison::Comparison;
use halfopen_outcome::impact::{Change, Sysctls, scope};
use halfopen_predict::{KernelFacts, Version};
use halfopen_report::comparison::{IgnoredSysctl, json, markdown, text};
use halfopen_scenario::case::{Case, NodeKind};
use halfopen_scenario::sysctl_conf::{self, spaced};
use halfopen_vm::cases::{self, Options};
use halfopen_vm::settings::GuestTime;
use halfopen_vm::{Kernel, VmError};

use super::args::{ReportFormat, What};
use super::error::{CliError, Exit};
use super::guests::kernels_of;
use super::guests_meter::Meter;
use super::{catalogue, interrupt, output, predict, select};

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("source").required(true).multiple(true)
    .args(["sysctl", "from", "to", "sysctl_from_host"]))]
pub(super) struct ImpactArgs {
    #[command(flatten)]
    pub(super) what: What,
    /// The change: this sysctl gets this value, over the scenarios' own; may be
    /// given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = assignment)]
    pub(super) sysctl: Vec<(String, String)>,
    /// The change: from what this file of sysctl.conf(5) sets [default: what
    /// kernels do by themselves]
    #[arg(long, value_name = "CONF", conflicts_with = "sysctl")]
    pub(super) from: Option<PathBuf>,
    /// ... to what this one sets
    #[arg(long, value_name = "CONF", conflicts_with = "sysctl")]
    pub(super) to: Option<PathBuf>,
    /// The change: from what kernels do by themselves to what this machine has
    /// set (its sysctls are read, nothing is written)
    #[arg(long, conflicts_with_all = ["sysctl", "from", "to"])]
    pub(super) sysctl_from_host: bool,
    /// Change it on this host only [default: on every host]
    #[arg(long, value_name = "HOST", default_value = ALL, hide_default_value = true)]
    pub(super) host: String,
    /// The kernel, as for `run`; may be given several times
    #[arg(long, value_name = "KERNEL")]
    pub(super) kernel: Vec<String>,
    /// Run nothing: ask the kernel's rules. --kernel may then be a version
    /// [default: this machine's]
    #[arg(long)]
    pub(super) predict: bool,
    /// For people, for a pull request's comment, or for programs
    #[arg(long, value_enum, default_value_t = ReportFormat::Table, value_name = "FORM")]
    pub(super) format: ReportFormat,
}

/// Every host.
const ALL: &str = "all";

fn assignment(text: &str) -> Result<(String, String), String> {
    if let Some((host, rest)) = text.split_once(':')
        && !host.contains('=')
    {
        return Err(format!(
            "every host gets it; for one host write --sysctl {rest} --host {host}"
        ));
    }
    // `--sysctl` of `run` says what a key is; its host is of no interest here.
    super::args::sysctl(&format!("{ALL}:{text}"))
        .map(|s| (s.key, s.value))
        .map_err(|e| {
            e.replace("HOST:KEY=VALUE", "KEY=VALUE")
                .replace("client:", "")
        })
}

/// Runs both sides, or predicts them, and reports what changes.
pub(super) fn impact(args: &ImpactArgs) -> Result<Exit, CliError> {
    let (file, filters) = select::file_and_filters(&args.what);
    let (from, catalogue) = catalogue::open(file.as_deref())?;
    let cases = select::pick(catalogue.cases, &filters, &from)?;
    check_host(&args.host, &cases)?;
    // Files are read before a guest is looked for: what is wrong comes first.
    let wanted = Wanted::of(args)?;
    let (comparisons, ignored, interrupted) = if args.predict {
        predicted(args, &wanted, &cases)?
    } else {
        measured(args, &wanted, &cases)?
    };
    show(&comparisons, &ignored, args.format)?;
    Ok(if interrupted {
        Exit::Interrupted
    } else if comparisons.iter().any(Comparison::any_change) {
        Exit::Differs
    } else if comparisons.is_empty() || none_ran(&comparisons) {
        Exit::Machine
    } else {
        Exit::AsExpected
    })
}

fn none_ran(comparisons: &[Comparison]) -> bool {
    let cases: usize = comparisons.iter().map(|c| c.cases.len()).sum();
    let not_run: usize = comparisons.iter().map(|c| c.totals().not_run).sum();
    cases > 0 && cases == not_run
}

fn check_host(host: &str, cases: &[Case]) -> Result<(), CliError> {
    let mut known: Vec<&str> = cases
        .iter()
        .flat_map(|case| &case.network.nodes)
        .filter(|node| node.kind == NodeKind::Host)
        .map(|node| node.name.as_str())
        .collect();
    known.sort_unstable();
    known.dedup();
    if host == ALL || known.contains(&host) {
        return Ok(());
    }
    Err(CliError::Usage(format!(
        "--host {host}: no selected case has it; there are {}",
        known.join(", ")
    )))
}

/// Both sides as they were asked for, before it is known on which kernel.
struct Wanted {
    then: BTreeMap<String, String>,
    now: BTreeMap<String, String>,
    /// Somebody named these sysctls one by one: none is left out.
    named: bool,
}

impl Wanted {
    fn of(args: &ImpactArgs) -> Result<Self, CliError> {
        let read = |path: &Option<PathBuf>| {
            let conf = path.as_deref().map(sysctl_conf::load).transpose();
            conf.map(Option::unwrap_or_default)
                .map_err(|e| CliError::Scenarios(e.to_string()))
        };
        if args.sysctl_from_host {
            return Ok(Wanted {
                then: BTreeMap::new(),
                now: of_this_machine(Path::new("/proc/sys"))?,
                named: false,
            });
        }
        if !args.sysctl.is_empty() {
            let mut now = BTreeMap::new();
            for (key, value) in &args.sysctl {
                let before = now.insert(key.clone(), value.clone());
                if let Some(before) = before.filter(|before| before != value) {
                    return Err(CliError::Usage(format!(
                        "--sysctl {key} is given twice, as {before} and as {value}"
                    )));
                }
            }
            return Ok(Wanted {
                then: BTreeMap::new(),
                now,
                named: true,
            });
        }
        Ok(Wanted {
            then: read(&args.from)?,
            now: read(&args.to)?,
            named: false,
        })
    }

    /// The change, and what was left out of it, and why.
    fn change(&self, host: &str, oldest: Option<Version>) -> (Change, Vec<IgnoredSysctl>) {
        let mut ignored = BTreeMap::new();
        let mut side = |set: &BTreeMap<String, String>| -> Sysctls {
            let mut kept = BTreeMap::new();
            for (key, value) in set {
                let why = scope::ignored(key, value, oldest).filter(|_| !self.named);
                match why {
                    Some(why) => {
                        ignored.insert(key.clone(), why);
                    }
                    None => {
                        kept.insert(key.clone(), value.clone());
                    }
                }
            }
            BTreeMap::from([(host.to_owned(), kept)])
        };
        let (then, now) = (side(&self.then), side(&self.now));
        let ignored = ignored
            .into_iter()
            .map(|(key, why)| IgnoredSysctl { key, why })
            .collect();
        (Change { then, now }, ignored)
    }
}

/// What differs on this machine from what kernels do by themselves, of all the
/// sysctls that a lab pins. Only read.
fn of_this_machine(proc_sys: &Path) -> Result<BTreeMap<String, String>, CliError> {
    let mut set = BTreeMap::new();
    for pinned in [pinned::TCP, pinned::IPV4, pinned::IPV6]
        .into_iter()
        .flatten()
    {
        let path = proc_sys.join(pinned.key.replace('.', "/"));
        let value = match std::fs::read_to_string(&path) {
            Ok(value) => spaced(&value),
            // Another kernel than those that have it; root's alone.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => continue,
            Err(e) => {
                return Err(CliError::Run(format!(
                    "failed to read {}: {e}",
                    path.display()
                )));
            }
        };
        if value != pinned.value {
            set.insert(pinned.key.to_owned(), value);
        }
    }
    Ok(set)
}

type Answer = (Vec<Comparison>, Vec<IgnoredSysctl>, bool);

fn measured(args: &ImpactArgs, wanted: &Wanted, cases: &[Case]) -> Result<Answer, CliError> {
    let kernels = kernels_of(&args.kernel)?;
    let oldest = kernels.iter().filter_map(version).min();
    let (change, ignored) = wanted.change(&args.host, oldest);
    if change.then == change.now {
        return Ok((vec![nothing()], ignored, false));
    }
    let facts: Vec<KernelFacts> = kernels
        .iter()
        .filter_map(|kernel| {
            let hz = kernel.hz.unwrap_or(predict::USUAL_HZ);
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
        // Both sides in one guest, whose timer wheel stands the same for both.
        batch: Some(variants.len()),
        ..Options::default()
    };
    let releases: Vec<&str> = kernels.iter().map(|k| k.release.as_str()).collect();
    let began = Instant::now();
    let mut meter = Meter::new(&releases, variants.len());
    let runs = cases::run(&variants, &kernels, &options, &mut |kernel, event| {
        meter.see(kernel, &event);
    });
    meter.finish();
    let runs = runs.map_err(|e| CliError::Vm(chain(&e)))?;
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
    Ok((comparisons, ignored, interrupted))
}

/// Runs again what changed and is not explained; true when it was interrupted,
/// and the comparison is as it was.
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
    let mut meter = Meter::new(&[&kernel.release], again.len());
    let runs = cases::run(
        &again,
        std::slice::from_ref(kernel),
        options,
        &mut |at, event| {
            meter.see(at, &event);
        },
    );
    meter.finish();
    for run in runs.map_err(|e| CliError::Vm(chain(&e)))? {
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

fn predicted(args: &ImpactArgs, wanted: &Wanted, cases: &[Case]) -> Result<Answer, CliError> {
    let mut named: Vec<Option<&str>> = args.kernel.iter().map(|k| Some(k.as_str())).collect();
    if named.is_empty() {
        named.push(None);
    }
    let mut settings = Vec::new();
    for name in named {
        let facts = predict::facts_of(name, None)?;
        settings.push((
            facts,
            Setting {
                kernel: facts.version.to_string(),
                hz: Some(facts.hz),
                clock: "predicted".into(),
                halfopen: env!("CARGO_PKG_VERSION").into(),
                sysctls: pinned::TCP
                    .iter()
                    .map(|p| (p.key.to_owned(), p.value.to_owned()))
                    .collect(),
                overrides: BTreeMap::new(),
            },
        ));
    }
    let oldest = settings.iter().map(|(facts, _)| facts.version).min();
    let (change, ignored) = wanted.change(&args.host, oldest);
    let comparisons = settings
        .iter()
        .map(|(facts, setting)| {
            let cases: Vec<Case> = cases
                .iter()
                .map(|case| change.extend_give_up(case, &[*facts]))
                .collect();
            change.predict(setting, &cases)
        })
        .collect();
    Ok((comparisons, ignored, false))
}

/// Both sides are the same: nothing has to be run to know that.
fn nothing() -> Comparison {
    output::remark("both sides set the same: nothing was run");
    Comparison {
        then: None,
        now: None,
        environment: Vec::new(),
        cases: Vec::new(),
    }
}

fn show(
    comparisons: &[Comparison],
    ignored: &[IgnoredSysctl],
    format: ReportFormat,
) -> Result<(), CliError> {
    match format {
        ReportFormat::Json => output::write_with(|out| json::write(comparisons, ignored, out)),
        ReportFormat::Markdown => {
            let text = markdown::render(comparisons) + &markdown::ignored(ignored);
            output::say(&text)
        }
        ReportFormat::Table => {
            let text = text::ignored(ignored) + &text::render(comparisons, &|_, _| None);
            output::say(&text)
        }
    }
}
