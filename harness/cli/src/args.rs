//! The words of the command line.

use std::path::PathBuf;

use super::baseline::{BaselineArgs, DiffArgs};
use super::exec::{ExecArgs, HELP as EXEC_HELP};
use super::grid::GridArgs;
use super::impact::ImpactArgs;
use super::question::PredictArgs;
use super::tune::TuneArgs;
use clap::{Args, Parser, Subcommand, ValueEnum};
use halfopen_vm::settings::GuestTime;

/// What your sockets do when the peer dies: which call returns, with which
/// errno, after how long.
#[derive(Debug, Parser)]
#[command(name = "halfopen", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  halfopen doctor                     can this machine do it, and if not, the cure
  halfopen list                       what there is to run
  halfopen run host-crash             run the cases with `host-crash` in their names
  halfopen run my.yaml                run all cases of a file

Exit codes:
  0  everything that ran did as expected
  1  a case differs from what was expected, failed, or is outside its prediction
  2  the command line or a scenario file is wrong
  3  this machine cannot do it (the message says what is missing, and the cure)
  130  interrupted";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run cases and show what each one's sockets did
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Run a program against a fault, without a scenario file, and draw what happened
    #[command(after_help = EXEC_HELP)]
    Exec(ExecArgs),
    /// Compare two files of `run --save`: what is not the same any more
    #[command(after_help = DIFF_EXAMPLES)]
    Diff(DiffArgs),
    /// Say which cases a change of sysctls changes, from what to what, and why
    #[command(after_help = IMPACT_EXAMPLES)]
    Impact(ImpactArgs),
    /// Say what each case's sockets will do and why, without running any
    #[command(after_help = PREDICT_EXAMPLES)]
    Predict(PredictArgs),
    /// Run every detector against every fault: who notices what, after how long
    #[command(after_help = GRID_HELP)]
    Grid(GridArgs),
    /// Find settings that notice in time and ride outages out, or prove that
    /// there are none
    #[command(after_help = super::tune::HELP)]
    Tune(TuneArgs),
    /// Show the cases there are, without running any
    #[command(after_help = LIST_EXAMPLES)]
    List(ListArgs),
    /// Read a file of scenarios and say what is wrong with it
    #[command(after_help = CHECK_HELP)]
    Check(CheckArgs),
    /// Print the JSON Schema of scenario files, for editors
    #[command(after_help = SCHEMA_HELP)]
    Schema,
    /// Show the kernels that guests can be started with
    #[command(after_help = KERNELS_HELP)]
    Kernels,
    /// Say what this machine can and cannot do, and the cure
    #[command(after_help = DOCTOR_HELP)]
    Doctor,
}

const RUN_EXAMPLES: &str = "\
FILE is the first word if it ends in .yaml or .yml, or names a file; otherwise
it is ./scenarios.yaml, or the catalogue that halfopen brings along.
A FILTER picks the cases whose name contains it, or that match it as a whole
when it has a * or ? in it. Several pick what any of them picks.

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
  halfopen run --format json | jq '.cases[] | {id, first_sign}'
  halfopen run --save base.yaml                   keep what they showed
  halfopen run --against base.yaml                what has changed since, and why
  halfopen run --against base.yaml --format markdown
                                                  the same for a pull request's comment

Exit codes: 0 as expected, 1 a case differs, failed, or is outside its
prediction (with --against: nothing has changed, something has), 2 wrong input,
3 this machine cannot do it (or could run none of the cases), 130 interrupted.";

const DIFF_EXAMPLES: &str = "\
Each run is compared with the one of the same kernel and clock, or of the same
series (6.12); what differs between their environments comes first. A change is
given its likeliest cause when the kernel's rules predict it.

Examples:
  halfopen diff before.yaml now.yaml
  halfopen diff before.yaml now.yaml --format markdown

Exit codes: 0 nothing changed, 1 something did, 2 a file is wrong.";

const IMPACT_EXAMPLES: &str = "\
Every case is run in virtual time, before and after the change, in one guest; it
needs QEMU and a kernel (halfopen kernels). What changes and is not explained by
the kernel's rules is run again: what a case varies in by itself is no change. Sysctls are set over the
scenarios' own. A case that would give up too soon to see what the kernel does
is given the time it takes.

