//! What is wrong with an input, shown the way compilers show it.

use std::fmt;

/// A place in a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Line, 1-based; 0 when the place is the file as a whole.
    pub line: u32,
    /// Column in characters, 1-based.
    pub column: u32,
    /// Length in characters.
    pub length: u32,
}

/// One thing that is wrong with an input.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// Where.
    pub span: Span,
    /// The line of the file, empty when there is none.
    pub snippet: String,
    /// What was expected there.
    pub expected: Option<String>,
    /// What to write instead.
    pub help: Option<String>,
    /// What else is worth knowing: the first of two, the case it happens in.
    pub notes: Vec<String>,
}

impl Problem {
    /// Something is wrong at a place.
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Problem {
            message: message.into(),
            span,
            snippet: String::new(),
            expected: None,
            help: None,
            notes: Vec::new(),
        }
    }

    /// Says what was expected there.
    pub fn expected(mut self, what: impl Into<String>) -> Self {
        self.expected = Some(what.into());
        self
    }

    /// Says what to write instead.
    pub fn help(mut self, what: impl Into<String>) -> Self {
        self.help = Some(what.into());
        self
    }

    /// As [`Problem::help`], when there is something to say.
    pub fn maybe_help(mut self, what: Option<String>) -> Self {
        self.help = what.or(self.help);
        self
    }

    /// Adds a remark.
    pub fn note(mut self, what: impl Into<String>) -> Self {
        self.notes.push(what.into());
        self
    }
}

/// Everything that is wrong with one input, in the order of its lines.
///
/// `Display` shows each with its line of the file; there are no colour codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputErrors {
    file: String,
    problems: Vec<Problem>,
}

/// Problems shown in full; what comes after is counted.
const SHOWN: usize = 50;
/// Characters of a line that are shown; the rest is cut.
const WIDTH: usize = 110;

impl InputErrors {
    /// Sorts the problems and takes their lines from the text.
    pub fn new(file: &str, text: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.span);
        let lines: Vec<&str> = text.lines().collect();
        for problem in &mut problems {
            let index = problem.span.line.checked_sub(1).map(|line| line as usize);
            problem.snippet = index
                .and_then(|index| lines.get(index))
                .map_or_else(String::new, |line| printable(line));
        }
        InputErrors {
            file: file.to_owned(),
            problems,
        }
    }

    /// An error of the file as a whole.
    pub fn whole(file: &str, problem: Problem) -> Self {
        InputErrors {
            file: file.to_owned(),
            problems: vec![problem],
        }
    }

    /// The file's name, as it was given.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// What is wrong, in the order of the file's lines. Never empty.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl std::error::Error for InputErrors {}

impl fmt::Display for InputErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gutter = self
            .problems
            .iter()
            .take(SHOWN)
            .map(|problem| problem.span.line.to_string().len())
            .max()
            .unwrap_or(1);
        for (index, problem) in self.problems.iter().take(SHOWN).enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            render(f, &self.file, problem, gutter)?;
        }
        let more = self.problems.len().saturating_sub(SHOWN);
        if more > 0 {
            writeln!(f, "\n... and {more} more")?;
        }
        if self.problems.len() > 1 {
            writeln!(f, "\n{} errors in {}", self.problems.len(), self.file)?;
        }
        Ok(())
    }
}

/// One problem: message, place, line, marker, advice.
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

/// The line without what would move the marker or the terminal's cursor.
fn printable(line: &str) -> String {
    line.chars()
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}
