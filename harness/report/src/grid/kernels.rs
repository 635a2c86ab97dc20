//! The cells in which other kernels differ from the first one.

use std::fmt::Write as _;
use std::time::Duration;

use super::cell::rounding;
use super::{Content, Grid};

/// One line for each cell of `others` that differs from that of `first`.
pub fn kernel_differences(first: &Grid<'_>, others: &[Grid<'_>]) -> String {
    let mut text = String::new();
    for other in others {
        let lines: Vec<String> = first
            .contents()
            .filter_map(|(cell, here)| {
                let there = other.content(cell);
                (!alike(here, there)).then(|| {
                    format!(
                        "{}: {} here, {} there",
                        first.name(cell),
                        here.full(),
                        there.full()
                    )
                })
            })
            .collect();
        let kernel = &other.environment.kernel;
        if lines.is_empty() {
            let _ = writeln!(text, "\n{kernel}: the same");
            continue;
        }
        let _ = writeln!(text, "\n{kernel}: not the same");
        for line in lines {
            let _ = writeln!(text, "  {line}");
        }
    }
    text
}

/// Whether two cells read alike: times that differ by less than a tenth, or that
/// are rounded to the same text, count as the same.
fn alike(here: Content<'_>, there: Content<'_>) -> bool {
    match (here, there) {
        (
            Content::Seen { sign, after, .. },
            Content::Seen {
                sign: s, after: a, ..
            },
        ) => {
            let most: Duration = after.max(a);
            sign == s && after.abs_diff(a) <= rounding(most).max(most / 10)
        }
        (Content::Unnoticed { .. }, Content::Unnoticed { .. }) => true,
        _ => here == there,
    }
}
