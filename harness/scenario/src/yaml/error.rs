//! Mistakes in an input, each with its place. [`super::render`] shows them.

use super::render::printable;

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

/// A mistake in an input.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// Where.
    pub span: Span,
    /// The line of the file; empty if there is none.
    pub snippet: String,
    /// What was expected there.
    pub expected: Option<String>,
    /// What to write instead.
    pub help: Option<String>,
    /// Remarks: where a name is first used, in which case it happens.
    pub notes: Vec<String>,
}

impl Problem {
    /// A mistake at a place.
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

    /// Sets what was expected there.
    pub fn expected(mut self, what: impl Into<String>) -> Self {
        self.expected = Some(what.into());
        self
    }

    /// Sets what to write instead.
    pub fn help(mut self, what: impl Into<String>) -> Self {
        self.help = Some(what.into());
        self
    }

    /// As [`Problem::help`], if there is advice.
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

/// All mistakes in one input, in the order of its lines.
///
/// `Display` shows each with its line of the file, without colour codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputErrors {
    file: String,
    problems: Vec<Problem>,
}

impl InputErrors {
    /// Sorts the problems by place and takes their lines from the text.
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

    /// The mistakes, in the order of the file's lines. Never empty.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl std::error::Error for InputErrors {}
