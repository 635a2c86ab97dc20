//! Turns serde-saphyr's errors into [`Problem`]s with advice.

use serde_saphyr::{DefaultMessageFormatter, MessageFormatter};

use super::error::{Problem, Span};

/// The most nodes that all aliases of a file together may stand for.
pub(super) const MAX_ALIASED: usize = 50_000;

/// The deepest nesting.
pub(super) const MAX_DEPTH: usize = 64;

/// An error of serde-saphyr as a problem.
pub(super) fn syntax(error: &serde_saphyr::Error, text: &str) -> Problem {
    use serde_saphyr::Error;
    let mut error = error.without_snippet();
    let mut location = error.location();
    if let Error::AliasError {
        error: inner,
        locations,
        ..
    } = error
    {
        error = inner.without_snippet();
        location = Some(locations.reference_location);
    }
    let span = location.map_or(
        Span {
            line: 1,
            column: 1,
            length: 1,
        },
        |at| Span {
            line: u32::try_from(at.line()).unwrap_or(u32::MAX),
            column: u32::try_from(at.column()).unwrap_or(u32::MAX),
            length: 1,
        },
    );
    let message = DefaultMessageFormatter.format_message(error).into_owned();
    match error {
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => Problem::new(
            span,
            format!("aliases stand for more than {MAX_ALIASED} nodes"),
        )
        .expected(format!(
            "aliases that stand for at most {MAX_ALIASED} nodes together"
        ))
        .help("write the values out, or split the file"),
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            Problem::new(span, "this alias stands for something it is part of")
                .expected("an alias of something that ends before it")
        }
        // The error of the parser's own limit has no variant.
        _ if message.contains("recursion limit") => too_deep(span),
        Error::Budget {
            breach: serde_saphyr::budget::BudgetBreach::Depth { .. },
            ..
        } => too_deep(span),
        Error::MultipleDocuments { .. } => {
            Problem::new(span, "the file holds more than one YAML document")
                .expected("one document")
                .help("remove the `---`, or split the file")
        }
        _ => {
            let line = text
                .lines()
                .nth((span.line as usize).saturating_sub(1))
                .unwrap_or("");
            let help = if line.contains("${") && !line.contains("\"${") {
                Some(
                    "inside `{ }` and `[ ]` YAML wants `${axis}` in quotes: \"${axis}\"".to_owned(),
                )
            } else if line.starts_with('\t') || line.trim_start_matches(' ').starts_with('\t') {
                Some("indent with spaces; YAML does not allow tabs".to_owned())
            } else if let Some((bracket, at)) = unclosed(text, span.line) {
                Some(format!("the `{bracket}` on line {at} is not closed"))
            } else if line.matches(": ").count() > 1 && !line.contains(['{', '"']) {
                Some("a text with `: ` in it wants quotes".to_owned())
            } else {
                cure(&message).map(str::to_owned)
            };
            Problem::new(span, format!("this is not YAML: {message}"))
                .expected("valid YAML")
                .maybe_help(help)
        }
    }
}

/// What to do about an error of the parser, by its words.
fn cure(message: &str) -> Option<&'static str> {
    const CURES: [(&str, &str); 5] = [
        (
            "unknown anchor",
            "`*name` repeats what `&name` marked further up; a text that begins with `*` wants quotes",
        ),
        (
            "mismatched bracket",
            "close each `{` with `}`, and each `[` with `]`",
        ),
        (
            "unclosed quote",
            "end the text with the quote it begins with",
        ),
        (
            "unclosed bracket",
            "close each `{` with `}`, and each `[` with `]`",
        ),
        (
            "did not find expected key",
            "indent it as far as the lines it belongs with",
        ),
    ];
    let known = CURES.iter().find(|(words, _)| message.contains(words));
    known.map(|(_, cure)| *cure)
}

/// The innermost bracket that is still open at the beginning of a line, and its line.
/// Quotes and comments are left out as far as they stay on a line.
fn unclosed(text: &str, before: u32) -> Option<(char, u32)> {
    let mut open = Vec::new();
    for (number, line) in (1..before).zip(text.lines()) {
        let mut quote = None;
        let mut last = ' ';
        for c in line.chars() {
            match (c, quote) {
                ('#', None) if last == ' ' => break,
                (c, Some(end)) if c == end => quote = None,
                ('"' | '\'', None) if !last.is_alphanumeric() => quote = Some(c),
                ('[' | '{', None) => open.push((c, number)),
                (']' | '}', None) => drop(open.pop()),
                _ => {}
            }
            last = c;
        }
    }
    open.pop()
}

fn too_deep(span: Span) -> Problem {
    Problem::new(span, "this is nested too deeply").expected(format!("at most {MAX_DEPTH} levels"))
}
