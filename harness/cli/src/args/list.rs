//! The arguments of `halfopen list`.

use clap::Args;

use super::{CaseArgs, Format};

pub(super) const HELP: &str = "\
Examples:
  halfopen list
  halfopen list keepalive             cases with `keepalive` in their names
  halfopen list my.yaml --format json | jq -r '.cases[].id'";

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) what: CaseArgs,
    /// For people, or for programs
    #[arg(long, value_enum, default_value_t = Format::Table, value_name = "FORM")]
    pub(crate) format: Format,
}
