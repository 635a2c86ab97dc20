//! The arguments of `halfopen diff`.

use std::path::PathBuf;

use clap::Args;

use super::{PageArgs, ReportFormat};

pub(super) const HELP: &str = "\
Each run is compared with the one of the same kernel and clock, or of the same
series (6.12); what differs between their environments comes first. A change is
given its likeliest cause when the kernel's rules predict it.

Examples:
  halfopen diff before.yaml now.yaml
  halfopen diff before.yaml now.yaml --format markdown

Exit codes: 0 nothing changed, 1 something did, 2 a file is wrong.";

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// What was saved before
    #[arg(value_name = "BEFORE")]
    pub(crate) before: PathBuf,
    /// What was saved since
    #[arg(value_name = "NOW")]
    pub(crate) now: PathBuf,
    /// The file of scenarios that was run, to name causes by the kernel's rules
    /// [default: ./scenarios.yaml, else the built-in catalogue]
    #[arg(long, value_name = "FILE")]
    pub(crate) scenarios: Option<PathBuf>,
    /// For people, for a pull request's comment, or for programs
    #[arg(long, value_enum, default_value_t = ReportFormat::Table, value_name = "FORM")]
    pub(crate) format: ReportFormat,
    #[command(flatten)]
    pub(crate) page: PageArgs,
}
