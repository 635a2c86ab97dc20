//! docs/published.md: published figures beside predictions.

use std::fmt::Write as _;

use halfopen_predict::{KernelFacts, Version, predict};
use halfopen_scenario::case::Case;

use super::{KERNEL, cell, predicted, said};

/// The document, of the fixtures' cases.
pub fn text(cases: &[Case]) -> String {
    let mut text = String::from(
        "# Published figures\n\n\
         What books, RFCs and the kernel's own documentation say, beside what the rules say for\n\
         Linux. The figures are data (`fixtures/published/*.yaml`), so `halfopen predict` and\n\
         `halfopen run --time virtual` take them, too. Made by `UPDATE_DOCS=1 cargo test --test\n\
         documents`, which also checks that each prediction is what is known of Linux.\n\n\
         | source | figure | Linux 6.1, HZ=250 | Linux 6.12, HZ=250 | why |\n\
         |---|---|---|---|---|\n",
    );
    let before = KernelFacts {
        version: Version(6, 1),
        ..KERNEL
    };
    for case in cases {
        let on = |kernel: &KernelFacts| match predict(case, kernel) {
            Ok(said) => predicted(&said),
            Err(e) => e.to_string(),
        };
        let figure = case.book.as_ref().map(said).unwrap_or_default();
        let _ = writeln!(
            text,
            "| {} | {} {} | {} | {} | {} |",
            cell(&case.source.join(", ")),
            cell(&case.about),
            cell(&format!("({figure})")),
            cell(&on(&before)),
            cell(&on(&KERNEL)),
            cell(case.notes.as_deref().unwrap_or_default()),
        );
    }
    text
}