Examples:
  halfopen impact --sysctl net.ipv4.tcp_retries2=8
  halfopen impact my.yaml --sysctl net.ipv4.tcp_keepalive_time=600 --host client
  halfopen impact --from old.conf --to new.conf     two files of sysctl.conf(5)
  halfopen impact --to /etc/sysctl.conf             against what kernels do by themselves
  halfopen impact --sysctl-from-host                what this machine's settings change
  halfopen impact --sysctl net.ipv4.tcp_retries2=8 --predict
                                                    at once, by the kernel's rules alone

Exit codes: 0 nothing changes, 1 something does, 2 wrong input, 3 this machine
cannot do it, 130 interrupted.";

const PREDICT_EXAMPLES: &str = "\
Nothing is run and no privileges are needed. With any of --keepalive,
--user-timeout, --retries2, --fault, --in-flight, --network, --family and
--idle it answers that one question; otherwise it predicts a file's cases.

Examples:
  halfopen predict host-crash
  halfopen predict --keepalive 60s,20s,3 --fault crash --in-flight none --kernel 6.1
  halfopen predict --fault silence --in-flight after --retries2 8 --hz 1000
  halfopen predict --format json | jq '.cases[] | {id, prediction}'

Exit codes: 0 answered, 2 wrong input.";

const GRID_HELP: &str = "\
One case a cell; the client is the one who should notice. All cells run at the
same time, so in real time it ends about a minute after its start. What takes
longer than 45 s (keepalive's two hours, TCP's quarter of an hour) is not
measured then: such a cell shows, in parentheses, what the kernel's rules say.
In virtual time a cell is waited for three hours, and all of that is measured.

Examples:
  halfopen grid                              everything, here and now
  halfopen grid --time virtual               the hours, too, in minutes
  halfopen grid --detector fast-pair,keepalive-default --while idle
  halfopen grid --fault host-crash --file my.yaml
                                             the detectors that a file declares
  halfopen grid --time virtual --kernel all  and where other kernels differ
  halfopen grid --format markdown            for a document or a pull request
  halfopen grid --format yaml > grid.yaml    its scenarios, to be changed and run

A misspelt NAME is answered with all there are.

Exit codes: 0 done, 1 a cell is outside its prediction or failed, 2 wrong input,
3 this machine cannot do it, 130 interrupted.";

const LIST_EXAMPLES: &str = "\
Examples:
  halfopen list
  halfopen list keepalive             cases with `keepalive` in their names
  halfopen list my.yaml --format json | jq -r '.cases[].id'";

const CHECK_HELP: &str = "\
Nothing is built. Each mistake is shown with its line and what was expected.

Example:
  halfopen check my.yaml && sudo halfopen run my.yaml

Exit codes: 0 nothing is wrong, 2 something is.";

const SCHEMA_HELP: &str = "\
Example, for editors that use yaml-language-server:
  halfopen schema > scenarios.schema.json
and as the first line of the file of scenarios:
  # yaml-language-server: $schema=scenarios.schema.json";

const KERNELS_HELP: &str = "\
Looked for in the cache of ci/kernels ($HALFOPEN_KERNELS, else
~/.cache/halfopen/kernels), in /boot and under /lib/modules.

Exit codes: 0 there are some, 3 there are none.";

const DOCTOR_HELP: &str = "\
Each capability is tried out in a namespace that is thrown away; nothing on
this machine changes.

Exit codes: 0 cases can be run here, 3 they cannot.";

