//! `halfopen tune`: from promises to settings.

mod json;
mod show;
mod verify;

use std::time::Duration;

use clap::{Args, ValueEnum};

use halfopen_net::error::chain;
use halfopen_predict::{KernelFacts, Version, kernel};
use halfopen_scenario::internal::scalar;
use halfopen_tune::snippet::Target;
use halfopen_tune::{Answer, Path, Promises, While};
use halfopen_vm::Kernel;

use super::args::Format;
use super::error::{CliError, Exit};
use super::guests::{ALL, kernels_of};
use super::output;

/// Versions between which the rules change; promises hold on all of them
/// unless --kernel says otherwise.
const VERSIONS: [Version; 4] = [
    kernel::OLDEST,
    kernel::SYN_LINEAR_TIMEOUTS,
    kernel::RTO_MIN_SYSCTL,
    kernel::RTO_MAX_SYSCTL,
];
/// What kernels are built with.
const HZ: [u32; 4] = [100, 250, 300, 1000];
/// Longer promises are other people's business.
const LONGEST: Duration = Duration::from_secs(86_400);

pub(super) const HELP: &str = "\
Two promises, kept at once: a peer that vanishes (its host crashes, its cable is
cut) is noticed within --notice-within, and an outage of --ride-out, however it
falls, does not end the connection. A single lost probe never does.

While idle, keepalive decides; of all values that keep the promises those with
the fewest probes an hour are shown. While sending, keepalive is silent and
TCP_USER_TIMEOUT decides, at doubling distances: 10 s of it ride out an outage of
about 6 s. With --while both (the default) one set of values keeps both promises
in both states; note that a user timeout takes the place of TCP_KEEPCNT.
While idle, time counts from the crash; while sending, from the first write that
is not acknowledged.

Unreachables put the end of a user timeout off, by up to half of it: the kernel
takes a back-off back and waits on, past the limit. They come from the own host
once the entry of a dead neighbour has failed (8 s after the write, if nothing was
heard of it for a while; at once, if it was asked for before), and from routers;
--path says which of them have to be reckoned with. RSTs, and an own interface
that goes down, are not part of the promises.

Without --kernel and --hz the settings hold on Linux 5.10 and later at HZ 100,
250, 300 and 1000, whose timers are up to an eighth late. With --kernel 6.15 or
later TCP_RTO_MAX_MS is used where nothing else keeps the promises.

--verify runs the settings in a guest in virtual time, on the kernels given or
else on all that `halfopen kernels` shows: crashes and outages at several
moments, and a lost probe. When no settings exist, the two nearest are run, and
each breaks its promise.

Examples:
  halfopen tune --notice-within 30s --ride-out 10s
  halfopen tune --notice-within 2m --ride-out 15s --while idle --for nginx,redis
  halfopen tune --notice-within 30s --ride-out 10s --kernel 6.12 --hz 250 --verify
  halfopen tune --notice-within 5s --ride-out 10s          the proof that none exist
  halfopen tune --notice-within 30s --ride-out 10s --format json | jq .found

Exit codes: 0 there are settings (and, with --verify, they keep the promises),
1 there are none, or a measurement broke a promise, 2 wrong input, 3 this machine
cannot run guests, 130 interrupted.";

