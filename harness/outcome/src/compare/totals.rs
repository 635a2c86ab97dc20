//! Counts compared cases.

use serde::Serialize;

use super::{ChangeKind, ComparedCase};

/// How many cases changed, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// The same.
    pub unchanged: usize,
    /// Not the same.
    pub changed: usize,
    /// Not the same, and declared as known.
    pub known: usize,
    /// Declared as known to differ, and the same.
    #[serde(rename = "mended")]
    pub resolved: usize,
    /// New.
    pub new: usize,
    /// Gone.
    pub gone: usize,
    /// Not run in the later run.
    pub not_run: usize,
}

impl Totals {
    /// Counts cases.
    pub fn of(cases: &[ComparedCase]) -> Self {
        let mut totals = Totals::default();
        for case in cases {
            totals.resolved += usize::from(case.is_resolved());
            *match case.kind {
                ChangeKind::Changed => &mut totals.changed,
                ChangeKind::Known => &mut totals.known,
                ChangeKind::New => &mut totals.new,
                ChangeKind::Gone => &mut totals.gone,
                ChangeKind::NotRun => &mut totals.not_run,
                ChangeKind::Unchanged => &mut totals.unchanged,
            } += 1;
        }
        totals
    }

    /// Whether something changed that is not declared as known. A case that was
    /// not run counts neither as changed nor as the same.
    pub fn any_change(&self) -> bool {
        self.changed + self.new + self.gone > 0
    }
}

impl ComparedCase {
    /// Whether it is declared as known to differ and no longer does.
    pub fn is_resolved(&self) -> bool {
        self.kind == ChangeKind::Unchanged && self.known.is_some()
    }
}
