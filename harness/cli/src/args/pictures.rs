//! The options that write files to look at: `--html` and `--svg`.

use std::path::PathBuf;

use clap::Args;

/// Where to write a page and drawings, besides the report.
#[derive(Debug, Default, Args)]
pub(crate) struct PictureArgs {
    /// Write a page to look at as well: one file with overview, plot and ladders
    /// that needs no network
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Write the plot and each case's ladder as SVG files into this directory as well
    #[arg(long, value_name = "DIR")]
    pub(crate) svg: Option<PathBuf>,
}

/// Where to write a page, for what has no ladders.
#[derive(Debug, Default, Args)]
pub(crate) struct PageArgs {
    /// Write a page to look at as well: one file that needs no network
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}
