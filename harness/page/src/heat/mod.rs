//! The grid as a heat map: the longer nobody notices, the stronger the colour. Cells in
//! which nobody noticed are hatched, framed and say so: no colour is needed to see
//! them.

mod file;

pub(crate) use file::HOT;
pub use file::file;

use std::time::Duration;

use halfopen_report::grid::Content;

use crate::axis;

/// How a cell is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Look {
    /// Noticed: 0 at once, 1 after three hours.
    Noticed(f64),
    /// Not noticed within the limit, and predicted after this share of the axis.
    Later(f64),
    /// Nobody noticed.
    Unnoticed,
    /// There is no result.
    Nothing,
}

impl Look {
    pub(crate) fn of(content: &Content<'_>) -> Look {
        let share = |time: &Duration| axis::share(time.as_secs_f64());
        match content {
            Content::Seen { after, .. } => Look::Noticed(share(after)),
            Content::BeyondLimit { earliest, .. } => Look::Later(share(earliest)),
            Content::Unnoticed { .. } => Look::Unnoticed,
            Content::Disturbed | Content::NotRun | Content::Failed | Content::Missing => {
                Look::Nothing
            }
        }
    }
}
