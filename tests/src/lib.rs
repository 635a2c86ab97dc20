//! What the tests share: where things are, programs, snapshots of one row each.

pub mod program;
pub mod row;

use std::path::PathBuf;

/// The checkout.
pub fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(PathBuf::from).unwrap_or(here)
}

/// The shipped catalogue.
pub fn catalogue() -> PathBuf {
    root().join("scenarios.yaml")
}
