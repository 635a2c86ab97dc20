//! The arguments of `halfopen init`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

pub(super) const HELP: &str = "\
Writes two files: commented scenarios to begin with, and the JSON Schema that their
first line names, with which editors complete and check them. A file that is there is
never overwritten.

Examples:
  halfopen init                               scenarios.yaml: a host loses power
  halfopen init --from-template nat           a NAT router forgets connections
  halfopen init my/tests.yaml --from-template program

Exit codes: 0 written, 2 a file is there already.";

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The file to write
    #[arg(value_name = "FILE", default_value = "scenarios.yaml")]
    pub(crate) file: PathBuf,
    /// What to begin with
    #[arg(long, value_enum, default_value_t = Template::Crash, value_name = "TEMPLATE")]
    pub(crate) from_template: Template,
}

/// The templates there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Template {
    /// A host loses power; keepalive, user timeout or nothing
    Crash,
    /// A NAT router forgets an idle connection
    Nat,
    /// An address moves to a standby
    Failover,
    /// Dead clients hold all slots of a server
    Pool,
    /// The application's own heartbeat beside keepalive
    Heartbeat,
    /// An unmodified program
    Program,
}

impl Template {
    /// Its text.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Template::Crash => include_str!("../../templates/crash.yaml"),
            Template::Nat => include_str!("../../templates/nat.yaml"),
            Template::Failover => include_str!("../../templates/failover.yaml"),
            Template::Pool => include_str!("../../templates/pool.yaml"),
            Template::Heartbeat => include_str!("../../templates/heartbeat.yaml"),
            Template::Program => include_str!("../../templates/program.yaml"),
        }
    }
}
