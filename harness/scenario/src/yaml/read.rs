//! Reads YAML text into a tree.
//!
//! serde-saphyr parses it, with limits against alias bombs and deep nesting. The tree
//! keeps each scalar as it is written, so that `1.0`, `0755` and `ETIMEDOUT` reach
//! the decoder of the key, which knows what is expected there.

use std::collections::HashMap;

use serde_saphyr::Spanned;

use super::error::{InputErrors, Problem, Span};
use super::file;
use super::raw::Raw;
use super::syntax::{MAX_ALIASED, MAX_DEPTH, syntax};
use super::tree::{Key, Node, Value};

/// Reads one YAML document that is not empty; `empty` is the problem of one that is.
///
/// # Errors
///
/// Text that is binary, empty, or not YAML.
pub fn document(
    name: &str,
    text: &str,
    empty: impl FnOnce() -> Problem,
) -> Result<Node, InputErrors> {
    let wrong = |problems| InputErrors::new(name, text, problems);
    if let Some((index, line)) = text
        .lines()
        .enumerate()
        .find(|(_, line)| line.contains('\0'))
    {
        let column = line.chars().position(|c| c == '\0').unwrap_or(0);
        return Err(wrong(vec![file::binary(index, column)]));
    }
    let blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    if text.lines().all(blank) {
        return Err(wrong(vec![empty()]));
    }
    read(text).map_err(wrong)
}

/// Reads one YAML document.
///
/// # Errors
///
/// Wrong syntax, keys used twice, too many aliases.
pub fn read(text: &str) -> Result<Node, Vec<Problem>> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH, flow_nesting_limit: MAX_DEPTH },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_ALIASED },
        // `Reader::map` finds all duplicates, each with the line of its first.
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    };
    let raw: Spanned<Raw> = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| vec![syntax(&error, text)])?;
    let mut reader = Reader {
        text,
        problems: Vec::new(),
    };
    let node = reader.node(raw);
    if reader.problems.is_empty() {
        Ok(node)
    } else {
        Err(reader.problems)
    }
}

/// Turns [`Raw`] into [`Node`].
struct Reader<'t> {
    text: &'t str,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn node(&mut self, raw: Spanned<Raw>) -> Node {
        let location = raw.defined;
        let written = location
            .span()
            .byte_offset()
            .zip(location.span().byte_len())
            .and_then(|(start, length)| {
                let start = usize::try_from(start).ok()?;
                self.text.get(start..start + usize::try_from(length).ok()?)
            })
            .unwrap_or("");
        let first = written.lines().next().unwrap_or("").trim_end();
        let span = Span {
            line: u32::try_from(location.line()).unwrap_or(u32::MAX),
            column: u32::try_from(location.column()).unwrap_or(u32::MAX),
            length: u32::try_from(first.chars().count())
                .unwrap_or(u32::MAX)
                .max(1),
        };
        let value = match raw.value {
            Raw::Null => Value::Null,
            Raw::Text(text) => Value::Scalar(text),
            Raw::Typed(text) if written.is_empty() => Value::Scalar(text),
            Raw::Typed(_) => Value::Scalar(written.trim().to_owned()),
            Raw::List(list) => Value::List(list.into_iter().map(|item| self.node(item)).collect()),
            Raw::Map(map) => Value::Map(self.map(map)),
        };
        Node { value, span }
    }

    fn map(&mut self, map: Vec<(Spanned<Raw>, Spanned<Raw>)>) -> Vec<(Key, Node)> {
        let mut entries: Vec<(Key, Node)> = Vec::with_capacity(map.len());
        let mut seen: HashMap<String, u32> = HashMap::new();
        for (key, value) in map {
            let key = self.node(key);
            let value = self.node(value);
            let Value::Scalar(name) = key.value else {
                self.problems.push(
                    Problem::new(key.span, format!("a key cannot be {}", key.kind()))
                        .expected("a word"),
                );
                continue;
            };
            if let Some(first) = seen.get(&name) {
                self.problems.push(
                    Problem::new(key.span, format!("the key `{name}` is used twice"))
                        .expected("each key once")
                        .note(format!("`{name}` is first used on line {first}")),
                );
                continue;
            }
            seen.insert(name.clone(), key.span.line);
            entries.push((
                Key {
                    name,
                    span: key.span,
                },
                value,
            ));
        }
        entries
    }
}
