//! The arguments of `halfopen merge`.

use std::path::PathBuf;

use clap::Args;

use super::OnDisturbed;

pub(super) const HELP: &str = "\
Writes the JSON that `run --format json` would have written on one machine, with the
cases in the order of the files, and on standard error which cases need a look and how
many ended how. Parts of other kernels or clocks stay runs of their own. It is an error
when two files have the same case, or ran with other settings.

Example, with a job for each part and one that gets their files:
  halfopen run --partition hash:1/2 --format json > 1.json
  halfopen run --partition hash:2/2 --format json > 2.json
  halfopen merge 1.json 2.json > all.json

Exit codes: as those of `run`; 2 a file is wrong.";

#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    /// What `run --format json` wrote
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Whether cases that came out wrong while their machine was late in each of
    /// their tries end it with exit code 1
    #[arg(long, value_enum, default_value_t = OnDisturbed::Warn, value_name = "POLICY")]
    pub(crate) disturbed: OnDisturbed,
}
