//! The arguments of `halfopen run`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::partition::{Partition, partition};
use super::sysctl::{Sysctl, sysctl};
use super::{CaseArgs, OnDisturbed, PictureArgs, RunFormat, Time, jobs};
use halfopen_report::json::Detail;

pub(super) const HELP: &str = "\
FILE is the first word if it ends in .yaml or .yml, or names a file; otherwise
it is ./scenarios.yaml, or the catalogue that halfopen brings along.
A FILTER picks the cases whose name contains it, or that match it as a whole
when it has a * or ? in it; =NAME picks the case of that name alone. Several pick
what any of them picks.

Examples:
  halfopen run                                    everything
  halfopen run host-crash                         names that contain `host-crash`
  halfopen run 'host-crash*/*family=ipv6*'        by pattern
  halfopen run my.yaml keepalive user-timeout     of a file, two filters
  halfopen run host-crash --ladder                with every call and every packet
  halfopen run --sysctl client:net.ipv4.tcp_retries2=8
                                                  what would that sysctl change?
  halfopen run --time virtual                     the two-hour defaults, in seconds
  halfopen run --time virtual --kernel all        on every kernel, side by side
  halfopen run --html page.html                   something to look at
  halfopen run --format json | jq '.cases[] | {id, first_sign}'
  halfopen run --junit junit.xml                  results for a CI system
  halfopen run --partition hash:2/5               the second fifth, for several machines
                                                  (halfopen merge makes one run of them)
  halfopen run --save base.yaml                   keep what they showed
  halfopen run --against base.yaml                what has changed since, and why
  halfopen run --against base.yaml --format markdown
                                                  the same for a pull request's comment
  halfopen run programs.yaml --time virtual --format matrix
                                                  scenarios by faults, for a document

Exit codes: 0 as expected, 1 a case differs, failed, or is outside its
prediction (with --against: nothing has changed, something has), 2 wrong input,
3 this machine cannot do it (or could run none of the cases), 130 interrupted.
A case that came out wrong while this machine was busy is run again, alone, up
to three times. If the machine was never quiet, it is `disturbed`: that is a line
on standard error and no failure, unless --disturbed fail makes it one.";

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) what: CaseArgs,
    /// How many cases run at the same time [default: by the machine]
    #[arg(long, short, value_name = "N", value_parser = jobs)]
    pub(crate) jobs: Option<u16>,
    /// Set a sysctl on a host (`all`: on every host), over the scenarios' own;
    /// may be given several times
    #[arg(long, value_name = "HOST:KEY=VALUE", value_parser = sysctl)]
    pub(crate) sysctl: Vec<Sysctl>,
    /// For people, for a pull request's comment, or for programs
    #[arg(long, value_enum, default_value_t = RunFormat::Table, value_name = "FORM")]
    pub(crate) format: RunFormat,
    /// With --format json: a crowd's packets, calls and sockets summed, or each
    #[arg(long, value_enum, default_value_t = Packets::Summed, value_name = "WHICH")]
    pub(crate) packets: Packets,
    #[command(flatten)]
    pub(crate) baseline: BaselineArgs,
    /// On this machine's clock, or on a guest's that jumps over idle time
    #[arg(long, value_enum, default_value_t = Time::Real, value_name = "CLOCK")]
    pub(crate) time: Time,
    /// Run in a guest on this kernel: a vmlinuz, a directory that ci/kernels
    /// made, a release or how it begins, or `all`; may be given several times
    /// [default with --time virtual: the newest that `halfopen kernels` shows]
    #[arg(long, value_name = "KERNEL")]
    pub(crate) kernel: Vec<String>,
    /// Whether cases that came out wrong while this machine was late in each of
    /// their tries end the run with exit code 1
    #[arg(long, value_enum, default_value_t = OnDisturbed::Warn, value_name = "POLICY")]
    pub(crate) disturbed: OnDisturbed,
    /// Use no real-time priorities: nothing else on this machine has to wait for
    /// the run, and times are less exact while it is busy
    #[arg(long)]
    pub(crate) no_real_time: bool,
    /// Refuse cases for which this machine's kernel would load modules (veth, nftables,
    /// tc, congestion controls), instead of letting it
    #[arg(long)]
    pub(crate) no_module_loading: bool,
    /// Only a part of the cases, such as hash:2/5, so that several machines share them:
    /// by their names (hash), or in turn (count)
    #[arg(long, value_name = "PART", value_parser = partition)]
    pub(crate) partition: Option<Partition>,
    /// Write the results to a file as JUnit's XML, too, for CI systems
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Keep each case's packets in DIR as pcapng, with faults, calls and lines of output as
    /// comments
    #[arg(long, value_name = "DIR")]
    pub(crate) pcap: Option<PathBuf>,
    /// Draw every call and every packet of each case after the table
    #[arg(long)]
    pub(crate) ladder: bool,
    /// Record what the kernel itself says of the connections, too: errors, retransmissions,
    /// resets, and why it dropped a packet. In guests only, one for each case; draws as
    /// --ladder does
    #[arg(long)]
    pub(crate) explain: bool,
    #[command(flatten)]
    pub(crate) pictures: PictureArgs,
}

/// The options of `run` that have to do with baselines.
#[derive(Debug, Args)]
pub(crate) struct BaselineArgs {
    /// Keep what the cases showed in a file, to compare with later; in one that
    /// is there already, what has not changed stays as it is
    #[arg(long, value_name = "BASELINE")]
    pub(crate) save: Option<PathBuf>,
    /// Compare with a file that --save wrote, and report what is not the same
    #[arg(long, value_name = "BASELINE", conflicts_with = "ladder")]
    pub(crate) against: Option<PathBuf>,
}

/// What of a crowd is in the JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Packets {
    /// Of a case with more than 1000 packets, how many of each kind
    Summed,
    /// Each packet, call and socket of every case
    All,
}

impl Packets {
    pub(crate) fn detail(self) -> Detail {
        match self {
            Packets::Summed => Detail::Summed,
            Packets::All => Detail::All,
        }
    }
}
