//! Snapshots with one table for each scenario, of which each test checks one row.
//!
//! Every case is a test of its own, so that a run can be spread over machines, while
//! a reviewer reads the whole matrix in one table. The test of a case takes the
//! reviewed table, replaces its own row by the measured one, and passes the table to
//! insta, whose Comparator compares times within the declared tolerance. `cargo insta
//! review` works as usual.

use std::fs::File;
use std::path::Path;

use halfopen_outcome::record::Outcome;
use halfopen_outcome::tolerance::Tolerance;
use halfopen_report::snapshot;
use insta::comparator::Comparator;
use insta::internals::SnapshotContents;
use insta::{Settings, Snapshot};

/// Asserts that `outcome` agrees with its row in the scenario's snapshot below
/// `folder`. `order` lists the ids of the scenario's cases.
///
/// # Panics
/// When it does not, as insta does.
pub fn assert_row(folder: &Path, outcome: &Outcome, order: &[String], tolerance: Tolerance) {
    // Other cases of the scenario may write the same file at the same time, in this
    // process or in another one.
    let _lock = lock(folder);
    let file = folder.join(format!("{}.snap", outcome.scenario));
    let base = contents(&file.with_extension("snap.new")).or_else(|| contents(&file));
    let table = snapshot::with_row(base.as_deref().unwrap_or(""), outcome, order);

    let mut settings = Settings::clone_current();
    settings.set_snapshot_path(folder);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_comparator(Box::new(Within {
        tolerance,
        id: outcome.id.clone(),
    }));
    settings.bind(|| insta::assert_snapshot!(outcome.scenario.as_str(), table));
}

/// Whether `outcome` agrees with its row, without a trace of it if it does not. A row that
/// is not there agrees with everything: [`assert_row`] writes it, or fails.
pub fn agrees(folder: &Path, outcome: &Outcome, order: &[String], tolerance: Tolerance) -> bool {
    let Some(base) = contents(&folder.join(format!("{}.snap", outcome.scenario))) else {
        return true;
    };
    let table = snapshot::with_row(&base, outcome, order);
    let agree = |table: &str| snapshot::same_row_within(&base, table, &outcome.id, &tolerance);
    agree(&table) || !agree(&base)
}

#[derive(Debug, Clone)]
struct Within {
    tolerance: Tolerance,
    id: String,
}

impl Comparator for Within {
    fn matches(&self, reference: &Snapshot, test: &Snapshot) -> bool {
        match (reference.contents(), test.contents()) {
            (SnapshotContents::Text(reference), SnapshotContents::Text(test)) => {
                snapshot::same_row_within(
                    &reference.to_string(),
                    &test.to_string(),
                    &self.id,
                    &self.tolerance,
                )
            }
            _ => false,
        }
    }

    fn dyn_clone(&self) -> Box<dyn Comparator> {
        Box::new(self.clone())
    }
}

/// The contents of a snapshot file, without its header.
fn contents(file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let body = text.strip_prefix("---\n")?.split_once("\n---\n")?.1;
    Some(body.to_owned())
}

/// Locks the folder itself (flock(2)): nothing has to be written for it.
fn lock(folder: &Path) -> File {
    let locked = File::open(folder).and_then(|file| file.lock().map(|()| file));
    locked.unwrap_or_else(|e| panic!("cannot lock {}: {e}", folder.display()))
}
