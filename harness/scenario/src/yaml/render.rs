//! Shows problems as compilers do: message, place, line, marker, advice.

use std::fmt;

use super::error::{InputErrors, Problem, Span};

/// Problems shown in full; further ones are counted.
const SHOWN: usize = 50;

/// Characters of a line that are shown; the rest is cut.
const WIDTH: usize = 110;

impl fmt::Display for InputErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gutter = self
            .problems()
            .iter()
            .take(SHOWN)
            .map(|problem| problem.span.line.to_string().len())
            .max()
            .unwrap_or(1);
        for (index, problem) in self.problems().iter().take(SHOWN).enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            render(f, self.file(), problem, gutter)?;
        }
        let more = self.problems().len().saturating_sub(SHOWN);
        if more > 0 {
            writeln!(f, "\n... and {more} more")?;
        }
        if self.problems().len() > 1 {
            writeln!(f, "\n{} errors in {}", self.problems().len(), self.file())?;
        }
        Ok(())
    }
}

/// Shows one problem; `gutter` is the width of the line numbers.
fn render(f: &mut fmt::Formatter<'_>, file: &str, problem: &Problem, gutter: usize) -> fmt::Result {
    let span = problem.span;
    writeln!(f, "error: {}", printable(&problem.message))?;
    if span.line == 0 {
        writeln!(f, "{:gutter$}--> {file}", "")?;
    } else {
        writeln!(f, "{:gutter$}--> {file}:{}:{}", "", span.line, span.column)?;
    }
    if span.line > 0 {
        let (line, column, length) = crop(&problem.snippet, span);
        let expected = problem
            .expected
            .as_ref()
            .map_or_else(String::new, |expected| {
                format!(" expected {}", printable(expected))
            });
        writeln!(f, "{:gutter$} |", "")?;
        writeln!(f, "{:>gutter$} | {line}", span.line)?;
        writeln!(
            f,
            "{:gutter$} | {:column$}{}{expected}",
            "",
            "",
            "^".repeat(length)
        )?;
    } else if let Some(expected) = &problem.expected {
        writeln!(f, "{:gutter$} = expected: {expected}", "")?;
    }
    if let Some(help) = &problem.help {
        writeln!(f, "{:gutter$} = help: {}", "", printable(help))?;
    }
    for note in &problem.notes {
        writeln!(f, "{:gutter$} = note: {}", "", printable(note))?;
    }
    Ok(())
}

/// The part of a line around the marker, the marker's column (0-based) in it,
/// and the marker's length.
fn crop(line: &str, span: Span) -> (String, usize, usize) {
    let characters: Vec<char> = line.chars().collect();
    let column = (span.column.max(1) as usize - 1).min(characters.len());
    let room = characters.len().saturating_sub(column).max(1);
    let length = (span.length.max(1) as usize).min(room);
    if characters.len() <= WIDTH {
        return (line.trim_end().to_owned(), column, length);
    }
    let start = column.saturating_sub(WIDTH / 2);
    let end = (start + WIDTH).min(characters.len());
    let before = if start > 0 { "..." } else { "" };
    let after = if end < characters.len() { "..." } else { "" };
    let shown: String = characters[start..end].iter().collect();
    (
        format!("{before}{shown}{after}"),
        column - start + before.len(),
        length.min(end - column).max(1),
    )
}

/// The text without characters that move the marker or the terminal's cursor.
pub(super) fn printable(line: &str) -> String {
    line.chars()
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}
