//! Splits a command into words, as a shell does: quotes and backslashes, and
//! nothing else. It is no shell, so what only a shell could do is refused.

use crate::yaml::Refusal;

/// The words of a command.
///
/// # Errors
/// A quote that does not end; an operator of the shell.
pub(super) fn split(text: &str) -> Result<Vec<String>, Refusal> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        None => {
                            return Err(Refusal::with(
                                format!("a {c} is not closed in `{text}`"),
                                "close it, or write a list of words",
                            ));
                        }
                        Some(end) if end == c => break,
                        // Within double quotes a backslash escapes these alone.
                        Some('\\') if c == '"' => match chars.next() {
                            Some(escaped @ ('"' | '\\' | '$' | '`')) => word.push(escaped),
                            Some(other) => word.extend(['\\', other]),
                            None => word.push('\\'),
                        },
                        Some(inside) => word.push(inside),
                    }
                }
            }
            '\\' => word
                .get_or_insert_default()
                .push(chars.next().unwrap_or('\\')),
            '|' | '&' | ';' | '<' | '>' | '`' => {
                return Err(Refusal::with(
                    format!("`{c}` is the shell's, and no shell runs this"),
                    format!(
                        "quote it, or write `[sh, -c, \"{}\"]`",
                        text.replace('"', "\\\"")
                    ),
                ));
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_by_a_shell() {
        for (text, words) in [
            ("a  b\tc", vec!["a", "b", "c"]),
            ("a 'b  c' \"d e\"f", vec!["a", "b  c", "d ef"]),
            (r#"a\ b "\"x\"" "\n" ''"#, vec!["a b", "\"x\"", "\\n", ""]),
            (
                "redis-cli -h ${server}",
                vec!["redis-cli", "-h", "${server}"],
            ),
        ] {
            assert_eq!(
                split(text).ok(),
                Some(words.into_iter().map(str::to_owned).collect())
            );
        }
        for text in ["a 'b", "a \"b", "a | b", "a > b", "a && b"] {
            assert!(split(text).is_err(), "{text}");
        }
    }
}
