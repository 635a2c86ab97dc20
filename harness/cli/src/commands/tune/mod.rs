//! `halfopen tune`: from promises to settings, or to the proof that none exist.

mod check;
mod json;
mod show;
mod verify;

use halfopen_net::error::chain;
use halfopen_predict::{KernelFacts, Version, kernel};
use halfopen_tune::snippet::Target;
use halfopen_tune::{Answer, Path, Promises, While};
use halfopen_vm::Kernel;

use crate::args::{Format, PathName, TuneArgs, WhileName};
use crate::shared::error::{CliError, Exit};
use crate::shared::guests::{EVERY_KERNEL, kernels_of};
use crate::shared::output;

/// The versions at which the rules change; promises hold on all of them unless
/// --kernel says otherwise.
const VERSIONS: [Version; 4] = [
    kernel::OLDEST,
    kernel::SYN_LINEAR_TIMEOUTS,
    kernel::RTO_MIN_SYSCTL,
    kernel::RTO_MAX_SYSCTL,
];
/// The values of CONFIG_HZ that kernels are built with.
const HZ: [u32; 4] = [100, 250, 300, 1000];

/// Everything a report says.
struct Report<'a> {
    promises: &'a Promises,
    /// As text.
    kernels: String,
    answer: &'a Answer,
    targets: &'a [Target],
    verified: Option<verify::Verified>,
}

pub(crate) fn tune(args: &TuneArgs) -> Result<Exit, CliError> {
    let guests = if args.verify {
        let all = [EVERY_KERNEL.to_owned()];
        let named = if args.kernel.is_empty() {
            &all[..]
        } else {
            &args.kernel[..]
        };
        kernels_of(named)?
    } else {
        Vec::new()
    };
    let versions = versions(args)?;
    let hz = hz(args, &guests);
    let promises = Promises {
        notice_within: args.notice_within,
        ride_out: args.ride_out,
        when: match args.when {
            WhileName::Idle => While::Idle,
            WhileName::Sending => While::Sending,
            WhileName::Both => While::Both,
        },
        round_trip: args.round_trip,
        path: match args.path {
            PathName::Silent => Path::Silent,
            PathName::Neighbour => Path::Neighbour,
            PathName::Unreachable => Path::Unreachable,
        },
        kernels: versions
            .iter()
            .flat_map(|version| hz.iter().map(|hz| KernelFacts::new(*version, *hz)))
            .collect(),
        middlebox_forgets: args.middlebox_forgets,
    };
    if args.middlebox_forgets.is_some() && !promises.when.idle() {
        return Err(CliError::Usage(
            "--middlebox-forgets: while sending nothing is forgotten; write --while idle or both"
                .into(),
        ));
    }
    if let Some(settings) = args.check {
        let kernels = kernels_as_text(args, &versions, &hz);
        return check::check(&promises, settings, kernels, args.format);
    }
    let answer = halfopen_tune::tune(&promises);
    let verified = if args.verify {
        Some(verify::measure(&promises, &answer, &guests)?)
    } else {
        None
    };
    let targets = targets(args);
    let report = Report {
        promises: &promises,
        kernels: kernels_as_text(args, &versions, &hz),
        answer: &answer,
        targets: &targets,
        verified,
    };
    match args.format {
        Format::Table => output::say(&show::render(&report, output::width()))?,
        Format::Json => json::write(&report)?,
    }
    Ok(exit(&report))
}

fn exit(report: &Report<'_>) -> Exit {
    let measured = report.verified.as_ref();
    if let Some(exit) = measured.and_then(|v| v.failed) {
        return exit;
    }
    match report.answer {
        Answer::Found { .. } if measured.is_none_or(|v| v.as_promised()) => Exit::AsExpected,
        _ => Exit::Differs,
    }
}

fn targets(args: &TuneArgs) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for name in &args.targets {
        for target in name.targets() {
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
    }
    match (targets.is_empty(), args.format) {
        (true, Format::Table) => vec![Target::Sysctl, Target::C],
        (true, Format::Json) => Target::ALL.to_vec(),
        (false, _) => targets,
    }
}

fn versions(args: &TuneArgs) -> Result<Vec<Version>, CliError> {
    if args.kernel.is_empty() || args.kernel.iter().any(|name| name == EVERY_KERNEL) {
        return Ok(VERSIONS.to_vec());
    }
    let mut versions = Vec::new();
    for name in &args.kernel {
        let version = match Version::parse(name) {
            Some(version) => version,
            None => file(name)?,
        };
        if version < kernel::OLDEST {
            return Err(CliError::Usage(format!(
                "--kernel {name}: the rules were read and measured in {} and later",
                kernel::OLDEST
            )));
        }
        if !versions.contains(&version) {
            versions.push(version);
        }
    }
    Ok(versions)
}

/// The version of a kernel that is named by its file.
fn file(name: &str) -> Result<Version, CliError> {
    if !name.contains('/') {
        return Err(CliError::Usage(format!(
            "--kernel {name}: no version; write it such as 6.1 or 6.12.9-1-amd64, a path, or `all`"
        )));
    }
    let kernel = Kernel::open(name.as_ref()).map_err(|e| CliError::Vm(chain(&e)))?;
    Version::parse(&kernel.release).ok_or_else(|| {
        CliError::Usage(format!(
            "--kernel {name}: no version in its release {}",
            kernel.release
        ))
    })
}

/// HZ as given, else the usual ones and those of the guests.
fn hz(args: &TuneArgs, guests: &[Kernel]) -> Vec<u32> {
    if !args.hz.is_empty() {
        let mut hz = args.hz.clone();
        hz.sort_unstable();
        hz.dedup();
        return hz;
    }
    let mut hz: Vec<u32> = HZ
        .into_iter()
        .chain(guests.iter().filter_map(|k| k.hz))
        .collect();
    hz.sort_unstable();
    hz.dedup();
    hz
}

fn kernels_as_text(args: &TuneArgs, versions: &[Version], hz: &[u32]) -> String {
    let listed = |all: Vec<String>| all.join(", ");
    let linux = if args.kernel.is_empty() || versions == VERSIONS {
        format!("{} and later", kernel::OLDEST)
    } else {
        listed(versions.iter().map(Version::to_string).collect())
    };
    format!(
        "Linux {linux}; HZ {}",
        listed(hz.iter().map(u32::to_string).collect())
    )
}