/// FILE and FILTERs; which is which is found out by [`super::select`].
#[derive(Debug, Args)]
pub(super) struct What {
    /// File of scenarios [default: ./scenarios.yaml, else the built-in catalogue]
    #[arg(value_name = "FILE")]
    pub(super) file: Option<String>,
    /// Run only cases whose name contains this, or matches it as a pattern with * and ?
    #[arg(value_name = "FILTER")]
    pub(super) filters: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) what: What,
    /// How many cases run at the same time [default: by the machine]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) jobs: Option<u16>,
    /// Set a sysctl on a host (`all`: on every host), over the scenarios' own;
    /// may be given several times
    #[arg(long, value_name = "HOST:KEY=VALUE", value_parser = sysctl)]
    pub(super) sysctl: Vec<Sysctl>,
    /// For people, for a pull request's comment, or for programs
    #[arg(long, value_enum, default_value_t = ReportFormat::Table, value_name = "FORM")]
    pub(super) format: ReportFormat,
    #[command(flatten)]
    pub(super) baseline: BaselineArgs,
    /// On this machine's clock, or on a guest's that jumps over idle time
    #[arg(long, value_enum, default_value_t = Time::Real, value_name = "CLOCK")]
    pub(super) time: Time,
    /// Run in a guest on this kernel: a vmlinuz, a directory that ci/kernels
    /// made, a release or how it begins, or `all`; may be given several times
    /// [default with --time virtual: the newest that `halfopen kernels` shows]
    #[arg(long, value_name = "KERNEL")]
    pub(super) kernel: Vec<String>,
    /// Draw every call and every packet of each case after the table
    #[arg(long)]
    pub(super) ladder: bool,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    pub(super) what: What,
    /// For people, or for programs
    #[arg(long, value_enum, default_value_t = Format::Table, value_name = "FORM")]
    pub(super) format: Format,
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// File of scenarios [default: ./scenarios.yaml, else the built-in catalogue]
    #[arg(value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Aligned text
    Table,
    /// One JSON object with everything that was recorded
    Json,
}

/// The forms of what was run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    /// Aligned text
    Table,
    /// What needs a look in tables, the rest folded
    Markdown,
    /// One JSON object with everything that was recorded
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Time {
    /// As it passes
    Real,
    /// Two hours in seconds
    Virtual,
}

impl Time {
    /// A guest's clock.
    pub(super) fn guest(self) -> GuestTime {
        match self {
            Time::Real => GuestTime::Real,
            Time::Virtual => GuestTime::Virtual,
        }
    }
}

/// One `--sysctl`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sysctl {
    pub(super) host: String,
    pub(super) key: String,
    pub(super) value: String,
}

pub(super) fn sysctl(text: &str) -> Result<Sysctl, String> {
    let form = "write HOST:KEY=VALUE, such as client:net.ipv4.tcp_retries2=8";
    let (host, setting) = text
        .split_once(':')
        .ok_or_else(|| format!("no host in it; {form}"))?;
    let (key, value) = setting
        .split_once('=')
        .ok_or_else(|| format!("no value in it; {form}"))?;
    let (host, key, value) = (host.trim(), key.trim(), value.trim());
    if host.is_empty() || value.is_empty() {
        return Err(format!("an empty part; {form}"));
    }
    // The key becomes a path below /proc/sys.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let parts_are_names = key.split('.').all(|part| !part.is_empty());
    if !key.starts_with("net.") || !parts_are_names || !key.chars().all(plain) {
        return Err(format!(
            "`{key}` is no sysctl of a network namespace: they begin with net."
        ));
    }
    // A value that the kernel refuses would make every case fail, one by one.
    halfopen_scenario::internal::acceptable_sysctl(key, value).map_err(|refused| {
        let help = refused.help.map(|h| format!("; {h}")).unwrap_or_default();
        format!("{key}: {}{help}", refused.message)
    })?;
    Ok(Sysctl {
        host: host.into(),
        key: key.into(),
        value: value.into(),
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_words_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_sysctl_has_three_parts() {
        let read = sysctl("client:net.ipv4.tcp_rmem=4096 87380 6291456");
        assert_eq!(read.map(|s| s.value), Ok("4096 87380 6291456".into()));
        for wrong in [
            "net.ipv4.tcp_retries2=8",
            "client:net.ipv4.tcp_retries2",
            ":net.ipv4.tcp_retries2=8",
            "client:net.ipv4.tcp_retries2=",
            "client:kernel.panic=1",
            "client:net.../../kernel=1",
            "client:net.ipv4./x=1",
            "client:net.ipv4.tcp_retries2=x",
            "client:net.ipv4.tcp_retries2=300",
        ] {
            assert!(sysctl(wrong).is_err(), "{wrong}");
        }
    }
}
