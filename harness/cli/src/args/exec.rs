//! The arguments of `halfopen exec`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{PageArgs, Time};

pub(super) const HELP: &str = "\
The command runs on the host `client`, --server's on the host `server`; each name
resolves on the other, and ${server} stands for its address. A fault is the verb of
a scenario and what it is done to, and when: `crash server @5s`, `freeze server
@2s`, `kill server @1s`, `cut client @3s`. Times count from the start of the
command. The command's standard streams are passed through; what happened is drawn
on standard error afterwards.

With --time virtual or --kernel, and without --server, --fault, --network, --family,
--pcap or --explain, a guest runs the command alone, for tests that make their own networks: as
root, with this machine's files, the environment and the working directory. What it
writes below the working directory, a cargo target directory that its program is in, and
--write reaches this machine; everything else it writes is gone when it has ended.

Examples:
  CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER='halfopen exec --time virtual --' \
      cargo test
  halfopen exec --kernel 6.1 -- python3 -m pytest
  go test -exec 'halfopen exec --time virtual --' ./...
  halfopen exec --server 'redis-server --port 7000 --protected-mode no' --fault 'crash server @5s' \\
      -- redis-cli -h server -p 7000 SUBSCRIBE news
  halfopen exec --server 'python3 -m http.server 8000' --fault 'freeze server @0s' \\
      --give-up 20s -- curl --max-time 5 http://server:8000/
  halfopen exec --fault 'cut client @1s' -- sh -c 'sleep 3; ping -c1 server'

Exit codes: the command's own, 128 and the signal that ended it; 2 wrong input,
3 this machine cannot do it, 1 it could not be run, 124 it still ran when the case
gave up, 130 interrupted.";

#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    /// The network: link (one cable), lan (a switch) or routed
    /// [default: link]
    #[arg(long, value_name = "NETWORK")]
    pub(crate) network: Option<String>,
    /// ipv4 or ipv6 [default: ipv4]
    #[arg(long, value_name = "FAMILY")]
    pub(crate) family: Option<String>,
    /// What is done, to what, and when: `crash server @5s`; may be given several times
    #[arg(long, value_name = "'VERB WHAT @TIME'")]
    pub(crate) fault: Vec<String>,
    /// A command that runs on the host `server`
    #[arg(long, value_name = "COMMAND")]
    pub(crate) server: Option<String>,
    /// When the server is ready: a port it listens on, a time such as 2s, or part
    /// of a line that it writes [default: once it listens on any TCP port]
    #[arg(long, value_name = "WHEN", requires = "server")]
    pub(crate) ready: Option<String>,
    /// On this machine's clock, or on a guest's that jumps over idle time
    #[arg(long, value_enum, default_value_t = Time::Real, value_name = "CLOCK")]
    pub(crate) time: Time,
    /// Run in a guest on this kernel
    #[arg(long, value_name = "KERNEL")]
    pub(crate) kernel: Option<String>,
    /// Keep the packets in DIR as pcapng, with faults, calls and lines of output as comments
    #[arg(long, value_name = "DIR")]
    pub(crate) pcap: Option<PathBuf>,
    /// What is observed of the command and the server: every call on a TCP socket, or
    /// nothing but their packets, lines and ends, so that they run at their own speed
    #[arg(long, value_enum, default_value_t = Observed::Calls, value_name = "WHAT")]
    pub(crate) observe: Observed,
    /// Record what the kernel itself says of the connections, too: errors, retransmissions,
    /// resets, and why it dropped a packet. With --time virtual or --kernel only
    #[arg(long)]
    pub(crate) explain: bool,
    /// When to give up if the command still runs [default: 60s; 24h for a command
    /// that a guest runs alone]
    #[arg(long, value_name = "TIME")]
    pub(crate) give_up: Option<String>,
    /// A directory to which a command that a guest runs alone may write, besides the
    /// working directory and a program's `target/`; may be given several times
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) write: Vec<std::path::PathBuf>,
    /// The memory, in MiB, of a guest that runs a command alone
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(256..=65536))]
    pub(crate) memory: u32,
    /// Refuse cases for which this machine's kernel would load modules (veth, nftables,
    /// tc, congestion controls), instead of letting it
    #[arg(long)]
    pub(crate) no_module_loading: bool,
    #[command(flatten)]
    pub(crate) page: PageArgs,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

/// What is observed of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Observed {
    /// Every call on a TCP socket
    Calls,
    /// Packets, lines, signals and the end
    Wire,
}

impl ExecArgs {
    /// Whether a guest runs the command alone: there is no network of hosts.
    pub(crate) fn is_alone(&self) -> bool {
        let in_guest = self.time == Time::Virtual || self.kernel.is_some();
        let network = self.network.is_some() || self.family.is_some();
        let case = network || self.server.is_some() || self.pcap.is_some() || self.explain;
        in_guest && !case && self.fault.is_empty()
    }
}
