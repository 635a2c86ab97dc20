//! The arguments of `halfopen check`.

use std::path::PathBuf;

use clap::Args;

pub(super) const HELP: &str = "\
Nothing is built. Each mistake is shown with its line and what was expected.

Example:
  halfopen check my.yaml && halfopen run my.yaml

Exit codes: 0 nothing is wrong, 2 something is.";

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// File of scenarios [default: ./scenarios.yaml, else the built-in catalogue]
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}
