//! A grid as aligned text: one row for each fault, one column for each detector,
//! one table for each state. Where that is too wide, cells are letters and the
//! columns are split into bands.

use std::fmt::Write as _;

use super::{Content, Grid, legend};
use crate::grid_plan::Cell;

/// Spaces between columns.
const GAP: usize = 2;
/// Spaces before a row.
const INDENT: usize = 2;

/// The grid, at most `width` columns wide unless its names are wider.
pub fn render(grid: &Grid<'_>, width: u16) -> String {
    let allowed = usize::from(width);
    let whole: Vec<usize> = (0..grid.plan.detectors.len()).collect();
    let full = |content: Content<'_>| content.full();
    let states = 0..grid.plan.states.len();
    let letters = states
        .clone()
        .any(|state| wide(grid, state, &whole, &full) > allowed);
    let format_cell: &dyn Fn(Content<'_>) -> String = if letters { &|c| c.short() } else { &full };
    let mut text = String::new();
    for state in states {
        let about = grid.plan.states[state].about();
        let _ = writeln!(text, "{}\n  {about}", grid.plan.states[state].name());
        for band in bands(grid, state, &whole, format_cell, allowed) {
            text.push('\n');
            text.push_str(&table(grid, state, &band, format_cell));
        }
        text.push('\n');
    }
    text.push_str(&legend::signs(grid, letters));
    text.push('\n');
    text.push_str(&legend::names(grid));
    text.push_str(&legend::remarks(grid));
    text
}

/// The columns split into bands of as many as fit, at least one.
fn bands(
    grid: &Grid<'_>,
    state: usize,
    columns: &[usize],
    format_cell: &dyn Fn(Content<'_>) -> String,
    allowed: usize,
) -> Vec<Vec<usize>> {
    let mut bands: Vec<Vec<usize>> = Vec::new();
    for column in columns {
        let fits = bands.last().is_some_and(|band| {
            let more: Vec<usize> = band.iter().chain([column]).copied().collect();
            wide(grid, state, &more, format_cell) <= allowed
        });
        match bands.last_mut() {
            Some(band) if fits => band.push(*column),
            _ => bands.push(vec![*column]),
        }
    }
    bands
}

fn wide(
    grid: &Grid<'_>,
    state: usize,
    columns: &[usize],
    format_cell: &dyn Fn(Content<'_>) -> String,
) -> usize {
    let widths = columns
        .iter()
        .map(|d| GAP + width(grid, state, *d, format_cell));
    INDENT + fault_width(grid) + widths.sum::<usize>()
}

fn fault_width(grid: &Grid<'_>) -> usize {
    let names = grid.plan.faults.iter().map(|f| f.name.len());
    names.max().unwrap_or(0)
}

fn cells(
    grid: &Grid<'_>,
    state: usize,
    detector: usize,
    format_cell: &dyn Fn(Content<'_>) -> String,
) -> Vec<String> {
    let cell = |fault| Cell {
        state,
        fault,
        detector,
    };
    (0..grid.plan.faults.len())
        .map(|fault| format_cell(grid.content(cell(fault))))
        .collect()
}

/// The width of a column: that of its widest cell or of the longest part of its
/// name.
fn width(
    grid: &Grid<'_>,
    state: usize,
    detector: usize,
    format_cell: &dyn Fn(Content<'_>) -> String,
) -> usize {
    let parts = parts(&grid.plan.detectors[detector].name);
    let cells = cells(grid, state, detector, format_cell);
    let widths = cells.iter().map(String::as_str).chain(parts);
    widths.map(|text| text.chars().count()).max().unwrap_or(0)
}

/// `user-timeout` may be broken into `user-` and `timeout`.
fn parts(name: &str) -> Vec<&str> {
    name.split_inclusive('-').collect()
}

/// The name in lines of at most `width` columns.
fn heading(name: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts(name) {
        match lines.last_mut() {
            Some(line) if line.len() + part.len() <= width => line.push_str(part),
            _ => lines.push(part.to_owned()),
        }
    }
    lines
}

fn table(
    grid: &Grid<'_>,
    state: usize,
    band: &[usize],
    format_cell: &dyn Fn(Content<'_>) -> String,
) -> String {
    let widths: Vec<usize> = band
        .iter()
        .map(|d| width(grid, state, *d, format_cell))
        .collect();
    let headings: Vec<Vec<String>> = band
        .iter()
        .zip(&widths)
        .map(|(d, width)| heading(&grid.plan.detectors[*d].name, *width))
        .collect();
    let columns: Vec<Vec<String>> = band
        .iter()
        .map(|d| cells(grid, state, *d, format_cell))
        .collect();
    let depth = headings.iter().map(Vec::len).max().unwrap_or(0);
    let mut text = String::new();
    let mut line = |first: &str, cells: &mut dyn Iterator<Item = &str>| {
        let mut line = format!("{:INDENT$}{first:width$}", "", width = fault_width(grid));
        for (cell, width) in cells.zip(&widths) {
            let _ = write!(line, "{:GAP$}{cell:width$}", "");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    };
    for row in 0..depth {
        // Headings are aligned at their last lines.
        let index = |h: &Vec<String>| (row + h.len()).checked_sub(depth);
        let mut parts = headings
            .iter()
            .map(|h| index(h).map_or("", |at| h[at].as_str()));
        line("", &mut parts);
    }
    for (row, fault) in grid.plan.faults.iter().enumerate() {
        line(fault.name, &mut columns.iter().map(|c| c[row].as_str()));
    }
    text
}
