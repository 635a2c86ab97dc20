//! A grid as Markdown: one table for each state, with cells as full text.

use std::fmt::Write as _;

use super::{Content, Grid, legend};
use crate::grid_plan::{Cell, State};
use halfopen_net::span::human;

/// The grid; `command` is the command line that made it.
pub fn render(grid: &Grid<'_>, command: &str) -> String {
    let mut text = String::new();
    for (state, what) in grid.plan.states.iter().enumerate() {
        let title = match what {
            State::Idle => "While the connection is idle",
            State::Sending => "While data is in flight: the client has sent a request and waits",
        };
        let _ = writeln!(text, "**{title}**\n");
        table(&mut text, grid, state);
        text.push('\n');
    }
    let _ = writeln!(text, "{}", origin(grid, command));
    let remarks = legend::remarks(grid);
    if !remarks.is_empty() {
        let _ = write!(text, "\n```text{remarks}```\n");
    }
    text
}

fn table(text: &mut String, grid: &Grid<'_>, state: usize) {
    let titles: Vec<&str> = grid
        .plan
        .detectors
        .iter()
        .map(|d| d.title.as_str())
        .collect();
    let _ = writeln!(text, "| | {} |", titles.join(" | "));
    let _ = writeln!(text, "|---|{}", "---|".repeat(titles.len()));
    for (fault, what) in grid.plan.faults.iter().enumerate() {
        let cells: Vec<String> = (0..titles.len())
            .map(|detector| {
                let cell = Cell {
                    state,
                    fault,
                    detector,
                };
                format_cell(grid.content(cell))
            })
            .collect();
        let _ = writeln!(text, "| {} | {} |", what.title, cells.join(" | "));
    }
}

fn format_cell(content: Content<'_>) -> String {
    let text = content.full();
    match content {
        // Emphasized: this is what readers look for.
        Content::Unnoticed { .. } => format!("**{text}**"),
        _ => text,
    }
}

/// `6.12` of `6.12.107+deb13-cloud-amd64`: stable releases do not change timers.
pub(crate) fn series(release: &str) -> String {
    let numbers = release.split(|c: char| !c.is_ascii_digit()).take(2);
    numbers.collect::<Vec<_>>().join(".")
}

fn origin(grid: &Grid<'_>, command: &str) -> String {
    let mut text = format!(
        "Measured on Linux {} in {} time by `{command}`; *unnoticed*: nothing within {}.",
        series(&grid.environment.kernel),
        grid.environment.time,
        human(grid.plan.limit),
    );
    let beyond_limit =
        |(_, content): (Cell, Content<'_>)| matches!(content, Content::BeyondLimit { .. });
    if grid.contents().any(beyond_limit) {
        text.push_str(
            " What is in parentheses was not measured: nothing came within that time, and the \
             kernel's rules say when, at the earliest, it would have.",
        );
    }
    if grid.contents().any(|(_, content)| content.is_outside()) {
        text.push_str(" `!`: measured, but not as the kernel's rules say.");
    }
    text
}
