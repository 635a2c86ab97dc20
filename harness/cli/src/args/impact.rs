//! The arguments of `halfopen impact`.

use std::path::PathBuf;

use clap::Args;

use super::sysctl::{EVERY_HOST, assignment};
use super::{CaseArgs, PageArgs, ReportFormat};

pub(super) const HELP: &str = "\
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

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("source").required(true).multiple(true)
    .args(["sysctl", "from", "to", "sysctl_from_host"]))]
pub(crate) struct ImpactArgs {
    #[command(flatten)]
    pub(crate) what: CaseArgs,
    /// The change: this sysctl gets this value, over the scenarios' own; may be
    /// given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = assignment)]
    pub(crate) sysctl: Vec<(String, String)>,
    /// The change: from what this file of sysctl.conf(5) sets [default: what
    /// kernels do by themselves]
    #[arg(long, value_name = "CONF", conflicts_with = "sysctl")]
    pub(crate) from: Option<PathBuf>,
    /// ... to what this one sets
    #[arg(long, value_name = "CONF", conflicts_with = "sysctl")]
    pub(crate) to: Option<PathBuf>,
    /// The change: from what kernels do by themselves to what this machine has
    /// set (its sysctls are read, nothing is written)
    #[arg(long, conflicts_with_all = ["sysctl", "from", "to"])]
    pub(crate) sysctl_from_host: bool,
    /// Change it on this host only [default: on every host]
    #[arg(long, value_name = "HOST", default_value = EVERY_HOST, hide_default_value = true)]
    pub(crate) host: String,
    /// The kernel, as for `run`; may be given several times
    #[arg(long, value_name = "KERNEL")]
    pub(crate) kernel: Vec<String>,
    /// Run nothing: ask the kernel's rules. --kernel may then be a version
    /// [default: this machine's]
    #[arg(long)]
    pub(crate) predict: bool,
    /// For people, for a pull request's comment, or for programs
    #[arg(long, value_enum, default_value_t = ReportFormat::Table, value_name = "FORM")]
    pub(crate) format: ReportFormat,
    #[command(flatten)]
    pub(crate) page: PageArgs,
}
