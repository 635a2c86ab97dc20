//! The arguments of `halfopen predict`.

use clap::{Args, ValueEnum};

use super::sysctl::{Sysctl, sysctl};
use super::{CaseArgs, Format};

pub(super) const HELP: &str = "\
Nothing is run and no privileges are needed. With any of --keepalive,
--user-timeout, --retries2, --fault, --in-flight, --network, --family and
--idle it answers that one question; otherwise it predicts a file's cases.

Examples:
  halfopen predict host-crash
  halfopen predict --keepalive 60s,20s,3 --fault crash --in-flight none --kernel 6.1
  halfopen predict --fault silence --in-flight after --retries2 8 --hz 1000
  halfopen predict process-killed --ladder
  halfopen predict --format json | jq '.cases[] | {id, prediction}'

Exit codes: 0 answered, 2 wrong input.";

#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    #[command(flatten)]
    pub(crate) what: CaseArgs,
    /// Keepalive: idle time, interval and count, such as 60s,20s,3
    #[arg(long, value_name = "IDLE,INTERVAL,COUNT")]
    pub(crate) keepalive: Option<String>,
    /// TCP_USER_TIMEOUT
    #[arg(long, value_name = "TIME")]
    pub(crate) user_timeout: Option<String>,
    /// net.ipv4.tcp_retries2 of the endpoint's host
    #[arg(long, value_name = "N")]
    pub(crate) retries2: Option<u8>,
    /// What happens
    #[arg(long, value_enum, value_name = "FAULT")]
    pub(crate) fault: Option<FaultName>,
    /// What the endpoint has sent that is not acknowledged
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) in_flight: Option<InFlight>,
    /// `link`, `lan` (a switch between them) or `routed`
    #[arg(long, value_name = "NAME")]
    pub(crate) network: Option<String>,
    /// `ipv4` or `ipv6`
    #[arg(long, value_name = "FAMILY")]
    pub(crate) family: Option<String>,
    /// How long before the fault the last segment was received
    #[arg(long, value_name = "TIME")]
    pub(crate) idle: Option<String>,
    /// The kernel's version [default: this machine's]
    #[arg(long, value_name = "VERSION")]
    pub(crate) kernel: Option<String>,
    /// The kernel's ticks a second [default: this machine's, 250 with --kernel]
    #[arg(long, value_name = "HZ", value_parser = clap::value_parser!(u32).range(24..=10_000))]
    pub(crate) hz: Option<u32>,
    /// Set a sysctl on a host (`all`: on every host), over the scenarios' own;
    /// may be given several times
    #[arg(long, value_name = "HOST:KEY=VALUE", value_parser = sysctl)]
    pub(crate) sysctl: Vec<Sysctl>,
    /// Draw the packets and calls of one predicted course, up to the first sign
    #[arg(long, conflicts_with = "format")]
    pub(crate) ladder: bool,
    /// For people, or for programs
    #[arg(long, value_enum, default_value_t = Format::Table, value_name = "FORM")]
    pub(crate) format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FaultName {
    /// The peer's host loses power
    Crash,
    /// A packet filter on the way swallows everything
    Silence,
    /// The peer's host loses power and is back after ten seconds
    Reboot,
    /// The peer's process is killed
    Kill,
    /// The peer's process is stopped
    Freeze,
    /// The own host's qdisc drops everything
    OwnQdisc,
    /// The own host's firewall drops everything
    OwnFirewall,
    /// The own host loses its routes
    OwnRoute,
    /// A router answers network unreachable
    NetUnreachable,
    /// A router answers host unreachable
    HostUnreachable,
    /// Something on the way answers with RST
    Reset,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum InFlight {
    /// Nothing: the connection is idle
    None,
    /// Data that was written after the fault
    After,
    /// Data that was written just before the fault
    Before,
}
