//! What the tests share: where things are, programs, snapshots of one row each.

pub mod browser;
pub mod documents;
pub mod fuzz;
pub mod line;
pub mod oracle;
pub mod page;
pub mod prediction;
pub mod program;
pub mod row;

use std::path::PathBuf;

/// The checkout, or what HALFOPEN_ROOT says when the test program was copied
/// out of it.
pub fn root() -> PathBuf {
    if let Some(root) = std::env::var_os("HALFOPEN_ROOT") {
        return PathBuf::from(root);
    }
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(PathBuf::from).unwrap_or(here)
}

/// The shipped catalogue.
pub fn catalogue() -> PathBuf {
    root().join("scenarios.yaml")
}
