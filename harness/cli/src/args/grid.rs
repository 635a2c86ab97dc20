//! The arguments of `halfopen grid`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use halfopen_net::duration::positive;

use super::sysctl::{Sysctl, sysctl};
use super::{OnDisturbed, PictureArgs, Time, jobs};

pub(super) const HELP: &str = "\
One case a cell; the client is the one who should notice. As many cells run at
the same time as this machine's neighbour tables have room for (`halfopen doctor`
shows it): about a hundred, so in real time it takes about five minutes. What takes
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
  halfopen grid --html grid.html             a heat map, and each cell's ladder
  halfopen grid --format yaml > grid.yaml    its scenarios, to be changed and run

A misspelt NAME is answered with all there are.

Exit codes: 0 done, 1 a cell is outside its prediction or failed, 2 wrong input,
3 this machine cannot do it, 130 interrupted.";

#[derive(Debug, Args)]
pub(crate) struct GridArgs {
    /// Only these detectors, NAME,NAME... [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) detector: Vec<String>,
    /// Only these faults, NAME,NAME... [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) fault: Vec<String>,
    /// Only while the connection is idle, or while data is in flight [default: both]
    #[arg(long = "while", value_enum, value_name = "STATE")]
    pub(crate) states: Vec<StateName>,
    /// Take the detectors from a file of scenarios instead
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// How long after the fault a cell is waited for [default: 45s, 3h in virtual time]
    #[arg(long, value_name = "TIME", value_parser = limit)]
    pub(crate) limit: Option<Duration>,
    /// On this machine's clock, or on a guest's that jumps over idle time
    #[arg(long, value_enum, default_value_t = Time::Real, value_name = "CLOCK")]
    pub(crate) time: Time,
    /// Run in a guest on this kernel, as for `run`; of several, the first one's
    /// grid is shown, and where the others differ
    #[arg(long, value_name = "KERNEL")]
    pub(crate) kernel: Vec<String>,
    /// Set a sysctl on a host (`all`: on every host), over the grid's own; may
    /// be given several times
    #[arg(long, value_name = "HOST:KEY=VALUE", value_parser = sysctl)]
    pub(crate) sysctl: Vec<Sysctl>,
    /// How many cells run at the same time [default: by the machine]
    #[arg(long, short, value_name = "N", value_parser = jobs)]
    pub(crate) jobs: Option<u16>,
    /// Whether cells that came out wrong while this machine was late in each of
    /// their tries end the grid with exit code 1
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
    /// For people, for documents, or for programs
    #[arg(long, value_enum, default_value_t = Form::Table, value_name = "FORM")]
    pub(crate) format: Form,
    #[command(flatten)]
    pub(crate) pictures: PictureArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StateName {
    /// The client waits for the server to speak
    Idle,
    /// The client sends a request and waits for its answer
    Sending,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
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
