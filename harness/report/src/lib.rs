//! Reports of halfopen: outcomes, comparisons and grids as text, JSON and Markdown.
//!
//! The crate takes values and returns text; it does no I/O but writing to the
//! writer that it is given.
//!
//! - A run: [`table`] and [`notes`], [`json`], [`junit`], [`markdown`], [`matrix`], [`ladder`] with
//!   [`netstat`], and [`kernels`] for several kernels; [`finished`] is what they take.
//! - A comparison of runs: [`comparison`].
//! - A grid of detectors and faults: [`grid_plan`] makes its cases, [`grid`] shows
//!   their outcomes.
//! - A case in sentences: [`explain`].
//! - Tables for snapshot tests: [`snapshot`].
//! - [`text`]: signs, predictions, calls and packets, worded alike in all of them.

pub mod comparison;
pub mod explain;
pub mod finished;
pub mod grid;
pub mod grid_plan;
pub mod json;
pub mod junit;
pub mod kernels;
pub mod ladder;
pub mod markdown;
pub mod matrix;
pub mod netstat;
pub mod notes;
pub mod snapshot;
pub mod table;
pub mod text;
