//! The arguments of `halfopen explain`.

use clap::Args;

use super::CaseArgs;

pub(super) const HELP: &str = "\
Tells what the case does and what the kernel will do, from its steps, its faults and
the kernel's rules; nothing is run.

Examples:
  halfopen explain host-crash-while-writing
  halfopen explain my.yaml '=my-case/detector=none' --kernel 6.1

Exit codes: 0 told, 2 wrong input.";

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) what: CaseArgs,
    /// The version of the kernel [default: this machine's]
    #[arg(long, value_name = "VERSION")]
    pub(crate) kernel: Option<String>,
}