#[derive(Debug, Args)]
pub(super) struct TuneArgs {
    /// A vanished peer is noticed within this: 30s, 1500ms, 2m
    #[arg(long, value_name = "TIME", value_parser = promise)]
    notice_within: Duration,
    /// An outage this long is ridden out; 0s for none
    #[arg(long, value_name = "TIME", value_parser = time)]
    ride_out: Duration,
    /// What the connection does meanwhile
    #[arg(long = "while", value_enum, default_value_t = WhileName::Both, value_name = "STATE")]
    when: WhileName,
    /// The longest round trip of the path; shorter ones are covered
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = trip)]
    round_trip: Duration,
    /// What becomes of packets to a peer that has vanished
    #[arg(long, value_enum, default_value_t = PathName::Neighbour, value_name = "FATE")]
    path: PathName,
    /// A kernel's version, or as for `run`; may be given several times
    /// [default: all versions]
    #[arg(long, value_name = "KERNEL")]
    kernel: Vec<String>,
    /// Ticks a second of the kernels; may be given several times
    /// [default: 100, 250, 300 and 1000]
    #[arg(long, value_name = "HZ", value_parser = clap::value_parser!(u32).range(24..=10_000))]
    hz: Vec<u32>,
    /// Where the settings are to be written down, separated by commas; or `all`
    /// [default: sysctl,c; all with --format json]
    #[arg(long = "for", value_name = "WHERE", value_enum, value_delimiter = ',')]
    targets: Vec<TargetName>,
    /// Measure in virtual time that the promises are kept
    #[arg(long)]
    verify: bool,
    /// For people, or for programs
    #[arg(long, value_enum, default_value_t = Format::Table, value_name = "FORM")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WhileName {
    /// Nothing is under way
    Idle,
    /// Data is under way that is not acknowledged
    Sending,
    /// Now the one, now the other
    Both,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PathName {
    /// Nobody hears of them; the next hop, a router, goes on answering ARP
    Silent,
    /// The peer may be the next hop, whose ARP or NDP entry fails in the end
    Neighbour,
    /// Routers may answer them with ICMP unreachables
    Unreachable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TargetName {
    Sysctl,
    C,
    Rust,
    Go,
    Python,
    Java,
    Libpq,
    Redis,
    Nginx,
    All,
}

impl TargetName {
    fn targets(self) -> Vec<Target> {
        vec![match self {
            TargetName::Sysctl => Target::Sysctl,
            TargetName::C => Target::C,
            TargetName::Rust => Target::Rust,
            TargetName::Go => Target::Go,
            TargetName::Python => Target::Python,
            TargetName::Java => Target::Java,
            TargetName::Libpq => Target::Libpq,
            TargetName::Redis => Target::Redis,
            TargetName::Nginx => Target::Nginx,
            TargetName::All => return Target::ALL.to_vec(),
        }]
    }
}

fn time(text: &str) -> Result<Duration, String> {
    let time = scalar::duration(text).map_err(|refusal| match refusal.help {
        Some(help) => format!("{}; {help}", refusal.message),
        None => format!("{}; write 30s, 1500ms or 2m", refusal.message),
    })?;
    if time > LONGEST {
        return Err("at most 24h".into());
    }
    Ok(time)
}

fn promise(text: &str) -> Result<Duration, String> {
    match time(text)? {
        Duration::ZERO => Err("nothing is noticed in no time; write 30s, 1500ms or 2m".into()),
        time => Ok(time),
    }
}

fn trip(text: &str) -> Result<Duration, String> {
    match time(text)? {
        time if time > Duration::from_secs(2) => {
            Err("at most 2s; longer round trips are not modelled".into())
        }
        time => Ok(time),
    }
}

/// Everything a report says.
struct Report<'a> {
    promises: &'a Promises,
    /// In words.
    kernels: String,
    answer: &'a Answer,
    targets: &'a [Target],
    verified: Option<verify::Verified>,
}

pub(super) fn tune(args: &TuneArgs) -> Result<Exit, CliError> {
    let guests = if args.verify {
        let all = [ALL.to_owned()];
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
    };
    let answer = halfopen_tune::tune(&promises);
    let verified = if args.verify {
        Some(verify::measure(&promises, &answer, &guests)?)
    } else {
        None
    };
    let targets = targets(args);
    let report = Report {
        promises: &promises,
        kernels: kernels_in_words(args, &versions, &hz),
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
    if args.kernel.is_empty() || args.kernel.iter().any(|name| name == ALL) {
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

fn kernels_in_words(args: &TuneArgs, versions: &[Version], hz: &[u32]) -> String {
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
